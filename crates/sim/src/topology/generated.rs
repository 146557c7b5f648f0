//! A graph with the shape of the Internet's: few at the top who peer with each other, more who carry others' traffic in
//! one region, and many at the edge.

use std::collections::HashSet;

use rand::seq::SliceRandom as _;
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

use super::{AsIndex, MAX_ASES, Topology, TopologyError};

/// How a topology is made. The defaults are assumptions: about the proportions that public graphs of the Internet show,
/// at a twentieth of its size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopologyParameters {
    /// ASes in all, 50 to 200,000.
    pub ases: u32,
    /// Regions, 1 to 16.
    pub regions: u8,
    /// ASes at the top: without a provider, each a peer of every other. 1 to 50, and at least one for each region.
    pub tier_ones: u32,
    /// The share of ASes that carry others' traffic, 0.05 to 0.5, those at the top included.
    pub transit_share: f64,
    /// How many of 100 ASes have one, two and three providers; each drawn in proportion to the customers that it has.
    pub providers: [f64; 3],
    /// How likely a provider is from the own region, 0 to 1.
    pub home_share: f64,
    /// Peers of an AS that carries others' traffic, on average, 0 to 100.
    pub transit_peers: f64,
    /// Peers of an AS at the edge, on average, 0 to 100: they carry others' traffic, in its own region.
    pub stub_peers: f64,
    /// The share of peerings of transit ASes that lead out of the region, 0 to 1.
    pub far_peers: f64,
}

impl Default for TopologyParameters {
    fn default() -> Self {
        Self {
            ases: 4_000,
            regions: 5,
            tier_ones: 12,
            transit_share: 0.15,
            providers: [40.0, 40.0, 20.0],
            home_share: 0.85,
            transit_peers: 12.0,
            stub_peers: 1.0,
            far_peers: 0.2,
        }
    }
}

impl TopologyParameters {
    /// Whether a topology can be made; the error names the field, its value and what it may be.
    pub fn validate(&self) -> Result<(), TopologyError> {
        let whole = |number: f64| (50.0..=MAX_ASES as f64).contains(&number);
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let peers = |peers: f64| (0.0..=100.0).contains(&peers);
        let weights = self.providers.iter().all(|weight| (0.0..=100.0).contains(weight));
        let weight: f64 = self.providers.iter().sum();
        let tops = u32::from(self.regions).max(1)..=50;
        for (field, value, holds, allowed) in [
            ("ases", self.ases.into(), whole(self.ases.into()), "50 to 200000"),
            ("regions", self.regions.into(), (1..=16).contains(&self.regions), "1 to 16"),
            ("tier_ones", self.tier_ones.into(), tops.contains(&self.tier_ones), "1 to 50, at least one a region"),
            ("transit_share", self.transit_share, (0.05..=0.5).contains(&self.transit_share), "0.05 to 0.5"),
            ("the sum of providers", weight, weights && weight > 0.0, "more than 0, each 0 to 100"),
            ("home_share", self.home_share, share(self.home_share), "0 to 1"),
            ("transit_peers", self.transit_peers, peers(self.transit_peers), "0 to 100"),
            ("stub_peers", self.stub_peers, peers(self.stub_peers), "0 to 100"),
            ("far_peers", self.far_peers, share(self.far_peers), "0 to 1"),
        ] {
            if !holds {
                return Err(TopologyError::Parameter { field, value, allowed });
            }
        }
        Ok(())
    }

    /// Those at the top included; never fewer than these.
    fn transits(&self) -> u32 {
        let share = (f64::from(self.ases) * self.transit_share).round() as u32;
        share.clamp(self.tier_ones, self.ases)
    }
}

pub(super) fn generate(parameters: &TopologyParameters, rng: &mut impl Rng) -> Result<Topology, TopologyError> {
    parameters.validate()?;
    let mut growing = Growing::new(parameters);
    growing.tops();
    for _ in parameters.tier_ones..parameters.transits() {
        let one = growing.settle(rng);
        growing.offers(one);
    }
    let transits = growing.regions.len();
    growing.transit_peerings(rng);
    for _ in transits..parameters.ases as usize {
        growing.settle(rng);
    }
    growing.stub_peerings(transits, rng);
    Ok(growing.numbered(rng))
}

/// A topology that grows from the top, each AS after its providers: so nobody becomes a provider of itself.
struct Growing<'a> {
    parameters: &'a TopologyParameters,
    regions: Vec<u8>,
    /// Who sells transit in each region; somebody stands there once, and once more for each customer.
    sellers: Vec<Vec<u32>>,
    /// Who sells transit, each once, by region.
    transits: Vec<Vec<u32>>,
    sells: Vec<(u32, u32)>,
    peering: Vec<(u32, u32)>,
    linked: HashSet<(u32, u32)>,
}

impl<'a> Growing<'a> {
    /// How often a partner is drawn again that would not do.
    const TRIES: u32 = 8;

    fn new(parameters: &'a TopologyParameters) -> Self {
        let nobody = vec![Vec::new(); parameters.regions.into()];
        Self {
            parameters,
            regions: Vec::new(),
            sellers: nobody.clone(),
            transits: nobody,
            sells: Vec::new(),
            peering: Vec::new(),
            linked: HashSet::new(),
        }
    }

    fn tops(&mut self) {
        let regions = (0..self.parameters.regions).cycle();
        for (one, region) in (0..self.parameters.tier_ones).zip(regions) {
            self.regions.push(region);
            self.offers(one);
            for other in 0..one {
                self.peer(one, other);
            }
        }
    }

    /// From now on it can be drawn as a provider.
    fn offers(&mut self, one: u32) {
        let region = self.region(one);
        self.sellers.iter_mut().skip(region).take(1).for_each(|sellers| sellers.push(one));
        self.transits.iter_mut().skip(region).take(1).for_each(|transits| transits.push(one));
    }

    fn region(&self, one: u32) -> usize {
        self.regions.get(one as usize).copied().unwrap_or_default().into()
    }

    /// A new AS, with its providers.
    fn settle(&mut self, rng: &mut impl Rng) -> u32 {
        let one = self.regions.len() as u32;
        let home = rng.random_range(0..self.parameters.regions);
        self.regions.push(home);
        for _ in 0..self.how_many_providers(rng) {
            let at = if rng.random_bool(self.parameters.home_share) { home } else { self.anywhere(rng) };
            self.buy(one, at.into(), rng);
        }
        one
    }

    fn anywhere(&self, rng: &mut impl Rng) -> u8 {
        rng.random_range(0..self.parameters.regions)
    }

    fn how_many_providers(&self, rng: &mut impl Rng) -> usize {
        let weights = &self.parameters.providers;
        let mut drawn = rng.random::<f64>() * weights.iter().sum::<f64>();
        let chosen = weights.iter().position(|weight| {
            drawn -= weight;
            drawn < 0.0
        });
        chosen.map_or(weights.len(), |place| place + 1)
    }

    fn buy(&mut self, one: u32, region: usize, rng: &mut impl Rng) {
        let Some(seller) = self.draw(&self.sellers, region, one, rng) else { return };
        self.linked.insert(pair(one, seller));
        self.sells.push((seller, one));
        // Its own region, which may not be the one that was wanted.
        let region = self.region(seller);
        self.sellers.iter_mut().skip(region).take(1).for_each(|sellers| sellers.push(seller));
    }

    /// Somebody of a region to whom `one` has no link yet.
    fn draw(&self, of: &[Vec<u32>], region: usize, one: u32, rng: &mut impl Rng) -> Option<u32> {
        let there = of.get(region).filter(|there| !there.is_empty())?;
        (0..Self::TRIES)
            .filter_map(|_| there.get(rng.random_range(0..there.len() as u32) as usize).copied())
            .find(|other| *other != one && !self.linked.contains(&pair(one, *other)))
    }

    fn transit_peerings(&mut self, rng: &mut impl Rng) {
        // Each peering has two ends.
        let each = self.parameters.transit_peers / 2.0;
        for one in self.parameters.tier_ones..self.regions.len() as u32 {
            for _ in 0..about(each, rng) {
                let far = rng.random_bool(self.parameters.far_peers);
                let region = if far { self.anywhere(rng).into() } else { self.region(one) };
                self.peer_somebody(one, region, rng);
            }
        }
    }

    fn stub_peerings(&mut self, first: usize, rng: &mut impl Rng) {
        for one in first as u32..self.regions.len() as u32 {
            for _ in 0..about(self.parameters.stub_peers, rng) {
                self.peer_somebody(one, self.region(one), rng);
            }
        }
    }

    fn peer_somebody(&mut self, one: u32, region: usize, rng: &mut impl Rng) {
        let drawn = self.draw(&self.transits, region, one, rng);
        // Those at the top peer with each other only.
        if let Some(other) = drawn.filter(|other| *other >= self.parameters.tier_ones) {
            self.peer(one, other);
        }
    }

    fn peer(&mut self, one: u32, other: u32) {
        self.linked.insert(pair(one, other));
        self.peering.push((one, other));
    }

    /// Numbers are given out by lot: where routes are equally good the lower number wins, and it should be nobody's
    /// privilege.
    fn numbered(self, rng: &mut impl Rng) -> Topology {
        let len = self.regions.len() as u32;
        let mut places: Vec<u32> = (0..len).collect();
        places.shuffle(rng);
        let place = |one: u32| places.get(one as usize).copied().map(AsIndex).unwrap_or(AsIndex(one));
        let placed = |pairs: &[(u32, u32)]| pairs.iter().map(|(a, b)| (place(*a), place(*b))).collect::<Vec<_>>();
        let mut regions: Vec<(AsIndex, u8)> = (0..).map(place).zip(self.regions.iter().copied()).collect();
        regions.sort_unstable();
        let regions = regions.into_iter().map(|(_, region)| region).collect();
        Topology::new((1..=len).collect(), regions, &placed(&self.sells), &placed(&self.peering))
    }
}

fn pair(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

/// A whole number that is `mean` on average.
fn about(mean: f64, rng: &mut impl Rng) -> u32 {
    mean as u32 + u32::from(rng.random_bool(mean.fract()))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_pcg::Pcg64;

    use super::super::hierarchy;
    use super::*;

    fn made(parameters: &TopologyParameters, seed: u64) -> Topology {
        generate(parameters, &mut Pcg64::seed_from_u64(seed)).unwrap()
    }

    fn all(topology: &Topology) -> impl Iterator<Item = AsIndex> {
        (0..).map(AsIndex).take(topology.len())
    }

    #[test]
    fn the_shape_is_as_asked() {
        let parameters = TopologyParameters::default();
        let topology = made(&parameters, 1);
        assert_eq!(topology.len(), 4_000);
        assert!(hierarchy::from_the_top(&topology).is_ok());
        let tops: Vec<AsIndex> = all(&topology).filter(|one| topology.providers.of(*one).is_empty()).collect();
        assert_eq!(tops.len(), 12);
        assert!(tops.iter().all(|top| topology.peers.of(*top).len() == 11));
        assert!(topology.stubs().len() >= 3_400, "{}", topology.stubs().len());
        let mean = |links: usize, of: usize| links as f64 / of as f64;
        let providers = mean(topology.providers.len(), topology.len() - tops.len());
        assert!((1.7..1.85).contains(&providers), "{providers}");
        let transit_peers = 588.0 * 12.0 + 12.0 * 11.0;
        let stub_peers = 3_400.0 * 2.0;
        let peers = topology.peers.len() as f64 / (transit_peers + stub_peers);
        assert!((0.9..1.02).contains(&peers), "{peers}");
        for region in 0..5 {
            let there = topology.stubs().iter().filter(|one| topology.region(**one) == region).count();
            assert!((550..900).contains(&there), "{region}: {there}");
        }
    }

    #[test]
    fn few_have_most_of_the_customers() {
        let topology = made(&TopologyParameters::default(), 2);
        let mut customers: Vec<usize> = all(&topology).map(|one| topology.customers.of(one).len()).collect();
        customers.sort_unstable_by(|a, b| b.cmp(a));
        let (top, rest): (usize, usize) = (customers.iter().take(40).sum(), customers.iter().skip(40).sum());
        // One in a hundred; equally spread it would be one in fifteen of those who sell.
        assert!(top * 2 > rest, "{top} {rest}");
    }

    #[test]
    fn the_same_seed_makes_the_same_graph() {
        let parameters = TopologyParameters { ases: 300, ..TopologyParameters::default() };
        let text = |seed| format!("{:?}", made(&parameters, seed));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn every_extreme_that_is_allowed_can_be_made() {
        let least = TopologyParameters {
            ases: 50,
            regions: 16,
            tier_ones: 50,
            transit_share: 0.05,
            providers: [0.0, 0.0, 1.0],
            home_share: 0.0,
            transit_peers: 100.0,
            stub_peers: 100.0,
            far_peers: 1.0,
        };
        let lone = TopologyParameters { regions: 1, tier_ones: 1, home_share: 1.0, ..least.clone() };
        for parameters in [least, lone] {
            for seed in 0..20 {
                let topology = made(&parameters, seed);
                assert_eq!(topology.len(), 50);
                assert!(hierarchy::from_the_top(&topology).is_ok());
            }
        }
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let good = TopologyParameters::default;
        for (bad, expected) in [
            (TopologyParameters { ases: 49, ..good() }, "ases = 49 is no topology: it must be 50 to 200000"),
            (TopologyParameters { ases: 200_001, ..good() }, "ases = 200001"),
            (TopologyParameters { regions: 0, ..good() }, "regions = 0"),
            (TopologyParameters { regions: 13, ..good() }, "tier_ones = 12 is no topology: it must be 1 to 50, at"),
            (TopologyParameters { transit_share: f64::NAN, ..good() }, "transit_share = NaN"),
            (TopologyParameters { providers: [0.0; 3], ..good() }, "the sum of providers = 0"),
            (TopologyParameters { providers: [-1.0, 2.0, 0.0], ..good() }, "the sum of providers = 1"),
            (TopologyParameters { providers: [f64::INFINITY; 3], ..good() }, "the sum of providers = inf"),
            (TopologyParameters { home_share: 1.1, ..good() }, "home_share = 1.1"),
            (TopologyParameters { transit_peers: -0.1, ..good() }, "transit_peers = -0.1"),
            (TopologyParameters { far_peers: f64::INFINITY, ..good() }, "far_peers = inf"),
        ] {
            let why = bad.validate().unwrap_err().to_string();
            assert!(why.starts_with(expected), "{why}");
        }
    }
}
