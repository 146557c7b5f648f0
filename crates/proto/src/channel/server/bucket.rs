//! Token buckets, each kept as one moment: when it is full again.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use parallax_core::Timestamp;

use super::settings::Rate;

/// Networks that are counted before those at rest are forgotten.
const CROWDED: usize = 100_000;

/// One bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    /// Takes one; `Err` says when the next one is there.
    pub(super) fn take(&mut self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let full_at = self.full_at.max(now).plus(rate.every);
        let holds = rate.every.saturating_mul(rate.burst);
        let behind = full_at.since(now);
        if behind > holds {
            return Err(behind - holds);
        }
        self.full_at = full_at;
        Ok(())
    }

    /// How long until one is there, without taking it.
    pub(super) fn wait(mut self, rate: Rate, now: Timestamp) -> Duration {
        self.take(rate, now).err().unwrap_or_default()
    }

    pub(super) fn is_full(self, now: Timestamp) -> bool {
        self.full_at <= now
    }
}

/// One bucket for each of many.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: Rate,
    taken: HashMap<K, Bucket>,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, taken: HashMap::new() }
    }

    /// Takes one of this one's.
    pub(super) fn take(&mut self, key: K, now: Timestamp) -> Result<(), Duration> {
        if self.taken.len() >= CROWDED {
            self.shrink(now);
        }
        if self.taken.len() >= CROWDED {
            // Whoever owns so many networks has fresh buckets anyway; memory has a bound.
            self.taken.clear();
        }
        self.taken.entry(key).or_default().take(self.rate, now)
    }

    /// How long this one has to wait for its next.
    pub(super) fn wait(&self, key: &K, now: Timestamp) -> Duration {
        self.taken.get(key).map(|bucket| bucket.wait(self.rate, now)).unwrap_or_default()
    }

    /// Forgets the full ones.
    pub(super) fn shrink(&mut self, now: Timestamp) {
        self.taken.retain(|_, bucket| !bucket.is_full(now));
    }
}

/// What a source address is counted by: itself, or its IPv6 /64.
pub(super) fn by_address(address: IpAddr) -> IpAddr {
    cut(address, 32, 64)
}

/// What a source network is counted by: IPv4 /24, IPv6 /48.
pub(super) fn by_network(address: IpAddr) -> IpAddr {
    cut(address, 24, 48)
}

fn cut(address: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - v4).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - v6).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_one_each_time() {
        let rate = Rate { burst: 3, every: Duration::from_secs(10) };
        let start = Timestamp::from_unix_secs(1_000_000);
        let at = |secs| start.plus(Duration::from_secs(secs));
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, start), Ok(()));
        }
        assert_eq!(bucket.take(rate, start), Err(Duration::from_secs(10)));
        assert_eq!(bucket.take(rate, at(4)), Err(Duration::from_secs(6)));
        assert_eq!(bucket.take(rate, at(10)), Ok(()));
        assert_eq!(bucket.wait(rate, at(10)), Duration::from_secs(10));
        assert!(!bucket.is_full(at(39)) && bucket.is_full(at(40)));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let mut buckets = Buckets::new(Rate { burst: 1, every: Duration::from_secs(1) });
        let start = Timestamp::from_unix_secs(1_000_000);
        for key in 0..CROWDED + 10 {
            assert_eq!(buckets.take(key, start), Ok(()));
        }
        assert!(buckets.taken.len() <= CROWDED);
        buckets.shrink(start.plus(Duration::from_secs(1)));
        assert!(buckets.taken.is_empty());
    }
}
