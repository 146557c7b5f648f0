//! The mails that wait, in the order in which they are due.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use parallax_core::Timestamp;
use parallax_janus::Confirmation;

use super::LONGEST_WAIT;
use super::parcel::Parcel;

/// A mail in the queue.
pub(super) struct Waiting {
    pub(super) name: String,
    pub(super) parcel: Parcel,
    /// Of an order's first mail; its secrets are nowhere else.
    pub(super) confirmation: Option<Confirmation>,
    /// How often the server asked to come again for this very mail.
    pub(super) put_off: u32,
}

/// The mails that wait.
#[derive(Default)]
pub(super) struct Queue {
    /// By when they are due, and the order in which they came.
    pub(super) due: BTreeMap<(Timestamp, u64), Waiting>,
    /// Names of those that the server has not been asked about yet.
    pub(super) untried: HashSet<String>,
    next: u64,
    pub(super) failing: bool,
    /// Places given to mails that are being written to disk.
    pub(super) promised: usize,
}

impl Queue {
    pub(super) fn put(&mut self, at: Timestamp, waiting: Waiting) {
        self.due.insert((at, self.next), waiting);
        self.next += 1;
    }

    /// How long until one is due; `None` when one is.
    pub(super) fn first_due(&self, now: Timestamp) -> Option<Duration> {
        match self.due.first_key_value() {
            Some(((at, _), _)) if *at <= now => None,
            Some(((at, _), _)) => Some(at.since(now).max(Duration::from_millis(1))),
            None => Some(LONGEST_WAIT),
        }
    }

    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Waiting> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let waiting = first.remove();
        self.untried.remove(&waiting.name);
        Some(waiting)
    }

    /// Those whose time is over, and whether their turn never came.
    pub(super) fn take_expired(&mut self, now: Timestamp) -> Vec<(Waiting, bool)> {
        let expired: Vec<_> = self.due.iter().filter(|(_, one)| one.parcel.until <= now).map(|(key, _)| *key).collect();
        let taken = expired.iter().filter_map(|key| self.due.remove(key));
        taken
            .map(|one| {
                let untried = self.untried.remove(&one.name);
                (one, untried)
            })
            .collect()
    }
}
