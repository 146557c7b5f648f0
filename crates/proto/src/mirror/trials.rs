//! Trials: rows of quizzes that decide something, and what they decide.

use std::time::Duration;

use super::book::{Slot, Trial, TrialKind};
use super::event::Reason;
use super::federation::{Due, Federation, Work};
use super::random::random_part;
use super::wire::{Ballot, Status};

/// How much longer each further proof makes the next test wait: nobody honest is proved twice.
const PROVED_AGAIN: u32 = 4;

impl Federation {
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
        let first = work.now.plus(random_part(trial.gap, work.rng));
        mirror.trial = Some(Box::new(trial));
        self.agenda.add(first, Due::Quiz(slot, number));
    }

    /// A trial is over: its result is a vote for those who asked, and a status here.
    pub(super) fn conclude(&mut self, slot: Slot, work: &mut Work<'_>) {
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
        for asked in &trial.asked_by {
            self.ballots.was(asked.by, ballot);
            self.vote(asked.removal, asked.until, slot, ballot, work);
        }
        match (trial.kind, failure) {
            (TrialKind::Suspect, Some(reason)) => drop(self.ask_for_removal(slot, reason, None, work)),
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
    /// than a month ago; after four times where it is proved a liar.
    pub(super) fn fall(&mut self, slot: Slot, reason: Reason, work: &mut Work<'_>) {
        let Self { settings, .. } = self;
        let (first, times, longest) = match reason {
            Reason::Silent => (settings.retest_first, 2, settings.retest_silent),
            Reason::Equivocation => (settings.retest_proved, PROVED_AGAIN, settings.retest_proved_longest),
            _ => (settings.retest_first, 2, settings.retest_longest),
        };
        let month = settings.day * 30;
        let Some(mirror) = self.book.at_mut(slot) else { return };
        let fresh = mirror.status == Status::Active && work.now.since(mirror.since) > month;
        let more = mirror.more();
        let before = more.retest_after.filter(|_| !fresh);
        let after = before.map_or(first, |before| before * times).clamp(first.min(longest), longest);
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
