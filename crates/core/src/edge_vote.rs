//! The vote of people's views: every edge of trust has an equal share, however many views came through it.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::Share;

/// The least edges that a vote of people rests on.
pub const LEAST_EDGES: usize = 3;

/// The least networks.
pub const LEAST_NETWORKS: usize = 2;

/// The most views of one small network that count.
pub const MOST_OF_A_NETWORK: usize = 2;

/// A view that is to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CastView<I, E, N> {
    /// Whose it is: of one identity one view counts, the first.
    pub identity: I,
    /// The edge of the user's through which it came; `None` of a stranger. All strangers together are one edge.
    pub edge: Option<E>,
    /// The IPv4 /24 or IPv6 /48 that it comes from: at most two count.
    pub network: N,
    /// Whether it shows what the user sees.
    pub agrees: bool,
}

/// A vote, counted.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeVote {
    /// Of each edge that contributed, what share of its views agrees; the least first.
    shares: Vec<f64>,
    networks: usize,
    views: usize,
}

/// What a vote comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeOutcome {
    /// Enough agree.
    Trusted {
        /// So many edges would have to lie for that to be wrong.
        liars: usize,
    },
    /// Too few agree.
    Outvoted {
        /// So many edges would have to lie for that to be wrong.
        liars: usize,
    },
    /// Fewer than three edges, or two networks, contributed: it says nothing.
    TooFew {
        /// Edges that contributed.
        edges: usize,
        /// Networks.
        networks: usize,
    },
}

impl EdgeVote {
    /// Counts views, in the order in which they came.
    pub fn count<I: Ord, E: Ord, N: Ord>(views: impl IntoIterator<Item = CastView<I, E, N>>) -> Self {
        let mut met = BTreeSet::new();
        let mut networks: BTreeMap<N, usize> = BTreeMap::new();
        let mut edges: BTreeMap<Option<E>, (usize, usize)> = BTreeMap::new();
        for view in views {
            if networks.get(&view.network).is_some_and(|of_it| *of_it >= MOST_OF_A_NETWORK)
                || !met.insert(view.identity)
            {
                continue;
            }
            *networks.entry(view.network).or_default() += 1;
            let (agree, all) = edges.entry(view.edge).or_default();
            *agree += usize::from(view.agrees);
            *all += 1;
        }
        let views = edges.values().map(|(_, all)| all).sum();
        let mut shares: Vec<f64> = edges.into_values().map(|(agree, all)| agree as f64 / all as f64).collect();
        shares.sort_by(f64::total_cmp);
        Self { shares, networks: networks.len(), views }
    }

    /// Edges that contributed.
    pub fn edges(&self) -> usize {
        self.shares.len()
    }

    /// Networks that they came from.
    pub fn networks(&self) -> usize {
        self.networks
    }

    /// Views that counted.
    pub fn views(&self) -> usize {
        self.views
    }

    /// The weighted agreement, 0 to 1; none of nothing.
    pub fn agreement(&self) -> Option<f64> {
        (!self.shares.is_empty()).then(|| self.shares.iter().sum::<f64>() / self.shares.len() as f64)
    }

    /// What it comes to at a threshold, which is inclusive.
    pub fn outcome(&self, threshold: Share) -> EdgeOutcome {
        let (edges, networks) = (self.shares.len(), self.networks);
        if edges < LEAST_EDGES || networks < LEAST_NETWORKS {
            return EdgeOutcome::TooFew { edges, networks };
        }
        // The tolerance makes 7 of 10 reach 0.7, which binary fractions would deny.
        let wanted = threshold.value() * edges as f64 - 1e-9;
        let sum: f64 = self.shares.iter().sum();
        if sum >= wanted {
            EdgeOutcome::Trusted { liars: self.liars(sum, |left| left < wanted, |share| -share) }
        } else {
            EdgeOutcome::Outvoted { liars: self.liars(sum, |left| left >= wanted, |share| 1.0 - share) }
        }
    }

    /// How many edges must have said the opposite until `turned`, those that weigh most first. If all of them do not
    /// suffice, one more than there are.
    fn liars(&self, sum: f64, turned: impl Fn(f64) -> bool, change: impl Fn(f64) -> f64) -> usize {
        let mut changes: Vec<f64> = self.shares.iter().map(|share| change(*share)).collect();
        changes.sort_by(|one, other| other.abs().total_cmp(&one.abs()));
        let sums = changes.iter().scan(sum, |sum, change| {
            *sum += change;
            Some(*sum)
        });
        sums.take_while(|sum| !turned(*sum)).count() + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `(edge, agrees)`, each of an identity and a network of its own; edge 0 is strangers.
    fn vote(views: &[(u8, bool)]) -> EdgeVote {
        EdgeVote::count(views.iter().enumerate().map(|(number, (edge, agrees))| CastView {
            identity: number,
            edge: (*edge > 0).then_some(*edge),
            network: number,
            agrees: *agrees,
        }))
    }

    fn at(views: &[(u8, bool)], threshold: f64) -> EdgeOutcome {
        vote(views).outcome(Share::new(threshold).unwrap())
    }

    #[test]
    fn an_edge_has_one_share_however_many_stand_behind_it() {
        let mut views = vec![(1, true), (2, true), (3, true)];
        views.extend([(4, false); 100]);
        assert_eq!(vote(&views).agreement(), Some(0.75));
        assert_eq!(at(&views, 0.7), EdgeOutcome::Trusted { liars: 1 });
        assert_eq!(at(&views, 0.5), EdgeOutcome::Trusted { liars: 2 });
        assert_eq!(at(&views, 0.8), EdgeOutcome::Outvoted { liars: 1 });
    }

    #[test]
    fn all_strangers_together_are_one_edge() {
        let mut views = vec![(1, true), (2, true), (3, true)];
        views.extend([(0, false); 1_000]);
        assert_eq!((vote(&views).edges(), vote(&views).agreement()), (4, Some(0.75)));
        assert!(matches!(at(&[(0, true); 50], 0.5), EdgeOutcome::TooFew { edges: 1, networks: 50 }));
    }

    #[test]
    fn thresholds_are_inclusive() {
        let views: Vec<(u8, bool)> = (1..=10).map(|edge| (edge, edge <= 7)).collect();
        assert!(matches!(at(&views, 0.7), EdgeOutcome::Trusted { liars: 1 }));
        assert!(matches!(at(&views, 0.71), EdgeOutcome::Outvoted { .. }));
        assert_eq!(at(&views, 0.5), EdgeOutcome::Trusted { liars: 3 });
        assert_eq!(at(&views, 1.0), EdgeOutcome::Outvoted { liars: 3 });
        assert_eq!(at(&views, 0.0), EdgeOutcome::Trusted { liars: 11 }, "no lie can change it");
    }

    #[test]
    fn too_few_edges_or_networks_say_nothing() {
        assert_eq!(at(&[], 0.5), EdgeOutcome::TooFew { edges: 0, networks: 0 });
        assert_eq!(at(&[(1, true), (2, true)], 0.5), EdgeOutcome::TooFew { edges: 2, networks: 2 });
        let one_network =
            (1..=3).map(|n| CastView { identity: n, edge: Some(n), network: "192.0.2.0/24", agrees: true });
        let vote = EdgeVote::count(one_network);
        assert_eq!(vote.outcome(Share::HALF), EdgeOutcome::TooFew { edges: 2, networks: 1 }, "two of a network count");
        assert_eq!(vote.views(), 2);
    }

    #[test]
    fn an_identity_counts_once() {
        let views = (0..50).map(|n| CastView { identity: "one", edge: Some(n), network: n, agrees: false });
        assert_eq!(EdgeVote::count(views).views(), 1);
    }

    proptest! {
        /// Whoever holds one edge of many can't do more than that edge, whatever is sent through it.
        #[test]
        fn one_edge_moves_the_agreement_by_its_share_at_most(
            honest in proptest::collection::vec((1_u8..8, any::<bool>()), 1..40),
            evil in proptest::collection::vec(any::<bool>(), 0..200),
        ) {
            let with = |evil: &[bool]| {
                let views = honest.iter().copied().chain(evil.iter().map(|agrees| (9, *agrees))).collect::<Vec<_>>();
                vote(&views)
            };
            let (before, after) = (with(&[true]), with(&[evil.as_slice(), &[false]].concat()));
            let moved = before.agreement().unwrap() - after.agreement().unwrap();
            prop_assert!(moved.abs() <= 1.0 / before.edges() as f64 + 1e-9, "{moved}");
        }

        /// The number of liars is what it says: no fewer edges can turn the outcome, and so many can.
        #[test]
        fn liars_are_counted_rightly(views in proptest::collection::vec((1_u8..8, any::<bool>()), 3..30), percent in 1_u8..=100) {
            let threshold = f64::from(percent) / 100.0;
            let edges: Vec<u8> = views.iter().map(|(edge, _)| *edge).collect::<BTreeSet<_>>().into_iter().collect();
            let trusted = matches!(at(&views, threshold), EdgeOutcome::Trusted { .. });
            let (EdgeOutcome::Trusted { liars } | EdgeOutcome::Outvoted { liars }) = at(&views, threshold) else { return Ok(()) };
            let fewest = (0_u32..1 << edges.len()).filter(|set| {
                let lies = |edge: &u8| edges.iter().position(|one| one == edge).is_some_and(|bit| set >> bit & 1 == 1);
                let turned: Vec<_> = views.iter().map(|(edge, agrees)| (*edge, if lies(edge) { !trusted } else { *agrees })).collect();
                matches!(at(&turned, threshold), EdgeOutcome::Trusted { .. }) != trusted
            }).map(u32::count_ones).min();
            prop_assert_eq!(fewest.map_or(edges.len() + 1, |fewest| fewest as usize), liars);
        }
    }
}
