use proptest::prelude::*;

use super::super::Policy;
use super::*;
use crate::dns::DnsAnswers;
use crate::evidence::{Asked, Testimony};
use crate::history::History;
use crate::id::Fingerprint;
use crate::observation::{CaId, Look, Met, Observation, Outcome, PublicCa};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const HONEST: u8 = 1;
const LIE: u8 = 2;
const HUB: u8 = 200;

fn id(seed: u16) -> VantageId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&seed.to_be_bytes());
    VantageId::from_bytes(bytes)
}

fn hub(seed: u8) -> VantageId {
    VantageId::from_bytes([seed; 32])
}

/// A look that met this key; 0 is a look that failed.
fn look(key: u8) -> Look {
    let address = "192.0.2.10:443".parse().ok();
    if key == 0 {
        return Look { dns: DnsAnswers::default(), now: Observation::failed(NOW, address, Outcome::Timeout) };
    }
    let print = Fingerprint::from_bytes([key; 32]);
    let met = Met {
        protocol: "TLSv1.3".into(),
        proved: true,
        leaf: print,
        leaf_md5: None,
        key: print,
        issuer_key: None,
        chain: vec![print],
        path: vec![print],
        names: vec!["example.com".into()],
        not_before: NOW,
        not_after: NOW,
        ca_id: CaId::Key(print),
        public_ca: PublicCa::Valid,
        host_keys: Vec::new(),
        scts: None,
    };
    Look { dns: DnsAnswers::default(), now: Observation::seen(NOW, address, met) }
}

fn testimony(vantage: VantageId, key: u8) -> Testimony {
    Testimony { vantage, issued_at: NOW, look: look(key), there: None, history: History::default() }
}

struct Case {
    evidence: Evidence,
    next: u16,
}

impl Case {
    /// My own look met the honest key; the hub was asked in my name.
    fn new() -> Self {
        Self { evidence: Evidence::new("example.com".parse().unwrap(), look(HONEST), NOW), next: 1 }.asked(HUB)
    }

    fn asked(mut self, seed: u8) -> Self {
        self.evidence.ask_hub(AskedHub { vantage: hub(seed), replies: 20, by_edges: true });
        self
    }

    /// Views of peers in networks of their own; edge 0 is strangers.
    fn through(mut self, seed: u8, edge: u8, keys: &[u8]) -> Self {
        for key in keys {
            let testimony = testimony(id(self.next), *key);
            let (network, edge) = (format!("n{}", self.next), format!("e{edge}"));
            let trusted = edge != "e0";
            self.evidence.add_peer(PeerTestimony { hub: hub(seed), testimony, network, edge, trusted });
            self.next += 1;
        }
        self
    }

    fn node(mut self, key: u8) -> Self {
        let vantage = id(self.next);
        self.evidence.ask(Asked { vantage, region: None, rir: None });
        self.evidence.add(testimony(vantage, key));
        self.next += 1;
        self
    }

    fn verdict(&self, threshold: f64) -> Verdict {
        majority(threshold).decide(&self.evidence, NOW)
    }

    fn decision(&self, threshold: f64) -> (Decision, Rule) {
        let verdict = self.verdict(threshold);
        assert_eq!((verdict.decision, verdict.rule), majority(threshold).conclude(&self.evidence, NOW));
        (verdict.decision, verdict.rule)
    }
}

fn majority(threshold: f64) -> Policy {
    Policy::Majority { threshold: Share::new(threshold).unwrap(), min_views: 3 }
}

fn four_friends() -> Case {
    (1..=4).fold(Case::new(), |case, edge| case.through(HUB, edge, &[HONEST]))
}

fn says(verdict: &Verdict, part: &str) -> bool {
    verdict.reasons.iter().any(|reason| reason.contains(part))
}

#[test]
fn a_thousand_liars_without_an_edge_change_nothing() {
    for threshold in [0.1, 0.5, 0.7, 1.0] {
        let before = four_friends().verdict(threshold);
        let after = four_friends().through(HUB, 0, &[LIE; 1_000]).verdict(threshold);
        assert_eq!((before.decision, before.rule), (Decision::Trusted, Rule::MajorityAgrees));
        assert_eq!((after.decision, after.rule, after.counts), (before.decision, before.rule, before.counts));
        assert!(says(&after, "1000 views of strangers behind the hub c8c8"), "{:?}", after.reasons);
        let aside = after.judged.iter().filter(|judged| judged.word == Word::Aside).count();
        assert_eq!(aside, 1_000, "they are shown");
    }
}

#[test]
fn a_thousand_behind_one_edge_have_one_share() {
    let evil = four_friends().through(HUB, 5, &[LIE; 1_000]);
    assert_eq!(evil.decision(0.7), (Decision::Trusted, Rule::MajorityAgrees));
    let verdict = evil.verdict(0.7);
    assert!(says(&verdict, "5 edges of yours") && says(&verdict, "80 % of them"), "{:?}", verdict.reasons);
    assert!(says(&verdict, "1 of your edges would have to lie"), "{:?}", verdict.reasons);
    assert_eq!(evil.decision(0.9), (Decision::Distrusted, Rule::MajorityDiffers));
    let [vote] = majority(0.5).hub_votes(&evil.evidence).try_into().unwrap();
    assert_eq!((vote.hub, vote.outcome, vote.strangers), (hub(HUB), EdgeOutcome::Trusted { liars: 2 }, 0));
    assert_eq!(Policy::default().hub_votes(&evil.evidence), [], "nobody else counts peers");
}

#[test]
fn with_too_few_edges_the_configured_vantage_points_decide() {
    let two = || Case::new().through(HUB, 1, &[LIE]).through(HUB, 2, &[LIE; 5]).through(HUB, 0, &[LIE; 50]);
    let verdict = two().verdict(0.5);
    assert_eq!((verdict.decision, verdict.rule), (Decision::Undecided, Rule::NotEnough));
    assert!(says(&verdict, "came over 2 edges of yours and from 6 networks; a vote wants 3"), "{:?}", verdict.reasons);
    let with_nodes = two().node(HONEST).node(HONEST).node(HONEST);
    assert_eq!(with_nodes.decision(0.7), (Decision::Trusted, Rule::MajorityAgrees));
    let verdict = with_nodes.verdict(0.7);
    assert_eq!((verdict.counts.asked, verdict.counts.agree, verdict.counts.differ), (3, 3, 0));
    let liars: Vec<_> = verdict.judged.iter().filter(|judged| judged.word == Word::Aside).collect();
    assert_eq!(liars.len(), 56, "shown, not counted");
    assert_eq!(two().node(LIE).node(LIE).node(HONEST).decision(0.7).0, Decision::Distrusted);
}

#[test]
fn where_edges_suffice_vantage_points_stand_aside() {
    let case = four_friends().node(LIE).node(LIE).node(LIE).node(LIE).node(LIE);
    let verdict = case.verdict(0.7);
    assert_eq!(verdict.decision, Decision::Trusted);
    assert!(says(&verdict, "5 views of others are shown aside"), "{:?}", verdict.reasons);
    assert_eq!((verdict.counts.asked, verdict.counts.agree), (4, 4));
}

#[test]
fn hubs_vote_by_themselves_and_two_that_differ_decide_nothing() {
    let friends = |case: Case, seed, key| (1..=3).fold(case, |case, edge| case.through(seed, edge, &[key]));
    let both = |one, other| friends(friends(Case::new().asked(201), HUB, one), 201, other);
    assert_eq!(both(HONEST, HONEST).decision(0.5).0, Decision::Trusted);
    assert_eq!(both(LIE, LIE).decision(0.5).0, Decision::Distrusted);
    assert_eq!(both(HONEST, LIE).decision(0.5), (Decision::Undecided, Rule::Unexplained));
    // Two edges at each of two hubs may be the same two people.
    let split = Case::new().asked(201).through(HUB, 1, &[HONEST]).through(HUB, 2, &[HONEST]);
    let split = split.through(201, 1, &[HONEST]).through(201, 2, &[HONEST]);
    assert_eq!(split.decision(0.5), (Decision::Undecided, Rule::NotEnough));
}

#[test]
fn looks_that_failed_and_my_own_missing_key_say_nothing() {
    let failed = four_friends().through(HUB, 5, &[0]);
    assert_eq!(majority(0.9).hub_votes(&failed.evidence)[0].vote.edges(), 4);
    let mut blind = four_friends();
    blind.evidence.refill(NOW, |local, asked, views| {
        *local = look(0);
        asked.clear();
        views.clear();
    });
    blind.evidence.ask_hub(AskedHub { vantage: hub(HUB), replies: 20, by_edges: true });
    let blind = blind.through(HUB, 1, &[LIE]).through(HUB, 2, &[LIE]).through(HUB, 3, &[LIE]);
    assert_eq!(blind.decision(0.5), (Decision::Undecided, Rule::NotEnough));
}

#[test]
fn nothing_is_settled_before_the_hub_has_ended() {
    let policy = majority(0.5);
    let case = four_friends();
    assert!(!policy.is_settled(&case.evidence, &[hub(HUB)], NOW));
    assert!(policy.is_settled(&case.evidence, &[id(900)], NOW), "vantage points change nothing now");
    let few = Case::new().through(HUB, 1, &[HONEST]).node(HONEST).node(HONEST);
    assert!(!policy.is_settled(&few.evidence, &[id(900)], NOW), "now they do");
    assert!(policy.is_settled(&few.evidence, &[], NOW));
}

proptest! {
    /// Whatever strangers say, and however many they are.
    #[test]
    fn strangers_change_no_verdict(
        friends in proptest::collection::vec((1_u8..8, 0_u8..3), 0..20),
        strangers in proptest::collection::vec(0_u8..4, 0..60),
        percent in 1_u8..=100,
        nodes in proptest::collection::vec(0_u8..3, 0..5),
    ) {
        let threshold = f64::from(percent) / 100.0;
        let case = || {
            let case = friends.iter().fold(Case::new(), |case, (edge, key)| case.through(HUB, *edge, &[*key]));
            nodes.iter().fold(case, |case, key| case.node(*key))
        };
        let with = case().through(HUB, 0, &strangers);
        prop_assert_eq!(case().decision(threshold), with.decision(threshold));
        prop_assert_eq!(case().verdict(threshold).counts, with.verdict(threshold).counts);
    }
}
