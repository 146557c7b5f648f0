//! What a server says instead of an answer, and how far a client believes it.

use std::time::Duration;

use parallax_core::{Signer, Suite};
use serde_json::{Map, Value, json};

use super::wire::{self, BadForm, put_lp};
use crate::descriptor::StatementKey;

/// The longest that a client obeys.
pub const LONGEST_OBEYED: Duration = Duration::from_secs(24 * 3600);

/// The longest reason that is shown, in characters.
const LONGEST_REASON: usize = 200;

/// What a server says instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The message can't be read: 400.
    BadMessage,
    /// Unknown or expired channel, bad signature, stale, replayed, not registered, not opened: 401, one uniform answer.
    Unauthorised,
    /// The key is blocked: 403.
    Forbidden,
    /// Too many: 429, with `retry_after`.
    TooManyRequests,
    /// Not now: 503.
    Unavailable,
}

impl Status {
    const ALL: [Status; 5] =
        [Status::BadMessage, Status::Unauthorised, Status::Forbidden, Status::TooManyRequests, Status::Unavailable];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::BadMessage => "bad_message",
            Status::Unauthorised => "unauthorised",
            Status::Forbidden => "forbidden",
            Status::TooManyRequests => "too_many_requests",
            Status::Unavailable => "unavailable",
        }
    }

    /// The HTTP status that goes with it.
    pub const fn http(self) -> u16 {
        match self {
            Status::BadMessage => 400,
            Status::Unauthorised => 401,
            Status::Forbidden => 403,
            Status::TooManyRequests => 429,
            Status::Unavailable => 503,
        }
    }
}

/// A status as it is written.
pub(super) struct Notice<'a> {
    pub(super) source: &'a str,
    pub(super) status: Status,
    pub(super) reason: &'a str,
    pub(super) retry_after: u64,
    pub(super) request_hash: [u8; 32],
}

impl Notice<'_> {
    /// In bytes; signed where a signer is given. A signer that fails leaves a hint.
    pub(super) fn write(&self, signer: Option<&dyn Signer>) -> Vec<u8> {
        let word = self.status.as_str();
        let input = status_input(self.source, word, self.reason, self.retry_after, &self.request_hash);
        let signature = signer.and_then(|signer| signer.sign(&input).ok()).map(|signature| wire::encode(&signature));
        let body = json!({
            "source": self.source,
            "status": word,
            "reason": self.reason,
            "retry_after": self.retry_after,
            "request_hash": wire::encode(&self.request_hash),
            "signature": signature,
        });
        body.to_string().into_bytes()
    }
}

fn status_input(source: &str, status: &str, reason: &str, retry_after: u64, request_hash: &[u8; 32]) -> Vec<u8> {
    let mut input = b"parallax channel status 1\0".to_vec();
    [source, status, reason].into_iter().for_each(|part| put_lp(&mut input, part.as_bytes()));
    input.extend_from_slice(&retry_after.to_be_bytes());
    input.extend_from_slice(request_hash);
    input
}

/// A status as a client was told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    status: Status,
    reason: String,
    retry_after: Duration,
    request_hash: [u8; 32],
    proved: bool,
}

impl Told {
    /// What was said.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why, in the server's words: shortened, without control characters.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the server's statement key signed it, for this client's own request. All else is a hint that anybody on
    /// the way may have made.
    pub fn is_proved(&self) -> bool {
        self.proved
    }

    /// How long the client has to stay away: what a proved `forbidden` or `too_many_requests` says, and at most
    /// [`LONGEST_OBEYED`]. `None` for what is only a hint.
    pub fn obeyed(&self) -> Option<Duration> {
        let binding = matches!(self.status, Status::Forbidden | Status::TooManyRequests);
        let wait = if self.retry_after.is_zero() && self.status == Status::Forbidden {
            LONGEST_OBEYED
        } else {
            self.retry_after
        };
        (self.proved && binding).then(|| wait.min(LONGEST_OBEYED))
    }

    pub(super) fn request_hash(&self) -> &[u8; 32] {
        &self.request_hash
    }

    /// Reads a status. `source` is the URL meant; `key` what the server is known by, where it is known.
    pub(super) fn read(
        suite: &dyn Suite,
        map: &Map<String, Value>,
        source: &str,
        key: Option<StatementKey>,
    ) -> Result<Self, BadForm> {
        let word = wire::text(map, "status")?;
        let status = Status::ALL.into_iter().find(|status| status.as_str() == word);
        let status = status.ok_or(BadForm::Field { field: "status", wanted: "one of the five words" })?;
        let (said_by, reason) = (wire::text(map, "source")?, wire::text(map, "reason")?);
        let retry_after = map.get("retry_after").and_then(Value::as_u64).unwrap_or(0);
        let request_hash = wire::exactly(map, "request_hash")?;
        let signature = map.get("signature").and_then(Value::as_str).and_then(wire::decode);
        let input = status_input(said_by, word, reason, retry_after, &request_hash);
        let holds = |key: StatementKey, signature: Vec<u8>| suite.verify_ed25519(key.as_bytes(), &input, &signature);
        let proved = said_by == source && key.zip(signature).is_some_and(|(key, signature)| holds(key, signature));
        let reason = reason.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect();
        Ok(Self { status, reason, retry_after: Duration::from_secs(retry_after), request_hash, proved })
    }

    /// Takes the proof away: it was said about another's request.
    pub(super) fn into_hint(mut self) -> Self {
        self.proved = false;
        self
    }
}
