//! Removal: who notices a failing asks several peers; they test by themselves and vote; the asker conforms to the
//! majority. Each changes only its own list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parallax_core::{Fingerprint, Timestamp, VantageId};

use super::book::{AskedBy, Slot, TrialKind};
use super::budget::{Allowance, Recent};
use super::event::{Action, Event, Reason, Refused};
use super::federation::{Due, Federation, Work};
use super::settings::Settings;
use super::statement::body_of;
use super::wire::{
    Ballot, LARGEST_REMOVAL, Proof, REMOVAL_FORMAT, REMOVAL_LIFE, Removal, RemovalWith, Status, Unread, VOTE_FORMAT,
    Vote, removal_id,
};
use crate::signed::{Signed, Verified};

/// Requests of one's own that are under way.
const MOST_CASES: usize = 512;

/// Requests of others that are remembered.
const MOST_BALLOTS: usize = 8_192;

/// Whose requests were refuted so many times in a row is heard once a day.
const REFUTED: u8 = 3;

/// A request for removal of one's own. There is one at most about a mirror.
#[derive(Debug)]
pub(super) struct Case {
    number: u64,
    removal: Fingerprint,
    reason: Reason,
    asked: Vec<VantageId>,
    votes: BTreeMap<VantageId, Ballot>,
    polls: u8,
}

/// Requests of others.
#[derive(Debug)]
pub(super) struct Ballots {
    seen: Recent<Fingerprint>,
    each: HashMap<VantageId, Asker>,
    tests: Allowance,
}

/// One who asks.
#[derive(Debug)]
struct Asker {
    today: Allowance,
    /// Requests in a row that my own tests refuted.
    refuted: u8,
}

impl Ballots {
    pub(super) fn new(settings: &Settings, now: Timestamp) -> Self {
        Self {
            seen: Recent::new(MOST_BALLOTS),
            each: HashMap::new(),
            tests: Allowance::new(settings.removal_tests, settings.day, now),
        }
    }

    /// One asker's share of a day: one request, for whoever was wrong the last few times. That is no rating of the mirror
    /// (its answers are none the worse for it) but of what its requests cost.
    fn takes(&mut self, asker: VantageId, settings: &Settings, now: Timestamp) -> bool {
        let share = || Asker { today: Allowance::new(settings.removals_each, settings.day, now), refuted: 0 };
        let asker = self.each.entry(asker).or_insert_with(share);
        let is_heard = asker.refuted < REFUTED || asker.today.used_at(now) == 0;
        is_heard && asker.today.take(1, 0, now)
    }

    /// What came of a test that somebody asked for.
    pub(super) fn was(&mut self, asker: VantageId, ballot: Ballot) {
        if let Some(asker) = self.each.get_mut(&asker) {
            asker.refuted = if ballot == Ballot::Keep { asker.refuted.saturating_add(1) } else { 0 };
        }
    }
}

impl Federation {
    /// Asks peers about a mirror that failed here; whether there are any to ask.
    pub(super) fn ask_for_removal(
        &mut self,
        slot: Slot,
        reason: Reason,
        proof: Option<Proof>,
        work: &mut Work<'_>,
    ) -> bool {
        if self.cases.contains_key(&slot) || self.cases.len() >= MOST_CASES {
            return false;
        }
        let voters = self.draw(self.settings.voters, Some(slot), work);
        let Some(mirror) = self.book.at(slot) else { return false };
        if voters.len() < self.settings.least_votes {
            return false;
        }
        let removal = Removal {
            format: REMOVAL_FORMAT.into(),
            vantage: self.me,
            issued_at: work.now,
            valid_until: work.now.plus(REMOVAL_LIFE),
            subject: mirror.peer.vantage(),
            reason: reason.sentence().into(),
            measurements: mirror.rates.measurements(work.now),
            proof,
        };
        let Some(body) = body_within_bounds(removal) else { return false };
        let id = removal_id(&*self.suite, &body);
        let body: Arc<str> = body.into();
        let mut asked = Vec::with_capacity(voters.len());
        for voter in voters {
            let Some(to) = self.book.at(voter).map(|mirror| mirror.peer.vantage()) else { continue };
            if self.budget.take(1, 0, work.now) {
                work.out.push(Action::AskRemoval { removal: id, body: Arc::clone(&body), to });
                asked.push(to);
            }
        }
        let number = self.number();
        let case = Case { number, removal: id, reason, asked, votes: BTreeMap::new(), polls: 0 };
        self.cases.insert(slot, case);
        self.agenda.add(work.now.plus(self.settings.vote_time / 6), Due::Case(slot, number));
        true
    }

    /// Fetches the votes that are missing, a bounded number of times; then what is there decides.
    pub(super) fn poll(&mut self, subject: Slot, number: u64, work: &mut Work<'_>) {
        let Some(case) = self.cases.get_mut(&subject).filter(|case| case.number == number) else { return };
        if case.polls >= self.settings.vote_polls {
            return self.decide(subject, work);
        }
        let removal = case.removal;
        case.polls += 1;
        for from in case.asked.iter().filter(|voter| !case.votes.contains_key(voter)) {
            if self.budget.take(1, 0, work.now) {
                work.out.push(Action::FetchVote { removal, from: *from });
            }
        }
        self.agenda.add(work.now.plus(self.settings.vote_time), Due::Case(subject, number));
    }

    pub(super) fn vote_received(&mut self, vote: Signed, work: &mut Work<'_>) -> Result<(), Refused> {
        let vote = self.verify_known::<Vote>(vote, |vote| Event::VoteReceived { vote }, work)?.into_content();
        let Some(subject) = self.book.slot(vote.subject) else { return Ok(()) };
        let case = self.cases.get_mut(&subject).filter(|case| case.removal == vote.removal);
        let Some(case) = case else { return Ok(()) };
        if case.asked.contains(&vote.vantage) && vote.measurements.is_something() {
            case.votes.entry(vote.vantage).or_insert(vote.vote);
            // The rest could not change it.
            let sure = [Ballot::Keep, Ballot::Remove].iter().any(|ballot| case.count(*ballot) * 2 > case.asked.len());
            if case.votes.len() == case.asked.len() || sure {
                self.decide(subject, work);
            }
        }
        Ok(())
    }

    /// Conforms to the majority; fewer than three votes, or a tie, keep.
    fn decide(&mut self, subject: Slot, work: &mut Work<'_>) {
        let Some(case) = self.cases.remove(&subject) else { return };
        let (keep, remove) = (case.count(Ballot::Keep), case.count(Ballot::Remove));
        let removed = keep + remove >= self.settings.least_votes && remove > keep;
        let is_active = self.book.at(subject).is_some_and(|mirror| mirror.status == Status::Active);
        if removed && is_active {
            self.end_trial(subject);
            self.fall(subject, case.reason, work);
        }
    }

    /// Another asks about a mirror: my own tests answer, at the ordinary rate.
    pub(super) fn removal_asked(&mut self, removal: Signed, work: &mut Work<'_>) -> Result<(), Refused> {
        let id = removal_id(&*self.suite, &removal.body);
        let again = |removal| Event::RemovalAsked { removal };
        let removal = self.verify_known::<RemovalWith<Unread>>(removal, again, work)?;
        let (asker, subject) = (removal.content().vantage, removal.content().subject);
        if self.book.of(asker).is_none_or(|mirror| mirror.status != Status::Active) {
            return Err(Refused::NotActive(asker));
        }
        if subject == self.me {
            return Err(Refused::Myself);
        }
        let subject = self.book.slot(subject).ok_or(Refused::Unknown(subject))?;
        if !self.ballots.seen.note(id, REMOVAL_LIFE, work.now) {
            return Ok(());
        }
        if !self.ballots.takes(asker, &self.settings, work.now) {
            return Err(Refused::TooMany { retry_after_secs: self.settings.day.as_secs() });
        }
        self.take_up(id, &removal, subject, work)
    }

    fn take_up(
        &mut self,
        id: Fingerprint,
        removal: &Verified<RemovalWith<Unread>>,
        subject: Slot,
        work: &mut Work<'_>,
    ) -> Result<(), Refused> {
        let until = removal.content().valid_until;
        let asked = AskedBy { removal: id, by: removal.content().vantage, until };
        let known = self.cases.get(&subject);
        if known.is_some_and(|case| case.reason == Reason::Equivocation) {
            // Proved here already.
            self.vote(id, until, subject, Ballot::Remove, work);
            return Ok(());
        }
        let proof = if self.is_provable(subject, work.now) { removal.proof()? } else { None };
        if let Some(proof) = proof.filter(|proof| self.holds(proof, subject, work.now)) {
            self.vote(id, until, subject, Ballot::Remove, work);
            self.proved(subject, proof, work);
            return Ok(());
        }
        let Some(mirror) = self.book.at_mut(subject) else { return Ok(()) };
        let fresh = self.settings.day;
        let last = mirror.more.as_ref().and_then(|more| more.last_trial);
        match (mirror.status, last, mirror.trial.as_deref_mut()) {
            // The operator's wish is no measurement.
            (Status::Inactive, ..) if mirror.reason == Reason::Dropped => {}
            // Removed here already: that is what my tests said.
            (Status::Inactive | Status::Gone, ..) => self.vote(id, until, subject, Ballot::Remove, work),
            (Status::Active, Some((at, ballot)), _) if work.now.since(at) < fresh => {
                self.vote(id, until, subject, ballot, work);
            }
            (Status::Active, _, Some(trial)) => trial.asked_by.push(asked),
            (Status::Active, _, None) if self.ballots.tests.take(1, 0, work.now) => {
                let (quizzes, time) = (self.settings.suspect_quizzes, self.settings.suspect_time);
                self.start_trial(subject, TrialKind::Suspect, quizzes, time, work);
                let trial = self.book.at_mut(subject).and_then(|mirror| mirror.trial.as_deref_mut());
                trial.into_iter().for_each(|trial| trial.asked_by.push(asked));
            }
            (Status::Active | Status::Candidate, ..) => {}
        }
        Ok(())
    }

    /// What my own measurements say, for whoever asked. Without measurements there is no vote.
    pub(super) fn vote(
        &mut self,
        removal: Fingerprint,
        until: Timestamp,
        subject: Slot,
        ballot: Ballot,
        work: &mut Work<'_>,
    ) {
        let Some(mirror) = self.book.at(subject) else { return };
        let measurements = mirror.rates.measurements(work.now);
        if !measurements.is_something() || work.now > until {
            return;
        }
        let vote = Vote {
            format: VOTE_FORMAT.into(),
            vantage: self.me,
            issued_at: work.now,
            valid_until: until.min(work.now.plus(REMOVAL_LIFE)),
            removal,
            subject: mirror.peer.vantage(),
            vote: ballot,
            measurements,
        };
        if let Ok(body) = body_of(&vote) {
            work.out.push(Action::Vote { removal, body, until });
        }
    }
}

impl Case {
    fn count(&self, ballot: Ballot) -> usize {
        self.votes.values().filter(|vote| **vote == ballot).count()
    }
}

/// A proof that does not fit is left out: the tests of the asked find what they find.
fn body_within_bounds(removal: Removal) -> Option<String> {
    let body = body_of(&removal).ok()?;
    if body.len() <= LARGEST_REMOVAL {
        return Some(body);
    }
    body_of(&Removal { proof: None, ..removal }).ok()
}
