//! Whom a mirror knows: one entry for each vantage id, however many addresses it has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Fingerprint, Network, Timestamp, VantageId};

use super::event::Reason;
use super::peer::Peer;
use super::pool::Domain;
use super::proving::Forgetting;
use super::rates::Rates;
use super::settings::Settings;
use super::statement::Signatory;
use super::wire::{Ballot, MOST_MIRRORS, Status};
use crate::descriptor::StatementKey;

/// For how long the key before counts after a change.
pub(super) const FORMER_KEY: Duration = Duration::from_secs(300);

/// The domains remembered a day for one mirror; a candidate takes fewer quizzes.
const MOST_DOMAINS: usize = 64;

/// A place in the book. The generation tells apart those who stood there one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot {
    place: u32,
    generation: u32,
}

/// What is known of one mirror.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) peer: Arc<Peer>,
    pub(super) status: Status,
    pub(super) reason: Reason,
    /// Since when it has its status.
    pub(super) since: Timestamp,
    /// When it last answered anything.
    pub(super) heard: Timestamp,
    /// Whether it was active at any time.
    pub(super) proven: bool,
    pub(super) rates: Rates,
    pub(super) trial: Option<Box<Trial>>,
    pub(super) more: Option<Box<More>>,
    today: Today,
}

/// What few mirrors have.
#[derive(Clone, Debug, Default)]
pub(super) struct More {
    /// How the last trial that ended by itself ended.
    pub(super) last_trial: Option<(Timestamp, Ballot)>,
    /// Not suspected again before this.
    pub(super) at_rest_until: Option<Timestamp>,
    /// The wait before the next retest; it starts from where it was when the mirror falls again within a month.
    pub(super) retest_after: Option<Duration>,
    /// When that is due.
    pub(super) retest_due: Option<Timestamp>,
    pub(super) former_key: Option<(StatementKey, Timestamp)>,
    /// What it has forgotten within a month when it was asked about it.
    pub(super) forgettings: Vec<Forgetting>,
}

#[derive(Clone, Debug, Default)]
struct Today {
    day: i32,
    domains: Vec<Domain>,
}

/// A row of quizzes that decides something.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) kind: TrialKind,
    pub(super) number: u64,
    /// Quizzes still to be asked, and how far apart.
    pub(super) left: u16,
    pub(super) gap: Duration,
    /// Quizzes and later looks that are awaited.
    pub(super) pending: u16,
    pub(super) asked: u16,
    pub(super) answered: u16,
    /// Answers that could be compared.
    pub(super) compared: u16,
    pub(super) dissents: u16,
    /// Quizzes that told nothing, through no fault of the mirror's, and are asked again.
    pub(super) repeats: u16,
    /// Requests for removal that wait for its result.
    pub(super) asked_by: Vec<AskedBy>,
}

/// A request for removal that waits for the result of a trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedBy {
    pub(super) removal: Fingerprint,
    pub(super) by: VantageId,
    pub(super) until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrialKind {
    Candidate,
    Suspect,
    Retest,
}

impl Trial {
    pub(super) fn new(kind: TrialKind, number: u64, quizzes: u16, time: Duration) -> Self {
        Self {
            kind,
            number,
            left: quizzes,
            gap: time / u32::from(quizzes.max(1)),
            pending: 0,
            asked: 0,
            answered: 0,
            compared: 0,
            dissents: 0,
            repeats: quizzes,
            asked_by: Vec::new(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == 0 && self.pending == 0
    }

    /// Whether no further quiz could turn it: a liar is not asked on.
    pub(super) fn is_lost(&self) -> bool {
        match self.kind {
            TrialKind::Retest => self.dissents >= 2,
            TrialKind::Suspect => self.dissents >= 2 && self.dissents * 2 >= self.compared,
            TrialKind::Candidate => self.dissents >= 3,
        }
    }

    /// Why it failed, if it did.
    pub(super) fn failure(&self, rates: &Rates, settings: &Settings) -> Option<Reason> {
        let (asked, answered) = (u32::from(self.asked), u32::from(self.answered));
        let (compared, dissents) = (u32::from(self.compared), u32::from(self.dissents));
        let answered_enough = match self.kind {
            TrialKind::Suspect => answered * 2 >= asked,
            TrialKind::Candidate | TrialKind::Retest => answered * 10 >= asked * 7 && asked > 0,
        };
        let dissented = match self.kind {
            TrialKind::Suspect => dissents >= 2 && dissents * 4 >= compared,
            TrialKind::Candidate => dissents >= 3 || dissents * 5 >= compared.max(1),
            TrialKind::Retest => dissents * 4 > compared,
        };
        let habitual = self.kind == TrialKind::Suspect && dissents > 0 && rates.dissents_too_often(settings);
        if !answered_enough {
            Some(Reason::Silent)
        } else if dissented || habitual {
            Some(Reason::Dissents)
        } else if rates.is_slow(settings) {
            Some(Reason::Slow)
        } else if self.kind != TrialKind::Suspect && compared == 0 {
            Some(Reason::Untested)
        } else {
            None
        }
    }
}

impl Mirror {
    pub(super) fn new(peer: Arc<Peer>, status: Status, reason: Reason, now: Timestamp) -> Self {
        Self {
            peer,
            status,
            reason,
            since: now,
            heard: now,
            proven: status == Status::Active,
            rates: Rates::new(now),
            trial: None,
            more: None,
            today: Today::default(),
        }
    }

    pub(super) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Whether this domain has not counted today; notes that it has.
    pub(super) fn counts(&mut self, domain: Domain, day: i32) -> bool {
        if self.today.day != day {
            self.today.day = day;
            self.today.domains.clear();
        }
        let fresh = self.today.domains.len() < MOST_DOMAINS && !self.today.domains.contains(&domain);
        if fresh {
            self.today.domains.push(domain);
        }
        fresh
    }

    pub(super) fn may_be_suspected(&self, now: Timestamp) -> bool {
        let rests = self.more.as_ref().and_then(|more| more.at_rest_until).is_some_and(|until| now < until);
        self.status == Status::Active && self.trial.is_none() && !rests
    }

    /// The keys that its statements may be signed with now.
    pub(super) fn signatories(&self, now: Timestamp) -> impl Iterator<Item = Signatory> {
        let newest = self.peer.signatory();
        let former = self.more.as_ref().and_then(|more| more.former_key).filter(|(_, until)| now <= *until);
        let former = former.map(|(statement_key, _)| Signatory { statement_key, ..newest });
        std::iter::once(newest).chain(former)
    }

    /// Takes a newer descriptor; the key before counts for a while.
    pub(super) fn take(&mut self, newer: Arc<Peer>, now: Timestamp) {
        let before = self.peer.descriptor().statement_key;
        if before != newer.descriptor().statement_key {
            self.more().former_key = Some((before, now.plus(FORMER_KEY)));
        }
        self.peer = newer;
    }
}

/// All mirrors that are known.
#[derive(Debug, Default)]
pub(super) struct Book {
    slots: Vec<Place>,
    free: Vec<u32>,
    /// Looked into for each message: the hash is keyed, as ids are chosen by those who have them.
    by_id: HashMap<VantageId, Slot>,
    /// In the order of their ids.
    in_order: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    mirror: Option<Mirror>,
}

impl Book {
    pub(super) fn slot(&self, vantage: VantageId) -> Option<Slot> {
        self.by_id.get(&vantage).copied()
    }

    pub(super) fn at(&self, slot: Slot) -> Option<&Mirror> {
        let place = self.slots.get(slot.place as usize)?;
        place.mirror.as_ref().filter(|_| place.generation == slot.generation)
    }

    pub(super) fn at_mut(&mut self, slot: Slot) -> Option<&mut Mirror> {
        let place = self.slots.get_mut(slot.place as usize)?;
        place.mirror.as_mut().filter(|_| place.generation == slot.generation)
    }

    pub(super) fn of(&self, vantage: VantageId) -> Option<&Mirror> {
        self.at(self.slot(vantage)?)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// In the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Mirror)> {
        self.in_order.iter().filter_map(|slot| Some((*slot, self.at(*slot)?)))
    }

    /// Adds a mirror; `None` when it is known or the book is full.
    pub(super) fn add(&mut self, mirror: Mirror) -> Option<Slot> {
        let vantage = mirror.peer.vantage();
        if self.by_id.contains_key(&vantage) || self.len() >= MOST_MIRRORS {
            return None;
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.slots.push(Place::default());
                u32::try_from(self.slots.len() - 1).ok()?
            }
        };
        let here = self.slots.get_mut(place as usize)?;
        here.mirror = Some(mirror);
        let slot = Slot { place, generation: here.generation };
        self.by_id.insert(vantage, slot);
        let before = self.before(vantage);
        self.in_order.insert(before, slot);
        Some(slot)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Mirror> {
        let vantage = self.at(slot)?.peer.vantage();
        let before = self.before(vantage);
        let place = self.slots.get_mut(slot.place as usize)?;
        let mirror = place.mirror.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.by_id.remove(&vantage);
        if self.in_order.get(before) == Some(&slot) {
            self.in_order.remove(before);
        }
        self.free.push(slot.place);
        Some(mirror)
    }

    /// How many have a smaller id.
    fn before(&self, vantage: VantageId) -> usize {
        self.in_order.partition_point(|slot| self.at(*slot).is_some_and(|mirror| mirror.peer.vantage() < vantage))
    }

    /// Those that have not been active yet, of one network or of all, the oldest first.
    pub(super) fn unproven(&self, network: Option<Network>) -> Vec<Slot> {
        let is_one = |mirror: &Mirror| !mirror.proven && network.is_none_or(|network| mirror.peer.network() == network);
        let mut found: Vec<(Timestamp, Slot)> =
            self.iter().filter(|(_, mirror)| is_one(mirror)).map(|(slot, mirror)| (mirror.since, slot)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, slot)| slot).collect()
    }
}
