//! Keys, and a suite in Rust alone.

use ed25519_dalek::Signer as _;
use parallax_core::{AeadKey, AeadKind, Signer, SigningFailed, Suite};
use rsa::pkcs1::{DecodeRsaPublicKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey, RsaPublicKey};
use sha2::{Digest as _, Sha256};

use super::der::{bits, null, oid, seq};

pub(crate) struct PureRust;

impl Suite for PureRust {
    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
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

    fn verify_rsa_pkcs1(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = RsaPublicKey::from_pkcs1_der(key) else { return false };
        key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature).is_ok()
    }

    fn verify_rsa_pss(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = RsaPublicKey::from_pkcs1_der(key) else { return false };
        key.verify(Pss::new_with_salt::<Sha256>(32), &Sha256::digest(message), signature).is_ok()
    }

    /// janus seals nothing.
    fn aead(&self, _kind: AeadKind, _key: &[u8; 32]) -> Option<Box<dyn AeadKey>> {
        None
    }
}

pub(crate) enum Key {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
    Rsa(Box<RsaPrivateKey>),
}

pub(crate) const ED25519: &str = "1.3.101.112";
pub(crate) const EC: &str = "1.2.840.10045.2.1";
pub(crate) const CURVE: &str = "1.2.840.10045.3.1.7";
pub(crate) const RSA: &str = "1.2.840.113549.1.1.1";

impl Key {
    pub(crate) fn ed25519(seed: u8) -> Self {
        Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    pub(crate) fn p256(seed: u8) -> Self {
        Self::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    /// OpenSSL made it.
    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaPrivateKey::from_pkcs8_pem(include_str!("../data/rsa-2048.pem")).unwrap()))
    }

    /// One of each kind.
    pub(crate) fn each() -> [Self; 3] {
        [Self::ed25519(3), Self::p256(3), Self::rsa()]
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => seq(&[seq(&[oid(ED25519)]), bits(key.verifying_key().as_bytes())]),
            Self::P256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                seq(&[seq(&[oid(EC), oid(CURVE)]), bits(point.as_bytes())])
            }
            Self::Rsa(key) => {
                let public = key.to_public_key().to_pkcs1_der().unwrap();
                seq(&[seq(&[oid(RSA), null()]), bits(public.as_bytes())])
            }
        }
    }

    /// The AlgorithmIdentifier of its X.509 signatures.
    pub(crate) fn algorithm(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(_) => seq(&[oid(ED25519)]),
            Self::P256(_) => seq(&[oid("1.2.840.10045.4.3.2")]),
            Self::Rsa(_) => seq(&[oid("1.2.840.113549.1.1.11"), null()]),
        }
    }

    pub(crate) fn sign_as_x509_does(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Self::Rsa(key) => key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)).unwrap(),
        }
    }

    pub(crate) fn sign_as_channels_do(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let pss = Pss::new_with_salt::<Sha256>(32);
                key.sign_with_rng(&mut rsa::rand_core::OsRng, pss, &Sha256::digest(message)).unwrap()
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(_) => self.sign_as_x509_does(message),
        }
    }
}

impl Signer for Key {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "PS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.sign_as_channels_do(message))
    }
}
