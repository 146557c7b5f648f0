//! Certificates of CAs that an owner wants to name in DNS, from a file.

use parallax_core::{Fingerprint, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject as _, SectionKind};

use super::parsed::Parsed;

/// Certificates read from one file at most.
const MOST: usize = 100;

/// A certificate that may vouch for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    /// SHA-256 of its SubjectPublicKeyInfo: what a record holds.
    pub key: Fingerprint,
    /// Whom it names: a stranger's text.
    pub subject: String,
    /// The last moment at which it vouches.
    pub not_after: Timestamp,
}

/// Why a file authorises nobody. Certificates are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCaFile {
    /// There is no PEM in it.
    #[error("it holds no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\")")]
    Empty,
    /// It is the binary form.
    #[error("it is binary, perhaps a certificate in DER form; PEM is wanted: openssl x509 -inform der -in FILE")]
    Binary,
    /// It holds a private key and no certificate.
    #[error("it holds a private key; name the file with the CA's certificate, and keep this one to yourself")]
    PrivateKey,
    /// The PEM is broken.
    #[error("certificate {0} in it is no PEM: {1}")]
    Pem(usize, String),
    /// The bytes are no certificate.
    #[error("certificate {0} in it can't be read")]
    Unreadable(usize),
    /// It is a server's certificate, or one that may not issue.
    #[error(
        "certificate {number} in it ({subject}) is not a CA's: its basic constraints or key usage don't let it issue; name the certificate of the CA that issued it"
    )]
    NotCa {
        /// Which.
        number: usize,
        /// Whom it names.
        subject: String,
    },
    /// It vouches for nobody now.
    #[error("certificate {number} in it ({subject}) is valid from {not_before} to {not_after}, not now")]
    NotCurrent {
        /// Which.
        number: usize,
        /// Whom it names.
        subject: String,
        /// Its first moment.
        not_before: Timestamp,
        /// Its last moment.
        not_after: Timestamp,
    },
    /// There are more than anybody authorises.
    #[error("it holds more than {MOST} certificates; name those of the CAs that may vouch for the name")]
    TooMany,
}

/// The CA certificates of a PEM file. Every certificate in it must be one, and be valid `at` this moment.
pub fn ca_certificates(file: &[u8], at: Timestamp) -> Result<Vec<CaCertificate>, BadCaFile> {
    let mut found = Vec::new();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(file)) {
        if number > MOST {
            return Err(BadCaFile::TooMany);
        }
        let certificate = certificate.map_err(|error| BadCaFile::Pem(number, error.to_string()))?;
        found.push(ca_certificate(number, &certificate, at)?);
    }
    if found.is_empty() { Err(what_else(file)) } else { Ok(found) }
}

fn ca_certificate(number: usize, der: &CertificateDer<'_>, at: Timestamp) -> Result<CaCertificate, BadCaFile> {
    let parsed = Parsed::new(der).ok_or(BadCaFile::Unreadable(number))?;
    let (subject, not_before, not_after) = (parsed.subject(), parsed.not_before(), parsed.not_after());
    if !parsed.may_issue(0) {
        return Err(BadCaFile::NotCa { number, subject });
    }
    if !parsed.is_current(at) {
        return Err(BadCaFile::NotCurrent { number, subject, not_before, not_after });
    }
    Ok(CaCertificate { key: parsed.key, subject, not_after })
}

/// What a file without certificates is.
fn what_else(file: &[u8]) -> BadCaFile {
    let is_key = |kind: &SectionKind| !matches!(kind, SectionKind::Certificate | SectionKind::Crl | SectionKind::Csr);
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(file);
    match sections.filter_map(Result::ok).next() {
        Some((kind, _)) if is_key(&kind) => BadCaFile::PrivateKey,
        None if std::str::from_utf8(file).is_err() => BadCaFile::Binary,
        _ => BadCaFile::Empty,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["example.com".into()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        (params.self_signed(&key).unwrap().pem(), key)
    }

    #[test]
    fn one_file_may_hold_several() {
        let (one, key) = certificate(|_| {});
        let (two, _) = certificate(|_| {});
        let found = ca_certificates(format!("a comment\r\n{one}\n{two}").as_bytes(), NOW).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].key, crate::sha256(&key.subject_public_key_info()));
        assert_ne!(found[0].key, found[1].key);
    }

    #[test]
    fn what_is_no_ca_is_named() {
        let (ca, key) = certificate(|_| {});
        let (leaf, _) = certificate(|params| params.is_ca = IsCa::NoCa);
        let (useless, _) = certificate(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
        let (old, _) = certificate(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
        let der = rustls_pki_types::CertificateDer::from_pem_slice(ca.as_bytes()).unwrap();
        for (file, wanted) in [
            (String::new(), "no certificate in PEM form"),
            ("hello".into(), "no certificate in PEM form"),
            (key.serialize_pem(), "holds a private key"),
            (format!("{ca}{leaf}"), "certificate 2 in it (CN=rcgen self signed cert) is not a CA's"),
            (useless, "is not a CA's"),
            (old, "not now"),
            (ca.replace("MII", "!!!"), "certificate 1 in it is no PEM"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
                "certificate 1 in it can't be read",
            ),
            (ca.repeat(101), "more than 100"),
        ] {
            let error = ca_certificates(file.as_bytes(), NOW).unwrap_err().to_string();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
        assert_eq!(ca_certificates(&der, NOW), Err(BadCaFile::Binary));
    }
}
