//! The attached peers, and a random choice among them that does not look at all.
//!
//! Each network has as many *seats* as views of it may stand in one answer, or as it has peers. A seat is drawn, and then a
//! peer of its network: ten thousand peers in one network are drawn no more often than two.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parallax_core::{Timestamp, VantageId};
use rand_core::Rng;

use super::budget::Bucket;
use super::machine::ConnectionId;
use super::settings::PerMinute;
use super::wire::LookId;
use crate::mirror::random::below;

/// Draws before the seats are walked through.
const TRIES: usize = 16;

/// Members of one network that are tried for one draw.
const MOST_TRIED: usize = 64;

/// Where a peer lies in the pool.
pub(super) type Slot = usize;

/// Where a peer is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// At this hub.
    Here(ConnectionId),
    /// At a sibling.
    There(VantageId),
}

impl Way {
    /// Its connection, where it is here.
    pub(super) fn here(self) -> Option<ConnectionId> {
        match self {
            Way::Here(connection) => Some(connection),
            Way::There(_) => None,
        }
    }

    /// The sibling that has it.
    pub(super) fn there(self) -> Option<VantageId> {
        match self {
            Way::Here(_) => None,
            Way::There(sibling) => Some(sibling),
        }
    }
}

/// An attached peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: VantageId,
    pub(super) spki: Arc<[u8]>,
    pub(super) network: IpAddr,
    pub(super) way: Way,
    /// When it came there: of two hubs that say they have it, the one with the later moment does.
    pub(super) since: u64,
    pub(super) heard_at: Timestamp,
    pub(super) pinged_at: Option<Timestamp>,
    /// When it is seen to next.
    pub(super) beats_at: Timestamp,
    pub(super) rate: PerMinute,
    pub(super) looks: Bucket,
    pub(super) under_way: Vec<LookId>,
    group: usize,
}

impl Peer {
    /// Whether it may be asked for one more look now.
    pub(super) fn has_time(&mut self, now: Timestamp) -> bool {
        self.looks.has_one(self.rate, now)
    }
}

/// What a peer is attached with.
pub(super) struct NewPeer {
    pub(super) id: VantageId,
    pub(super) spki: Arc<[u8]>,
    pub(super) network: IpAddr,
    pub(super) way: Way,
    pub(super) since: u64,
    pub(super) rate: PerMinute,
}

/// Peers of one network, or a single one where networks do not count.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Slot>,
    /// Where its seats stand.
    seats: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum GroupKey {
    Network(IpAddr),
    Alone(VantageId),
}

/// All attached peers.
#[derive(Debug)]
pub(super) struct Pool {
    /// Seats of one network at most; `None`: networks do not count.
    seats_each: Option<usize>,
    peers: Vec<Option<Peer>>,
    free: Vec<Slot>,
    by_id: HashMap<VantageId, Slot>,
    by_connection: HashMap<ConnectionId, Slot>,
    groups: Vec<Group>,
    free_groups: Vec<usize>,
    by_network: HashMap<GroupKey, usize>,
    seats: Vec<usize>,
}

impl Pool {
    pub(super) fn new(seats_each: Option<usize>) -> Self {
        Self {
            seats_each,
            peers: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            by_connection: HashMap::new(),
            groups: Vec::new(),
            free_groups: Vec::new(),
            by_network: HashMap::new(),
            seats: Vec::new(),
        }
    }

    /// Peers that are attached at this hub.
    pub(super) fn here(&self) -> usize {
        self.by_connection.len()
    }

    /// Peers that are attached at siblings.
    pub(super) fn there(&self) -> usize {
        self.by_id.len() - self.by_connection.len()
    }

    /// How many are attached from a network; 0 where networks do not count.
    pub(super) fn of_network(&self, network: IpAddr) -> usize {
        let group = self.by_network.get(&GroupKey::Network(network)).and_then(|group| self.groups.get(*group));
        group.map_or(0, |group| group.members.len())
    }

    pub(super) fn peer(&self, slot: Slot) -> Option<&Peer> {
        self.peers.get(slot)?.as_ref()
    }

    pub(super) fn peer_mut(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.peers.get_mut(slot)?.as_mut()
    }

    pub(super) fn slot_of(&self, id: VantageId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn slot_at(&self, connection: ConnectionId) -> Option<Slot> {
        self.by_connection.get(&connection).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().flatten()
    }

    pub(super) fn connections(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.by_connection.keys().copied()
    }

    /// Attaches a peer that is not there yet.
    pub(super) fn insert(&mut self, new: NewPeer, now: Timestamp) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        self.by_id.insert(new.id, slot);
        if let Way::Here(connection) = new.way {
            self.by_connection.insert(connection, slot);
        }
        let group = self.join(self.key_of(new.id, new.network), slot);
        let peer = Peer {
            id: new.id,
            spki: new.spki,
            network: new.network,
            way: new.way,
            since: new.since,
            heard_at: now,
            pinged_at: None,
            beats_at: now,
            rate: new.rate,
            looks: Bucket::full(new.rate, now),
            under_way: Vec::new(),
            group,
        };
        if let Some(place) = self.peers.get_mut(slot) {
            *place = Some(peer);
        }
        slot
    }

    /// The same peer by another way; returns the old one.
    pub(super) fn moved(&mut self, slot: Slot, way: Way) -> Option<Way> {
        let peer = self.peers.get_mut(slot)?.as_mut()?;
        let old = std::mem::replace(&mut peer.way, way);
        if let Way::Here(connection) = old {
            self.by_connection.remove(&connection);
        }
        if let Way::Here(connection) = way {
            self.by_connection.insert(connection, slot);
        }
        Some(old)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Peer> {
        let peer = self.peers.get_mut(slot)?.take()?;
        self.free.push(slot);
        self.by_id.remove(&peer.id);
        if let Way::Here(connection) = peer.way {
            self.by_connection.remove(&connection);
        }
        self.leave(self.key_of(peer.id, peer.network), peer.group, slot);
        Some(peer)
    }

    fn key_of(&self, id: VantageId, network: IpAddr) -> GroupKey {
        if self.seats_each.is_some() { GroupKey::Network(network) } else { GroupKey::Alone(id) }
    }

    fn join(&mut self, key: GroupKey, slot: Slot) -> usize {
        let number = match self.by_network.get(&key) {
            Some(number) => *number,
            None => {
                let number = self.free_groups.pop().unwrap_or_else(|| {
                    self.groups.push(Group::default());
                    self.groups.len() - 1
                });
                self.by_network.insert(key, number);
                number
            }
        };
        let seats_each = self.seats_each.unwrap_or(1);
        if let Some(group) = self.groups.get_mut(number) {
            group.members.push(slot);
            if group.seats.len() < seats_each {
                group.seats.push(self.seats.len());
                self.seats.push(number);
            }
        }
        number
    }

    fn leave(&mut self, key: GroupKey, number: usize, slot: Slot) {
        let Some(group) = self.groups.get_mut(number) else { return };
        group.members.retain(|member| *member != slot);
        let is_empty = group.members.is_empty();
        if group.members.len() < group.seats.len()
            && let Some(seat) = group.seats.pop()
        {
            self.give_up(seat);
        }
        if is_empty {
            self.by_network.remove(&key);
            self.free_groups.push(number);
        }
    }

    /// The last seat takes the place of the one that is given up.
    fn give_up(&mut self, seat: usize) {
        let last = self.seats.len().saturating_sub(1);
        let Some(moved) = self.seats.get(last).copied() else { return };
        if seat < self.seats.len() {
            self.seats.swap_remove(seat);
        }
        let places = self.groups.get_mut(moved).map(|group| &mut group.seats);
        for place in places.into_iter().flatten().filter(|place| **place == last) {
            *place = seat;
        }
    }

    /// A peer drawn at random of those that are `fit`; `None` when nobody is.
    pub(super) fn draw(&mut self, rng: &mut dyn Rng, mut fit: impl FnMut(&mut Peer) -> bool) -> Option<Slot> {
        for _ in 0..TRIES.min(self.seats.len() * 2) {
            let seat = below(rng, self.seats.len());
            if let Some(slot) = self.at_seat(seat, rng, &mut fit) {
                return Some(slot);
            }
        }
        // Most are not fit, so few are left that are: they are looked for one after another.
        let (start, all) = (below(rng, self.seats.len()), self.seats.len());
        (0..all).find_map(|step| self.at_seat((start + step) % all, rng, &mut fit))
    }

    fn at_seat(&mut self, seat: usize, rng: &mut dyn Rng, fit: &mut impl FnMut(&mut Peer) -> bool) -> Option<Slot> {
        let members = &self.groups.get(*self.seats.get(seat)?)?.members;
        let (start, all) = (below(rng, members.len()), members.len());
        let peers = &mut self.peers;
        let fits = |slot: &Slot| peers.get_mut(*slot).and_then(Option::as_mut).is_some_and(&mut *fit);
        (0..all.min(MOST_TRIED)).filter_map(|step| members.get((start + step) % all).copied()).find(fits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mirror::random::tests::Counter;

    const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

    fn new(seed: u32, network: u8) -> NewPeer {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&seed.to_be_bytes());
        NewPeer {
            id: VantageId::from_bytes(id),
            spki: Arc::from([].as_slice()),
            network: IpAddr::from([192, 0, network, 0]),
            way: Way::Here(ConnectionId(seed.into())),
            since: 0,
            rate: PerMinute { rate: 60, burst: 60 },
        }
    }

    fn is_sound(pool: &Pool) {
        let mut seats = 0;
        for (key, number) in &pool.by_network {
            let group = &pool.groups[*number];
            assert_eq!(group.seats.len(), group.members.len().min(pool.seats_each.unwrap_or(1)), "{key:?}");
            assert!(group.seats.iter().all(|seat| pool.seats[*seat] == *number));
            seats += group.seats.len();
        }
        assert_eq!(seats, pool.seats.len());
        assert_eq!((pool.here(), pool.there()), (pool.by_id.len(), 0));
        assert_eq!(pool.by_id.len(), pool.peers.iter().flatten().count());
    }

    proptest! {
        #[test]
        fn seats_stay_sound(limited: bool, steps in prop::collection::vec((0u32..40, 0u8..6, any::<bool>()), 1..200)) {
            let mut pool = Pool::new(limited.then_some(2));
            for (seed, network, come) in steps {
                let peer = new(seed, network);
                match (pool.slot_of(peer.id), come) {
                    (None, true) => drop(pool.insert(peer, NOW)),
                    (Some(slot), false) => drop(pool.remove(slot)),
                    _ => {}
                }
                is_sound(&pool);
            }
        }
    }

    #[test]
    fn a_crowded_network_is_drawn_no_more_often_than_two_peers() {
        let mut pool = Pool::new(Some(2));
        for seed in 0..1_000 {
            pool.insert(new(seed, 0), NOW);
        }
        for seed in 1_000..1_008 {
            pool.insert(new(seed, (seed - 999) as u8), NOW);
        }
        let mut rng = Counter::default();
        let crowded = IpAddr::from([192, 0, 0, 0]);
        let drawn = (0..10_000).filter(|_| {
            let slot = pool.draw(&mut rng, |_| true).unwrap();
            pool.peer(slot).unwrap().network == crowded
        });
        let share = drawn.count();
        assert!((1_800..2_200).contains(&share), "{share} of 10,000 where two seats of ten are 2,000");
    }

    #[test]
    fn everybody_is_drawn_and_the_last_one_fit_is_found() {
        let mut pool = Pool::new(None);
        for seed in 0..500 {
            pool.insert(new(seed, 0), NOW);
        }
        let mut rng = Counter::default();
        let mut met = std::collections::HashSet::new();
        for _ in 0..10_000 {
            met.insert(pool.draw(&mut rng, |_| true).unwrap());
        }
        assert_eq!(met.len(), 500);
        let last = new(321, 0).id;
        let slot = pool.draw(&mut rng, |peer| peer.id == last).unwrap();
        assert_eq!(pool.peer(slot).unwrap().id, last);
        assert_eq!(pool.draw(&mut rng, |_| false), None);
        assert_eq!(Pool::new(Some(2)).draw(&mut rng, |_| true), None);
    }
}
