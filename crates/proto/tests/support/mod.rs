//! Keys and a suite for the tests of what is signed, of other libraries than the product's.

// Not every test file signs with both.
#![allow(dead_code)]

use ed25519_dalek::Signer as _;
use parallax_core::{Signer, SigningFailed, Suite};
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
        use p256::ecdsa::signature::Verifier as _;
        let Ok(key) = p256::ecdsa::VerifyingKey::from_sec1_bytes(point) else { return false };
        p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
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
