//! The keys that a certificate may hold.

use parallax_core::{Fingerprint, Suite};
use x509_cert::der::Encode;
use x509_cert::der::asn1::{ObjectIdentifier, Uint};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::der::{self, fixed_from_der};

pub(crate) const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RFC 8410.
    Ed25519,
    /// RFC 5480.
    P256,
    /// RFC 3279 section 2.3.1, 2048 to 4096 bits.
    Rsa,
}

/// Why a key is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It can't be read, or is written in another way than DER has it.
    #[error("the key is not a SubjectPublicKeyInfo in DER")]
    Unreadable,
    /// Another algorithm or curve.
    #[error("the key is of the algorithm {0}; Ed25519, ECDSA P-256 and RSA are taken")]
    Algorithm(String),
    /// The parameters of the algorithm are not those of its standard.
    #[error("the parameters of the key's algorithm are not those of its standard")]
    Parameters,
    /// The bits are no key of the kind.
    #[error("the key's bits are no {0} key")]
    Bits(&'static str),
    /// Too small or too large an RSA key.
    #[error("the RSA key has {0} bits; 2048 to 4096 are taken")]
    RsaSize(usize),
    /// A public exponent that is even, small, or large.
    #[error("the RSA key's public exponent is even, below 65537, or longer than 32 bits")]
    RsaExponent,
}

/// A public key that may stand in a certificate: of a known kind, strong enough, in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectKey {
    kind: KeyKind,
    /// Of the whole SubjectPublicKeyInfo.
    id: Fingerprint,
    spki: Vec<u8>,
    /// The content of the bit string.
    bits: Vec<u8>,
}

impl SubjectKey {
    /// From a SubjectPublicKeyInfo in DER.
    pub fn parse(suite: &dyn Suite, spki: &[u8]) -> Result<Self, BadKey> {
        let read: SubjectPublicKeyInfoOwned = der::read(spki).map_err(|_| BadKey::Unreadable)?;
        Self::of(suite, &read)
    }

    pub(crate) fn of(suite: &dyn Suite, spki: &SubjectPublicKeyInfoOwned) -> Result<Self, BadKey> {
        let bits = spki.subject_public_key.as_bytes().ok_or(BadKey::Unreadable)?;
        let kind = kind_of(&spki.algorithm)?;
        match kind {
            KeyKind::Ed25519 if bits.len() != 32 => return Err(BadKey::Bits("Ed25519")),
            // RFC 5480 section 2.2: uncompressed, 0x04 and two coordinates.
            KeyKind::P256 if bits.len() != 65 || bits.first() != Some(&4) => return Err(BadKey::Bits("P-256")),
            KeyKind::Rsa => check_rsa(bits)?,
            _ => {}
        }
        let der = spki.to_der().map_err(|_| BadKey::Unreadable)?;
        Ok(Self { kind, id: Fingerprint::from_bytes(suite.sha256(&der)), spki: der, bits: bits.to_vec() })
    }

    /// What kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-256 of the SubjectPublicKeyInfo: what deny lists, channels and limits know the key by.
    pub fn id(&self) -> Fingerprint {
        self.id
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Whether `signature` is this key's of `message`, in the encodings of channels: Ed25519; ECDSA with r ‖ s in 64 bytes;
    /// RSA-PSS.
    pub fn verify(&self, suite: &dyn Suite, message: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            KeyKind::Ed25519 => self.verify_ed25519(suite, message, signature),
            KeyKind::P256 => suite.verify_p256(&self.bits, message, signature),
            KeyKind::Rsa => suite.verify_rsa_pss(&self.bits, message, signature),
        }
    }

    /// The same in the encodings of X.509: ECDSA in DER, RSA with PKCS #1 v1.5.
    pub(crate) fn verify_x509(&self, suite: &dyn Suite, message: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            KeyKind::Ed25519 => self.verify_ed25519(suite, message, signature),
            KeyKind::P256 => {
                fixed_from_der(signature).is_some_and(|fixed| suite.verify_p256(&self.bits, message, &fixed))
            }
            KeyKind::Rsa => suite.verify_rsa_pkcs1(&self.bits, message, signature),
        }
    }

    fn verify_ed25519(&self, suite: &dyn Suite, message: &[u8], signature: &[u8]) -> bool {
        <&[u8; 32]>::try_from(self.bits.as_slice()).is_ok_and(|key| suite.verify_ed25519(key, message, signature))
    }

    /// Whether this is how X.509 names the signatures of such a key; for RSA with SHA-256 (RFC 4055 section 5).
    pub(crate) fn signs_with(&self, algorithm: &AlgorithmIdentifierOwned) -> bool {
        let parameters = algorithm.parameters.as_ref();
        match self.kind {
            KeyKind::Ed25519 => algorithm.oid == ED25519 && parameters.is_none(),
            KeyKind::P256 => algorithm.oid == ECDSA_SHA256 && parameters.is_none(),
            KeyKind::Rsa => algorithm.oid == RSA_SHA256 && parameters.is_some_and(|any| any.is_null()),
        }
    }

    /// For people: what [`Self::signs_with`] wants.
    pub(crate) fn signature_algorithm(&self) -> &'static str {
        match self.kind {
            KeyKind::Ed25519 => "Ed25519",
            KeyKind::P256 => "ecdsa-with-SHA256",
            KeyKind::Rsa => "sha256WithRSAEncryption",
        }
    }
}

impl rcgen::PublicKeyData for SubjectKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.kind {
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

fn kind_of(algorithm: &AlgorithmIdentifierOwned) -> Result<KeyKind, BadKey> {
    let parameters = algorithm.parameters.as_ref();
    let (kind, right) = match algorithm.oid {
        ED25519 => (KeyKind::Ed25519, parameters.is_none()),
        RSA => (KeyKind::Rsa, parameters.is_some_and(|any| any.is_null())),
        EC => {
            let curve =
                parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok()).ok_or(BadKey::Parameters)?;
            if curve != P256 {
                return Err(BadKey::Algorithm(curve.to_string()));
            }
            (KeyKind::P256, true)
        }
        other => return Err(BadKey::Algorithm(other.to_string())),
    };
    if right { Ok(kind) } else { Err(BadKey::Parameters) }
}

fn check_rsa(bits: &[u8]) -> Result<(), BadKey> {
    let numbers: Vec<Uint> = der::read(bits).map_err(|_| BadKey::Bits("RSA"))?;
    let [modulus, exponent] = numbers.as_slice() else { return Err(BadKey::Bits("RSA")) };
    let (modulus, exponent) = (modulus.as_bytes(), exponent.as_bytes());
    let size = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !(2048..=4096).contains(&size) {
        return Err(BadKey::RsaSize(size));
    }
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte & 1 == 1);
    if !odd(modulus) {
        return Err(BadKey::Bits("RSA"));
    }
    let value = exponent.iter().fold(0_u64, |value, byte| value.saturating_mul(256) | u64::from(*byte));
    if !odd(exponent) || exponent.len() > 4 || value < 65_537 {
        return Err(BadKey::RsaExponent);
    }
    Ok(())
}
