//! Signed DNS answers (`GET /v1/dns`).

use std::collections::BTreeMap;

use parallax_core::{DnsSet, Signer, SigningFailed, Timestamp, VantageId};
use serde::{Deserialize, Serialize};

use crate::jws;
use crate::signed::Signed;

/// `format` of a DNS answer.
pub const DNS_FORMAT: &str = "parallax-dns/1";

/// The record types that one question may name.
pub const MAX_DNS_TYPES: usize = 16;

/// What DNS says from one vantage point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsReply {
    /// [`DNS_FORMAT`].
    pub format: String,
    /// Who.
    pub vantage: VantageId,
    /// The region its operator claims.
    pub region: Option<String>,
    /// The name, in A-labels.
    pub name: String,
    /// The asker's nonce.
    pub nonce: Option<String>,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts.
    pub valid_until: Timestamp,
    /// Per record type, such as `A`.
    pub answers: BTreeMap<String, DnsSet>,
}

impl DnsReply {
    /// Signs it with the node's statement key.
    pub fn sign(&self, statement_key: &dyn Signer) -> Result<Signed, SigningFailed> {
        let body = serde_json::to_string(self).map_err(|_| SigningFailed)?;
        let signature = jws::sign(statement_key, self.vantage, None, body.as_bytes())?;
        Ok(Signed { body, signature })
    }
}
