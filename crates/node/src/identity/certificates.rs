//! The certificates of a node: its CA, and the server certificate that this CA signs and no other.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use parallax_core::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How far before now certificates begin: clocks of those who connect may be behind.
const BACKDATED: Duration = Duration::from_secs(3600);

/// RFC 5280 section 4.1.2.5: a certificate with no well-defined expiration. The identity hangs on the key.
const NO_EXPIRATION: i64 = 253_402_300_799;

/// A new CA: its key, and its certificate in PEM.
pub(crate) fn make_ca(now: Timestamp) -> Result<(KeyPair, String), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("Parallax vantage point");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = moment(now.minus(BACKDATED));
    params.not_after = moment(Timestamp::from_unix_secs(NO_EXPIRATION));
    let certificate = params.self_signed(&key)?;
    Ok((key, certificate.pem()))
}

/// A server certificate with a new key, issued by the CA.
pub(crate) struct Issued {
    /// PKCS#8, PEM.
    pub(crate) key: String,
    /// PEM.
    pub(crate) certificate: String,
}

/// Issues a server certificate for these names, valid for `life`.
pub(crate) fn issue_server(
    ca: &Issuer<'_, KeyPair>,
    names: &BTreeSet<String>,
    now: Timestamp,
    life: Duration,
) -> Result<Issued, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name = common_name("Parallax node");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    // A short life is not eaten up by the backdating.
    params.not_before = moment(now.minus(BACKDATED.min(life)));
    params.not_after = moment(now.plus(life));
    let certificate = params.signed_by(&key, ca)?;
    Ok(Issued { key: key.serialize_pem(), certificate: certificate.pem() })
}

/// What a node must know of the server certificate it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) names: BTreeSet<String>,
}

impl Term {
    /// Reads a certificate and checks that the CA issued it; `None` when it did not.
    pub(crate) fn of(leaf: &CertificateDer<'_>, ca: &CertificateDer<'_>) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        let (_, ca) = X509Certificate::from_der(ca).ok()?;
        is_signed_by(&leaf, &ca).then(|| Self {
            not_before: Timestamp::from_unix_secs(leaf.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix_secs(leaf.validity().not_after.timestamp()),
            names: names_of(&leaf),
        })
    }

    /// Whether less than a third of the life is left, the life has not begun, or a name is missing.
    pub(crate) fn is_due(&self, now: Timestamp, names: &BTreeSet<String>) -> bool {
        let life = self.not_after.since(self.not_before);
        now < self.not_before || self.not_after.since(now) < life / 3 || !names.is_subset(&self.names)
    }
}

fn is_signed_by(leaf: &X509Certificate<'_>, ca: &X509Certificate<'_>) -> bool {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    let point = &ca.public_key().subject_public_key.data;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(leaf.tbs_certificate.as_ref(), &leaf.signature_value.data)
        .is_ok()
}

fn names_of(leaf: &X509Certificate<'_>) -> BTreeSet<String> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|extension| &extension.value.general_names);
    names.filter_map(spelled).collect()
}

fn spelled(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.unix_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
