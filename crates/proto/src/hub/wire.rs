//! The five messages, as they stand in `run` (`docs/protocols/hub.md`, messages). Unknown fields are ignored.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parallax_core::ServiceId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::is_region;
use crate::signed::Signed;

/// Views that one question may ask for.
pub const MOST_REPLIES: u16 = 100;

/// Views that are asked for when no number is named.
pub const DEFAULT_REPLIES: u16 = 5;

/// The longest time that a question may take.
pub const LONGEST_DEADLINE: Duration = Duration::from_millis(LONGEST_DEADLINE_MS as u64);

const LONGEST_DEADLINE_MS: u32 = 20_000;

/// The shortest, in milliseconds: less is no time for a look.
const SHORTEST_DEADLINE_MS: u32 = 100;

/// The longest SubjectPublicKeyInfo that is read: that of a 4096-bit RSA key.
const LONGEST_SPKI: usize = 600;

macro_rules! random_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = decoded(deserializer)?;
                let bad = |found: Vec<u8>| {
                    de::Error::custom(format_args!(
                        concat!($what, " is ", $len, " bytes in base64url without padding, not {} bytes"),
                        found.len()
                    ))
                };
                bytes.try_into().map(Self).map_err(bad)
            }
        }
    };
}

random_bytes!(
    /// What the asker drew, and the peer's view echoes: an old answer shown again does not hold it. 32 random bytes.
    Nonce,
    32,
    "a nonce"
);
random_bytes!(
    /// Which look a `seen` answers. 16 random bytes.
    LookId,
    16,
    "a look_id"
);

fn decoded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| de::Error::custom("not base64url without padding"))
}

/// A peer's SubjectPublicKeyInfo, DER: never its certificate, which names a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSpki(pub Vec<u8>);

impl Serialize for PeerSpki {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for PeerSpki {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = decoded(deserializer)?;
        if bytes.len() > LONGEST_SPKI {
            return Err(de::Error::custom(format_args!("a public key of more than {LONGEST_SPKI} bytes")));
        }
        Ok(Self(bytes))
    }
}

/// `attach`, peer to hub. The peer's network is the one that the hub sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ReadAttach")]
pub struct Attach {
    /// The region that the peer claims.
    pub region: Option<String>,
    /// How many looks a minute it offers; at least 1.
    pub looks_per_minute: u32,
}

#[derive(Deserialize)]
struct ReadAttach {
    #[serde(default)]
    region: Option<String>,
    looks_per_minute: u32,
}

impl TryFrom<ReadAttach> for Attach {
    type Error = &'static str;

    fn try_from(read: ReadAttach) -> Result<Self, Self::Error> {
        let ReadAttach { region, looks_per_minute } = read;
        if region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err("region must be lower-case letters, digits and hyphens, at most 32");
        }
        if looks_per_minute == 0 {
            return Err("looks_per_minute must be at least 1: who looks for nobody is no peer");
        }
        Ok(Self { region, looks_per_minute })
    }
}

/// `ask`, client to hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ReadAsk")]
pub struct Ask {
    /// What is asked about.
    pub service: ServiceId,
    /// How many views are wanted: 1 to [`MOST_REPLIES`].
    pub replies: u16,
    /// For how long, in milliseconds: 100 to 20,000.
    pub deadline_ms: u32,
    /// How old a view may be that answers from the hub's memory; 0 means that every peer looks now.
    pub max_age_secs: u32,
    /// Echoed in every view that is looked for now.
    pub nonce: Nonce,
}

#[derive(Deserialize)]
struct ReadAsk {
    service: ServiceId,
    replies: u64,
    deadline_ms: u64,
    #[serde(default)]
    max_age_secs: u64,
    nonce: Nonce,
}

/// Why a question is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAsk {
    /// Too many or none.
    #[error("replies must be 1 to {MOST_REPLIES}, not {0}")]
    Replies(u64),
    /// Too long or too short.
    #[error("deadline_ms must be {SHORTEST_DEADLINE_MS} to {LONGEST_DEADLINE_MS}, not {0}")]
    Deadline(u64),
}

impl TryFrom<ReadAsk> for Ask {
    type Error = BadAsk;

    fn try_from(read: ReadAsk) -> Result<Self, BadAsk> {
        let ReadAsk { service, replies, deadline_ms, max_age_secs, nonce } = read;
        let wanted = u16::try_from(replies).ok().filter(|wanted| (1..=MOST_REPLIES).contains(wanted));
        let deadline = u32::try_from(deadline_ms).ok();
        let deadline = deadline.filter(|ms| (SHORTEST_DEADLINE_MS..=LONGEST_DEADLINE_MS).contains(ms));
        Ok(Self {
            service,
            replies: wanted.ok_or(BadAsk::Replies(replies))?,
            deadline_ms: deadline.ok_or(BadAsk::Deadline(deadline_ms))?,
            max_age_secs: u32::try_from(max_age_secs).unwrap_or(u32::MAX),
            nonce,
        })
    }
}

/// `look`, hub to peer, a push. Never the asker's own view: a peer that knows it can echo it and always agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// To be named in `seen`.
    pub look_id: LookId,
    /// Where to look.
    pub service: ServiceId,
    /// The asker's, to be echoed in the view.
    pub nonce: Nonce,
    /// How long the hub waits; a look that takes longer is told as failed before that. 0 or absent: not said.
    #[serde(default)]
    pub wait_ms: u32,
}

/// `seen`, peer to hub: a view (failed looks are views too), or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which look.
    pub look_id: LookId,
    /// The signed view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Signed>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Unseen>,
}

/// Why a peer did not look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unseen {
    /// It has looked often enough this minute.
    Busy,
    /// Anything else.
    #[serde(other)]
    Failed,
}

/// `answer`, hub to client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The peer's signed view.
    pub view: Signed,
    /// The peer's key.
    pub peer: PeerSpki,
    /// The peer's network: an opaque word, constant for this asker.
    pub network: String,
    /// The trust relationship through which it came, likewise; all strangers together are one.
    pub edge: String,
    /// Whether that is one of the asker's own.
    #[serde(default)]
    pub trusted: bool,
    /// It was there already: the nonce in it is another asker's.
    pub cached: bool,
}

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Peers that were asked to look.
    pub asked: u32,
    /// Views that were given, those from memory included.
    pub answered: u32,
    /// Of these, from memory.
    pub cached: u32,
    /// Peers that were asked and failed, went away or were not waited for.
    pub failed: u32,
}

/// Why a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// All views that were asked for are there.
    Complete,
    /// Nobody is left to ask.
    NobodyLeft,
    /// The time is over.
    Deadline,
    /// This service or its network has been looked at often enough for now.
    Limited,
    /// The hub stops.
    Stopping,
}

impl Ended {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ended::Complete => "complete",
            Ended::NobodyLeft => "nobody-left",
            Ended::Deadline => "deadline",
            Ended::Limited => "limited",
            Ended::Stopping => "stopping",
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The answer to `ask`: over HTTP with all views in it; over a WebSocket, where each was a push, without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// The views.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// How many.
    pub counts: Counts,
    /// Why it ended.
    pub ended: Ended,
}
