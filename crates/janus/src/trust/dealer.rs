//! Whom to ask: every edge in turn, so that nobody gets more turns by standing in greater numbers behind one.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::MOST_OF_A_NETWORK;
use rand_core::Rng;

use super::graph::UserId;
use crate::network::SmallNetwork;

/// Somebody who could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<P> {
    /// Who: one identity is asked once, however often it is named.
    pub peer: P,
    /// The asker's edge through which it is visible; `None` of a stranger. All strangers together have one turn.
    pub edge: Option<UserId>,
    /// Where it is.
    pub network: SmallNetwork,
}

/// Somebody who is to be asked.
pub type Dealt<P> = Candidate<P>;

/// Deals candidates one by one.
#[derive(Clone, Debug)]
pub struct Dealer<P> {
    /// Of each edge, who is left; in the order of their turns.
    piles: Vec<Vec<Candidate<P>>>,
    turn: usize,
    asked: BTreeSet<P>,
    networks: BTreeMap<SmallNetwork, usize>,
    most_of_a_network: usize,
}

impl<P: Copy + Ord> Dealer<P> {
    /// Of these candidates. `any_network` lifts the limit of two views per small network: in a lab all peers share one.
    pub fn new(candidates: impl IntoIterator<Item = Candidate<P>>, any_network: bool, rng: &mut dyn Rng) -> Self {
        let mut piles: BTreeMap<Option<UserId>, Vec<Candidate<P>>> = BTreeMap::new();
        for candidate in candidates {
            piles.entry(candidate.edge).or_default().push(candidate);
        }
        let mut piles: Vec<_> = piles.into_values().collect();
        // Whose turn is first must not hang on the number of a neighbour.
        for last in (1..piles.len()).rev() {
            piles.swap(last, below(rng, last + 1));
        }
        let most_of_a_network = if any_network { usize::MAX } else { MOST_OF_A_NETWORK };
        Self { piles, turn: 0, asked: BTreeSet::new(), networks: BTreeMap::new(), most_of_a_network }
    }

    /// The next to ask: one at random of the edge whose turn it is. `None` when nobody is left.
    pub fn deal(&mut self, rng: &mut dyn Rng) -> Option<Dealt<P>> {
        while !self.piles.is_empty() {
            self.turn %= self.piles.len();
            match self.draw(rng) {
                Some(dealt) => {
                    self.turn += 1;
                    self.asked.insert(dealt.peer);
                    *self.networks.entry(dealt.network).or_default() += 1;
                    return Some(dealt);
                }
                None => {
                    self.piles.remove(self.turn);
                }
            }
        }
        None
    }

    /// One who was dealt gave no view: its network has room for another, and its edge gets the next turn.
    pub fn failed(&mut self, dealt: &Dealt<P>) {
        if let Some(of_it) = self.networks.get_mut(&dealt.network) {
            *of_it = of_it.saturating_sub(1);
        }
        let edge = |pile: &Vec<Candidate<P>>| pile.first().is_some_and(|one| one.edge == dealt.edge);
        if let Some(turn) = self.piles.iter().position(edge) {
            self.turn = turn;
        }
    }

    /// One of the pile whose turn it is. Who was asked already leaves it for good, who lives in a full network for now.
    fn draw(&mut self, rng: &mut dyn Rng) -> Option<Candidate<P>> {
        let pile = self.piles.get_mut(self.turn)?;
        pile.retain(|one| !self.asked.contains(&one.peer));
        let room =
            |one: &Candidate<P>| self.networks.get(&one.network).is_none_or(|of_it| *of_it < self.most_of_a_network);
        let free: Vec<usize> = (0..pile.len()).filter(|at| pile.get(*at).is_some_and(room)).collect();
        let drawn = free.get(below(rng, free.len()))?;
        Some(pile.swap_remove(*drawn))
    }
}

/// An index below `bound`; 0 where that is 0. The bias, below 2^-32 for any list here, favours nobody who could aim.
fn below(rng: &mut dyn Rng, bound: usize) -> usize {
    let wide = u128::from(rng.next_u64()) * (bound as u128);
    (wide >> 64) as usize
}
