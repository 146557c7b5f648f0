//! What an old notary (Perspectives) remembered, taken over by an import: certificates known by their MD5 alone.
//!
//! Such a row names neither a key nor a certificate's SHA-256, so it can't be a [`parallax_core::Timespan`], and nobody can
//! say what kind of proof was behind it. It is kept beside the history, as one record a service: shown, exported and told to
//! clients of Perspectives, never part of a view or a verdict.

use std::collections::BTreeMap;

use parallax_core::{CONTINUITY, MAX_SPANS, Md5Fingerprint, ServiceId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::traits::{MAX_PAGE, Record, Records};

/// The namespace of [`Records`] that holds them, by the canonical spelling of the service.
const NAMESPACE: &str = "old-spans";

/// How often a change is tried again when somebody else wrote first.
const TRIES: usize = 16;

/// First to last time an old notary saw one certificate at one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OldSpan {
    /// MD5 of the certificate.
    pub leaf_md5: Md5Fingerprint,
    /// First look that showed it.
    pub first_seen: Timestamp,
    /// Newest look that showed it, not before the first.
    pub last_seen: Timestamp,
}

/// What old notaries remembered of a service, ordered by certificate, then time; at most [`MAX_SPANS`].
pub async fn old_spans(records: &dyn Records, service: &ServiceId) -> Result<Vec<OldSpan>, StoreError> {
    records.get(NAMESPACE, &service.to_string()).await?.map_or(Ok(Vec::new()), |record| read(&record))
}

/// Whether there is any service of which an old notary remembered something.
pub async fn has_old_spans(records: &dyn Records) -> Result<bool, StoreError> {
    // Canonical spellings begin with a scheme, in letters.
    Ok(!records.range(NAMESPACE, String::new().."\u{7f}".to_owned(), 1).await?.is_empty())
}

/// The same of all services from `first` to `last` in canonical order that have any. The rows of a service that can't be
/// read are an error of that service.
pub async fn old_spans_between(
    records: &dyn Records,
    first: &ServiceId,
    last: &ServiceId,
) -> Result<BTreeMap<String, Result<Vec<OldSpan>, StoreError>>, StoreError> {
    // Behind a key, nothing is nearer than the key with this.
    let behind = |key: &str| format!("{key}\u{1}");
    let (mut from, end) = (first.to_string(), behind(&last.to_string()));
    let mut found = BTreeMap::new();
    loop {
        let page = records.range(NAMESPACE, from..end.clone(), MAX_PAGE).await?;
        let Some(newest) = page.last() else { return Ok(found) };
        from = behind(&newest.key);
        found.extend(page.iter().map(|record| (record.key.clone(), read(record))));
    }
}

/// Adds rows; doing it twice changes nothing. Rows of one certificate that overlap, or between which no gap is longer than
/// [`CONTINUITY`], become one; rows that end before they begin are nonsense and left out. Of too many, those held
/// longest stay. Resolves once on disk.
pub async fn add_old_spans(records: &dyn Records, service: &ServiceId, added: &[OldSpan]) -> Result<(), StoreError> {
    let key = service.to_string();
    for _ in 0..TRIES {
        let found = records.get(NAMESPACE, &key).await?;
        let known = found.as_ref().map_or(Ok(Vec::new()), read)?;
        let merged = merge(&known, added);
        if merged == known {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&merged).map_err(|error| damaged(&key, error))?;
        match records.put(NAMESPACE, &key, found.map(|record| record.version), bytes).await {
            Err(StoreError::Conflict { .. }) => {}
            done => return done.map(drop),
        }
    }
    Err(StoreError::Locked { transaction: "write-records" })
}

/// Forgets what old notaries remembered of a service; `false` when that was nothing. Resolves once on disk.
pub async fn forget_old_spans(records: &dyn Records, service: &ServiceId) -> Result<bool, StoreError> {
    let key = service.to_string();
    for _ in 0..TRIES {
        let Some(found) = records.get(NAMESPACE, &key).await? else { return Ok(false) };
        match records.delete(NAMESPACE, &key, found.version).await {
            Err(StoreError::Conflict { .. }) => {}
            done => return done.map(|()| true),
        }
    }
    Err(StoreError::Locked { transaction: "write-records" })
}

fn read(record: &Record) -> Result<Vec<OldSpan>, StoreError> {
    serde_json::from_slice(&record.bytes).map_err(|error| damaged(&record.key, error))
}

fn damaged(key: &str, error: serde_json::Error) -> StoreError {
    StoreError::Damaged { table: "records", key: format!("{NAMESPACE}/{key}"), reason: error.to_string() }
}

fn merge(known: &[OldSpan], added: &[OldSpan]) -> Vec<OldSpan> {
    let mut rows: Vec<OldSpan> =
        known.iter().chain(added).filter(|row| row.first_seen <= row.last_seen).cloned().collect();
    rows.sort();
    // Sorted by certificate and begin, so a row joins the one before it or none.
    rows.dedup_by(|next, row| {
        let joins = next.leaf_md5 == row.leaf_md5 && next.first_seen.since(row.last_seen) <= CONTINUITY;
        if joins {
            row.last_seen = row.last_seen.max(next.last_seen);
        }
        joins
    });
    if rows.len() > MAX_SPANS {
        rows.sort_by_key(|row| (std::cmp::Reverse(row.last_seen.since(row.first_seen)), row.clone()));
        rows.truncate(MAX_SPANS);
        rows.sort();
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn row(leaf: u8, first: i64, last: i64) -> OldSpan {
        let moment = Timestamp::from_unix_secs;
        OldSpan { leaf_md5: Md5Fingerprint::from_bytes([leaf; 16]), first_seen: moment(first), last_seen: moment(last) }
    }

    #[test]
    fn rows_join_over_48_hours_and_not_a_second_more() {
        assert_eq!(merge(&[row(1, 0, 5)], &[row(1, 5 + 2 * DAY, 3 * DAY)]), [row(1, 0, 3 * DAY)]);
        assert_eq!(merge(&[row(1, 0, 5)], &[row(1, 6 + 2 * DAY, 3 * DAY)]).len(), 2);
        assert_eq!(merge(&[row(1, 0, 5)], &[row(2, 0, 5)]).len(), 2);
        assert_eq!(merge(&[row(1, 0, 9 * DAY)], &[row(1, DAY, 2 * DAY)]), [row(1, 0, 9 * DAY)]);
        assert_eq!(merge(&[], &[row(1, 5, 4)]), []);
    }

    #[test]
    fn adding_again_changes_nothing_and_the_number_is_bounded() {
        let many: Vec<_> = (0..200).map(|n| row(n, 0, i64::from(n) * DAY)).collect();
        let once = merge(&[], &many);
        assert_eq!(once.len(), MAX_SPANS);
        assert!(once.contains(&row(199, 0, 199 * DAY)) && !once.contains(&row(0, 0, 0)));
        assert_eq!(merge(&once, &many), once);
    }

    #[tokio::test]
    async fn kept_added_to_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let store = crate::SqliteStore::open(&directory.path().join("parallax.sqlite")).unwrap();
        let service: ServiceId = "example.com".parse().unwrap();
        assert_eq!(old_spans(&store, &service).await, Ok(vec![]));
        let added: Vec<_> = (0..8).map(|n| vec![row(n, 0, DAY)]).collect();
        let at_once = added.iter().map(|rows| add_old_spans(&store, &service, rows));
        assert!(futures_util::future::join_all(at_once).await.iter().all(Result::is_ok), "conflicts are tried again");
        assert_eq!(old_spans(&store, &service).await.unwrap().len(), 8);
        let other: ServiceId = "example.com:8443".parse().unwrap();
        add_old_spans(&store, &other, &[row(1, 0, DAY)]).await.unwrap();
        for (first, last, count) in [(&service, &other, 2), (&service, &service, 1), (&other, &other, 1)] {
            let found = old_spans_between(&store, first, last).await.unwrap();
            assert_eq!(found.len(), count);
            assert_eq!(found.get(&last.to_string()), Some(&old_spans(&store, last).await));
        }
        assert_eq!(forget_old_spans(&store, &service).await, Ok(true));
        assert_eq!(forget_old_spans(&store, &service).await, Ok(false));
    }
}
