//! Who is linked to whom, in one direction.

use super::AsIndex;

/// For each AS its neighbours of one kind, in ascending order.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// Where the neighbours of each AS begin; one more than there are ASes.
    starts: Vec<usize>,
    ends: Vec<AsIndex>,
}

impl Links {
    pub(super) fn new(len: usize, pairs: impl Iterator<Item = (AsIndex, AsIndex)>) -> Self {
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable();
        let mut starts = Vec::with_capacity(len + 1);
        let mut at = 0;
        for from in (0..).map(AsIndex).take(len + 1) {
            at += pairs.iter().skip(at).take_while(|pair| pair.0 < from).count();
            starts.push(at);
        }
        Self { starts, ends: pairs.into_iter().map(|pair| pair.1).collect() }
    }

    /// The neighbours of one AS.
    pub(super) fn of(&self, one: AsIndex) -> &[AsIndex] {
        let bounds = self.starts.get(one.place()).zip(self.starts.get(one.place() + 1));
        bounds.and_then(|(from, to)| self.ends.get(*from..*to)).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}
