//! The client's end of a channel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Suite, Timestamp};
use serde_json::{Map, Value, json};

use super::bodies::{ChannelLimits, CreatedBody};
use super::seal::{Ciphers, split_counter};
use super::status::Told;
use super::talk::{Answer, Back, BadTalk, Control, RequestId, Run, Talk, Warning};
use super::window::Window;
use super::wire::{self, BadForm};
use super::{ChannelId, REPLAY_WINDOW};
use crate::descriptor::StatementKey;

/// A channel is renewed when less than this is left.
const SOON: Duration = Duration::from_secs(60);

/// Why a message was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The channel has ended.
    #[error("the channel has ended; a new one has to be opened")]
    Ended,
    /// It is too large.
    #[error("the message would have {found} bytes, the channel takes {most}")]
    TooLarge {
        /// What it would have.
        found: usize,
        /// What it may.
        most: u64,
    },
}

/// Why bytes are not from this channel's server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// They can't be read.
    #[error("what came can't be read: {0}")]
    Form(#[from] BadForm),
    /// They do not open: of another channel, changed, replayed, sent back, or an answer to nothing.
    #[error("what came does not open on this channel")]
    Unopened,
    /// The server sealed nonsense.
    #[error(transparent)]
    Talk(#[from] BadTalk),
}

/// What came from the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// The answer to a request.
    Answer {
        /// The request's counter.
        counter: u64,
        /// What it says.
        answer: Answer,
    },
    /// The answer to a ping.
    Pong {
        /// The ping's counter.
        counter: u64,
    },
    /// Said unasked.
    Push(Talk),
    /// A status instead of an answer.
    Told {
        /// Whose request it is about; `None` when it is none of ours.
        counter: Option<u64>,
        /// What it says, and whether that is proved.
        told: Told,
    },
}

/// The client's end of a channel. Messages are made and opened here; whoever holds it carries them.
pub struct ClientChannel {
    suite: Arc<dyn Suite>,
    source: String,
    statement_key: StatementKey,
    id: ChannelId,
    ciphers: Ciphers,
    opened_at: Timestamp,
    valid_until: Timestamp,
    last_sent: Timestamp,
    limits: ChannelLimits,
    next: u64,
    /// Hashes of the requests that may still be answered.
    pending: BTreeMap<u64, [u8; 32]>,
    pushes: Window,
    warned: bool,
    closed: bool,
}

impl ClientChannel {
    pub(super) fn new(
        suite: Arc<dyn Suite>,
        source: String,
        statement_key: StatementKey,
        body: &CreatedBody,
        ciphers: Ciphers,
        now: Timestamp,
    ) -> Self {
        Self {
            suite,
            source,
            statement_key,
            id: ChannelId::from_bytes(body.channel.0),
            ciphers,
            opened_at: now,
            valid_until: body.valid_until,
            last_sent: now,
            limits: body.limits,
            next: 0,
            pending: BTreeMap::new(),
            pushes: Window::default(),
            warned: false,
            closed: false,
        }
    }

    /// Its id.
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// The server's URL.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the server is known by; to be kept after a first contact.
    pub fn statement_key(&self) -> StatementKey {
        self.statement_key
    }

    /// When it ends.
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// What it may carry.
    pub fn limits(&self) -> ChannelLimits {
        self.limits
    }

    /// Whether nothing can be sent on it any more.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.closed
            || now >= self.valid_until
            || self.next >= self.limits.messages
            || now.since(self.last_sent) >= self.limits.idle()
    }

    /// Whether it is time for a new one that [`replaces`](super::OpeningRequest::replaces) it: the server warned, or a
    /// tenth of its life, a minute or a tenth of its messages is left.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let left = self.valid_until.since(now);
        let soon = left < SOON || left < self.valid_until.since(self.opened_at) / 10;
        self.warned || soon || self.next >= self.limits.messages - self.limits.messages / 10
    }

    /// A request. With an id it is answered; asked again under the same id it is not done twice.
    pub fn request(
        &mut self,
        request_id: Option<&RequestId>,
        run: &Run,
        now: Timestamp,
    ) -> Result<(u64, Vec<u8>), SendError> {
        self.send(&Talk::write(request_id, run), now)
    }

    /// Ping, pong or close.
    pub fn control(&mut self, control: Control, now: Timestamp) -> Result<(u64, Vec<u8>), SendError> {
        let sent = self.send(&control.write(), now)?;
        self.closed = control == Control::Close;
        Ok(sent)
    }

    fn send(&mut self, plaintext: &[u8], now: Timestamp) -> Result<(u64, Vec<u8>), SendError> {
        if self.has_ended(now) {
            return Err(SendError::Ended);
        }
        let counter = self.next;
        let request = self.ciphers.request.seal(counter, None, plaintext).ok_or(SendError::Ended)?;
        let message = json!({ "channel": self.id.to_string(), "request": wire::encode(&request) }).to_string();
        if message.len() as u64 > self.limits.bytes {
            // Spent all the same: nothing else is ever sealed under this counter.
            self.next += 1;
            return Err(SendError::TooLarge { found: message.len(), most: self.limits.bytes });
        }
        self.next += 1;
        self.last_sent = now;
        self.pending.insert(counter, self.suite.sha256(&request));
        while self.pending.len() as u64 > REPLAY_WINDOW {
            self.pending.pop_first();
        }
        Ok((counter, message.into_bytes()))
    }

    /// Opens what came from the server, or from anybody.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Incoming, ReceiveError> {
        let map = wire::object(bytes)?;
        if map.contains_key("status") {
            return self.told(&map);
        }
        let channel: [u8; 16] = wire::exactly(&map, "channel")?;
        if channel != *self.id.as_bytes() || wire::text(&map, "source")? != self.source {
            return Err(ReceiveError::Unopened);
        }
        if map.contains_key("push") {
            return self.push(&wire::binary(&map, "push")?);
        }
        self.answer(&wire::binary(&map, "response")?)
    }

    fn told(&mut self, map: &Map<String, Value>) -> Result<Incoming, ReceiveError> {
        let told = Told::read(self.suite.as_ref(), map, &self.source, Some(self.statement_key))?;
        let asked = self.pending.iter().find(|(_, hash)| *hash == told.request_hash());
        Ok(match asked.map(|(counter, _)| *counter) {
            Some(counter) => Incoming::Told { counter: Some(counter), told },
            None => Incoming::Told { counter: None, told: told.into_hint() },
        })
    }

    fn answer(&mut self, response: &[u8]) -> Result<Incoming, ReceiveError> {
        let (counter, sealed) = split_counter(response).ok_or(ReceiveError::Unopened)?;
        let hash = self.pending.get(&counter).ok_or(ReceiveError::Unopened)?;
        let opened = self.ciphers.answer.open(counter, Some(hash), sealed).ok_or(ReceiveError::Unopened)?;
        self.pending.remove(&counter);
        match Back::read(&opened)? {
            Back::Answer(answer) => {
                self.warned |= answer.warnings.contains(&Warning::Expiring);
                // It may end sooner than granted, never later.
                self.valid_until = self.valid_until.min(answer.valid_until);
                Ok(Incoming::Answer { counter, answer })
            }
            Back::Control(_) => Ok(Incoming::Pong { counter }),
        }
    }

    fn push(&mut self, push: &[u8]) -> Result<Incoming, ReceiveError> {
        let (counter, sealed) = split_counter(push).ok_or(ReceiveError::Unopened)?;
        if !self.pushes.is_fresh(counter) {
            return Err(ReceiveError::Unopened);
        }
        let opened = self.ciphers.push.open(counter, None, sealed).ok_or(ReceiveError::Unopened)?;
        self.pushes.take(counter);
        let talk = Talk::read(&opened)?;
        self.closed |= talk == Talk::Control(Control::Close);
        Ok(Incoming::Push(talk))
    }
}
