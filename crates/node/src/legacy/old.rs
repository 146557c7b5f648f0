//! What old notaries remembered, in memory in front of the store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use parallax_core::{LegacyRow, ServiceId};
use parallax_store::{OldSpan, SqliteStore, StoreError, has_old_spans, old_spans};
use tokio::time::Instant;

use crate::histories::{FRESH, KEPT};

/// The rows of old notaries, by service. Only another program writes them (`parallax import`), so they are read again
/// as often as a history is.
pub(super) struct OldRows {
    records: Arc<SqliteStore>,
    cache: Cache<ServiceId, Kept>,
    fresh: Duration,
    /// When the store was last found to hold none of any service: most nodes never import any, and theirs are not looked
    /// for one by one.
    none: Mutex<Option<Instant>>,
    /// The very same for all of which there are none.
    nothing: Arc<[LegacyRow]>,
}

#[derive(Clone)]
struct Kept {
    rows: Arc<[LegacyRow]>,
    read: Instant,
}

impl OldRows {
    /// `bytes` of memory at most.
    pub(super) fn new(records: Arc<SqliteStore>, bytes: u64) -> Self {
        let weigh = |service: &ServiceId, kept: &Kept| {
            let rows = kept.rows.len() * size_of::<LegacyRow>();
            u32::try_from(300 + service.host().to_string().len() + rows).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().max_capacity(bytes).weigher(weigh).time_to_live(KEPT).build();
        Self { records, cache, fresh: FRESH, none: Mutex::default(), nothing: Arc::new([]) }
    }

    /// The rows of a service: from memory when that is fresh, else from the store, else from memory all the same. Rows
    /// that have not changed are the very same.
    pub(super) async fn recall(&self, service: &ServiceId) -> Result<Arc<[LegacyRow]>, StoreError> {
        let kept = self.cache.get(service);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.read.elapsed() < self.fresh) {
            return Ok(Arc::clone(&kept.rows));
        }
        let (read, kept) = (Instant::now(), kept.map(|kept| kept.rows));
        if kept.is_none() && self.are_none().await? {
            return Ok(Arc::clone(&self.nothing));
        }
        let rows: Arc<[LegacyRow]> = match (old_spans(self.records.as_ref(), service).await, kept) {
            (Ok(spans), Some(kept)) if spans.iter().filter_map(row).eq(kept.iter().copied()) => kept,
            (Ok(spans), _) => spans.iter().filter_map(row).collect(),
            (Err(_), Some(kept)) => return Ok(kept),
            (Err(error), None) => return Err(error),
        };
        self.cache.insert(service.clone(), Kept { rows: Arc::clone(&rows), read });
        Ok(rows)
    }
}

impl OldRows {
    /// Whether the store holds none at all, by what was found lately.
    async fn are_none(&self) -> Result<bool, StoreError> {
        let found = *self.none.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_some_and(|found| found.elapsed() < self.fresh) {
            return Ok(true);
        }
        let now = Instant::now();
        let none = !has_old_spans(self.records.as_ref()).await?;
        *self.none.lock().unwrap_or_else(PoisonError::into_inner) = none.then_some(now);
        Ok(none)
    }
}

/// `None` for what the format can't say (outside of 1970 to 2106): joined to a row of the node, it would take that with it.
fn row(span: &OldSpan) -> Option<LegacyRow> {
    let [start, end] = [span.first_seen, span.last_seen].map(|moment| u32::try_from(moment.unix_secs()).ok());
    Some(LegacyRow { leaf_md5: span.leaf_md5, start: start?.into(), end: end?.into() })
}

#[cfg(test)]
mod tests {
    use parallax_core::{Md5Fingerprint, Timestamp};
    use parallax_store::add_old_spans;

    use super::*;

    fn span(leaf: u8, first: i64, last: i64) -> OldSpan {
        let [first_seen, last_seen] = [first, last].map(Timestamp::from_unix_secs);
        OldSpan { leaf_md5: Md5Fingerprint::from_bytes([leaf; 16]), first_seen, last_seen }
    }

    #[tokio::test]
    async fn what_an_import_adds_is_seen_and_a_dead_store_is_outlived() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("parallax.sqlite")).unwrap());
        let mut rows = OldRows::new(Arc::clone(&store), 1 << 20);
        let service: ServiceId = "example.com".parse().unwrap();
        let nothing = rows.recall(&service).await.unwrap();
        assert!(nothing.is_empty() && Arc::ptr_eq(&nothing, &rows.recall(&service).await.unwrap()));

        add_old_spans(store.as_ref(), &service, &[span(1, 10, 20)]).await.unwrap();
        assert!(rows.recall(&service).await.unwrap().is_empty(), "fresh enough");
        rows.fresh = Duration::ZERO;
        let told = rows.recall(&service).await.unwrap();
        assert_eq!(told[..], [row(&span(1, 10, 20)).unwrap()]);
        assert!(Arc::ptr_eq(&told, &rows.recall(&service).await.unwrap()), "unchanged is the very same");

        store.shutdown().await;
        assert!(Arc::ptr_eq(&told, &rows.recall(&service).await.unwrap()));
        let other = "other.example".parse().unwrap();
        assert!(matches!(rows.recall(&other).await, Err(StoreError::Closed)));
    }
}
