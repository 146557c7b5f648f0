//! The two keys that make statements.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use parallax_core::{Signer, SigningFailed};
use parallax_proto::StatementKey;

/// The Ed25519 key that signs views and DNS answers.
pub(crate) struct StatementSigner {
    pair: Ed25519KeyPair,
    public: StatementKey,
}

impl StatementSigner {
    /// A new key and its PKCS#8 form (RFC 8410).
    pub(crate) fn generate() -> Result<Vec<u8>, SigningFailed> {
        let pair = Ed25519KeyPair::generate().map_err(|_| SigningFailed)?;
        Ok(pair.to_pkcs8v1().map_err(|_| SigningFailed)?.as_ref().to_vec())
    }

    /// From PKCS#8; `None` when it is no Ed25519 key.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
        let public = StatementKey::from_bytes(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, public })
    }

    /// What verifies its signatures.
    pub(crate) fn public(&self) -> StatementKey {
        self.public
    }
}

impl Signer for StatementSigner {
    fn algorithm(&self) -> &'static str {
        "EdDSA"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.pair.try_sign(message).map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}

/// The node CA's P-256 key in the form that signs the descriptor (RFC 7518 section 3.4: r ‖ s).
pub(crate) struct CaSigner {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl CaSigner {
    /// From PKCS#8; `None` when it is no P-256 key.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
        Some(Self { pair, random: SystemRandom::new() })
    }

    /// The public key as DER SubjectPublicKeyInfo.
    pub(crate) fn subject_public_key_info(&self) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.pair.public_key().as_der().map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}

impl Signer for CaSigner {
    fn algorithm(&self) -> &'static str {
        "ES256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.pair.sign(&self.random, message).map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}
