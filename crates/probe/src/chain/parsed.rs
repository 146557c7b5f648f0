//! One certificate of a stranger, parsed no further than needed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parallax_core::{Fingerprint, Timestamp};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{
    BasicConstraints, ExtendedKeyUsage, GeneralName, KeyUsage, SubjectAlternativeName, X509Extension,
};
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{FromDer, X509Version};
use x509_parser::time::ASN1Time;

use crate::suite::sha256;

/// A SubjectPublicKeyInfo larger than that of a 16 kbit RSA key signs nothing here: checking such signatures is how a
/// stranger would buy our time.
const LARGEST_KEY: usize = 2200;

/// A certificate with the parts that a look needs. Extensions are parsed when asked for.
pub(crate) struct Parsed<'a> {
    pub(super) der: &'a CertificateDer<'a>,
    pub(super) key: Fingerprint,
    x509: X509Certificate<'a>,
}

impl<'a> Parsed<'a> {
    /// `None` when the bytes are no certificate, or more than one.
    pub(crate) fn new(der: &'a CertificateDer<'a>) -> Option<Self> {
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let (rest, x509) = parser.parse(der.as_ref()).ok()?;
        let key = sha256(x509.tbs_certificate.subject_pki.raw);
        rest.is_empty().then_some(Self { der, key, x509 })
    }

    /// The key as it stands in the certificate; `None` when it is too large to check signatures with.
    pub(crate) fn spki(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        let raw = self.x509.tbs_certificate.subject_pki.raw;
        (raw.len() <= LARGEST_KEY).then(|| SubjectPublicKeyInfoDer::from(raw))
    }

    /// What its issuer signed.
    pub(crate) fn tbs(&self) -> &[u8] {
        self.x509.tbs_certificate.as_ref()
    }

    /// The values of its extensions for SCTs (RFC 6962 section 3.3).
    pub(crate) fn sct_lists(&self) -> Vec<&[u8]> {
        self.extensions(&oid::OID_CT_LIST_SCT).map(|extension| extension.value).collect()
    }

    pub(super) fn not_before(&self) -> Timestamp {
        moment(self.x509.validity().not_before)
    }

    pub(super) fn not_after(&self) -> Timestamp {
        moment(self.x509.validity().not_after)
    }

    /// Whom it names, as text.
    pub(super) fn subject(&self) -> String {
        self.x509.subject().to_string()
    }

    pub(super) fn is_current(&self, at: Timestamp) -> bool {
        self.not_before() <= at && at <= self.not_after()
    }

    pub(super) fn is_version_3(&self) -> bool {
        self.x509.version() == X509Version::V3
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.is_issued_by_name_of(self)
    }

    pub(super) fn is_issued_by_name_of(&self, issuer: &Parsed<'_>) -> bool {
        self.x509.issuer().as_raw() == issuer.x509.subject().as_raw()
    }

    /// Whether the issuer's key made this certificate's signature, by an algorithm and key that count today.
    pub(super) fn is_signed_by(&self, issuer: &Parsed<'_>) -> bool {
        let Some(spki) = issuer.spki() else { return false };
        let named = &self.x509.signature_algorithm;
        // RFC 5280 section 4.1.1.2: the algorithm under the signature is the one beside it.
        if *named != self.x509.tbs_certificate.signature {
            return false;
        }
        let Ok(key) = RawPublicKeyEntity::try_from(&spki) else { return false };
        let signature = &self.x509.signature_value;
        let of_that_name = |id: &[u8]| id.get(2..).is_some_and(|id| id.starts_with(named.algorithm.as_bytes()));
        signature.unused_bits == 0
            && webpki::ALL_VERIFICATION_ALGS
                .iter()
                .filter(|algorithm| of_that_name(algorithm.signature_alg_id().as_ref()))
                .any(|algorithm| {
                    key.verify_signature(*algorithm, self.x509.tbs_certificate.as_ref(), &signature.data).is_ok()
                })
    }

    /// Whether it is a CA's certificate that may stand above `below` others (RFC 5280 sections 4.2.1.3, 4.2.1.9 and
    /// 4.2.1.12).
    pub(super) fn may_issue(&self, below: usize) -> bool {
        let constraints = self.sole::<BasicConstraints>(&oid::OID_X509_EXT_BASIC_CONSTRAINTS);
        let usage = self.sole::<KeyUsage>(&oid::OID_X509_EXT_KEY_USAGE);
        let purposes = self.sole::<ExtendedKeyUsage<'_>>(&oid::OID_X509_EXT_EXTENDED_KEY_USAGE);
        let deep_enough = |constraints: &BasicConstraints| match constraints.path_len_constraint {
            Some(most) => usize::try_from(most).is_ok_and(|most| below <= most),
            None => true,
        };
        self.is_version_3()
            && matches!(constraints, Sole::One(constraints) if constraints.ca && deep_enough(&constraints))
            && usage.absent_or(|usage| usage.key_cert_sign())
            && purposes.absent_or(|purposes| purposes.any || purposes.server_auth)
    }

    /// The names it is for (SAN dNSName and iPAddress), each once, in the order of the certificate. What is no DNS name
    /// in A-labels and no address is left out: it would only be text to fool somebody with.
    pub(super) fn names(&self) -> Vec<String> {
        let Sole::One(san) = self.sole::<SubjectAlternativeName<'_>>(&oid::OID_X509_EXT_SUBJECT_ALT_NAME) else {
            return Vec::new();
        };
        let mut seen = std::collections::HashSet::new();
        san.general_names.iter().filter_map(name).filter(|name| seen.insert(name.clone())).collect()
    }

    fn extensions(&self, wanted: &oid::Oid<'_>) -> impl Iterator<Item = &X509Extension<'a>> {
        self.x509.tbs_certificate.extensions().iter().filter(move |extension| extension.oid == *wanted)
    }

    fn sole<'s, T: FromDer<'s, x509_parser::error::X509Error>>(&'s self, wanted: &oid::Oid<'_>) -> Sole<T> {
        let mut found = self.extensions(wanted);
        match (found.next(), found.next()) {
            (None, _) => Sole::Absent,
            (Some(extension), None) => parse(extension).map_or(Sole::Broken, Sole::One),
            // RFC 5280 section 4.2: not more than one of a kind.
            (Some(_), Some(_)) => Sole::Broken,
        }
    }
}

/// An extension that may stand there once.
enum Sole<T> {
    Absent,
    One(T),
    Broken,
}

impl<T> Sole<T> {
    fn absent_or(self, holds: impl FnOnce(T) -> bool) -> bool {
        match self {
            Sole::Absent => true,
            Sole::One(value) => holds(value),
            Sole::Broken => false,
        }
    }
}

fn parse<'s, T: FromDer<'s, x509_parser::error::X509Error>>(extension: &X509Extension<'s>) -> Option<T> {
    T::from_der(extension.value).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, value)| value)
}

fn moment(time: ASN1Time) -> Timestamp {
    Timestamp::from_unix_secs(time.timestamp())
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => dns_name(name),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn dns_name(name: &str) -> Option<String> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let plain = plain.strip_suffix('.').unwrap_or(plain);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    (name.len() <= 255 && plain.split('.').all(label)).then(|| name.to_ascii_lowercase())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}
