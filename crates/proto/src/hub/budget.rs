//! Token buckets by key, bounded in number.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parallax_core::Timestamp;

use super::settings::PerMinute;

/// Keys that are remembered.
const MOST_KEYS: usize = 65_536;

/// One bucket: what is left, and when that was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Bucket {
    pub(super) fn full(rate: PerMinute, now: Timestamp) -> Self {
        Self { left: f64::from(rate.burst), at: now }
    }

    fn fill(&mut self, rate: PerMinute, now: Timestamp) {
        let more = now.since(self.at).as_secs_f64() * f64::from(rate.rate) / 60.0;
        self.left = (self.left + more).min(f64::from(rate.burst));
        self.at = self.at.max(now);
    }

    /// Whether one could be taken.
    pub(super) fn has_one(&mut self, rate: PerMinute, now: Timestamp) -> bool {
        self.fill(rate, now);
        self.left >= 1.0
    }

    /// Takes one; `Err` says how long to wait.
    pub(super) fn take(&mut self, rate: PerMinute, now: Timestamp) -> Result<(), Duration> {
        if self.has_one(rate, now) {
            self.left -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - self.left) * 60.0 / f64::from(rate.rate.max(1));
        Err(Duration::from_secs_f64(missing.clamp(0.001, 60.0)))
    }

    /// What was taken elsewhere, from what all share. It may go below nothing, as much as there can be at once: what two
    /// took at the same moment is paid back.
    fn spend(&mut self, rate: PerMinute, count: u32, now: Timestamp) {
        self.fill(rate, now);
        self.left = (self.left - f64::from(count)).max(-f64::from(rate.burst));
    }
}

/// So many looks a minute: what a peer offers, counted as the hub counts it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rate: PerMinute,
    bucket: Bucket,
}

impl Pace {
    /// Nothing is spent yet.
    pub fn new(looks_per_minute: u32, now: Timestamp) -> Self {
        let rate = PerMinute { rate: looks_per_minute, burst: looks_per_minute };
        Self { rate, bucket: Bucket::full(rate, now) }
    }

    /// Whether one more may be made now; it is counted then.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.bucket.take(self.rate, now).is_ok()
    }
}

/// A bucket for each key that is not at rest.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: PerMinute,
    buckets: HashMap<K, Bucket>,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    pub(super) fn new(rate: PerMinute) -> Self {
        Self { rate, buckets: HashMap::new() }
    }

    /// Takes one for a key; `Err` says how long to wait. Where more keys are busy than are remembered, new ones wait.
    pub(super) fn take(&mut self, key: &K, now: Timestamp) -> Result<(), Duration> {
        if let Some(bucket) = self.buckets.get_mut(key) {
            return bucket.take(self.rate, now);
        }
        if self.buckets.len() >= MOST_KEYS {
            self.forget_those_at_rest(now);
        }
        if self.buckets.len() >= MOST_KEYS {
            return Err(Duration::from_secs(1));
        }
        let mut bucket = Bucket::full(self.rate, now);
        let taken = bucket.take(self.rate, now);
        self.buckets.insert(key.clone(), bucket);
        taken
    }

    /// So many were taken elsewhere.
    pub(super) fn spend(&mut self, key: &K, count: u32, now: Timestamp) {
        if !self.buckets.contains_key(key) && self.buckets.len() >= MOST_KEYS {
            self.forget_those_at_rest(now);
        }
        if self.buckets.contains_key(key) || self.buckets.len() < MOST_KEYS {
            let bucket = self.buckets.entry(key.clone()).or_insert_with(|| Bucket::full(self.rate, now));
            bucket.spend(self.rate, count, now);
        }
    }

    /// Whether one could be taken.
    pub(super) fn has_one(&mut self, key: &K, now: Timestamp) -> bool {
        let rate = self.rate;
        self.buckets.get_mut(key).is_none_or(|bucket| bucket.has_one(rate, now))
    }

    fn forget_those_at_rest(&mut self, now: Timestamp) {
        let rate = self.rate;
        self.buckets.retain(|_, bucket| {
            bucket.fill(rate, now);
            bucket.left < f64::from(rate.burst)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
    const RATE: PerMinute = PerMinute { rate: 60, burst: 3 };

    #[test]
    fn a_burst_and_then_one_a_second() {
        let mut buckets = Buckets::new(RATE);
        assert!((0..3).all(|_| buckets.take(&1, NOW).is_ok()));
        assert_eq!(buckets.take(&1, NOW), Err(Duration::from_secs(1)));
        assert!(buckets.take(&2, NOW).is_ok(), "another key has its own");
        let later = NOW.plus(Duration::from_secs(1));
        assert!(buckets.take(&1, later).is_ok() && buckets.take(&1, later).is_err());
        let much_later = NOW.plus(Duration::from_secs(3600));
        assert_eq!((0..9).filter(|_| buckets.take(&1, much_later).is_ok()).count(), 3, "a rest saves up no more");
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let mut buckets = Buckets::new(RATE);
        assert!((0..3).all(|_| buckets.take(&1, NOW).is_ok()));
        let earlier = NOW.minus(Duration::from_secs(3600));
        assert!(buckets.take(&1, earlier).is_err() && buckets.take(&1, NOW).is_err());
    }

    #[test]
    fn what_was_spent_elsewhere_is_paid_back_up_to_one_burst() {
        let mut buckets = Buckets::new(RATE);
        buckets.spend(&1, 2, NOW);
        assert!(buckets.take(&1, NOW).is_ok() && buckets.take(&1, NOW).is_err());
        buckets.spend(&1, 1_000_000, NOW);
        assert_eq!(buckets.take(&1, NOW), Err(Duration::from_secs(4)), "three below nothing, and one more");
    }

    #[test]
    fn keys_are_bounded() {
        let mut buckets = Buckets::new(RATE);
        for key in 0..MOST_KEYS {
            buckets.take(&key, NOW).unwrap();
        }
        assert!(buckets.take(&MOST_KEYS, NOW).is_err() && buckets.take(&0, NOW).is_ok());
        let later = NOW.plus(Duration::from_secs(60));
        assert!(buckets.take(&MOST_KEYS, later).is_ok());
        assert_eq!(buckets.buckets.len(), 1);
    }
}
