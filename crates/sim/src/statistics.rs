//! How far a counted share may be from the true one.

use std::fmt;

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
    /// The share, 0 to 1; none of nothing.
    pub share: Option<f64>,
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
        let share = (of > 0).then(|| hits as f64 / of as f64);
        Self { hits, of, share, low, high }
    }

    /// In percent, with the farther end of the interval, at most 12 characters: `2.10 ±0.10`. What never was is `0 ≤0.02`.
    pub fn short(&self) -> String {
        let Some(share) = self.share else { return "-".into() };
        let digits = if share < 0.01 { self.digits() } else { self.digits().min(2) };
        let reach = 100.0 * (share - self.low).max(self.high - share);
        match self.hits {
            0 => format!("0 ≤{}", up(100.0 * self.high, digits)),
            _ => format!("{:.digits$} ±{}", 100.0 * share, up(reach, digits)),
        }
    }

    /// As many decimals as the width of the interval gives a meaning to.
    fn digits(&self) -> usize {
        match 100.0 * (self.high - self.low) {
            wide if wide >= 20.0 => 0,
            wide if wide >= 1.0 => 1,
            wide if wide >= 0.1 => 2,
            _ => 3,
        }
    }
}

/// In percent, with the interval: `2.10 (2.01 to 2.19)`.
impl fmt::Display for Proportion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(share) = self.share else { return f.write_str("-") };
        let digits = self.digits();
        // What never was has no decimals, and what always was neither.
        let plain = |percent: f64| match percent {
            0.0 => "0".to_string(),
            100.0 => "100".to_string(),
            percent => format!("{percent:.digits$}"),
        };
        let (low, high) = (plain(100.0 * self.low), plain(100.0 * self.high));
        write!(f, "{} ({low} to {high})", plain(100.0 * share))
    }
}

/// Rounded up: a bound must not be better than it is.
fn up(percent: f64, digits: usize) -> String {
    let unit = 10_f64.powi(digits as i32);
    format!("{:.digits$}", (percent * unit - 1e-9).ceil() / unit)
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
            (Proportion::new(0, 0).low, Proportion::new(0, 0).high, Proportion::new(0, 0).share),
            (0.0, 1.0, None)
        );
        let (none, all) = (Proportion::new(0, 1_000_000), Proportion::new(1_000_000, 1_000_000));
        assert_eq!((none.low, all.high, none.share, all.share), (0.0, 1.0, Some(0.0), Some(1.0)));
        // z² / (n + z²): what must be reckoned with although it never happened.
        assert!((none.high - 3.8414588e-6 / (1.0 + 3.8414588e-6)).abs() < 1e-12, "{none:?}");
        assert!((1.0 - all.low - none.high).abs() < 1e-12, "{all:?}");
        assert_eq!(Proportion::new(9, 4), Proportion::new(4, 4));
    }

    #[test]
    fn no_more_decimals_than_mean_something() {
        for (hits, of, whole, short) in [
            (0, 0, "-", "-"),
            (0, 20_000, "0 (0 to 0.019)", "0 ≤0.020"),
            (20_000, 20_000, "100 (99.981 to 100)", "100.00 ±0.02"),
            (2_100, 100_000, "2.10 (2.01 to 2.19)", "2.10 ±0.10"),
            (12, 100_000, "0.012 (0.007 to 0.021)", "0.012 ±0.009"),
            (9_000, 20_000, "45.0 (44.3 to 45.7)", "45.0 ±0.7"),
            (1, 3, "33 (6 to 79)", "33 ±46"),
        ] {
            let share = Proportion::new(hits, of);
            assert_eq!((share.to_string(), share.short()), (whole.into(), short.into()));
        }
    }

    proptest! {
        #[test]
        fn the_share_lies_within_and_more_counts_say_more(of in 1_u64..1_000_000_000, part in 0.0..=1.0) {
            let hits = (of as f64 * part) as u64;
            let share = Proportion::new(hits, of);
            let value = share.share.unwrap();
            prop_assert!(0.0 <= share.low && share.low <= value && value <= share.high && share.high <= 1.0, "{share:?}");
            let more = Proportion::new(hits * 10, of * 10);
            prop_assert!(more.high - more.low < share.high - share.low);
            let turned = Proportion::new(of - hits, of);
            prop_assert!((turned.low + share.high - 1.0).abs() < 1e-9);
            prop_assert!(share.short().chars().count() <= 12, "{}", share.short());
        }
    }
}
