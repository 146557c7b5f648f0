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

    /// Whether `signature` is an RSA-PSS signature (RFC 8017, SHA-256, MGF1 with SHA-256, salt of 32 bytes) of `message` by
    /// `key` (RSAPublicKey, DER). How large a key may be is the caller's to judge.
    fn verify_rsa_pss(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool;

    /// A key that seals and opens; `None` when it can't be made.
    fn aead(&self, kind: AeadKind, key: &[u8; 32]) -> Option<Box<dyn AeadKey>>;
}

/// A cipher that seals and authenticates. Both take keys of 32, nonces of 12 and tags of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AeadKind {
    /// RFC 8439.
    ChaCha20Poly1305,
    /// NIST SP 800-38D.
    Aes256Gcm,
}

/// A key of an [`AeadKind`]. Whoever calls never seals twice under one nonce.
pub trait AeadKey: Send + Sync {
    /// `plaintext` sealed, with its tag behind; `None` when the cipher refuses (a text of gigabytes).
    fn seal(&self, nonce: [u8; 12], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>>;

    /// What was sealed; `None` when a bit differs.
    fn open(&self, nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>>;
}

/// A key that signs. Its algorithm is fixed with it.
pub trait Signer: Send + Sync {
    /// The JWS name of the algorithm: `EdDSA`, `ES256` or `PS256`; `RS256` in X.509 alone.
    fn algorithm(&self) -> &'static str;

    /// A signature of `message`: 64 bytes, with RSA as many as the modulus has.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;
}

/// The key could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not sign")]
pub struct SigningFailed;
