//! The named transactions and how they went.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How one named transaction went since the store was opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransactionMetrics {
    /// Its constant name, such as `write-history`.
    pub name: &'static str,
    /// How many reached their end. A refused compare-and-swap is one too: the store did what it should.
    pub committed: u64,
    /// How many failed, and with them all writes that they carried.
    pub failed: u64,
    /// Time spent in both, in seconds, without the time in the queue.
    pub seconds: f64,
}

/// Every transaction that the engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    /// Identity, pragmas, migrations.
    Open,
    /// A batch of looks, imports and forgettings.
    WriteHistory,
    /// A batch of puts and deletes.
    WriteRecords,
    /// A write that changes nothing, after a failure.
    Probe,
    /// All that is known of a service.
    ReadKnown,
    /// A page of services.
    ListServices,
    /// One record.
    ReadRecord,
    /// A page of records.
    ReadRange,
    /// A page of histories.
    ReadHistories,
}

impl Transaction {
    const ALL: [Transaction; 9] = [
        Transaction::Open,
        Transaction::WriteHistory,
        Transaction::WriteRecords,
        Transaction::Probe,
        Transaction::ReadKnown,
        Transaction::ListServices,
        Transaction::ReadRecord,
        Transaction::ReadRange,
        Transaction::ReadHistories,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Transaction::Open => "open",
            Transaction::WriteHistory => "write-history",
            Transaction::WriteRecords => "write-records",
            Transaction::Probe => "probe",
            Transaction::ReadKnown => "read-known",
            Transaction::ReadHistories => "read-histories",
            Transaction::ListServices => "list-services",
            Transaction::ReadRecord => "read-record",
            Transaction::ReadRange => "read-range",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters([Counter; Transaction::ALL.len()]);

#[derive(Debug, Default)]
struct Counter {
    committed: AtomicU64,
    failed: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Counters {
    /// Runs `work` and counts it as `transaction`.
    pub(super) fn count<T, E>(&self, transaction: Transaction, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let begun = Instant::now();
        let result = work();
        let counter = &self.0[transaction as usize];
        let outcome = if result.is_ok() { &counter.committed } else { &counter.failed };
        outcome.fetch_add(1, Ordering::Relaxed);
        let spent = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counter.nanoseconds.fetch_add(spent, Ordering::Relaxed);
        result
    }

    pub(super) fn metrics(&self) -> Vec<TransactionMetrics> {
        let read = |(transaction, counter): (Transaction, &Counter)| TransactionMetrics {
            name: transaction.name(),
            committed: counter.committed.load(Ordering::Relaxed),
            failed: counter.failed.load(Ordering::Relaxed),
            seconds: Duration::from_nanos(counter.nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
        };
        Transaction::ALL.into_iter().zip(&self.0).map(read).collect()
    }
}
