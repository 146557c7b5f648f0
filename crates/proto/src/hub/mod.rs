//! The hub: ordinary machines as vantage points (`docs/protocols/hub.md`). Wire types of the five messages, the check that
//! makes a peer's view count, and the hub's state machine: calls with `now` and a generator in, [`Action`]s and the next
//! deadline out.

mod asks;
mod budget;
mod group;
mod machine;
mod peer_view;
mod pool;
mod settings;
mod siblings;
mod wire;

pub use asks::{Asking, Edge, Row, Sight};
pub use budget::Pace;
pub use group::{BadSecret, Group, Heard, LARGEST_WORD, Listener, SHORTEST_SECRET, Speaker};
pub use machine::{Action, AskId, Attaching, ConnectionId, Detached, Hub, MOST_ROWS, Refused, Stats};
pub use peer_view::{ExpectedPeer, LARGEST_PEER_VIEW, PeerView};
pub use settings::{HubSettings, PerMinute};
pub use siblings::{News, SharedPeer, Whole, Word};
pub use wire::{
    Answer, Answers, Ask, Attach, BadAsk, Counts, DEFAULT_REPLIES, Ended, LONGEST_DEADLINE, Look, LookId, MOST_REPLIES,
    Nonce, PeerSpki, Seen, Unseen,
};

#[cfg(test)]
mod tests;
