//! `GET /v1/ca`: whose certificates count, and which keys no longer do.

use std::time::Duration;

use parallax_core::{Fingerprint, Timestamp, VantageId};
use serde::{Deserialize, Serialize};

use crate::mirror::bounded::at_most;
use crate::mirror::{Heading, Statement};

/// `format` of the list.
pub const CA_FORMAT: &str = "parallax-deny/1";

/// How long a list counts. Whoever relies on it fetches it every five minutes.
pub const CA_LIFE: Duration = Duration::from_secs(3600);

/// The keys on one list: what was revoked and whose certificates have not ended by themselves.
pub const MOST_DENIED: usize = 100_000;

/// The roots on one list: one, and its successor while they change.
pub const MOST_ROOTS: usize = 4;

/// The issuing certificates on one list.
pub const MOST_ISSUING: usize = 8;

/// The largest certificate, in PEM.
pub const LARGEST_CERTIFICATE: usize = 8 * 1024;

/// The largest list: a key takes 67 bytes.
pub const LARGEST_CA_LIST: usize = 8 * 1024 * 1024;

/// The authorities of one node and its deny list, signed by its statement key. Relied on as `Verified<CaList>` alone
/// ([`crate::mirror::verify`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaList {
    /// [`CA_FORMAT`].
    pub format: String,
    /// Whose list.
    pub vantage: VantageId,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts, at most [`CA_LIFE`] later.
    pub valid_until: Timestamp,
    /// The roots in PEM, at most [`MOST_ROOTS`].
    #[serde(deserialize_with = "at_most::<MOST_ROOTS, _, _>")]
    pub roots: Vec<String>,
    /// The issuing certificates in PEM, the newest first, at most [`MOST_ISSUING`]. For people and tools; a client's chain
    /// brings its own.
    #[serde(deserialize_with = "at_most::<MOST_ISSUING, _, _>")]
    pub issuing: Vec<String>,
    /// The ids of keys that count no more, at most [`MOST_DENIED`].
    #[serde(deserialize_with = "at_most::<MOST_DENIED, _, _>")]
    pub keys: Vec<Fingerprint>,
}

impl Statement for CaList {
    const FORMAT: &'static str = CA_FORMAT;
    const LARGEST: usize = LARGEST_CA_LIST;
    const LIFE: Duration = CA_LIFE;

    fn heading(&self) -> Heading<'_> {
        let Self { format, vantage, issued_at, valid_until, .. } = self;
        Heading { format, vantage: *vantage, issued_at: *issued_at, valid_until: *valid_until }
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.roots.is_empty() || self.roots.len() > MOST_ROOTS || self.issuing.len() > MOST_ISSUING {
            return Err("a list names 1 to 4 roots and at most 8 issuing certificates");
        }
        if self.roots.iter().chain(&self.issuing).any(|pem| pem.len() > LARGEST_CERTIFICATE) {
            return Err("a certificate of an authority has at most 8 KiB in PEM");
        }
        if self.keys.len() > MOST_DENIED {
            return Err("a list has at most 100000 keys");
        }
        Ok(())
    }
}
