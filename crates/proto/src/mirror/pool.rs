//! What quizzes ask for: names that at least k different clients asked for, some time ago, mixed with popular ones. A name
//! asked for by fewer is never replayed, so that no quiz tells what one person visits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parallax_core::{ServiceId, Timestamp};
use rand_core::Rng;

use super::random::below;
use super::settings::Settings;

/// Names that are counted at once; the oldest goes.
const MOST_COUNTED: usize = 4_096;

/// Names that are replayed.
const MOST_NAMES: usize = 4_096;

/// A service to ask for, and whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) service: Arc<ServiceId>,
    pub(super) domain: Domain,
}

/// Which registrable domain: one counts once a day for a mirror, or its owner could frame mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Domain(pub(super) u32);

impl Domain {
    /// FNV-1a, folded: who makes two domains meet only makes his own count less.
    pub(super) fn of(name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
        });
        Self((hash ^ (hash >> 32)) as u32)
    }
}

impl Name {
    pub(super) fn new(service: ServiceId, domain: &str) -> Self {
        Self { service: Arc::new(service), domain: Domain::of(domain) }
    }
}

/// A name that everybody asks for, to mix with those of clients.
#[derive(Clone, Debug)]
pub struct Popular {
    /// What to ask for.
    pub service: ServiceId,
    /// Its registrable domain.
    pub domain: String,
}

/// Many of them; a copy shares them.
#[derive(Clone, Debug, Default)]
pub struct PopularNames(Arc<[Arc<Name>]>);

impl FromIterator<Popular> for PopularNames {
    fn from_iter<I: IntoIterator<Item = Popular>>(names: I) -> Self {
        Self(names.into_iter().map(|name| Arc::new(Name::new(name.service, &name.domain))).collect())
    }
}

#[derive(Debug, Default)]
pub(super) struct Pool {
    popular: PopularNames,
    /// Counted, not yet asked for by enough; the clients stand under a key that nobody keeps.
    counted: BTreeMap<ServiceId, BTreeSet<u64>>,
    counted_in_order: VecDeque<ServiceId>,
    /// Asked for by enough, and when they may be replayed.
    asked: VecDeque<(Timestamp, Arc<Name>)>,
}

impl Pool {
    pub(super) fn new(popular: PopularNames) -> Self {
        Self { popular, ..Self::default() }
    }

    /// Counts a client; true when the name has just become one that may be replayed.
    pub(super) fn count(
        &mut self,
        service: ServiceId,
        domain: &str,
        client: u64,
        now: Timestamp,
        settings: &Settings,
    ) -> bool {
        if self.asked.iter().any(|(_, name)| *name.service == service) {
            return false;
        }
        let clients = self.counted.entry(service.clone()).or_default();
        if clients.is_empty() {
            self.counted_in_order.push_back(service.clone());
        }
        clients.insert(client);
        if clients.len() < settings.clients_a_name {
            self.forget_the_oldest();
            return false;
        }
        self.counted.remove(&service);
        self.counted_in_order.retain(|counted| *counted != service);
        self.asked.push_back((now.plus(settings.name_delay), Arc::new(Name::new(service, domain))));
        if self.asked.len() > MOST_NAMES {
            self.asked.pop_front();
        }
        true
    }

    fn forget_the_oldest(&mut self) {
        if self.counted.len() > MOST_COUNTED
            && let Some(oldest) = self.counted_in_order.pop_front()
        {
            self.counted.remove(&oldest);
        }
    }

    /// A name to ask for: from clients and from the popular ones by turns of a coin.
    pub(super) fn pick(&self, now: Timestamp, rng: &mut dyn Rng) -> Option<Arc<Name>> {
        // They stand in the order of their delay.
        let ready = self.asked.partition_point(|(from, _)| *from <= now);
        let PopularNames(popular) = &self.popular;
        if !popular.is_empty() && (ready == 0 || rng.next_u32() & 1 == 0) {
            return popular.get(below(rng, popular.len())).cloned();
        }
        // Nothing ready, nothing picked: a name before its time would tell who has just asked.
        let (_, name) = self.asked.get(below(rng, ready)).filter(|_| ready > 0)?;
        Some(Arc::clone(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::random::tests::Counter;

    fn service(name: &str) -> ServiceId {
        name.parse().unwrap()
    }

    #[test]
    fn row_14_a_name_is_replayed_only_after_five_clients_and_a_delay() {
        let settings = Settings::default();
        let now = Timestamp::from_unix_secs(1_000);
        let mut pool = Pool::default();
        let mut rng = Counter::default();
        for client in [1, 2, 3, 4, 4, 4, 3] {
            assert!(!pool.count(service("example.com"), "example.com", client, now, &settings));
        }
        assert!(pool.pick(now.plus(settings.gone_after), &mut rng).is_none(), "four clients are too few");
        assert!(pool.count(service("example.com"), "example.com", 5, now, &settings));
        assert!(pool.pick(now, &mut rng).is_none(), "too soon");
        let name = pool.pick(now.plus(settings.name_delay), &mut rng).unwrap();
        assert_eq!(name.service.to_string(), "tls://example.com:443");
        assert!(!pool.count(service("example.com"), "example.com", 6, now, &settings));
    }

    #[test]
    fn names_that_one_client_floods_are_bounded() {
        let settings = Settings::default();
        let mut pool = Pool::default();
        for number in 0..3 * MOST_COUNTED {
            let name = format!("n{number}.example");
            pool.count(service(&name), &name, 1, Timestamp::from_unix_secs(0), &settings);
        }
        assert_eq!(pool.counted.len(), MOST_COUNTED);
        assert_eq!(pool.counted_in_order.len(), MOST_COUNTED);
    }

    #[test]
    fn row_14_popular_names_are_mixed_in() {
        let settings = Settings::default();
        let now = Timestamp::from_unix_secs(0);
        let mut pool = Pool::new(
            [Popular { service: service("popular.example"), domain: "popular.example".into() }].into_iter().collect(),
        );
        for client in 0..5 {
            pool.count(service("example.com"), "example.com", client, now, &settings);
        }
        let mut rng = Counter::default();
        let later = now.plus(settings.name_delay);
        let picked: BTreeSet<String> =
            (0..40).filter_map(|_| Some(pool.pick(later, &mut rng)?.service.to_string())).collect();
        assert_eq!(picked.len(), 2);
    }
}
