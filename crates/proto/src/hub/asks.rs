//! One question under way.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use parallax_core::{Fingerprint, ServiceId, Timestamp, VantageId};
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::wire::{Ask, Counts, LookId, PeerSpki};
use crate::mirror::random::shuffle;
use crate::signed::Signed;

/// A trust relationship of an asker, as the hub knows it. All strangers together are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge(pub Fingerprint);

impl Edge {
    /// Everybody whom no relationship leads to.
    pub const STRANGERS: Edge = Edge(Fingerprint::from_bytes([0; 32]));
}

/// Whom an asker may see, and by which edge each comes. The server decides it, never the asker's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Every peer, as a stranger.
    Everybody,
    /// These peers through these edges, dealt over the edges in turn, so that no edge brings more than its share; and when
    /// these are exhausted, whoever else is there, as a stranger.
    Through(Vec<(Edge, Vec<VantageId>)>),
}

/// A question and who asks it.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The id of the asker's key.
    pub asker: VantageId,
    /// The question.
    pub ask: Ask,
    /// Where the service lies, as far as the hub knows: what is looked at is bounded by it.
    pub target: Option<IpAddr>,
    /// Whom the asker may see.
    pub sight: Sight,
}

/// What the hub remembers: one for each peer and service, the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The id of the peer's key.
    pub peer: VantageId,
    /// The key.
    pub spki: PeerSpki,
    /// What was looked at: as it was asked, not as the reply says.
    pub service: ServiceId,
    /// The peer's network, as the hub saw it.
    pub network: IpAddr,
    /// When the view came, by the hub's clock.
    pub at: Timestamp,
    /// Until when the view counts, by the peer's clock.
    pub valid_until: Timestamp,
    /// The view.
    pub view: Signed,
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) asker: VantageId,
    pub(super) ask: Ask,
    pub(super) target: Option<IpAddr>,
    pub(super) sight: Sighted,
    pub(super) until: Timestamp,
    /// Rows are being read; nobody is asked before.
    pub(super) reading: bool,
    pub(super) counts: Counts,
    /// Looks that an answer is still hoped for, those that were replaced included.
    pub(super) looks: HashSet<LookId>,
    /// What is remembered and not given yet, where edges take turns: of those behind them, and of strangers.
    pub(super) rows: HashMap<VantageId, Row>,
    pub(super) rows_of_strangers: Vec<Row>,
    /// Of these, the ones that were replaced: they are waited for, but no longer counted on.
    pub(super) replaced: usize,
    /// Who is counted or was asked.
    pub(super) met: HashSet<VantageId>,
    /// Views and hopes of each network.
    pub(super) networks: HashMap<IpAddr, usize>,
    /// A limit kept it from asking more.
    pub(super) limited: bool,
}

impl Question {
    pub(super) fn new(asking: Asking, until: Timestamp, rng: &mut dyn Rng) -> Self {
        Self {
            asker: asking.asker,
            ask: asking.ask,
            target: asking.target,
            sight: Sighted::new(asking.sight, rng),
            until,
            reading: false,
            counts: Counts::default(),
            looks: HashSet::new(),
            rows: HashMap::new(),
            rows_of_strangers: Vec::new(),
            replaced: 0,
            met: HashSet::new(),
            networks: HashMap::new(),
            limited: false,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.counts.answered >= u32::from(self.ask.replies)
    }

    /// How many more looks would make it complete, if every one that is counted on succeeds.
    pub(super) fn wants(&self) -> usize {
        let counted_on = self.looks.len().saturating_sub(self.replaced);
        let answered = usize::try_from(self.counts.answered).unwrap_or(usize::MAX);
        usize::from(self.ask.replies).saturating_sub(answered.saturating_add(counted_on))
    }

    /// Whether a peer may still be counted: not the asker itself, each key once, so many of a network.
    pub(super) fn may_meet(&self, peer: VantageId, network: IpAddr, a_network: Option<usize>) -> bool {
        peer != self.asker
            && !self.met.contains(&peer)
            && a_network.is_none_or(|most| self.networks.get(&network).is_none_or(|have| *have < most))
    }

    pub(super) fn meet(&mut self, peer: VantageId, network: IpAddr) {
        self.met.insert(peer);
        *self.networks.entry(network).or_default() += 1;
    }

    /// A peer that failed leaves its network's place to another; it itself is not asked again.
    pub(super) fn miss(&mut self, network: IpAddr) {
        if let Some(have) = self.networks.get_mut(&network) {
            *have = have.saturating_sub(1);
        }
    }
}

/// Whom the asker of a question may see, and by which edge.
#[derive(Debug)]
pub(super) enum Sighted {
    Everybody,
    Through(Turns),
}

/// Edges that take turns.
#[derive(Debug)]
pub(super) struct Turns {
    /// Of each edge, who is left.
    piles: Vec<(Edge, Vec<VantageId>)>,
    turn: usize,
    edges: HashMap<VantageId, Edge>,
}

impl Sighted {
    fn new(sight: Sight, rng: &mut dyn Rng) -> Self {
        let Sight::Through(mut piles) = sight else { return Sighted::Everybody };
        shuffle(rng, &mut piles);
        let mut edges = HashMap::new();
        for (edge, peers) in &mut piles {
            shuffle(rng, peers);
            for peer in peers {
                edges.entry(*peer).or_insert(*edge);
            }
        }
        Sighted::Through(Turns { piles, turn: 0, edges })
    }

    /// By which edge a peer comes.
    pub(super) fn edge(&self, peer: VantageId) -> Edge {
        match self {
            Sighted::Everybody => Edge::STRANGERS,
            Sighted::Through(turns) => turns.edges.get(&peer).copied().unwrap_or(Edge::STRANGERS),
        }
    }

    /// A peer gave no view: its edge has the next turn, if anybody is left there.
    pub(super) fn turn_back(&mut self, peer: VantageId) {
        let edge = self.edge(peer);
        if let Sighted::Through(turns) = self
            && let Some(turn) = turns.piles.iter().position(|(of, _)| *of == edge)
        {
            turns.turn = turn;
        }
    }
}

impl Turns {
    /// Whether a peer comes by an edge.
    pub(super) fn knows(&self, peer: VantageId) -> bool {
        self.edges.contains_key(&peer)
    }

    /// What `fit` makes of the next one that fits, of the edge whose turn it is. Whoever does not fit loses no turn for
    /// its edge.
    pub(super) fn next<T>(&mut self, mut fit: impl FnMut(VantageId) -> Option<T>) -> Option<T> {
        while !self.piles.is_empty() {
            self.turn %= self.piles.len();
            let (edge, peers) = self.piles.get_mut(self.turn)?;
            let (edge, edges) = (*edge, &self.edges);
            // Who comes through several edges has its place at one of them.
            let own = |peer: &VantageId| edges.get(peer) == Some(&edge);
            match std::iter::from_fn(|| peers.pop()).filter(own).find_map(&mut fit) {
                Some(found) => {
                    self.turn += 1;
                    return Some(found);
                }
                None => drop(self.piles.remove(self.turn)),
            }
        }
        None
    }
}
