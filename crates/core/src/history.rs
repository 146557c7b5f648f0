//! What one vantage point has seen of one service over time.

use std::cmp::Reverse;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dns::Record;
use crate::id::{Fingerprint, Md5Fingerprint};
use crate::observation::{CaId, Look, Met, Network};
use crate::time::Timestamp;

/// A gap longer than this breaks a timespan: nothing is known of what was shown in between (Perspectives, 48 hours).
pub const CONTINUITY: Duration = Duration::from_secs(48 * 3600);

/// Timespans kept per service.
pub const MAX_SPANS: usize = 64;

/// Authority entries kept per service.
pub const MAX_AUTHORITY: usize = 16;

/// Networks kept per timespan, the newest.
pub const MAX_NETWORKS: usize = 8;

/// First to last time one certificate was seen at one service, without a gap longer than [`CONTINUITY`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timespan {
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// SHA-256 of the leaf. With `proved` it tells the rows of one service apart.
    pub leaf: Fingerprint,
    /// MD5 of the leaf, for old notaries.
    #[serde(default)]
    pub leaf_md5: Option<Md5Fingerprint>,
    /// SHA-256 of the issuer's SubjectPublicKeyInfo.
    pub issuer_key: Option<Fingerprint>,
    /// The CA.
    pub ca_id: CaId,
    /// Networks it was met in, newest first, at most [`MAX_NETWORKS`].
    pub networks: Vec<Network>,
    /// Whether the key was proved; a span of sightings is shown, never counted.
    #[serde(default = "proved", skip_serializing_if = "is_proved")]
    pub proved: bool,
    /// First look that showed it.
    pub first_seen: Timestamp,
    /// Newest look that showed it.
    pub last_seen: Timestamp,
}

fn proved() -> bool {
    true
}

fn is_proved(proved: &bool) -> bool {
    *proved
}

impl Timespan {
    /// How long it was held, as far as was seen.
    pub fn held(&self) -> Duration {
        self.last_seen.since(self.first_seen)
    }

    fn opened_by(met: &Met, network: Option<Network>, at: Timestamp) -> Self {
        Self {
            key: met.key,
            leaf: met.leaf,
            leaf_md5: met.leaf_md5,
            issuer_key: met.issuer_key,
            ca_id: met.ca_id.clone(),
            networks: network.into_iter().collect(),
            proved: met.proved,
            first_seen: at,
            last_seen: at,
        }
    }

    fn continues_with(&self, met: &Met, at: Timestamp) -> bool {
        self.leaf == met.leaf && self.proved == met.proved && continues(self.first_seen, self.last_seen, at)
    }

    fn extend(&mut self, network: Option<Network>, at: Timestamp) {
        self.last_seen = self.last_seen.max(at);
        if let Some(network) = network {
            self.networks.retain(|known| *known != network);
            self.networks.insert(0, network);
            self.networks.truncate(MAX_NETWORKS);
        }
    }
}

fn continues(first_seen: Timestamp, last_seen: Timestamp, at: Timestamp) -> bool {
    at >= first_seen && at.since(last_seen) <= CONTINUITY
}

/// What DNS authorised, over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// The record; an empty one is one too.
    #[serde(flatten)]
    pub record: Record,
    /// First lookup that gave it.
    pub first_seen: Timestamp,
    /// Newest lookup that gave it.
    pub last_seen: Timestamp,
}

/// The timespans of one service as one vantage point holds them, and what DNS authorised meanwhile.
///
/// Spans are a *set* of current certificates: each is extended while it is seen again within [`CONTINUITY`], so a site
/// that alternates between two certificates for a year keeps two rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Timespans, ordered by first sight, then leaf.
    pub spans: Vec<Timespan>,
    /// Records, ordered by first sight.
    pub authority: Vec<Authority>,
}

impl History {
    /// Takes in one look. A failed look extends no span; a failed lookup no record.
    pub fn absorb(&mut self, look: &Look) {
        let at = look.now.at;
        if let Some(record) = look.dns.record() {
            self.absorb_record(record, at);
        }
        if let Some(met) = &look.now.met {
            let network = look.now.address.map(|address| Network::of(address.ip()));
            self.absorb_certificate(met, network, at);
        }
    }

    fn absorb_certificate(&mut self, met: &Met, network: Option<Network>, at: Timestamp) {
        match self.spans.iter_mut().find(|span| span.continues_with(met, at)) {
            Some(span) => span.extend(network, at),
            None => self.spans.push(Timespan::opened_by(met, network, at)),
        }
        self.settle_spans();
    }

    fn absorb_record(&mut self, record: Record, at: Timestamp) {
        let same = |entry: &&mut Authority| entry.record == record && continues(entry.first_seen, entry.last_seen, at);
        match self.authority.iter_mut().find(same) {
            Some(entry) => entry.last_seen = entry.last_seen.max(at),
            None => self.authority.push(Authority { record, first_seen: at, last_seen: at }),
        }
        self.authority.sort_by_key(|entry| (entry.first_seen, entry.last_seen));
        if self.authority.len() > MAX_AUTHORITY {
            drop_one(&mut self.authority, |entry| (entry.last_seen.since(entry.first_seen), entry.last_seen));
        }
    }

    /// Adds spans and records from elsewhere (an import). What is there already stays; importing twice changes nothing.
    pub fn merge(&mut self, other: &History) {
        for span in &other.spans {
            if !self.spans.contains(span) {
                self.spans.push(span.clone());
            }
        }
        self.settle_spans();
        for entry in &other.authority {
            if !self.authority.contains(entry) {
                self.authority.push(entry.clone());
            }
        }
        self.authority.sort_by_key(|entry| (entry.first_seen, entry.last_seen));
        while self.authority.len() > MAX_AUTHORITY {
            drop_one(&mut self.authority, |entry| (entry.last_seen.since(entry.first_seen), entry.last_seen));
        }
    }

    /// When full, the span that was held shortest goes, not the oldest: else whoever can show a node sixty-four
    /// certificates could wash away what it remembers.
    fn settle_spans(&mut self) {
        while self.spans.len() > MAX_SPANS {
            drop_one(&mut self.spans, |span| (span.held(), Reverse(span.proved), span.last_seen));
        }
        self.spans.sort_by_key(|span| (span.first_seen, span.leaf, span.last_seen));
    }
}

fn drop_one<T, K: Ord>(rows: &mut Vec<T>, worth: impl Fn(&T) -> K) {
    if let Some((index, _)) = rows.iter().enumerate().min_by_key(|(_, row)| worth(row)) {
        rows.remove(index);
    }
}
