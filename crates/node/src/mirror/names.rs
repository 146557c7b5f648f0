//! Which names clients ask for: the pool of quizzes. In memory only, and never who asked: a client stands there as a hash
//! of its network under a key that changes daily and is kept nowhere.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use parallax_core::{DnsName, ServiceId, Timestamp};

use crate::limits::source_network;

/// Askings that are remembered: the same network asking for the same name again tells nothing new.
const REMEMBERED: u64 = 16_384;

pub(super) struct Names {
    day: Duration,
    key: Mutex<(i64, RandomState)>,
    counted: Cache<u64, ()>,
}

impl Names {
    pub(super) fn new(day: Duration) -> Self {
        let counted = Cache::builder().max_capacity(REMEMBERED).time_to_live(Duration::from_secs(600)).build();
        Self { day, key: Mutex::new((i64::MIN, RandomState::new())), counted }
    }

    /// What the network of an asker is called today; `None` when it asked for this service just now.
    pub(super) fn client(&self, service: &ServiceId, asker: IpAddr, now: Timestamp) -> Option<u64> {
        let key = self.key_of(now);
        let client = key.hash_one(source_network(asker));
        let asking = key.hash_one((service, client));
        if self.counted.contains_key(&asking) {
            return None;
        }
        self.counted.insert(asking, ());
        Some(client)
    }

    fn key_of(&self, now: Timestamp) -> RandomState {
        let day = i64::try_from(self.day.as_millis()).unwrap_or(i64::MAX).max(1);
        let today = now.unix_ms().div_euclid(day);
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if key.0 != today {
            *key = (today, RandomState::new());
        }
        key.1.clone()
    }
}

/// The registrable domain of a service that has a name.
pub(super) fn domain_of(service: &ServiceId) -> Option<String> {
    let name: DnsName = service.host().name()?.parse().ok()?;
    Some(parallax_probe::registrable(&name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_14_a_network_is_one_client_a_day_and_unknown_the_day_after() {
        let names = Names::new(Duration::from_secs(86_400));
        let (one, two): (ServiceId, ServiceId) = ("example.com".parse().unwrap(), "example.org".parse().unwrap());
        let now = Timestamp::from_unix_secs(1_800_000_000);
        let ask = |service, from: &str, now| names.client(service, from.parse().unwrap(), now);
        let client = ask(&one, "192.0.2.7", now).unwrap();
        assert_eq!(ask(&one, "192.0.2.99", now), None, "the same network, the same name");
        assert_eq!(ask(&two, "192.0.2.99", now), Some(client), "the same network, another name");
        assert_ne!(ask(&one, "198.51.100.7", now), Some(client));
        let later = now.plus(Duration::from_secs(86_400));
        assert_ne!(ask(&one, "192.0.2.7", later), Some(client), "nobody can tell who it was yesterday");
    }

    #[test]
    fn domains_are_registrable_ones() {
        assert_eq!(domain_of(&"www.example.co.uk".parse().unwrap()).as_deref(), Some("example.co.uk"));
        assert_eq!(domain_of(&"192.0.2.7".parse().unwrap()), None);
    }
}
