//! A few connections that only read, so that nobody who reads waits for the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::SqliteOptions;
use super::connection::open_reader;
use super::metrics::{Counters, Transaction};
use super::trouble::Trouble;
use crate::error::StoreError;

/// The connections, as many as the semaphore has permits.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    seats: Arc<Semaphore>,
    size: u16,
    counters: Arc<Counters>,
    path: PathBuf,
}

impl Readers {
    pub(super) fn open(path: PathBuf, options: &SqliteOptions, counters: Arc<Counters>) -> Result<Self, StoreError> {
        let size = options.readers.max(1);
        let idle: Vec<_> = (0..size).map(|_| open_reader(&path, options)).collect::<Result<_, _>>()?;
        let seats = Arc::new(Semaphore::new(idle.len()));
        Ok(Self { idle: Arc::new(Mutex::new(idle)), seats, size, counters, path })
    }

    /// Runs `work` on a blocking thread inside one read transaction, so that all it reads is of one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        transaction: Transaction,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_singly(transaction, |connection| in_snapshot(connection, work)).await
    }

    /// The same for work that is one query, which is of one moment by itself.
    pub(super) async fn read_singly<T: Send + 'static>(
        &self,
        transaction: Transaction,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let seat = Arc::clone(&self.seats).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (idle, counters, path) = (Arc::clone(&self.idle), Arc::clone(&self.counters), self.path.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let borrowed = Borrowed { connection: take(&idle), idle };
            let connection = borrowed.connection.as_ref().ok_or(StoreError::Closed)?;
            let result = counters.count(transaction, || work(connection));
            drop(borrowed);
            // Only now: who gets the seat finds a connection.
            drop(seat);
            result.map_err(|trouble| trouble.named(transaction, &path))
        });
        reading.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Waits for the reads that are under way and closes the connections; later reads get [`StoreError::Closed`].
    pub(super) async fn close(&self) {
        let everybody = self.seats.acquire_many(u32::from(self.size)).await;
        self.seats.close();
        drop(everybody);
        lock(&self.idle).clear();
    }
}

/// With statements that are prepared once: to prepare `BEGIN` takes as long as to read a row.
fn in_snapshot<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T, Trouble>) -> Result<T, Trouble> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let found = work(connection)?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(found)
}

/// A connection that goes back into the pool, also when the work fails or panics, and never inside a transaction.
struct Borrowed {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let connection = self.connection.take();
        if let Some(open) = connection.as_ref().filter(|connection| !connection.is_autocommit()) {
            // Nothing was written, so there is nothing that a failure could lose; the next BEGIN would say so.
            open.execute_batch("ROLLBACK").ok();
        }
        lock(&self.idle).extend(connection);
    }
}

fn take(idle: &Mutex<Vec<Connection>>) -> Option<Connection> {
    lock(idle).pop()
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
