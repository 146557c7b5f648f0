use proptest::prelude::*;

use super::super::{Policy, Share};
use super::*;
use crate::dns::Dnssec;
use crate::observation::{CaId, Met, Observation, Outcome, PublicCa};
use crate::time::Timestamp;
use crate::verdict::{Decision, Rule};
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const HONEST: u8 = 1;
const LIE: u8 = 2;

fn id(seed: u8) -> VantageId {
    VantageId::from_bytes([seed; 32])
}

fn print(seed: u8) -> Fingerprint {
    Fingerprint::from_bytes([seed; 32])
}

/// A look that met this key; 0 is a look that failed.
fn look(key: u8) -> Look {
    let address = "192.0.2.10:443".parse().ok();
    let dns = DnsAnswers { a: Some(vec!["192.0.2.10".parse().unwrap()]), ..DnsAnswers::default() };
    if key == 0 {
        return Look { dns, now: Observation::failed(NOW, address, Outcome::Timeout) };
    }
    let met = Met {
        protocol: "TLSv1.3".into(),
        proved: true,
        leaf: print(key),
        leaf_md5: None,
        key: print(key),
        issuer_key: Some(print(key + 100)),
        chain: vec![print(key)],
        path: vec![print(key), print(key + 100)],
        names: vec!["example.com".into()],
        not_before: NOW.minus(Duration::from_secs(86_400)),
        not_after: NOW.plus(Duration::from_secs(86_400)),
        ca_id: CaId::Organisation(format!("CA {key}")),
        public_ca: PublicCa::Valid,
        host_keys: Vec::new(),
        scts: None,
    };
    Look { dns, now: Observation::seen(NOW, address, met) }
}

fn testimony(vantage: VantageId, key: u8) -> Testimony {
    Testimony { vantage, issued_at: NOW, look: look(key), there: None, history: History::default() }
}

fn peer(hub: u8, seed: u8, key: u8) -> PeerTestimony {
    PeerTestimony {
        hub: id(hub),
        testimony: testimony(id(seed), key),
        network: format!("n{seed}"),
        edge: "e".into(),
        trusted: false,
    }
}

/// My own look met the honest key; the hub 200 was asked, and its peers see these keys.
fn evidence(keys: &[u8]) -> Evidence {
    let mut evidence = Evidence::new("example.com".parse().unwrap(), look(HONEST), NOW);
    evidence.ask_hub(AskedHub { vantage: id(200), replies: keys.len(), by_edges: false });
    for (index, key) in keys.iter().enumerate() {
        evidence.add_peer(peer(200, index as u8 + 10, *key));
    }
    evidence
}

fn with_node(mut evidence: Evidence, seed: u8, region: &str, key: u8) -> Evidence {
    evidence.ask(Asked { vantage: id(seed), region: Some(region.into()), rir: None });
    evidence.add(testimony(id(seed), key));
    evidence
}

fn majority(threshold: f64) -> Policy {
    Policy::Majority { threshold: Share::new(threshold).unwrap(), min_views: 3 }
}

fn ten_and_ten() -> Evidence {
    evidence(&[[HONEST; 10], [LIE; 10]].concat())
}

#[test]
fn panorama_ten_honest_and_ten_lying_peers() {
    let trusted = majority(0.5).decide(&ten_and_ten(), NOW);
    assert_eq!((trusted.decision, trusted.rule), (Decision::Trusted, Rule::MajorityAgrees), "{trusted:?}");
    assert_eq!((trusted.counts.agree, trusted.counts.differ, trusted.counts.answered), (10, 10, 20));
    assert_eq!(trusted.counts.asked, 20, "the hub itself is nobody who looks");
    let words: Vec<_> = trusted.judged.iter().map(|judged| judged.word).collect();
    assert_eq!(words, [[Word::For; 10], [Word::Against; 10]].concat());
    let distrusted = majority(0.7).decide(&ten_and_ten(), NOW);
    assert_eq!((distrusted.decision, distrusted.rule), (Decision::Distrusted, Rule::MajorityDiffers));
}

#[test]
fn a_majority_names_the_hub_that_it_rests_on() {
    let verdict = majority(0.5).decide(&ten_and_ten(), NOW);
    let named =
        verdict.reasons.iter().any(|reason| reason.contains("behind the hub c8c8c8c8") && reason.contains("20"));
    assert!(named, "{:?}", verdict.reasons);
}

#[test]
fn the_others_count_a_hub_as_one_vantage_point() {
    for policy in ["evidence", "quorum", "unanimous", "mpic"].map(|name| Policy::named(name).unwrap()) {
        let verdict = policy.decide(&evidence(&[HONEST; 20]), NOW);
        assert_eq!((verdict.counts.asked, verdict.counts.answered), (1, 1), "{}", policy.name());
        assert_eq!(verdict.judged.len(), 21, "the hub and each peer: {}", policy.name());
        let wanted = if policy.name() == "quorum" { Decision::Trusted } else { Decision::Undecided };
        assert_eq!(verdict.decision, wanted, "{}: one vantage point is not most", policy.name());
    }
}

#[test]
fn twenty_lying_peers_do_not_outvote_two_nodes() {
    let two = with_node(with_node(evidence(&[LIE; 20]), 1, "eu-west", HONEST), 2, "us-east", HONEST);
    let verdict = Policy::default().decide(&two, NOW);
    assert_eq!((verdict.counts.agree, verdict.counts.differ), (2, 1));
    assert_ne!(verdict.decision, Decision::Distrusted, "{verdict:?}");
    let honest = with_node(with_node(evidence(&[HONEST; 20]), 1, "eu-west", HONEST), 2, "us-east", HONEST);
    assert_eq!(Policy::default().decide(&honest, NOW).decision, Decision::Trusted);
}

#[test]
fn a_hub_whose_peers_disagree_says_nothing() {
    let verdict = Policy::named("quorum").unwrap().decide(&ten_and_ten(), NOW);
    assert_eq!((verdict.counts.asked, verdict.counts.answered), (1, 0));
    assert_eq!((verdict.decision, verdict.rule), (Decision::Undecided, Rule::NotEnough));
    assert!(verdict.reasons.iter().any(|reason| reason.contains("see different keys")), "{:?}", verdict.reasons);
}

#[test]
fn failed_looks_do_not_silence_those_that_met_a_key() {
    let mostly_failed = evidence(&[0, 0, 0, 0, HONEST]);
    assert_eq!(Policy::named("quorum").unwrap().decide(&mostly_failed, NOW).counts.agree, 1);
    let all_failed = Policy::default().decide(&evidence(&[0, 0]), NOW);
    assert_eq!((all_failed.counts.answered, all_failed.counts.agree), (1, 0));
}

#[test]
fn records_that_memoryless_peers_read_are_not_counted() {
    let mut evidence = evidence(&[]);
    for seed in 10..15 {
        let mut peer = peer(200, seed, HONEST);
        peer.testimony.look.dns.ca = Some(vec![print(77)]);
        peer.testimony.look.dns.tlsa = Some(Vec::new());
        peer.testimony.look.dns.dnssec = Dnssec::Secure;
        evidence.add_peer(peer);
    }
    let counted = counted(&evidence, false, &[]);
    assert_eq!(counted.views().first().unwrap().look.dns.record(), None);
    assert!(counted.views().first().unwrap().look.dns.a.is_some(), "addresses are compared");
}

#[test]
fn one_key_is_one_vote_through_however_many_hubs() {
    let mut evidence = evidence(&[HONEST, HONEST, HONEST]);
    for hub in 201..210 {
        evidence.add_peer(peer(hub, 10, LIE));
    }
    evidence.add_peer(peer(200, 11, HONEST));
    let verdict = majority(0.5).decide(&evidence, NOW);
    assert_eq!((verdict.counts.agree, verdict.counts.differ), (3, 0));
}

#[test]
fn what_a_hub_has_not_said_in_full_settles_nothing_but_a_majority() {
    let open = [id(200)];
    let mut partly = Evidence::new("example.com".parse().unwrap(), look(HONEST), NOW);
    partly.ask_hub(AskedHub { vantage: id(200), replies: 20, by_edges: false });
    for seed in 10..19 {
        partly.add_peer(peer(200, seed, HONEST));
    }
    assert!(!majority(0.5).is_settled(&partly, &open, NOW), "eleven more may differ");
    partly.add_peer(peer(200, 19, HONEST));
    assert!(majority(0.5).is_settled(&partly, &open, NOW), "ten of twenty agree");
    assert!(!Policy::named("quorum").unwrap().is_settled(&partly, &open, NOW));
    assert!(counted(&partly, false, &open).views().is_empty());
}

proptest! {
    #[test]
    fn a_settled_majority_stands(keys in prop::collection::vec(0u8..3, 1..24), heard in 0usize..24, threshold in 0.0f64..=1.0) {
        let whole = evidence(&keys);
        let mut part = Evidence::new(whole.service().clone(), whole.local().clone(), whole.started());
        part.ask_hub(AskedHub { vantage: id(200), replies: keys.len(), by_edges: false });
        whole.peers().iter().take(heard).for_each(|peer| part.add_peer(peer.clone()));
        let policy = majority(threshold);
        if policy.is_settled(&part, &[id(200)], NOW) {
            prop_assert_eq!(policy.decide(&part, NOW).decision, policy.decide(&whole, NOW).decision);
        }
    }

    #[test]
    fn no_number_of_peers_is_more_than_one_vantage_point(keys in prop::collection::vec(0u8..3, 0..24), more in 1u8..3) {
        // Whatever a hub's peers say, two vantage points that agree with me and are most of three stay most of three.
        let nodes = with_node(with_node(evidence(&keys), 1, "eu-west", HONEST), 2, "us-east", HONEST);
        let mut louder = nodes.clone();
        (50..90).for_each(|seed| louder.add_peer(peer(200, seed, more)));
        let policy = Policy::default();
        prop_assert!(policy.decide(&nodes, NOW).decision != Decision::Distrusted);
        prop_assert!(policy.decide(&louder, NOW).decision != Decision::Distrusted);
    }
}
