//! How much one network may ask for, and how much one network may be asked.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::settings::{NodeLimits, Rate};

/// Keys remembered by one limiter before those at rest are dropped at once.
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

/// The network that a target is counted by: the IPv4 address itself, an IPv6 /64.
pub fn target_network(address: IpAddr) -> IpAddr {
    network(address, 32, 64)
}

/// One rate for each network.
type PerNetwork = Keyed<IpAddr>;

/// One rate for each key.
struct Keyed<K: Clone + Eq + Hash> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
}

impl<K: Clone + Eq + Hash> Keyed<K> {
    fn new(rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// Counts one; `Err` says how long to wait.
    fn take(&self, key: K) -> Result<(), Duration> {
        if self.limiter.len() > CROWDED {
            self.shrink();
        }
        self.limiter.check_key(&key).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Forgets the keys that are at rest.
    fn shrink(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// The rates of a node.
pub(crate) struct RateLimits {
    sources: PerNetwork,
    connections: PerNetwork,
    targets: PerNetwork,
    target_networks: PerNetwork,
    spellings: PerNetwork,
    domains: Keyed<String>,
}

impl RateLimits {
    pub(crate) fn new(limits: &NodeLimits) -> Self {
        Self {
            sources: PerNetwork::new(limits.questions_per_source_network),
            connections: PerNetwork::new(limits.questions_per_source_network),
            targets: PerNetwork::new(limits.looks_per_target),
            target_networks: PerNetwork::new(limits.looks_per_target_network),
            spellings: PerNetwork::new(limits.legacy_spellings_per_source_network),
            domains: Keyed::new(limits.dns_per_domain),
        }
    }

    /// Counts a request; `Err` says how long to wait.
    pub(crate) fn admit_source(&self, source: IpAddr) -> Result<(), Duration> {
        self.sources.take(source_network(source))
    }

    /// Counts a connection that a source opens; `Err` says how long to wait.
    pub(crate) fn admit_connection(&self, source: IpAddr) -> Result<(), Duration> {
        self.connections.take(source_network(source))
    }

    /// Counts a Perspectives signature for an unusual spelling; `Err` says how long to wait.
    pub(crate) fn admit_spelling(&self, source: IpAddr) -> Result<(), Duration> {
        self.spellings.take(source_network(source))
    }

    /// Counts a connection to a target; `Err` says how long to wait.
    pub(crate) fn admit_target(&self, target: IpAddr) -> Result<(), Duration> {
        self.targets.take(target_network(target))?;
        self.target_networks.take(network(target, 24, 48))
    }

    /// Counts a DNS question about a registrable domain; `Err` says how long to wait.
    pub(crate) fn admit_domain(&self, domain: &str) -> Result<(), Duration> {
        self.domains.take(domain.to_owned())
    }

    /// Forgets networks and domains at rest; to be called every few seconds.
    pub(crate) fn shrink(&self) {
        let all = [&self.sources, &self.connections, &self.targets, &self.target_networks, &self.spellings];
        all.into_iter().for_each(PerNetwork::shrink);
        self.domains.shrink();
    }
}

/// Places for things that take a while: so many in all, and so many for one source network, that nobody can take them
/// all.
pub(crate) struct Places {
    total: usize,
    per_network: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    networks: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    All,
    /// This source network has its share.
    OfNetwork,
}

/// One place, until it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    network: Option<IpAddr>,
}

impl Places {
    pub(crate) fn new(total: usize, per_network: usize) -> Self {
        Self { total, per_network, taken: Mutex::default() }
    }

    /// Takes a place for a source; `None` is this process itself, which has no share of its own.
    pub(crate) fn take(self: &Arc<Self>, source: Option<IpAddr>) -> Result<Place, Full> {
        let network = source.map(source_network);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.total >= self.total {
            return Err(Full::All);
        }
        if let Some(network) = network {
            let of_network = taken.networks.entry(network).or_default();
            if *of_network >= self.per_network {
                return Err(Full::OfNetwork);
            }
            *of_network += 1;
        }
        taken.total += 1;
        Ok(Place { places: Arc::clone(self), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(1);
        let Some(network) = self.network else { return };
        if let Some(count) = taken.networks.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.networks.remove(&network);
            }
        }
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
    fn places_are_counted_by_network_and_in_all() {
        let places = Arc::new(Places::new(4, 2));
        let take = |source: &str| places.take(Some(ip(source)));
        let first = take("192.0.2.1").unwrap();
        let second = take("192.0.2.2").unwrap();
        assert_eq!(take("192.0.2.3").err(), Some(Full::OfNetwork));
        let third = take("198.51.100.1").unwrap();
        let own = places.take(None).unwrap();
        assert_eq!(take("203.0.113.1").err(), Some(Full::All));
        assert_eq!(places.take(None).err(), Some(Full::All));
        drop(first);
        let again = take("192.0.2.3").unwrap();
        drop((second, third, own, again));
        let taken = places.taken.lock().unwrap();
        assert!(taken.total == 0 && taken.networks.is_empty(), "nothing is remembered of those who left");
    }

    #[test]
    fn a_share_of_nothing_leaves_no_trace() {
        let places = Arc::new(Places::new(4, 0));
        assert_eq!(places.take(Some(ip("192.0.2.1"))).err(), Some(Full::OfNetwork));
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
