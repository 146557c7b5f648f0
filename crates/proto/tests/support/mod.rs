//! Keys and a suite for the tests of what is signed, of other libraries than the product's.

// Not every test file signs with both.
#![allow(dead_code)]

use std::convert::Infallible;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use ed25519_dalek::Signer as _;
use parallax_core::{AeadKey, AeadKind, Signer, SigningFailed, Suite};
use rand_core::{Rng as _, TryCryptoRng, TryRng};
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::signature::{SignatureEncoding as _, Verifier as _};
use sha2::Digest as _;

/// Hashes and signatures in Rust alone.
pub(crate) struct PureRust;

impl Suite for PureRust {
    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        sha2::Sha256::digest(bytes).into()
    }

    fn verify_ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(key) else { return false };
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
    }

    fn verify_p256(&self, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = p256::ecdsa::VerifyingKey::from_sec1_bytes(point) else { return false };
        p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
    }

    fn verify_rsa_pss(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = rsa::RsaPublicKey::from_pkcs1_der(key) else { return false };
        let key = rsa::pss::VerifyingKey::<sha2::Sha256>::new(key);
        rsa::pss::Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
    }

    fn aead(&self, kind: AeadKind, key: &[u8; 32]) -> Option<Box<dyn AeadKey>> {
        Some(match kind {
            AeadKind::ChaCha20Poly1305 => Box::new(ChaCha(chacha20poly1305::ChaCha20Poly1305::new(key.into()))),
            AeadKind::Aes256Gcm => Box::new(Aes(aes_gcm::Aes256Gcm::new(key.into()))),
        })
    }
}

struct ChaCha(chacha20poly1305::ChaCha20Poly1305);

impl AeadKey for ChaCha {
    fn seal(&self, nonce: [u8; 12], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(&nonce.into(), Payload { msg: plaintext, aad }).ok()
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(&nonce.into(), Payload { msg: sealed, aad }).ok()
    }
}

struct Aes(aes_gcm::Aes256Gcm);

impl AeadKey for Aes {
    fn seal(&self, nonce: [u8; 12], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(&nonce.into(), Payload { msg: plaintext, aad }).ok()
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(&nonce.into(), Payload { msg: sealed, aad }).ok()
    }
}

/// Numbers that are the same in every run.
pub(crate) struct Count(pub(crate) u64);

impl TryRng for Count {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.iter_mut().zip(self.next_u64().to_le_bytes()).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

impl TryCryptoRng for Count {}

/// An RSA key of a client.
pub(crate) struct RsaKey(pub(crate) rsa::RsaPrivateKey);

impl Signer for RsaKey {
    fn algorithm(&self) -> &'static str {
        "PS256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        use rsa::signature::RandomizedSigner as _;
        let key = rsa::pss::SigningKey::<sha2::Sha256>::new(self.0.clone());
        Ok(key.sign_with_rng(&mut rsa::rand_core::OsRng, message).to_bytes().to_vec())
    }
}

/// A statement key.
pub(crate) struct Statement(pub(crate) ed25519_dalek::SigningKey);

impl Signer for Statement {
    fn algorithm(&self) -> &'static str {
        "EdDSA"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }
}

/// The key of a node's CA.
pub(crate) struct CaKey(pub(crate) p256::ecdsa::SigningKey);

impl Signer for CaKey {
    fn algorithm(&self) -> &'static str {
        "ES256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        use p256::ecdsa::signature::Signer as _;
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        Ok(signature.to_bytes().to_vec())
    }
}
