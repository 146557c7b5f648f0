//! Logs of Certificate Transparency, and certificates that they were shown.

use parallax_core::{Fingerprint, Timestamp};
use parallax_probe::{CtLogs, sha256};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_RSA_SHA256, PublicKeyData, SigningKey as _};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::issue::{Ca, key, leaf_params};

const SCT_LIST: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];

/// A log that signs whatever it is shown.
pub(crate) struct CtLog {
    key: KeyPair,
    pub(crate) operator: &'static str,
    /// ECDSA or RSA, as it stands in an SCT.
    algorithm: u8,
}

impl CtLog {
    pub(crate) fn new(operator: &'static str) -> Self {
        Self { key: key(), operator, algorithm: 3 }
    }

    pub(crate) fn rsa(operator: &'static str) -> Self {
        Self { key: KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), operator, algorithm: 1 }
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    pub(crate) fn id(&self) -> Fingerprint {
        sha256(&self.spki())
    }

    /// An SCT for the certificate that will have this TBSCertificate once its SCTs are in.
    pub(crate) fn sct(&self, entry: &Entry, at: Timestamp) -> Vec<u8> {
        self.sct_with(entry, at, b"")
    }

    pub(crate) fn sct_with(&self, entry: &Entry, at: Timestamp, extensions: &[u8]) -> Vec<u8> {
        self.signed([&[0, 1][..], entry.issuer.as_bytes(), &long(&entry.tbs)].concat(), at, extensions)
    }

    /// An SCT for a certificate that was issued without.
    pub(crate) fn sct_of(&self, certificate: &CertificateDer<'_>, at: Timestamp) -> Vec<u8> {
        self.signed([&[0, 0], &long(certificate)[..]].concat(), at, b"")
    }

    fn signed(&self, entry: Vec<u8>, at: Timestamp, extensions: &[u8]) -> Vec<u8> {
        let moment = u64::try_from(at.unix_ms()).unwrap().to_be_bytes();
        let signed = [&[0, 0], &moment[..], &entry, &sized(extensions)].concat();
        let signature = self.key.sign(&signed).unwrap();
        let algorithm = [4, self.algorithm];
        [&[0], &self.id().as_bytes()[..], &moment, &sized(extensions), &algorithm, &sized(&signature)].concat()
    }
}

/// What a log is shown.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) tbs: Vec<u8>,
    pub(crate) issuer: Fingerprint,
}

/// A SignedCertificateTimestampList.
pub(crate) fn sct_list(scts: &[Vec<u8>]) -> Vec<u8> {
    sized(&scts.iter().flat_map(|sct| sized(sct)).collect::<Vec<u8>>())
}

/// With its length in three octets before it.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[1..], bytes].concat()
}

/// With its length in two octets before it.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// An OCTET STRING.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    der(4, &[bytes])
}

/// An element with these parts (X.690 section 8.1.3).
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match length {
        [0, low @ 0..=0x7f] => vec![tag, low],
        [0, low] => vec![tag, 0x81, low],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [header, content].concat()
}

/// An OCSP response (RFC 6960 section 4.2.1) about another certificate and, with this extension, about one more; nobody
/// signed it.
pub(crate) fn ocsp(value: &[u8]) -> Vec<u8> {
    let algorithm = |id: &[u8]| der(0x30, &[&der(6, &[id])]);
    let certificate = der(0x30, &[&algorithm(&[0x2b, 14, 3, 2, 26]), &octets(&[1; 20]), &octets(&[2; 20]), &[2, 1, 3]]);
    let moment = der(0x18, &[b"20260501000000Z"]);
    let list = [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 5];
    let extension = der(0x30, &[&der(6, &[&list]), &octets(value)]);
    let revoked = der(0xa1, &[&moment]);
    let other = der(0x30, &[&certificate, &revoked, &moment]);
    let next = der(0xa0, &[&moment]);
    let one = der(0x30, &[&certificate, &[0x80, 0], &moment, &next, &der(0xa1, &[&der(0x30, &[&extension])])]);
    let responder = der(0xa2, &[&octets(&[4; 20])]);
    let data = der(0x30, &[&responder, &moment, &der(0x30, &[&other, &one])]);
    let ecdsa = algorithm(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
    let basic = der(0x30, &[&data, &ecdsa, &[3, 2, 0, 0]]);
    let id_basic = der(6, &[&[0x2b, 6, 1, 5, 5, 7, 48, 1, 1]]);
    der(0x30, &[&[10, 1, 0], &der(0xa0, &[&der(0x30, &[&id_basic, &octets(&basic)])])])
}

impl Ca {
    /// A certificate for `site.test` whose extension for SCTs holds what `value` makes of the entry that logs are shown.
    pub(crate) fn logged(&self, value: impl FnOnce(&Entry) -> Vec<u8>) -> (CertificateDer<'static>, KeyPair) {
        self.logged_with(leaf_params("site.test"), |entry| vec![value(entry)])
    }

    /// With other parameters, and the extension as often as there are values.
    pub(crate) fn logged_with(
        &self,
        mut params: CertificateParams,
        values: impl FnOnce(&Entry) -> Vec<Vec<u8>>,
    ) -> (CertificateDer<'static>, KeyPair) {
        let key = key();
        let entry = self.entry(&params, &key);
        let extension = |value| CustomExtension::from_oid_content(&SCT_LIST, value);
        let after = params.custom_extensions.split_off(params.custom_extensions.len().min(1));
        params.custom_extensions.extend(values(&entry).into_iter().map(extension).chain(after));
        (self.sign(&params, &key), key)
    }

    /// What logs are shown of a certificate with these parameters.
    pub(crate) fn entry(&self, params: &CertificateParams, key: &KeyPair) -> Entry {
        let bare = self.sign(params, key);
        let tbs = X509Certificate::from_der(&bare).unwrap().1.tbs_certificate.as_ref().to_vec();
        Entry { tbs, issuer: self.key() }
    }
}

/// The file of logs as browsers publish theirs, each log in a state of its own (or none).
pub(crate) fn log_list(logs: &[(&CtLog, &str)]) -> serde_json::Value {
    let operators: Vec<_> = logs.iter().map(|(log, state)| operator(log, state)).collect();
    serde_json::json!({ "version": "1", "operators": operators })
}

fn operator(log: &CtLog, state: &str) -> serde_json::Value {
    let mut listed = serde_json::json!({
        "description": format!("{} log", log.operator),
        "log_id": base64(log.id().as_bytes()),
        "key": base64(&log.spki()),
        "url": "https://log.test/",
        "mmd": 86400,
    });
    if !state.is_empty() {
        listed["state"] = serde_json::json!({ state: { "timestamp": "2026-03-01T00:00:00Z" } });
    }
    serde_json::json!({ "name": log.operator, "email": [], "logs": [listed] })
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// These logs, all usable.
pub(crate) fn known(logs: &[&CtLog]) -> CtLogs {
    let logs: Vec<_> = logs.iter().map(|log| (*log, "usable")).collect();
    CtLogs::from_json(log_list(&logs).to_string().as_bytes()).unwrap()
}
