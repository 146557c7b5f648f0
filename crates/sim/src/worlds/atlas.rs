//! Where parties stand in the network between networks, and whom a hijack captures: looked at once for a run.

use super::draw::Draw;

/// Which parties a hijack reaches. Made from a topology by [`Atlas::survey`]; without one, the hijack cells take a coarse
/// stand-in ([`Atlas::plain`]).
#[derive(Clone, Debug)]
pub struct Atlas {
    /// The ASes in which parties stand, by region.
    stubs: Vec<Vec<u32>>,
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
    fn holds(&self, place: u32) -> bool {
        let (word, bit) = (place as usize / 64, place % 64);
        self.captured.get(word).is_some_and(|word| word >> bit & 1 == 1)
    }
}

/// Parties placed in a network of which some are captured.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    /// The AS of each party and whether it is captured, the user first.
    pub(super) parties: Vec<(u32, bool)>,
}

/// How often places are drawn until as many are captured as wanted.
const TRIES: u32 = 200;

impl Atlas {
    /// Looks at pairs of victim and attacker. `stubs` are ASes with their regions; `hijack` gives the ASes that route to
    /// the attacker.
    pub fn survey<Capture>(
        stubs: &[(u32, u8)],
        regions: usize,
        pairs: u32,
        seed: u64,
        hijack: impl Fn(u32, u32) -> Capture,
    ) -> Self
    where
        Capture: Fn(u32) -> bool,
    {
        let mut by_region = vec![Vec::new(); regions.max(1)];
        for (stub, region) in stubs {
            let place = usize::from(*region) % by_region.len();
            if let Some(list) = by_region.get_mut(place) {
                list.push(*stub);
            }
        }
        // A region without an AS borrows those of all.
        let all: Vec<_> = stubs.iter().map(|(stub, _)| *stub).collect();
        by_region.iter_mut().filter(|list| list.is_empty()).for_each(|list| list.clone_from(&all));
        let mut draw = Draw::new(seed, u64::MAX, 0);
        let pair = |_| {
            let (victim, attacker) = (draw.place(all.len()), draw.place(all.len()));
            let name = |place: usize| all.get(place).copied().unwrap_or_default();
            Pair::of(&all, hijack(name(victim), name(attacker)))
        };
        let mut pairs: Vec<_> = (0..pairs).map(pair).collect();
        pairs.sort_by(|one, other| one.share.total_cmp(&other.share));
        Self { stubs: by_region, pairs }
    }

    /// A stand-in for where no topology is at hand: ASes on a ring, each region an arc of it; who is nearer to the attacker
    /// than to the victim is captured. Neighbours share a fate, as they do behind common providers.
    pub fn plain(regions: usize, pairs: u32, seed: u64) -> Self {
        const RING: u32 = 1000;
        let regions = regions.max(1);
        let region = |place: u32| (place as usize * regions / RING as usize) as u8;
        let stubs: Vec<_> = (0..RING).map(|place| (place, region(place))).collect();
        let apart = |one: u32, other: u32| one.abs_diff(other).min(RING - one.abs_diff(other));
        // The attacker's routes are longer or shorter than the victim's by a length that hangs on the pair.
        let handicap = |victim: u32, attacker: u32| (victim * 7 + attacker * 13) % RING;
        Self::survey(&stubs, regions, pairs, seed, |victim, attacker| {
            move |party| 2 * apart(party, attacker) + handicap(victim, attacker) < 2 * apart(party, victim) + RING / 2
        })
    }

    /// Places the user and vantage points of these regions so that `captured` of the vantage points are captured, and the
    /// user or not. Where no pair allows that, the nearest that was drawn.
    pub(super) fn place(&self, regions: &[u8], captured: usize, with_me: bool, draw: &mut Draw, placed: &mut Placed) {
        let wanted = captured as f64 / regions.len().saturating_sub(1).max(1) as f64;
        let mut nearest = usize::MAX;
        let mut trial = Vec::with_capacity(regions.len());
        for _ in 0..TRIES {
            let Some(pair) = self.pair(wanted, draw) else { return };
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

    fn stub(&self, region: u8, draw: &mut Draw) -> u32 {
        let list = self.stubs.get(usize::from(region) % self.stubs.len().max(1)).map_or(&[][..], Vec::as_slice);
        list.get(draw.place(list.len())).copied().unwrap_or_default()
    }
}

impl Pair {
    fn of(all: &[u32], holds: impl Fn(u32) -> bool) -> Self {
        let words = all.iter().max().map_or(0, |last| *last as usize / 64 + 1);
        let mut captured = vec![0; words];
        let mut count = 0_usize;
        for stub in all.iter().filter(|stub| holds(**stub)) {
            if let Some(word) = captured.get_mut(*stub as usize / 64) {
                *word |= 1_u64 << (stub % 64);
                count += 1;
            }
        }
        Self { captured, share: count as f64 / all.len().max(1) as f64 }
    }
}
