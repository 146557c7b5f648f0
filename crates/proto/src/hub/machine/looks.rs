//! Who is asked to look, and what comes of it.

use std::sync::Arc;

use parallax_core::{ServiceId, Timestamp, VantageId};
use rand_core::Rng;
use serde::Deserialize;

use super::{Action, AskId, ConnectionId, Hoped, Hub, Refused, network_of};
use crate::hub::asks::{Row, Sighted};
use crate::hub::peer_view::LARGEST_PEER_VIEW;
use crate::hub::pool::{Peer, Slot, Way};
use crate::hub::siblings::Word;
use crate::hub::wire::{Ended, Look, LookId, Nonce, PeerSpki, Seen};
use crate::signed::Signed;

/// What the hub itself reads of a view. It believes nothing of it; the asker verifies the signature.
#[derive(Deserialize)]
struct Head {
    vantage: VantageId,
    service: ServiceId,
    nonce: Option<String>,
    valid_until: Timestamp,
}

/// Who is next.
enum Chosen {
    /// This one is asked.
    Peer(Slot),
    /// What is remembered of one is given.
    Row(Box<Row>),
}

impl Hub {
    /// Asks as many peers as the question still wants, and ends it when there is nothing left to hope for.
    pub(super) fn fill(&mut self, id: AskId, now: Timestamp, rng: &mut dyn Rng) {
        loop {
            let Some(question) = self.questions.get_mut(&id) else { return };
            if question.reading {
                return;
            }
            if question.is_complete() {
                return self.end(id, Ended::Complete);
            }
            question.limited = false;
            if question.wants() == 0 {
                break;
            }
            let may_look = self.may_look(id, now);
            match self.choose(id, may_look, now, rng) {
                Some(Chosen::Peer(slot)) => self.send_look(id, slot, now, rng),
                Some(Chosen::Row(row)) => self.give_row(id, *row),
                None => break,
            }
        }
        let Some(question) = self.questions.get(&id) else { return };
        if question.looks.is_empty() {
            let ended = if question.limited { Ended::Limited } else { Ended::NobodyLeft };
            self.end(id, ended);
        }
    }

    /// Whether the service and its network may be looked at once more, over all askers.
    fn may_look(&mut self, id: AskId, now: Timestamp) -> bool {
        let Some(question) = self.questions.get_mut(&id) else { return false };
        let service = self.looks_a_service.has_one(&question.ask.service, now);
        let network = question.target.map(network_of);
        let may = service && network.is_none_or(|network| self.looks_a_network.has_one(&network, now));
        question.limited = !may;
        may
    }

    /// Who is next: by the edges in turn, from memory or by a look; then strangers.
    /// Who is next: by the edges in turn, from memory or to be asked; then strangers, from memory first.
    fn choose(&mut self, id: AskId, may_look: bool, now: Timestamp, rng: &mut dyn Rng) -> Option<Chosen> {
        let a_network = self.settings.views_a_network;
        let (question, pool) = (self.questions.get_mut(&id)?, &mut self.pool);
        let mut chosen = None;
        let mut sight = std::mem::replace(&mut question.sight, Sighted::Everybody);
        if let Sighted::Through(turns) = &mut sight {
            chosen = turns.next(|peer| {
                let row = question.rows.remove(&peer);
                if let Some(row) = row.filter(|row| question.may_meet(peer, row.network, a_network)) {
                    return Some(Chosen::Row(Box::new(row)));
                }
                let slot = pool.slot_of(peer).filter(|_| may_look)?;
                let peer = pool.peer_mut(slot)?;
                let fits = question.may_meet(peer.id, peer.network, a_network) && peer.has_time(now);
                fits.then_some(Chosen::Peer(slot))
            });
        }
        question.sight = sight;
        while chosen.is_none()
            && let Some(row) = question.rows_of_strangers.pop()
        {
            let fits = question.may_meet(row.peer, row.network, a_network);
            chosen = fits.then(|| Chosen::Row(Box::new(row)));
        }
        let fits = |peer: &mut Peer| question.may_meet(peer.id, peer.network, a_network) && peer.has_time(now);
        chosen.or_else(|| may_look.then(|| pool.draw(rng, fits)).flatten().map(Chosen::Peer))
    }

    fn send_look(&mut self, id: AskId, slot: Slot, now: Timestamp, rng: &mut dyn Rng) {
        let (Some(question), Some(peer)) = (self.questions.get_mut(&id), self.pool.peer_mut(slot)) else { return };
        // Whether there is one was asked before; what is taken now is counted.
        let _ = peer.looks.take(peer.rate, now);
        let _ = self.looks_a_service.take(&question.ask.service, now);
        let target = question.target.map(network_of);
        if let Some(network) = target {
            let _ = self.looks_a_network.take(&network, now);
        }
        self.siblings.spent_look(&question.ask.service, target, now);
        let mut look_id = LookId([0; 16]);
        rng.fill_bytes(&mut look_id.0);
        let patience = self.settings.patience;
        let wait = question.until.since(now).min(patience * 2);
        let look = Look {
            look_id,
            service: question.ask.service.clone(),
            nonce: question.ask.nonce,
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        };
        question.meet(peer.id, peer.network);
        question.looks.insert(look_id);
        question.counts.asked += 1;
        peer.under_way.push(look_id);
        let (peer_id, way, network) = (peer.id, peer.way, peer.network);
        let hoped = Hoped { ask: id, slot, peer: peer_id, network, there: way.there(), replaced: false };
        self.hoped.insert(look_id, hoped);
        self.impatience.push_back((now.plus(patience), look_id));
        self.stats.looks += 1;
        self.actions.push(match way {
            Way::Here(connection) => Action::Look { connection, look },
            Way::There(sibling) => {
                Action::Tell { to: Some(sibling), word: Box::new(Word::Look { peer: peer_id, look }) }
            }
        });
    }

    /// A peer's reply. Which service and nonce it must be about is known from the question, not from the reply.
    pub fn seen(
        &mut self,
        connection: ConnectionId,
        seen: Seen,
        now: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<(), Refused> {
        let slot = self.pool.slot_at(connection).ok_or(Refused::NotAttached)?;
        self.heard(connection, now);
        let peer = self.pool.peer_mut(slot).ok_or(Refused::NotAttached)?;
        let (id, spki) = (peer.id, Arc::clone(&peer.spki));
        peer.under_way.retain(|look| *look != seen.look_id);
        if self.hoped.get(&seen.look_id).is_none_or(|hoped| hoped.peer != id) {
            return self.seen_for_sibling(id, &seen).unwrap_or_else(|| {
                self.stats.unasked += 1;
                Err(Refused::Unasked)
            });
        }
        let Some(view) = seen.view else {
            self.look_failed(seen.look_id, now, rng);
            return Ok(());
        };
        let asked = self.hoped.get(&seen.look_id).and_then(|hoped| self.questions.get(&hoped.ask));
        let asked = asked.map(|question| (question.ask.service.clone(), question.ask.nonce));
        let (service, nonce) = asked.ok_or(Refused::Unasked)?;
        match valid_until(&view, id, &service, nonce) {
            Ok(valid_until) => {
                self.looked(seen.look_id, (spki, service, valid_until), view, now, rng);
                Ok(())
            }
            Err(why) => {
                self.stats.malformed += 1;
                self.look_failed(seen.look_id, now, rng);
                Err(Refused::Malformed(why))
            }
        }
    }

    /// Passes a view on, and remembers it.
    pub(super) fn looked(
        &mut self,
        look: LookId,
        (spki, service, valid_until): (Arc<[u8]>, ServiceId, Timestamp),
        view: Signed,
        now: Timestamp,
        rng: &mut dyn Rng,
    ) {
        let Some(hoped) = self.hoped.remove(&look) else { return };
        let Some(question) = self.questions.get_mut(&hoped.ask) else { return };
        question.looks.remove(&look);
        question.replaced -= usize::from(hoped.replaced);
        let spki = PeerSpki(spki.to_vec());
        let edge = question.sight.edge(hoped.peer);
        question.counts.answered += 1;
        self.stats.routed += 1;
        let asker = question.asker;
        if !self.settings.window.is_zero() {
            let (peer, network, spki, view) = (hoped.peer, hoped.network, spki.clone(), view.clone());
            let row = Row { peer, spki, service, network, at: now, valid_until, view };
            self.actions.push(Action::Store(Box::new(row)));
        }
        self.answer(hoped.ask, asker, (spki, hoped.network, edge), view, false);
        self.fill(hoped.ask, now, rng);
    }

    /// A look that nothing comes of: somebody else is asked.
    pub(super) fn look_failed(&mut self, look: LookId, now: Timestamp, rng: &mut dyn Rng) {
        let Some(hoped) = self.hoped.remove(&look) else { return };
        self.stats.failed += 1;
        let Some(question) = self.questions.get_mut(&hoped.ask) else { return };
        question.looks.remove(&look);
        question.replaced -= usize::from(hoped.replaced);
        question.counts.failed += 1;
        question.miss(hoped.network);
        question.sight.turn_back(hoped.peer);
        self.fill(hoped.ask, now, rng);
    }

    /// A look that takes long is no longer counted on; one that takes twice as long is given up.
    pub(super) fn replace_the_slow(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        while let Some((due, look)) = self.impatience.front().copied().filter(|(due, _)| *due <= now) {
            self.impatience.pop_front();
            let Some(hoped) = self.hoped.get_mut(&look) else { continue };
            hoped.replaced = true;
            let ask = hoped.ask;
            self.despair.push_back((due.plus(self.settings.patience), look));
            self.stats.replaced += 1;
            self.questions.get_mut(&ask).into_iter().for_each(|question| question.replaced += 1);
            self.fill(ask, now, rng);
        }
        while let Some((_, look)) = self.despair.front().copied().filter(|(due, _)| *due <= now) {
            self.despair.pop_front();
            let slot = self.hoped.get(&look).map(|hoped| hoped.slot);
            if let Some(peer) = slot.and_then(|slot| self.pool.peer_mut(slot)) {
                peer.under_way.retain(|one| *one != look);
            }
            self.look_failed(look, now, rng);
        }
    }
}

/// Until when a view counts, if it answers this look of this peer.
pub(super) fn valid_until(
    view: &Signed,
    peer: VantageId,
    service: &ServiceId,
    nonce: Nonce,
) -> Result<Timestamp, &'static str> {
    if view.body.len() > LARGEST_PEER_VIEW {
        return Err("it is larger than 32 KiB");
    }
    let head: Head = serde_json::from_str(&view.body).map_err(|_| "it is no view")?;
    if head.vantage != peer {
        return Err("it is another peer's");
    }
    if head.service != *service {
        return Err("it is about another service");
    }
    if head.nonce.as_deref() != Some(nonce.to_string().as_str()) {
        return Err("it does not echo the nonce");
    }
    Ok(head.valid_until)
}
