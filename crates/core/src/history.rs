//! What one vantage point has seen of one service over time.

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dns::Record;
use crate::id::{Fingerprint, Md5Fingerprint};
use crate::observation::{CaId, Look, Met, Network, Outcome};
use crate::time::Timestamp;

/// A gap longer than this breaks a timespan: nothing is known of what was shown in between (Perspectives, 48 hours).
pub const CONTINUITY: Duration = Duration::from_secs(48 * 3600);

/// Timespans kept per service: a quarter for the newest, the others for those held longest.
pub const MAX_SPANS: usize = 64;

/// Authority entries kept per service, shared out in the same way.
pub const MAX_AUTHORITY: usize = 16;

/// Turns kept per service, the newest.
pub const MAX_TURNS: usize = 16;

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
    /// SHA-256 of the issuer's SubjectPublicKeyInfo, by the newest look.
    pub issuer_key: Option<Fingerprint>,
    /// The CA, by the newest look.
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

    /// Both are sights of one certificate, and no gap longer than [`CONTINUITY`] lies between them.
    fn reaches(&self, other: &Timespan) -> bool {
        let near = is_near((self.first_seen, self.last_seen), (other.first_seen, other.last_seen));
        self.leaf == other.leaf && self.proved == other.proved && near
    }

    /// What can change under one certificate (the chain sent along, the roots it is judged by) is as the newest look
    /// had it; else a span would keep the CA that a half-sent chain suggested years ago.
    fn join(&mut self, other: Timespan) {
        if other.last_seen > self.last_seen {
            // Mostly it was met where it was met last.
            if !self.networks.starts_with(&other.networks) {
                self.networks = newest_first(&other.networks, &self.networks);
            }
            self.issuer_key = other.issuer_key;
            self.ca_id = other.ca_id;
        } else {
            self.networks = newest_first(&self.networks, &other.networks);
        }
        self.leaf_md5 = self.leaf_md5.or(other.leaf_md5);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    fn by_held(a: &Timespan, b: &Timespan) -> Ordering {
        let worth = |span: &Timespan| (span.proved, span.held(), Reverse(span.first_seen), span.leaf);
        worth(a).cmp(&worth(b))
    }

    fn by_newest(a: &Timespan, b: &Timespan) -> Ordering {
        let worth = |span: &Timespan| (span.proved, span.last_seen, span.held(), span.leaf);
        worth(a).cmp(&worth(b))
    }
}

/// Whether the gap between two stretches of time is at most [`CONTINUITY`]; none when they overlap.
fn is_near(a: (Timestamp, Timestamp), b: (Timestamp, Timestamp)) -> bool {
    a.0.since(b.1) <= CONTINUITY && b.0.since(a.1) <= CONTINUITY
}

fn newest_first(newer: &[Network], older: &[Network]) -> Vec<Network> {
    let mut networks = Vec::with_capacity(MAX_NETWORKS);
    for network in newer.iter().chain(older) {
        if networks.len() < MAX_NETWORKS && !networks.contains(network) {
            networks.push(*network);
        }
    }
    networks
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

impl Authority {
    /// How long it stood, as far as was seen.
    fn held(&self) -> Duration {
        self.last_seen.since(self.first_seen)
    }

    fn reaches(&self, other: &Authority) -> bool {
        let near = is_near((self.first_seen, self.last_seen), (other.first_seen, other.last_seen));
        self.record == other.record && near
    }

    fn by_held(a: &Authority, b: &Authority) -> Ordering {
        (a.held(), Reverse(a.first_seen), &a.record).cmp(&(b.held(), Reverse(b.first_seen), &b.record))
    }

    fn by_newest(a: &Authority, b: &Authority) -> Ordering {
        (a.last_seen, a.held(), &a.record).cmp(&(b.last_seen, b.held(), &b.record))
    }
}

/// A service showed a certificate again, within its span, after it had shown another one. Only who tells time in turns
/// needs this: [`History::legacy_rows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Turn {
    /// The look that showed it again.
    pub at: Timestamp,
    /// SHA-256 of the leaf.
    pub leaf: Fingerprint,
}

/// The timespans of one service as one vantage point holds them, and what DNS authorised meanwhile.
///
/// Spans are a *set* of current certificates: each is extended while it is seen again within [`CONTINUITY`], so a site
/// that alternates between two certificates for a year keeps two rows. Looks may come in any order: a span covers the
/// moments at which its certificate was seen, as long as no gap between neighbours is longer than [`CONTINUITY`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Timespans, ordered by first sight, then leaf; at most [`MAX_SPANS`].
    pub spans: Vec<Timespan>,
    /// Records, ordered by first sight, then content; at most [`MAX_AUTHORITY`].
    pub authority: Vec<Authority>,
    /// Turns back to a certificate whose span went on, ordered by time; the newest [`MAX_TURNS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
}

impl History {
    /// Whether a record that authorised somebody was ever read.
    pub fn remembers_record(&self) -> bool {
        self.authority.iter().any(|entry| !entry.record.is_empty())
    }

    /// Takes in one look. A failed look extends no span; a failed lookup no record.
    pub fn absorb(&mut self, look: &Look) {
        let at = look.now.at;
        if let Some(record) = look.dns.record() {
            self.absorb_record(record, at);
        }
        if let Some(met) = look.now.met.as_ref().filter(|_| look.now.outcome == Outcome::Seen) {
            let network = look.now.address.map(|address| Network::of(address.ip()));
            self.turns.extend(self.turn(met, at));
            // An SSH server's keys are held each by itself.
            match met.host_keys.as_slice() {
                [] if self.extend(met, network, at) => {}
                [] => self.add_span(Timespan::opened_by(met, network, at)),
                keys => {
                    keys.iter().for_each(|key| self.add_span(Timespan::opened_by(&met.by_host_key(key), network, at)))
                }
            }
        }
        self.settle();
    }

    /// Adds spans and records from elsewhere (an import), as if the looks behind them had been taken in here. Doing it
    /// twice changes nothing, and the order of imports does not matter, except for the networks and the CA of spans that
    /// end in the same millisecond, and for what a full history drops. Rows that end before they begin are nonsense and
    /// left out.
    pub fn merge(&mut self, other: &History) {
        for span in other.spans.iter().filter(|span| span.first_seen <= span.last_seen) {
            let networks = newest_first(&span.networks, &[]);
            self.add_span(Timespan { networks, ..span.clone() });
        }
        for entry in other.authority.iter().filter(|entry| entry.first_seen <= entry.last_seen) {
            self.add_record(entry.clone());
        }
        self.turns.extend(&other.turns);
        self.settle();
    }

    /// When a certificate was last seen, proved or not; `None` when never.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.spans.iter().map(|span| span.last_seen).max()
    }

    /// Whether a look shows again what was shown before the newest certificate. One that arrives late tells nothing of
    /// turns: what was shown around it is not known any more.
    fn turn(&self, met: &Met, at: Timestamp) -> Option<Turn> {
        let proved = || self.spans.iter().filter(|span| span.proved);
        let newest = proved().map(|span| span.last_seen).max().filter(|newest| *newest <= at && met.proved)?;
        let shown_last = proved().any(|span| span.leaf == met.leaf && span.last_seen == newest);
        let goes_on = proved().any(|span| span.leaf == met.leaf && at.since(span.last_seen) <= CONTINUITY);
        (goes_on && !shown_last).then_some(Turn { at, leaf: met.leaf })
    }

    /// The newest look of all shows, where it met it last, what it showed before: all that changes is how long. Most looks
    /// are such, and a span is not made for them. False when this is none.
    fn extend(&mut self, met: &Met, network: Option<Network>, at: Timestamp) -> bool {
        let same = |span: &&mut Timespan| span.leaf == met.leaf && span.proved == met.proved;
        let mut those = self.spans.iter_mut().filter(same);
        let (Some(span), None) = (those.next(), those.next()) else { return false };
        let follows = span.last_seen < at && at.since(span.last_seen) <= CONTINUITY;
        let alike = span.key == met.key && span.issuer_key == met.issuer_key && span.ca_id == met.ca_id;
        let there = network.is_none_or(|network| span.networks.first() == Some(&network));
        let known = span.leaf_md5.is_some() || met.leaf_md5.is_none();
        if follows && alike && there && known {
            span.last_seen = at;
        }
        follows && alike && there && known
    }

    /// A look between two spans closes the gap, so one addition may draw in several rows.
    fn add_span(&mut self, mut added: Timespan) {
        while let Some(index) = self.spans.iter().position(|span| span.reaches(&added)) {
            let mut known = self.spans.swap_remove(index);
            known.join(added);
            added = known;
        }
        self.spans.push(added);
    }

    /// Most looks read what the newest one before them read.
    fn absorb_record(&mut self, record: Record, at: Timestamp) {
        let mut those = self.authority.iter_mut().filter(|entry| entry.record == record);
        match (those.next(), those.next()) {
            (Some(known), None) if known.last_seen <= at && at.since(known.last_seen) <= CONTINUITY => {
                known.last_seen = at;
            }
            _ => self.add_record(Authority { record, first_seen: at, last_seen: at }),
        }
    }

    fn add_record(&mut self, mut added: Authority) {
        while let Some(index) = self.authority.iter().position(|entry| entry.reaches(&added)) {
            let known = self.authority.swap_remove(index);
            added.first_seen = added.first_seen.min(known.first_seen);
            added.last_seen = added.last_seen.max(known.last_seen);
        }
        self.authority.push(added);
    }

    fn settle(&mut self) {
        keep_worthiest(&mut self.spans, MAX_SPANS, Timespan::by_held, Timespan::by_newest);
        keep_worthiest(&mut self.authority, MAX_AUTHORITY, Authority::by_held, Authority::by_newest);
        // Mostly a look makes a span longer and moves none; a stable sort would first make room for a copy of all.
        let by_begin = |span: &Timespan| (span.first_seen, span.leaf, span.proved);
        if !self.spans.is_sorted_by_key(by_begin) {
            self.spans.sort_by_key(by_begin);
        }
        self.authority.sort_by(|a, b| (a.first_seen, &a.record).cmp(&(b.first_seen, &b.record)));
        self.turns.sort_unstable();
        self.turns.dedup();
        self.turns.drain(..self.turns.len().saturating_sub(MAX_TURNS));
    }
}

/// What stays when there are too many rows: three quarters by how long they were held (on a tie those begun first), or
/// whoever can show a node a few dozen certificates could wash away what it remembers; one quarter by how recently they
/// were seen, or a full history could never learn a new certificate. A sighting never takes the place of a proved span.
fn keep_worthiest<T>(
    rows: &mut Vec<T>,
    limit: usize,
    by_held: fn(&T, &T) -> Ordering,
    by_newest: fn(&T, &T) -> Ordering,
) {
    if rows.len() <= limit {
        return;
    }
    let recent = limit / 4;
    rows.sort_by(|a, b| by_held(b, a));
    let mut rest = rows.split_off(limit - recent);
    rest.sort_by(|a, b| by_newest(b, a));
    rest.truncate(recent);
    rows.append(&mut rest);
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
