//! Every row of the table and every worked example of `docs/protocols/evidence.md`. What an attacker would try stands in
//! `attacks`, the stated properties on generated worlds in `properties`; whom all of them speak of, here.

use std::time::Duration;

use super::super::{Policy, Share};
use super::FRESH;
use crate::dns::{DnsAnswers, Dnssec, Record, Tlsa};
use crate::evidence::{Asked, AskedHub, Evidence, PeerTestimony, Testimony};
use crate::history::{Authority, History, Timespan};
use crate::id::{Fingerprint, VantageId};
use crate::observation::{CaId, Look, Met, Network, Observation, Outcome, PublicCa};
use crate::time::Timestamp;
use crate::verdict::{Decision, Rule};

mod attacks;
mod properties;

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn print(n: u8) -> Fingerprint {
    Fingerprint::from_bytes([n; 32])
}

/// A certificate: its key, and its CA: 1 to 99 are public organisations, above are private CAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cert {
    key: u8,
    ca: u8,
}

const MINE: Cert = Cert { key: 1, ca: 1 };
const SIBLING: Cert = Cert { key: 2, ca: 1 };
const OTHER: Cert = Cert { key: 3, ca: 2 };
const OWN_ROOT: Cert = Cert { key: 4, ca: 104 };
const PRIVATE: Cert = Cert { key: 5, ca: 105 };

impl Cert {
    fn is_public(self) -> bool {
        self.ca < 100
    }

    fn ca_id(self) -> CaId {
        if self.is_public() { CaId::Organisation(format!("Trust {}", self.ca)) } else { CaId::Key(print(self.ca)) }
    }

    fn met(self) -> Met {
        Met {
            protocol: "TLSv1.3".into(),
            proved: true,
            leaf: print(self.key),
            leaf_md5: None,
            key: print(self.key),
            issuer_key: Some(print(self.ca)),
            chain: vec![print(self.key), print(self.ca)],
            path: vec![print(self.key), print(self.ca)],
            names: vec!["example.com".into()],
            not_before: NOW.minus(DAY),
            not_after: NOW.plus(30 * DAY),
            ca_id: self.ca_id(),
            public_ca: if self.is_public() { PublicCa::Valid } else { PublicCa::UnknownIssuer },
            host_keys: Vec::new(),
            scts: None,
        }
    }

    fn at(self, address: &str) -> Observation {
        Observation::seen(NOW, Some(address.parse().unwrap()), self.met())
    }

    fn span(self, from: Duration, to: Duration) -> Timespan {
        Timespan {
            key: print(self.key),
            leaf: print(self.key),
            leaf_md5: None,
            issuer_key: Some(print(self.ca)),
            ca_id: self.ca_id(),
            networks: vec!["192.0.0.0/16".parse::<Network>().unwrap()],
            proved: true,
            first_seen: NOW.minus(from),
            last_seen: NOW.minus(to),
        }
    }
}

const HERE: &str = "192.0.2.1:443";
const ELSEWHERE: &str = "198.51.100.1:443";

fn dns() -> DnsAnswers {
    let none = Some(vec![]);
    DnsAnswers {
        a: none.clone().map(|_: Vec<u8>| vec![]),
        aaaa: Some(vec![]),
        ca: Some(vec![]),
        tlsa: Some(vec![]),
        caa: Some(vec![]),
        dnssec: Dnssec::Insecure,
        ..DnsAnswers::default()
    }
}

fn failed() -> Observation {
    Observation::failed(NOW, None, Outcome::Timeout)
}

/// A view under construction.
#[derive(Clone, Debug)]
struct V(Testimony);

fn view(look: Observation) -> V {
    V(Testimony {
        vantage: VantageId::from_bytes([0; 32]),
        issued_at: NOW,
        look: Look { dns: dns(), now: look },
        there: None,
        history: History::default(),
    })
}

fn sees(cert: Cert) -> V {
    view(cert.at(HERE))
}

fn sees_elsewhere(cert: Cert) -> V {
    view(cert.at(ELSEWHERE))
}

fn silent_look() -> V {
    view(failed())
}

impl V {
    fn there(mut self, cert: Cert) -> V {
        self.0.there = Some(cert.at(HERE));
        self
    }

    fn remembers(mut self, cert: Cert, from: Duration, to: Duration) -> V {
        self.0.history.spans.push(cert.span(from, to));
        self
    }

    fn record(mut self, ca: &[u8]) -> V {
        self.0.look.dns.ca = Some(ca.iter().map(|n| print(*n)).collect());
        self.had_record(ca, Duration::ZERO, Duration::ZERO)
    }

    fn had_record(mut self, ca: &[u8], from: Duration, to: Duration) -> V {
        let record = Record { ca: ca.iter().map(|n| print(*n)).collect(), ..Record::default() };
        self.0.history.authority.push(Authority { record, first_seen: NOW.minus(from), last_seen: NOW.minus(to) });
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Testimony)) -> V {
        change(&mut self.0);
        self
    }
}

fn vantage(n: usize) -> VantageId {
    VantageId::from_bytes([u8::try_from(n).unwrap() + 10; 32])
}

const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];

fn evidence_from(local: Observation, views: &[V], asked: usize) -> Evidence {
    let mut evidence =
        Evidence::new("example.com".parse().unwrap(), Look { dns: dns(), now: local }, NOW.minus(FRESH / 10));
    for n in 0..asked {
        evidence.ask(Asked {
            vantage: vantage(n),
            region: Some(REGIONS[n % 3].into()),
            rir: Some(format!("RIR{}", n % 3)),
        });
    }
    for (n, view) in views.iter().enumerate() {
        evidence.add(Testimony { vantage: vantage(n), ..view.0.clone() });
    }
    evidence
}

fn decide(evidence: &Evidence) -> (Rule, Decision) {
    let verdict = Policy::default().decide(evidence, NOW);
    assert!(!verdict.reasons.is_empty() && verdict.reasons.iter().all(|reason| reason.ends_with('.')), "{verdict:?}");
    assert_eq!(verdict.judged.len(), evidence.views().len());
    (verdict.rule, verdict.decision)
}

#[track_caller]
fn expect(local: Cert, views: Vec<V>, rule: Rule, decision: Decision) {
    let asked = views.len();
    expect_asked(local, views, asked, rule, decision);
}

#[track_caller]
fn expect_asked(local: Cert, views: Vec<V>, asked: usize, rule: Rule, decision: Decision) {
    assert_eq!(decide(&evidence_from(local.at(HERE), &views, asked)), (rule, decision));
}

fn times(n: usize, view: V) -> Vec<V> {
    vec![view; n]
}

fn mixed(parts: &[(usize, V)]) -> Vec<V> {
    parts.iter().flat_map(|(n, view)| times(*n, view.clone())).collect()
}

use Decision::{Distrusted, Trusted, Undecided};

#[test]
fn worked_my_key_everywhere() {
    expect(MINE, times(5, sees(MINE)), Rule::Corroborated, Trusted);
    expect(PRIVATE, times(3, sees(PRIVATE)), Rule::Corroborated, Trusted);
    expect(MINE, times(2, sees(MINE)), Rule::Corroborated, Trusted);
}

#[test]
fn worked_another_key_there() {
    for n in [2, 3, 5] {
        expect(OTHER, times(n, sees(MINE)), Rule::MitmNearMe, Distrusted);
        expect(OWN_ROOT, times(n, sees(MINE)), Rule::MitmNearMe, Distrusted);
        expect(PRIVATE, times(n, sees(OWN_ROOT)), Rule::MitmNearMe, Distrusted);
    }
}

#[test]
fn worked_poisoned_resolver() {
    // I was led elsewhere; the others' own DNS leads them to the true site, and the address I reached shows them the
    // attacker too, or nothing.
    expect(OWN_ROOT, times(5, sees_elsewhere(MINE).there(OWN_ROOT)), Rule::DnsDiverted, Distrusted);
    expect(OWN_ROOT, times(5, sees_elsewhere(MINE)), Rule::DnsDiverted, Distrusted);
}

#[test]
fn worked_content_network() {
    let views = mixed(&[(2, sees(MINE)), (3, sees_elsewhere(SIBLING).there(MINE))]);
    expect(MINE, views, Rule::DiverseConsistent, Trusted);
    let named = mixed(&[(2, sees(MINE).record(&[1])), (3, sees_elsewhere(SIBLING).there(MINE).record(&[1]))]);
    expect(MINE, named, Rule::DiverseAuthorised, Trusted);
}

#[test]
fn worked_private_ca_named_every_look_another_key() {
    // Same network, same CA, each server its own key.
    let view = view(Cert { key: 77, ca: PRIVATE.ca }.at("192.0.2.9:443")).record(&[PRIVATE.ca]);
    expect(PRIVATE, times(5, view), Rule::DiverseAuthorised, Trusted);
}

#[test]
fn worked_records_name_another_ca() {
    expect(MINE, times(5, sees(MINE).record(&[9])), Rule::UnauthorisedCa, Distrusted);
    expect(PRIVATE, times(5, sees(PRIVATE).record(&[9])), Rule::UnauthorisedCa, Distrusted);
}

#[test]
fn worked_revoked() {
    let minutes = Duration::from_secs(600);
    let replaced = sees(PRIVATE).had_record(&[PRIVATE.ca], 100 * DAY, minutes).record(&[9]);
    expect(PRIVATE, times(5, replaced), Rule::Revoked, Distrusted);
    let emptied = sees(PRIVATE).had_record(&[PRIVATE.ca], 100 * DAY, minutes).record(&[]);
    expect(PRIVATE, times(5, emptied), Rule::Revoked, Distrusted);
    // A public CA needs no record.
    let public = sees(MINE).had_record(&[MINE.ca], 100 * DAY, minutes).record(&[]);
    expect(MINE, times(5, public), Rule::Corroborated, Trusted);
}

#[test]
fn worked_partial_hijack() {
    let views = mixed(&[(2, sees(OWN_ROOT)), (3, sees(MINE))]);
    expect(OWN_ROOT, views, Rule::PartialHijack, Distrusted);
    let views = mixed(&[(2, sees(OWN_ROOT)), (3, sees(MINE))]);
    expect(MINE, views, Rule::Corroborated, Trusted);
}

#[test]
fn worked_one_dissenter() {
    expect(MINE, mixed(&[(1, sees(OTHER)), (4, sees(MINE))]), Rule::PartialHijack, Undecided);
    let known = sees(MINE).remembers(MINE, 400 * DAY, HOUR);
    expect(MINE, mixed(&[(1, sees(OTHER)), (4, known)]), Rule::Corroborated, Trusted);
}

#[test]
fn worked_not_enough() {
    expect_asked(MINE, times(2, sees(MINE)), 5, Rule::NotEnough, Undecided);
    expect_asked(MINE, vec![], 3, Rule::NotEnough, Undecided);
    expect_asked(MINE, times(1, sees(MINE)), 1, Rule::NotEnough, Undecided);
    expect_asked(MINE, vec![], 0, Rule::NotEnough, Undecided);
    let mut unproved = MINE.at(HERE);
    unproved.met.as_mut().unwrap().proved = false;
    assert_eq!(decide(&evidence_from(unproved, &times(5, sees(MINE)), 5)), (Rule::NotEnough, Undecided));
}

#[test]
fn worked_new_ca() {
    let changed = sees(MINE).remembers(OTHER, 400 * DAY, HOUR);
    expect(MINE, times(5, changed), Rule::GlobalChange, Undecided);
    let swapped = sees(OWN_ROOT).remembers(PRIVATE, Duration::from_secs(900), Duration::from_secs(300));
    expect(OWN_ROOT, times(5, swapped), Rule::GlobalChange, Undecided);
    let later = sees(MINE).remembers(OTHER, 400 * DAY, 73 * HOUR).remembers(MINE, 73 * HOUR, Duration::ZERO);
    expect(MINE, times(5, later), Rule::Corroborated, Trusted);
}

#[test]
fn worked_failing_looks() {
    let kept = silent_look().remembers(MINE, 10 * DAY, 2 * HOUR);
    expect(MINE, mixed(&[(3, kept), (2, sees(MINE))]), Rule::Corroborated, Trusted);
    let private = silent_look().remembers(PRIVATE, 30 * DAY, 5 * DAY);
    let evidence = evidence_from(PRIVATE.at(HERE), &times(5, private), 5);
    assert_eq!(decide(&evidence), (Rule::StablePrivate, Undecided));
    let verdict = Policy::Evidence { accept_private: true }.decide(&evidence, NOW);
    assert_eq!((verdict.rule, verdict.decision), (Rule::StablePrivate, Trusted));
}

#[test]
fn worked_own_ca_near_me_with_a_young_record() {
    let view = sees(SIBLING).remembers(SIBLING, 400 * DAY, HOUR).had_record(&[], 400 * DAY, HOUR).record(&[9]);
    expect(MINE, times(5, view), Rule::Unexplained, Undecided);
}

#[test]
fn table_without_a_key() {
    let not_tls = Observation::failed(NOW, Some(HERE.parse().unwrap()), Outcome::NotTls);
    assert_eq!(decide(&evidence_from(not_tls.clone(), &times(3, sees(MINE)), 5)), (Rule::MitmNearMe, Distrusted));
    assert_eq!(decide(&evidence_from(not_tls.clone(), &times(2, sees(MINE)), 5)), (Rule::NotEnough, Undecided));
    // Whoever looked before the server ceased to speak TLS says nothing of now.
    let old = || sees(MINE).with(|view| view.issued_at = NOW.plus(FRESH + Duration::from_secs(1)));
    assert_eq!(decide(&evidence_from(not_tls.clone(), &times(5, old()), 5)), (Rule::NotEnough, Undecided));
    let some = [times(3, sees(MINE)), times(2, old())].concat();
    assert_eq!(decide(&evidence_from(not_tls, &some, 5)), (Rule::MitmNearMe, Distrusted));
    assert_eq!(decide(&evidence_from(failed(), &times(5, sees(MINE)), 5)), (Rule::NotEnough, Undecided));
}

#[test]
fn table_open_dissent_of_the_same_ca_is_unexplained() {
    expect(MINE, mixed(&[(1, sees(SIBLING)), (4, sees(MINE))]), Rule::Unexplained, Undecided);
}

#[test]
fn one_region_can_not_decide_where_two_are_named() {
    let mut evidence = evidence_from(OTHER.at(HERE), &[], 0);
    for n in 0..5 {
        let region = if n < 4 { "eu-west" } else { "us-east" };
        evidence.ask(Asked { vantage: vantage(n), region: Some(region.into()), rir: None });
        let cert = if n < 4 { MINE } else { OTHER };
        evidence.add(Testimony { vantage: vantage(n), ..sees(cert).0 });
    }
    assert_eq!(decide(&evidence), (Rule::PartialHijack, Undecided));
}

#[test]
fn without_public_roots_nobody_is_public() {
    // With roots, a private chain against a public one at the diverted address is damning; without, only the keys count.
    let views = times(5, sees_elsewhere(MINE).there(OWN_ROOT));
    let evidence = evidence_from(OWN_ROOT.at(HERE), &views, 5).without_public_roots();
    assert_ne!(decide(&evidence).1, Distrusted);
    let evidence = evidence_from(MINE.at(HERE), &times(5, sees(MINE)), 5).without_public_roots();
    assert_eq!(decide(&evidence), (Rule::Corroborated, Trusted));
}

#[test]
fn evidence_that_is_begun_anew_keeps_nothing() {
    let fresh = || evidence_from(MINE.at(HERE), &[], 0);
    let mut used = evidence_from(OTHER.at(HERE), &times(3, sees(MINE)), 5);
    used.ask_notary(vantage(7));
    used.ask_hub(AskedHub { vantage: vantage(8), replies: 3, by_edges: false });
    used.add_peer(PeerTestimony {
        hub: vantage(8),
        testimony: sees(MINE).0,
        network: "n".into(),
        edge: "e".into(),
        trusted: false,
    });
    used.refill(fresh().started(), |local, asked, views| {
        assert_eq!((&local.now, asked.len(), views.len()), (&OTHER.at(HERE), 5, 3));
        *local = fresh().local().clone();
        asked.clear();
        views.clear();
    });
    assert_eq!(used, fresh());
}

/// Whoever fills it by hand names nobody twice either.
#[test]
fn evidence_that_is_filled_counts_each_once() {
    let honest = evidence_from(MINE.at(HERE), &times(3, sees(MINE)), 3);
    let mut filled = honest.clone();
    filled.refill(honest.started(), |_, asked, views| {
        asked.push(asked[0].clone());
        views.reverse();
        views.push(views[1].clone());
        asked.remove(1);
    });
    assert_eq!((filled.asked().len(), filled.views().len()), (3, 3));
    assert_eq!(decide(&filled), decide(&honest));
}

#[test]
fn the_small_policies() {
    let majority = |threshold: f64| Policy::Majority { threshold: Share::new(threshold).unwrap(), min_views: 3 };
    // The acceptance case of the hub: ten honest, ten lying, asked with 0.5 and 0.7.
    let half = evidence_from(MINE.at(HERE), &mixed(&[(10, sees(MINE)), (10, sees(OTHER))]), 20);
    assert_eq!(majority(0.5).decide(&half, NOW).decision, Trusted);
    assert_eq!(majority(0.7).decide(&half, NOW).decision, Distrusted);
    let two = evidence_from(MINE.at(HERE), &times(2, sees(MINE)), 5);
    assert_eq!(majority(0.5).decide(&two, NOW).decision, Undecided);

    let quorum = |days: u32| Policy::Quorum { threshold: Share::new(0.75).unwrap(), min_duration: DAY * days };
    let three_days = evidence_from(MINE.at(HERE), &times(4, sees(MINE).remembers(MINE, 3 * DAY, Duration::ZERO)), 5);
    assert_eq!(quorum(2).decide(&three_days, NOW).rule, Rule::QuorumHeld);
    assert_eq!(quorum(4).decide(&three_days, NOW).rule, Rule::QuorumTooYoung);
    let gap = sees(MINE).remembers(MINE, 30 * DAY, 20 * DAY).remembers(MINE, 3 * DAY, Duration::ZERO);
    let gap = evidence_from(MINE.at(HERE), &times(4, gap), 5);
    assert_eq!(quorum(4).decide(&gap, NOW).rule, Rule::QuorumTooYoung, "a gap of weeks is no continuity");
    let missed = evidence_from(MINE.at(HERE), &mixed(&[(2, sees(MINE)), (2, sees(OTHER))]), 5);
    assert_eq!(quorum(0).decide(&missed, NOW).rule, Rule::QuorumMissed);
    let restless = |cert: Cert| sees(cert).remembers(MINE, 6 * DAY, 4 * DAY).remembers(OTHER, 3 * DAY, Duration::ZERO);
    let weak = evidence_from(MINE.at(HERE), &times(4, restless(OTHER)), 5);
    assert_eq!(quorum(0).decide(&weak, NOW).rule, Rule::QuorumWeak);

    let same = evidence_from(MINE.at(HERE), &times(3, sees(MINE)), 3);
    assert_eq!(Policy::Unanimous.decide(&same, NOW).decision, Trusted);
    let third_differs = evidence_from(MINE.at(HERE), &mixed(&[(2, sees(MINE)), (1, sees(OTHER))]), 3);
    assert_eq!(Policy::Unanimous.decide(&third_differs, NOW).decision, Distrusted);
    let fourth_differs = evidence_from(MINE.at(HERE), &mixed(&[(3, sees(MINE)), (1, sees(OTHER))]), 4);
    assert_eq!(Policy::Unanimous.decide(&fourth_differs, NOW).decision, Trusted);
    let unauthorised = evidence_from(MINE.at(HERE), &times(3, sees(MINE).record(&[9])), 3);
    assert_eq!(Policy::Unanimous.decide(&unauthorised, NOW).decision, Distrusted);

    // 1,800,000,000 is in January 2027: at least five must be asked.
    let decided = |agree, differ, asked| {
        let views = mixed(&[(agree, sees(MINE)), (differ, sees(OTHER))]);
        Policy::Mpic.decide(&evidence_from(MINE.at(HERE), &views, asked), NOW).decision
    };
    assert_eq!(decided(5, 0, 5), Trusted);
    assert_eq!(decided(4, 1, 5), Trusted);
    assert_eq!(decided(4, 0, 5), Trusted);
    assert_eq!(decided(3, 0, 5), Undecided);
    assert_eq!(decided(3, 2, 5), Distrusted);
    assert_eq!(decided(4, 0, 4), Undecided);
    assert_eq!(decided(4, 2, 6), Trusted);
}
