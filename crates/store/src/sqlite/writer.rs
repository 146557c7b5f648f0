//! The one thread that writes. It takes everything that waits, writes it in the order of the tables, commits, and only
//! then answers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parallax_core::plainly;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::SqliteOptions;
use super::batch::{self, ServiceChange, Written};
use super::cache::Cache;
use super::connection::rewrite_header;
use super::metrics::{Counters, Transaction};
use super::records::{self, RecordChange, RecordKey};
use super::trouble::Trouble;
use crate::error::StoreError;
use crate::traits::Version;

/// Contents of records that may wait, in bytes, whatever the number of writes.
const MAX_QUEUED_BYTES: usize = 64 << 20;

/// Where an answer goes. Nobody may be waiting for it any more.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One write as it waits.
#[derive(Debug)]
pub(super) enum Command {
    Service(String, ServiceChange, Reply<Written>),
    Record(RecordKey, RecordChange, Reply<Version>),
    Probe(Reply<()>),
    Stop,
}

impl Command {
    fn weight(&self) -> usize {
        match self {
            Command::Record(_, change, _) => change.weight(),
            _ => 0,
        }
    }
}

/// The end of the queue that callers hold.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    thread: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    /// How the newest batch failed; `None` after one that did not.
    failure: Mutex<Option<StoreError>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        path: PathBuf,
        options: &SqliteOptions,
        counters: Arc<Counters>,
    ) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(options.queue.max(1));
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            connection,
            waiting,
            largest: options.batch.max(1),
            gather: options.gather,
            cache: Cache::default(),
            shared: Arc::clone(&shared),
            counters,
            path,
        };
        let thread =
            thread::Builder::new().name("parallax-store".into()).spawn(move || worker.run()).map_err(|error| {
                StoreError::Unavailable { transaction: Transaction::Open.name(), reason: plainly(&error) }
            })?;
        Ok(Self { queue, shared, thread: Some(thread).into() })
    }

    /// Queues a write now; the future waits for the answer.
    pub(super) fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let queued = self.enqueue(command(reply));
        async move {
            queued?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        }
    }

    fn enqueue(&self, command: Command) -> Result<(), StoreError> {
        let (weight, queued_bytes) = (command.weight(), &self.shared.queued_bytes);
        // Counted before it is queued: the worker subtracts as soon as it sees it.
        if queued_bytes.fetch_add(weight, Ordering::AcqRel).saturating_add(weight) > MAX_QUEUED_BYTES {
            queued_bytes.fetch_sub(weight, Ordering::AcqRel);
            return Err(StoreError::Busy { waiting: self.waiting() });
        }
        self.queue.try_send(command).map_err(|refused| {
            queued_bytes.fetch_sub(weight, Ordering::AcqRel);
            match refused {
                TrySendError::Full(_) => StoreError::Busy { waiting: self.waiting() },
                TrySendError::Closed(_) => StoreError::Closed,
            }
        })
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    pub(super) fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    pub(super) fn has_failed(&self) -> bool {
        lock(&self.shared.failure).is_some()
    }

    /// Writes what waits, closes the connection and ends the thread.
    pub(super) async fn stop(&self) {
        // An error says that it has stopped already.
        self.queue.send(Command::Stop).await.ok();
        // Held until the thread is gone, so that a second caller waits as well.
        let mut running = self.thread.lock().await;
        if let Some(thread) = running.take() {
            tokio::task::spawn_blocking(move || thread.join().ok()).await.ok();
        }
    }
}

struct Worker {
    connection: Connection,
    waiting: mpsc::Receiver<Command>,
    largest: usize,
    gather: Duration,
    cache: Cache,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    path: PathBuf,
}

#[derive(Default)]
struct Batch {
    services: Vec<(String, ServiceChange, Reply<Written>)>,
    records: Vec<(RecordKey, RecordChange, Reply<Version>)>,
    probes: Vec<Reply<()>>,
}

impl Worker {
    fn run(mut self) {
        while let Some(first) = self.waiting.blocking_recv() {
            let batch = self.take(first);
            self.write_services(batch.services);
            self.write_records(batch.records);
            self.probe(batch.probes);
        }
    }

    /// The first command and what waits behind it.
    fn take(&mut self, first: Command) -> Batch {
        let mut batch = Batch::default();
        if !self.gather.is_zero() && !matches!(first, Command::Stop) {
            thread::sleep(self.gather);
        }
        self.sort_in(&mut batch, first);
        for _ in 1..self.largest {
            let Ok(next) = self.waiting.try_recv() else { break };
            self.sort_in(&mut batch, next);
        }
        batch
    }

    fn sort_in(&mut self, batch: &mut Batch, command: Command) {
        self.shared.queued_bytes.fetch_sub(command.weight(), Ordering::AcqRel);
        match command {
            Command::Service(service, change, reply) => batch.services.push((service, change, reply)),
            Command::Record(key, change, reply) => batch.records.push((key, change, reply)),
            Command::Probe(reply) => batch.probes.push(reply),
            // Refuses what comes from now on; what waits is still written.
            Command::Stop => self.waiting.close(),
        }
    }

    /// In the order of the tables, because neighbouring rows share pages; the sort is stable, so changes of one service
    /// stay in the order of the calls.
    fn write_services(&mut self, mut batch: Vec<(String, ServiceChange, Reply<Written>)>) {
        if batch.is_empty() {
            return;
        }
        batch.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let (changes, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|(service, change, reply)| ((service, change), reply)).unzip();
        let result = self.transact(Transaction::WriteHistory, |connection, cache| {
            cache.check(connection.pragma_query_value(None, "data_version", |row| row.get(0))?);
            batch::apply(connection, cache, changes)
        });
        let each = result.map(|outcomes| {
            outcomes.learned.into_iter().for_each(|(service, known)| self.cache.learn(service, known));
            outcomes.each
        });
        answer(replies, each);
    }

    fn write_records(&mut self, mut batch: Vec<(RecordKey, RecordChange, Reply<Version>)>) {
        if batch.is_empty() {
            return;
        }
        batch.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let (changes, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|(key, change, reply)| ((key, change), reply)).unzip();
        let result = self.transact(Transaction::WriteRecords, |connection, _| {
            changes.iter().map(|(key, change)| records::change(connection, key, change)).collect()
        });
        answer(replies, result);
    }

    fn probe(&mut self, replies: Vec<Reply<()>>) {
        if replies.is_empty() {
            return;
        }
        let result = self.transact(Transaction::Probe, |connection, _| rewrite_header(connection));
        let each = result.map(|()| replies.iter().map(|_| Ok(())).collect());
        answer(replies, each);
    }

    /// Runs `work` in one transaction that takes the lock at once. It is all or nothing: what the engine refuses (a full
    /// disk, a lock that is not let go) it would refuse row by row as well, so nothing is tried again singly.
    fn transact<T>(
        &mut self,
        transaction: Transaction,
        work: impl FnOnce(&Connection, &mut Cache) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let (connection, cache) = (&mut self.connection, &mut self.cache);
        let result = self.counters.count(transaction, || {
            // A rollback that failed must not make every later batch fail.
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK")?;
            }
            let open = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&open, cache)?;
            open.commit()?;
            Ok(done)
        });
        let result = result.map_err(|trouble: Trouble| trouble.named(transaction, &self.path));
        if let Err(error) = &result {
            tracing::error!(transaction = transaction.name(), %error, "nothing of this batch was written");
        }
        *lock(&self.shared.failure) = result.as_ref().err().cloned();
        result
    }
}

fn answer<T>(replies: Vec<Reply<T>>, outcomes: Result<Vec<Result<T, StoreError>>, StoreError>) {
    match outcomes {
        Ok(outcomes) => replies.into_iter().zip(outcomes).for_each(|(reply, outcome)| _ = reply.send(outcome)),
        Err(error) => replies.into_iter().for_each(|reply| _ = reply.send(Err(error.clone()))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
