//! Which counters were taken already: the newest 1,024 of them one by one, all older ones as taken.

use super::REPLAY_WINDOW;

const WORDS: usize = (REPLAY_WINDOW / 64) as usize;

/// A sliding window over counters (as in RFC 6479). It moves only by what opened.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// One more than the newest counter; 0 before the first.
    next: u64,
    taken: [u64; WORDS],
}

impl Window {
    /// Whether a counter is still to come: not taken, not too old.
    pub(super) fn is_fresh(&self, counter: u64) -> bool {
        if counter >= self.next {
            return counter < u64::MAX;
        }
        self.next - counter <= REPLAY_WINDOW && self.word(counter) & bit(counter) == 0
    }

    /// Marks one as taken; `true` when it is the newest. To be called with what [`Window::is_fresh`] let pass.
    pub(super) fn take(&mut self, counter: u64) -> bool {
        let newest = counter >= self.next;
        if newest {
            let skipped = (counter - self.next).min(REPLAY_WINDOW);
            for offset in 0..=skipped {
                let passed = counter - offset;
                if let Some(word) = self.taken.get_mut(place(passed)) {
                    *word &= !bit(passed);
                }
            }
            self.next = counter.saturating_add(1);
        }
        if let Some(word) = self.taken.get_mut(place(counter)) {
            *word |= bit(counter);
        }
        newest
    }

    fn word(&self, counter: u64) -> u64 {
        self.taken.get(place(counter)).copied().unwrap_or(u64::MAX)
    }
}

fn place(counter: u64) -> usize {
    (counter / 64 % WORDS as u64) as usize
}

fn bit(counter: u64) -> u64 {
    1 << (counter % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The same by the book: a set and the newest.
    #[derive(Default)]
    struct Book(BTreeSet<u64>);

    impl Book {
        fn is_fresh(&self, counter: u64) -> bool {
            let newest = self.0.last().copied();
            !self.0.contains(&counter) && newest.is_none_or(|newest| counter + REPLAY_WINDOW > newest)
        }
    }

    proptest! {
        #[test]
        fn as_by_the_book(steps in prop::collection::vec(prop_oneof![0u64..3000, 0u64..70_000, 900u64..2100], 1..400)) {
            let (mut window, mut book) = (Window::default(), Book::default());
            for counter in steps {
                prop_assert_eq!(window.is_fresh(counter), book.is_fresh(counter), "{}", counter);
                if window.is_fresh(counter) {
                    let newest = book.0.last().is_none_or(|newest| counter > *newest);
                    prop_assert_eq!(window.take(counter), newest);
                    book.0.insert(counter);
                }
            }
        }
    }

    #[test]
    fn the_edges() {
        let mut window = Window::default();
        assert!(window.is_fresh(0) && window.is_fresh(u64::MAX - 1));
        assert!(!window.is_fresh(u64::MAX), "there is no counter behind it");
        assert!(window.take(1023));
        assert!(window.is_fresh(0), "1023 behind the newest");
        assert!(window.take(1024));
        assert!(!window.is_fresh(0) && window.is_fresh(1));
        assert!(!window.take(1) && !window.is_fresh(1));
        assert!(window.take(u64::MAX - 1));
        assert!(!window.is_fresh(u64::MAX - 1) && window.is_fresh(u64::MAX - 2) && !window.is_fresh(1025));
    }
}
