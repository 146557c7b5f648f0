//! Remembering: two contracts, one behaviour battery, one module per engine.

mod traits;

pub use traits::{HistoryStore, Known, Listed, Listing, Record, Records, StoreError, Version};
