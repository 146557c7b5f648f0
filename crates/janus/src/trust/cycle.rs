//! One user's table: where an advertisement that comes in through one neighbour goes out.

use super::graph::UserId;

/// A cycle over the neighbours: what comes in through one goes out through the next, what comes in through the last goes out
/// through the first. So it is one cycle by its form, whatever is done to it.
///
/// A neighbour's place is drawn once, by a keyed hash, and not when it is added: an edge that is taken away and set again
/// comes back to its old place, and nobody sees more of the graph by doing so a thousand times. Adding a neighbour splits
/// one pair, removing one merges two; all other pairs stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cycle(Vec<(u32, UserId)>);

impl Cycle {
    /// Adds a neighbour at its place; `false` when it was there.
    pub(super) fn insert(&mut self, place: u32, neighbour: UserId) -> bool {
        match self.0.binary_search(&(place, neighbour)) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, (place, neighbour));
                true
            }
        }
    }

    /// Removes a neighbour; `false` when it was not there.
    pub(super) fn remove(&mut self, neighbour: UserId) -> bool {
        let at = self.position(neighbour);
        at.map(|at| self.0.remove(at)).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn neighbours(&self) -> impl Iterator<Item = UserId> {
        self.0.iter().map(|(_, neighbour)| *neighbour)
    }

    pub(super) fn contains(&self, neighbour: UserId) -> bool {
        self.position(neighbour).is_some()
    }

    /// The neighbour's number in the cycle.
    pub(super) fn position(&self, neighbour: UserId) -> Option<usize> {
        self.0.iter().position(|(_, one)| *one == neighbour)
    }

    /// Where that which comes in through `from` goes out.
    pub(super) fn next(&self, from: UserId) -> Option<UserId> {
        let at = self.position(from)?;
        self.0.get(at + 1).or(self.0.first()).map(|(_, neighbour)| *neighbour)
    }

    /// The neighbour before a place in the cycle: where that which goes out there came in.
    pub(super) fn before(&self, position: usize) -> Option<UserId> {
        let at = position.checked_sub(1).or(self.0.len().checked_sub(1))?;
        self.0.get(at).map(|(_, neighbour)| *neighbour)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn pairs(cycle: &Cycle) -> BTreeMap<UserId, UserId> {
        cycle.neighbours().map(|from| (from, cycle.next(from).unwrap())).collect()
    }

    fn is_one_cycle(cycle: &Cycle) -> bool {
        let Some(start) = cycle.neighbours().next() else { return true };
        let mut at = start;
        let mut met = 0;
        loop {
            at = cycle.next(at).unwrap();
            met += 1;
            if at == start {
                return met == cycle.len();
            }
        }
    }

    proptest! {
        #[test]
        fn it_stays_one_cycle_and_changes_one_pair_at_a_time(steps in proptest::collection::vec((any::<u32>(), 0_u32..12), 1..80)) {
            let mut cycle = Cycle::default();
            let mut places = BTreeMap::new();
            for (place, neighbour) in steps {
                let neighbour = UserId::from_index(neighbour);
                let place = *places.entry(neighbour).or_insert(place);
                let before = pairs(&cycle);
                if !cycle.insert(place, neighbour) {
                    prop_assert!(cycle.remove(neighbour));
                    prop_assert!(!cycle.remove(neighbour));
                }
                prop_assert!(is_one_cycle(&cycle));
                let after = pairs(&cycle);
                let changed = before.iter().filter(|(from, to)| after.get(from).is_some_and(|now| now != *to)).count();
                prop_assert!(changed <= 1, "{before:?} {after:?}");
                for neighbour in cycle.neighbours() {
                    let next = cycle.next(neighbour).unwrap();
                    prop_assert_eq!(cycle.before(cycle.position(next).unwrap()), Some(neighbour));
                }
            }
        }

        #[test]
        fn what_is_set_again_comes_back_to_its_place(places in proptest::collection::vec(any::<u32>(), 2..20), again in 0_usize..20) {
            let mut cycle = Cycle::default();
            for (number, place) in places.iter().enumerate() {
                cycle.insert(*place, UserId::from_index(number as u32));
            }
            let before = cycle.clone();
            let again = again % places.len();
            cycle.remove(UserId::from_index(again as u32));
            cycle.insert(places[again], UserId::from_index(again as u32));
            prop_assert_eq!(cycle, before);
        }
    }
}
