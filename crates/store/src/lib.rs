//! Remembering: two contracts, one behaviour battery (`tests/battery`), one module per engine.

mod error;
mod memory;
mod old;
mod sqlite;
mod traits;

pub use error::StoreError;
pub use memory::{kept_since, note_forgetting};
pub use old::{OldSpan, add_old_spans, forget_old_spans, has_old_spans, old_spans, old_spans_between};
pub use sqlite::{SqliteOptions, SqliteStore, TransactionMetrics};
pub use traits::{
    Cursor, HistoryPage, HistoryStore, Known, Listed, Listing, MAX_KEY_BYTES, MAX_NAMESPACE_BYTES, MAX_PAGE,
    MAX_RANGE_BYTES, MAX_RECORD_BYTES, Record, Records, Version,
};
