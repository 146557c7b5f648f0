//! An even pace, also where it is faster than the clock's ticks.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Timers tick once a millisecond. What was missed for this long is caught up with, or no rate above some hundreds could
/// be kept; what was missed for longer is let go, so that no burst follows a halt.
const CATCH_UP: Duration = Duration::from_millis(5);

/// So many a second.
pub(super) struct Pace {
    gap: Duration,
    next: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self { gap: Duration::from_secs(1) / per_second.max(1), next: Instant::now() }
    }

    /// Waits until it is time for the next one; waiting alone takes nothing.
    pub(super) async fn is_time(&self) {
        if Instant::now() < self.next {
            sleep_until(self.next).await;
        }
    }

    /// Takes the next one.
    pub(super) fn advance(&mut self, now: Instant) {
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(self.next);
        self.next = self.next.max(earliest) + self.gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the last of so many would be taken by a clock that ticks once a millisecond.
    fn took(pace: &mut Pace, begun: Instant, count: u32) -> Duration {
        let mut ticks = 0;
        for _ in 0..count {
            while begun + Duration::from_millis(ticks) < pace.next {
                ticks += 1;
            }
            pace.advance(begun + Duration::from_millis(ticks));
        }
        Duration::from_millis(ticks)
    }

    #[test]
    fn slow_and_fast_rates_are_kept() {
        let mut pace = Pace::new(20);
        let begun = pace.next;
        assert_eq!(took(&mut pace, begun, 101), Duration::from_secs(5));
        let mut pace = Pace::new(10_000);
        let begun = pace.next;
        let fast = took(&mut pace, begun, 20_001).as_secs_f64();
        assert!((1.99..2.02).contains(&fast), "{fast}");
    }

    #[test]
    fn a_halt_is_followed_by_no_burst() {
        let mut pace = Pace::new(100);
        let late = pace.next + Duration::from_secs(60);
        let took = took(&mut pace, late, 11);
        assert!(took >= Duration::from_millis(90), "{took:?}");
    }
}
