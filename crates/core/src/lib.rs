//! The vocabulary of Parallax and its pure decisions.
//!
//! Nothing here does I/O, reads a clock or draws randomness: moments and evidence go in, verdicts come out.

// Before all others: it is a macro.
#[macro_use]
mod text;

mod accepted;
mod dns;
mod evidence;
mod history;
mod host_key;
mod id;
mod notary;
mod observation;
mod plain;
mod policy;
mod rows;
mod service;
mod suite;
mod time;
mod verdict;

pub use accepted::{Accepted, BadPattern, HostPattern, OwnWord, Touched};
pub use dns::{BadTlsa, DnsAnswers, DnsSet, Dnssec, Record, Tlsa, parse_ca_auth};
pub use evidence::{Asked, Evidence, Testimony};
pub use history::{Authority, CONTINUITY, History, MAX_AUTHORITY, MAX_NETWORKS, MAX_SPANS, MAX_TURNS, Timespan, Turn};
pub use host_key::{BadHostKeyKind, HostKey, HostKeyKind, LONGEST_HOST_KEY};
pub use id::{BadHex, Fingerprint, Md5Fingerprint, VantageId};
pub use notary::{Md5Span, NotaryTestimony};
pub use observation::{BadCaId, BadNetwork, CaId, Look, Met, Network, Observation, Outcome, PublicCa};
pub use plain::plainly;
pub use policy::{BadShare, Policy, Share, compare, least_asked};
pub use rows::LegacyRow;
pub use service::{BadService, Host, Scheme, ServiceId};
pub use suite::{Signer, SigningFailed, Suite};
pub use time::{BadTimestamp, Timestamp};
pub use verdict::{Agreement, Counts, Decision, Judged, Rule, Verdict, Word};
