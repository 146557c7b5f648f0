//! What happens inside one transaction of the writer.

use std::sync::Arc;

use parallax_core::{History, Look};
use rusqlite::Connection;

use super::cache::Cache;
use super::history;
use super::trouble::Trouble;
use crate::error::StoreError;
use crate::traits::Known;

/// What is to become of a service.
#[derive(Debug)]
pub(super) enum ServiceChange {
    Record(Box<Look>),
    Import(History),
    Forget,
}

/// What became of it.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Whether the service was known before.
    pub(super) existed: bool,
    /// What is known now.
    pub(super) known: Option<Arc<Known>>,
}

/// A service and what the cache may now know of it.
type Learned = (String, Option<Arc<Known>>);

/// What one batch did: an outcome for each change, and what the cache may learn once all of it is committed.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) each: Vec<Result<Written, StoreError>>,
    pub(super) learned: Vec<Learned>,
}

/// Applies changes that are sorted by service. Each service is read once and written once, however many changes it has.
pub(super) fn apply(
    connection: &Connection,
    cache: &Cache,
    changes: Vec<(String, ServiceChange)>,
) -> Result<Outcomes, Trouble> {
    let mut outcomes = Outcomes::default();
    let mut changes = changes.into_iter().peekable();
    while let Some((service, change)) = changes.next() {
        let mut entry = Entry::load(connection, cache, service)?;
        outcomes.each.push(entry.apply(change));
        while let Some((_, change)) = changes.next_if(|(service, _)| *service == entry.service) {
            outcomes.each.push(entry.apply(change));
        }
        outcomes.learned.extend(entry.save(connection)?);
    }
    Ok(outcomes)
}

/// One service while its changes are applied.
struct Entry {
    service: String,
    /// What the rows hold, as far as it is to stay.
    stored: Option<Arc<Known>>,
    /// Whether the rows go first.
    wipes: bool,
    /// What is known so far, or why the rows can't be read.
    now: Result<Option<Arc<Known>>, StoreError>,
}

impl Entry {
    fn load(connection: &Connection, cache: &Cache, service: String) -> Result<Self, Trouble> {
        let now = match cache.known(&service) {
            Some(known) => Ok(Some(known)),
            None => match history::load(connection, &service) {
                Ok(known) => Ok(known.map(Arc::new)),
                Err(Trouble::Named(damaged)) => Err(damaged),
                Err(trouble) => return Err(trouble),
            },
        };
        let stored = now.as_ref().ok().cloned().flatten();
        Ok(Self { service, stored, wipes: false, now })
    }

    /// Damaged rows fail the changes that need them and nothing else; forgetting needs none.
    fn apply(&mut self, change: ServiceChange) -> Result<Written, StoreError> {
        if matches!(change, ServiceChange::Forget) {
            let existed = !matches!(self.now, Ok(None));
            (self.stored, self.wipes, self.now) = (None, true, Ok(None));
            return Ok(Written { existed, known: None });
        }
        let known = self.now.clone()?;
        let existed = known.is_some();
        let mut next = known.map_or_else(nothing_known, |known| Known::clone(&known));
        match change {
            ServiceChange::Record(look) => absorb(&mut next, *look),
            ServiceChange::Import(history) => next.history.merge(&history),
            ServiceChange::Forget => {}
        }
        let known = Some(Arc::new(next));
        self.now = Ok(known.clone());
        Ok(Written { existed, known })
    }

    fn save(self, connection: &Connection) -> Result<Option<Learned>, Trouble> {
        if self.wipes {
            history::wipe(connection, &self.service)?;
        }
        let Ok(now) = self.now else { return Ok(None) };
        if let Some(known) = &now {
            history::save(connection, &self.service, self.stored.as_deref(), known)?;
        }
        Ok(Some((self.service, now)))
    }
}

fn nothing_known() -> Known {
    Known { history: History::default(), latest: None }
}

fn absorb(known: &mut Known, look: Look) {
    known.history.absorb(&look);
    if known.latest.as_ref().is_none_or(|latest| latest.now.at < look.now.at) {
        known.latest = Some(look);
    }
}
