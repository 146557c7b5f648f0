//! What travels between vantage points and those who ask them: wire types, signatures and the checks that turn a
//! stranger's bytes into something that may count. No I/O, no clock, no randomness.

pub mod channel;
mod descriptor;
mod dns;
pub mod hub;
pub mod janus;
mod jws;
pub mod mirror;
mod perspectives;
mod perspectives_reply;
mod public_key;
mod signed;
pub mod trust;
mod view;

use std::time::Duration;

pub use descriptor::{
    DESCRIPTOR_LIFE, Descriptor, DescriptorError, LARGEST_DESCRIPTOR, RIRS, StatementKey, VANTAGE_FORMAT, vantage_id,
};
pub use dns::{DNS_FORMAT, DnsQuestion, DnsReply, DnsReplyError, LARGEST_DNS_REPLY, MAX_DNS_TYPES};
pub use jws::BadSignature;
pub use perspectives::{
    BadLegacyRequest, LEGACY_CONTENT_TYPE, LegacyHistory, LegacyKind, LegacyParameters, LegacyRequest,
};
pub use perspectives_reply::{LARGEST_REPLY, NotaryReply, ReplyError};
pub use public_key::{BadPublicKey, PublicKey};
pub use signed::{SIGNATURE_HEADER, Signed, Verified};
pub use view::{
    Contradiction, DEFAULT_MAX_AGE, DEFAULT_WAIT, Expected, LARGEST_VIEW, LONGEST_NONCE, LONGEST_WAIT, Question,
    VIEW_FORMAT, VIEW_LIFE, View, ViewError, contradiction, history_contradiction,
};

/// How far two honest clocks may stand apart.
pub const CLOCK_SKEW: Duration = Duration::from_secs(120);

/// Whether a text may be a region code: lower-case letters, digits and hyphens, 1 to 32.
pub fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
