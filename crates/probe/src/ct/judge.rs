//! Which SCTs hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use parallax_core::{Fingerprint, Scts, Timestamp};
use rustls_pki_types::CertificateDer;

use super::entry::Precertificate;
use super::error::BadSct;
use super::known::CtLogs;
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

/// Judges the SCTs that a certificate carries. `issuer` is SHA-256 of the SubjectPublicKeyInfo whose key signed it. At most
/// 16 signatures are checked.
pub fn judge_scts(
    leaf: &CertificateDer<'_>,
    issuer: Option<Fingerprint>,
    logs: &CtLogs,
    at: Timestamp,
) -> Vec<Result<Logged, BadSct>> {
    let Some(leaf) = Parsed::new(leaf) else { return Vec::new() };
    let scts = match embedded(&leaf) {
        Ok(None) => return Vec::new(),
        Ok(Some(list)) => read_list(list),
        Err(bad) => Err(bad),
    };
    let entry =
        issuer.ok_or(BadSct::NoIssuer).and_then(|key| Precertificate::of(leaf.tbs(), key).ok_or(BadSct::NotDer));
    match scts {
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

/// The list in the certificate's extension.
fn embedded<'a>(leaf: &'a Parsed<'_>) -> Result<Option<&'a [u8]>, BadSct> {
    match leaf.sct_lists().as_slice() {
        [] => Ok(None),
        [value] => match der::sole(value, der::OCTET_STRING) {
            Some(list) => Ok(Some(list.content)),
            None => Err(BadSct::NoList),
        },
        // RFC 5280 section 4.2: not more than one of a kind.
        _ => Err(BadSct::TwoLists),
    }
}

fn judge(
    sct: &Sct<'_>,
    entry: &Result<Precertificate, BadSct>,
    logs: &CtLogs,
    now: Timestamp,
) -> Result<Logged, BadSct> {
    let log = Fingerprint::from_bytes(sct.log);
    let known = logs.find(&log).ok_or(BadSct::UnknownLog { log })?;
    let entry = entry.as_ref().map_err(BadSct::clone)?;
    let signed_at = Timestamp::from_unix_ms(i64::try_from(sct.timestamp).unwrap_or(i64::MAX));
    if signed_at > now {
        return Err(BadSct::Future { log, signed_at, now });
    }
    if let Some(retired) = known.retired.filter(|retired| signed_at >= *retired) {
        return Err(BadSct::Retired { log, signed_at, retired });
    }
    if sct.algorithm != known.algorithm {
        return Err(BadSct::Algorithm { log, found: sct.algorithm, wanted: known.algorithm });
    }
    let signed = entry.signed(sct).ok_or(BadSct::NotDer)?;
    let holds = known.key.verify_sig(&signed, sct.signature).is_ok();
    holds.then(|| Logged { log, operator: Arc::clone(&known.operator), at: signed_at }).ok_or(BadSct::Signature { log })
}
