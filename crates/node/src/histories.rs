//! Histories in memory, in front of the store: most questions are about services that were asked about a moment ago, and
//! what was known goes on being told while the store can't say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use moka::sync::Cache;
use parallax_core::{History, Look, ServiceId, Timestamp};
use parallax_store::{
    Cursor, HistoryPage, HistoryStore, Known, Listed, Listing, SqliteStore, StoreError, kept_since, note_forgetting,
};
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::weight::weight;

/// So long a history answers before the store is asked again: another program may write to the same file.
pub(crate) const FRESH: Duration = Duration::from_secs(10);

/// So long it answers while the store can't.
pub(crate) const KEPT: Duration = Duration::from_secs(12 * 3600);

/// The histories of a node. Never behind what this node itself has written: what a caller was told is on disk is in the
/// next answer, however reads and writes overlap.
pub(crate) struct Histories {
    store: Arc<SqliteStore>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    fresh: Duration,
}

struct Shared {
    cache: Cache<ServiceId, Kept>,
    /// The store's mark of forgetting, never older than the newest history that was read; see [`Shared::read_mark`].
    kept_since: Mutex<Option<Timestamp>>,
    /// Services that are being read or written now.
    under_way: Mutex<HashMap<ServiceId, UnderWay>>,
}

#[derive(Clone)]
struct Kept {
    known: Arc<Known>,
    read: Instant,
}

/// What happens to one service at the moment. Only while nothing was written since a read began may the read be kept.
#[derive(Default)]
struct UnderWay {
    count: usize,
    /// Writes that began, ended, and the newest of those that succeeded.
    begun: u64,
    ended: u64,
    newest: u64,
}

/// What is known of a service, and who said so.
pub(crate) struct Recalled {
    pub(crate) known: Option<Arc<Known>>,
    /// The store could not say.
    pub(crate) from_memory: bool,
}

impl Histories {
    /// `bytes` of memory at most.
    pub(crate) fn new(store: Arc<SqliteStore>, metrics: Arc<Metrics>, bytes: u64) -> Self {
        let weigh = |_: &ServiceId, kept: &Kept| weight(&kept.known);
        let cache = Cache::builder().max_capacity(bytes).weigher(weigh).time_to_live(KEPT).build();
        Self {
            store,
            shared: Arc::new(Shared { cache, kept_since: Mutex::default(), under_way: Mutex::default() }),
            metrics,
            fresh: FRESH,
        }
    }

    /// What is known of a service: from memory when that is fresh, else from the store, else from memory all the same.
    pub(crate) async fn recall(&self, service: &ServiceId) -> Result<Recalled, StoreError> {
        let kept = self.shared.cache.get(service);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.read.elapsed() < self.fresh) {
            self.metrics.history("memory");
            return Ok(Recalled { known: Some(Arc::clone(&kept.known)), from_memory: false });
        }
        let reading = Reading::begin(&self.shared, service);
        let known = match self.store.known(service).await {
            Ok(known) => self.shared.read_mark(&self.store).await.map(|()| known),
            Err(error) => Err(error),
        };
        match known {
            Ok(known) => {
                self.metrics.history("store");
                // The very same history stays the very same: what was made from it need not be made again.
                let known = match (known, kept) {
                    (Some(known), Some(kept)) if known == kept.known => Some(kept.known),
                    (known, _) => known,
                };
                reading.keep(known.as_ref());
                Ok(Recalled { known, from_memory: false })
            }
            Err(error) => {
                let known = self.shared.cache.get(service).ok_or(error)?.known;
                self.metrics.history("stale");
                Ok(Recalled { known: Some(known), from_memory: true })
            }
        }
    }

    /// Since when this node keeps what it sees, as far as it may matter for what was recalled until now.
    pub(crate) fn kept_since(&self) -> Option<Timestamp> {
        *self.shared.kept_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At the first start, when there is nothing that could have been forgotten, memory begins.
    pub(crate) async fn begin(&self, now: Timestamp) -> Result<(), StoreError> {
        let first = Listing { limit: 1, ..Listing::default() };
        if kept_since(&*self.store).await?.is_none() && self.store.services(first).await?.is_empty() {
            note_forgetting(&*self.store, now).await?;
        }
        self.shared.read_mark(&self.store).await
    }

    /// Follows a write to its end, in a task of its own: one whose asker has left must not leave memory behind the disk.
    fn follow<T: Send + 'static>(
        &self,
        service: &ServiceId,
        begin: impl FnOnce(&SqliteStore) -> BoxFuture<'static, Result<T, StoreError>>,
        learn: impl FnOnce(&T) -> Option<Arc<Known>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (writing, written) = Writing::begin(&self.shared, service, || begin(&self.store));
        let (shared, store) = (Arc::clone(&self.shared), Arc::clone(&self.store));
        let followed = tokio::spawn(async move {
            let written = match written.await {
                Ok(written) => shared.read_mark(&store).await.map(|()| written),
                Err(error) => Err(error),
            };
            writing.end(written.as_ref().ok().map(learn));
            written
        });
        async move { followed.await.unwrap_or(Err(StoreError::Closed)) }.boxed()
    }
}

impl HistoryStore for Histories {
    fn record(&self, service: &ServiceId, look: Look) -> BoxFuture<'static, Result<Arc<Known>, StoreError>> {
        self.follow(service, |store| store.record(service, look), |known| Some(Arc::clone(known)))
    }

    fn known(&self, service: &ServiceId) -> BoxFuture<'_, Result<Option<Arc<Known>>, StoreError>> {
        let service = service.clone();
        async move { Ok(self.recall(&service).await?.known) }.boxed()
    }

    fn import(&self, service: &ServiceId, history: History) -> BoxFuture<'static, Result<(), StoreError>> {
        self.follow(service, |store| store.import(service, history), |()| None)
    }

    fn services(&self, listing: Listing) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        self.store.services(listing)
    }

    fn histories(&self, from: Option<Cursor>, limit: usize) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        self.store.histories(from, limit)
    }

    /// Whoever calls this notes it first ([`parallax_store::note_forgetting`]).
    fn forget(&self, service: &ServiceId) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.follow(service, |store| store.forget(service), |_| None)
    }
}

impl Shared {
    /// After each history that comes from the store, and before anybody sees it: another program may have had it forget
    /// something, and it noted that first. A view without the mark would convict this node.
    async fn read_mark(&self, store: &SqliteStore) -> Result<(), StoreError> {
        let mark = kept_since(store).await?;
        let mut known = self.kept_since.lock().unwrap_or_else(PoisonError::into_inner);
        *known = (*known).max(mark);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServiceId, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, service: &ServiceId, known: Option<&Arc<Known>>) {
        match known {
            Some(known) => {
                let kept = Kept { known: Arc::clone(known), read: Instant::now() };
                self.cache.insert(service.clone(), kept);
            }
            None => self.cache.invalidate(service),
        }
    }

    fn leave(under_way: &mut HashMap<ServiceId, UnderWay>, service: &ServiceId) {
        if let Some(now) = under_way.get_mut(service) {
            now.count -= 1;
            if now.count == 0 {
                under_way.remove(service);
            }
        }
    }
}

/// A read that may be kept when it ends.
struct Reading<'a> {
    shared: &'a Shared,
    service: &'a ServiceId,
    /// Writes that had begun before; `None` when one of them had not ended.
    begun: Option<u64>,
}

impl<'a> Reading<'a> {
    fn begin(shared: &'a Shared, service: &'a ServiceId) -> Self {
        let mut under_way = shared.lock();
        let now = under_way.entry(service.clone()).or_default();
        now.count += 1;
        let begun = Some(now.begun).filter(|begun| *begun == now.ended);
        Self { shared, service, begun }
    }

    fn keep(self, known: Option<&Arc<Known>>) {
        let under_way = self.shared.lock();
        if under_way.get(self.service).is_some_and(|now| Some(now.begun) == self.begun) {
            self.shared.put(self.service, known);
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        Shared::leave(&mut self.shared.lock(), self.service);
    }
}

/// A write until its end. The store keeps the order of the calls, so the ticket is drawn together with the call.
struct Writing {
    shared: Arc<Shared>,
    service: ServiceId,
    ticket: u64,
}

impl Writing {
    fn begin<F>(shared: &Arc<Shared>, service: &ServiceId, call: impl FnOnce() -> F) -> (Self, F) {
        let mut under_way = shared.lock();
        let now = under_way.entry(service.clone()).or_default();
        now.count += 1;
        now.begun += 1;
        let ticket = now.begun;
        let called = call();
        drop(under_way);
        (Self { shared: Arc::clone(shared), service: service.clone(), ticket }, called)
    }

    /// `known` is what the disk holds now, if this write says; `None` for a write that failed.
    fn end(self, known: Option<Option<Arc<Known>>>) {
        let mut under_way = self.shared.lock();
        let Some(now) = under_way.get_mut(&self.service) else { return };
        now.ended += 1;
        if let Some(known) = known.filter(|_| self.ticket > now.newest) {
            now.newest = self.ticket;
            self.shared.put(&self.service, known.as_ref());
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        Shared::leave(&mut self.shared.lock(), &self.service);
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::{DnsAnswers, Observation, Outcome, Timestamp};

    use super::*;

    fn service() -> ServiceId {
        "192.0.2.7:443".parse().unwrap()
    }

    fn look(ms: i64) -> Look {
        let now = Observation::failed(Timestamp::from_unix_ms(ms), None, Outcome::Timeout);
        Look { dns: DnsAnswers::default(), now }
    }

    struct Desk {
        _dir: tempfile::TempDir,
        store: Arc<SqliteStore>,
        histories: Histories,
    }

    impl Desk {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Arc::new(SqliteStore::open(&dir.path().join("parallax.sqlite")).unwrap());
            let histories = Histories::new(Arc::clone(&store), Arc::new(Metrics::new()), 1 << 20);
            Self { _dir: dir, store, histories }
        }

        fn in_memory(&self) -> Option<i64> {
            self.histories.shared.cache.get(&service()).map(|kept| kept.known.latest.clone().unwrap().now.at.unix_ms())
        }
    }

    #[tokio::test]
    async fn what_was_told_to_be_on_disk_is_in_memory() {
        let desk = Desk::new();
        assert!(desk.histories.recall(&service()).await.unwrap().known.is_none());
        for ms in 1..50 {
            desk.histories.record(&service(), look(ms)).await.unwrap();
            assert_eq!(desk.in_memory(), Some(ms));
        }
        desk.histories.import(&service(), History::default()).await.unwrap();
        assert_eq!(desk.in_memory(), None, "an import says nothing, so the store is asked");
        assert!(desk.histories.known(&service()).await.unwrap().is_some());
        assert_eq!(desk.in_memory(), Some(49));
        desk.histories.forget(&service()).await.unwrap();
        assert_eq!((desk.in_memory(), desk.histories.known(&service()).await.unwrap()), (None, None));
        assert!(desk.histories.shared.lock().is_empty());
    }

    #[tokio::test]
    async fn writes_that_end_in_another_order_leave_the_newest() {
        let desk = Desk::new();
        let writes: Vec<_> = (1..200).map(|ms| desk.histories.record(&service(), look(ms))).collect();
        for write in writes.into_iter().rev() {
            write.await.unwrap();
        }
        assert_eq!(desk.in_memory(), Some(199));
        assert!(desk.histories.shared.lock().is_empty());
    }

    #[tokio::test]
    async fn a_read_that_a_write_overtook_is_not_kept() {
        let desk = Desk::new();
        desk.store.record(&service(), look(1)).await.unwrap();
        let (held, name) = (Arc::clone(&desk.histories.shared), service());
        let reading = Reading::begin(&held, &name);
        let old = desk.store.known(&name).await.unwrap();
        desk.histories.record(&name, look(2)).await.unwrap();
        reading.keep(old.as_ref());
        assert_eq!(desk.in_memory(), Some(2));
    }

    #[tokio::test]
    async fn a_write_whose_asker_has_left_is_followed_all_the_same() {
        let desk = Desk::new();
        drop(desk.histories.record(&service(), look(1)));
        // Writes to one service end in the order of the calls.
        desk.histories.record(&service(), look(2)).await.unwrap();
        assert_eq!(desk.in_memory(), Some(2));
    }

    #[tokio::test]
    async fn a_write_that_failed_does_not_hide_the_one_before_it() {
        let desk = Desk::new();
        let shared = &desk.histories.shared;
        let begin = || Writing::begin(shared, &service(), || ()).0;
        let (first, second) = (begin(), begin());
        let known = desk.store.record(&service(), look(1)).await.unwrap();
        // The tasks that follow writes may end in another order than the writes.
        second.end(None);
        Reading::begin(shared, &service()).keep(None);
        first.end(Some(Some(known)));
        assert_eq!(desk.in_memory(), Some(1));
        assert!(shared.lock().is_empty());
    }

    #[tokio::test]
    async fn another_program_s_writing_is_seen_and_a_dead_store_is_outlived() {
        let mut desk = Desk::new();
        desk.histories.record(&service(), look(1)).await.unwrap();
        desk.store.record(&service(), look(2)).await.unwrap();
        desk.histories.fresh = Duration::from_secs(3600);
        let newest = |recalled: Recalled| recalled.known.unwrap().latest.clone().unwrap().now.at.unix_ms();
        assert_eq!(newest(desk.histories.recall(&service()).await.unwrap()), 1);
        desk.histories.fresh = Duration::ZERO;
        assert_eq!(newest(desk.histories.recall(&service()).await.unwrap()), 2);
        let [first, second] = [desk.histories.known(&service()).await, desk.histories.known(&service()).await];
        assert!(Arc::ptr_eq(&first.unwrap().unwrap(), &second.unwrap().unwrap()), "unchanged is the very same");

        desk.store.shutdown().await;
        let recalled = desk.histories.recall(&service()).await.unwrap();
        assert!(recalled.from_memory);
        assert_eq!(newest(recalled), 2);
        let other = "192.0.2.8:443".parse().unwrap();
        assert!(matches!(desk.histories.recall(&other).await, Err(StoreError::Closed)));
    }
}
