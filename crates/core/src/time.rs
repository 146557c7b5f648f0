//! A moment in UTC, to the millisecond.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC with millisecond resolution, written as RFC 3339 (`2026-11-23T05:12:00.000Z`).
///
/// The millisecond is the resolution on which equivocation is judged: two observations of one vantage point with the
/// same moment and address must be the same observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Years 0001 to 9999, what RFC 3339 can write.
    const MIN_MS: i64 = -62_135_596_800_000;
    const MAX_MS: i64 = 253_402_300_799_999;

    /// From milliseconds since 1970-01-01T00:00:00Z; clamped to the years 1 to 9999.
    #[inline]
    pub const fn from_unix_ms(ms: i64) -> Self {
        if ms < Self::MIN_MS {
            Self(Self::MIN_MS)
        } else if ms > Self::MAX_MS {
            Self(Self::MAX_MS)
        } else {
            Self(ms)
        }
    }

    /// From seconds since 1970-01-01T00:00:00Z; clamped to the years 1 to 9999.
    pub const fn from_unix_secs(secs: i64) -> Self {
        Self::from_unix_ms(secs.saturating_mul(1000))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[inline]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn unix_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Time from `earlier` to `self`; zero when `earlier` is not earlier.
    #[inline]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `self` moved forward.
    #[inline]
    pub fn plus(self, by: Duration) -> Self {
        Self::from_unix_ms(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// `self` moved back.
    #[inline]
    pub fn minus(self, by: Duration) -> Self {
        Self::from_unix_ms(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (date, time) = (moment.date(), moment.time());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.millisecond()
        )
    }
}

/// The text was not an RFC 3339 date and time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a time in RFC 3339, such as 2026-11-23T05:12:00Z")]
pub struct BadTimestamp(String);

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        let moment =
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| BadTimestamp(text.chars().take(40).collect()))?;
        let ms = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self::from_unix_ms(i64::try_from(ms).unwrap_or(i64::MAX)))
    }
}

serde_as_text!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back_to_the_millisecond() {
        for ms in [0, 1, -1, 1_700_000_000_123, Timestamp::MIN_MS, Timestamp::MAX_MS] {
            let moment = Timestamp::from_unix_ms(ms);
            assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
        }
        assert_eq!(Timestamp::from_unix_ms(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!("2023-11-14T23:13:20.1239+01:00".parse::<Timestamp>().unwrap().unix_ms(), 1_700_000_000_123);
    }

    #[test]
    fn arithmetic_saturates() {
        let far = Timestamp::from_unix_ms(i64::MAX);
        assert_eq!(far.plus(Duration::from_secs(u64::MAX)), far);
        assert_eq!(Timestamp::from_unix_ms(0).since(far), Duration::ZERO);
        assert_eq!(Timestamp::from_unix_ms(5000).minus(Duration::from_secs(2)).unix_ms(), 3000);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-23 05:12", "2026-11-23T05:12:00"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
