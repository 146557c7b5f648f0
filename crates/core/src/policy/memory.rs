//! What a view remembers: the proved timespans that began before this check.

use std::time::Duration;

use smallvec::SmallVec;

use super::condition::{Condition, Conditions};
use crate::evidence::Testimony;
use crate::history::{CONTINUITY, Timespan};
use crate::id::Fingerprint;
use crate::observation::{CaId, Network};
use crate::time::Timestamp;

/// A key is remembered while it was seen within this time.
pub(super) const RECENT: Duration = Duration::from_secs(24 * 3600);
/// A key or CA must have been held this long to be remembered long, or known.
pub(super) const LONG: Duration = Duration::from_secs(72 * 3600);
/// What was last seen before this is no longer remembered long.
pub(super) const FADED: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) struct Memory<'a> {
    /// In the order of first sight.
    spans: SmallVec<[&'a Timespan; 16]>,
    conditions: Conditions,
    now: Timestamp,
}

impl<'a> Memory<'a> {
    pub(super) fn of(view: &'a Testimony, conditions: Conditions, started: Timestamp, now: Timestamp) -> Self {
        let before = |span: &&Timespan| conditions.needs(Condition::MemoryBeforeCheck, span.first_seen < started);
        let mut spans: SmallVec<[&Timespan; 16]> =
            view.history.spans.iter().filter(|span| span.proved).filter(before).collect();
        // They are in order already, unless a vantage point tells them in another.
        if !spans.is_sorted_by_key(|span| span.first_seen) {
            spans.sort_by_key(|span| span.first_seen);
        }
        Self { spans, conditions, now }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The first moment it remembers.
    pub(super) fn begins(&self) -> Option<Timestamp> {
        self.spans.first().map(|span| span.first_seen)
    }

    /// Whether the key was ever met.
    pub(super) fn has(&self, key: Fingerprint) -> bool {
        self.spans.iter().any(|span| span.key == key)
    }

    /// Whether the CA was ever met.
    pub(super) fn has_ca(&self, ca: &CaId) -> bool {
        self.spans.iter().any(|span| span.ca_id == *ca)
    }

    /// Whether the key was seen within a day.
    pub(super) fn remembers(&self, key: Fingerprint) -> bool {
        let recent = self.now.minus(RECENT);
        self.spans.iter().any(|span| span.key == key && span.last_seen >= recent)
    }

    /// Whether the key was held for 72 hours, ending within 30 days.
    pub(super) fn remembers_long(&self, key: Fingerprint) -> bool {
        let faded = self.now.minus(FADED);
        self.runs(|span| span.key == key).any(|run| run.held() >= LONG && run.last >= faded)
    }

    /// Whether a CA was held for 72 hours, or for as long as anything is remembered here.
    pub(super) fn knows(&self, ca: &CaId) -> bool {
        let on = self.conditions;
        let mut runs = self.runs(|span| span.ca_id == *ca);
        runs.any(|run| {
            let from_the_beginning = Some(run.first) == self.begins();
            on.needs(Condition::KnownAfterDays, run.held() >= on.known_after)
                || on.allows(Condition::KnownFromTheBeginning, from_the_beginning)
        })
    }

    /// Whether the CA was met in this network.
    pub(super) fn met_in(&self, ca: &CaId, network: Network) -> bool {
        self.spans.iter().any(|span| span.ca_id == *ca && span.networks.contains(&network))
    }

    /// Spans that follow each other without a longer gap than continuity allows make one run: a CA whose certificates
    /// live for a day is held for as long as they follow each other, and two glimpses three days apart are not held.
    fn runs(&self, wanted: impl Fn(&Timespan) -> bool) -> impl Iterator<Item = Run> {
        let mut spans = self.spans.iter().filter(move |span| wanted(span)).peekable();
        std::iter::from_fn(move || {
            let begun = spans.next()?;
            let mut run = Run { first: begun.first_seen, last: begun.last_seen };
            while let Some(span) = spans.next_if(|span| span.first_seen.since(run.last) <= CONTINUITY) {
                run.last = run.last.max(span.last_seen);
            }
            Some(run)
        })
    }
}

struct Run {
    first: Timestamp,
    last: Timestamp,
}

impl Run {
    fn held(&self) -> Duration {
        self.last.since(self.first)
    }
}
