//! Where a scan takes its services from.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use parallax_core::ServiceId;
use parallax_store::{HistoryStore as _, Listing, SqliteStore};
use tokio::sync::mpsc;

use crate::commands::store::failed;
use crate::failure::Failure;
use crate::lines::ServiceLine;
use crate::progress::Many;

/// Services of the store that are read ahead. Few: what is removed while a scan goes on is not to be looked at and known
/// again.
const AHEAD: usize = 100;

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Service(ServiceId),
    /// It was named before.
    Duplicate,
    /// The line of this number names no service.
    Bad(usize, String),
}

/// The services of a list, each once, or those that are known.
pub(super) enum Source<'a> {
    List {
        lines: mpsc::Receiver<ServiceLine>,
        /// Eight bytes a service, under a key that no list can aim at.
        named: HashSet<u64>,
        hasher: RandomState,
    },
    Store {
        store: &'a SqliteStore,
        progress: &'a Many,
        /// The page after next; `None` behind the last one.
        listing: Option<Listing>,
        page: VecDeque<ServiceId>,
    },
}

impl<'a> Source<'a> {
    pub(super) fn list(lines: mpsc::Receiver<ServiceLine>) -> Self {
        Self::List { lines, named: HashSet::new(), hasher: RandomState::new() }
    }

    pub(super) fn store(store: &'a SqliteStore, progress: &'a Many) -> Self {
        let listing = Some(Listing { limit: AHEAD, ..Listing::default() });
        Self::Store { store, progress, listing, page: VecDeque::new() }
    }

    /// `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Item, Failure>> {
        match self {
            Self::List { lines, named, hasher } => {
                let ServiceLine { number, service } = lines.recv().await?;
                Some(Ok(match service {
                    Err(why) => Item::Bad(number, why),
                    Ok(service) if !named.insert(hasher.hash_one(&service)) => Item::Duplicate,
                    Ok(service) => Item::Service(service),
                }))
            }
            Self::Store { store, progress, listing, page } => loop {
                if let Some(service) = page.pop_front() {
                    return Some(Ok(Item::Service(service)));
                }
                let mut wanted = listing.take()?;
                match store.services(wanted.clone()).await {
                    Ok(found) => {
                        progress.more(found.len());
                        *listing = wanted.advance(&found).then_some(wanted);
                        page.extend(found.into_iter().map(|row| row.service));
                    }
                    Err(error) => return Some(Err(failed(error))),
                }
            },
        }
    }
}
