//! The server's end of one channel. It lives in this process and is never restored, or nonces would repeat.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{KeyId, Timestamp};

use super::super::ChannelLimits;
use super::super::key::ClientKey;
use super::super::seal::{Ciphers, split_counter};
use super::super::talk::Warning;
use super::super::window::Window;
use super::answers::Answers;

/// Less than this left is said with every answer.
const SOON: Duration = Duration::from_secs(60);

/// A way to a client, such as a WebSocket: named by whoever owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// Why a channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelEnd {
    /// Its time was over, or another took its place.
    Expired,
    /// Nothing was heard on it.
    Idle,
    /// Its key opened more than it may have.
    Crowded,
    /// The client closed it.
    Closed,
    /// Its key may not come any more.
    Denied,
}

/// What opened.
pub(super) struct Heard {
    pub(super) counter: u64,
    pub(super) plaintext: Vec<u8>,
}

/// The server's end of one channel.
pub(super) struct Room {
    pub(super) shown: Arc<ClientKey>,
    pub(super) source: String,
    pub(super) answers: Answers,
    ciphers: Ciphers,
    pub(super) opened_at: Timestamp,
    life: Duration,
    pub(super) valid_until: Timestamp,
    pub(super) replaced: bool,
    last_heard: Timestamp,
    limits: ChannelLimits,
    requests: Window,
    heard: u64,
    next_push: u64,
    connection: Option<Connection>,
}

impl Room {
    pub(super) fn new(
        shown: Arc<ClientKey>,
        source: String,
        ciphers: Ciphers,
        (now, valid_until): (Timestamp, Timestamp),
        limits: ChannelLimits,
    ) -> Self {
        Self {
            shown,
            source,
            answers: Answers::default(),
            ciphers,
            opened_at: now,
            life: valid_until.since(now),
            valid_until,
            replaced: false,
            last_heard: now,
            limits,
            requests: Window::default(),
            heard: 0,
            next_push: 0,
            connection: None,
        }
    }

    pub(super) fn key(&self) -> KeyId {
        self.shown.id()
    }

    pub(super) fn connection(&self) -> Option<Connection> {
        self.connection
    }

    /// Why it has ended, if it has.
    pub(super) fn ended(&self, now: Timestamp) -> Option<ChannelEnd> {
        if now >= self.valid_until {
            return Some(ChannelEnd::Expired);
        }
        (now >= self.idle_at()).then_some(ChannelEnd::Idle)
    }

    /// Whether it carried what it may: what is under way is still answered.
    pub(super) fn is_exhausted(&self) -> bool {
        self.heard >= self.limits.messages
    }

    /// When it ends if nothing is heard.
    pub(super) fn deadline(&self) -> Timestamp {
        self.valid_until.min(self.idle_at())
    }

    fn idle_at(&self) -> Timestamp {
        self.last_heard.plus(self.limits.idle())
    }

    /// Whether less than a tenth of its life has passed.
    pub(super) fn is_young(&self, now: Timestamp) -> bool {
        now.since(self.opened_at) < self.life / 10
    }

    /// Another channel took its place.
    pub(super) fn replace(&mut self, overlap: Duration, now: Timestamp) {
        self.replaced = true;
        self.valid_until = self.valid_until.min(now.plus(overlap));
    }

    /// Opens a request. The window and the way back move only when it opened.
    pub(super) fn open(&mut self, request: &[u8], connection: Option<Connection>, now: Timestamp) -> Option<Heard> {
        let (counter, sealed) = split_counter(request)?;
        if !self.requests.is_fresh(counter) {
            return None;
        }
        let plaintext = self.ciphers.request.open(counter, None, sealed)?;
        let newest = self.requests.take(counter);
        self.heard += 1;
        self.last_heard = now;
        if newest && connection.is_some() {
            self.connection = connection;
        }
        Some(Heard { counter, plaintext })
    }

    pub(super) fn seal_answer(&self, counter: u64, request_hash: &[u8; 32], plaintext: &[u8]) -> Option<Vec<u8>> {
        self.ciphers.answer.seal(counter, Some(request_hash), plaintext)
    }

    pub(super) fn seal_push(&mut self, plaintext: &[u8]) -> Option<Vec<u8>> {
        let counter = self.next_push;
        self.next_push = counter.checked_add(1)?;
        self.ciphers.push.seal(counter, None, plaintext)
    }

    /// What has to be said with every answer now.
    pub(super) fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let left = self.valid_until.since(now);
        let few = self.limits.messages - self.heard.min(self.limits.messages) < self.limits.messages / 10;
        let soon = left < SOON || left < self.life / 10 || few;
        soon.then_some(Warning::Expiring).into_iter().collect()
    }
}
