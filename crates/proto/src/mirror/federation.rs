//! The state machine of one mirror: events in, actions and the next deadline out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use parallax_core::{ServiceId, Suite, Timestamp, VantageId};
use rand_core::Rng;

use super::book::{Book, Mirror, Slot};
use super::budget::{Allowance, Recent};
use super::event::{Action, Event, MeetId, Reason, Refused, RoundId};
use super::joining::Meeting;
use super::peer::Peer;
use super::pool::{Pool, PopularNames};
use super::random::{below, shuffle};
use super::removing::{Ballots, Case};
use super::rounds::{Recheck, Round};
use super::settings::Settings;
use super::statement::Signatory;
use super::under_way::UnderWay;
use super::wire::{Measurements, Status};
use crate::descriptor::StatementKey;

/// Addresses that were met on a stranger's word and are remembered.
const MOST_ADDRESSES_MET: usize = 8_192;

/// Tries for each mirror that is drawn.
const TRIES: usize = 8;

/// Targets of reports that are remembered.
const MOST_TARGETS: usize = 4_096;

/// How a mirror takes part in the federation. It does no I/O and reads no clock: see [`Event`] and [`Action`].
pub struct Federation {
    pub(super) me: VantageId,
    /// With which key views of mine are verified when a report brings them back.
    pub(super) my_key: StatementKey,
    /// Shared: a simulation has thousands of these.
    pub(super) settings: Arc<Settings>,
    pub(super) suite: Arc<dyn Suite>,
    pub(super) book: Book,
    pub(super) pool: Pool,
    pub(super) agenda: Agenda,
    /// Messages sent today.
    pub(super) budget: Allowance,
    pub(super) rounds: UnderWay<Round>,
    /// Dissents that wait.
    pub(super) rechecks: UnderWay<Recheck>,
    /// Those that my look will judge, and since when it is awaited.
    pub(super) later_looks: UnderWay<(Timestamp, Recheck)>,
    /// Pings under way that belong to no round.
    pub(super) pings: UnderWay<(Slot, Timestamp)>,
    pub(super) pings_begun: bool,
    /// Whom health checks come to, in an order that is drawn anew whenever it is through.
    pub(super) rotation: Vec<Slot>,
    pub(super) rotation_next: usize,
    /// Mirrors came that are not in it.
    pub(super) rotation_is_stale: bool,
    pub(super) meetings: BTreeMap<MeetId, Meeting>,
    pub(super) waiting: VecDeque<Meeting>,
    pub(super) meets: Allowance,
    pub(super) addresses: Recent<std::net::IpAddr>,
    pub(super) targets: Recent<ServiceId>,
    pub(super) report_rounds: Allowance,
    pub(super) cases: HashMap<Slot, Case>,
    pub(super) ballots: Ballots,
    pub(super) next_number: u64,
}

/// What is due, and when. An entry that is no longer true is passed over when it comes up.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Entry>,
    entries: u64,
}

/// The heap's greatest is the earliest, and of one moment the one that came first.
#[derive(Debug)]
struct Entry {
    at: Timestamp,
    number: u64,
    due: Due,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// Health checks.
    Visit,
    /// Pings of anybody.
    Ping,
    /// The next quiz of a trial: whose, and which trial.
    Quiz(Slot, u64),
    /// A ping of one under test: whose, and which trial.
    TrialPing(Slot, u64),
    /// A retest of an inactive mirror.
    Retest(Slot),
    /// The later look that judges a dissent.
    Recheck(RoundId),
    /// Votes about a mirror are to be fetched, and in which case.
    Case(Slot, u64),
    /// Strangers wait to be met.
    Meeting,
    /// Another's list.
    List,
    /// The silent are forgotten, and measurements persisted.
    Housekeeping,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Timestamp, due: Due) {
        self.entries += 1;
        self.heap.push(Entry { at, number: self.entries, due });
    }

    fn next(&self) -> Option<Timestamp> {
        self.heap.peek().map(|entry| entry.at)
    }

    fn pop(&mut self, now: Timestamp) -> Option<Due> {
        (self.next()? <= now).then(|| self.heap.pop()).flatten().map(|entry| entry.due)
    }
}

/// What a mirror thinks of another, for its operator and for lists.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The mirror.
    pub peer: Arc<Peer>,
    /// What this mirror thinks of it.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Timestamp,
    /// What this mirror measured.
    pub measurements: Measurements,
    /// The share of agreement, exponentially weighted: 0 to 1.
    pub agreement: f32,
    /// When it is tested again, if it is inactive.
    pub retest: Option<Timestamp>,
}

/// The work of one event: where actions go, what time it is, and chance.
pub(super) struct Work<'a> {
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut dyn Rng,
    pub(super) out: &'a mut Vec<Action>,
}

impl Federation {
    /// A mirror that knows nobody.
    pub fn new(
        me: Signatory,
        settings: impl Into<Arc<Settings>>,
        popular: PopularNames,
        suite: Arc<dyn Suite>,
        now: Timestamp,
    ) -> Self {
        let settings = settings.into();
        let minute = settings.day / 1440;
        let mut agenda = Agenda::default();
        agenda.add(now, Due::Visit);
        agenda.add(now, Due::Ping);
        agenda.add(now.plus(settings.list_every), Due::List);
        agenda.add(now.plus(settings.persist_every), Due::Housekeeping);
        Self {
            me: me.vantage,
            my_key: me.statement_key,
            suite,
            book: Book::default(),
            pool: Pool::new(popular),
            agenda,
            budget: Allowance::new(settings.messages_a_day, settings.day, now),
            rounds: UnderWay::new(),
            rechecks: UnderWay::new(),
            later_looks: UnderWay::new(),
            pings: UnderWay::new(),
            pings_begun: false,
            rotation: Vec::new(),
            rotation_next: 0,
            rotation_is_stale: false,
            meetings: BTreeMap::new(),
            waiting: VecDeque::new(),
            meets: Allowance::new(settings.meets_a_minute, minute, now),
            addresses: Recent::new(MOST_ADDRESSES_MET),
            targets: Recent::new(MOST_TARGETS),
            report_rounds: Allowance::new(super::reporting::MOST_ROUNDS_A_MINUTE, minute, now),
            cases: HashMap::new(),
            ballots: Ballots::new(&settings, now),
            next_number: 0,
            settings,
        }
    }

    /// Takes the first list, which others agreed on (see [`super::consensus()`]): without one there is nobody to ask. What
    /// is known already stays as it is.
    pub fn adopt(&mut self, peers: impl IntoIterator<Item = Arc<Peer>>, now: Timestamp) {
        for peer in peers {
            if peer.vantage() != self.me {
                self.book.add(Mirror::new(peer, Status::Active, Reason::Known, now));
                self.rotation_is_stale = true;
            }
        }
    }

    /// Takes an event. What is to be done is added to `out`. An event that is refused changed nothing.
    pub fn handle(
        &mut self,
        event: Event,
        now: Timestamp,
        rng: &mut dyn Rng,
        out: &mut Vec<Action>,
    ) -> Result<(), Refused> {
        let work = &mut Work { now, rng, out };
        let result = match event {
            Event::Tick => Ok(()),
            Event::NameAsked { service, domain, client } => {
                self.pool.count(service, &domain, client, now, &self.settings);
                Ok(())
            }
            Event::JoinReceived { peer, hop } => self.join(peer, hop, work),
            Event::Met { meet, result } => self.met(meet, result, work),
            Event::Looked { round, look } => self.looked(round, look, work),
            Event::QuizAnswered { quiz, answer, took } => self.answered(quiz, answer, took, work),
            Event::PingAnswered { ping, took } => self.ponged(ping, took, work),
            Event::ReportReceived { report } => self.reported(report, work),
            Event::RemovalAsked { removal } => self.removal_asked(removal, work),
            Event::VoteReceived { vote } => self.vote_received(vote, work),
            Event::OperatorWishes { subject, wish } => self.wished(subject, wish, work),
            Event::ListReceived { from, newcomers } => self.list_received(from, newcomers, work),
        };
        self.give_up_the_old(work);
        while let Some(due) = self.agenda.pop(now) {
            self.do_what_is_due(due, work);
        }
        result
    }

    /// When [`Event::Tick`] is wanted at the latest.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.agenda.next().into_iter().chain(self.end_of_patience()).min()
    }

    fn do_what_is_due(&mut self, due: Due, work: &mut Work<'_>) {
        match due {
            Due::Visit => self.visit(work),
            Due::Ping => self.ping_some(work),
            Due::Quiz(slot, trial) => self.quiz(slot, trial, work),
            Due::TrialPing(slot, trial) => self.ping_tried(slot, trial, work),
            Due::Retest(slot) => self.retest(slot, work),
            Due::Recheck(round) => self.recheck(round, work),
            Due::Case(subject, case) => self.poll(subject, case, work),
            Due::Meeting => self.meet_the_waiting(work),
            Due::List => self.fetch_a_list(work),
            Due::Housekeeping => self.keep_house(work),
        }
    }

    /// The own statement key has changed.
    pub fn rekey(&mut self, statement_key: StatementKey) {
        self.my_key = statement_key;
    }

    /// Whose state this is.
    pub fn vantage(&self) -> VantageId {
        self.me
    }

    /// What this mirror thinks of another.
    pub fn standing(&self, vantage: VantageId) -> Option<Standing> {
        self.book.of(vantage).map(|mirror| standing(mirror, self.now_of(mirror)))
    }

    /// The status of one.
    pub fn status(&self, vantage: VantageId) -> Option<Status> {
        self.book.of(vantage).map(|mirror| mirror.status)
    }

    /// All that are known, in the order of their ids.
    pub fn standings(&self) -> impl Iterator<Item = Standing> + '_ {
        self.book.iter().map(|(_, mirror)| standing(mirror, self.now_of(mirror)))
    }

    /// The status of each that is known, in the order of their ids.
    pub fn statuses(&self) -> impl Iterator<Item = (&Arc<Peer>, Status)> {
        self.book.iter().map(|(_, mirror)| (&mirror.peer, mirror.status))
    }

    /// Messages sent on the day that runs.
    pub fn sent_today(&self) -> u32 {
        self.budget.used()
    }

    fn now_of(&self, mirror: &Mirror) -> Timestamp {
        mirror.heard.max(mirror.since)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(super) fn day(&self, now: Timestamp) -> i32 {
        let day = i64::try_from(self.settings.day.as_millis()).unwrap_or(i64::MAX).max(1);
        i32::try_from(now.unix_ms().div_euclid(day)).unwrap_or(i32::MAX)
    }

    /// Sets a status, and says so.
    pub(super) fn set_status(&mut self, slot: Slot, status: Status, reason: Reason, work: &mut Work<'_>) {
        let Some(mirror) = self.book.at_mut(slot) else { return };
        let vantage = mirror.peer.vantage();
        if mirror.status != status {
            mirror.since = work.now;
        }
        (mirror.status, mirror.reason) = (status, reason);
        mirror.proven |= status == Status::Active;
        work.out.push(Action::Notify { vantage, status, reason });
        work.out.push(Action::Persist(vantage));
    }

    /// Active mirrors in a random order, at most one a network and operator, without `except`.
    pub(super) fn draw(&mut self, most: usize, except: Option<Slot>, work: &mut Work<'_>) -> Vec<Slot> {
        if self.rotation.is_empty() || self.rotation_is_stale {
            self.draw_rotation(work);
        }
        let mut drawn: Vec<Slot> = Vec::with_capacity(most);
        if self.rotation.len() <= most * TRIES {
            let mut pool = self.rotation.clone();
            shuffle(work.rng, &mut pool);
            pool.into_iter().for_each(|slot| self.draw_one(slot, most, except, &mut drawn));
        } else {
            // Of many, a few at random do: looking at all of them costs more than what is asked of those drawn.
            for _ in 0..most * TRIES {
                let Some(slot) = self.any_of(&self.rotation, work.rng) else { break };
                self.draw_one(slot, most, except, &mut drawn);
            }
        }
        drawn
    }

    fn draw_one(&self, slot: Slot, most: usize, except: Option<Slot>, drawn: &mut Vec<Slot>) {
        let fits = drawn.len() < most && Some(slot) != except && !drawn.contains(&slot);
        let is_active = || self.book.at(slot).is_some_and(|mirror| mirror.status == Status::Active);
        if fits && is_active() && drawn.iter().all(|other| self.are_apart(*other, slot)) {
            drawn.push(slot);
        }
    }

    fn are_apart(&self, one: Slot, other: Slot) -> bool {
        let (Some(one), Some(other)) = (self.book.at(one), self.book.at(other)) else { return false };
        let same_operator = one.peer.operator().is_some() && one.peer.operator() == other.peer.operator();
        !same_operator && one.peer.networks().iter().all(|network| !other.peer.networks().contains(network))
    }

    fn fetch_a_list(&mut self, work: &mut Work<'_>) {
        self.agenda.add(work.now.plus(self.settings.list_every), Due::List);
        let Some(slot) = self.draw(1, None, work).pop() else { return };
        if let Some(mirror) = self.book.at(slot)
            && self.budget.take(1, 15, work.now)
        {
            work.out.push(Action::FetchList { from: mirror.peer.vantage() });
        }
    }

    /// Once a day: measurements are persisted, and who was silent for 90 days is gone.
    fn keep_house(&mut self, work: &mut Work<'_>) {
        self.agenda.add(work.now.plus(self.settings.persist_every), Due::Housekeeping);
        let known: Vec<Slot> = self.book.iter().map(|(slot, _)| slot).collect();
        for slot in known {
            let Some(mirror) = self.book.at(slot) else { continue };
            let vantage = mirror.peer.vantage();
            let silent = work.now.since(mirror.heard) >= self.settings.gone_after;
            match (silent, mirror.status) {
                // Nobody remembers for ever who was here.
                (true, Status::Gone) if work.now.since(mirror.since) >= self.settings.gone_after => {
                    self.book.remove(slot);
                    work.out.push(Action::Persist(vantage));
                }
                (true, Status::Active | Status::Inactive | Status::Candidate) => {
                    self.end_trial(slot);
                    self.set_status(slot, Status::Gone, Reason::Forgotten, work);
                }
                _ => work.out.push(Action::Persist(vantage)),
            }
        }
    }

    pub(super) fn any_of<T: Copy>(&self, items: &[T], rng: &mut dyn Rng) -> Option<T> {
        items.get(below(rng, items.len())).copied()
    }
}

fn standing(mirror: &Mirror, now: Timestamp) -> Standing {
    Standing {
        peer: Arc::clone(&mirror.peer),
        status: mirror.status,
        reason: mirror.reason,
        since: mirror.since,
        measurements: mirror.rates.measurements(now),
        agreement: mirror.rates.agreement(),
        retest: mirror.more.as_ref().and_then(|more| more.retest_due),
    }
}

impl std::fmt::Debug for Federation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Federation").field("me", &self.me).field("known", &self.book.len()).finish_non_exhaustive()
    }
}
