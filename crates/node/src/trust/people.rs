//! The records of people: one each, under its number.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parallax_janus::trust::{SavedPerson, UserId};
use parallax_store::{Records, StoreError, Version};

/// Where they are.
const NAMESPACE: &str = "trust";

/// Records read at once.
const PAGE: usize = 500;

/// The records, with their versions.
pub(super) struct People {
    records: Arc<dyn Records>,
    versions: Mutex<HashMap<u32, Version>>,
}

/// What is there.
pub(super) struct Kept {
    /// In the order of the numbers.
    pub(super) saved: Vec<SavedPerson>,
    /// Numbers of records that can't be read.
    pub(super) unreadable: BTreeSet<u32>,
}

impl People {
    pub(super) fn new(records: Arc<dyn Records>) -> Self {
        Self { records, versions: Mutex::default() }
    }

    /// All that can be read; what can't is named.
    pub(super) async fn load(&self) -> Result<Kept, StoreError> {
        let mut kept = Kept { saved: Vec::new(), unreadable: BTreeSet::new() };
        let mut from = String::from("0");
        loop {
            // Keys are ten digits.
            let page = self.records.range(NAMESPACE, from.clone()..":".to_owned(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(kept) };
            from = format!("{}\u{1}", last.key);
            for record in page {
                let Ok(number) = record.key.parse::<u32>() else {
                    tracing::warn!(
                        key = record.key,
                        "a record of the trust between people has no number; it is left out"
                    );
                    continue;
                };
                self.lock().insert(number, record.version);
                match serde_json::from_slice::<SavedPerson>(&record.bytes) {
                    Ok(person) if person.number == number => kept.saved.push(person),
                    _ => {
                        tracing::warn!(number, "a record of the trust between people can't be read; it is left out");
                        kept.unreadable.insert(number);
                    }
                }
            }
        }
    }

    /// Keeps what is to be kept of a person; of nobody, nothing. Resolves once it is on disk.
    pub(super) async fn keep(&self, person: UserId, saved: Option<SavedPerson>) -> Result<(), StoreError> {
        let number = u32::try_from(person.index()).unwrap_or(u32::MAX);
        let key = format!("{number:010}");
        let known = self.lock().get(&number).copied();
        let written = match self.write(&key, known, saved.as_ref()).await {
            // Another program wrote it; what this node knows now is newer all the same.
            Err(StoreError::Conflict { found, .. }) => self.write(&key, found, saved.as_ref()).await?,
            written => written?,
        };
        match written {
            Some(version) => drop(self.lock().insert(number, version)),
            None => drop(self.lock().remove(&number)),
        }
        Ok(())
    }

    async fn write(
        &self,
        key: &str,
        expected: Option<Version>,
        saved: Option<&SavedPerson>,
    ) -> Result<Option<Version>, StoreError> {
        match (saved, expected) {
            (Some(saved), expected) => {
                let bytes = serde_json::to_vec(saved).unwrap_or_default();
                self.records.put(NAMESPACE, key, expected, bytes).await.map(Some)
            }
            (None, Some(expected)) => self.records.delete(NAMESPACE, key, expected).await.map(|()| None),
            (None, None) => Ok(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Version>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
