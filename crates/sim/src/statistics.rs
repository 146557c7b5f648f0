//! How far a counted share may be from the true one.

use serde::Serialize;

/// 97.5 % of a normal distribution lie below this: 2.5 % are left out on either side.
const Z: f64 = 1.959_963_984_540_054;

/// A share that was counted, with the interval that holds the true share in 95 of 100 such counts.
///
/// The interval is Wilson's ("Probable inference, the law of succession, and statistical inference", 1927), without
/// correction for continuity: it never leaves 0 to 1, and is right for rare events too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    /// How often it was so.
    pub hits: u64,
    /// How often it could have been.
    pub of: u64,
    /// The least that the true share may be, 0 to 1.
    pub low: f64,
    /// The most.
    pub high: f64,
}

impl Proportion {
    /// `hits` of `of`; more hits than that count as all. Of nothing nothing is known: 0 to 1.
    pub fn new(hits: u64, of: u64) -> Self {
        let hits = hits.min(of);
        let (low, high) = wilson(hits as f64, of as f64);
        Self { hits, of, low, high }
    }

    /// The share, 0 to 1; none of nothing.
    pub fn value(&self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }
}

fn wilson(hits: f64, of: f64) -> (f64, f64) {
    if of == 0.0 {
        return (0.0, 1.0);
    }
    let (share, doubt) = (hits / of, Z * Z / of);
    let middle = (share + doubt / 2.0) / (1.0 + doubt);
    let reach = Z / (1.0 + doubt) * (share * (1.0 - share) / of + doubt / (4.0 * of)).sqrt();
    // At the ends the two are equal but for rounding.
    let low = if hits == 0.0 { 0.0 } else { (middle - reach).max(0.0) };
    let high = if hits == of { 1.0 } else { (middle + reach).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rounded(hits: u64, of: u64) -> [f64; 2] {
        let share = Proportion::new(hits, of);
        [share.low, share.high].map(|bound| (bound * 10_000.0).round() / 10_000.0)
    }

    /// Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I,
    /// method 3.
    #[test]
    fn the_published_intervals() {
        for (hits, of, published) in [
            (81, 263, [0.2553, 0.3662]),
            (15, 148, [0.0624, 0.1605]),
            (0, 20, [0.0, 0.1611]),
            (1, 29, [0.0061, 0.1718]),
        ] {
            assert_eq!(rounded(hits, of), published, "{hits} of {of}");
        }
    }

    #[test]
    fn none_all_and_nothing() {
        assert_eq!(
            (Proportion::new(0, 0).low, Proportion::new(0, 0).high, Proportion::new(0, 0).value()),
            (0.0, 1.0, None)
        );
        let (none, all) = (Proportion::new(0, 1_000_000), Proportion::new(1_000_000, 1_000_000));
        assert_eq!((none.low, all.high, none.value(), all.value()), (0.0, 1.0, Some(0.0), Some(1.0)));
        // z² / (n + z²): what must be reckoned with although it never happened.
        assert!((none.high - 3.8414588e-6 / (1.0 + 3.8414588e-6)).abs() < 1e-12, "{none:?}");
        assert!((1.0 - all.low - none.high).abs() < 1e-12, "{all:?}");
        assert_eq!(Proportion::new(9, 4), Proportion::new(4, 4));
    }

    proptest! {
        #[test]
        fn the_share_lies_within_and_more_counts_say_more(of in 1_u64..1_000_000_000, part in 0.0..=1.0) {
            let hits = (of as f64 * part) as u64;
            let share = Proportion::new(hits, of);
            let value = share.value().unwrap();
            prop_assert!(0.0 <= share.low && share.low <= value && value <= share.high && share.high <= 1.0, "{share:?}");
            let more = Proportion::new(hits * 10, of * 10);
            prop_assert!(more.high - more.low < share.high - share.low);
            let turned = Proportion::new(of - hits, of);
            prop_assert!((turned.low + share.high - 1.0).abs() < 1e-9);
        }
    }
}
