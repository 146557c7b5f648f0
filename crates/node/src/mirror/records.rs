//! What a mirror knows of others, kept across restarts: one record each, written after it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use parallax_core::VantageId;
use parallax_proto::mirror::Saved;
use parallax_store::{Records, SqliteStore, StoreError, Version};
use tokio::sync::Notify;

/// Where the records are.
const NAMESPACE: &str = "mirrors";

/// Records read at once.
const PAGE: usize = 500;

/// The records of the mirrors, and which of them are to be written.
pub(super) struct MirrorRecords {
    store: Arc<SqliteStore>,
    versions: Mutex<BTreeMap<VantageId, Version>>,
    changed: Mutex<BTreeSet<VantageId>>,
    wake: Notify,
}

impl MirrorRecords {
    pub(super) fn new(store: Arc<SqliteStore>) -> Self {
        Self { store, versions: Mutex::default(), changed: Mutex::default(), wake: Notify::new() }
    }

    /// All that can be read; one that can't is left out, and said so.
    pub(super) async fn load(&self) -> Result<Vec<Saved>, StoreError> {
        let mut loaded = Vec::new();
        let mut from = String::from("0");
        loop {
            // Keys are lower-case hex.
            let page = self.store.range(NAMESPACE, from.clone().."g".to_owned(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(loaded) };
            from = format!("{}\u{1}", last.key);
            for record in page {
                match (record.key.parse(), serde_json::from_slice(&record.bytes)) {
                    (Ok(vantage), Ok(saved)) => {
                        lock(&self.versions).insert(vantage, record.version);
                        loaded.push(saved);
                    }
                    _ => tracing::warn!(key = record.key, "the record of a mirror can't be read; it is left out"),
                }
            }
        }
    }

    /// To be written soon. However often it changes meanwhile, it is written once.
    pub(super) fn note(&self, vantage: VantageId) {
        lock(&self.changed).insert(vantage);
        self.wake.notify_one();
    }

    /// Resolves when something is to be written.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Writes what has changed; what can't be written is noted again.
    pub(super) async fn write(&self, saved: impl Fn(VantageId) -> Option<Saved>) -> Result<(), StoreError> {
        loop {
            // Out of the set before it is read: what changes meanwhile is noted anew.
            let Some(vantage) = lock(&self.changed).pop_first() else { return Ok(()) };
            if let Err(error) = self.write_one(vantage, saved(vantage)).await {
                lock(&self.changed).insert(vantage);
                self.wake.notify_one();
                return Err(error);
            }
        }
    }

    async fn write_one(&self, vantage: VantageId, saved: Option<Saved>) -> Result<(), StoreError> {
        let key = vantage.to_string();
        let known = lock(&self.versions).get(&vantage).copied();
        let written = match self.write_over(&key, known, saved.as_ref()).await {
            // Another program wrote it. What this node thinks of the mirror now is newer all the same.
            Err(StoreError::Conflict { .. }) => {
                let there = self.store.get(NAMESPACE, &key).await?.map(|record| record.version);
                self.write_over(&key, there, saved.as_ref()).await?
            }
            written => written?,
        };
        match written {
            Some(version) => lock(&self.versions).insert(vantage, version),
            None => lock(&self.versions).remove(&vantage),
        };
        Ok(())
    }

    async fn write_over(
        &self,
        key: &str,
        expected: Option<Version>,
        saved: Option<&Saved>,
    ) -> Result<Option<Version>, StoreError> {
        match (saved, expected) {
            (Some(saved), expected) => {
                let bytes = serde_json::to_vec(saved).unwrap_or_default();
                self.store.put(NAMESPACE, key, expected, bytes).await.map(Some)
            }
            (None, Some(expected)) => self.store.delete(NAMESPACE, key, expected).await.map(|()| None),
            (None, None) => Ok(None),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
