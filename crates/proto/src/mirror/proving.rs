//! What two signed views prove, and how somebody who is honest to mirrors alone comes to sign them.
//!
//! A proof is an equivocation: two views that can't both be true. Who says to have forgotten what it signed (a mark in its
//! view, `docs/protocols/mirrors.md`, *Memory*) is believed, as operators remove what they like; but who has forgotten
//! again and again what it was just asked about evades, and that is proved too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::Timestamp;

use super::book::{Mirror, Slot};
use super::dissent::{forgets, is_equivocation};
use super::event::Reason;
use super::federation::{Federation, Work};
use super::peer::Peer;
use super::pool::Name;
use super::reporting::third_party_view;
use super::rounds::{RESERVE_OF_TRIALS, Target};
use super::wire::{FORGETTINGS, Proof, Status, ViewPair};
use crate::signed::Verified;
use crate::view::View;

/// Within so many days forgettings add up.
const FORGETTING_DAYS: u32 = 30;

/// A look that was signed, asked about again, and had been forgotten meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Forgetting {
    /// The mark.
    kept_since: Timestamp,
    pair: ViewPair,
}

impl Federation {
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
        let target = |(slot, view)| Target { reported: Some(view), ..Target::new(slot) };
        self.send(Some(name), reported.into_iter().map(target).collect(), Duration::ZERO, false, work);
    }

    /// Compares what a client was told with what I am told: nothing but a proof, or a part of one, may come of it.
    pub(super) fn prove(&mut self, target: &Target, work: &mut Work<'_>) {
        let (Some(reported), Some(answer)) = (&target.reported, target.view()) else { return };
        let (Some(fresh), Some(mirror)) = (&answer.view, self.book.at(target.slot)) else { return };
        let descriptor = mirror.peer.signed().clone();
        let pair = ViewPair { one: reported.signed().clone(), other: fresh.signed().clone() };
        if is_equivocation(reported, fresh) {
            let ViewPair { one, other } = pair;
            self.proved(target.slot, Proof { descriptor, one, other, also: Vec::new() }, work);
        } else if let Some(kept_since) = forgets(reported, fresh) {
            self.forgot(target.slot, Forgetting { kept_since, pair }, work);
        }
    }

    /// Once is no mark of a liar. It counts like a dissent without explanation; the third time proves.
    fn forgot(&mut self, slot: Slot, forgetting: Forgetting, work: &mut Work<'_>) {
        let month = self.settings.day * FORGETTING_DAYS;
        let Some(mirror) = self.book.at_mut(slot).filter(|mirror| mirror.status == Status::Active) else { return };
        let descriptor = mirror.peer.signed().clone();
        let known = &mut mirror.more().forgettings;
        known.retain(|known| work.now.since(known.kept_since) < month);
        // One act of the operator may explain many looks.
        if known.iter().any(|known| known.kept_since == forgetting.kept_since) {
            return;
        }
        known.push(forgetting);
        let pairs = (known.len() >= FORGETTINGS).then(|| std::mem::take(known));
        mirror.rates.dissent(&self.settings);
        let mut pairs = pairs.into_iter().flatten().map(|known| known.pair);
        if let Some(ViewPair { one, other }) = pairs.next() {
            self.proved(slot, Proof { descriptor, one, other, also: pairs.collect() }, work);
        }
    }

    /// An equivocation is proved: no test could say more.
    pub(super) fn proved(&mut self, slot: Slot, proof: Proof, work: &mut Work<'_>) {
        let lies_on =
            self.book.at(slot).and_then(|mirror| self.provable_since(mirror)).is_some_and(|at| at <= work.now);
        let Some(mirror) = self.book.at_mut(slot) else { return };
        mirror.rates.dissent(&self.settings);
        if mirror.status == Status::Candidate {
            self.end_trial(slot);
            self.fall(slot, Reason::Equivocation, work);
        } else if mirror.status == Status::Active {
            self.ask_for_removal(slot, Reason::Equivocation, Some(proof), work);
        } else if mirror.status == Status::Inactive && lies_on {
            // Others took it back, and it lied to their clients: it has that to live down here as well.
            mirror.since = work.now;
            self.end_trial(slot);
            self.fall(slot, Reason::Equivocation, work);
        }
    }

    /// Whether a proof proves: the subject's own key signed what can't be true, each pair within a day, and since it has its
    /// status here. Else who was mended could be removed for ever by the same views.
    pub(super) fn holds(&self, proof: &Proof, subject: Slot, now: Timestamp) -> bool {
        let Some((mirror, since)) =
            self.book.at(subject).and_then(|mirror| Some((mirror, self.provable_since(mirror)?)))
        else {
            return false;
        };
        let Ok(signer) = Peer::restore(&*self.suite, proof.descriptor.clone()) else { return false };
        if signer.vantage() != mirror.peer.vantage()
            || signer.descriptor().issued_at > now.plus(crate::CLOCK_SKEW)
            || proof.also.len() >= FORGETTINGS
        {
            return false;
        }
        let (first, also) = ((&proof.one, &proof.other), proof.also.iter().map(|pair| (&pair.one, &pair.other)));
        let views = |(one, other)| {
            let view = |signed: &_| third_party_view(&*self.suite, signer.signatory(), signed, None).ok();
            let (one, other) = (view(one)?, view(other)?);
            let (earliest, latest) = span(&one, &other);
            let is_fresh = earliest >= since && latest.since(earliest) <= self.settings.day;
            is_fresh.then_some((one, other))
        };
        let Some(pairs) = std::iter::once(first).chain(also).map(views).collect::<Option<Vec<_>>>() else {
            return false;
        };
        pairs.first().is_some_and(|(one, other)| is_equivocation(one, other)) || self.is_evasion(&pairs)
    }

    /// Whether anything that was signed until now could prove something.
    pub(super) fn is_provable(&self, subject: Slot, now: Timestamp) -> bool {
        let since = self.book.at(subject).and_then(|mirror| self.provable_since(mirror));
        since.is_some_and(|since| since <= now.plus(crate::CLOCK_SKEW))
    }

    /// From when on what it signs may prove something here. What is proved is a lie of one and the same day, however many
    /// clients report it; who still lies the day after was not mended. Whom the operator dropped stays dropped.
    fn provable_since(&self, mirror: &Mirror) -> Option<Timestamp> {
        match (mirror.status, mirror.reason) {
            (Status::Active, _) => Some(mirror.since),
            (Status::Inactive, Reason::Equivocation) => Some(mirror.since.plus(self.settings.retest_proved)),
            (Status::Inactive | Status::Candidate | Status::Gone, _) => None,
        }
    }

    /// Three marks within a month, each just before the question that it answers.
    fn is_evasion(&self, pairs: &[(Verified<View>, Verified<View>)]) -> bool {
        let marks: BTreeSet<Timestamp> = pairs.iter().filter_map(|(one, other)| forgets(one, other)).collect();
        let within = marks.last().zip(marks.first()).map(|(last, first)| last.since(*first));
        marks.len() >= FORGETTINGS && within.is_some_and(|within| within < self.settings.day * FORGETTING_DAYS)
    }
}

fn span(one: &Verified<View>, other: &Verified<View>) -> (Timestamp, Timestamp) {
    let moments = [one.content().issued_at, other.content().issued_at];
    (moments[0].min(moments[1]), moments[0].max(moments[1]))
}
