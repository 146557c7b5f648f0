//! What outlives the process: which requests were met, and which keys are blocked.

use std::sync::Arc;

use parallax_core::{KeyId, Timestamp};
use parallax_proto::channel::Block;
use parallax_store::{Records, SqliteStore, StoreError};

/// Requests for channels that were met. The keys begin with the moment until which they count.
const REPLAYS: &str = "channel-replays";
/// Keys that are blocked.
const BLOCKS: &str = "channel-blocks";

/// Records read at once.
const PAGE: usize = 500;

/// The records of the channels.
#[derive(Clone)]
pub(super) struct Kept {
    store: Arc<SqliteStore>,
}

impl Kept {
    pub(super) fn new(store: Arc<SqliteStore>) -> Self {
        Self { store }
    }

    /// Enters a request in the table that all nodes on this store share; `false` when it is there already.
    pub(super) async fn enter(&self, mark: &str, until: Timestamp) -> Result<bool, StoreError> {
        match self.store.put(REPLAYS, &replay_key(until, mark), None, Vec::new()).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Drops the requests that are too old by now anyway.
    pub(super) async fn forget_replays(&self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let old = self.store.range(REPLAYS, String::from("0")..replay_key(now, ""), PAGE).await?;
            if old.is_empty() {
                return Ok(());
            }
            let deleted = old.iter().map(|record| self.store.delete(REPLAYS, &record.key, record.version));
            for deleted in futures_util::future::join_all(deleted).await {
                match deleted {
                    // Another node on this store was faster.
                    Ok(()) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// All blocks that were kept.
    pub(super) async fn blocks(&self) -> Result<Vec<(KeyId, Block)>, StoreError> {
        let mut blocks = Vec::new();
        let mut from = String::from("0");
        loop {
            // Keys are lower-case hex.
            let page = self.store.range(BLOCKS, from.clone().."g".to_owned(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(blocks) };
            from = format!("{}\u{1}", last.key);
            for record in &page {
                match (record.key.parse(), serde_json::from_slice(&record.bytes)) {
                    (Ok(key), Ok(block)) => blocks.push((key, block)),
                    _ => tracing::warn!(key = record.key, "the record of a blocked key can't be read; it is left out"),
                }
            }
        }
    }

    /// Keeps a block, over an older one.
    pub(super) async fn keep_block(&self, key: KeyId, block: &Block) -> Result<(), StoreError> {
        let (key, bytes) = (key.to_string(), serde_json::to_vec(block).unwrap_or_default());
        loop {
            let there = self.store.get(BLOCKS, &key).await?.map(|record| record.version);
            match self.store.put(BLOCKS, &key, there, bytes.clone()).await {
                Err(StoreError::Conflict { .. }) => {}
                written => return written.map(drop),
            }
        }
    }

    /// Forgets a block.
    pub(super) async fn forget_block(&self, key: KeyId) -> Result<(), StoreError> {
        let key = key.to_string();
        loop {
            let Some(there) = self.store.get(BLOCKS, &key).await? else { return Ok(()) };
            match self.store.delete(BLOCKS, &key, there.version).await {
                Err(StoreError::Conflict { .. }) => {}
                deleted => return deleted,
            }
        }
    }
}

/// In the order of time.
fn replay_key(until: Timestamp, mark: &str) -> String {
    format!("{:015}.{mark}", until.unix_ms().max(0))
}
