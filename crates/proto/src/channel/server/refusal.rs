//! What a server does not do, and why.

use std::borrow::Cow;
use std::time::Duration;

use super::super::status::{Notice, Status};
use super::face::Face;

/// Why, for the operator's figures. What the client is told is coarser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It can't be read.
    Form,
    /// Its source address asks for too many channels, or sends too much that opens nowhere.
    Address,
    /// It is meant for another URL or another server.
    Server,
    /// It is older, or newer, than two minutes.
    Stale,
    /// It was met before.
    Replayed,
    /// The signature does not hold.
    Signature,
    /// The key is not registered, its certificate does not count, or the channel to replace is not its own.
    NotRegistered,
    /// The key is blocked.
    Blocked,
    /// The key asks for channels too often.
    KeyRate,
    /// The key's channels are replaced too early, too often.
    Frequent,
    /// There is no such channel (any more).
    NoChannel,
    /// It does not open.
    Unopened,
    /// It opened and is nonsense, or another request under an id in use.
    Violation,
    /// Too much is under way.
    Busy,
    /// The server can't sign or seal.
    Failed,
}

impl Why {
    /// The word in figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Form => "form",
            Why::Address => "address",
            Why::Server => "server",
            Why::Stale => "stale",
            Why::Replayed => "replayed",
            Why::Signature => "signature",
            Why::NotRegistered => "not-registered",
            Why::Blocked => "blocked",
            Why::KeyRate => "key-rate",
            Why::Frequent => "frequent",
            Why::NoChannel => "no-channel",
            Why::Unopened => "unopened",
            Why::Violation => "violation",
            Why::Busy => "busy",
            Why::Failed => "failed",
        }
    }

    const fn status(self) -> Status {
        match self {
            Why::Form | Why::Violation => Status::BadMessage,
            Why::Blocked => Status::Forbidden,
            Why::Address | Why::KeyRate | Why::Frequent => Status::TooManyRequests,
            Why::Busy | Why::Failed => Status::Unavailable,
            Why::Server
            | Why::Stale
            | Why::Replayed
            | Why::Signature
            | Why::NotRegistered
            | Why::NoChannel
            | Why::Unopened => Status::Unauthorised,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Why::Form => "the message can't be read",
            Why::Address => "your address sends more than it may",
            Why::Blocked => "this key is blocked",
            Why::KeyRate => "this key asks for channels too often",
            Why::Frequent => "this key's channels are replaced too early, too often",
            Why::Violation => "what was sealed can't be used",
            Why::Busy => "too much is under way",
            Why::Failed => "the server can't sign now",
            // One text for all: nothing is told about keys and channels.
            _ => "no such channel, or the request does not count here and now",
        }
    }
}

/// A refusal: what the client is told instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    why: Why,
    reason: Cow<'static, str>,
    retry_after: Duration,
    request_hash: [u8; 32],
    source: Option<String>,
    proved: bool,
}

impl Refusal {
    pub(super) fn new(why: Why, request_hash: [u8; 32]) -> Self {
        let reason = Cow::Borrowed(why.reason());
        Self { why, reason, retry_after: Duration::ZERO, request_hash, source: None, proved: false }
    }

    pub(super) fn because(self, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), ..self }
    }

    pub(super) fn after(self, retry_after: Duration) -> Self {
        Self { retry_after, ..self }
    }

    /// From the URL that the client signed.
    pub(super) fn from(self, source: &str) -> Self {
        Self { source: Some(source.to_owned()), ..self }
    }

    /// The key's own signature or tag held: the status is signed, and the client may obey it.
    pub(super) fn signed(self) -> Self {
        Self { proved: true, ..self }
    }

    /// Why.
    pub fn why(&self) -> Why {
        self.why
    }

    /// What the client is told.
    pub fn status(&self) -> Status {
        self.why.status()
    }

    /// In words.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// How long to stay away, in whole seconds, rounded up; 0 when nothing is said about it.
    pub fn retry_after_secs(&self) -> u64 {
        self.retry_after.as_secs() + u64::from(self.retry_after.subsec_nanos() > 0)
    }

    /// The status body.
    pub fn write(&self, face: &Face) -> Vec<u8> {
        let notice = Notice {
            source: self.source.as_deref().unwrap_or_else(|| face.address()),
            status: self.status(),
            reason: &self.reason,
            retry_after: self.retry_after_secs(),
            request_hash: self.request_hash,
        };
        notice.write(self.proved.then(|| face.signer()))
    }
}
