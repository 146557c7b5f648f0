//! Mirrors that were drawn for a check and are asked as they are needed: three at once, hedges up to five, nine on
//! disagreement (`docs/protocols/mirrors.md`, *What clients do*).

use std::ops::Range;
use std::time::Duration;

use parallax_proto::mirror::{FIRST_ASKED, HEDGED, MOST_ASKED};
use tokio::time::Instant;

/// A round trip that nobody has measured yet counts as this long.
const UNMEASURED: Duration = Duration::from_millis(100);

/// Connecting takes two round trips, the question one; a fourth is slack.
const TRIPS: u32 = 4;

/// What a look of the mirror may take besides.
const LOOK: Duration = Duration::from_millis(150);

/// Nobody is called late sooner: an idle machine would ask in vain.
const SOONEST: Duration = Duration::from_millis(250);

/// Later, a user would wait for the hedge.
const LATEST: Duration = Duration::from_millis(1_500);

/// A connection takes two round trips; who has none after them, and after the half of one more, is late already.
const CONNECTING: u32 = 2;

/// No connection is called late for less than this beyond its round trips.
const SLACK: Duration = Duration::from_millis(50);

/// What is known of the way to one of the mirrors that are asked first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// The shortest round trip, where it was measured.
    pub(crate) trip: Option<Duration>,
    /// Whether a connection stands: then the question is all that travels.
    pub(crate) is_connected: bool,
}

impl Way {
    fn patience(self) -> Duration {
        let trips = if self.is_connected { TRIPS - CONNECTING } else { TRIPS };
        self.trip.unwrap_or(UNMEASURED) * trips
    }

    /// When a handshake must have been answered, if one is needed.
    fn connects_within(self) -> Option<Duration> {
        let within = match self.trip {
            Some(trip) => trip * CONNECTING + SLACK.max(trip / 2),
            // It may be farther than most.
            None => UNMEASURED * (CONNECTING + 1) + SLACK,
        };
        (!self.is_connected).then_some(within)
    }
}

/// How long the mirrors asked first may take before another one is asked in the place of one that is late.
fn hedge_delay(ways: &[Way]) -> Duration {
    let longest = ways.iter().map(|way| way.patience()).max().unwrap_or(UNMEASURED * TRIPS);
    (longest + LOOK).clamp(SOONEST, LATEST)
}

/// How many of the drawn are asked by now, and when another one is.
#[derive(Debug)]
pub(crate) struct Reserve {
    drawn: usize,
    first: usize,
    asked: usize,
    usable: usize,
    useless: usize,
    late: usize,
    disagreed: bool,
    every: Duration,
    next: Instant,
    /// Until when each of the first is to have a connection; `None` where that is not known, is so, or was judged.
    unconnected: Vec<Option<Instant>>,
}

impl Reserve {
    /// Of `drawn` mirrors `first` are asked at once; one more for each that has no connection when it must have one, and
    /// one more whenever the hedge delay is over. `ways` lead to the first.
    pub(crate) fn new(drawn: usize, first: usize, ways: &[Way], begun: Instant) -> Self {
        let first = first.clamp(1, MOST_ASKED);
        let every = hedge_delay(ways);
        let unconnected = ways.iter().map(|way| Some(begun + way.connects_within()?)).collect();
        let (asked, usable, useless, late) = (0, 0, 0, 0);
        Self { drawn, first, asked, usable, useless, late, disagreed: false, every, next: begun + every, unconnected }
    }

    /// One of the first has a connection, or is over: it is no longer called late for having none.
    pub(crate) fn connected(&mut self, place: usize) {
        if let Some(until) = self.unconnected.get_mut(place) {
            *until = None;
        }
    }

    /// How many answers are waited for: three, or as many as the policy cannot do without.
    pub(crate) const fn least() -> usize {
        FIRST_ASKED
    }

    /// An answer came, with a proved look or without one.
    pub(crate) fn heard(&mut self, usable: bool) {
        if usable { self.usable += 1 } else { self.useless += 1 }
    }

    /// Answers disagree: all that were drawn are asked.
    pub(crate) fn disagree(&mut self) {
        self.disagreed = true;
    }

    /// Whether they did.
    pub(crate) fn disagreed(&self) -> bool {
        self.disagreed
    }

    /// Whether as many usable answers are in as were wanted, and none disagrees: whoever is silent is not waited for.
    pub(crate) fn has_enough(&self) -> bool {
        !self.disagreed && self.usable >= self.first
    }

    /// Which of the drawn are to be asked now.
    pub(crate) fn due(&mut self, now: Instant) -> Range<usize> {
        let mut silent = 0_usize;
        for until in self.unconnected.iter_mut().filter(|until| until.is_some_and(|until| until <= now)) {
            *until = None;
            silent += 1;
        }
        if silent > 0 || self.next_at().is_some_and(|next| next <= now) {
            self.late += silent.max(1);
            self.next = now + self.every;
        }
        let from = self.asked;
        self.asked = self.wanted().max(from);
        from..self.asked
    }

    /// When a hedge is due, if nothing comes before.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let waits = !self.disagreed && self.asked > 0 && self.usable < self.first && self.asked < self.most_hedged();
        let sooner = self.unconnected.iter().flatten().min().copied();
        waits.then(|| sooner.map_or(self.next, |sooner| sooner.min(self.next)))
    }

    fn wanted(&self) -> usize {
        match self.disagreed {
            true => self.drawn,
            false => (self.first + self.useless + self.late).min(self.most_hedged()),
        }
    }

    fn most_hedged(&self) -> usize {
        (self.first + HEDGED - FIRST_ASKED).min(self.drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is known of the distance, and nobody has to connect first.
    const UNKNOWN: [Way; 3] = [Way { trip: None, is_connected: true }; 3];

    fn ways(trips: &[Option<Duration>]) -> Vec<Way> {
        trips.iter().map(|trip| Way { trip: *trip, is_connected: false }).collect()
    }

    const EVERY: Duration = Duration::from_millis(350);

    #[test]
    fn row_7_three_at_once_hedges_up_to_five_and_nine_on_disagreement() {
        let begun = Instant::now();
        let mut reserve = Reserve::new(9, 3, &UNKNOWN, begun);
        assert_eq!(reserve.due(begun), 0..3);
        assert_eq!(reserve.due(begun + EVERY / 2), 3..3, "nobody is late yet");
        assert_eq!(reserve.next_at(), Some(begun + EVERY));
        assert_eq!(reserve.due(begun + EVERY), 3..4, "somebody is late");
        reserve.heard(false);
        assert_eq!(reserve.due(begun + EVERY), 4..5, "somebody is of no use");
        assert_eq!((reserve.next_at(), reserve.due(begun + EVERY * 9)), (None, 5..5), "five are the most");
        reserve.disagree();
        assert_eq!(reserve.due(begun + EVERY * 9), 5..9);
    }

    #[test]
    fn row_7_who_answers_no_handshake_in_time_has_another_asked_before_the_hedge_delay_is_over() {
        let (begun, ms) = (Instant::now(), Duration::from_millis);
        let trips = ways(&[Some(ms(20)), Some(ms(150)), None]);
        let mut reserve = Reserve::new(9, 3, &trips, begun);
        assert_eq!(reserve.due(begun), 0..3);
        assert_eq!(reserve.next_at(), Some(begun + ms(90)), "40 and 50 ms");
        reserve.connected(0);
        assert_eq!(reserve.next_at(), Some(begun + ms(350)), "300 and 50 ms where nothing is known");
        reserve.connected(2);
        assert_eq!(reserve.next_at(), Some(begun + ms(375)), "300 and 75 ms");
        assert_eq!(reserve.due(begun + ms(374)), 3..3);
        assert_eq!(reserve.due(begun + ms(375)), 3..4, "the far one is silent");
        assert_eq!(reserve.due(begun + ms(376)), 4..4, "and called so once");
        assert_eq!(reserve.next_at(), Some(begun + ms(375) + hedge_delay(&trips)), "then all have their time");
        assert_eq!(reserve.due(begun + ms(60_000)), 4..5);
        // Whoever answers in time costs no question more.
        let mut reserve = Reserve::new(9, 3, &trips, begun);
        reserve.due(begun);
        (0..3).for_each(|place| reserve.connected(place));
        assert_eq!(reserve.due(begun + ms(700)), 3..3);
    }

    #[test]
    fn three_usable_answers_end_the_hedging() {
        let begun = Instant::now();
        let mut reserve = Reserve::new(9, 3, &UNKNOWN, begun);
        reserve.due(begun);
        (0..3).for_each(|_| reserve.heard(true));
        assert_eq!((reserve.next_at(), reserve.due(begun + EVERY * 9)), (None, 3..3));
        assert!(reserve.has_enough());
        reserve.disagree();
        assert!(!reserve.has_enough(), "then all are waited for");
    }

    #[test]
    fn a_short_list_is_asked_as_far_as_it_goes() {
        let begun = Instant::now();
        for drawn in 0..3 {
            let mut reserve = Reserve::new(drawn, 3, &UNKNOWN, begun);
            assert_eq!(reserve.due(begun), 0..drawn);
            reserve.disagree();
            assert_eq!((reserve.due(begun + EVERY), reserve.next_at()), (drawn..drawn, None));
        }
    }

    #[test]
    fn the_delay_goes_with_the_distance_within_bounds() {
        let ms = Duration::from_millis;
        for (trips, wanted) in [
            (vec![], ms(550)),
            (vec![Some(ms(1)), Some(ms(2))], ms(250)),
            (vec![Some(ms(20)), Some(ms(150)), Some(ms(80))], ms(750)),
            (vec![Some(ms(20)), None], ms(550)),
            (vec![Some(ms(9_000))], ms(1_500)),
        ] {
            assert_eq!(hedge_delay(&ways(&trips)), wanted);
        }
        let standing = [Way { trip: Some(ms(150)), is_connected: true }];
        assert_eq!(hedge_delay(&standing), ms(450), "the question alone travels");
        assert_eq!(Reserve::new(9, 1, &standing, Instant::now()).unconnected, [None]);
    }
}
