//! Where parties stand in the network between networks, and whom a hijack captures: looked at once for a run.

use super::draw::Draw;
use crate::topology::{AsIndex, Capture, Topology};

/// Which parties a hijack reaches.
#[derive(Clone, Debug)]
pub struct Atlas {
    /// The ASes in which parties stand, by region.
    stubs: Vec<Vec<AsIndex>>,
    pairs: Vec<Pair>,
}

/// A victim, an attacker, and whom the attacker captures.
#[derive(Clone, Debug)]
struct Pair {
    /// A bit for each AS.
    captured: Vec<u64>,
    /// Share of the ASes in which parties stand.
    share: f64,
}

impl Pair {
    fn holds(&self, party: AsIndex) -> bool {
        let (word, bit) = (party.0 as usize / 64, party.0 % 64);
        self.captured.get(word).is_some_and(|word| word >> bit & 1 == 1)
    }
}

/// Parties placed in a network of which some are captured.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    /// The AS of each party and whether it is captured, the user first.
    pub(super) parties: Vec<(AsIndex, bool)>,
}

/// How often places are drawn until as many are captured as wanted.
const TRIES: u32 = 2000;

impl Atlas {
    /// Looks at pairs of victim and attacker in a topology. Its regions are those of a world, in the same order; where it
    /// has more, they go round, and one without an AS borrows those of all.
    pub fn survey(topology: &Topology, regions: usize, pairs: u32, seed: u64) -> Self {
        let stubs = topology.stubs();
        let mut by_region = vec![Vec::new(); regions.max(1)];
        for stub in stubs {
            let place = usize::from(topology.region(*stub)) % by_region.len();
            if let Some(list) = by_region.get_mut(place) {
                list.push(*stub);
            }
        }
        by_region.iter_mut().filter(|list| list.is_empty()).for_each(|list| list.extend(stubs));
        let mut draw = Draw::new(seed, u64::MAX, 0);
        let mut pair = || {
            let [victim, attacker] = [draw.place(stubs.len()), draw.place(stubs.len())].map(|place| stubs.get(place));
            Some(Pair::of(stubs, &topology.hijack(*victim?, *attacker?)))
        };
        let mut pairs: Vec<_> = (0..pairs).filter_map(|_| pair()).collect();
        pairs.sort_by(|one, other| one.share.total_cmp(&other.share));
        Self { stubs: by_region, pairs }
    }

    /// Places the user and vantage points of these regions so that `captured` of the vantage points are captured, and the
    /// user or not. Where no pair allows that, the nearest that was drawn.
    pub(super) fn place(&self, regions: &[u8], captured: usize, with_me: bool, draw: &mut Draw, placed: &mut Placed) {
        let wanted = (captured + usize::from(with_me)) as f64 / regions.len().max(1) as f64;
        let mut nearest = usize::MAX;
        let mut trial = Vec::with_capacity(regions.len());
        for trial_number in 0..TRIES {
            // After half of the tries any pair will do.
            let share = if trial_number < TRIES / 2 { wanted } else { draw.unit() };
            let Some(pair) = self.pair(share, draw) else { return };
            trial.clear();
            trial.extend(regions.iter().map(|region| {
                let place = self.stub(*region, draw);
                (place, pair.holds(place))
            }));
            let held = trial.iter().skip(1).filter(|(_, held)| *held).count();
            let user = trial.first().is_some_and(|(_, held)| *held);
            let off = held.abs_diff(captured) + if user == with_me { 0 } else { regions.len() };
            if off < nearest {
                nearest = off;
                placed.parties.clone_from(&trial);
            }
            if off == 0 {
                return;
            }
        }
    }

    /// A pair that captures about this share: one of the twentieth of all pairs that come nearest, or more where few are.
    fn pair(&self, wanted: f64, draw: &mut Draw) -> Option<&Pair> {
        let about = self.pairs.partition_point(|pair| pair.share < wanted);
        let width = (self.pairs.len() / 10).max(4).min(self.pairs.len());
        let begin = about.saturating_sub(width / 2).min(self.pairs.len() - width);
        self.pairs.get(begin + draw.place(width))
    }

    fn stub(&self, region: u8, draw: &mut Draw) -> AsIndex {
        let list = self.stubs.get(usize::from(region) % self.stubs.len().max(1)).map_or(&[][..], Vec::as_slice);
        list.get(draw.place(list.len())).copied().unwrap_or(AsIndex(0))
    }
}

impl Pair {
    fn of(all: &[AsIndex], capture: &Capture) -> Self {
        let words = all.iter().max().map_or(0, |last| last.0 as usize / 64 + 1);
        let mut captured = vec![0; words];
        let mut count = 0_usize;
        for stub in all.iter().filter(|stub| capture.holds(**stub)) {
            if let Some(word) = captured.get_mut(stub.0 as usize / 64) {
                *word |= 1_u64 << (stub.0 % 64);
                count += 1;
            }
        }
        Self { captured, share: count as f64 / all.len().max(1) as f64 }
    }
}
