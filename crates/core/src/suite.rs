//! The few cryptographic operations that the pure crates need, supplied from outside.

/// Verification and hashing. The binary supplies aws-lc-rs, tests and wasm a pure-Rust one.
pub trait Suite: Send + Sync {
    /// SHA-256 (FIPS 180-4).
    fn sha256(&self, bytes: &[u8]) -> [u8; 32];

    /// Whether `signature` (64 bytes) is an Ed25519 signature (RFC 8032) of `message` by `key` (32 bytes).
    fn verify_ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool;

    /// Whether `signature` (r ‖ s, 64 bytes, RFC 7518 section 3.4) is an ECDSA P-256 SHA-256 signature of `message` by
    /// `point` (SEC 1 uncompressed, 65 bytes).
    fn verify_p256(&self, point: &[u8], message: &[u8], signature: &[u8]) -> bool;

    /// Whether `signature` is an RSASSA-PKCS1-v1_5 SHA-256 signature (RFC 8017 section 8.2) of `message` by `key`, a DER
    /// RSAPublicKey of 2048 bits or more. A suite that knows no RSA refuses all.
    fn verify_rsa_pkcs1(&self, _key: &[u8], _message: &[u8], _signature: &[u8]) -> bool {
        false
    }

    /// The same for RSASSA-PSS (RFC 8017 section 8.1) with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    fn verify_rsa_pss(&self, _key: &[u8], _message: &[u8], _signature: &[u8]) -> bool {
        false
    }
}

/// A key that signs. Its algorithm is fixed with it.
pub trait Signer: Send + Sync {
    /// The JWS name of the algorithm: `EdDSA` or `ES256`.
    fn algorithm(&self) -> &'static str;

    /// A signature of `message`, 64 bytes for both algorithms.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;
}

/// The key could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not sign")]
pub struct SigningFailed;
