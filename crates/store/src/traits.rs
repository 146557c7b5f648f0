//! The two contracts that every engine keeps. The battery in `tests/` holds them to it.

use std::ops::Range;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parallax_core::{History, Look, ServiceId, Timestamp};

/// What a store knows of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Timespans and authority.
    pub history: History,
    /// The newest look, failed ones too; `None` when the history came from an import alone.
    pub latest: Option<Look>,
}

/// Which services to list, in canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only services after this one; for paging.
    pub after: Option<ServiceId>,
    /// Only services whose newest proved or unproved sight is at or after this moment.
    pub seen_since: Option<Timestamp>,
    /// Only services whose newest sight is before this moment (or that were never seen).
    pub not_seen_since: Option<Timestamp>,
    /// At most this many rows.
    pub limit: usize,
}

/// One row of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The service.
    pub service: ServiceId,
    /// When it was last seen (a certificate was shown); `None` when never.
    pub last_seen: Option<Timestamp>,
}

/// Observations and timespans: typed and hot.
pub trait HistoryStore: Send + Sync {
    /// Takes in one look ([`History::absorb`]) and resolves once that is on disk, with what is known then. Looks at one
    /// service are absorbed in the order of the calls.
    fn record(&self, service: &ServiceId, look: Look) -> BoxFuture<'_, Result<Arc<Known>, StoreError>>;

    /// What is known of a service; `None` when nothing is.
    fn known(&self, service: &ServiceId) -> BoxFuture<'_, Result<Option<Arc<Known>>, StoreError>>;

    /// Merges a history from elsewhere ([`History::merge`]); doing it twice changes nothing. Resolves once on disk.
    fn import(&self, service: &ServiceId, history: History) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Services in canonical order.
    fn services(&self, listing: Listing) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>>;

    /// Forgets a service; `false` when it was not known.
    fn forget(&self, service: &ServiceId) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// A record's version, from 1; it grows by one with each write.
pub type Version = u64;

/// One record of [`Records`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key within the namespace.
    pub key: String,
    /// Its version.
    pub version: Version,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Small versioned records in namespaces: what mirrors, channels, hub and janus keep.
pub trait Records: Send + Sync {
    /// One record.
    fn get(&self, namespace: &str, key: &str) -> BoxFuture<'_, Result<Option<Record>, StoreError>>;

    /// Writes if the record's version is still `expected` (`None`: there is none yet) and returns the new version;
    /// [`StoreError::Conflict`] otherwise. Resolves once on disk.
    fn put(
        &self,
        namespace: &str,
        key: &str,
        expected: Option<Version>,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<Version, StoreError>>;

    /// Deletes if the record's version is still `expected`; [`StoreError::Conflict`] otherwise.
    fn delete(&self, namespace: &str, key: &str, expected: Version) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Records with keys in the range, in key order, at most `limit`.
    fn range(
        &self,
        namespace: &str,
        keys: Range<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Record>, StoreError>>;
}

/// What can go wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, is full or read-only. What is in memory stays true; nothing new is remembered.
    #[error("the store is not available ({transaction}): {reason}")]
    Unavailable {
        /// The named transaction that failed.
        transaction: &'static str,
        /// What the engine said.
        reason: String,
    },
    /// Too many writes are waiting.
    #[error("the store has {waiting} writes waiting and takes no more now")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// Somebody else wrote first.
    #[error("record {namespace}/{key} has changed meanwhile (expected version {expected:?}, found {found:?})")]
    Conflict {
        /// Namespace of the record.
        namespace: String,
        /// Key of the record.
        key: String,
        /// The version the writer believed in.
        expected: Option<Version>,
        /// The version that is there.
        found: Option<Version>,
    },
    /// The database was written by a newer version, or is not one of ours.
    #[error(
        "the database has schema {found}, this version knows up to {known}; run a newer parallax, or name another --data directory"
    )]
    Schema {
        /// What the file says.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// A row can't be read back.
    #[error("the database holds a damaged row in {table} for {key}: {reason}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which row.
        key: String,
        /// Why.
        reason: String,
    },
}
