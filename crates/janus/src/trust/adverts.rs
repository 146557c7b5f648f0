//! Whose advertisement still counts.

use std::collections::HashMap;
use std::time::Duration;

use parallax_core::Timestamp;

use super::graph::UserId;

/// How long an advertisement counts: an attached peer's is renewed while it stays.
pub const ADVERT_LIFE: Duration = Duration::from_secs(24 * 3600);

/// When each peer last advertised itself.
#[derive(Clone, Debug, Default)]
pub struct Adverts(HashMap<UserId, Timestamp>);

impl Adverts {
    /// A peer attached, or is still there.
    pub fn announce(&mut self, peer: UserId, now: Timestamp) {
        self.0.insert(peer, now);
    }

    /// A peer is to be seen no more.
    pub fn withdraw(&mut self, peer: UserId) {
        self.0.remove(&peer);
    }

    /// Whether a peer advertised itself within a day.
    pub fn is_current(&self, peer: UserId, now: Timestamp) -> bool {
        self.0.get(&peer).is_some_and(|at| now.since(*at) < ADVERT_LIFE)
    }

    /// Forgets what is over; worth doing once an hour.
    pub fn forget_old(&mut self, now: Timestamp) {
        self.0.retain(|_, at| now.since(*at) < ADVERT_LIFE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertisement_counts_for_a_day() {
        let start = Timestamp::from_unix_secs(1_764_000_000);
        let mut adverts = Adverts::default();
        let peer = UserId::from_index(7);
        assert!(!adverts.is_current(peer, start));
        adverts.announce(peer, start);
        let day = start.plus(ADVERT_LIFE);
        assert!(adverts.is_current(peer, day.minus(Duration::from_millis(1))) && !adverts.is_current(peer, day));
        adverts.announce(peer, day);
        adverts.forget_old(day.plus(Duration::from_secs(1)));
        assert!(adverts.is_current(peer, day));
        adverts.withdraw(peer);
        assert!(!adverts.is_current(peer, day));
        adverts.announce(peer, start);
        adverts.forget_old(day);
        assert!(adverts.0.is_empty());
    }
}
