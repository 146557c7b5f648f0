//! What the hubs of one operator tell each other (`docs/protocols/hub.md`, several hubs). They know each other by a secret
//! that they share ([`super::Group`]); whoever has it is believed about whom it has and what was asked there, and about
//! nothing that a peer saw: askers verify that themselves.

use std::net::IpAddr;

use parallax_core::{ServiceId, VantageId};
use serde::{Deserialize, Serialize};

use super::wire::{Look, LookId, PeerSpki};
use crate::signed::Signed;

/// A peer that a hub has, as it tells the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPeer {
    /// The id of its key.
    pub peer: VantageId,
    /// The key.
    pub spki: PeerSpki,
    /// Its network, as its hub sees it.
    pub network: IpAddr,
    /// The looks a minute that it may be asked for by all together.
    pub looks_per_minute: u32,
    /// When it came, in Unix milliseconds, and later than wherever it was before: the latest has it.
    pub since: u64,
}

/// All peers that a hub told of: how many, and a sum over them, by which it shows when something was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// How many.
    pub peers: u32,
    /// The sum.
    pub sum: u64,
}

impl Whole {
    /// One more.
    pub(super) fn add(&mut self, peer: VantageId, since: u64) {
        self.peers = self.peers.wrapping_add(1);
        self.sum = self.sum.wrapping_add(share_of(peer, since));
    }

    /// One less.
    pub(super) fn take(&mut self, peer: VantageId, since: u64) {
        self.peers = self.peers.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(share_of(peer, since));
    }
}

fn share_of(peer: VantageId, since: u64) -> u64 {
    let start = peer.as_bytes().iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    (start ^ since.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What changed at a hub since it last told, and what was spent there. Without anything in it, that it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Peers that came, or came anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub came: Vec<SharedPeer>,
    /// Peers that left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<VantageId>,
    /// Looks that were asked for: at which service, in which network, how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<(ServiceId, Option<IpAddr>, u32)>,
    /// Questions: of which key, how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<(VantageId, u32)>,
    /// All peers, when these news are all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Whole>,
}

/// What a hub tells its siblings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Word {
    /// To all.
    News(News),
    /// It stops: to all.
    Bye,
    /// Something was lost: tell me all of your peers.
    Again,
    /// All of them, in parts.
    All {
        /// Whether it begins with this.
        first: bool,
        /// So many of them.
        came: Vec<SharedPeer>,
        /// With the last part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<Whole>,
    },
    /// A peer of yours is to look.
    Look {
        /// Which.
        peer: VantageId,
        /// What it is told.
        look: Look,
    },
    /// What a peer of mine saw; nothing when it did not.
    Seen {
        /// Of which look.
        look_id: LookId,
        /// The signed view.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<Signed>,
    },
    /// Nobody waits for these looks any more.
    Forget {
        /// Which.
        looks: Vec<LookId>,
    },
}
