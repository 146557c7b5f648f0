//! What travels between a person and the node that keeps their trust relationships (`docs/trust.md`). Over HTTPS, with the
//! person's certificate as TLS client certificate; what comes back is for them alone and not signed.

use serde::{Deserialize, Serialize};

/// The largest answer: 500 edges with the longest addresses, escaped.
pub const LARGEST_TRUST_LIST: usize = 512 * 1024;

/// `GET /v1/trust`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustList {
    /// Whose.
    pub mailbox: String,
    /// In whom they declared trust, at most 500.
    pub edges: Vec<TrustEdge>,
}

/// A declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustEdge {
    /// In whom.
    pub mailbox: String,
    /// How it stands.
    pub state: TrustState,
    /// By which word the hub names this edge in its answers to this very key (`edge` in `docs/protocols/hub.md`); null where
    /// the node is no hub.
    pub edge: Option<String>,
}

/// How a declaration stands. Nothing of it tells whether the other side is known, until it has declared too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustState {
    /// Both sides declared it, for the keys that they hold now: it counts.
    Mutual,
    /// The other side has not declared it.
    Declared,
    /// One side holds another key since; this side has to declare it again.
    Renew,
    /// One side holds another key since; the other side has to declare it again.
    Waiting,
}

impl TrustState {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            TrustState::Mutual => "mutual",
            TrustState::Declared => "declared",
            TrustState::Renew => "renew",
            TrustState::Waiting => "waiting",
        }
    }
}

/// The path of one declaration.
pub fn trust_path(mailbox: &str) -> String {
    let mut path = String::from("/v1/trust/");
    for byte in mailbox.bytes() {
        match byte {
            // RFC 3986 section 2.3, and the @ that a path segment may hold (section 3.3).
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => path.push(byte.into()),
            other => path.push_str(&format!("%{other:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_one_segment() {
        assert_eq!(trust_path("ann@example.com"), "/v1/trust/ann@example.com");
        assert_eq!(trust_path("a/b?c#d%e+f@x.example"), "/v1/trust/a%2Fb%3Fc%23d%25e%2Bf@x.example");
    }

    #[test]
    fn states_are_written_as_they_are_shown() {
        for state in [TrustState::Mutual, TrustState::Declared, TrustState::Renew, TrustState::Waiting] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
