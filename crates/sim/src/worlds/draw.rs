//! Chance: a small generator for each visit, so that any visit can be made again alone.

use rand::Rng as _;
use rand_pcg::Pcg32;

/// The chance of one visit.
pub(crate) struct Draw(Pcg32);

impl Draw {
    /// The same numbers for the same seed, purpose and index, whatever else is drawn.
    pub(crate) fn new(seed: u64, purpose: u64, index: u64) -> Self {
        let state = mix(seed ^ mix(purpose ^ mix(index)));
        Self(Pcg32::new(state, mix(state ^ purpose)))
    }

    /// A number from 0 to 1, 1 left out.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// Whether something that happens in this share of all cases happens.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.unit() < share
    }

    /// A number below `limit`; 0 when that is 0.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(limit)) >> 32) as u32
    }

    /// A number below `limit`, to choose a place in a list.
    pub(crate) fn place(&mut self, limit: usize) -> usize {
        self.below(u32::try_from(limit).unwrap_or(u32::MAX)) as usize
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A length of time, in seconds, of which short ones are as likely as long ones ten times their length.
    pub(crate) fn stretched(&mut self, low: u32, high: u32) -> u32 {
        stretch(low, high, self.unit())
    }

    /// A place in a list of weights; the last when rounding leaves none.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.unit() * weights.iter().sum::<f64>();
        for (place, weight) in weights.iter().enumerate() {
            rest -= weight;
            if rest < 0.0 {
                return place;
            }
        }
        weights.len().saturating_sub(1)
    }

    /// One of a list, by weights in the same order; `otherwise` when the list is empty.
    pub(crate) fn one_of<T: Copy>(&mut self, list: &[T], weights: &[f64], otherwise: T) -> T {
        list.get(self.weighted(weights)).copied().unwrap_or(otherwise)
    }

    /// Puts a list into any order.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.place(last + 1));
        }
    }
}

/// A length of time between these, for a number from 0 to 1.
pub(super) fn stretch(low: u32, high: u32, unit: f64) -> u32 {
    let (low, high) = (f64::from(low.max(1)), f64::from(high.max(low).max(1)));
    (low * (high / low).powf(unit)) as u32
}

/// Spreads neighbouring numbers over all of them (SplitMix64, Steele, Lea and Flood 2014).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_their_bounds_and_are_the_same_again() {
        let mut draw = Draw::new(1, 2, 3);
        for _ in 0..1000 {
            assert!(draw.below(3) < 3);
            assert!((5..=7).contains(&draw.between(5, 7)));
            assert!((10..=1000).contains(&draw.stretched(10, 1000)));
            assert_ne!(draw.weighted(&[0.0, 1.0, 0.0]), 0);
        }
        assert_eq!(draw.below(0), 0);
        let (mut one, mut other) = (Draw::new(7, 8, 9), Draw::new(7, 8, 9));
        assert!((0..100).all(|_| one.below(1000) == other.below(1000)));
        let mut next = Draw::new(7, 8, 10);
        assert!((0..100).any(|_| one.below(1000) != next.below(1000)));
    }

    #[test]
    fn shares_come_out() {
        let mut draw = Draw::new(1, 0, 0);
        let hits = (0..100_000).filter(|_| draw.chance(0.07)).count();
        assert!((6_700..7_300).contains(&hits), "{hits}");
        let third = (0..100_000).filter(|_| draw.weighted(&[1.0, 2.0, 1.0]) == 2).count();
        assert!((24_500..25_500).contains(&third), "{third}");
    }
}
