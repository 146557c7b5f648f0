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
        let moment = u64::try_from(at.unix_ms()).unwrap().to_be_bytes();
        let length = u32::try_from(entry.tbs.len()).unwrap().to_be_bytes();
        let tbs = [&length[1..], &entry.tbs].concat();
        let signed = [&[0, 0], &moment[..], &[0, 1], entry.issuer.as_bytes(), &tbs, &sized(extensions)].concat();
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

/// With its length in two octets before it.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// An OCTET STRING (X.690 section 8.1.3).
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let header = match length {
        [0, low @ 0..=0x7f] => vec![4, low],
        [0, low] => vec![4, 0x81, low],
        [high, low] => vec![4, 0x82, high, low],
    };
    [&header, bytes].concat()
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
