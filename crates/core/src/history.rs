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
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::dns::{DnsAnswers, Tlsa};
    use crate::observation::{Observation, PublicCa};

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn print(number: u16) -> Fingerprint {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        Fingerprint::from_bytes(bytes)
    }

    fn look(leaf: u16, ms: i64) -> Look {
        let met = Met {
            protocol: "TLSv1.3".into(),
            proved: true,
            leaf: print(leaf),
            leaf_md5: None,
            key: print(leaf),
            issuer_key: None,
            chain: vec![print(leaf)],
            path: vec![print(leaf)],
            names: vec!["example.com".into()],
            not_before: at(0),
            not_after: at(365 * DAY),
            ca_id: CaId::Key(print(leaf)),
            public_ca: PublicCa::UnknownIssuer,
            host_keys: Vec::new(),
            scts: None,
        };
        let address = Some(SocketAddr::from(([192, 0, 2, 10], 443)));
        let now = Observation::seen(at(ms), address, met);
        Look { dns: DnsAnswers::default(), now }
    }

    fn sighting(leaf: u16, ms: i64) -> Look {
        let mut look = look(leaf, ms);
        look.now.met.as_mut().unwrap().proved = false;
        look
    }

    fn from_network(octet: u8, ms: i64) -> Look {
        let mut look = look(1, ms);
        look.now.address = Some(SocketAddr::from(([10, octet, 0, 1], 443)));
        look
    }

    fn record(ca: u16, ms: i64) -> Look {
        let dns = DnsAnswers { ca: Some(vec![print(ca)]), tlsa: Some(vec![]), ..DnsAnswers::default() };
        Look { dns, now: Observation::failed(at(ms), None, Outcome::Timeout) }
    }

    fn history(looks: impl IntoIterator<Item = Look>) -> History {
        let mut history = History::default();
        looks.into_iter().for_each(|look| history.absorb(&look));
        history
    }

    /// `(leaf, first_seen, last_seen)` of each span, in order.
    fn rows(history: &History) -> Vec<(u16, i64, i64)> {
        let leaf = |span: &Timespan| u16::from_be_bytes([span.leaf.as_bytes()[0], span.leaf.as_bytes()[1]]);
        history.spans.iter().map(|span| (leaf(span), span.first_seen.unix_ms(), span.last_seen.unix_ms())).collect()
    }

    fn networks(history: &History) -> Vec<String> {
        history.spans[0].networks.iter().map(Network::to_string).collect()
    }

    #[test]
    fn a_span_bridges_48_hours_and_not_a_millisecond_more() {
        assert_eq!(rows(&history([look(1, 0), look(1, 48 * HOUR)])), [(1, 0, 48 * HOUR)]);
        let gap = 48 * HOUR + 1;
        assert_eq!(rows(&history([look(1, 0), look(1, gap)])), [(1, 0, 0), (1, gap, gap)]);
        let records = history([record(1, 0), record(1, 48 * HOUR), record(1, 96 * HOUR + 1)]).authority;
        let ends: Vec<_> = records.iter().map(|entry| (entry.first_seen, entry.last_seen)).collect();
        assert_eq!(ends, [(at(0), at(48 * HOUR)), (at(96 * HOUR + 1), at(96 * HOUR + 1))]);
    }

    #[test]
    fn a_year_of_alternating_certificates_is_two_rows() {
        let looks = (0..730u16).map(|half_day| look(half_day % 2, i64::from(half_day) * 12 * HOUR));
        assert_eq!(rows(&history(looks)), [(0, 0, 728 * 12 * HOUR), (1, 12 * HOUR, 729 * 12 * HOUR)]);
    }

    #[test]
    fn a_failed_look_extends_nothing_but_its_dns_counts() {
        let mut failed = look(1, HOUR);
        failed.now.outcome = Outcome::Reset;
        let mut known = history([look(1, 0)]);
        known.absorb(&failed);
        known.absorb(&record(7, 2 * HOUR));
        assert_eq!(rows(&known), [(1, 0, 0)]);
        assert_eq!(known.authority.len(), 1);
        let half = DnsAnswers { ca: None, tlsa: Some(vec![]), ..DnsAnswers::default() };
        known.absorb(&Look { dns: half, now: failed.now });
        assert_eq!(known.authority.len(), 1, "half a record is none");
    }

    #[test]
    fn an_empty_record_is_one_too_and_leaf_keys_tell_records_apart() {
        let mut empty = record(1, 0);
        empty.dns.ca = Some(vec![]);
        let mut named = empty.clone();
        let data = print(9).as_bytes().to_vec();
        named.dns.tlsa = Some(vec![Tlsa { usage: 3, selector: 1, matching: 1, data }]);
        let known = history([empty, named, record(1, 0)]).authority;
        assert_eq!(known.len(), 3);
        assert!(known.iter().any(|entry| entry.record.is_empty()));
    }

    #[test]
    fn sightings_are_kept_apart_from_proved_spans() {
        let known = history([look(1, 0), sighting(1, HOUR), look(1, 2 * HOUR), sighting(1, 3 * HOUR)]);
        assert_eq!(rows(&known), [(1, 0, 2 * HOUR), (1, HOUR, 3 * HOUR)]);
        assert_eq!(known.spans.iter().map(|span| span.proved).collect::<Vec<_>>(), [true, false]);
        assert_eq!(known.last_seen(), Some(at(3 * HOUR)));
    }

    #[test]
    fn a_late_look_stretches_or_closes_but_never_turns_a_span_round() {
        assert_eq!(rows(&history([look(1, HOUR), look(1, 0)])), [(1, 0, HOUR)]);
        let apart = [look(1, 0), look(1, 80 * HOUR)];
        assert_eq!(rows(&history(apart.clone())).len(), 2);
        assert_eq!(rows(&history(apart.into_iter().chain([look(1, 40 * HOUR)]))), [(1, 0, 80 * HOUR)]);
    }

    /// A clock that stepped back by a second used to leave a second row behind that took over as the current one.
    #[test]
    fn repro_a_clock_step_leaves_no_second_row() {
        let looks = [look(1, 10_000), look(1, 20_000), look(1, 9_000), look(1, 30_000)];
        assert_eq!(rows(&history(looks)), [(1, 9_000, 30_000)]);
    }

    #[test]
    fn networks_are_the_newest_eight_newest_first() {
        let looks: Vec<_> = (0..20u8).map(|octet| from_network(octet, i64::from(octet))).collect();
        let newest: Vec<_> = (12..20u8).rev().map(|octet| format!("10.{octet}.0.0/16")).collect();
        let mut known = history(looks);
        assert_eq!(networks(&known), newest);
        known.absorb(&from_network(15, 30));
        assert_eq!((networks(&known)[0].as_str(), networks(&known).len()), ("10.15.0.0/16", 8));
        known.absorb(&from_network(99, 5));
        assert!(!networks(&known).contains(&"10.99.0.0/16".into()), "a late look is not the newest");
    }

    #[test]
    fn the_newest_look_says_which_ca_it_is() {
        let mut complete = look(1, HOUR);
        let met = complete.now.met.as_mut().unwrap();
        met.issuer_key = Some(print(77));
        met.ca_id = CaId::Organisation("Example Trust Services".into());
        let known = history([look(1, 0), complete.clone(), look(1, 1)]);
        assert_eq!(known.spans[0].ca_id.to_string(), "org:Example Trust Services");
        assert_eq!(known.spans[0].issuer_key, Some(print(77)));
    }

    /// Sixty-four certificates shown in a minute must not wash away what was held for a year, nor what was seen once
    /// long before.
    #[test]
    fn a_flood_of_certificates_washes_nothing_away() {
        let mut known = history((0..366).map(|day| look(1, day * DAY)));
        known.absorb(&look(2, 100 * DAY));
        (0..1000u16).for_each(|leaf| known.absorb(&look(1000 + leaf, 366 * DAY + i64::from(leaf))));
        assert_eq!(known.spans.len(), MAX_SPANS);
        assert_eq!(rows(&known)[..2], [(1, 0, 365 * DAY), (2, 100 * DAY, 100 * DAY)]);
    }

    #[test]
    fn repro_a_flood_of_sightings_evicts_no_proved_span() {
        let mut known = history((0..40u16).map(|leaf| look(leaf, i64::from(leaf) * DAY)));
        for leaf in 0..200u16 {
            known.absorb(&sighting(1000 + leaf, 50 * DAY));
            known.absorb(&sighting(1000 + leaf, 51 * DAY));
        }
        assert_eq!(known.spans.iter().filter(|span| span.proved).count(), 40);
        assert_eq!(known.spans.len(), MAX_SPANS);
    }

    /// The newcomer's span, held for no time yet, used to be the first to go: a site with certificates of six days was
    /// never learned again once sixty-four were known.
    #[test]
    fn repro_a_full_history_still_learns() {
        let mut known = History::default();
        for certificate in 0..100u16 {
            for half_day in 0..12 {
                known.absorb(&look(certificate, i64::from(certificate) * 6 * DAY + half_day * 12 * HOUR));
            }
        }
        let begun = 99 * 6 * DAY;
        assert!(rows(&known).contains(&(99, begun, begun + 132 * HOUR)));
        assert!(rows(&known).contains(&(0, 0, 132 * HOUR)));
        let (a, b) = (600 * DAY, 600 * DAY + HOUR);
        (0..10).for_each(|day| {
            known.absorb(&look(500, a + day * DAY));
            known.absorb(&look(501, b + day * DAY));
        });
        assert!(rows(&known).contains(&(500, a, a + 9 * DAY)) && rows(&known).contains(&(501, b, b + 9 * DAY)));
    }

    #[test]
    fn records_are_bounded_in_the_same_way() {
        let mut known = history((0..10).map(|day| record(1, day * DAY)));
        (0..100u16).for_each(|ca| known.absorb(&record(1000 + ca, 10 * DAY + i64::from(ca))));
        assert_eq!(known.authority.len(), MAX_AUTHORITY);
        assert_eq!(known.authority[0].last_seen, at(9 * DAY));
        assert_eq!(known.authority[MAX_AUTHORITY - 1].record.ca, [print(1099)].into());
    }

    #[test]
    fn an_import_joins_what_overlaps() {
        let mut known = history((0..10).map(|day| look(1, day * DAY)));
        let exported = known.clone();
        known.absorb(&look(1, 10 * DAY));
        known.merge(&exported);
        assert_eq!(rows(&known), [(1, 0, 10 * DAY)], "an older export adds nothing");
        known.merge(&history([look(1, -DAY), look(1, 12 * DAY), look(1, 20 * DAY)]));
        assert_eq!(rows(&known), [(1, -DAY, 12 * DAY), (1, 20 * DAY, 20 * DAY)]);
    }

    #[test]
    fn nonsense_in_an_import_is_left_out() {
        let mut odd = history([look(1, 5), record(1, 5)]);
        odd.spans[0].last_seen = at(4);
        odd.authority[0].last_seen = at(4);
        let mut known = History::default();
        known.merge(&odd);
        assert_eq!(known, History::default());
        odd.spans[0].last_seen = at(6);
        odd.spans[0].networks = (0..200).map(|octet| Network::V4([octet / 2, 0])).collect();
        known.merge(&odd);
        assert_eq!(known.spans[0].networks.len(), MAX_NETWORKS);
        assert_eq!(networks(&known)[1], "1.0.0.0/16");
    }

    fn any_look() -> impl Strategy<Value = Look> {
        let when = prop_oneof![0..30 * DAY, (0..60i64).prop_map(|step| step * 12 * HOUR)];
        let certificate = prop::option::weighted(0.8, (0..4u16, any::<bool>(), 0..12u8));
        (when, certificate, prop::option::of(0..3u16)).prop_map(|(ms, certificate, ca)| {
            let mut taken = match certificate {
                Some((leaf, true, _)) => look(leaf, ms),
                Some((leaf, false, _)) => sighting(leaf, ms),
                None => record(0, ms),
            };
            if let Some((_, _, octet)) = certificate {
                taken.now.address = Some(SocketAddr::from(([10, octet, 0, 1], 443)));
            }
            taken.dns.ca = ca.map(|ca| vec![print(ca)]);
            taken.dns.tlsa = Some(vec![]);
            taken
        })
    }

    /// Many different certificates, so that the history is full.
    fn any_crowd() -> impl Strategy<Value = History> {
        prop::collection::vec((0..400u16, 0..40i64), 0..200)
            .prop_map(|looks| history(looks.into_iter().map(|(leaf, day)| look(leaf, day * DAY))))
    }

    fn ends(history: &History) -> Vec<(Fingerprint, bool, Timestamp, Timestamp)> {
        history.spans.iter().map(|span| (span.leaf, span.proved, span.first_seen, span.last_seen)).collect()
    }

    fn union(a: &History, b: &History) -> History {
        let mut union = a.clone();
        union.merge(b);
        union
    }

    fn assert_sound(known: &History) {
        assert!(known.spans.len() <= MAX_SPANS && known.authority.len() <= MAX_AUTHORITY);
        for (index, span) in known.spans.iter().enumerate() {
            assert!(span.first_seen <= span.last_seen);
            assert!(span.networks.len() <= MAX_NETWORKS);
            assert!(known.spans.iter().skip(index + 1).all(|other| !other.reaches(span)), "two rows for one stretch");
        }
        for (index, entry) in known.authority.iter().enumerate() {
            assert!(entry.first_seen <= entry.last_seen);
            assert!(known.authority.iter().skip(index + 1).all(|other| !other.reaches(entry)));
        }
    }

    proptest! {
        #[test]
        fn every_sound_sequence_stays_sound(looks in prop::collection::vec(any_look(), 0..60)) {
            assert_sound(&history(looks));
        }

        #[test]
        fn what_was_seen_is_covered(looks in prop::collection::vec(any_look(), 0..60)) {
            let known = history(looks.clone());
            for look in looks {
                let Some(met) = look.now.met else { continue };
                let moment = look.now.at;
                let covers = |span: &Timespan| span.first_seen <= moment && moment <= span.last_seen;
                prop_assert!(known.spans.iter().any(|s| s.leaf == met.leaf && s.proved == met.proved && covers(s)));
            }
        }

        #[test]
        fn the_order_of_looks_does_not_matter(
            (looks, shuffled) in prop::collection::vec(any_look(), 0..40)
                .prop_flat_map(|looks| (Just(looks.clone()), Just(looks).prop_shuffle()))
        ) {
            // While nothing is dropped: what a full history dropped can't be joined later. A row that closes a gap makes room
            // again, so the end alone does not tell.
            let is_never_full = |looks: &[Look]| {
                let mut known = History::default();
                looks.iter().all(|look| {
                    known.absorb(look);
                    known.authority.len() < MAX_AUTHORITY
                })
            };
            let has_room = is_never_full(&looks) && is_never_full(&shuffled);
            let (ordered, shuffled) = (history(looks), history(shuffled));
            prop_assert_eq!(ends(&ordered), ends(&shuffled));
            if has_room {
                prop_assert_eq!(ordered.authority, shuffled.authority);
            }
        }

        #[test]
        fn merging_twice_is_merging_once(
            ours in prop::collection::vec(any_look(), 0..40),
            theirs in prop::collection::vec(any_look(), 0..40),
        ) {
            let theirs = history(theirs);
            let once = union(&history(ours), &theirs);
            assert_sound(&once);
            prop_assert_eq!(&union(&once, &theirs), &once);
            prop_assert_eq!(&union(&once, &once), &once);
        }

        #[test]
        fn merging_is_absorbing(looks in prop::collection::vec(any_look(), 0..40), split in 0..40usize) {
            let (first, second) = looks.split_at(split.min(looks.len()));
            let merged = union(&history(first.to_vec()), &history(second.to_vec()));
            prop_assert_eq!(ends(&merged), ends(&history(looks.clone())));
        }

        /// While nothing is dropped. When full, what was dropped earlier can't be joined later, so the order shows.
        #[test]
        fn the_order_of_merges_does_not_matter(
            ours in prop::collection::vec(any_look(), 0..40),
            theirs in prop::collection::vec(any_look(), 0..40),
        ) {
            let (ours, theirs) = (history(ours), history(theirs));
            prop_assert_eq!(ends(&union(&ours, &theirs)), ends(&union(&theirs, &ours)));
        }

        #[test]
        fn a_full_history_merges_soundly(ours in any_crowd(), theirs in any_crowd()) {
            let once = union(&ours, &theirs);
            assert_sound(&once);
            prop_assert_eq!(&union(&once, &theirs), &once);
            prop_assert_eq!(ends(&union(&theirs, &ours)), ends(&once));
            let newest = ours.spans.iter().chain(&theirs.spans).map(|span| span.last_seen).max();
            prop_assert_eq!(once.last_seen(), newest);
        }
    }
}
