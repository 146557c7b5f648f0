//! Health checks and quizzes. A round asks a few mirrors for one service at one moment and looks for itself; the answers
//! are compared with the own look and with one another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Met, Network, Timestamp};

use super::book::{Slot, Trial, TrialKind};
use super::dissent::{Comparison, Dissent, Other, compare, is_equivocation, judge};
use super::event::{Action, Answer, NoAnswer, OwnLook, QuizId, Reason, Refused, RoundId};
use super::federation::{Due, Federation, Work};
use super::pool::Name;
use super::random::shuffle;
use super::wire::{Ballot, Proof, Status};
use crate::signed::Verified;
use crate::view::View;

/// Dissents that wait for a later look at once; further ones are passed over, and their mirrors quizzed again.
const MOST_RECHECKS: usize = 1_024;

/// Rounds that are under way at once.
const MOST_ROUNDS: usize = 1_024;

/// What health checks and tests leave of the budget for what must not wait, in percent.
const RESERVE_OF_VISITS: u32 = 40;
const RESERVE_OF_TRIALS: u32 = 15;

/// One service, asked of a few at one moment.
#[derive(Debug)]
pub(super) struct Round {
    name: Option<Arc<Name>>,
    targets: Vec<Target>,
    begun: Timestamp,
    mine: Option<OwnLook>,
    /// What is still awaited: answers, pings and my own look.
    open: u8,
}

#[derive(Debug)]
struct Target {
    slot: Slot,
    /// The trial that it belongs to.
    trial: Option<u64>,
    answer: Option<Result<Answer, NoAnswer>>,
    took: Duration,
    pinged: Option<Option<Duration>>,
    asks: bool,
    pings: bool,
    /// The view that a client reported of it: nothing but a proof may come of that.
    reported: Option<Arc<Verified<View>>>,
}

/// A dissent that waits for a later look of mine.
#[derive(Debug)]
pub(super) struct Recheck {
    slot: Slot,
    trial: Option<u64>,
    name: Arc<Name>,
    other: Other,
    before: OwnLook,
    theirs: Answer,
}

impl Target {
    fn new(slot: Slot) -> Self {
        Self {
            slot,
            trial: None,
            answer: None,
            took: Duration::ZERO,
            pinged: None,
            asks: true,
            pings: true,
            reported: None,
        }
    }

    fn is_silent(&self) -> bool {
        let unanswered = !self.asks || matches!(self.answer, None | Some(Err(_)));
        let unpinged = !self.pings || !matches!(self.pinged, Some(Some(_)));
        unanswered && unpinged && (self.asks || self.pings)
    }
}

impl Federation {
    /// The next of the rotation: a ping and a quiz for each.
    pub(super) fn visit(&mut self, work: &mut Work<'_>) {
        let many = self.settings.companions + 1;
        let targets: Vec<Target> = self.next_of_rotation(many, work).into_iter().map(Target::new).collect();
        self.agenda.add(work.now.plus(self.visit_gap(targets.len())), Due::Visit);
        if !targets.is_empty() && self.budget.take(2 * targets.len() as u32, RESERVE_OF_VISITS, work.now) {
            self.begin(targets, work);
        }
    }

    fn visit_gap(&self, many: usize) -> Duration {
        let each = u64::from(self.settings.visits_each) * self.rotation.len().max(1) as u64;
        let a_day = each.min(u64::from(self.settings.visits_a_day)).max(1);
        let day = u64::try_from(self.settings.day.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(day / a_day * many.max(1) as u64).max(Duration::from_millis(1))
    }

    fn next_of_rotation(&mut self, many: usize, work: &mut Work<'_>) -> Vec<Slot> {
        let mut next = Vec::with_capacity(many);
        while next.len() < many {
            let Some(slot) = self.rotation_next.checked_sub(1).and_then(|last| self.rotation.get(last)).copied() else {
                if !self.draw_rotation(work) || !next.is_empty() {
                    break;
                }
                continue;
            };
            self.rotation_next -= 1;
            let is_active = self.book.at(slot).is_some_and(|mirror| mirror.status == Status::Active);
            if is_active && !next.contains(&slot) {
                next.push(slot);
            }
        }
        next
    }

    pub(super) fn draw_rotation(&mut self, work: &mut Work<'_>) -> bool {
        let active = self.book.iter().filter(|(_, mirror)| mirror.status == Status::Active);
        self.rotation = active.map(|(slot, _)| slot).collect();
        shuffle(work.rng, &mut self.rotation);
        self.rotation_next = self.rotation.len();
        self.rotation_is_stale = false;
        !self.rotation.is_empty()
    }

    /// The next quiz of a trial, beside a few that are active: their answers tell whether the site or my own place is odd.
    pub(super) fn quiz(&mut self, slot: Slot, number: u64, work: &mut Work<'_>) {
        let companions = self.some_active(self.settings.companions, slot, work);
        let Some(trial) = self.book.at_mut(slot).and_then(|mirror| mirror.trial.as_deref_mut()) else { return };
        if trial.number != number || trial.left == 0 {
            return;
        }
        let again = work.now.plus(trial.gap.max(Duration::from_millis(1)));
        let cost = 2 + companions.len() as u32;
        if self.rounds.len() >= MOST_ROUNDS || !self.budget.take(cost, RESERVE_OF_TRIALS, work.now) {
            self.agenda.add(again, Due::Quiz(slot, number));
            return;
        }
        trial.left -= 1;
        trial.pending += 1;
        if trial.left > 0 {
            self.agenda.add(again, Due::Quiz(slot, number));
        }
        let tried = Target { trial: Some(number), ..Target::new(slot) };
        let companions = companions.into_iter().map(|slot| Target { pings: false, ..Target::new(slot) });
        self.begin(std::iter::once(tried).chain(companions).collect(), work);
    }

    fn some_active(&self, many: usize, except: Slot, work: &mut Work<'_>) -> Vec<Slot> {
        let mut some: Vec<Slot> = Vec::with_capacity(many);
        for _ in 0..many * 4 {
            let Some(slot) = self.any_of(&self.rotation, work.rng).filter(|slot| *slot != except) else { continue };
            let is_active = self.book.at(slot).is_some_and(|mirror| mirror.status == Status::Active);
            if is_active && !some.contains(&slot) && some.len() < many {
                some.push(slot);
            }
        }
        some
    }

    /// Asks those whom a report speaks of for the same service: what they sign now may contradict what they signed then.
    pub(super) fn confront(
        &mut self,
        name: Arc<Name>,
        reported: Vec<(Slot, Arc<Verified<View>>)>,
        work: &mut Work<'_>,
    ) {
        if !self.budget.take(reported.len() as u32, RESERVE_OF_TRIALS, work.now) {
            return;
        }
        let target = |(slot, view)| Target { pings: false, reported: Some(view), ..Target::new(slot) };
        self.send(Some(name), reported.into_iter().map(target).collect(), Duration::ZERO, work);
    }

    fn begin(&mut self, mut targets: Vec<Target>, work: &mut Work<'_>) {
        let name = self.pool.pick(work.now, work.rng);
        if name.is_none() {
            targets.iter_mut().for_each(|target| (target.asks, target.pings) = (false, true));
        }
        self.send(name, targets, self.settings.own_look_age, work);
    }

    fn send(&mut self, name: Option<Arc<Name>>, targets: Vec<Target>, max_age: Duration, work: &mut Work<'_>) {
        let round = RoundId(self.number());
        let mut open = u8::from(name.is_some());
        if let Some(name) = &name {
            work.out.push(Action::LookNow { round, service: Arc::clone(&name.service), max_age });
        }
        for (place, target) in (0u8..).zip(&targets) {
            let Some(mirror) = self.book.at(target.slot) else { continue };
            let (quiz, to) = (QuizId { round, place }, mirror.peer.vantage());
            if target.pings {
                open = open.saturating_add(1);
                work.out.push(Action::Ping { ping: quiz, to });
            }
            if let (true, Some(name)) = (target.asks, &name) {
                open = open.saturating_add(1);
                work.out.push(Action::Ask { quiz, to, service: Arc::clone(&name.service) });
            }
        }
        self.rounds.insert(round, Round { name, targets, begun: work.now, mine: None, open });
        // Whatever happens next ends rounds that are over; where that may take long, a deadline does.
        if self.visit_gap(self.settings.companions + 1) > 10 * self.settings.round_time {
            self.agenda.add(work.now.plus(self.settings.round_time), Due::Round(round));
        }
    }

    /// Ends the rounds whose answers are no longer waited for.
    pub(super) fn give_up_the_old(&mut self, work: &mut Work<'_>) {
        while let Some((oldest, round)) = self.rounds.first_key_value()
            && work.now.since(round.begun) >= self.settings.round_time
        {
            let oldest = *oldest;
            self.give_up(oldest, work);
        }
    }

    pub(super) fn looked(&mut self, round: RoundId, look: Option<OwnLook>, work: &mut Work<'_>) -> Result<(), Refused> {
        if let Some(recheck) = self.rechecks.remove(&round) {
            self.judge(recheck, look, work);
        } else if let Some(under_way) = self.rounds.get_mut(&round) {
            under_way.mine = look;
            self.one_less(round, work);
        }
        Ok(())
    }

    pub(super) fn answered(
        &mut self,
        quiz: QuizId,
        answer: Result<Answer, NoAnswer>,
        took: Duration,
        work: &mut Work<'_>,
    ) -> Result<(), Refused> {
        let Some(target) = self.target(quiz).filter(|target| target.asks && target.answer.is_none()) else {
            return Ok(());
        };
        (target.answer, target.took) = (Some(answer), took);
        self.one_less(quiz.round, work);
        Ok(())
    }

    pub(super) fn ponged(&mut self, ping: QuizId, took: Option<Duration>, work: &mut Work<'_>) -> Result<(), Refused> {
        let Some(target) = self.target(ping).filter(|target| target.pings && target.pinged.is_none()) else {
            return Ok(());
        };
        target.pinged = Some(took);
        self.one_less(ping.round, work);
        Ok(())
    }

    fn target(&mut self, quiz: QuizId) -> Option<&mut Target> {
        self.rounds.get_mut(&quiz.round)?.targets.get_mut(usize::from(quiz.place))
    }

    fn one_less(&mut self, round: RoundId, work: &mut Work<'_>) {
        let Some(under_way) = self.rounds.get_mut(&round) else { return };
        under_way.open = under_way.open.saturating_sub(1);
        if under_way.open == 0 {
            self.give_up(round, work);
        }
    }

    /// Ends a round with what has come.
    pub(super) fn give_up(&mut self, round: RoundId, work: &mut Work<'_>) {
        if let Some(recheck) = self.rechecks.remove(&round) {
            return self.judge(recheck, None, work);
        }
        let Some(round) = self.rounds.remove(&round) else { return };
        let nobody = round.targets.len() > 1 && round.targets.iter().all(Target::is_silent);
        let compared = self.compare_all(&round);
        for (target, comparison) in round.targets.iter().zip(compared) {
            if target.reported.is_some() {
                self.prove(target, work);
            } else if nobody {
                // It is my own network that is down: nothing is held against anybody.
                self.repeat(target, work);
            } else {
                self.rate(target, &comparison, work);
                self.weigh(target, comparison, &round, work);
            }
        }
    }

    /// What each answer is, by my look and by those of the others.
    fn compare_all(&self, round: &Round) -> Vec<Option<Comparison>> {
        let mine = round.mine.as_ref().and_then(|mine| Some((mine, mine.look.now.proved()?)));
        let Some((mine, met)) = mine else { return vec![None; round.targets.len()] };
        let mut compared: Vec<Option<Comparison>> =
            round.targets.iter().map(|target| Some(compare(mine, met, &target.view()?.look))).collect();
        for place in 0..compared.len() {
            if matches!(compared.get(place), Some(Some(Comparison::Open(_))))
                && let Some(weighed) = self.weigh_by_others(round, &compared, place, met)
                && let Some(here) = compared.get_mut(place)
            {
                *here = Some(weighed);
            }
        }
        compared
    }

    /// A dissent that others of other networks share is no liar's mark: the site has several keys, or my own place is the
    /// odd one. `None` leaves it open.
    fn weigh_by_others(
        &self,
        round: &Round,
        compared: &[Option<Comparison>],
        place: usize,
        my_met: &Met,
    ) -> Option<Comparison> {
        let target = round.targets.get(place)?;
        let key = target.view()?.look.now.proved()?.key;
        let own = self.book.at(target.slot)?.peer.network();
        let mut with_me: BTreeSet<Network> = BTreeSet::new();
        let mut with_it: BTreeSet<Network> = BTreeSet::new();
        for (other, comparison) in round.targets.iter().zip(compared) {
            let Some(network) = self.book.at(other.slot).map(|mirror| mirror.peer.network()) else { continue };
            let their_key = other.view().and_then(|answer| Some(answer.look.now.proved()?.key));
            if other.slot == target.slot || network == own {
                continue;
            }
            if their_key == Some(my_met.key) {
                with_me.insert(network);
            } else if their_key == Some(key) && matches!(comparison, Some(Comparison::Open(_))) {
                with_it.insert(network);
            }
        }
        (with_it.len() > with_me.len()).then_some(Comparison::Aside)
    }

    /// Ping and response.
    fn rate(&mut self, target: &Target, comparison: &Option<Comparison>, work: &mut Work<'_>) {
        let settings = &self.settings;
        let Some(mirror) = self.book.at_mut(target.slot) else { return };
        if let Some(Some(took)) = target.pinged {
            mirror.rates.ping(took);
            mirror.heard = work.now;
        }
        let answered = match (target.asks, &target.answer) {
            (true, Some(Ok(_))) => *comparison != Some(Comparison::MetNothing),
            (true, _) => false,
            (false, _) => matches!(target.pinged, Some(Some(_))),
        };
        if matches!(target.answer, Some(Ok(_))) {
            mirror.heard = work.now;
        }
        let took = if target.asks { target.took } else { target.pinged.flatten().unwrap_or_default() };
        mirror.rates.quiz(answered.then_some(took), settings);
        if let Some(trial) = mirror.trial.as_deref_mut().filter(|trial| Some(trial.number) == target.trial) {
            trial.asked = trial.asked.saturating_add(1);
            trial.answered = trial.answered.saturating_add(u16::from(answered));
        }
        let noticed = target.is_silent() || mirror.rates.is_quiet(settings) || mirror.rates.is_slow(settings);
        if noticed && target.trial.is_none() {
            self.suspect(target.slot, work);
        }
    }

    /// Agreement and dissent.
    fn weigh(&mut self, target: &Target, comparison: Option<Comparison>, round: &Round, work: &mut Work<'_>) {
        let day = self.day(work.now);
        let counted = matches!(
            comparison,
            Some(Comparison::Agrees | Comparison::Open(_) | Comparison::Classed(Dissent::Explained))
        );
        if let (Some(name), Some(mirror), true) = (&round.name, self.book.at_mut(target.slot), counted)
            && !mirror.counts(name.domain, day)
        {
            return self.repeat(target, work);
        }
        match comparison {
            Some(Comparison::Agrees) => self.agreed(target.slot, target.trial, work),
            Some(Comparison::Open(other)) => self.open_dissent(target, other, round, work),
            // Nothing was answered: that counted already.
            None if !matches!(target.answer, Some(Ok(_))) => self.step(target.slot, target.trial, work),
            Some(Comparison::MetNothing | Comparison::Classed(Dissent::Explained)) => {
                self.step(target.slot, target.trial, work);
            }
            _ => self.repeat(target, work),
        }
    }

    fn agreed(&mut self, slot: Slot, trial: Option<u64>, work: &mut Work<'_>) {
        let Some(mirror) = self.book.at_mut(slot) else { return };
        mirror.rates.agree(&self.settings);
        if let Some(trial) = mirror.trial.as_deref_mut().filter(|known| Some(known.number) == trial) {
            trial.compared = trial.compared.saturating_add(1);
        }
        self.step(slot, trial, work);
    }

    fn open_dissent(&mut self, target: &Target, other: Other, round: &Round, work: &mut Work<'_>) {
        let (Some(name), Some(before), Some(theirs)) = (&round.name, &round.mine, target.view()) else { return };
        if self.rechecks.len() >= MOST_RECHECKS {
            return self.repeat(target, work);
        }
        let number = RoundId(self.number());
        let recheck = Recheck {
            slot: target.slot,
            trial: target.trial,
            name: Arc::clone(name),
            other,
            before: before.clone(),
            theirs: theirs.clone(),
        };
        self.rechecks.insert(number, recheck);
        self.agenda.add(work.now.plus(self.settings.recheck_after), Due::Recheck(number));
    }

    pub(super) fn recheck(&mut self, round: RoundId, work: &mut Work<'_>) {
        let Some(recheck) = self.rechecks.get(&round) else { return };
        let service = Arc::clone(&recheck.name.service);
        work.out.push(Action::LookNow { round, service, max_age: self.settings.recheck_after / 2 });
        self.agenda.add(work.now.plus(self.settings.round_time), Due::Round(round));
    }

    /// My later look judges a dissent.
    fn judge(&mut self, recheck: Recheck, later: Option<OwnLook>, work: &mut Work<'_>) {
        let Recheck { slot, trial, other, before, theirs, .. } = recheck;
        match later.and_then(|later| judge(other, &before, &later, &theirs.look)) {
            Some(Ok(())) => self.agreed(slot, trial, work),
            Some(Err(Dissent::Unexplained | Dissent::Equivocation)) => self.dissented(slot, trial, work),
            Some(Err(Dissent::Explained | Dissent::Propagation)) | None => self.step(slot, trial, work),
        }
    }

    fn dissented(&mut self, slot: Slot, trial: Option<u64>, work: &mut Work<'_>) {
        let Some(mirror) = self.book.at_mut(slot) else { return };
        mirror.rates.dissent(&self.settings);
        if let Some(trial) = mirror.trial.as_deref_mut().filter(|known| Some(known.number) == trial) {
            trial.compared = trial.compared.saturating_add(1);
            trial.dissents = trial.dissents.saturating_add(1);
        }
        self.step(slot, trial, work);
        self.suspect(slot, work);
    }

    /// A quiz told nothing, through no fault of the mirror's: it is asked again, a bounded number of times.
    fn repeat(&mut self, target: &Target, work: &mut Work<'_>) {
        let trial = self.book.at_mut(target.slot).and_then(|mirror| mirror.trial.as_deref_mut());
        let Some(trial) = trial.filter(|trial| Some(trial.number) == target.trial) else { return };
        if trial.repeats > 0 {
            trial.repeats -= 1;
            trial.left += 1;
            if trial.left == 1 {
                self.agenda.add(work.now.plus(trial.gap), Due::Quiz(target.slot, trial.number));
            }
        }
        self.step(target.slot, target.trial, work);
    }

    /// One quiz of a trial is through.
    fn step(&mut self, slot: Slot, number: Option<u64>, work: &mut Work<'_>) {
        let trial = self.book.at_mut(slot).and_then(|mirror| mirror.trial.as_deref_mut());
        let Some(trial) = trial.filter(|trial| Some(trial.number) == number) else { return };
        trial.pending = trial.pending.saturating_sub(1);
        if trial.is_over() || trial.is_lost() {
            self.conclude(slot, work);
        }
    }

    /// Compares what a client was told with what I am told: only a proof may come of it.
    fn prove(&mut self, target: &Target, work: &mut Work<'_>) {
        let (Some(reported), Some(answer)) = (&target.reported, target.view()) else { return };
        let Some(fresh) = &answer.view else { return };
        if is_equivocation(reported, fresh)
            && let Some(mirror) = self.book.at(target.slot)
        {
            let descriptor = mirror.peer.signed().clone();
            let proof = Proof { descriptor, one: reported.signed().clone(), other: fresh.signed().clone() };
            self.proved(target.slot, proof, work);
        }
    }

    /// An equivocation is proved: no test could say more.
    pub(super) fn proved(&mut self, slot: Slot, proof: Proof, work: &mut Work<'_>) {
        let Some(mirror) = self.book.at_mut(slot) else { return };
        mirror.rates.dissent(&self.settings);
        if mirror.status == Status::Candidate {
            self.end_trial(slot);
            self.fall(slot, Reason::Equivocation, work);
        } else if mirror.status == Status::Active {
            self.ask_for_removal(slot, Reason::Equivocation, Some(proof), work);
        }
    }

    /// Something drew attention to a mirror: a row of quizzes will tell.
    pub(super) fn suspect(&mut self, slot: Slot, work: &mut Work<'_>) {
        if self.book.at(slot).is_some_and(|mirror| mirror.may_be_suspected(work.now)) {
            let Self { settings, .. } = self;
            let (quizzes, time) = (settings.suspect_quizzes, settings.suspect_time);
            self.start_trial(slot, TrialKind::Suspect, quizzes, time, work);
        }
    }

    pub(super) fn start_trial(
        &mut self,
        slot: Slot,
        kind: TrialKind,
        quizzes: u16,
        time: Duration,
        work: &mut Work<'_>,
    ) {
        let number = self.number();
        let Some(mirror) = self.book.at_mut(slot) else { return };
        let trial = Trial::new(kind, number, quizzes, time);
        let first = work.now.plus(random_part(trial.gap, work));
        mirror.trial = Some(Box::new(trial));
        self.agenda.add(first, Due::Quiz(slot, number));
    }

    /// A trial is over: its result is a vote for those who asked, and a status here.
    fn conclude(&mut self, slot: Slot, work: &mut Work<'_>) {
        let Some(mirror) = self.book.at_mut(slot) else { return };
        let Some(trial) = mirror.trial.take() else { return };
        let failure = trial.failure(&mirror.rates, &self.settings);
        let ballot = if failure.is_some() { Ballot::Remove } else { Ballot::Keep };
        if trial.kind == TrialKind::Suspect && trial.asked == 0 {
            return;
        }
        if trial.kind == TrialKind::Suspect {
            let rest = self.settings.day / 4;
            let more = mirror.more();
            more.last_trial = Some((work.now, ballot));
            more.at_rest_until = Some(work.now.plus(rest));
        }
        for (removal, until) in &trial.asked_by {
            self.vote(*removal, *until, slot, ballot, work);
        }
        match (trial.kind, failure) {
            (TrialKind::Suspect, Some(reason)) => self.ask_for_removal(slot, reason, None, work),
            (TrialKind::Suspect, None) => {}
            (TrialKind::Candidate | TrialKind::Retest, Some(reason)) => self.fall(slot, reason, work),
            (TrialKind::Candidate | TrialKind::Retest, None) => self.pass(slot, trial.kind, work),
        }
    }

    fn pass(&mut self, slot: Slot, kind: TrialKind, work: &mut Work<'_>) {
        let Some(mirror) = self.book.at_mut(slot) else { return };
        if kind == TrialKind::Retest {
            mirror.rates = super::rates::Rates::new(work.now);
        }
        self.rotation.push(slot);
        self.set_status(slot, Status::Active, Reason::Passed, work);
        if kind == TrialKind::Candidate {
            self.forward(slot, work);
        }
    }

    /// Makes a mirror inactive and fixes when it is tested again: after twice the time of its last fall, if that was less
    /// than a month ago.
    pub(super) fn fall(&mut self, slot: Slot, reason: Reason, work: &mut Work<'_>) {
        let Self { settings, .. } = self;
        let (first, longest) = match reason {
            Reason::Silent => (settings.retest_first, settings.retest_silent),
            Reason::Equivocation => (settings.retest_proved, settings.retest_longest),
            _ => (settings.retest_first, settings.retest_longest),
        };
        let month = settings.day * 30;
        let Some(mirror) = self.book.at_mut(slot) else { return };
        let fresh = mirror.status == Status::Active && work.now.since(mirror.since) > month;
        let more = mirror.more();
        let before = more.retest_after.filter(|_| !fresh);
        let after = before.map_or(first, |before| before * 2).clamp(first.min(longest), longest);
        let due = work.now.plus(after);
        (more.retest_after, more.retest_due) = (Some(after), Some(due));
        self.agenda.add(due, Due::Retest(slot));
        self.set_status(slot, Status::Inactive, reason, work);
    }

    pub(super) fn retest(&mut self, slot: Slot, work: &mut Work<'_>) {
        let (quizzes, time) = (self.settings.retest_quizzes, self.settings.retest_time);
        let Some(mirror) = self.book.at_mut(slot) else { return };
        let due = mirror.more.as_ref().and_then(|more| more.retest_due);
        if mirror.status != Status::Inactive || mirror.trial.is_some() || due.is_none_or(|due| due > work.now) {
            return;
        }
        mirror.more().retest_due = None;
        self.start_trial(slot, TrialKind::Retest, quizzes, time, work);
    }

    /// Drops a trial without a result; whoever waits for it gets no vote.
    pub(super) fn end_trial(&mut self, slot: Slot) {
        if let Some(mirror) = self.book.at_mut(slot) {
            mirror.trial = None;
        }
    }
}

impl Target {
    fn view(&self) -> Option<&Answer> {
        self.answer.as_ref()?.as_ref().ok()
    }
}

/// So that not all quiz at the same moment.
fn random_part(of: Duration, work: &mut Work<'_>) -> Duration {
    of.mul_f64(f64::from(work.rng.next_u32()) / f64::from(u32::MAX))
}
