//! Which SCTs hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use parallax_core::{Fingerprint, Scts, Timestamp};
use rustls_pki_types::CertificateDer;

use super::entry::Entry;
use super::error::BadSct;
use super::known::{CtLogs, Log};
use super::stapled::stapled;
use super::wire::{Sct, read_list};
use crate::chain::Parsed;
use crate::der;

/// An SCT that holds: this log saw the certificate then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The log's id: SHA-256 of its key.
    pub log: Fingerprint,
    /// Who runs it, by the list of logs.
    pub operator: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// Judges the SCTs that came with a certificate: in it, or in an OCSP response that was stapled to it (empty when none
/// was). `issuer` is SHA-256 of the SubjectPublicKeyInfo whose key signed it. At most 16 signatures are checked of each.
pub fn judge_scts(
    leaf: &CertificateDer<'_>,
    issuer: Option<Fingerprint>,
    ocsp: &[u8],
    logs: &CtLogs,
    at: Timestamp,
) -> Vec<Result<Logged, BadSct>> {
    let Some(parsed) = Parsed::new(leaf) else { return Vec::new() };
    let precertificate = || Entry::precertificate(parsed.tbs(), issuer.ok_or(BadSct::NoIssuer)?).ok_or(BadSct::NotDer);
    let certificate = || Entry::certificate(leaf).ok_or(BadSct::NotDer);
    let mut judged = match parsed.sct_lists().as_slice() {
        [] => Vec::new(),
        [value] => judge_list(value, precertificate(), logs, at),
        // RFC 5280 section 4.2: not more than one of a kind.
        _ => vec![Err(BadSct::TwoLists)],
    };
    judged.extend(stapled(ocsp).into_iter().flat_map(|value| judge_list(value, certificate(), logs, at)));
    judged
}

/// Judges the value of an extension.
fn judge_list(value: &[u8], entry: Result<Entry, BadSct>, logs: &CtLogs, at: Timestamp) -> Vec<Result<Logged, BadSct>> {
    let list = der::sole(value, der::OCTET_STRING).ok_or(BadSct::NoList);
    match list.and_then(|list| read_list(list.content)) {
        Ok(scts) => scts.into_iter().map(|sct| judge(&sct?, &entry, logs, at)).collect(),
        Err(bad) => vec![Err(bad)],
    }
}

/// What was judged, in numbers.
pub fn count_scts(judged: &[Result<Logged, BadSct>]) -> Scts {
    let mut scts = Scts::default();
    let (mut logs, mut operators) = (BTreeSet::new(), BTreeSet::new());
    for one in judged {
        match one {
            Ok(logged) => {
                logs.insert(logged.log);
                operators.insert(&logged.operator);
                scts.hold(logged.at);
            }
            Err(bad) if bad.is_unknown() => scts.unknown += 1,
            Err(_) => scts.invalid += 1,
        }
    }
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    Scts { valid: count(logs.len()), operators: count(operators.len()), ..scts }
}

fn judge(sct: &Sct<'_>, entry: &Result<Entry, BadSct>, logs: &CtLogs, now: Timestamp) -> Result<Logged, BadSct> {
    let log = Fingerprint::from_bytes(sct.log);
    let known = logs.find(&log).ok_or(BadSct::UnknownLog { log })?;
    let entry = entry.as_ref().map_err(BadSct::clone)?;
    let at = known.moment(log, sct, now)?;
    let (found, wanted) = (sct.algorithm, known.algorithm);
    if found != wanted {
        return Err(BadSct::Algorithm { log, found, wanted });
    }
    let signature = known.key.verify_sig(&entry.signed(sct), sct.signature);
    signature.map_err(|_| BadSct::Signature { log })?;
    Ok(Logged { log, operator: Arc::clone(&known.operator), at })
}

impl Log {
    /// When it signed, if that may be.
    fn moment(&self, log: Fingerprint, sct: &Sct<'_>, now: Timestamp) -> Result<Timestamp, BadSct> {
        let signed_at = Timestamp::from_unix_ms(i64::try_from(sct.timestamp).unwrap_or(i64::MAX));
        match self.retired {
            _ if signed_at > now => Err(BadSct::Future { log, signed_at, now }),
            Some(retired) if signed_at >= retired => Err(BadSct::Retired { log, signed_at, retired }),
            _ => Ok(signed_at),
        }
    }
}
