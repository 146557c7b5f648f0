//! Health checks and quizzes. A round asks a few mirrors for one service at one moment and looks for itself; the answers
//! are compared with the own look and with one another ([`super::rating`]).
//!
//! Pings go their own way, at moments of their own: beside a quiz, one would tell the mirror that it is being quizzed.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::Timestamp;

use super::book::Slot;
use super::dissent::{Comparison, Other};
use super::event::{Action, Answer, NoAnswer, OwnLook, QuizId, Refused, RoundId};
use super::federation::{Due, Federation, Work};
use super::pool::Name;
use super::random::{random_part, shuffle};
use super::wire::Status;
use crate::signed::Verified;
use crate::view::View;

/// Rounds that are under way at once.
const MOST_ROUNDS: usize = 1_024;

/// What health checks and tests leave of the budget for what must not wait, in percent.
const RESERVE_OF_VISITS: u32 = 40;
pub(super) const RESERVE_OF_TRIALS: u32 = 15;

/// One service, asked of a few at one moment.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) name: Option<Arc<Name>>,
    pub(super) targets: Vec<Target>,
    begun: Timestamp,
    pub(super) mine: Option<OwnLook>,
    /// What is still awaited: answers, pings and my own look.
    open: u8,
    /// Others are asked the same when the first to be asked is silent, or dissents.
    calls_others: bool,
}

#[derive(Debug)]
pub(super) struct Target {
    pub(super) slot: Slot,
    /// The trial that it belongs to.
    pub(super) trial: Option<u64>,
    pub(super) answer: Option<Result<Answer, NoAnswer>>,
    pub(super) took: Duration,
    pub(super) pinged: Option<Option<Duration>>,
    /// It is quizzed; where there is no name to ask for, it is pinged instead.
    pub(super) asks: bool,
    /// The view that a client reported of it: nothing but a proof may come of that.
    pub(super) reported: Option<Arc<Verified<View>>>,
}

/// A dissent that waits for a later look of mine.
#[derive(Debug)]
pub(super) struct Recheck {
    pub(super) slot: Slot,
    pub(super) trial: Option<u64>,
    pub(super) name: Arc<Name>,
    pub(super) other: Other,
    pub(super) before: OwnLook,
    pub(super) theirs: Answer,
}

impl Target {
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot, trial: None, answer: None, took: Duration::ZERO, pinged: None, asks: true, reported: None }
    }

    pub(super) fn view(&self) -> Option<&Answer> {
        self.answer.as_ref()?.as_ref().ok()
    }

    pub(super) fn is_silent(&self) -> bool {
        match self.asks {
            true => matches!(self.answer, None | Some(Err(_))),
            false => !matches!(self.pinged, Some(Some(_))),
        }
    }
}

impl Federation {
    /// The next of the rotation: a quiz for each.
    pub(super) fn visit(&mut self, work: &mut Work<'_>) {
        let many = self.settings.companions + 1;
        let targets: Vec<Target> = self.next_of_rotation(many, work).into_iter().map(Target::new).collect();
        let gap = about(self.visit_gap(targets.len()), work);
        self.agenda.add(work.now.plus(gap), Due::Visit);
        if !targets.is_empty() && self.budget.take(targets.len() as u32, RESERVE_OF_VISITS, work.now) {
            self.begin(targets, false, work);
        }
    }

    /// Pings of anybody, as many as there are quizzes, but at other moments.
    pub(super) fn ping_some(&mut self, work: &mut Work<'_>) {
        let many = self.settings.companions + 1;
        let gap = about(self.visit_gap(many.min(self.rotation.len())), work);
        self.agenda.add(work.now.plus(gap), Due::Ping);
        // The first moment is that of the first visit, and only fixes the next.
        let is_first = !std::mem::replace(&mut self.pings_begun, true);
        for slot in if is_first { Vec::new() } else { self.some_active(many, None, work) } {
            self.ping(slot, RESERVE_OF_VISITS, work);
        }
    }

    /// A ping of a mirror under test.
    pub(super) fn ping_tried(&mut self, slot: Slot, trial: u64, work: &mut Work<'_>) {
        let under_test = self.book.at(slot).and_then(|mirror| mirror.trial.as_deref());
        if under_test.is_some_and(|known| known.number == trial) {
            self.ping(slot, RESERVE_OF_TRIALS, work);
        }
    }

    fn ping(&mut self, slot: Slot, reserve: u32, work: &mut Work<'_>) {
        let Some(to) = self.book.at(slot).map(|mirror| mirror.peer.vantage()) else { return };
        if self.pings.len() < MOST_ROUNDS && self.budget.take(1, reserve, work.now) {
            let round = RoundId(self.number());
            self.pings.insert(round, (slot, work.now));
            work.out.push(Action::Ping { ping: QuizId { round, place: 0 }, to });
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

    /// The next quiz of a trial. Others are asked the same only where that tells something: whether a dissent is the
    /// site's or my own place's, and whether silence is my own network's.
    pub(super) fn quiz(&mut self, slot: Slot, number: u64, work: &mut Work<'_>) {
        let Some(trial) = self.book.at_mut(slot).and_then(|mirror| mirror.trial.as_deref_mut()) else { return };
        if trial.number != number || trial.left == 0 {
            return;
        }
        let gap = trial.gap.max(Duration::from_millis(1));
        let again = work.now.plus(gap);
        if self.rounds.len() >= MOST_ROUNDS || !self.budget.take(1, RESERVE_OF_TRIALS, work.now) {
            self.agenda.add(again, Due::Quiz(slot, number));
            return;
        }
        trial.left -= 1;
        trial.pending += 1;
        let (left, is_pinged) = (trial.left, trial.left.is_multiple_of(3));
        if left > 0 {
            self.agenda.add(again, Due::Quiz(slot, number));
        }
        if is_pinged {
            let later = work.now.plus(random_part(gap, work.rng));
            self.agenda.add(later, Due::TrialPing(slot, number));
        }
        self.begin(vec![Target { trial: Some(number), ..Target::new(slot) }], true, work);
    }

    fn some_active(&self, many: usize, except: Option<Slot>, work: &mut Work<'_>) -> Vec<Slot> {
        let mut some: Vec<Slot> = Vec::with_capacity(many);
        for _ in 0..many * 4 {
            if some.len() == many {
                break;
            }
            let Some(slot) = self.any_of(&self.rotation, work.rng).filter(|slot| Some(*slot) != except) else {
                continue;
            };
            let is_active = self.book.at(slot).is_some_and(|mirror| mirror.status == Status::Active);
            if is_active && !some.contains(&slot) {
                some.push(slot);
            }
        }
        some
    }

    fn begin(&mut self, mut targets: Vec<Target>, calls_others: bool, work: &mut Work<'_>) {
        let name = self.pool.pick(work.now, work.rng);
        if name.is_none() {
            targets.iter_mut().for_each(|target| target.asks = false);
        }
        self.send(name, targets, self.settings.own_look_age, calls_others, work);
    }

    pub(super) fn send(
        &mut self,
        name: Option<Arc<Name>>,
        targets: Vec<Target>,
        max_age: Duration,
        calls_others: bool,
        work: &mut Work<'_>,
    ) {
        let round = RoundId(self.number());
        if let Some(name) = &name {
            work.out.push(Action::LookNow { round, service: Arc::clone(&name.service), max_age });
        }
        let open = u8::from(name.is_some());
        let under_way = Round { name, targets, begun: work.now, mine: None, open, calls_others };
        self.put_under_way(round, under_way, 0, work);
    }

    /// Asks those of a round who have not been asked: from `first` on.
    fn put_under_way(&mut self, round: RoundId, mut under_way: Round, first: u8, work: &mut Work<'_>) {
        for (place, target) in (0u8..).zip(&under_way.targets).skip(usize::from(first)) {
            let Some(mirror) = self.book.at(target.slot) else { continue };
            let (quiz, to) = (QuizId { round, place }, mirror.peer.vantage());
            under_way.open = under_way.open.saturating_add(1);
            work.out.push(match (&under_way.name, target.asks) {
                (Some(name), true) => Action::Ask { quiz, to, service: Arc::clone(&name.service) },
                _ => Action::Ping { ping: quiz, to },
            });
        }
        self.rounds.insert(round, under_way);
    }

    /// When the oldest round, or later look, is no longer waited for. Nearly all end before that: an entry of the agenda
    /// for each would wake the mirror for nothing as often as for something.
    pub(super) fn end_of_patience(&self) -> Option<Timestamp> {
        let round = self.rounds.oldest().map(|round| round.begun);
        let look = self.later_looks.oldest().map(|(since, _)| *since);
        round.into_iter().chain(look).min().map(|oldest| oldest.plus(self.settings.round_time))
    }

    /// Ends the rounds and later looks whose answers are no longer waited for.
    pub(super) fn give_up_the_old(&mut self, work: &mut Work<'_>) {
        let (now, patience) = (work.now, self.settings.round_time);
        let is_old = |begun: Timestamp| now.since(begun) >= patience;
        while let Some((_, recheck)) = self.later_looks.take_oldest_if(|(since, _)| is_old(*since)) {
            self.judge(recheck, None, work);
        }
        while let Some(round) = self.rounds.take_oldest_if(|round| is_old(round.begun)) {
            self.end(round, work);
        }
        while self.pings.take_oldest_if(|(_, begun)| is_old(*begun)).is_some() {}
    }

    pub(super) fn looked(&mut self, round: RoundId, look: Option<OwnLook>, work: &mut Work<'_>) -> Result<(), Refused> {
        if let Some((_, recheck)) = self.later_looks.remove(round) {
            self.judge(recheck, look, work);
        } else if let Some(under_way) = self.rounds.get_mut(round) {
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
        if let Some((slot, _)) = self.pings.remove(ping.round) {
            self.rate_ping(slot, took, work);
        } else if let Some(target) = self.target(ping).filter(|target| !target.asks && target.pinged.is_none()) {
            target.pinged = Some(took);
            self.one_less(ping.round, work);
        }
        Ok(())
    }

    fn target(&mut self, quiz: QuizId) -> Option<&mut Target> {
        self.rounds.get_mut(quiz.round)?.targets.get_mut(usize::from(quiz.place))
    }

    fn one_less(&mut self, round: RoundId, work: &mut Work<'_>) {
        let Some(under_way) = self.rounds.get_mut(round) else { return };
        under_way.open = under_way.open.saturating_sub(1);
        if under_way.open == 0
            && let Some(over) = self.rounds.remove(round)
        {
            self.end(over, work);
        }
    }

    /// Ends a round with what has come.
    fn end(&mut self, mut round: Round, work: &mut Work<'_>) {
        let mut compared = self.compare_all(&round);
        if std::mem::take(&mut round.calls_others) && self.is_for_others(&round, &compared) {
            match self.call_others(round, work) {
                None => return,
                Some(alone) => round = alone,
            }
            compared = self.compare_all(&round);
        }
        let nobody = round.targets.len() > 1 && round.targets.iter().all(Target::is_silent);
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

    /// Whether what came of a round can't be judged without others.
    fn is_for_others(&self, round: &Round, compared: &[Option<Comparison>]) -> bool {
        round.targets.iter().any(Target::is_silent) || matches!(compared, [Some(Comparison::Open(_))])
    }

    /// Asks companions the same as one who dissents or is silent. Hands the round back where nobody can be asked.
    fn call_others(&mut self, mut round: Round, work: &mut Work<'_>) -> Option<Round> {
        let Some(tried) = round.targets.first_mut() else { return Some(round) };
        let (slot, asks) = (tried.slot, tried.asks);
        // Whoever answers only now is late.
        tried.answer.get_or_insert(Err(NoAnswer::Silent));
        tried.pinged.get_or_insert(None);
        let companions = self.some_active(self.settings.companions, Some(slot), work);
        if companions.is_empty() || !self.budget.take(companions.len() as u32, RESERVE_OF_TRIALS, work.now) {
            return Some(round);
        }
        round.targets.extend(companions.into_iter().map(|slot| Target { asks, ..Target::new(slot) }));
        (round.begun, round.open) = (work.now, 0);
        let number = RoundId(self.number());
        self.put_under_way(number, round, 1, work);
        None
    }
}

/// A time of about that length, so that nobody can reckon when the next quiz or ping comes.
fn about(gap: Duration, work: &mut Work<'_>) -> Duration {
    gap / 2 + random_part(gap, work.rng)
}
