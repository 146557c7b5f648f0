//! The network between networks: autonomous systems (ASes), who carries whose traffic for money or for nothing, and
//! which of two origins of one prefix each of them reaches.
//!
//! Routes spread after Gao and Rexford ("Stable Internet routing without global coordination", 2001): a route of a
//! customer is preferred to one of a peer, and that to one of a provider; then the shorter path; then the neighbour with
//! the lower number. What came from a peer or a provider is passed on to customers only. Every AS keeps to these rules,
//! and none validates origins: an assumption, in favour of the attacker.

mod error;
mod generated;
mod hierarchy;
mod links;
mod routes;
#[cfg(test)]
mod routes_tests;
mod serial1;

use rand::{Rng, SeedableRng as _};
use rand_pcg::Pcg64;

pub use error::{BadLine, TopologyError};
pub use generated::TopologyParameters;
use links::Links;
use routes::Routes;
pub use serial1::{MAX_SERIAL1_BYTES, MAX_SERIAL1_LINES};

/// The most ASes of one topology. The Internet had about 80,000 in 2025.
pub const MAX_ASES: usize = 200_000;

/// The place of an AS in its topology, from 0 to [`Topology::len`]; in the order of AS numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsIndex(pub u32);

impl AsIndex {
    fn place(self) -> usize {
        self.0 as usize
    }
}

/// ASes and the links between them. Nobody is, over however many links, a provider of itself.
#[derive(Clone, Debug)]
pub struct Topology {
    numbers: Vec<u32>,
    regions: Vec<u8>,
    stubs: Vec<AsIndex>,
    providers: Links,
    customers: Links,
    peers: Links,
}

impl Topology {
    /// Reads a graph in CAIDA's format serial-1: a line `provider|customer|-1` or `peer|peer|0` for each link, and
    /// comments that begin with `#`.
    ///
    /// Such a file has no places in it. Regions are given out so that neighbours share one: the ASes without a provider
    /// take the five regions in turn, the one with the most customers first; every other one is where most of its
    /// providers are, in doubt where the one with the lowest number is. They are neighbourhoods, not continents.
    pub fn read_serial1(text: &str) -> Result<Self, TopologyError> {
        serial1::read(text)
    }

    /// Makes a graph; the same one for the same parameters and state of the generator.
    pub fn generate(parameters: &TopologyParameters, rng: &mut impl Rng) -> Result<Self, TopologyError> {
        generated::generate(parameters, rng)
    }

    /// Makes a graph from a number: always the same one.
    pub fn from_seed(parameters: &TopologyParameters, seed: u64) -> Result<Self, TopologyError> {
        Self::generate(parameters, &mut Pcg64::seed_from_u64(seed))
    }

    /// How many ASes there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Never: there is no topology without a link.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// How many links there are, of both kinds.
    pub fn links(&self) -> usize {
        self.providers.len() + self.peers.len() / 2
    }

    /// The ASes that carry nobody's traffic but their own: where sites and users are. In the order of their numbers.
    pub fn stubs(&self) -> &[AsIndex] {
        &self.stubs
    }

    /// Its region; 0 for an AS that is not of this topology.
    pub fn region(&self, of: AsIndex) -> u8 {
        self.regions.get(of.place()).copied().unwrap_or_default()
    }

    /// Its AS number; 0, which nobody has (RFC 7607), for an AS that is not of this topology.
    pub fn asn(&self, of: AsIndex) -> u32 {
        self.numbers.get(of.place()).copied().unwrap_or_default()
    }

    /// Who is captured when the attacker announces the victim's prefix as its own, equally specific. Nobody is when they
    /// are the same AS, or when the attacker is not of this topology.
    pub fn hijack(&self, victim: AsIndex, attacker: AsIndex) -> Capture {
        let origins = if victim == attacker { vec![victim] } else { vec![victim, attacker] };
        Capture::of(&Routes::propagate(self, &origins), victim, attacker)
    }

    /// `numbers` in ascending order; `sells` holds pairs of provider and customer.
    fn new(numbers: Vec<u32>, regions: Vec<u8>, sells: &[(AsIndex, AsIndex)], peering: &[(AsIndex, AsIndex)]) -> Self {
        let len = numbers.len();
        let turned = |&(a, b): &(AsIndex, AsIndex)| (b, a);
        let customers = Links::new(len, sells.iter().copied());
        let all = (0..).map(AsIndex).take(len);
        Self {
            stubs: all.filter(|one| customers.of(*one).is_empty()).collect(),
            providers: Links::new(len, sells.iter().map(turned)),
            peers: Links::new(len, peering.iter().copied().chain(peering.iter().map(turned))),
            customers,
            numbers,
            regions,
        }
    }
}

/// Which ASes reach the attacker where two announce one prefix.
#[derive(Clone, Debug)]
pub struct Capture {
    captured: Vec<bool>,
    share: f64,
}

impl Capture {
    fn of(routes: &Routes, victim: AsIndex, attacker: AsIndex) -> Self {
        let all = || (0..).map(AsIndex).take(routes.len());
        let lost = |one: AsIndex| attacker != victim && routes.origin(one) == Some(attacker);
        let others = all().filter(|one| ![victim, attacker].contains(one) && routes.origin(*one).is_some());
        let (mut reached, mut captured) = (0_u32, 0_u32);
        for one in others {
            reached += 1;
            captured += u32::from(lost(one));
        }
        Self {
            captured: all().map(lost).collect(),
            share: if reached == 0 { 0.0 } else { f64::from(captured) / f64::from(reached) },
        }
    }

    /// Whether this AS reaches the attacker; the attacker does. An AS that reaches neither of the two is not captured.
    pub fn holds(&self, one: AsIndex) -> bool {
        self.captured.get(one.place()).copied().unwrap_or_default()
    }

    /// The share, 0 to 1, that is captured: of all ASes but the two, those that reach either of them.
    pub fn share(&self) -> f64 {
        self.share
    }
}
