//! What a history keeps, joins and drops, by example and by the properties that must hold in any order of looks.

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
