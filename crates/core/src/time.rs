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
        let mut text = *b"0000-00-00T00:00:00.000Z";
        // Through the formatter, moments would be a tenth of what writing a view costs.
        for (place, digits, number) in [
            (0, 4, u16::try_from(date.year()).unwrap_or(0)),
            (5, 2, u8::from(date.month()).into()),
            (8, 2, date.day().into()),
            (11, 2, time.hour().into()),
            (14, 2, time.minute().into()),
            (17, 2, time.second().into()),
            (20, 3, time.millisecond()),
        ] {
            let mut rest = number;
            for digit in text.iter_mut().skip(place).take(digits).rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

/// The text was not an RFC 3339 date and time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a time in RFC 3339, such as 2026-11-23T05:12:00Z")]
pub struct BadTimestamp(String);

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        if let Some(moment) = as_written_here(text) {
            return Ok(moment);
        }
        let moment =
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| BadTimestamp(text.chars().take(40).collect()))?;
        let ms = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self::from_unix_ms(i64::try_from(ms).unwrap_or(i64::MAX)))
    }
}

/// `2026-11-23T05:12:00.000Z`, read without the parser for all of RFC 3339; `None` for whatever else it may be.
fn as_written_here(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        mi1,
        mi2,
        b':',
        s1,
        s2,
        b'.',
        f1,
        f2,
        f3,
        b'Z',
    ] = *bytes
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        let digit = |digit: &u8| digit.is_ascii_digit().then(|| u32::from(digit - b'0'));
        digits.iter().try_fold(0, |number, next| Some(number * 10 + digit(next)?))
    };
    let small = |digits: &[u8]| number(digits).and_then(|number| u8::try_from(number).ok());
    let month = time::Month::try_from(small(&[mo1, mo2])?).ok()?;
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    let date = time::Date::from_calendar_date(year, month, small(&[d1, d2])?).ok()?;
    let ms = u16::try_from(number(&[f1, f2, f3])?).ok()?;
    let time = time::Time::from_hms_milli(small(&[h1, h2])?, small(&[mi1, mi2])?, small(&[s1, s2])?, ms).ok()?;
    let ms = time::UtcDateTime::new(date, time).unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(ms).ok().map(Timestamp::from_unix_ms)
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
    fn the_short_way_reads_what_the_long_way_does() {
        for ms in (0..2_000).map(|step: i64| step * 987_654_321_123 % 253_402_300_799_999) {
            let text = Timestamp::from_unix_ms(ms).to_string();
            assert_eq!(as_written_here(&text), Some(Timestamp::from_unix_ms(ms)), "{text}");
            let long = OffsetDateTime::parse(&text, &Rfc3339).unwrap();
            assert_eq!(long.unix_timestamp_nanos() / 1_000_000, i128::from(ms), "{text}");
        }
        for text in [
            "2026-02-30T00:00:00.000Z",
            "2026-01-01T25:00:00.000Z",
            "2026-01-01t00:00:00.000Z",
            "+026-01-01T00:00:00.000Z",
        ] {
            assert_eq!(as_written_here(text), None, "{text}");
        }
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
