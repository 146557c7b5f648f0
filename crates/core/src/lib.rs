//! The vocabulary of Parallax and its pure decisions.
//!
//! Nothing here does I/O, reads a clock or draws randomness: moments and evidence go in, verdicts come out.

// Before all others: it is a macro.
#[macro_use]
mod text;

mod accepted;
mod dns;
mod dns_name;
mod edge_vote;
mod evidence;
mod history;
mod host_key;
mod id;
mod mail;
mod most;
mod notary;
mod observation;
mod observation_json;
mod old_rows;
mod plain;
mod policy;
mod record_kind;
mod resolution;
mod rows;
mod scheme;
mod scts;
mod service;
mod suite;
mod time;
mod verdict;

pub use accepted::{Accepted, BadPattern, HostPattern, OwnWord, Touched};
pub use dns::{
    BadCaAuth, BadTlsa, DnsAnswers, DnsSet, Dnssec, LARGEST_DNS_SET, LONGEST_RECORD_LIFE, MAX_AUTHORISED_KEYS,
    MAX_DNS_RECORDS, MAX_IGNORED, Record, Tlsa, parse_ca_auth,
};
pub use dns_name::{BadDnsName, DnsName};
pub use edge_vote::{CastView, EdgeOutcome, EdgeVote, LEAST_EDGES, LEAST_NETWORKS, MOST_OF_A_NETWORK};
pub use evidence::{Asked, AskedHub, Evidence, PeerTestimony, Testimony};
pub use history::{Authority, CONTINUITY, History, MAX_AUTHORITY, MAX_NETWORKS, MAX_SPANS, MAX_TURNS, Timespan, Turn};
pub use host_key::{BadHostKeyKind, HostKey, HostKeyKind, LONGEST_HOST_KEY};
pub use id::{BadHex, Fingerprint, KeyId, Md5Fingerprint, VantageId};
pub use mail::{MAX_RELAYS, MailRoute, Relay, RouteStanding, RouteVote, decide_mail};
pub use notary::{Md5Span, NotaryTestimony};
pub use observation::{BadCaId, BadNetwork, CaId, Look, Met, Network, Observation, Outcome, PublicCa, Starttls};
pub use old_rows::{with_old_rows, with_old_rows_side_by_side};
pub use plain::plainly;
pub use policy::{BadShare, Condition, HubVote, Policy, Share, Variation, compare, least_asked};
pub use record_kind::{BadRecordKind, RecordKind};
pub use resolution::{DnsTestimony, JudgedAnswer, NameRule, NameVerdict, Resolution, SetAgreement, Told};
pub use rows::LegacyRow;
pub use scheme::Scheme;
pub use scts::Scts;
pub use service::{BadService, Host, ServiceId};
pub use suite::{AeadKey, AeadKind, Signer, SigningFailed, Suite};
pub use time::{BadTimestamp, Timestamp};
pub use verdict::{Agreement, Counts, Decision, Judged, Rule, Verdict, Word};
