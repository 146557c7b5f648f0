//! A society: honest users who know one another, and an attacker's crowd.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use parallax_janus::SmallNetwork;
use parallax_janus::trust::{Graph, UserId};
use rand::RngExt as _;
use rand_pcg::Pcg64;

use crate::mirrors::Cheap;

/// How often a newcomer befriends a friend's friend rather than somebody known by many.
const CLOSURE: f64 = 0.6;

pub(super) struct Society {
    pub(super) graph: Graph,
    pub(super) honest: u32,
    sybils: u32,
}

impl Society {
    /// Honest users first, false identities behind them, no edge between the two.
    pub(super) fn draw(honest: u32, sybils: u32, degree: u32, rng: &mut Pcg64) -> Self {
        let mut graph = Graph::new(rng.random());
        graph.reserve(UserId::from_index(honest + sybils - 1));
        let mut society = Self { graph, honest, sybils };
        society.befriend(0, honest, degree, rng);
        // Five neighbours give the longest routes that reach a hundred: what carries a crowd's voice farthest.
        society.befriend(honest, sybils, degree.min(5), rng);
        society
    }

    pub(super) fn is_evil(&self, user: UserId) -> bool {
        user.index() >= self.honest as usize
    }

    pub(super) fn honest_users(&self) -> impl Iterator<Item = UserId> + use<> {
        (0..self.honest).map(UserId::from_index)
    }

    pub(super) fn everybody(&self) -> u32 {
        self.honest + self.sybils
    }

    /// The users who come after one another make friends (Holme and Kim, "Growing scale-free networks with tunable
    /// clustering", 2002): some known by many, most in circles where friends know one another.
    fn befriend(&mut self, first: u32, count: u32, degree: u32, rng: &mut Pcg64) {
        let mine = (degree / 2).max(1);
        // Everybody as often as they have friends.
        let mut known: Vec<u32> = vec![first];
        for newcomer in first + 1..first + count {
            let mut last = None;
            for _ in 0..mine.min(newcomer - first) {
                let friend = self.friend_for(newcomer, last, &known, rng);
                if self.connect(newcomer, friend) {
                    known.extend([newcomer, friend]);
                }
                last = Some(friend);
            }
        }
    }

    fn friend_for(&self, newcomer: u32, last: Option<u32>, known: &[u32], rng: &mut Pcg64) -> u32 {
        if let Some(last) = last.filter(|_| rng.random_bool(CLOSURE)) {
            let friends: Vec<UserId> = self.graph.neighbours(UserId::from_index(last)).collect();
            if let Some(friend) = friends.get(rng.random_range(0..friends.len().max(1))) {
                return friend.index() as u32;
            }
        }
        known.get(rng.random_range(0..known.len().max(1))).copied().unwrap_or(newcomer)
    }

    fn connect(&mut self, one: u32, other: u32) -> bool {
        self.graph.connect(&Cheap, UserId::from_index(one), UserId::from_index(other))
    }

    /// Draws edges between honest users and false identities, each to another honest user.
    pub(super) fn attack(&mut self, edges: u32, rng: &mut Pcg64) {
        let mut victims = BTreeSet::new();
        while victims.len() < edges as usize {
            let victim = rng.random_range(0..self.honest);
            if victims.insert(victim) {
                let sybil = self.honest + rng.random_range(0..self.sybils);
                self.connect(victim, sybil);
            }
        }
    }

    /// Puts false identities in the place of so many friends of a user.
    pub(super) fn replace_friends(&mut self, user: UserId, count: usize, rng: &mut Pcg64) {
        let friends: Vec<UserId> = self.graph.neighbours(user).filter(|friend| !self.is_evil(*friend)).collect();
        for friend in friends.into_iter().take(count) {
            self.graph.part(user, friend);
        }
        let mut made = 0;
        for _ in 0..1_000 {
            if made == count {
                return;
            }
            let sybil = self.honest + rng.random_range(0..self.sybils);
            made += usize::from(self.connect(user.index() as u32, sybil));
        }
    }
}

/// Everybody lives in a network of their own: the attacker rents as many as it likes, so only the graph holds it back.
pub(super) fn network(user: UserId) -> SmallNetwork {
    let bits = 0x0b00_0000_u32.wrapping_add((user.index() as u32) << 8);
    SmallNetwork::of(Ipv4Addr::from_bits(bits).into())
}
