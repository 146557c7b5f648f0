//! Draws from the generator that is passed in.

use std::time::Duration;

use rand_core::Rng;

/// An index below `bound`; 0 where that is 0. The bias, below 2^-32 for any list here, favours nobody who could aim.
pub(crate) fn below(rng: &mut dyn Rng, bound: usize) -> usize {
    let wide = u128::from(rng.next_u64()) * (bound as u128);
    (wide >> 64) as usize
}

/// Fisher and Yates.
pub(crate) fn shuffle<T>(rng: &mut dyn Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

/// Any part of a time, so that not all do the same at the same moment.
pub(super) fn random_part(of: Duration, rng: &mut dyn Rng) -> Duration {
    of.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;

    use rand_core::TryRng;

    use super::*;

    /// SplitMix64: the same numbers in every run.
    #[derive(Default)]
    pub(crate) struct Counter(pub(crate) u64);

    impl TryRng for Counter {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok((self.next_u64() >> 32) as u32)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            Ok(mixed ^ (mixed >> 31))
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            for byte in bytes {
                *byte = self.next_u32() as u8;
            }
            Ok(())
        }
    }

    #[test]
    fn draws_stay_below_their_bound_and_reach_all_of_it() {
        let mut rng = Counter::default();
        let mut met = [false; 7];
        for _ in 0..200 {
            met[below(&mut rng, 7)] = true;
        }
        assert_eq!(met, [true; 7]);
        assert_eq!(below(&mut rng, 0), 0);
    }
}
