//! Whether a server's signature proves its host key.

use aws_lc_rs::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use parallax_core::{HostKey, LONGEST_HOST_KEY};

use super::exchange::Reply;
use super::kexinit::Proof;
use super::read::{mpint, string};
use crate::suite::{md5, sha256};

/// The host key, if it is of the kind that was asked for and signed this exchange hash.
pub(super) fn verified(proof: Proof, reply: &Reply<'_>, hash: &[u8]) -> Option<HostKey> {
    let (kind, blob) = (proof.kind(), reply.host_key);
    let (name, key) = string(blob)?;
    if name != kind.as_str().as_bytes() || blob.len() > LONGEST_HOST_KEY {
        return None;
    }
    let (name, rest) = string(reply.signature)?;
    let (signature, rest) = string(rest).filter(|_| name == proof.name().as_bytes())?;
    let holds = rest.is_empty() && is_signed(proof, key, signature, hash)?;
    holds.then(|| HostKey { kind, key: sha256(blob), md5: md5(blob), blob: blob.to_vec() })
}

/// Whether the signature holds; `None` when key or signature can't be read.
fn is_signed(proof: Proof, key: &[u8], signature: &[u8], hash: &[u8]) -> Option<bool> {
    match proof {
        Proof::Ed25519 => {
            let (point, rest) = string(key)?;
            Some(rest.is_empty() && holds(&signature::ED25519, point, hash, signature))
        }
        Proof::EcdsaP256 => ecdsa("nistp256", &signature::ECDSA_P256_SHA256_FIXED, 32, key, signature, hash),
        Proof::EcdsaP384 => ecdsa("nistp384", &signature::ECDSA_P384_SHA384_FIXED, 48, key, signature, hash),
        Proof::EcdsaP521 => ecdsa("nistp521", &signature::ECDSA_P521_SHA512_FIXED, 66, key, signature, hash),
        Proof::RsaSha512 => rsa(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, key, signature, hash),
        Proof::RsaSha256 => rsa(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, key, signature, hash),
        Proof::RsaSha1 => rsa(&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key, signature, hash),
    }
}

/// RFC 5656 section 3.1: the key is the curve's name and a point, the signature two integers.
fn ecdsa(
    curve: &str,
    algorithm: &'static dyn VerificationAlgorithm,
    width: usize,
    key: &[u8],
    signature: &[u8],
    hash: &[u8],
) -> Option<bool> {
    let (name, rest) = string(key)?;
    let (point, rest) = string(rest).filter(|_| name == curve.as_bytes())?;
    let (r, after) = mpint(signature)?;
    let (s, after) = mpint(after)?;
    let fixed = [padded(r, width)?, padded(s, width)?].concat();
    Some(rest.is_empty() && after.is_empty() && holds(algorithm, point, hash, &fixed))
}

/// RFC 4253 section 6.6 and RFC 8332 section 3: exponent and modulus.
fn rsa(algorithm: &'static RsaParameters, key: &[u8], signature: &[u8], hash: &[u8]) -> Option<bool> {
    let (e, rest) = mpint(key)?;
    let (n, rest) = mpint(rest)?;
    // A signature may come without its leading zeros (RFC 8332 section 3).
    let signature = padded(signature, n.len())?;
    Some(rest.is_empty() && RsaPublicKeyComponents { n, e }.verify(algorithm, hash, &signature).is_ok())
}

fn holds(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], hash: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(hash, signature).is_ok()
}

fn padded(number: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut padded = vec![0; width.checked_sub(number.len())?];
    padded.extend_from_slice(number);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::super::read::push_string;
    use super::*;

    fn strings(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        parts.iter().for_each(|part| push_string(&mut bytes, part));
        bytes
    }

    fn message(host_key: &[u8], signature: &[u8]) -> Vec<u8> {
        [&[31][..], &strings(&[host_key, &[9; 32], signature])].concat()
    }

    fn judge(proof: Proof, message: &[u8], hash: &[u8]) -> Option<HostKey> {
        verified(proof, &Reply::parse(message)?, hash)
    }

    #[test]
    fn only_the_key_that_was_asked_for_and_signed_this_hash() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let blob = strings(&[b"ssh-ed25519", pair.public_key().as_ref()]);
        let signed = strings(&[b"ssh-ed25519", pair.sign(b"hash").as_ref()]);
        let good = message(&blob, &signed);
        let key = judge(Proof::Ed25519, &good, b"hash").unwrap();
        assert!(key.blob == blob && key.key == sha256(&blob) && key.is_coherent());
        assert_eq!(judge(Proof::Ed25519, &good, b"another hash"), None);
        assert_eq!(judge(Proof::EcdsaP256, &good, b"hash"), None);
        assert_eq!(judge(Proof::RsaSha512, &good, b"hash"), None);
        let named = strings(&[b"rsa-sha2-512", pair.sign(b"hash").as_ref()]);
        assert_eq!(judge(Proof::Ed25519, &message(&blob, &named), b"hash"), None, "the signature's name lies");
        let trailing = [blob.as_slice(), &[0]].concat();
        assert_eq!(judge(Proof::Ed25519, &message(&trailing, &signed), b"hash"), None, "two blobs of one key");
        let other = strings(&[b"ssh-ed25519", Ed25519KeyPair::generate().unwrap().public_key().as_ref()]);
        assert_eq!(judge(Proof::Ed25519, &message(&other, &signed), b"hash"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(blob: Vec<u8>, signature: Vec<u8>, raw: Vec<u8>) {
            for proof in [Proof::Ed25519, Proof::EcdsaP256, Proof::EcdsaP384, Proof::EcdsaP521, Proof::RsaSha1] {
                let key = [strings(&[proof.kind().as_str().as_bytes()]), blob.clone()].concat();
                let signed = strings(&[proof.name().as_bytes(), &signature]);
                proptest::prop_assert_eq!(judge(proof, &message(&key, &signed), b"hash"), None);
                let _ = judge(proof, &raw, b"hash");
            }
        }
    }
}
