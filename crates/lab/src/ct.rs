//! Logs of Certificate Transparency (RFC 6962) that sign whatever they are shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_core::{Fingerprint, Timestamp};
use rcgen::{CustomExtension, KeyPair, PublicKeyData, SigningKey as _};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificate::{failed, fingerprint, new_key};
use crate::error::LabError;

/// The extension of a certificate that holds SCTs (RFC 6962 section 3.3).
const SCT_LIST: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];

/// A log with an ECDSA P-256 key. It publishes nothing: only its timestamps are looked at here.
#[derive(Debug)]
pub struct CtLog {
    operator: String,
    key_pair: KeyPair,
}

impl CtLog {
    /// A log of this operator. Two of the same operator are two logs.
    pub fn new(operator: &str) -> Result<Self, LabError> {
        Ok(Self { operator: operator.to_owned(), key_pair: new_key(operator)? })
    }

    /// SHA-256 of its key.
    pub fn id(&self) -> Fingerprint {
        fingerprint(&self.key_pair.subject_public_key_info())
    }

    /// The file that makes these logs known, as browsers publish theirs (`log_list.json`, version 3).
    pub fn list(logs: &[&CtLog]) -> String {
        let operators: Vec<Value> = logs.iter().map(|log| log.listed()).collect();
        json!({ "operators": operators }).to_string()
    }

    fn listed(&self) -> Value {
        let (id, spki) = (self.id(), self.key_pair.subject_public_key_info());
        let log = json!({ "log_id": STANDARD.encode(id.as_bytes()), "key": STANDARD.encode(spki) });
        json!({ "name": self.operator, "logs": [log] })
    }

    /// A SignedCertificateTimestamp (RFC 6962 section 3.2) for a TBSCertificate without SCTs.
    fn sct(&self, tbs: &[u8], issuer: Fingerprint, at: Timestamp) -> Result<Vec<u8>, rcgen::Error> {
        let moment = at.unix_ms().to_be_bytes();
        let signed = [&[0, 0], &moment[..], &[0, 1], issuer.as_bytes(), &sized::<3>(tbs), &[0, 0]].concat();
        let signature = self.key_pair.sign(&signed)?;
        Ok([&[0], &self.id().as_bytes()[..], &moment, &[0, 0], &[4, 3], &sized::<2>(&signature)].concat())
    }
}

/// The extension with what the logs say of a certificate that has all but this extension.
pub(crate) fn extension(
    bare: &CertificateDer<'_>,
    issuer: Fingerprint,
    shown: &[(&CtLog, Timestamp)],
) -> Result<CustomExtension, LabError> {
    let unlogged = |source| failed("a logged certificate", source);
    let (_, parsed) = X509Certificate::from_der(bare).map_err(|_| unlogged(rcgen::Error::CouldNotParseCertificate))?;
    let scts: Result<Vec<_>, _> =
        shown.iter().map(|(log, at)| log.sct(parsed.tbs_certificate.as_ref(), issuer, *at)).collect();
    let list: Vec<u8> = scts.map_err(unlogged)?.iter().flat_map(|sct| sized::<2>(sct)).collect();
    let list = sized::<2>(&list);
    // An OCTET STRING (X.690 section 8.1.3).
    let header = match list.len() {
        length @ ..=0x7f => vec![4, length as u8],
        length @ ..=0xff => vec![4, 0x81, length as u8],
        length => vec![4, 0x82, (length >> 8) as u8, length as u8],
    };
    Ok(CustomExtension::from_oid_content(&SCT_LIST, [header, list].concat()))
}

/// With its length in `N` octets before it (RFC 8446 section 3.4).
fn sized<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    length.iter().skip(length.len() - N).chain(bytes).copied().collect()
}
