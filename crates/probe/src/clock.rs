//! The one place where the wall clock is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parallax_core::Timestamp;

/// The wall clock that somebody goes by: the system's, or for labs one that is wrong. No configuration sets it wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    ahead_secs: i64,
}

impl WallClock {
    /// The system's clock, wrong by so many seconds: ahead of it, or where negative behind.
    pub const fn ahead_by(secs: i64) -> Self {
        Self { ahead_secs: secs }
    }

    /// This moment. A clock before 1970 reads as 1970.
    pub fn now(self) -> Timestamp {
        let off = Duration::from_secs(self.ahead_secs.unsigned_abs());
        if self.ahead_secs < 0 { system_now().minus(off) } else { system_now().plus(off) }
    }
}

fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_wrong_by_what_it_says() {
        let (behind, right) = (WallClock::ahead_by(-3600).now(), WallClock::default().now());
        let ahead = WallClock::ahead_by(3600).now();
        let hour = Duration::from_secs(3600);
        assert!(behind <= right.minus(hour) && ahead >= right.plus(hour), "{behind} {right} {ahead}");
        assert!(ahead.since(behind) < hour * 3);
    }
}
