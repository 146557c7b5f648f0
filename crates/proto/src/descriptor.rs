//! Who a node is: its descriptor, signed by its CA key (`GET /v1/vantage`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parallax_core::{Signer, SigningFailed, Suite, Timestamp, VantageId};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, Pem, X509Certificate};

use crate::jws::{self, BadSignature, Parsed};
use crate::signed::{Signed, Verified};
use crate::{CLOCK_SKEW, is_region};

/// `format` of a descriptor.
pub const VANTAGE_FORMAT: &str = "parallax-vantage/1";

/// How long a descriptor may be valid: the CA key can stay offline between.
pub const DESCRIPTOR_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The largest descriptor that is read.
pub const LARGEST_DESCRIPTOR: usize = 32 * 1024;

/// A node's description of itself. The newest one wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// [`VANTAGE_FORMAT`].
    pub format: String,
    /// Who.
    pub vantage: VantageId,
    /// The CA certificate, PEM.
    pub ca: String,
    /// The Ed25519 key that signs views and lists.
    pub statement_key: StatementKey,
    /// Where it answers, such as `https://192.0.2.7:8443`.
    pub addresses: Vec<String>,
    /// The region its operator claims, such as `eu-west`: lower-case letters, digits and hyphens, at most 32.
    pub region: Option<String>,
    /// The regional Internet registry of its address: `AFRINIC`, `APNIC`, `ARIN`, `LACNIC` or `RIPE`.
    pub rir: Option<String>,
    /// Its domain.
    pub domain: Option<String>,
    /// Who runs it.
    pub operator: Option<String>,
    /// What it runs.
    pub version: String,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts, at most [`DESCRIPTOR_LIFE`] later.
    pub valid_until: Timestamp,
}

/// An Ed25519 public key, written as base64url of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatementKey([u8; 32]);

impl StatementKey {
    /// From the raw key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for StatementKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::str::FromStr for StatementKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a statement key is 32 bytes in base64url")
    }
}

impl Serialize for StatementKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatementKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a descriptor is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// The signature does not hold.
    #[error("descriptor: {0}")]
    Signature(#[from] BadSignature),
    /// It can't be read.
    #[error("the descriptor can't be read: {0}")]
    Malformed(String),
    /// It is another kind of document.
    #[error("the descriptor has format \"{0}\", not \"{VANTAGE_FORMAT}\"")]
    Format(String),
    /// The certificate is another vantage point's.
    #[error("the descriptor is of vantage point {found}, not {expected}")]
    Vantage {
        /// Whose was asked for.
        expected: VantageId,
        /// Whose it is.
        found: VantageId,
    },
    /// It is not valid now.
    #[error("the descriptor is valid from {issued_at} to {valid_until}; it is {now} now")]
    NotCurrent {
        /// When it was signed.
        issued_at: Timestamp,
        /// Until when it counts.
        valid_until: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// It claims to be valid for longer than any may be.
    #[error("the descriptor claims to be valid for more than 30 days")]
    TooLong,
}

impl Descriptor {
    /// Signs it with the node's CA key, whose certificate (DER) travels in `x5c`.
    pub fn sign(&self, ca: &dyn Signer, certificate: &[u8]) -> Result<Signed, SigningFailed> {
        let body = serde_json::to_string(self).map_err(|_| SigningFailed)?;
        let signature = jws::sign(ca, self.vantage, Some(certificate), body.as_bytes())?;
        Ok(Signed { body, signature })
    }

    /// Checks a descriptor of `vantage`; the vantage id alone verifies everything.
    pub fn verify(
        suite: &dyn Suite,
        vantage: VantageId,
        signed: Signed,
        now: Timestamp,
    ) -> Result<Verified<Descriptor>, DescriptorError> {
        let descriptor = Self::verify_at_any_time(suite, vantage, &signed)?;
        let (issued_at, valid_until) = (descriptor.issued_at, descriptor.valid_until);
        if now.plus(CLOCK_SKEW) < issued_at || now > valid_until.plus(CLOCK_SKEW) {
            return Err(DescriptorError::NotCurrent { issued_at, valid_until, now });
        }
        Ok(Verified::new(descriptor, signed))
    }

    fn verify_at_any_time(
        suite: &dyn Suite,
        vantage: VantageId,
        signed: &Signed,
    ) -> Result<Descriptor, DescriptorError> {
        if signed.body.len() > LARGEST_DESCRIPTOR {
            return Err(DescriptorError::Malformed("it is larger than 32 KiB".into()));
        }
        let jws = Parsed::read(&signed.signature)?;
        let (id, point) = ca_key(suite, &jws.certificate()?)?;
        if id != vantage {
            return Err(DescriptorError::Vantage { expected: vantage, found: id });
        }
        jws.verify_p256(suite, &point, vantage, signed.body.as_bytes())?;
        let descriptor: Descriptor =
            serde_json::from_str(&signed.body).map_err(|error| DescriptorError::Malformed(error.to_string()))?;
        descriptor.check(suite, vantage)?;
        Ok(descriptor)
    }

    fn check(&self, suite: &dyn Suite, vantage: VantageId) -> Result<(), DescriptorError> {
        if self.format != VANTAGE_FORMAT {
            return Err(DescriptorError::Format(self.format.chars().take(40).collect()));
        }
        let (pem_id, _) = ca_key(suite, &pem_to_der(&self.ca)?)?;
        for found in [self.vantage, pem_id] {
            if found != vantage {
                return Err(DescriptorError::Vantage { expected: vantage, found });
            }
        }
        if self.valid_until > self.issued_at.plus(DESCRIPTOR_LIFE) {
            return Err(DescriptorError::TooLong);
        }
        if self.region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err(DescriptorError::Malformed("region must be lower-case letters, digits and hyphens".into()));
        }
        if self.rir.as_deref().is_some_and(|rir| !RIRS.contains(&rir)) {
            return Err(DescriptorError::Malformed(format!("rir must be one of {}", RIRS.join(", "))));
        }
        Ok(())
    }
}

/// The regional Internet registries.
pub const RIRS: [&str; 5] = ["AFRINIC", "APNIC", "ARIN", "LACNIC", "RIPE"];

/// The vantage id of a CA certificate: SHA-256 of its SubjectPublicKeyInfo.
pub fn vantage_id(suite: &dyn Suite, certificate: &[u8]) -> Result<VantageId, DescriptorError> {
    ca_key(suite, certificate).map(|(id, _)| id)
}

fn ca_key(suite: &dyn Suite, certificate: &[u8]) -> Result<(VantageId, Vec<u8>), DescriptorError> {
    let bad = |why: &str| DescriptorError::Malformed(why.into());
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| bad("the CA certificate is not X.509"))?;
    let spki = certificate.public_key();
    let point = spki.subject_public_key.data.to_vec();
    // RFC 5480: an uncompressed P-256 point is 0x04 and two coordinates of 32 bytes.
    if point.len() != 65 || point.first() != Some(&4) {
        return Err(bad("the CA key is not ECDSA P-256"));
    }
    Ok((VantageId::from_bytes(suite.sha256(spki.raw)), point))
}

fn pem_to_der(pem: &str) -> Result<Vec<u8>, DescriptorError> {
    let bad = || DescriptorError::Malformed("\"ca\" is not a PEM certificate".into());
    let mut blocks = Pem::iter_from_buffer(pem.as_bytes());
    match (blocks.next(), blocks.next()) {
        (Some(Ok(block)), None) if block.label == "CERTIFICATE" => Ok(block.contents),
        _ => Err(bad()),
    }
}
