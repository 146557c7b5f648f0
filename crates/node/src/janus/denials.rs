//! The deny list of this node: what stands on it, and how it goes out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use parallax_core::{Fingerprint, Timestamp};
use parallax_janus::{Denied, pem_of};
use parallax_proto::janus::{CA_FORMAT, CA_LIFE, CaList, MOST_DENIED};
use parallax_proto::mirror::sign;
use parallax_store::StoreError;
use tokio::sync::watch;

use super::Believed;
use super::books::Books;
use super::keys::AuthorityKeys;
use crate::app::Shared;
use crate::views::SignedBytes;

/// Keys that count no more, and the lists that say so.
pub(super) struct Denials {
    keys: Mutex<BTreeMap<Fingerprint, Timestamp>>,
    /// One at a time changes records and keys together.
    changing: tokio::sync::Mutex<()>,
    believed: watch::Sender<Arc<Believed>>,
    signed: RwLock<Option<SignedBytes>>,
}

/// Why a key is not put on the list.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDenied {
    #[error("the deny list is full (100000 keys); keys leave it when their certificates have ended")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Denials {
    /// Takes up what an earlier run kept.
    pub(super) async fn open(books: &Books) -> Result<Self, StoreError> {
        let keys = Mutex::new(books.denied().await?.into_iter().collect());
        Ok(Self {
            keys,
            changing: tokio::sync::Mutex::default(),
            believed: watch::Sender::default(),
            signed: RwLock::default(),
        })
    }

    pub(super) fn watch(&self) -> watch::Receiver<Arc<Believed>> {
        self.believed.subscribe()
    }

    /// `GET /v1/ca` as it goes out.
    pub(super) fn signed(&self) -> Option<SignedBytes> {
        self.signed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn contains(&self, key: &Fingerprint) -> bool {
        self.lock().contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The first `limit` keys, with when they leave the list.
    pub(super) fn first(&self, limit: usize) -> Vec<(Fingerprint, Timestamp)> {
        self.lock().iter().take(limit).map(|(key, until)| (*key, *until)).collect()
    }

    /// Puts keys on the list, on disk first. It holds once [`Denials::publish`] was called.
    pub(super) async fn deny(&self, books: &Books, denied: &[(Fingerprint, Timestamp)]) -> Result<(), NotDenied> {
        let _changing = self.changing.lock().await;
        for (key, until) in denied {
            let known = {
                let keys = self.lock();
                if keys.len() >= MOST_DENIED && !keys.contains_key(key) {
                    return Err(NotDenied::Full);
                }
                keys.get(key).copied()
            };
            let until = known.map_or(*until, |known| known.max(*until));
            books.deny(*key, until).await?;
            self.lock().insert(*key, until);
        }
        Ok(())
    }

    /// Takes off what has ended; whether that changed anything.
    pub(super) async fn sweep(&self, books: &Books, now: Timestamp) -> Result<bool, StoreError> {
        let _changing = self.changing.lock().await;
        let ended: Vec<Fingerprint> =
            self.lock().iter().filter(|(_, until)| **until < now).map(|(key, _)| *key).collect();
        for key in &ended {
            books.undeny(*key).await?;
            self.lock().remove(key);
        }
        Ok(!ended.is_empty())
    }

    /// Makes the lists anew. Under the lock, so that an older one never follows a newer.
    pub(super) fn publish(&self, authority: &AuthorityKeys, shared: &Shared, now: Timestamp) {
        let keys = self.lock();
        let until = now.plus(CA_LIFE);
        let roots = vec![authority.authority.root().to_vec()];
        match Denied::new(keys.keys().copied(), now, until) {
            Ok(denied) => drop(self.believed.send_replace(Arc::new(Believed { roots: roots.clone(), denied }))),
            Err(error) => return tracing::error!(%error, "the deny list can't be renewed"),
        }
        let list = CaList {
            format: CA_FORMAT.into(),
            vantage: shared.identity.vantage(),
            issued_at: now,
            valid_until: until,
            roots: roots.iter().map(|root| pem_of([root])).collect(),
            issuing: authority.authority.certificates().map(|der| pem_of([der])).collect(),
            keys: keys.keys().copied().collect(),
        };
        shared.metrics.signatures.inc();
        shared.metrics.janus.denied.set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
        match sign(&list, shared.identity.statement()).ok().and_then(SignedBytes::new) {
            Some(signed) => *self.signed.write().unwrap_or_else(PoisonError::into_inner) = Some(signed),
            None => tracing::error!("the statement key could not sign the deny list"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Fingerprint, Timestamp>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
