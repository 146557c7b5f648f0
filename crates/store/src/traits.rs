//! The two contracts that every engine keeps. The battery in `tests/` holds them to it.

use std::ops::Range;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parallax_core::{History, Look, Outcome, ServiceId, Timestamp};

use crate::error::StoreError;

/// Most rows that one listing or range gives, whatever its limit says; the rest is on the next page.
pub const MAX_PAGE: usize = 10_000;

/// Longest namespace of a record, in bytes.
pub const MAX_NAMESPACE_BYTES: usize = 64;

/// Longest key of a record, in bytes: what fits into an index of every engine.
pub const MAX_KEY_BYTES: usize = 1024;

/// Largest content of a record, in bytes.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Most content that one range gives, in bytes.
pub const MAX_RANGE_BYTES: usize = 16 << 20;

/// What a store knows of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Timespans and authority.
    pub history: History,
    /// The newest look by its own time, failed ones too; `None` when the history came from an import alone. Of two looks
    /// with the same time the first stays: a vantage point that signs two for one moment would convict itself.
    pub latest: Option<Look>,
}

impl Known {
    /// When a certificate was last seen, proved or not; `None` when never.
    pub fn last_seen(&self) -> Option<Timestamp> {
        let latest = self.latest.as_ref().map(|look| &look.now).filter(|now| now.outcome == Outcome::Seen);
        self.history.last_seen().max(latest.map(|now| now.at))
    }
}

/// Which services to list, in canonical order: by the bytes of the canonical spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only services after this one; for paging.
    pub after: Option<ServiceId>,
    /// Only services whose newest proved or unproved sight is at or after this moment.
    pub seen_since: Option<Timestamp>,
    /// Only services whose newest sight is before this moment (or that were never seen).
    pub not_seen_since: Option<Timestamp>,
    /// At most this many rows, and at most [`MAX_PAGE`].
    pub limit: usize,
}

impl Listing {
    /// Moves on behind a page that it gave; `false` when that was the last one.
    pub fn advance(&mut self, page: &[Listed]) -> bool {
        let full = page.len() >= self.limit.min(MAX_PAGE);
        match page.last().filter(|_| full) {
            Some(last) => {
                self.after = Some(last.service.clone());
                true
            }
            None => false,
        }
    }
}

/// One row of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The service.
    pub service: ServiceId,
    /// When it was last seen (a certificate was shown); `None` when never.
    pub last_seen: Option<Timestamp>,
}

/// Where the next page of a [`HistoryPage`] begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) Vec<u8>);

/// A page of what is remembered, in canonical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// Each service with its history; an error is that of one service whose rows can't be read back.
    pub histories: Vec<Result<(ServiceId, History), StoreError>>,
    /// Where the next page begins; `None` behind the last one.
    pub next: Option<Cursor>,
}

/// Observations and timespans: typed and hot.
///
/// A write is queued when its method is called, not when its future is first polled, and dropping the future does not
/// take it back: a look that many wait for can't be cancelled by one of them. So the future needs the store no longer.
pub trait HistoryStore: Send + Sync {
    /// Takes in one look ([`History::absorb`]) and resolves once that is on disk, with what is known then. Looks at one
    /// service are absorbed in the order of the calls.
    fn record(&self, service: &ServiceId, look: Look) -> BoxFuture<'static, Result<Arc<Known>, StoreError>>;

    /// What is known of a service; `None` when nothing is.
    fn known(&self, service: &ServiceId) -> BoxFuture<'_, Result<Option<Arc<Known>>, StoreError>>;

    /// Merges a history from elsewhere ([`History::merge`]); doing it twice changes nothing. Resolves once on disk. The
    /// service is known from then on, even if the history is empty.
    fn import(&self, service: &ServiceId, history: History) -> BoxFuture<'static, Result<(), StoreError>>;

    /// Services in canonical order.
    fn services(&self, listing: Listing) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>>;

    /// At most `limit` histories (and at most [`MAX_PAGE`]) from `from` on, or from the first one: what an export reads.
    /// All of a page is of one moment.
    fn histories(&self, from: Option<Cursor>, limit: usize) -> BoxFuture<'_, Result<HistoryPage, StoreError>>;

    /// Forgets a service, also one whose rows are damaged; `false` when it was not known. Resolves once on disk.
    fn forget(&self, service: &ServiceId) -> BoxFuture<'static, Result<bool, StoreError>>;
}

/// A record's version, from 1; it grows by one with each write. A record that was deleted and written again begins at 1
/// again, so whoever deletes and recreates under one key tells the generations apart by content.
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
///
/// Namespaces have 1 to [`MAX_NAMESPACE_BYTES`] bytes, keys 1 to [`MAX_KEY_BYTES`], contents at most
/// [`MAX_RECORD_BYTES`]; namespaces and keys hold no U+0000, which not every engine can store. Anything else is
/// [`StoreError::Unfit`]. Writes are queued as in [`HistoryStore`]; those of one key happen in the order of the calls.
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

    /// Records with keys in the range, in the order of the keys' bytes, at most `limit` and at most [`MAX_PAGE`], and no
    /// more than [`MAX_RANGE_BYTES`] of content (but always one). The next page begins at the last key followed by U+0001.
    fn range(
        &self,
        namespace: &str,
        keys: Range<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Record>, StoreError>>;
}
