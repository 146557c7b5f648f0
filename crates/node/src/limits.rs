//! How much one network may ask for, and how much one network may be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::settings::{NodeLimits, Rate};

/// Networks remembered by one limiter before those at rest are dropped at once.
const CROWDED: usize = 100_000;

/// An address cut down to a network: `v4` and `v6` are prefix lengths. A mapped address counts as the IPv4 in it.
pub(crate) fn network(address: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(v4)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(v6)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// The network that a source is counted by: IPv4 /24, IPv6 /48.
pub(crate) fn source_network(address: IpAddr) -> IpAddr {
    network(address, 24, 48)
}

/// One rate for each network.
struct PerNetwork {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl PerNetwork {
    fn new(rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// Counts one; `Err` says how long to wait.
    fn take(&self, network: IpAddr) -> Result<(), Duration> {
        if self.limiter.len() > CROWDED {
            self.shrink();
        }
        self.limiter.check_key(&network).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Forgets the networks that are at rest.
    fn shrink(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// The rates of a node.
pub(crate) struct RateLimits {
    sources: PerNetwork,
    targets: PerNetwork,
    target_networks: PerNetwork,
}

impl RateLimits {
    pub(crate) fn new(limits: &NodeLimits) -> Self {
        Self {
            sources: PerNetwork::new(limits.questions_per_source_network),
            targets: PerNetwork::new(limits.looks_per_target),
            target_networks: PerNetwork::new(limits.looks_per_target_network),
        }
    }

    /// Counts a request; `Err` says how long to wait.
    pub(crate) fn admit_source(&self, source: IpAddr) -> Result<(), Duration> {
        self.sources.take(source_network(source))
    }

    /// Counts a connection to a target; `Err` says how long to wait.
    pub(crate) fn admit_target(&self, target: IpAddr) -> Result<(), Duration> {
        self.targets.take(network(target, 32, 64))?;
        self.target_networks.take(network(target, 24, 48))
    }

    /// Forgets networks at rest; to be called every few seconds.
    pub(crate) fn shrink(&self) {
        [&self.sources, &self.targets, &self.target_networks].into_iter().for_each(PerNetwork::shrink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_cut_by_prefix() {
        for (address, wanted) in [
            ("192.0.2.7", "192.0.2.0"),
            ("::ffff:192.0.2.7", "192.0.2.0"),
            ("2001:db8:1:2::3", "2001:db8:1::"),
            ("::1", "::"),
        ] {
            assert_eq!(source_network(ip(address)), ip(wanted), "{address}");
        }
        assert_eq!(network(ip("192.0.2.7"), 32, 64), ip("192.0.2.7"));
        assert_eq!(network(ip("192.0.2.7"), 0, 0), ip("0.0.0.0"));
        assert_eq!(network(ip("2001:db8:1:2:3::4"), 32, 64), ip("2001:db8:1:2::"));
    }

    #[test]
    fn one_address_has_its_budget_however_many_names_lead_there() {
        let limits = RateLimits::new(&NodeLimits::default());
        let admitted = (0..100).filter(|_| limits.admit_target(ip("192.0.2.7")).is_ok()).count();
        assert!((5..=8).contains(&admitted), "{admitted}");
        assert!(limits.admit_target(ip("192.0.2.8")).is_ok());
        let wait = limits.admit_target(ip("::ffff:192.0.2.7")).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
    }

    #[test]
    fn a_network_has_its_budget_however_many_addresses_it_has() {
        let limits = RateLimits::new(&NodeLimits::default());
        let admitted = (0..=255).filter(|last| limits.admit_target(ip(&format!("192.0.2.{last}"))).is_ok()).count();
        assert!((50..=80).contains(&admitted), "{admitted}");
        let sources = (0..1000).filter(|n| limits.admit_source(ip(&format!("2001:db8:1:{n:x}::1"))).is_ok()).count();
        assert!((200..=400).contains(&sources), "{sources}");
    }

    #[test]
    fn networks_at_rest_are_forgotten() {
        let limits = RateLimits::new(&NodeLimits {
            questions_per_source_network: Rate::new(1_000_000, 1),
            ..Default::default()
        });
        for n in 0..1000 {
            let _ = limits.admit_source(ip(&format!("10.{}.{}.1", n / 256, n % 256)));
        }
        std::thread::yield_now();
        limits.shrink();
        assert!(limits.sources.limiter.len() < 1000);
    }
}
