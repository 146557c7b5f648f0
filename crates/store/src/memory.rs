//! Since when a store keeps what it is given. A node signs this with every view, so that others do not take for a lie what
//! its operator has had it forget (`docs/protocols/mirrors.md`, *Memory*).

use parallax_core::Timestamp;

use crate::error::StoreError;
use crate::traits::Records;

const NAMESPACE: &str = "memory";
const KEY: &str = "kept-since";

/// How often a change is tried again when somebody else wrote first.
const TRIES: usize = 16;

/// When something was last forgotten; `None` when that was never noted.
pub async fn kept_since(records: &dyn Records) -> Result<Option<Timestamp>, StoreError> {
    let Some(record) = records.get(NAMESPACE, KEY).await? else { return Ok(None) };
    let text = std::str::from_utf8(&record.bytes).unwrap_or_default();
    let damaged = |reason: String| StoreError::Damaged { table: "records", key: format!("{NAMESPACE}/{KEY}"), reason };
    text.parse().map(Some).map_err(|error: parallax_core::BadTimestamp| damaged(error.to_string()))
}

/// Notes that something is being forgotten. It comes before the forgetting, so that a crash between leaves a mark that
/// explains nothing, and never a gap without one. A mark never goes back.
pub async fn note_forgetting(records: &dyn Records, now: Timestamp) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        let known = records.get(NAMESPACE, KEY).await?;
        let before = known.as_ref().and_then(|record| std::str::from_utf8(&record.bytes).ok()?.parse().ok());
        if before.is_some_and(|before: Timestamp| before >= now) {
            return Ok(());
        }
        let version = known.map(|record| record.version);
        match records.put(NAMESPACE, KEY, version, now.to_string().into_bytes()).await {
            Err(StoreError::Conflict { .. }) => {}
            written => return written.map(drop),
        }
    }
    Err(StoreError::Locked { transaction: "write-records" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;

    #[tokio::test]
    async fn a_mark_is_kept_and_never_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("parallax.sqlite")).unwrap();
        assert_eq!(kept_since(&store).await.unwrap(), None);
        for (secs, kept) in [(100, 100), (50, 100), (100, 100), (200, 200)] {
            note_forgetting(&store, Timestamp::from_unix_secs(secs)).await.unwrap();
            assert_eq!(kept_since(&store).await.unwrap(), Some(Timestamp::from_unix_secs(kept)));
        }
        let version = store.get(NAMESPACE, KEY).await.unwrap().unwrap().version;
        store.put(NAMESPACE, KEY, Some(version), b"yesterday".to_vec()).await.unwrap();
        let error = kept_since(&store).await.unwrap_err().to_string();
        assert!(error.contains("memory/kept-since"), "{error}");
        note_forgetting(&store, Timestamp::from_unix_secs(300)).await.unwrap();
        assert!(kept_since(&store).await.unwrap().is_some(), "a damaged mark is written anew");
    }
}
