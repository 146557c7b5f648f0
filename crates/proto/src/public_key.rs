//! Public keys of clients and peers: Ed25519, P-256 or RSA, known by the hash of their SubjectPublicKeyInfo.

use parallax_core::{KeyId, Suite};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// RFC 8410 section 4: what stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Algorithms by their object identifiers: RFC 8410, RFC 5480, RFC 8017.
const ED25519: &str = "1.3.101.112";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const RSA: &str = "1.2.840.113549.1.1.1";

/// The largest SubjectPublicKeyInfo that is read: RSA with 4096 bits takes 550 bytes.
const LARGEST_SPKI: usize = 1024;

/// A public key that signs channels and views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    spki: Vec<u8>,
    id: KeyId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Ed25519([u8; 32]),
    /// An uncompressed point.
    P256(Vec<u8>),
    /// RSAPublicKey, DER.
    Rsa(Vec<u8>),
}

/// Why a public key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPublicKey {
    /// It can't be read.
    #[error("it is not a SubjectPublicKeyInfo in DER")]
    Form,
    /// It is of another kind.
    #[error("it is neither Ed25519, ECDSA P-256 nor RSA")]
    Kind,
    /// It is an RSA key of a size that is not taken.
    #[error("it is an RSA key of {0} bits; 2048 to 4096 are taken, with an odd exponent of 3 to 2^32")]
    RsaSize(usize),
}

impl PublicKey {
    /// An Ed25519 key from its 32 bytes.
    pub fn ed25519(suite: &dyn Suite, key: [u8; 32]) -> Self {
        let spki = [&ED25519_SPKI[..], &key[..]].concat();
        let id = KeyId::from_bytes(suite.sha256(&spki));
        Self { kind: Kind::Ed25519(key), spki, id }
    }

    /// From a SubjectPublicKeyInfo (DER) with nothing behind it.
    pub fn from_spki(suite: &dyn Suite, spki: &[u8]) -> Result<Self, BadPublicKey> {
        if spki.len() > LARGEST_SPKI {
            return Err(BadPublicKey::Form);
        }
        let (rest, parsed) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| BadPublicKey::Form)?;
        if !rest.is_empty() {
            return Err(BadPublicKey::Form);
        }
        let kind = kind(&parsed)?;
        Ok(Self { kind, spki: spki.to_vec(), id: KeyId::from_bytes(suite.sha256(spki)) })
    }

    /// The key of a certificate (DER) with nothing behind it. Who signed the certificate is not looked at.
    pub fn of_certificate(suite: &dyn Suite, certificate: &[u8]) -> Result<Self, BadPublicKey> {
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| BadPublicKey::Form)?;
        if !rest.is_empty() {
            return Err(BadPublicKey::Form);
        }
        Self::from_spki(suite, parsed.public_key().raw)
    }

    /// What it is known by.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Its SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The JWS name of its algorithm: `EdDSA`, `ES256` or `PS256`.
    pub fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::Ed25519(_) => "EdDSA",
            Kind::P256(_) => "ES256",
            Kind::Rsa(_) => "PS256",
        }
    }

    /// Whether `signature` is this key's of `message`: Ed25519 (RFC 8032), ECDSA-SHA256 as r ‖ s, RSA-PSS with SHA-256
    /// and a salt of 32 bytes.
    pub fn verify(&self, suite: &dyn Suite, message: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Ed25519(key) => suite.verify_ed25519(key, message, signature),
            Kind::P256(point) => suite.verify_p256(point, message, signature),
            Kind::Rsa(key) => suite.verify_rsa_pss(key, message, signature),
        }
    }

    /// The 32 bytes of an Ed25519 key.
    pub(crate) fn as_ed25519(&self) -> Option<[u8; 32]> {
        match self.kind {
            Kind::Ed25519(key) => Some(key),
            _ => None,
        }
    }

    /// Whether it is an RSA key.
    pub(crate) fn is_rsa(&self) -> bool {
        matches!(self.kind, Kind::Rsa(_))
    }
}

fn kind(parsed: &SubjectPublicKeyInfo<'_>) -> Result<Kind, BadPublicKey> {
    let bits = parsed.subject_public_key.data.as_ref();
    match parsed.algorithm.algorithm.to_id_string().as_str() {
        ED25519 => bits.try_into().map(Kind::Ed25519).map_err(|_| BadPublicKey::Form),
        EC => p256(parsed, bits),
        RSA => rsa(parsed, bits),
        _ => Err(BadPublicKey::Kind),
    }
}

fn p256(parsed: &SubjectPublicKeyInfo<'_>, bits: &[u8]) -> Result<Kind, BadPublicKey> {
    let curve = parsed.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    if curve.is_none_or(|curve| curve.to_id_string() != P256) {
        return Err(BadPublicKey::Kind);
    }
    // RFC 5480 section 2.2: 0x04 and two coordinates.
    if bits.len() != 65 || bits.first() != Some(&4) {
        return Err(BadPublicKey::Form);
    }
    Ok(Kind::P256(bits.to_vec()))
}

fn rsa(parsed: &SubjectPublicKeyInfo<'_>, bits: &[u8]) -> Result<Kind, BadPublicKey> {
    let Ok(Parsed::RSA(key)) = parsed.parsed() else { return Err(BadPublicKey::Form) };
    let size = bits_of(key.modulus);
    let exponent = key.try_exponent().unwrap_or(0);
    let taken = (2048..=4096).contains(&size) && exponent % 2 == 1 && (3..=1 << 32).contains(&exponent);
    taken.then(|| Kind::Rsa(bits.to_vec())).ok_or(BadPublicKey::RsaSize(size))
}

/// The bits of a big-endian number.
fn bits_of(number: &[u8]) -> usize {
    let significant = number.iter().skip_while(|byte| **byte == 0);
    let (mut bytes, mut first) = (0, 0u8);
    for byte in significant {
        if bytes == 0 {
            first = *byte;
        }
        bytes += 1;
    }
    (bytes * 8usize).saturating_sub(first.leading_zeros() as usize)
}
