//! Looks that go by way of another hub: those that peers of this hub make for a sibling, and those that peers of siblings
//! make for this one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parallax_core::{ServiceId, Timestamp, VantageId};
use rand_core::Rng;

use super::looks::valid_until;
use super::{Action, Hub, Refused};
use crate::hub::siblings::Word;
use crate::hub::wire::{Look, LookId, Nonce, Seen};
use crate::signed::Signed;

/// Looks under way for siblings.
const MOST_LENT: usize = 65_536;

/// All looks that peers of this hub make for siblings.
#[derive(Debug, Default)]
pub(super) struct LentLooks {
    looks: HashMap<LookId, Lent>,
    /// When they are given up, the earliest first.
    until: VecDeque<(Timestamp, LookId)>,
}

impl LentLooks {
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.until.front().map(|(due, _)| *due)
    }
}

/// A look that a peer of this hub makes for a sibling.
#[derive(Debug)]
struct Lent {
    to: VantageId,
    peer: VantageId,
    service: ServiceId,
    nonce: Nonce,
}

impl Hub {
    /// A sibling asks one of our peers.
    pub(super) fn lend(&mut self, to: VantageId, id: VantageId, look: Look, now: Timestamp) {
        let slot = self.pool.slot_of(id);
        let peer = slot.and_then(|slot| self.pool.peer_mut(slot));
        let place = peer.and_then(|peer| peer.way.here().map(|connection| (connection, peer)));
        let is_known = self.lent.looks.contains_key(&look.look_id) || self.hoped.contains_key(&look.look_id);
        let is_full = self.lent.looks.len() >= MOST_LENT;
        let taken = place.filter(|_| !is_known && !is_full).and_then(|(connection, peer)| {
            peer.looks.take(peer.rate, now).is_ok().then(|| {
                peer.under_way.push(look.look_id);
                connection
            })
        });
        let Some(connection) = taken else {
            return self.tell(Some(to), Word::Seen { look_id: look.look_id, view: None });
        };
        let lent = Lent { to, peer: id, service: look.service.clone(), nonce: look.nonce };
        self.lent.looks.insert(look.look_id, lent);
        self.lent.until.push_back((now.plus(self.settings.patience * 2), look.look_id));
        self.stats.lent += 1;
        self.actions.push(Action::Look { connection, look });
    }

    /// A peer of ours replies to a look that was none of ours; `None` when it was no sibling's either.
    pub(super) fn seen_for_sibling(&mut self, peer: VantageId, seen: &Seen) -> Option<Result<(), Refused>> {
        self.lent.looks.get(&seen.look_id).filter(|lent| lent.peer == peer)?;
        let lent = self.lent.looks.remove(&seen.look_id)?;
        let answers = seen.view.as_ref().map(|view| valid_until(view, peer, &lent.service, lent.nonce));
        let (view, done) = match answers {
            Some(Ok(_)) => (seen.view.clone(), Ok(())),
            Some(Err(why)) => {
                self.stats.malformed += 1;
                (None, Err(Refused::Malformed(why)))
            }
            None => (None, Ok(())),
        };
        self.tell(Some(lent.to), Word::Seen { look_id: seen.look_id, view });
        Some(done)
    }

    /// What a peer of a sibling saw. It may be a reply only to a look that went there.
    pub(super) fn seen_there(
        &mut self,
        from: VantageId,
        look: LookId,
        view: Option<Signed>,
        now: Timestamp,
        rng: &mut dyn Rng,
    ) {
        let Some(hoped) = self.hoped.get(&look).filter(|hoped| hoped.there == Some(from)) else {
            self.stats.unasked += 1;
            return;
        };
        let (id, slot, ask) = (hoped.peer, hoped.slot, hoped.ask);
        let Some(peer) = self.pool.peer_mut(slot).filter(|peer| peer.id == id) else { return };
        peer.under_way.retain(|one| *one != look);
        let spki = Arc::clone(&peer.spki);
        let Some(question) = self.questions.get(&ask) else { return };
        let service = question.ask.service.clone();
        let read = view.map(|view| (valid_until(&view, id, &service, question.ask.nonce), view));
        match read {
            Some((Ok(valid_until), view)) => self.looked(look, (spki, service, valid_until), view, now, rng),
            Some((Err(_), _)) => {
                self.stats.malformed += 1;
                self.look_failed(look, now, rng);
            }
            None => self.look_failed(look, now, rng),
        }
    }

    /// A look that its peer does not make, whoever asked for it.
    pub(super) fn one_failed(&mut self, look: LookId, now: Timestamp, rng: &mut dyn Rng) {
        if !self.lent_failed(look) {
            self.look_failed(look, now, rng);
        }
    }

    fn lent_failed(&mut self, look: LookId) -> bool {
        let Some(lent) = self.lent.looks.remove(&look) else { return false };
        self.free(lent.peer, look);
        self.tell(Some(lent.to), Word::Seen { look_id: look, view: None });
        true
    }

    pub(super) fn forget_lent(&mut self, from: VantageId, looks: &[LookId]) {
        for look in looks {
            if self.lent.looks.get(look).is_some_and(|lent| lent.to == from)
                && let Some(lent) = self.lent.looks.remove(look)
            {
                self.free(lent.peer, *look);
            }
        }
    }

    fn free(&mut self, peer: VantageId, look: LookId) {
        let peer = self.pool.slot_of(peer).and_then(|slot| self.pool.peer_mut(slot));
        peer.into_iter().for_each(|peer| peer.under_way.retain(|one| *one != look));
    }

    /// Gives up what took too long.
    pub(super) fn see_to_lent(&mut self, now: Timestamp) {
        while let Some((_, look)) = self.lent.until.front().copied().filter(|(due, _)| *due <= now) {
            self.lent.until.pop_front();
            self.lent_failed(look);
        }
    }

    /// A sibling is gone: nobody waits for what it asked for.
    pub(super) fn forget_all_lent(&mut self, from: VantageId) {
        let lent = self.lent.looks.iter().filter(|(_, lent)| lent.to == from).map(|(look, _)| *look);
        let lent: Vec<LookId> = lent.collect();
        self.forget_lent(from, &lent);
    }

    /// Nobody waits for these looks any more: their hubs need not either.
    pub(super) fn forget_there(&mut self, looks: HashMap<VantageId, Vec<LookId>>) {
        for (sibling, looks) in looks {
            self.tell(Some(sibling), Word::Forget { looks });
        }
    }
}
