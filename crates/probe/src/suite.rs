//! aws-lc-rs as the cryptography of the pure crates, and the fingerprints that a look takes.

use std::convert::Infallible;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, signature};
use md5::{Digest as _, Md5};
use parallax_core::{AeadKey, AeadKind, Fingerprint, Md5Fingerprint, Suite};
use rand_core::{TryCryptoRng, TryRng};

/// [`Suite`] by aws-lc-rs. Costs nothing until it is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Suite for AwsLc {
    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        // The digest is 32 bytes long by definition of the algorithm.
        out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
        out
    }

    fn verify_ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok()
    }

    fn verify_p256(&self, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
        // aws-lc also takes compressed points; the contract is the one spelling of a key that its hash is known by.
        let uncompressed = point.len() == 65 && point.first() == Some(&4);
        uncompressed
            && signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .is_ok()
    }

    fn verify_rsa_pkcs1(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key)
            .verify(message, signature)
            .is_ok()
    }

    fn verify_rsa_pss(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(&signature::RSA_PSS_2048_8192_SHA256, key).verify(message, signature).is_ok()
    }

    fn aead(&self, kind: AeadKind, key: &[u8; 32]) -> Option<Box<dyn AeadKey>> {
        let algorithm = match kind {
            AeadKind::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
            AeadKind::Aes256Gcm => &aead::AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key).ok()?;
        Some(Box::new(Sealing(LessSafeKey::new(key))))
    }
}

struct Sealing(LessSafeKey);

impl AeadKey for Sealing {
    fn seal(&self, nonce: [u8; 12], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = Vec::with_capacity(plaintext.len() + aead::MAX_TAG_LEN);
        buffer.extend_from_slice(plaintext);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(nonce, Aad::from(aad), &mut buffer).ok()?;
        Some(buffer)
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = sealed.to_vec();
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut buffer).ok()?.len();
        buffer.truncate(opened);
        Some(buffer)
    }
}

/// The system's generator, for keys. Should it ever fail, what was drawn is worthless, and [`SystemRandom::has_failed`]
/// says so: to be asked before anything made of it is used.
#[derive(Debug, Default)]
pub struct SystemRandom {
    failed: bool,
}

impl SystemRandom {
    /// Whether any draw failed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }
}

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.failed |= aws_lc_rs::rand::fill(bytes).is_err();
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}

/// The SHA-256 of bytes as a fingerprint.
pub fn sha256(bytes: &[u8]) -> Fingerprint {
    Fingerprint::from_bytes(AwsLc.sha256(bytes))
}

/// The MD5 that old notaries know a certificate by.
pub(crate) fn md5(bytes: &[u8]) -> Md5Fingerprint {
    Md5Fingerprint::from_bytes(Md5::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom as Random;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

    #[test]
    fn digests_by_their_vectors() {
        assert_eq!(sha256(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(md5(b"abc").to_string(), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn ed25519_signatures() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let good = pair.sign(b"message");
        assert!(AwsLc.verify_ed25519(&key, b"message", good.as_ref()));
        assert!(!AwsLc.verify_ed25519(&key, b"massage", good.as_ref()));
        assert!(!AwsLc.verify_ed25519(&key, b"message", &good.as_ref()[1..]));
        assert!(!AwsLc.verify_ed25519(&[0; 32], b"message", good.as_ref()));
    }

    #[test]
    fn what_is_sealed_opens_whole_or_not_at_all() {
        // RFC 8439 section 2.8.2.
        let key: [u8; 32] = std::array::from_fn(|index| 0x80 + index as u8);
        let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                     sunscreen would be it.";
        let sealed = AwsLc.aead(AeadKind::ChaCha20Poly1305, &key).unwrap().seal(nonce, &aad, text).unwrap();
        assert_eq!(sealed[..4], [0xd3, 0x1a, 0x8d, 0x34]);
        assert_eq!(sealed[sealed.len() - 4..], [0xd0, 0x60, 0x06, 0x91]);
        for kind in [AeadKind::ChaCha20Poly1305, AeadKind::Aes256Gcm] {
            let key = AwsLc.aead(kind, &key).unwrap();
            let sealed = key.seal(nonce, &aad, text).unwrap();
            assert_eq!(sealed.len(), text.len() + 16);
            assert_eq!(key.open(nonce, &aad, &sealed).as_deref(), Some(&text[..]));
            assert_eq!(key.open(nonce, &aad[1..], &sealed), None);
            assert_eq!(key.open(nonce, &aad, &sealed[1..]), None);
            assert_eq!(key.open(nonce, &aad, &[]), None);
        }
    }

    #[test]
    fn p256_signatures() {
        let rng = Random::new();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let good = pair.sign(&rng, b"message").unwrap();
        assert!(AwsLc.verify_p256(point, b"message", good.as_ref()));
        assert!(!AwsLc.verify_p256(point, b"massage", good.as_ref()));
        assert!(!AwsLc.verify_p256(&point[..64], b"message", good.as_ref()));
        let compressed: Vec<u8> = [2 + (point[64] & 1)].iter().chain(&point[1..33]).copied().collect();
        assert!(!AwsLc.verify_p256(&compressed, b"message", good.as_ref()));
        assert!(!AwsLc.verify_p256(&[], b"message", &[]));
    }

    #[test]
    fn rsa_signatures() {
        use aws_lc_rs::rsa::{KeyPair, KeySize};
        use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RSA_PSS_SHA512};
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let key = pair.public_key().as_ref();
        let sign = |padding: &'static dyn signature::RsaEncoding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &Random::new(), b"message", &mut signature).unwrap();
            signature
        };
        let (pkcs1, pss) = (sign(&RSA_PKCS1_SHA256), sign(&RSA_PSS_SHA256));
        assert!(AwsLc.verify_rsa_pkcs1(key, b"message", &pkcs1) && AwsLc.verify_rsa_pss(key, b"message", &pss));
        assert!(!AwsLc.verify_rsa_pkcs1(key, b"message", &pss) && !AwsLc.verify_rsa_pss(key, b"message", &pkcs1));
        assert!(!AwsLc.verify_rsa_pss(&key[1..], b"message", &pss));
        assert!(!AwsLc.verify_rsa_pkcs1(key, b"massage", &pkcs1) && !AwsLc.verify_rsa_pss(key, b"massage", &pss));
        let (pkcs1, pss) = (sign(&RSA_PKCS1_SHA384), sign(&RSA_PSS_SHA512));
        assert!(!AwsLc.verify_rsa_pkcs1(key, b"message", &pkcs1) && !AwsLc.verify_rsa_pss(key, b"message", &pss));
        assert!(!AwsLc.verify_rsa_pkcs1(&[], b"message", &pkcs1) && !AwsLc.verify_rsa_pss(&[], b"message", &pss));
    }
}
