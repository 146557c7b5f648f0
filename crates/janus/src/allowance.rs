//! How many mails an address, a network and everybody can cause.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use parallax_core::{Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};

use crate::mailbox::Mailbox;
use crate::network::SmallNetwork;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The most addresses, and the most networks, that are counted at once. Beyond it no mail goes to new ones.
const MOST_COUNTED: usize = 100_000;

/// The limits on orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Mails to one address in an hour.
    pub address_hour: u32,
    /// And in a day.
    pub address_day: u32,
    /// Orders from one IPv4 /24 or IPv6 /48 in an hour.
    pub network_hour: u32,
    /// Orders in an hour, from wherever.
    pub overall_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { address_hour: 3, address_day: 10, network_hour: 30, overall_hour: 1_000 }
    }
}

/// What an order is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Its mail goes out.
    Mail,
    /// It is answered like any other, and no mail goes out: whoever asks must not learn what others asked for.
    NoMail,
    /// It is refused: too many from this network, or from everywhere. That tells of nobody's address.
    Refused {
        /// When to come again.
        retry_after: Duration,
    },
}

/// Counts orders. Kept in memory: a restart forgives, orders themselves are kept.
#[derive(Clone, Debug)]
pub struct Allowances {
    limits: Limits,
    addresses: Windows<Addressee>,
    networks: Windows<SmallNetwork>,
    overall: VecDeque<Timestamp>,
}

/// A key that was certified for an address has an allowance of its own, or strangers could use up that of its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Addressee {
    Anybody(String),
    Owner(String, Fingerprint),
}

impl Allowances {
    /// None used yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, addresses: Windows::default(), networks: Windows::default(), overall: VecDeque::new() }
    }

    /// Counts an order from `network`, for `mailbox`. `certified` is the asking key, where that mailbox holds it already:
    /// then it has an allowance of its own, which no other limit touches. A thousand strangers who used up everything else do
    /// not shut owners out. Beyond it an owner's orders count as anybody's, and no mail goes out.
    pub fn take(
        &mut self,
        mailbox: &Mailbox,
        certified: Option<Fingerprint>,
        network: SmallNetwork,
        now: Timestamp,
    ) -> Allowed {
        let owner = certified.map(|key| Addressee::Owner(mailbox.folded(), key));
        if owner.clone().is_some_and(|owner| self.take_address(owner, now)) {
            return Allowed::Mail;
        }
        let Limits { network_hour, overall_hour, .. } = self.limits;
        forget(&mut self.overall, now, HOUR);
        if let Some(retry_after) = wait(&self.overall, overall_hour, HOUR, now) {
            return Allowed::Refused { retry_after };
        }
        let Some(used) = self.networks.of(network, HOUR, now) else { return Allowed::Refused { retry_after: HOUR } };
        if let Some(retry_after) = wait(used, network_hour, HOUR, now) {
            return Allowed::Refused { retry_after };
        }
        used.push_back(now);
        self.overall.push_back(now);
        match owner.is_none() && self.take_address(Addressee::Anybody(mailbox.folded()), now) {
            true => Allowed::Mail,
            false => Allowed::NoMail,
        }
    }

    fn take_address(&mut self, addressee: Addressee, now: Timestamp) -> bool {
        let Some(used) = self.addresses.of(addressee, DAY, now) else { return false };
        let within_hour = used.iter().filter(|at| now.since(**at) < HOUR).count();
        if within_hour >= self.limits.address_hour as usize || used.len() >= self.limits.address_day as usize {
            return false;
        }
        used.push_back(now);
        true
    }
}

/// When each of many was used.
#[derive(Clone, Debug)]
struct Windows<K>(HashMap<K, VecDeque<Timestamp>>);

impl<K> Default for Windows<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Windows<K> {
    /// What `key` used within `window`; `None` when no more can be counted.
    fn of(&mut self, key: K, window: Duration, now: Timestamp) -> Option<&mut VecDeque<Timestamp>> {
        if self.0.len() >= MOST_COUNTED && !self.0.contains_key(&key) {
            self.0.retain(|_, used| used.back().is_some_and(|last| now.since(*last) < window));
            if self.0.len() >= MOST_COUNTED {
                return None;
            }
        }
        let used = self.0.entry(key).or_default();
        forget(used, now, window);
        Some(used)
    }
}

fn forget(used: &mut VecDeque<Timestamp>, now: Timestamp, window: Duration) {
    while used.front().is_some_and(|first| now.since(*first) >= window) {
        used.pop_front();
    }
}

/// How long until one more is allowed; `None` when it is now.
fn wait(used: &VecDeque<Timestamp>, limit: u32, window: Duration, now: Timestamp) -> Option<Duration> {
    if used.len() < limit as usize {
        return None;
    }
    let first = used.front().copied().unwrap_or(now);
    Some(first.plus(window).since(now).max(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_unix_secs(1_764_000_000).plus(Duration::from_secs(secs))
    }

    fn network(text: &str) -> SmallNetwork {
        SmallNetwork::of(text.parse().unwrap())
    }

    fn key(byte: u8) -> Fingerprint {
        Fingerprint::from_bytes([byte; 32])
    }

    #[test]
    fn an_address_gets_three_an_hour_and_ten_a_day_from_wherever() {
        let mut allowances = Allowances::new(Limits::default());
        let mailbox: Mailbox = "ann@example.com".parse().unwrap();
        let mut mails = Vec::new();
        for minute in 0..24 * 60 {
            let network = network(&format!("10.{}.{}.1", minute / 250, minute % 250));
            if allowances.take(&mailbox, None, network, at(minute * 60)) == Allowed::Mail {
                mails.push(minute);
            }
        }
        assert_eq!(mails, [0, 1, 2, 60, 61, 62, 120, 121, 122, 180]);
        let other = "ann+spam@example.com".parse().unwrap();
        assert_eq!(allowances.take(&other, None, network("10.9.9.9"), at(86_399)), Allowed::NoMail);
        assert_eq!(allowances.take(&mailbox, None, network("10.9.9.9"), at(86_400)), Allowed::Mail);
    }

    #[test]
    fn strangers_do_not_use_up_an_owners_allowance() {
        let mut allowances = Allowances::new(Limits::default());
        let mailbox: Mailbox = "ann@example.com".parse().unwrap();
        for _ in 0..20 {
            allowances.take(&mailbox, None, network("192.0.2.1"), at(0));
        }
        assert_eq!(allowances.take(&mailbox, None, network("198.51.100.1"), at(1)), Allowed::NoMail);
        assert_eq!(allowances.take(&mailbox, Some(key(1)), network("198.51.100.1"), at(1)), Allowed::Mail);
        // Nor do they by using up what everybody has together.
        let limits = Limits { overall_hour: 1, network_hour: 1, ..Limits::default() };
        let mut full = Allowances::new(limits);
        full.take(&"bob@example.com".parse().unwrap(), None, network("192.0.2.1"), at(0));
        assert!(matches!(full.take(&mailbox, None, network("192.0.2.1"), at(1)), Allowed::Refused { .. }));
        for _ in 0..3 {
            assert_eq!(full.take(&mailbox, Some(key(1)), network("192.0.2.1"), at(1)), Allowed::Mail);
        }
        // Nor does an owner fill the disk.
        let beyond = full.take(&mailbox, Some(key(1)), network("192.0.2.1"), at(1));
        assert!(matches!(beyond, Allowed::Refused { .. }), "{beyond:?}");
        // It is not without bounds either.
        let more = (0..20)
            .filter(|_| allowances.take(&mailbox, Some(key(1)), network("198.51.100.1"), at(2)) == Allowed::Mail);
        assert_eq!(more.count(), 2);
    }

    #[test]
    fn a_network_and_everybody_are_refused_with_a_time_to_wait() {
        let limits = Limits { network_hour: 2, overall_hour: 3, ..Limits::default() };
        let mut allowances = Allowances::new(limits);
        let mut take = |n: u8, from: &str, secs| {
            allowances.take(&format!("a{n}@example.com").parse().unwrap(), None, network(from), at(secs))
        };
        assert_eq!(take(1, "192.0.2.1", 0), Allowed::Mail);
        assert_eq!(take(2, "192.0.2.200", 10), Allowed::Mail);
        assert_eq!(take(3, "192.0.2.3", 20), Allowed::Refused { retry_after: Duration::from_secs(3580) });
        assert_eq!(take(4, "198.51.100.3", 30), Allowed::Mail);
        assert_eq!(take(5, "203.0.113.3", 40), Allowed::Refused { retry_after: Duration::from_secs(3560) });
        assert_eq!(take(6, "192.0.2.3", 3600), Allowed::Mail);
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let limits = Limits { network_hour: u32::MAX, overall_hour: u32::MAX, ..Limits::default() };
        let mut allowances = Allowances::new(limits);
        for number in 0..=MOST_COUNTED {
            let mailbox = format!("a{number}@example.com").parse().unwrap();
            let allowed = allowances.take(&mailbox, None, network("192.0.2.1"), at(0));
            assert_eq!(allowed, if number < MOST_COUNTED { Allowed::Mail } else { Allowed::NoMail });
        }
        let later = allowances.take(&"b@example.com".parse().unwrap(), None, network("192.0.2.1"), at(86_400));
        assert_eq!((later, allowances.addresses.0.len()), (Allowed::Mail, 1));
    }
}
