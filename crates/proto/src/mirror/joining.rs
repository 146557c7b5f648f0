//! Joining: every join is accepted as a candidacy, after its vantage id was met at its address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Suite, Timestamp, VantageId};

use super::book::{Mirror, TrialKind};
use super::event::{Action, Event, Hop, MeetId, Reason, Refused, Unmet};
use super::federation::{Due, Federation, Work};
use super::peer::Peer;
use super::random::below;
use super::statement::{Statement, StatementError, Unverified, claimed_signer};
use super::wire::{MirrorList, Status};
use crate::jws::BadSignature;
use crate::signed::{Signed, Verified};

/// Strangers that wait to be met.
const MOST_WAITING: usize = 256;

/// Meetings under way.
const MOST_MEETINGS: usize = 64;

/// A meeting that has not ended after this time is given up.
const MEETING_TIME: Duration = Duration::from_secs(60);

/// Somebody who is to be met at the address of a descriptor.
#[derive(Debug)]
pub(super) struct Meeting {
    pub(super) peer: Arc<Peer>,
    pub(super) why: Why,
    begun: Timestamp,
}

#[derive(Debug)]
pub(super) enum Why {
    /// It wants to join.
    Join(Hop),
    /// It has moved.
    Moved,
    /// A statement of it is signed by a key that is not known: its newest descriptor may name it.
    Rekeyed(Box<Event>),
}

impl Federation {
    pub(super) fn join(&mut self, peer: Arc<Peer>, hop: Hop, work: &mut Work<'_>) -> Result<(), Refused> {
        if peer.vantage() == self.me {
            return Err(Refused::Myself);
        }
        match self.book.of(peer.vantage()).map(|known| (known.status, Arc::clone(&known.peer))) {
            None => self.arrange(peer, hop, work),
            Some((status, known)) => {
                let newer = is_newer(&known, &peer);
                if newer == Err(Refused::TwoDescriptors(peer.vantage())) {
                    self.two_descriptors(peer.vantage(), work);
                }
                match (newer?, status) {
                    (_, Status::Gone) => self.arrange(peer, hop, work),
                    (true, _) if known.address() != peer.address() => self.move_house(peer, work),
                    (true, _) => {
                        self.renew(peer, work);
                        Ok(())
                    }
                    (false, _) => Ok(()),
                }
            }
        }
    }

    /// A stranger: met first, so that a join aims at no victim; each address once in a while, and few a minute.
    fn arrange(&mut self, peer: Arc<Peer>, hop: Hop, work: &mut Work<'_>) -> Result<(), Refused> {
        if self.waiting.len() >= MOST_WAITING {
            return Err(Refused::TooMany { retry_after_secs: self.meets.rest(work.now).as_secs().max(1) });
        }
        let rest = match hop {
            Hop::Own => self.settings.address_rest / 24,
            Hop::Forwarded => self.settings.address_rest,
        };
        if !self.addresses.note(peer.address().ip(), rest, work.now) {
            return Err(Refused::TooMany { retry_after_secs: rest.as_secs().max(1) });
        }
        self.waiting.push_back(Meeting { peer, why: Why::Join(hop), begun: work.now });
        self.meet_the_waiting(work);
        Ok(())
    }

    fn move_house(&mut self, peer: Arc<Peer>, work: &mut Work<'_>) -> Result<(), Refused> {
        if self.addresses.note(peer.address().ip(), self.settings.address_rest / 24, work.now) {
            self.meet(Meeting { peer, why: Why::Moved, begun: work.now }, work);
        }
        Ok(())
    }

    pub(super) fn meet_the_waiting(&mut self, work: &mut Work<'_>) {
        self.meetings.retain(|_, meeting| work.now.since(meeting.begun) < MEETING_TIME);
        while !self.waiting.is_empty() && self.meetings.len() < MOST_MEETINGS {
            if !self.meets.take(1, 0, work.now) {
                self.agenda.add(work.now.plus(self.meets.rest(work.now).max(Duration::from_millis(1))), Due::Meeting);
                return;
            }
            if let Some(next) = self.waiting.pop_front() {
                self.meet(next, work);
            }
        }
    }

    fn meet(&mut self, meeting: Meeting, work: &mut Work<'_>) {
        if self.meetings.len() >= MOST_MEETINGS || !self.budget.take(1, 0, work.now) {
            return;
        }
        let meet = MeetId(self.number());
        let (vantage, address) = (meeting.peer.vantage(), meeting.peer.address());
        work.out.push(Action::Meet { meet, vantage, address });
        self.meetings.insert(meet, Meeting { begun: work.now, ..meeting });
    }

    pub(super) fn met(
        &mut self,
        meet: MeetId,
        result: Result<Arc<Peer>, Unmet>,
        work: &mut Work<'_>,
    ) -> Result<(), Refused> {
        let Some(meeting) = self.meetings.remove(&meet) else { return Ok(()) };
        let Ok(found) = result else { return Ok(()) };
        if found.vantage() != meeting.peer.vantage() {
            return Ok(());
        }
        let newest =
            if found.descriptor().issued_at >= meeting.peer.descriptor().issued_at { found } else { meeting.peer };
        match meeting.why {
            Why::Join(hop) => self.welcome(newest, hop, work),
            Why::Moved => self.renew(newest, work),
            Why::Rekeyed(event) => {
                self.renew(newest, work);
                // Judged now with what is known now; a second failure is final.
                let _ = match *event {
                    Event::RemovalAsked { removal } => self.removal_asked(removal, work),
                    Event::VoteReceived { vote } => self.vote_received(vote, work),
                    _ => Ok(()),
                };
            }
        }
        Ok(())
    }

    /// A candidate that was met.
    fn welcome(&mut self, peer: Arc<Peer>, hop: Hop, work: &mut Work<'_>) {
        let vantage = peer.vantage();
        if let Some(slot) = self.book.slot(vantage) {
            match self.book.at(slot).map(|known| known.status) {
                Some(Status::Gone) => drop(self.book.remove(slot)),
                _ => return self.renew(peer, work),
            }
        }
        self.make_room(&peer, work);
        let candidate = Mirror::new(peer, Status::Candidate, Reason::Joined, work.now);
        let Some(slot) = self.book.add(candidate) else { return };
        self.set_status(slot, Status::Candidate, Reason::Joined, work);
        let (quizzes, time) = (self.settings.candidate_quizzes, self.settings.candidate_time);
        self.start_trial(slot, TrialKind::Candidate, quizzes, time, work);
        if hop == Hop::Own {
            self.forward(slot, work);
        }
    }

    /// At most so many of one network, and of all, that have not been active yet: the oldest goes.
    fn make_room(&mut self, peer: &Peer, work: &mut Work<'_>) {
        for (network, most) in
            [(Some(peer.network()), self.settings.unproven_a_network), (None, self.settings.unproven)]
        {
            let unproven = self.book.unproven(network);
            let too_many = (unproven.len() + 1).saturating_sub(most);
            for slot in unproven.into_iter().take(too_many) {
                if let Some(gone) = self.book.remove(slot) {
                    work.out.push(Action::Persist(gone.peer.vantage()));
                }
            }
        }
    }

    pub(super) fn forward(&mut self, slot: super::book::Slot, work: &mut Work<'_>) {
        let Some(peer) = self.book.at(slot).map(|mirror| Arc::clone(&mirror.peer)) else { return };
        for to in self.draw(self.settings.fan_out, Some(slot), work) {
            if let Some(mirror) = self.book.at(to)
                && self.budget.take(1, 0, work.now)
            {
                work.out.push(Action::Forward { peer: Arc::clone(&peer), to: mirror.peer.vantage() });
            }
        }
    }

    /// Takes a newer descriptor of a known mirror. One that was made inactive and signs anew says that it was mended: its
    /// retest comes as soon as the first one would. Who was proved a liar has that to live down.
    pub(super) fn renew(&mut self, peer: Arc<Peer>, work: &mut Work<'_>) {
        let Some(slot) = self.book.slot(peer.vantage()) else { return };
        let first = self.settings.retest_first;
        let Some(mirror) = self.book.at_mut(slot) else { return };
        if is_newer(&mirror.peer, &peer) != Ok(true) {
            return;
        }
        let signed_since = peer.descriptor().issued_at > mirror.since;
        mirror.take(peer, work.now);
        work.out.push(Action::Persist(mirror.peer.vantage()));
        let (status, reason, since) = (mirror.status, mirror.reason, mirror.since);
        if let Some(due) = mirror.more.as_deref_mut().and_then(|more| more.retest_due.as_mut())
            && status == Status::Inactive
            && reason != Reason::Equivocation
            && signed_since
        {
            let soon = since.plus(first).max(work.now);
            if soon < *due {
                *due = soon;
                self.agenda.add(soon, Due::Retest(slot));
            }
        }
    }

    /// Two descriptors of one moment: whoever shows them to different mirrors would be two.
    fn two_descriptors(&mut self, vantage: VantageId, work: &mut Work<'_>) {
        let Some(slot) = self.book.slot(vantage) else { return };
        self.end_trial(slot);
        if self.book.at(slot).is_some_and(|mirror| mirror.status != Status::Inactive) {
            self.fall(slot, Reason::Equivocation, work);
        }
    }

    /// Another's list names active mirrors that are not known here: they are met, few a minute, and tested.
    pub(super) fn list_received(
        &mut self,
        from: VantageId,
        newcomers: Vec<Arc<Peer>>,
        work: &mut Work<'_>,
    ) -> Result<(), Refused> {
        if self.book.of(from).is_none_or(|mirror| mirror.status != Status::Active) {
            return Err(Refused::NotActive(from));
        }
        for peer in newcomers {
            if self.book.slot(peer.vantage()).is_none()
                && peer.vantage() != self.me
                && self.waiting.len() < MOST_WAITING
            {
                // One that is refused is not met; the others are none the worse for it.
                let _ = self.arrange(peer, Hop::Forwarded, work);
            }
        }
        Ok(())
    }

    /// A stranger whom a report names. One mirror of all meets it: the one that a hash of its address falls to. So however
    /// many reports name a victim, it gets one probe from the whole network.
    pub(super) fn meet_reported(&mut self, peer: Arc<Peer>, work: &mut Work<'_>) {
        let address = peer.address();
        if !self.addresses.is_rested(&address.ip(), self.settings.address_rest, work.now) {
            return;
        }
        let mut nearest = (rank(&*self.suite, address, self.me), None);
        for (slot, mirror) in self.book.iter().filter(|(_, mirror)| mirror.status == Status::Active) {
            let candidate = rank(&*self.suite, address, mirror.peer.vantage());
            if candidate < nearest.0 {
                nearest = (candidate, Some(slot));
            }
        }
        match nearest.1.and_then(|slot| self.book.at(slot)).map(|mirror| mirror.peer.vantage()) {
            None => drop(self.arrange(peer, Hop::Forwarded, work)),
            Some(to) => {
                let fresh = self.addresses.note(address.ip(), self.settings.address_rest, work.now);
                if fresh && self.budget.take(1, 15, work.now) {
                    work.out.push(Action::Forward { peer, to });
                }
            }
        }
    }

    /// Verifies a statement by the keys that its signer may have signed with. Where none fits, the newest descriptor is
    /// fetched once, and the event comes back.
    pub(super) fn verify_known<T: Statement>(
        &mut self,
        signed: Signed,
        again: impl FnOnce(Signed) -> Event,
        work: &mut Work<'_>,
    ) -> Result<Verified<T>, Refused> {
        let read = Unverified::<T>::read(&signed)?;
        let claimed = read.claimed_signer();
        let mirror = self.book.of(claimed).ok_or(Refused::Unknown(claimed))?;
        let result = read.verify(&*self.suite, mirror.signatories(work.now), work.now);
        if matches!(result, Err(StatementError::Signature(BadSignature::Mismatch))) {
            let peer = Arc::clone(&mirror.peer);
            // Once in a while: a forger must not make us fetch at his pace.
            if self.addresses.note(peer.address().ip(), self.settings.report_rest, work.now) {
                self.meet(Meeting { peer, why: Why::Rekeyed(Box::new(again(signed.clone()))), begun: work.now }, work);
            }
        }
        Ok(Verified::new(result?, signed))
    }
}

/// Whether an offered descriptor is a newer one.
fn is_newer(known: &Peer, offered: &Peer) -> Result<bool, Refused> {
    let (old, new) = (known.descriptor().issued_at, offered.descriptor().issued_at);
    if known.signed().body == offered.signed().body {
        return Ok(false);
    }
    match new.cmp(&old) {
        std::cmp::Ordering::Greater => Ok(true),
        std::cmp::Ordering::Equal => Err(Refused::TwoDescriptors(known.vantage())),
        std::cmp::Ordering::Less => Err(Refused::Older { known: old, found: new }),
    }
}

fn rank(suite: &dyn Suite, address: SocketAddr, vantage: VantageId) -> [u8; 32] {
    let mut input = format!("parallax-probe/1 {} ", address.ip().to_canonical()).into_bytes();
    input.extend_from_slice(vantage.as_bytes());
    suite.sha256(&input)
}

/// The active mirrors of another's list that `knows` does not know, verified one by one: at most `most` of them, from a
/// random place on, so that a list makes nobody check five thousand signatures.
pub fn newcomers(
    suite: &dyn Suite,
    list: &MirrorList,
    knows: impl Fn(VantageId) -> bool,
    most: usize,
    now: Timestamp,
    rng: &mut dyn rand_core::Rng,
) -> Vec<Arc<Peer>> {
    let many = list.mirrors.len();
    let start = below(rng, many);
    let turned = list.mirrors.iter().cycle().skip(start).take(many);
    let unknown = turned.filter(|listed| {
        listed.status == Status::Active
            && claimed_signer(&listed.descriptor, crate::LARGEST_DESCRIPTOR).is_ok_and(|vantage| !knows(vantage))
    });
    unknown
        .take(most)
        .filter_map(|listed| Peer::verify(suite, listed.descriptor.clone(), now).ok().map(Arc::new))
        .collect()
}
