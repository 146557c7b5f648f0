//! Bounds over time: how much is sent a day, and what may happen only once in a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parallax_core::Timestamp;

/// A number of things that may happen in a span of time.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    most: u32,
    span: Duration,
    begun: Timestamp,
    used: u32,
}

impl Allowance {
    pub(super) fn new(most: u32, span: Duration, now: Timestamp) -> Self {
        Self { most, span, begun: now, used: 0 }
    }

    /// Takes `count` if that leaves at least the share `reserve` (in percent) for others.
    pub(super) fn take(&mut self, count: u32, reserve: u32, now: Timestamp) -> bool {
        self.turn(now);
        let usable = u64::from(self.most) * u64::from(100 - reserve.min(100)) / 100;
        let fits = u64::from(self.used) + u64::from(count) <= usable;
        if fits {
            self.used += count;
        }
        fits
    }

    fn turn(&mut self, now: Timestamp) {
        if now.since(self.begun) >= self.span {
            (self.begun, self.used) = (now, 0);
        }
    }

    pub(super) fn used(&self) -> u32 {
        self.used
    }

    /// Of the span that runs at that moment.
    pub(super) fn used_at(&mut self, now: Timestamp) -> u32 {
        self.turn(now);
        self.used
    }

    pub(super) fn rest(&self, now: Timestamp) -> Duration {
        self.span.saturating_sub(now.since(self.begun))
    }
}

/// When something last happened for each of a bounded number of keys; the longest ago is forgotten.
#[derive(Clone, Debug)]
pub(super) struct Recent<K> {
    most: usize,
    last: HashMap<K, Timestamp>,
}

impl<K: Hash + Eq> Recent<K> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, last: HashMap::new() }
    }

    /// Whether it did not happen within `rest`.
    pub(super) fn is_rested(&self, key: &K, rest: Duration, now: Timestamp) -> bool {
        self.last.get(key).is_none_or(|last| now.since(*last) >= rest)
    }

    /// True, and noted, when it did not happen within `rest`.
    pub(super) fn note(&mut self, key: K, rest: Duration, now: Timestamp) -> bool {
        if !self.is_rested(&key, rest, now) {
            return false;
        }
        self.last.insert(key, now);
        if self.last.len() > self.most {
            self.forget(rest, now);
        }
        true
    }

    /// What is over goes; if that is not enough, the longer half does.
    fn forget(&mut self, rest: Duration, now: Timestamp) {
        self.last.retain(|_, last| now.since(*last) < rest);
        if self.last.len() > self.most {
            let mut times: Vec<Timestamp> = self.last.values().copied().collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.last.retain(|_, last| *last > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_keeps_a_reserve_and_begins_anew() {
        let start = Timestamp::from_unix_secs(0);
        let mut allowance = Allowance::new(10, Duration::from_secs(60), start);
        assert!(allowance.take(6, 40, start));
        assert!(!allowance.take(1, 40, start));
        assert!(allowance.take(4, 0, start));
        assert!(!allowance.take(1, 0, start));
        assert!(allowance.take(1, 0, start.plus(Duration::from_secs(60))));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::new(100);
        for number in 0..10_000u32 {
            assert!(recent.note(number, Duration::from_secs(3600), Timestamp::from_unix_secs(i64::from(number))));
            assert!(recent.last.len() <= 100);
        }
        let now = Timestamp::from_unix_secs(10_000);
        assert!(!recent.note(9_999, Duration::from_secs(3600), now));
        assert!(recent.note(9_999, Duration::from_secs(1), now));
    }
}
