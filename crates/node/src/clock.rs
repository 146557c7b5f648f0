//! The stamps of a node: they never go back.
//!
//! Durations are measured on the monotonic clock elsewhere. Stamps come from the wall clock, which may step; a node that
//! signed an earlier moment after a later one would contradict itself.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parallax_core::Timestamp;
use parallax_probe::WallClock;

/// A step back up to this long is ridden out: stamps stand still until the clock has caught up.
const TOLERATED_STEP: Duration = Duration::from_secs(5);

/// No honest clock is behind the day this was written: 2026-11-01.
const EARLIEST: Timestamp = Timestamp::from_unix_secs(1_793_491_200);

/// Places that keep the newest stamp of the services that hash to them.
const STRIPES: usize = 1024;

/// The clock stands before a moment that was signed already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock says {now}, but this node has already signed at {signed}: set the clock; if it was {signed} that was \
     wrong, stop the node, remove the file \"clock\" in the data directory and start it again"
)]
pub struct ClockBehind {
    /// What the clock says.
    pub now: Timestamp,
    /// The newest moment that was signed or recorded.
    pub signed: Timestamp,
}

type Wall = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// A wall clock whose stamps never go back.
pub(crate) struct Clock {
    wall: Wall,
    newest: AtomicI64,
    looks: Box<[AtomicI64]>,
}

impl Clock {
    /// Stamps of this wall clock. `floor` is the newest stamp of an earlier run.
    pub(crate) fn of(wall: WallClock, floor: Option<Timestamp>) -> Self {
        Self::new(Box::new(move || wall.now()), floor)
    }

    pub(crate) fn new(wall: Wall, floor: Option<Timestamp>) -> Self {
        let floor = floor.unwrap_or(EARLIEST).max(EARLIEST);
        let looks = (0..STRIPES).map(|_| AtomicI64::new(i64::MIN)).collect();
        Self { wall, newest: AtomicI64::new(floor.unix_ms()), looks }
    }

    /// A stamp for now, not before any stamp given out before.
    pub(crate) fn now(&self) -> Result<Timestamp, ClockBehind> {
        let now = (self.wall)();
        let newest = self.newest.fetch_max(now.unix_ms(), Ordering::AcqRel);
        let newest = Timestamp::from_unix_ms(newest);
        if newest.since(now) > TOLERATED_STEP {
            return Err(ClockBehind { now, signed: newest });
        }
        Ok(now.max(newest))
    }

    /// A stamp for a statement about `moments`; it is not before the newest of them.
    pub(crate) fn now_after(&self, moments: impl IntoIterator<Item = Timestamp>) -> Result<Timestamp, ClockBehind> {
        let now = self.now()?;
        match moments.into_iter().max() {
            Some(signed) if signed.since(now) > TOLERATED_STEP => Err(ClockBehind { now, signed }),
            Some(newest) => Ok(now.max(newest)),
            None => Ok(now),
        }
    }

    /// A stamp for a look that has just ended, unlike the stamp of every earlier look at the same thing: one moment and
    /// address with two contents would be a contradiction (the millisecond is the resolution).
    pub(crate) fn stamp_look(&self, what: &impl Hash) -> Result<Timestamp, ClockBehind> {
        let now = self.now()?.unix_ms();
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let stripe = usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or_default();
        let Some(last) = self.looks.get(stripe) else { return Ok(Timestamp::from_unix_ms(now)) };
        let next = |last: i64| now.max(last.saturating_add(1));
        let before = last.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(next(last)));
        Ok(Timestamp::from_unix_ms(next(before.unwrap_or(i64::MIN))))
    }

    /// The newest stamp: the floor of the next run.
    pub(crate) fn newest(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.newest.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn stepping(start: Timestamp) -> (Arc<AtomicI64>, Clock) {
        let wall = Arc::new(AtomicI64::new(start.unix_ms()));
        let read = Arc::clone(&wall);
        (wall, Clock::new(Box::new(move || Timestamp::from_unix_ms(read.load(Ordering::SeqCst))), None))
    }

    fn noon() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_earliest_moment_is_the_day_it_says() {
        assert_eq!(EARLIEST.to_string(), "2026-11-01T00:00:00.000Z");
    }

    #[test]
    fn a_small_step_back_stands_still_and_a_large_one_refuses() {
        let (wall, clock) = stepping(noon());
        assert_eq!(clock.now(), Ok(noon()));
        wall.store(noon().unix_ms() - 5000, Ordering::SeqCst);
        assert_eq!(clock.now(), Ok(noon()));
        wall.store(noon().unix_ms() - 5001, Ordering::SeqCst);
        assert!(clock.now().unwrap_err().to_string().contains("set the clock"));
        wall.store(noon().unix_ms() + 1, Ordering::SeqCst);
        assert_eq!(clock.now(), Ok(noon().plus(Duration::from_millis(1))));
    }

    #[test]
    fn the_floor_of_an_earlier_run_holds() {
        let read = noon();
        let clock = Clock::new(Box::new(move || read), Some(noon().plus(Duration::from_secs(60))));
        assert!(clock.now().is_err());
        let (_, early) = stepping(Timestamp::from_unix_ms(0));
        assert!(early.now().is_err(), "1970 is before this was written");
    }

    #[test]
    fn nothing_is_signed_before_what_it_tells_of() {
        let (_, clock) = stepping(noon());
        let ahead = |ms| noon().plus(Duration::from_millis(ms));
        assert_eq!(clock.now_after([ahead(3), ahead(1)]), Ok(ahead(3)));
        assert!(clock.now_after([ahead(5001)]).is_err());
        assert_eq!(clock.now(), Ok(noon()), "a wrong history does not move the clock");
    }

    #[test]
    fn looks_at_one_thing_never_share_a_stamp() {
        let (_, clock) = stepping(noon());
        let stamps: Vec<_> = (0..5).map(|_| clock.stamp_look(&"tls://example.com:443").unwrap()).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{stamps:?}");
    }
}
