//! A society: honest users who know one another, and an attacker's crowd.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use parallax_janus::SmallNetwork;
use parallax_janus::trust::{Graph, LONGEST_ROUTE, UserId};
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
        society.befriend(degree, rng);
        society.form_chains();
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

    /// The honest users come after one another and make friends (Holme and Kim, "Growing scale-free networks with tunable
    /// clustering", 2002): some known by many, most in circles where friends know one another.
    fn befriend(&mut self, degree: u32, rng: &mut Pcg64) {
        let mine = (degree / 2).max(1);
        // Everybody as often as they have friends.
        let mut known: Vec<u32> = vec![0];
        for newcomer in 1..self.honest {
            let mut last = None;
            for _ in 0..mine.min(newcomer) {
                let friend = self.friend_for(newcomer, last, &known, rng);
                if self.connect(newcomer, friend) {
                    known.extend([newcomer, friend]);
                }
                last = Some(friend);
            }
        }
    }

    /// The false identities stand in chains as long as the longest route. Of a chain's end everything that comes along it
    /// goes out through one edge, and as nobody in it has more than two neighbours, all of it comes the full way: no other
    /// order carries more of them out of an attack edge.
    fn form_chains(&mut self) {
        let length = LONGEST_ROUTE as u32;
        for sybil in (1..self.sybils).filter(|sybil| !sybil.is_multiple_of(length)) {
            self.connect(self.honest + sybil - 1, self.honest + sybil);
        }
    }

    /// The false identity at which the attack edge of this number begins: an end of a chain while there are any.
    fn outpost(&self, number: u32, rng: &mut Pcg64) -> u32 {
        let length = LONGEST_ROUTE as u32;
        let chains = self.sybils.div_ceil(length);
        let first = (number % chains) * length;
        let last = (first + length - 1).min(self.sybils - 1);
        let within = match number / chains {
            0 => last,
            1 => first,
            _ => rng.random_range(0..self.sybils),
        };
        self.honest + within
    }

    /// Where a crowd that is bound by no tables is heard: of each honest user, the edges through which a route comes in that
    /// passed an attack edge.
    pub(super) fn flooded(&self) -> BTreeMap<UserId, BTreeSet<UserId>> {
        let mut flooded: BTreeMap<UserId, BTreeSet<UserId>> = BTreeMap::new();
        for sybil in (self.honest..self.everybody()).map(UserId::from_index) {
            for victim in self.graph.neighbours(sybil).filter(|neighbour| !self.is_evil(*neighbour)) {
                for met in self.graph.route(sybil, victim, LONGEST_ROUTE) {
                    flooded.entry(met.peer).or_default().insert(met.edge);
                }
            }
        }
        flooded
    }

    /// All false identities.
    pub(super) fn crowd(&self) -> impl Iterator<Item = UserId> + use<> {
        (self.honest..self.everybody()).map(UserId::from_index)
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
                let sybil = self.outpost(victims.len() as u32 - 1, rng);
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
        for number in 0..1_000 {
            if made == count {
                return;
            }
            let sybil = self.outpost(number, rng);
            made += usize::from(self.connect(user.index() as u32, sybil));
        }
    }
}

/// Everybody lives in a network of their own: the attacker rents as many as it likes, so only the graph holds it back.
pub(super) fn network(user: UserId) -> SmallNetwork {
    let bits = 0x0b00_0000_u32.wrapping_add((user.index() as u32) << 8);
    SmallNetwork::of(Ipv4Addr::from_bits(bits).into())
}
