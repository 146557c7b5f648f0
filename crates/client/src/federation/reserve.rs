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

/// How long the mirrors asked first may take before another one is asked in the place of one that is late. `trips` are
/// their shortest round trips, where they were measured.
pub(crate) fn hedge_delay(trips: impl IntoIterator<Item = Option<Duration>>) -> Duration {
    let longest = trips.into_iter().map(|trip| trip.unwrap_or(UNMEASURED)).max().unwrap_or(UNMEASURED);
    (longest * TRIPS + LOOK).clamp(SOONEST, LATEST)
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
}

impl Reserve {
    /// Of `drawn` mirrors `first` are asked at once; each `every` from `begun` on that they are late, one more.
    pub(crate) fn new(drawn: usize, first: usize, every: Duration, begun: Instant) -> Self {
        let first = first.clamp(1, MOST_ASKED);
        let (asked, usable, useless, late) = (0, 0, 0, 0);
        Self { drawn, first, asked, usable, useless, late, disagreed: false, every, next: begun + every }
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
        if self.next_at().is_some_and(|next| next <= now) {
            self.late += 1;
            self.next = now + self.every;
        }
        let from = self.asked;
        self.asked = self.wanted().max(from);
        from..self.asked
    }

    /// When a hedge is due, if nothing comes before.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let waits = !self.disagreed && self.asked > 0 && self.usable < self.first && self.asked < self.most_hedged();
        waits.then_some(self.next)
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

    const EVERY: Duration = Duration::from_millis(300);

    #[test]
    fn row_7_three_at_once_hedges_up_to_five_and_nine_on_disagreement() {
        let begun = Instant::now();
        let mut reserve = Reserve::new(9, 3, EVERY, begun);
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
    fn three_usable_answers_end_the_hedging() {
        let begun = Instant::now();
        let mut reserve = Reserve::new(9, 3, EVERY, begun);
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
            let mut reserve = Reserve::new(drawn, 3, EVERY, begun);
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
            assert_eq!(hedge_delay(trips), wanted);
        }
    }
}
