//! Who is attached, and who is still there.

use std::cmp::Reverse;

use parallax_core::Timestamp;
use rand_core::Rng;

use super::{Action, Attaching, ConnectionId, Detached, Hub, Refused, network_of};
use crate::hub::pool::{NewPeer, Slot, Way};
use crate::hub::settings::PerMinute;

impl Hub {
    /// Attaches a peer. One that is attached already takes its own place over the new connection, however many it opens:
    /// a key is one peer and one vote.
    pub fn attach(&mut self, attaching: Attaching, now: Timestamp) -> Result<(), Refused> {
        let Attaching { peer, spki, address, connection, attach } = attaching;
        let network = network_of(address);
        let known = self.pool.slot_of(peer);
        if self.pool.slot_at(connection).is_some_and(|slot| Some(slot) != known) {
            return Err(Refused::OtherKey);
        }
        let rate = attach.looks_per_minute.min(self.settings.looks_each);
        // Later than wherever it was before, whatever the clocks of other hubs say.
        let before = known.and_then(|slot| self.pool.peer(slot)).map_or(0, |peer| peer.since.saturating_add(1));
        let since = u64::try_from(now.unix_ms()).unwrap_or_default().max(before);
        let (way, rate) = (Way::Here(connection), PerMinute { rate, burst: rate });
        let new = NewPeer { id: peer, spki, network, way, since, rate };
        match known {
            Some(slot) => self.attach_again(slot, new, connection, now)?,
            None => {
                self.has_place(&new)?;
                let slot = self.pool.insert(new, now);
                self.beats(slot, now);
            }
        }
        self.siblings.changed(peer, now);
        Ok(())
    }

    fn beats(&mut self, slot: Slot, now: Timestamp) {
        let due = now.plus(self.settings.ping_after);
        if let Some(peer) = self.pool.peer_mut(slot) {
            peer.beats_at = due;
            self.heartbeats.push(Reverse((due, slot, peer.id)));
        }
    }

    fn has_place(&self, new: &NewPeer) -> Result<(), Refused> {
        if self.pool.here() >= self.settings.peers {
            return Err(Refused::Full);
        }
        if self.pool.of_network(new.network) >= self.settings.peers_a_network {
            return Err(Refused::NetworkFull);
        }
        Ok(())
    }

    /// What it was asked for stays asked, and what it has spent of its looks stays spent, at this hub or at a sibling.
    fn attach_again(
        &mut self,
        slot: Slot,
        new: NewPeer,
        connection: ConnectionId,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let rate = new.rate;
        let Some(before) = self.pool.peer(slot) else { return Err(Refused::NotAttached) };
        let (moved_network, was_there) = (before.network != new.network, before.way.there().is_some());
        if was_there && self.pool.here() >= self.settings.peers {
            return Err(Refused::Full);
        }
        if moved_network && self.pool.of_network(new.network) >= self.settings.peers_a_network {
            return Err(Refused::NetworkFull);
        }
        let old = if moved_network {
            // Another network is another seat. Looks under way are bound to the key and the slot, which stays free until
            // it is taken again at once.
            let Some(peer) = self.pool.remove(slot) else { return Err(Refused::NotAttached) };
            let again = self.pool.insert(new, now);
            debug_assert_eq!(again, slot, "the slot that was freed last is taken first");
            self.pool.peer_mut(again).into_iter().for_each(|place| {
                place.looks = peer.looks;
                place.under_way.clone_from(&peer.under_way);
                place.beats_at = peer.beats_at;
            });
            Some(peer.way)
        } else {
            let since = new.since;
            self.pool.peer_mut(slot).into_iter().for_each(|peer| peer.since = since);
            self.pool.moved(slot, Way::Here(connection))
        };
        self.pool.peer_mut(slot).into_iter().for_each(|peer| peer.rate = rate);
        self.heard(connection, now);
        if was_there {
            self.beats(slot, now);
        }
        if let Some(old) = old.and_then(Way::here).filter(|old| *old != connection) {
            self.actions.push(Action::Detach { connection: old, why: Detached::Replaced });
        }
        Ok(())
    }

    /// A peer said something, whatever it was.
    pub fn heard(&mut self, connection: ConnectionId, now: Timestamp) {
        let peer = self.pool.slot_at(connection).and_then(|slot| self.pool.peer_mut(slot));
        if let Some(peer) = peer {
            peer.heard_at = peer.heard_at.max(now);
            peer.pinged_at = None;
        }
    }

    /// A connection has ended; what its peer was asked for is asked of others.
    pub fn gone(&mut self, connection: ConnectionId, now: Timestamp, rng: &mut dyn Rng) {
        if let Some(slot) = self.pool.slot_at(connection) {
            self.detach(slot, now, rng);
        }
    }

    pub(super) fn detach(&mut self, slot: Slot, now: Timestamp, rng: &mut dyn Rng) {
        let Some(peer) = self.pool.remove(slot) else { return };
        self.siblings.changed(peer.id, now);
        for look in peer.under_way {
            self.one_failed(look, now, rng);
        }
    }

    /// Pings those that were idle for a while, and detaches those that are silent.
    pub(super) fn see_to_the_silent(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        let (ping_after, silent_after) = (self.settings.ping_after, self.settings.silent_after);
        while let Some(Reverse((due, slot, id))) =
            self.heartbeats.peek().copied().filter(|Reverse((due, ..))| *due <= now)
        {
            self.heartbeats.pop();
            let Some(peer) = self.pool.peer_mut(slot).filter(|peer| peer.id == id && peer.beats_at == due) else {
                continue;
            };
            // Of the peers of a sibling that sibling sees to.
            let Some(connection) = peer.way.here() else { continue };
            let idle = now.since(peer.heard_at);
            if idle >= silent_after {
                self.stats.silent += 1;
                self.actions.push(Action::Detach { connection, why: Detached::Silent });
                self.detach(slot, now, rng);
                continue;
            }
            let mut next = peer.heard_at.plus(ping_after);
            if idle >= ping_after {
                if peer.pinged_at.is_none() {
                    peer.pinged_at = Some(now);
                    self.actions.push(Action::Ping { connection });
                }
                // Not only when it would be too late: a pong may come meanwhile, and silence begin anew.
                next = now.plus(ping_after).min(peer.heard_at.plus(silent_after));
            }
            peer.beats_at = next;
            self.heartbeats.push(Reverse((next, slot, id)));
        }
    }
}
