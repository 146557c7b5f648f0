//! The key of a client or peer, in memory.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use parallax_core::{Signer, SigningFailed};
use parallax_probe::AwsLc;
use parallax_proto::PublicKey;
use parallax_proto::channel::{ClientKey, OwnKey};

/// An Ed25519 key: what channels are opened with, and what peers sign views with.
#[derive(Debug)]
pub struct SoftKey(Ed25519KeyPair);

/// The bytes are no Ed25519 key, or this machine can't make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSoftKey {
    /// They can't be read.
    #[error("it is not an Ed25519 private key in PKCS #8")]
    Form,
    /// There is no randomness.
    #[error("this machine gives no randomness for a new key")]
    Random,
}

impl SoftKey {
    /// A new one.
    pub fn generate() -> Result<Self, BadSoftKey> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| BadSoftKey::Random)
    }

    /// From PKCS #8 (RFC 5958, version 1 or 2).
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, BadSoftKey> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes));
        pair.map(Self).map_err(|_| BadSoftKey::Form)
    }

    /// As PKCS #8, version 1.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, BadSoftKey> {
        let der = self.0.to_pkcs8v1().map_err(|_| BadSoftKey::Form)?;
        Ok(der.as_ref().to_vec())
    }

    /// Its public part.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        // An Ed25519 public key is 32 bytes by definition.
        bytes.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey::ed25519(&AwsLc, bytes)
    }

    /// It as a channel shows and uses it.
    pub fn own_key(self: &Arc<Self>) -> Result<OwnKey, BadSoftKey> {
        let shown = ClientKey::bare(&AwsLc, &self.public()).map_err(|_| BadSoftKey::Form)?;
        Ok(OwnKey::new(shown, Arc::clone(self) as _))
    }
}

impl Signer for SoftKey {
    fn algorithm(&self) -> &'static str {
        "EdDSA"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back_it_is_the_same_key() {
        let key = SoftKey::generate().unwrap();
        let again = SoftKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(key.public(), again.public());
        let signature = again.sign(b"message").unwrap();
        assert!(key.public().verify(&AwsLc, b"message", &signature));
        assert_eq!(SoftKey::from_pkcs8(b"no key").unwrap_err(), BadSoftKey::Form);
        assert_ne!(SoftKey::generate().unwrap().public(), key.public());
    }
}
