//! Peers that are attached at other hubs of the same operator (`docs/protocols/hub.md`, several hubs).
//!
//! Each hub tells the others whom it has, and keeps their peers in its pool beside its own: so every rule about one answer
//! (a key once, exactly N, so many of a network, chance) holds over all of them. A look at a peer elsewhere goes by way of
//! its hub. What is spent is told as well, a moment later.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use parallax_core::{ServiceId, Timestamp, VantageId};
use rand_core::Rng;

use super::{Action, Detached, Hub, network_of};
use crate::hub::pool::{NewPeer, Peer, Slot, Way};
use crate::hub::settings::PerMinute;
use crate::hub::siblings::{News, SharedPeer, Whole, Word};
use crate::hub::wire::PeerSpki;

/// A hub tells its siblings at least this often that it is there.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// One that says nothing for so long is gone, and its peers with it.
const SILENT: Duration = Duration::from_secs(7);
/// News wait so long for more.
const GATHERING: Duration = Duration::from_millis(100);
/// All peers are asked for again after this time at the earliest.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Siblings that are known at once.
const MOST_SIBLINGS: usize = 64;
/// Peers of all siblings together.
const MOST_THERE: usize = 100_000;
/// Peers in one message, and other things in one: it stays below what a queue carries.
const PEERS_AT_ONCE: usize = 200;
const THINGS_AT_ONCE: usize = 1_000;

/// What a hub knows of the others.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// Who this hub is; `None`: it shares nothing.
    own: Option<VantageId>,
    known: HashMap<VantageId, Sibling>,
    /// Whom the others were told of.
    announced: HashMap<VantageId, u64>,
    whole: Whole,
    /// Whom they are to be told of, or that they left.
    changed: HashSet<VantageId>,
    looks: HashMap<(ServiceId, Option<IpAddr>), u32>,
    asks: HashMap<VantageId, u32>,
    /// When they are told next.
    next: Timestamp,
}

/// One of the others.
#[derive(Debug)]
struct Sibling {
    heard_at: Timestamp,
    peers: HashMap<VantageId, u64>,
    whole: Whole,
    /// While it lists all of its peers: those that it has named so far.
    listed: Option<HashSet<VantageId>>,
    again_at: Timestamp,
}

impl Siblings {
    fn is_shared(&self) -> bool {
        self.own.is_some()
    }

    /// Something is to be told, soon.
    fn soon(&mut self, now: Timestamp) {
        self.next = self.next.min(now.plus(GATHERING));
    }

    /// A peer of this hub came, changed or left.
    pub(super) fn changed(&mut self, peer: VantageId, now: Timestamp) {
        if self.is_shared() {
            self.changed.insert(peer);
            self.soon(now);
        }
    }

    /// A look was asked for.
    pub(super) fn spent_look(&mut self, service: &ServiceId, network: Option<IpAddr>, now: Timestamp) {
        if !self.known.is_empty() {
            *self.looks.entry((service.clone(), network)).or_default() += 1;
            self.soon(now);
        }
    }

    /// A question was asked.
    pub(super) fn spent_ask(&mut self, asker: VantageId, now: Timestamp) {
        if !self.known.is_empty() {
            *self.asks.entry(asker).or_default() += 1;
            self.soon(now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.own?;
        let silent = self.known.values().map(|sibling| sibling.heard_at.plus(SILENT)).min();
        silent.into_iter().chain([self.next]).min()
    }
}

impl Hub {
    /// Shares peers with the siblings from now on, as the node `own`.
    pub fn share(&mut self, own: VantageId, now: Timestamp) {
        self.siblings.own = Some(own);
        self.siblings.next = now;
        let here: Vec<VantageId> =
            self.pool.all().filter(|peer| peer.way.here().is_some()).map(|peer| peer.id).collect();
        self.siblings.changed.extend(here);
    }

    /// Other hubs that are there.
    pub fn siblings(&self) -> usize {
        self.siblings.known.len()
    }

    /// Their peers.
    pub fn shared_peers(&self) -> usize {
        self.pool.there()
    }

    /// A sibling says something. `anew`: it has started again since it was last heard, or is heard for the first time.
    pub fn told(&mut self, from: VantageId, anew: bool, word: Word, now: Timestamp, rng: &mut dyn Rng) {
        if self.siblings.own.is_none_or(|own| own == from) {
            return;
        }
        if anew || word == Word::Bye {
            self.sibling_gone(from, now, rng);
        }
        if word == Word::Bye || !self.meet(from, now) {
            return;
        }
        match word {
            Word::News(news) => self.news(from, news, now, rng),
            Word::All { first, came, whole } => self.all(from, (first, came, whole), now, rng),
            Word::Again => self.tell_all(from),
            Word::Look { peer, look } => self.lend(from, peer, look, now),
            Word::Seen { look_id, view } => self.seen_there(from, look_id, view, now, rng),
            Word::Forget { looks } => self.forget_lent(from, &looks),
            Word::Bye => {}
        }
    }

    /// The others can't be reached any more: this hub serves its own peers.
    pub fn alone(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        let all: Vec<VantageId> = self.siblings.known.keys().copied().collect();
        all.into_iter().for_each(|sibling| self.sibling_gone(sibling, now, rng));
    }

    /// Does what is due.
    pub(super) fn see_to_siblings(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        if !self.siblings.is_shared() {
            return;
        }
        let silent = |sibling: &Sibling| now.since(sibling.heard_at) >= SILENT;
        let gone: Vec<VantageId> =
            self.siblings.known.iter().filter(|(_, sibling)| silent(sibling)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|sibling| self.sibling_gone(sibling, now, rng));
        self.see_to_lent(now);
        if self.siblings.next <= now {
            self.tell_news(now);
        }
    }

    /// Says goodbye to all.
    pub(super) fn leave_siblings(&mut self) {
        if self.siblings.is_shared() {
            self.tell(None, Word::Bye);
        }
    }

    pub(super) fn tell(&mut self, to: Option<VantageId>, word: Word) {
        self.actions.push(Action::Tell { to, word: Box::new(word) });
    }

    /// It is heard; `false` when there is no room for another one.
    fn meet(&mut self, from: VantageId, now: Timestamp) -> bool {
        if let Some(known) = self.siblings.known.get_mut(&from) {
            known.heard_at = known.heard_at.max(now);
            return true;
        }
        if self.siblings.known.len() >= MOST_SIBLINGS {
            return false;
        }
        let sibling = Sibling {
            heard_at: now,
            peers: HashMap::new(),
            whole: Whole::default(),
            listed: None,
            again_at: Timestamp::default(),
        };
        self.siblings.known.insert(from, sibling);
        // So that it hears of this hub at once, too.
        self.siblings.next = now;
        true
    }

    /// A sibling is gone: its peers with it, and what it waited for.
    fn sibling_gone(&mut self, from: VantageId, now: Timestamp, rng: &mut dyn Rng) {
        let Some(sibling) = self.siblings.known.remove(&from) else { return };
        sibling.peers.into_keys().for_each(|peer| self.left(from, peer, now, rng));
        self.forget_all_lent(from);
    }

    fn news(&mut self, from: VantageId, news: News, now: Timestamp, rng: &mut dyn Rng) {
        for (service, network, count) in news.looks {
            self.looks_a_service.spend(&service, count, now);
            network.iter().for_each(|network| self.looks_a_network.spend(network, count, now));
        }
        for (asker, count) in news.asks {
            self.asks_each.spend(&asker, count, now);
        }
        for peer in news.left {
            self.unlist(from, peer);
            self.left(from, peer, now, rng);
        }
        news.came.into_iter().for_each(|peer| self.came(from, peer, now, rng));
        self.compare(from, news.whole, now);
    }

    /// Where something was lost, all is asked for.
    fn compare(&mut self, from: VantageId, whole: Option<Whole>, now: Timestamp) {
        let Some(sibling) = self.siblings.known.get_mut(&from) else { return };
        if whole.is_none_or(|whole| whole == sibling.whole) || now < sibling.again_at {
            return;
        }
        sibling.again_at = now.plus(AGAIN_AFTER);
        self.tell(Some(from), Word::Again);
    }

    fn all(
        &mut self,
        from: VantageId,
        (first, came, whole): (bool, Vec<SharedPeer>, Option<Whole>),
        now: Timestamp,
        rng: &mut dyn Rng,
    ) {
        let Some(sibling) = self.siblings.known.get_mut(&from) else { return };
        if first {
            sibling.listed = Some(HashSet::new());
        }
        if let Some(listed) = &mut sibling.listed {
            listed.extend(came.iter().map(|peer| peer.peer).take(MOST_THERE));
        }
        came.into_iter().for_each(|peer| self.came(from, peer, now, rng));
        if whole.is_none() {
            return;
        }
        let Some(sibling) = self.siblings.known.get_mut(&from) else { return };
        if let Some(listed) = sibling.listed.take() {
            let gone: Vec<VantageId> = sibling.peers.keys().filter(|peer| !listed.contains(peer)).copied().collect();
            for peer in gone {
                self.unlist(from, peer);
                self.left(from, peer, now, rng);
            }
        }
        self.compare(from, whole, now);
    }

    /// A sibling has a peer. Where somebody else has it too, the later one does.
    fn came(&mut self, from: VantageId, shared: SharedPeer, now: Timestamp, rng: &mut dyn Rng) {
        let id = shared.peer;
        self.unlist(from, id);
        let Some(sibling) = self.siblings.known.get_mut(&from) else { return };
        if sibling.peers.len() >= MOST_THERE {
            return;
        }
        sibling.peers.insert(id, shared.since);
        sibling.whole.add(id, shared.since);
        let Some(slot) = self.pool.slot_of(id) else {
            if self.has_place_there(&shared) {
                self.pool.insert(self.new_there(from, shared), now);
            }
            return;
        };
        let Some(peer) = self.pool.peer(slot) else { return };
        let (way, known) = (peer.way, (peer.since, self.place_of(peer.way)));
        match way {
            Way::There(there) if there == from => self.renew_there(slot, from, shared, now),
            _ if (shared.since, Some(from)) <= known => {}
            _ => {
                if let Way::Here(connection) = way {
                    self.actions.push(Action::Detach { connection, why: Detached::Replaced });
                }
                self.moved_there(slot, from, shared, now, rng);
            }
        }
    }

    fn place_of(&self, way: Way) -> Option<VantageId> {
        way.there().or(self.siblings.own)
    }

    fn has_place_there(&self, shared: &SharedPeer) -> bool {
        self.pool.there() < MOST_THERE
            && self.pool.of_network(network_of(shared.network)) < self.settings.peers_a_network
    }

    fn new_there(&self, from: VantageId, shared: SharedPeer) -> NewPeer {
        let rate = shared.looks_per_minute.clamp(1, self.settings.looks_each.max(1));
        NewPeer {
            id: shared.peer,
            spki: shared.spki.0.into(),
            network: network_of(shared.network),
            way: Way::There(from),
            since: shared.since,
            rate: PerMinute { rate, burst: rate },
        }
    }

    /// The same peer at the same sibling, perhaps in another network. What it has spent stays spent, what it was asked for
    /// stays asked.
    fn renew_there(&mut self, slot: Slot, from: VantageId, shared: SharedPeer, now: Timestamp) {
        let new = self.new_there(from, shared);
        let Some(old) = self.pool.remove(slot) else { return };
        self.put_again(new, old, now);
    }

    /// It moved to a sibling: what it was asked for over its old way is asked of others.
    fn moved_there(&mut self, slot: Slot, from: VantageId, shared: SharedPeer, now: Timestamp, rng: &mut dyn Rng) {
        let new = self.new_there(from, shared);
        let Some(mut old) = self.pool.remove(slot) else { return };
        let under_way = std::mem::take(&mut old.under_way);
        self.siblings.changed(old.id, now);
        self.put_again(new, old, now);
        under_way.into_iter().for_each(|look| self.one_failed(look, now, rng));
    }

    fn put_again(&mut self, new: NewPeer, old: Peer, now: Timestamp) {
        let slot = self.pool.insert(new, now);
        if let Some(peer) = self.pool.peer_mut(slot) {
            peer.looks = old.looks;
            peer.under_way = old.under_way;
        }
    }

    /// A sibling says that it has a peer no more.
    fn left(&mut self, from: VantageId, peer: VantageId, now: Timestamp, rng: &mut dyn Rng) {
        let slot = self.pool.slot_of(peer);
        let there = slot.and_then(|slot| self.pool.peer(slot)).is_some_and(|peer| peer.way == Way::There(from));
        if let Some(slot) = slot.filter(|_| there) {
            self.detach(slot, now, rng);
        }
    }

    fn unlist(&mut self, from: VantageId, peer: VantageId) {
        let Some(sibling) = self.siblings.known.get_mut(&from) else { return };
        if let Some(since) = sibling.peers.remove(&peer) {
            sibling.whole.take(peer, since);
        }
    }

    /// Tells what is new, in as many parts as it takes.
    fn tell_news(&mut self, now: Timestamp) {
        self.siblings.next = now.plus(HEARTBEAT);
        let (came, left) = self.changes();
        let looks = self.siblings.looks.drain().map(|((service, network), count)| (service, network, count));
        let looks: Vec<_> = looks.collect();
        let asks: Vec<_> = self.siblings.asks.drain().collect();
        let parts = [came.len().div_ceil(PEERS_AT_ONCE), most(left.len()), most(looks.len()), most(asks.len())];
        let parts = parts.into_iter().max().unwrap_or_default().max(1);
        for part in 0..parts {
            let news = News {
                came: slice(&came, part, PEERS_AT_ONCE),
                left: slice(&left, part, THINGS_AT_ONCE),
                looks: slice(&looks, part, THINGS_AT_ONCE),
                asks: slice(&asks, part, THINGS_AT_ONCE),
                whole: (part + 1 == parts).then_some(self.siblings.whole),
            };
            self.tell(None, Word::News(news));
        }
    }

    /// Who came and who left since the others were last told.
    fn changes(&mut self) -> (Vec<SharedPeer>, Vec<VantageId>) {
        let (mut came, mut left) = (Vec::new(), Vec::new());
        for id in std::mem::take(&mut self.siblings.changed) {
            let Siblings { announced, whole, .. } = &mut self.siblings;
            let before = announced.remove(&id);
            before.into_iter().for_each(|since| whole.take(id, since));
            let peer = self.pool.slot_of(id).and_then(|slot| self.pool.peer(slot));
            match peer.filter(|peer| peer.way.here().is_some()) {
                Some(peer) => {
                    announced.insert(id, peer.since);
                    whole.add(id, peer.since);
                    came.push(shared(peer));
                }
                None if before.is_some() => left.push(id),
                None => {}
            }
        }
        (came, left)
    }

    /// Tells one sibling of all that the others were told of.
    fn tell_all(&mut self, to: VantageId) {
        let peers = self.siblings.announced.keys().filter_map(|id| self.pool.peer(self.pool.slot_of(*id)?));
        let peers: Vec<SharedPeer> = peers.filter(|peer| peer.way.here().is_some()).map(shared).collect();
        let parts = peers.len().div_ceil(PEERS_AT_ONCE).max(1);
        for part in 0..parts {
            let whole = (part + 1 == parts).then_some(self.siblings.whole);
            let came = slice(&peers, part, PEERS_AT_ONCE);
            self.tell(Some(to), Word::All { first: part == 0, came, whole });
        }
    }
}

fn most(things: usize) -> usize {
    things.div_ceil(THINGS_AT_ONCE)
}

fn slice<T: Clone>(all: &[T], part: usize, size: usize) -> Vec<T> {
    all.chunks(size).nth(part).unwrap_or_default().to_vec()
}

fn shared(peer: &Peer) -> SharedPeer {
    SharedPeer {
        peer: peer.id,
        spki: PeerSpki(peer.spki.to_vec()),
        network: peer.network,
        looks_per_minute: peer.rate.rate,
        since: peer.since,
    }
}
