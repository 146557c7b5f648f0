//! Durations as people write them: `300ms`, `5s`, `10m`, `12h`, `2d`.

use std::time::Duration;

/// The longest duration that is accepted: a hundred years.
const LONGEST_MS: u64 = 100 * 366 * 86_400_000;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a whole number and a unit. The error says what would be right.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a duration; write a number and ms, s, m, h or d, such as 300ms, 5s or 2d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(bad)?;
    let number: u64 = number.parse().map_err(|_| bad())?;
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    let ms = number.checked_mul(*unit_ms).filter(|ms| *ms <= LONGEST_MS);
    ms.map(Duration::from_millis).ok_or_else(|| format!("{text:?} is longer than 100 years"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, ms) in [("300ms", 300), ("5s", 5000), ("10m", 600_000), ("12h", 43_200_000), ("2d", 172_800_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_refused_with_what_would_be_right() {
        for text in ["", "5", "s", "5 s", "-5s", "+5s", "1.5s", "5S", "5sec", "5é", "é", "99999999999999999999s"] {
            assert!(parse(text).unwrap_err().contains("such as 300ms, 5s or 2d"), "{text}");
        }
        for text in ["36601d", "18446744073709551615d"] {
            assert!(parse(text).unwrap_err().contains("100 years"), "{text}");
        }
    }
}
