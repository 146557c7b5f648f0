//! Channels: a client with nothing but a key pair asks a server for a channel over any transport and exchanges encrypted,
//! authenticated messages on it (`docs/protocols/channel.md`).
//!
//! Both ends are state machines: [`Opening`] and [`ClientChannel`] on one side, [`Server`] on the other. Bytes, `now` and
//! a generator go in; bytes and what was heard come out. What the operator's nodes share (the replay table, blocks) and
//! who may come (the key directory, certificates) is asked of the caller between the steps, so that nothing here waits.

mod bodies;
mod client;
mod key;
mod opening;
mod seal;
mod server;
mod status;
mod talk;
#[cfg(test)]
mod vectors;
mod window;
mod wire;

use std::time::Duration;

pub use bodies::{ChannelLimits, CreateBody};
pub use client::{ClientChannel, Incoming, ReceiveError, SendError};
pub use key::{BadClientKey, ClientKey, KeyType, MAX_CHAIN, OwnKey};
pub use opening::{Opening, OpeningError, OpeningRequest};
pub use server::{
    Admitted, Block, ChannelEnd, Connection, Event, Examined, Face, Handled, Heard, Installed, Opened, Proved,
    PushFailed, Rate, Refusal, Registration, Reply, Server, ServerSettings, Why,
};
pub use status::{LONGEST_OBEYED, Status, Told};
pub use talk::{Answer, BadTalk, Control, LONGEST_REQUEST_ID, RequestId, Run, RunText, Talk, Warning};
pub use wire::BadForm;

/// The largest message, as it travels.
pub const LARGEST_MESSAGE: usize = 64 * 1024;

/// How many counters behind the newest are still taken, in each direction.
pub const REPLAY_WINDOW: u64 = 1024;

/// How long a request for a channel counts, before and after its `time`.
pub const REQUEST_LIFE: Duration = Duration::from_secs(120);

/// A channel: 16 random bytes, drawn by the server. On the wire base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId([u8; 16]);

impl ChannelId {
    /// From the raw bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for ChannelId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&wire::encode(&self.0))
    }
}
