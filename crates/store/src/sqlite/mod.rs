//! SQLite inside the process: the default engine, nothing to install.
//!
//! One thread writes and groups commits; a few connections read beside it and never wait for it.

mod batch;
mod cache;
mod connection;
mod history;
mod metrics;
mod pages;
mod readers;
mod records;
mod trouble;
mod writer;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use parallax_core::{History, Look, ServiceId};

pub use self::metrics::TransactionMetrics;

use self::batch::ServiceChange;
use self::metrics::{Counters, Transaction};
use self::readers::Readers;
use self::records::{RecordChange, RecordKey};
use self::writer::{Command, Writer};
use crate::error::StoreError;
use crate::traits::{Cursor, HistoryPage, HistoryStore, Known, Listed, Listing, Record, Records, Version};

/// The bounds of a [`SqliteStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Writes that may wait; more get [`StoreError::Busy`]. 10,000.
    pub queue: usize,
    /// Writes in one transaction, at most. 1,000.
    pub batch: usize,
    /// How long the writer waits for more writes before it begins a transaction: none. Where nobody waits for the answer
    /// to one write (a scan), some milliseconds save most of the syncing.
    pub gather: Duration,
    /// Reads at once; more wait their turn. 4.
    pub readers: u16,
    /// How long a write waits for another program's. 5 seconds.
    pub busy_timeout: Duration,
    /// Size that the database file may have, in bytes, in whole pages of 4,096; its log comes on top. No bound unless
    /// given.
    pub max_bytes: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            queue: 10_000,
            batch: 1_000,
            gather: Duration::ZERO,
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            max_bytes: None,
        }
    }
}

/// Both stores in one SQLite file.
///
/// Writes are grouped: whatever waits goes into one transaction (at most [`SqliteOptions::batch`] writes), and everybody
/// is answered after its commit, which is on the disk. A batch fails as a whole; a conflict or a damaged row fails only
/// the writes that met it. Reads need a Tokio runtime. Another program may read and write the file at the same time.
/// Dropping the store writes what waits in the background; [`SqliteStore::shutdown`] waits for it.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    counters: Arc<Counters>,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the database at `path` with the default bounds, and creates it (mode 0600) if there is none; its directory
    /// must exist. Blocks for a few disk accesses.
    ///
    /// Each way to fail has its own [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, &SqliteOptions::default())
    }

    /// Opens the database at `path` with bounds of the caller's.
    pub fn open_with(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        let counters = Arc::new(Counters::default());
        let connection = counters.count(Transaction::Open, || connection::open_writer(path, options))?;
        let readers = Readers::open(path.to_path_buf(), options, Arc::clone(&counters))?;
        let writer = Writer::start(connection, path.to_path_buf(), options, Arc::clone(&counters))?;
        Ok(Self { writer, readers, counters, path: path.to_path_buf() })
    }

    /// Whether the store can read, and could write when it last tried. After a failed write it tries one that changes
    /// nothing, so recovery is noticed without traffic. Cheap enough for a readiness probe.
    pub async fn health(&self) -> Result<(), StoreError> {
        if !self.writer.is_open() {
            return Err(StoreError::Closed);
        }
        if self.writer.has_failed() {
            self.writer.write(Command::Probe).await?;
        }
        self.readers.read(Transaction::Probe, connection::touch).await
    }

    /// How each named transaction went since the store was opened.
    pub fn metrics(&self) -> Vec<TransactionMetrics> {
        self.counters.metrics()
    }

    /// Writes that wait now.
    pub fn waiting(&self) -> usize {
        self.writer.waiting()
    }

    /// Takes no more writes, commits those that wait, answers them and closes the file. Calls after that get
    /// [`StoreError::Closed`].
    pub async fn shutdown(&self) {
        // The writer goes last: the last connection to be closed folds the log into the file.
        self.readers.close().await;
        self.writer.stop().await;
    }

    fn change(
        &self,
        service: &ServiceId,
        change: ServiceChange,
    ) -> impl Future<Output = Result<batch::Written, StoreError>> + Send + 'static {
        let service = service.to_string();
        self.writer.write(|reply| Command::Service(service, change, reply))
    }

    fn change_record(
        &self,
        key: Result<RecordKey, StoreError>,
        change: RecordChange,
    ) -> BoxFuture<'_, Result<Version, StoreError>> {
        match key {
            Ok(key) => self.writer.write(|reply| Command::Record(key, change, reply)).boxed(),
            Err(unfit) => future::err(unfit).boxed(),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl HistoryStore for SqliteStore {
    fn record(&self, service: &ServiceId, look: Look) -> BoxFuture<'static, Result<Arc<Known>, StoreError>> {
        let written = self.change(service, ServiceChange::Record(Box::new(look)));
        async move { written.await?.known.ok_or(StoreError::Closed) }.boxed()
    }

    fn known(&self, service: &ServiceId) -> BoxFuture<'_, Result<Option<Arc<Known>>, StoreError>> {
        let service = service.to_string();
        let read = self.readers.read(Transaction::ReadKnown, move |connection| history::load(connection, &service));
        async move { Ok(read.await?.map(Arc::new)) }.boxed()
    }

    fn import(&self, service: &ServiceId, history: History) -> BoxFuture<'static, Result<(), StoreError>> {
        let written = self.change(service, ServiceChange::Import(history));
        async move { written.await.map(drop) }.boxed()
    }

    fn services(&self, listing: Listing) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        self.readers.read(Transaction::ListServices, move |connection| history::list(connection, &listing)).boxed()
    }

    fn histories(&self, from: Option<Cursor>, limit: usize) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        self.readers.read(Transaction::ReadHistories, move |tx| pages::histories(tx, from, limit)).boxed()
    }

    fn forget(&self, service: &ServiceId) -> BoxFuture<'static, Result<bool, StoreError>> {
        let written = self.change(service, ServiceChange::Forget);
        async move { Ok(written.await?.existed) }.boxed()
    }
}

impl Records for SqliteStore {
    fn get(&self, namespace: &str, key: &str) -> BoxFuture<'_, Result<Option<Record>, StoreError>> {
        match RecordKey::new(namespace, key) {
            Ok(key) => self.readers.read_singly(Transaction::ReadRecord, move |tx| records::get(tx, &key)).boxed(),
            Err(unfit) => future::err(unfit).boxed(),
        }
    }

    fn put(
        &self,
        namespace: &str,
        key: &str,
        expected: Option<Version>,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<Version, StoreError>> {
        let key = records::check_content(&bytes).and_then(|()| RecordKey::new(namespace, key));
        self.change_record(key, RecordChange::Put(expected, bytes))
    }

    fn delete(&self, namespace: &str, key: &str, expected: Version) -> BoxFuture<'_, Result<(), StoreError>> {
        let deleted = self.change_record(RecordKey::new(namespace, key), RecordChange::Delete(expected));
        async move { deleted.await.map(drop) }.boxed()
    }

    fn range(
        &self,
        namespace: &str,
        keys: Range<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        if let Err(unfit) = records::check_namespace(namespace).and_then(|()| records::check_bounds(&keys)) {
            return future::err(unfit).boxed();
        }
        let namespace = namespace.to_owned();
        self.readers.read(Transaction::ReadRange, move |tx| records::range(tx, &namespace, &keys, limit)).boxed()
    }
}
