//! What is under way, by the number of its round. Numbers ascend, few are under way at a time, and the oldest is looked at
//! with every event.

use std::collections::VecDeque;

use super::event::RoundId;

#[derive(Debug)]
pub(super) struct UnderWay<T> {
    each: VecDeque<(RoundId, T)>,
}

impl<T> UnderWay<T> {
    pub(super) fn new() -> Self {
        Self { each: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.each.len()
    }

    /// Adds one with a number that nothing here has.
    pub(super) fn insert(&mut self, round: RoundId, what: T) {
        // Nearly always the end.
        let place = self.each.partition_point(|(known, _)| *known < round);
        self.each.insert(place, (round, what));
    }

    pub(super) fn get_mut(&mut self, round: RoundId) -> Option<&mut T> {
        let place = self.place(round)?;
        self.each.get_mut(place).map(|(_, what)| what)
    }

    pub(super) fn remove(&mut self, round: RoundId) -> Option<T> {
        let place = self.place(round)?;
        self.each.remove(place).map(|(_, what)| what)
    }

    /// The one with the smallest number.
    pub(super) fn oldest(&self) -> Option<&T> {
        self.each.front().map(|(_, what)| what)
    }

    /// Takes out the one with the smallest number, if it is one of those.
    pub(super) fn take_oldest_if(&mut self, is_one: impl FnOnce(&T) -> bool) -> Option<T> {
        if !self.oldest().is_some_and(is_one) {
            return None;
        }
        self.each.pop_front().map(|(_, what)| what)
    }

    fn place(&self, round: RoundId) -> Option<usize> {
        self.each.binary_search_by_key(&round, |(known, _)| *known).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_by_number_and_end_in_order() {
        let mut under_way = UnderWay::new();
        for number in [3, 5, 9, 7] {
            under_way.insert(RoundId(number), number);
        }
        assert_eq!(under_way.remove(RoundId(5)), Some(5));
        assert_eq!(under_way.remove(RoundId(5)), None);
        assert_eq!(under_way.get_mut(RoundId(7)), Some(&mut 7));
        assert_eq!((under_way.len(), under_way.oldest()), (3, Some(&3)));
        assert_eq!(under_way.take_oldest_if(|number| *number > 3), None);
        let in_order: Vec<u64> = std::iter::from_fn(|| under_way.take_oldest_if(|_| true)).collect();
        assert_eq!(in_order, [3, 7, 9]);
    }
}
