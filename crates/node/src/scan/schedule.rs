//! Which service is looked at next, and when: pure, under whatever clock the caller has.
//!
//! A service is due one interval after it was last seen or tried, less a jitter of up to a tenth, so that services that
//! were added together drift apart. Looks begin at an even pace that visits everything once in nine tenths of the
//! interval: after a long rest there is no burst, and there is room to catch up. Of those that are due, the one that was
//! neither seen nor tried for the longest time goes first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use parallax_core::{ServiceId, Timestamp};

/// Services that wait to be looked at, at most: those that waited longest; others are offered again later.
pub(super) const MOST_WAITING: usize = 20_000;

/// Failed or refused tries remembered at most. Beyond that, failing services are tried more often than they should.
const MOST_TRIES: usize = 1_000_000;

/// The state between two looks.
pub(super) struct Schedule {
    interval: Duration,
    /// Where the jitter comes from.
    seed: u64,
    /// By last sight or try, the oldest first.
    waiting: BTreeSet<(Option<Timestamp>, ServiceId)>,
    /// When a service was last tried; a sight of it is in the store, a failure is not.
    tried: HashMap<u64, Timestamp>,
    /// Services of the newest complete sweep, and of the one under way.
    known: u64,
    counted: u64,
    /// No look begins before this.
    next: Timestamp,
    drawn: u64,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look at this service.
    Look(ServiceId),
    /// Nothing before this moment.
    Wait(Timestamp),
    /// Nothing is due as far as is known.
    Idle,
}

impl Schedule {
    /// A schedule that visits everything once in `interval`.
    pub(super) fn new(interval: Duration, seed: u64, now: Timestamp) -> Self {
        let (waiting, tried) = (BTreeSet::new(), HashMap::new());
        Self { interval, seed, waiting, tried, known: 0, counted: 0, next: now, drawn: 0 }
    }

    /// Begins a sweep: every known service is offered, then the sweep ends.
    pub(super) fn begin_sweep(&mut self) {
        self.counted = 0;
        self.waiting.clear();
    }

    /// Offers a service with when the store has last seen it; it waits if it is due.
    pub(super) fn offer(&mut self, service: ServiceId, last_seen: Option<Timestamp>, now: Timestamp) {
        self.counted += 1;
        // A sight in the future, from a clock that ran ahead, says nothing of when it really was.
        let seen = last_seen.filter(|seen| *seen <= now);
        let last = seen.max(self.tried.get(&key(&service)).copied());
        if last.is_some_and(|last| now < self.due(&service, last)) {
            return;
        }
        self.waiting.insert((last, service));
        if self.waiting.len() > MOST_WAITING {
            self.waiting.pop_last();
        }
    }

    /// Ends a sweep. The first one spreads what is due from a random moment on.
    pub(super) fn end_sweep(&mut self, now: Timestamp) {
        if self.known == 0 && self.counted > 0 {
            self.known = self.counted;
            self.next = self.next.max(now).plus(self.gap() / 2);
        }
        self.known = self.counted;
        let interval = self.interval;
        self.tried.retain(|_, tried| now.since(*tried) < interval);
    }

    /// What to do now; a look that is given out counts as tried.
    pub(super) fn next(&mut self, now: Timestamp) -> Next {
        // After a step of the clock a wait may be longer than anything this schedule would ask for.
        let furthest = now.plus(self.interval * 2);
        self.next = self.next.min(furthest);
        if self.waiting.is_empty() {
            return Next::Idle;
        }
        if now < self.next {
            return Next::Wait(self.next);
        }
        let Some((_, service)) = self.waiting.pop_first() else { return Next::Idle };
        self.next = now.plus(self.gap());
        if self.tried.len() < MOST_TRIES {
            self.tried.insert(key(&service), now);
        }
        Next::Look(service)
    }

    /// A look that was given out could not be tried: the service stays as due as it was.
    pub(super) fn not_tried(&mut self, service: &ServiceId) {
        self.tried.remove(&key(service));
    }

    /// Services in the newest complete sweep.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// Services that are due and wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn due(&self, service: &ServiceId, last: Timestamp) -> Timestamp {
        let tenth = self.interval / 10;
        let less = tenth.mul_f64(self.share(&(key(service), last.unix_ms())));
        last.plus(self.interval.saturating_sub(less))
    }

    /// The time to the next look: half to one and a half of the even pace.
    fn gap(&mut self) -> Duration {
        self.drawn += 1;
        let share = self.share(&Reverse(self.drawn));
        let looks = u32::try_from(self.known.max(1)).unwrap_or(u32::MAX);
        (self.interval / looks).mul_f64(0.9 * (0.5 + share))
    }

    /// A number from 0 to 1 that depends on the seed and on `what`.
    fn share(&self, what: &impl Hash) -> f64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, what).hash(&mut hasher);
        (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn key(service: &ServiceId) -> u64 {
    let mut hasher = DefaultHasher::new();
    service.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HOUR: u64 = 3600;
    const INTERVAL: Duration = Duration::from_secs(12 * HOUR);

    fn start() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    fn after(secs: u64) -> Timestamp {
        start().plus(Duration::from_secs(secs))
    }

    fn service(number: usize) -> ServiceId {
        format!("host-{number}.example").parse().unwrap()
    }

    /// A store in which a look succeeds unless its number is among the failing.
    struct World {
        seen: BTreeMap<ServiceId, Option<Timestamp>>,
        failing: Vec<ServiceId>,
        looks: Vec<(Timestamp, ServiceId)>,
        now: Timestamp,
    }

    impl World {
        fn new(services: usize, seen: Option<Timestamp>) -> Self {
            let seen = (0..services).map(|number| (service(number), seen)).collect();
            Self { seen, failing: Vec::new(), looks: Vec::new(), now: start() }
        }

        /// Runs for a while: a sweep every quarter of an hour, as the driver does.
        fn run(&mut self, schedule: &mut Schedule, hours: u64) {
            let end = self.now.plus(Duration::from_secs(hours * HOUR));
            while self.now < end {
                schedule.begin_sweep();
                self.seen.iter().for_each(|(service, seen)| schedule.offer(service.clone(), *seen, self.now));
                schedule.end_sweep(self.now);
                let until = self.now.plus(Duration::from_secs(900));
                while self.now < until {
                    match schedule.next(self.now) {
                        Next::Look(service) => {
                            self.looks.push((self.now, service.clone()));
                            if !self.failing.contains(&service) {
                                self.seen.insert(service, Some(self.now));
                            }
                        }
                        Next::Wait(moment) => self.now = moment.min(until),
                        Next::Idle => self.now = until,
                    }
                }
            }
        }

        fn of(&self, wanted: &ServiceId) -> Vec<Timestamp> {
            self.looks.iter().filter(|(_, service)| service == wanted).map(|(at, _)| *at).collect()
        }
    }

    #[test]
    fn everything_is_seen_once_an_interval_and_evenly() {
        let mut world = World::new(1000, None);
        world.run(&mut Schedule::new(INTERVAL, 7, start()), 10 * 12);
        for number in 0..1000 {
            let looks = world.of(&service(number));
            assert!((9..=12).contains(&looks.len()), "{number}: {}", looks.len());
            let longest = looks.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
            assert!(longest <= INTERVAL + Duration::from_secs(HOUR), "{number}: {longest:?}");
        }
        let mut hours = BTreeMap::<i64, usize>::new();
        world.looks.iter().for_each(|(at, _)| *hours.entry(at.unix_secs() / 3600).or_default() += 1);
        // 1000 in 12 hours are 83 an hour.
        assert!(hours.values().all(|count| (30..=140).contains(count)), "{hours:?}");
    }

    #[test]
    fn after_a_long_rest_the_longest_unseen_goes_first_and_there_is_no_burst() {
        let mut world = World::new(100, None);
        for (number, seen) in world.seen.values_mut().enumerate() {
            *seen = Some(start().minus(Duration::from_secs(30 * 24 * HOUR + 60 * number as u64)));
        }
        let order: Vec<_> = world.seen.keys().rev().cloned().collect();
        world.run(&mut Schedule::new(INTERVAL, 7, start()), 12);
        let looked: Vec<_> = world.looks.iter().map(|(_, service)| service.clone()).take(100).collect();
        assert_eq!(looked, order, "the sights were set one minute apart, the last the longest ago");
        let first_hour = world.looks.iter().filter(|(at, _)| *at < after(HOUR)).count();
        assert!(first_hour <= 20, "{first_hour}");
    }

    #[test]
    fn a_restart_neither_repeats_nor_forgets() {
        let mut world = World::new(100, None);
        world.run(&mut Schedule::new(INTERVAL, 7, start()), 24);
        for seed in 8..32 {
            // A new process every hour.
            let mut schedule = Schedule::new(INTERVAL, seed, world.now);
            world.run(&mut schedule, 1);
        }
        for number in 0..100 {
            let looks = world.of(&service(number));
            let gaps = || looks.windows(2).map(|pair| pair[1].since(pair[0]));
            assert!(gaps().all(|gap| gap >= INTERVAL * 9 / 10), "{number} was looked at too soon");
            assert!(gaps().all(|gap| gap <= INTERVAL * 3 / 2), "{number}: {:?}", gaps().max());
        }
    }

    #[test]
    fn what_fails_waits_as_long_as_what_does_not() {
        let mut world = World::new(50, None);
        world.failing = (0..25).map(service).collect();
        world.run(&mut Schedule::new(INTERVAL, 7, start()), 5 * 12);
        for number in 0..50 {
            let looks = world.of(&service(number)).len();
            assert!((4..=7).contains(&looks), "{number}: {looks}");
        }
    }

    #[test]
    fn what_askers_have_looked_at_is_left_alone() {
        let mut world = World::new(10, Some(start()));
        let mut schedule = Schedule::new(INTERVAL, 7, start());
        world.run(&mut schedule, 10);
        assert_eq!(world.looks, []);
        assert_eq!((schedule.known(), schedule.waiting()), (10, 0));
    }

    #[test]
    fn what_a_limit_refused_is_due_at_the_next_sweep() {
        let mut schedule = Schedule::new(INTERVAL, 7, start());
        let mut looked_at = |now: Timestamp| {
            schedule.begin_sweep();
            schedule.offer(service(1), None, now);
            schedule.end_sweep(now);
            let moment = if let Next::Wait(moment) = schedule.next(now) { moment } else { now };
            let looks = schedule.next(moment) == Next::Look(service(1));
            schedule.not_tried(&service(1));
            looks
        };
        assert!(looked_at(start()) && looked_at(after(900)));
    }

    #[test]
    fn clocks_that_step_stop_nothing() {
        let mut world = World::new(10, Some(after(1000 * HOUR)));
        world.run(&mut Schedule::new(INTERVAL, 7, after(5000 * HOUR)), 48);
        assert!(world.looks.len() >= 10, "{}", world.looks.len());
    }

    #[test]
    fn what_waits_is_bounded_and_keeps_the_oldest() {
        let mut schedule = Schedule::new(INTERVAL, 7, start());
        schedule.begin_sweep();
        for number in 0..MOST_WAITING + 10 {
            let seen = after(0).minus(Duration::from_secs(30 * 24 * HOUR + number as u64));
            schedule.offer(service(number), Some(seen), start());
        }
        schedule.end_sweep(start());
        assert_eq!((schedule.waiting(), schedule.known()), (MOST_WAITING, MOST_WAITING as u64 + 10));
        let Next::Wait(moment) = schedule.next(start()) else { panic!("a pause comes first") };
        assert_eq!(schedule.next(moment), Next::Look(service(MOST_WAITING + 9)));
    }
}
