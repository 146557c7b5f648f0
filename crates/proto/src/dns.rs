//! The question to DNS from elsewhere (`GET /v1/dns`), and the one place where its answers are believed.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::{DnsName, DnsSet, LARGEST_DNS_SET, RecordKind, Signer, SigningFailed, Suite, Timestamp, VantageId};
use serde::{Deserialize, Serialize};

use crate::is_region;
use crate::jws::{self, BadSignature, Parsed};
use crate::signed::{Signed, Verified};
use crate::view::{Expected, Untimely, is_current, percent_encode};

/// `format` of a DNS answer.
pub const DNS_FORMAT: &str = "parallax-dns/1";

/// The record types that one question may name.
pub const MAX_DNS_TYPES: usize = 16;

/// The largest DNS answer that is read: every type at its largest, and what stands around them.
pub const LARGEST_DNS_REPLY: usize = MAX_DNS_TYPES * (LARGEST_DNS_SET + 256) + 4096;

/// What is asked of a vantage point's DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuestion {
    /// The name.
    pub name: DnsName,
    /// The record types, 1 to [`MAX_DNS_TYPES`].
    pub kinds: BTreeSet<RecordKind>,
    /// Echoed in the answer; at most [`crate::LONGEST_NONCE`] characters.
    pub nonce: Option<String>,
}

impl DnsQuestion {
    /// Path and query of `GET /v1/dns`.
    pub fn to_path(&self) -> String {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        let mut path = format!("/v1/dns?name={}&types={}", self.name, kinds.join(","));
        if let Some(nonce) = &self.nonce {
            path.push_str("&nonce=");
            percent_encode(&mut path, nonce);
        }
        path
    }
}

/// What DNS says from one vantage point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsReply {
    /// [`DNS_FORMAT`].
    pub format: String,
    /// Who.
    pub vantage: VantageId,
    /// The region its operator claims.
    pub region: Option<String>,
    /// The name.
    pub name: DnsName,
    /// The asker's nonce.
    pub nonce: Option<String>,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts, at most [`crate::VIEW_LIFE`] later.
    pub valid_until: Timestamp,
    /// Exactly the types that were asked for.
    pub answers: BTreeMap<RecordKind, DnsSet>,
}

/// Why a DNS answer is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsReplyError {
    /// The signature does not hold.
    #[error("{0}")]
    Signature(#[from] BadSignature),
    /// It can't be read, or contradicts itself.
    #[error("the DNS answer can't be read: {0}")]
    Malformed(String),
    /// It is another kind of document.
    #[error("the answer has format \"{0}\", not \"{DNS_FORMAT}\"")]
    Format(String),
    /// It speaks for somebody else.
    #[error("the DNS answer is of vantage point {found}, not {expected}")]
    Vantage {
        /// Who was asked.
        expected: VantageId,
        /// Who it speaks for.
        found: VantageId,
    },
    /// It answers another question.
    #[error("the DNS answer is about {found}, not {expected}")]
    Name {
        /// What was asked.
        expected: DnsName,
        /// What it is about.
        found: DnsName,
    },
    /// It holds other record types than were asked for.
    #[error("the DNS answer holds the types {found}, not {expected}")]
    Kinds {
        /// What was asked.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// It is an answer to somebody else, or to an earlier question.
    #[error("the DNS answer does not echo the nonce of this question: it may be an old answer shown again")]
    Nonce,
    /// It is not valid now.
    #[error("the DNS answer is valid from {issued_at} to {valid_until}; it is {now} here (is a clock wrong?)")]
    NotCurrent {
        /// When it was signed.
        issued_at: Timestamp,
        /// Until when it counts.
        valid_until: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// It claims to count for longer than any may.
    #[error("the DNS answer claims to be valid for more than 5 minutes")]
    TooLong,
}

impl DnsReply {
    /// Signs it with the node's statement key.
    pub fn sign(&self, statement_key: &dyn Signer) -> Result<Signed, SigningFailed> {
        let body = serde_json::to_string(self).map_err(|_| SigningFailed)?;
        let signature = jws::sign(statement_key, self.vantage, None, body.as_bytes())?;
        Ok(Signed { body, signature })
    }

    /// Believes an answer only if signature, format, vantage, name, types, nonce and age are what was asked for and it
    /// does not contradict itself.
    pub fn verify(
        suite: &dyn Suite,
        expected: &Expected<'_, DnsQuestion>,
        signed: Signed,
    ) -> Result<Verified<DnsReply>, DnsReplyError> {
        let malformed = |why: String| DnsReplyError::Malformed(why);
        if signed.body.len() > LARGEST_DNS_REPLY {
            return Err(malformed(format!("it is larger than {LARGEST_DNS_REPLY} bytes")));
        }
        let jws = Parsed::read(&signed.signature)?;
        jws.verify_ed25519(suite, expected.statement_key.as_bytes(), expected.vantage, signed.body.as_bytes())?;
        is_of_this_format(&signed.body)?;
        let reply: DnsReply = serde_json::from_str(&signed.body).map_err(|error| malformed(error.to_string()))?;
        reply.answers(expected)?;
        reply.is_coherent().map_err(|why| malformed(why.into()))?;
        Ok(Verified::new(reply, signed))
    }

    fn answers(&self, expected: &Expected<'_, DnsQuestion>) -> Result<(), DnsReplyError> {
        let question = expected.question;
        if self.vantage != expected.vantage {
            return Err(DnsReplyError::Vantage { expected: expected.vantage, found: self.vantage });
        }
        if self.name != question.name {
            return Err(DnsReplyError::Name { expected: question.name.clone(), found: self.name.clone() });
        }
        if !self.answers.keys().eq(&question.kinds) {
            let (expected, found) = (listed(&question.kinds), listed(self.answers.keys()));
            return Err(DnsReplyError::Kinds { expected, found });
        }
        if question.nonce.is_some() && self.nonce != question.nonce {
            return Err(DnsReplyError::Nonce);
        }
        let (issued_at, valid_until, now) = (self.issued_at, self.valid_until, expected.now);
        is_current(issued_at, valid_until, now).map_err(|untimely| match untimely {
            Untimely::TooLong => DnsReplyError::TooLong,
            Untimely::NotCurrent => DnsReplyError::NotCurrent { issued_at, valid_until, now },
        })
    }

    fn is_coherent(&self) -> Result<(), &'static str> {
        if self.region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err("region must be lower-case letters, digits and hyphens, at most 32");
        }
        self.answers.values().try_for_each(DnsSet::is_coherent)
    }
}

/// Read before the rest: a view signed by the same key must be refused as what it is.
fn is_of_this_format(body: &str) -> Result<(), DnsReplyError> {
    #[derive(Deserialize)]
    struct Kind {
        format: String,
    }
    let kind: Kind = serde_json::from_str(body).map_err(|error| DnsReplyError::Malformed(error.to_string()))?;
    if kind.format == DNS_FORMAT { Ok(()) } else { Err(DnsReplyError::Format(kind.format.chars().take(40).collect())) }
}

fn listed<'a>(kinds: impl IntoIterator<Item = &'a RecordKind>) -> String {
    kinds.into_iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",")
}
