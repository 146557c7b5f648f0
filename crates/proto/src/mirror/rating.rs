//! What the answers of a round say of those who gave them: rates, agreement, dissent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Met, Network};

use super::book::Slot;
use super::dissent::{Comparison, Dissent, Other, compare, judge};
use super::event::{Action, OwnLook, RoundId};
use super::federation::{Due, Federation, Work};
use super::rounds::{Recheck, Round, Target};

/// Dissents that wait for a later look at once; further ones are passed over, and their mirrors quizzed again.
const MOST_RECHECKS: usize = 1_024;

impl Federation {
    /// What each answer is, by my look and by those of the others.
    pub(super) fn compare_all(&self, round: &Round) -> Vec<Option<Comparison>> {
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

    /// A ping that came back, or did not: silence is for quizzes to tell, of which none gets lost so easily.
    pub(super) fn rate_ping(&mut self, slot: Slot, took: Option<Duration>, work: &mut Work<'_>) {
        let (Some(mirror), Some(took)) = (self.book.at_mut(slot), took) else { return };
        mirror.rates.ping(took);
        mirror.heard = work.now;
        if mirror.rates.is_slow(&self.settings) {
            self.suspect(slot, work);
        }
    }

    /// Ping and response.
    pub(super) fn rate(&mut self, target: &Target, comparison: &Option<Comparison>, work: &mut Work<'_>) {
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
    pub(super) fn weigh(
        &mut self,
        target: &Target,
        comparison: Option<Comparison>,
        round: &Round,
        work: &mut Work<'_>,
    ) {
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
        if self.rechecks.len() + self.later_looks.len() >= MOST_RECHECKS {
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
        let Some(recheck) = self.rechecks.remove(round) else { return };
        let service = Arc::clone(&recheck.name.service);
        work.out.push(Action::LookNow { round, service, max_age: self.settings.recheck_after / 2 });
        // They come here in the order of their numbers: all waited for the same time.
        self.later_looks.insert(round, (work.now, recheck));
    }

    /// My later look judges a dissent.
    pub(super) fn judge(&mut self, recheck: Recheck, later: Option<OwnLook>, work: &mut Work<'_>) {
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
    pub(super) fn repeat(&mut self, target: &Target, work: &mut Work<'_>) {
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
}
