//! How often one address may be connected to, over all names that lead there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parallax_node::{Rate, target_network};
use tokio::time::Instant;

/// Networks remembered before those at rest are forgotten.
const CROWDED: usize = 100_000;

tokio::task_local! {
    /// What became of the connections of the look that runs here.
    static TRIP: RefCell<Trip>;
}

/// The connections of one look.
#[derive(Debug, Default)]
struct Trip {
    /// A place was kept for it at this network.
    kept: Option<IpAddr>,
    /// It was let in here; a second connection of the same look is not turned away.
    admitted: Option<IpAddr>,
    /// There was no room here.
    refused: Option<IpAddr>,
}

/// A place at a network at a time to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    network: IpAddr,
    /// When it may be taken.
    pub(super) from: Instant,
}

/// The budgets of all networks that were looked at lately (a generic cell rate).
pub(super) struct Budget {
    gap: Duration,
    burst: Duration,
    /// When the places that were taken at a network will all have been paid for.
    paid: Mutex<HashMap<IpAddr, Instant>>,
}

impl Budget {
    pub(super) fn new(rate: Rate) -> Self {
        let gap = Duration::from_secs(1) / rate.per_second.get();
        Self { gap, burst: gap * (rate.burst.get() - 1), paid: Mutex::default() }
    }

    /// Whether the look that runs in this task may connect; asked before each connection.
    pub(super) fn admits(&self, target: SocketAddr) -> bool {
        let network = target_network(target.ip());
        TRIP.try_with(|trip| self.admits_on(&mut trip.borrow_mut(), network, Instant::now())).unwrap_or(false)
    }

    fn admits_on(&self, trip: &mut Trip, network: IpAddr, now: Instant) -> bool {
        let again = trip.admitted == Some(network);
        let admitted = if again {
            self.reserve(network, now);
            true
        } else {
            trip.kept.take_if(|kept| *kept == network).is_some() || self.take(network, now)
        };
        if admitted {
            trip.admitted = Some(network);
        } else {
            trip.refused = trip.refused.or(Some(network));
        }
        admitted
    }

    /// Runs a look with the place that was kept for it, if any. Where an address had no room, another may have answered;
    /// else the second value is the place that is kept for the next try.
    pub(super) async fn look<T>(
        &self,
        place: Option<Place>,
        look: impl Future<Output = T>,
        is_met: impl FnOnce(&T) -> bool,
    ) -> (T, Option<Place>) {
        let trip = Trip { kept: place.map(|place| place.network), ..Trip::default() };
        TRIP.scope(RefCell::new(trip), async {
            let looked = look.await;
            let refused = TRIP.with(|trip| trip.borrow().refused).filter(|_| !is_met(&looked));
            let place = refused.map(|network| Place { network, from: self.reserve(network, Instant::now()) });
            (looked, place)
        })
        .await
    }

    /// Takes a place that is free now.
    fn take(&self, network: IpAddr, now: Instant) -> bool {
        let mut paid = self.lock();
        if paid.len() > CROWDED {
            paid.retain(|_, until| *until > now);
        }
        let until = paid.get(&network).copied().unwrap_or(now).max(now);
        let free = until <= now + self.burst;
        if free {
            paid.insert(network, until + self.gap);
        }
        free
    }

    /// Takes the next place, and says when it is.
    fn reserve(&self, network: IpAddr, now: Instant) -> Instant {
        let mut paid = self.lock();
        let until = paid.get(&network).copied().unwrap_or(now).max(now);
        paid.insert(network, until + self.gap);
        until.checked_sub(self.burst).unwrap_or(now).max(now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.paid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn budget() -> Budget {
        Budget::new(Rate::new(1, 5))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn five_at_once_then_one_a_second_and_each_address_by_itself() {
        let (budget, now) = (budget(), Instant::now());
        let at = |secs| now + Duration::from_secs(secs);
        let taken = |network: &str, now| (0..9).filter(|_| budget.take(ip(network), now)).count();
        assert_eq!((taken("192.0.2.7", now), taken("192.0.2.8", now)), (5, 5));
        assert_eq!((taken("192.0.2.7", at(2)), taken("192.0.2.7", at(3))), (2, 1));
        assert_eq!(taken("192.0.2.7", at(1000)), 5, "rest saves up no more than the burst");
    }

    #[test]
    fn kept_places_are_a_second_apart_and_nobody_else_gets_them() {
        let (budget, now) = (budget(), Instant::now());
        let busy = ip("192.0.2.7");
        (0..5).for_each(|_| assert!(budget.take(busy, now)));
        let places: Vec<_> = (0..3).map(|_| budget.reserve(busy, now).duration_since(now).as_secs()).collect();
        assert_eq!(places, [1, 2, 3]);
        assert!(!budget.take(busy, now + Duration::from_secs(3)));
        assert!(budget.take(busy, now + Duration::from_secs(4)));
    }

    #[test]
    fn a_kept_place_is_used_once_and_a_second_connection_is_paid_for() {
        let (budget, now) = (budget(), Instant::now());
        let (busy, other) = (ip("192.0.2.7"), ip("192.0.2.8"));
        (0..5).for_each(|_| assert!(budget.take(busy, now)));
        let mut first = Trip::default();
        assert!(!budget.admits_on(&mut first, busy, now) && first.refused == Some(busy));
        let kept = || Trip { kept: Some(busy), ..Trip::default() };
        let mut again = kept();
        assert!(budget.admits_on(&mut again, other, now), "DNS leads elsewhere by now: that is counted there");
        assert!(budget.admits_on(&mut again, busy, now) && again.kept.is_none());
        let mut twice = kept();
        assert!(budget.admits_on(&mut twice, busy, now) && budget.admits_on(&mut twice, busy, now));
        // Five and that second one: a second of debt more than five alone leave.
        assert!(!budget.take(busy, now + Duration::from_secs(1)));
        assert!(budget.take(busy, now + Duration::from_secs(2)));
    }

    #[tokio::test]
    async fn a_place_is_kept_where_nothing_was_met_and_the_same_64_is_one_address() {
        let budget = Budget::new(Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN });
        let connect = async |host: &str| budget.admits(SocketAddr::new(ip(host), 443));
        assert_eq!(budget.look(None, connect("2001:db8::1"), |met| *met).await, (true, None));
        // For an hour, whatever the machine is busy with.
        (0..3600).for_each(|_| _ = budget.reserve(target_network(ip("2001:db8::")), Instant::now()));
        let (met, place) = budget.look(None, connect("2001:db8::2"), |met| *met).await;
        let place = place.unwrap();
        assert!(!met && place.from > Instant::now());
        assert_eq!(
            budget.look(None, connect("2001:db8::3"), |_| true).await,
            (false, None),
            "another address answered"
        );
        assert_eq!(budget.look(Some(place), connect("2001:db8::2"), |met| *met).await, (true, None));
        assert!(!connect("192.0.2.9").await, "outside of a look nobody is let in");
    }
}
