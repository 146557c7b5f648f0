//! One question under way.

use std::collections::{HashMap, HashSet, VecDeque};
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
    /// These peers through these edges: dealt round-robin over the edges, so that no edge brings more than its share.
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

/// Whom the asker of a question may see, in the order in which they are asked.
#[derive(Debug)]
pub(super) enum Sighted {
    Everybody,
    Through { order: VecDeque<VantageId>, edges: HashMap<VantageId, Edge> },
}

impl Sighted {
    fn new(sight: Sight, rng: &mut dyn Rng) -> Self {
        let Sight::Through(mut dealt) = sight else { return Sighted::Everybody };
        let mut edges = HashMap::new();
        for (edge, peers) in &mut dealt {
            shuffle(rng, peers);
            for peer in peers {
                edges.entry(*peer).or_insert(*edge);
            }
        }
        shuffle(rng, &mut dealt);
        let longest = dealt.iter().map(|(_, peers)| peers.len()).max().unwrap_or_default();
        let round = |at: usize| dealt.iter().filter_map(move |(_, peers)| peers.get(at).copied());
        Sighted::Through { order: (0..longest).flat_map(round).collect(), edges }
    }

    /// By which edge a peer comes; `None`: it is not seen.
    pub(super) fn edge(&self, peer: VantageId) -> Option<Edge> {
        match self {
            Sighted::Everybody => Some(Edge::STRANGERS),
            Sighted::Through { edges, .. } => edges.get(&peer).copied(),
        }
    }
}
