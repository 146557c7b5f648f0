//! The table of `docs/protocols/dns.md`, row by row, and what holds whatever the network does.

use proptest::prelude::*;

use super::*;
use crate::dns::Dnssec;

const NOW: Timestamp = Timestamp::from_unix_secs(1_767_225_600);

fn told(records: &[&str]) -> Told {
    let records = records.iter().map(|record| (*record).to_owned()).collect();
    Told { set: DnsSet::answered("NOERROR".into(), records, Some(300), Dnssec::Insecure), soa: None }
}

fn nothing(rcode: &str) -> Told {
    Told { set: DnsSet::failed(rcode.into(), Dnssec::Unchecked), soa: None }
}

fn secure(records: &[&str]) -> Told {
    let told = told(records);
    Told { set: DnsSet { dnssec: Dnssec::Secure, ..told.set }, ..told }
}

fn bogus() -> Told {
    Told { set: DnsSet::failed("SERVFAIL".into(), Dnssec::Bogus), soa: None }
}

fn cut(records: &[&str]) -> Told {
    let told = told(records);
    Told { set: DnsSet { cut: true, ..told.set }, ..told }
}

/// The same answer in a zone of another serial.
fn at_serial(told: Told, serial: u32) -> Told {
    let soa = format!("ns.example. who.example. {serial} 3600 600 86400 300");
    Told { soa: Some(DnsSet::answered("NOERROR".into(), [soa].into(), Some(300), Dnssec::Insecure)), ..told }
}

fn vantage(number: usize) -> VantageId {
    VantageId::from_bytes([u8::try_from(number).unwrap(); 32])
}

/// Five are asked, in three regions; those for which there is something told it.
fn resolution(kind: RecordKind, local: Told, others: Vec<Option<Told>>) -> Resolution {
    let mut resolution = Resolution::new("shop.example".parse().unwrap(), kind, local);
    for (number, told) in others.into_iter().enumerate() {
        let region = Some(["eu-west", "us-east", "ap-south"][number % 3].to_owned());
        let rir = Some(["RIPE", "ARIN", "APNIC"][number % 3].to_owned());
        resolution.ask(Asked { vantage: vantage(number), region, rir });
        if let Some(told) = told {
            resolution.add(DnsTestimony { vantage: vantage(number), told });
        }
    }
    resolution
}

fn ends(policy: &str, kind: RecordKind, local: Told, others: Vec<Option<Told>>) -> (Decision, NameRule) {
    let verdict = Policy::named(policy).unwrap().decide_name(&resolution(kind, local, others), NOW);
    assert!(!verdict.reasons.is_empty() && verdict.reasons.iter().all(|reason| reason.ends_with('.')));
    (verdict.decision, verdict.rule)
}

fn five(first: usize, one: &Told, rest: &Told) -> Vec<Option<Told>> {
    (0..5).map(|number| Some(if number < first { one.clone() } else { rest.clone() })).collect()
}

#[test]
fn the_table_of_evidence() {
    use Decision::{Distrusted, Trusted, Undecided};
    use NameRule as R;
    use RecordKind::{A, Aaaa, Mx, Soa, Txt};
    let (mine, other, third) = (told(&["10 a."]), told(&["10 b."]), told(&["10 c."]));
    let (none, gone) = (told(&[]), nothing("NXDOMAIN"));
    let (here, near, far) = (told(&["192.0.2.1"]), told(&["192.0.9.9", "198.51.100.1"]), told(&["203.0.113.1"]));
    let serial = |number| told(&[&format!("ns. who. {number} 1 2 3 4")]);
    let silent = vec![None; 5];
    for (what, kind, local, others, wanted) in [
        ("all the same", Mx, &mine, five(5, &mine, &mine), (Trusted, R::Corroborated)),
        ("most the same", Mx, &mine, five(3, &mine, &other), (Trusted, R::Corroborated)),
        ("no such name everywhere", Mx, &gone, five(3, &gone, &none), (Trusted, R::Corroborated)),
        ("most get one other", Mx, &mine, five(2, &mine, &other), (Distrusted, R::DiffersNearMe)),
        (
            "all get others, each its own",
            Mx,
            &mine,
            vec![Some(other.clone()), Some(third.clone()), Some(told(&["10 d."]))],
            (Undecided, R::Unexplained),
        ),
        ("I get none", Txt, &gone, five(1, &gone, &other), (Distrusted, R::Withheld)),
        ("I alone get some", Txt, &mine, five(2, &mine, &gone), (Distrusted, R::Invented)),
        ("an address where there is none", A, &here, five(0, &here, &gone), (Distrusted, R::Invented)),
        ("no address where there is one", A, &gone, five(0, &here, &far), (Distrusted, R::Withheld)),
        ("translated AAAA", Aaaa, &told(&["64:ff9b::1"]), five(0, &here, &none), (Undecided, R::OtherAddresses)),
        ("other addresses", A, &here, five(0, &here, &far), (Undecided, R::OtherAddresses)),
        ("other addresses of my networks", A, &here, five(1, &here, &near), (Trusted, R::SameNetworks)),
        (
            "one address more than the networks hold",
            A,
            &told(&["192.0.2.1", "203.0.113.66"]),
            five(0, &here, &near),
            (Undecided, R::OtherAddresses),
        ),
        ("nobody answers", Mx, &mine, silent.clone(), (Undecided, R::NotEnough)),
        ("others fail", Mx, &mine, five(2, &mine, &nothing("SERVFAIL")), (Undecided, R::NotEnough)),
        ("SERVFAIL is not no data", Mx, &none, five(0, &none, &nothing("SERVFAIL")), (Undecided, R::NotEnough)),
        ("my own fails", Mx, &nothing("TIMEOUT"), five(5, &mine, &mine), (Undecided, R::NoAnswer)),
        ("mine is bogus", Mx, &bogus(), five(5, &mine, &mine), (Distrusted, R::BogusNearMe)),
        ("it is bogus everywhere", Mx, &bogus(), five(5, &bogus(), &mine), (Undecided, R::NoAnswer)),
        ("mine was cut", Txt, &cut(&["x"]), five(5, &cut(&["x"]), &mine), (Undecided, R::NoAnswer)),
        ("theirs were cut", Txt, &told(&["x"]), five(5, &cut(&["x"]), &mine), (Undecided, R::NotEnough)),
        ("signed, and nobody else there", Mx, &secure(&["10 a."]), silent, (Trusted, R::DnssecSecure)),
        (
            "signed, others are led elsewhere",
            A,
            &secure(&["192.0.2.1"]),
            five(0, &here, &far),
            (Trusted, R::DnssecSecure),
        ),
        (
            "signed, others get something unsigned",
            Mx,
            &secure(&["10 a."]),
            five(0, &mine, &other),
            (Trusted, R::DnssecSecure),
        ),
        (
            "two signed answers: one is old",
            Mx,
            &secure(&["10 a."]),
            five(0, &mine, &secure(&["10 b."])),
            (Undecided, R::Propagation),
        ),
        ("another serial", Soa, &serial(7), five(0, &mine, &serial(8)), (Undecided, R::Propagation)),
        (
            "another authority",
            Soa,
            &serial(7),
            five(0, &mine, &told(&["evil. who. 7 1 2 3 4"])),
            (Distrusted, R::DiffersNearMe),
        ),
        (
            "the zone has just changed",
            Mx,
            &at_serial(mine.clone(), 7),
            five(0, &mine, &at_serial(other.clone(), 8)),
            (Undecided, R::Propagation),
        ),
        (
            "the same zone, other records",
            Mx,
            &at_serial(mine.clone(), 7),
            five(0, &mine, &at_serial(other.clone(), 7)),
            (Distrusted, R::DiffersNearMe),
        ),
    ] {
        assert_eq!(ends("evidence", kind, local.clone(), others), wanted, "{what}");
    }
}

#[test]
fn most_need_two_regions_where_two_are_named() {
    let (mine, other) = (told(&["10 a."]), told(&["10 b."]));
    let mut resolution = Resolution::new("shop.example".parse().unwrap(), RecordKind::Mx, mine.clone());
    for number in 0..5 {
        let region = Some(if number < 3 { "eu-west" } else { "us-east" }.to_owned());
        resolution.ask(Asked { vantage: vantage(number), region, rir: None });
        let told = if number < 3 { mine.clone() } else { other.clone() };
        resolution.add(DnsTestimony { vantage: vantage(number), told });
    }
    let verdict = Policy::default().decide_name(&resolution, NOW);
    assert_eq!((verdict.decision, verdict.rule), (Decision::Undecided, NameRule::Unexplained));
}

#[test]
fn the_other_policies() {
    use Decision::{Distrusted, Trusted, Undecided};
    use NameRule as R;
    let (mine, other) = (told(&["10 a."]), told(&["10 b."]));
    let (here, far) = (told(&["192.0.2.1"]), told(&["203.0.113.1"]));
    for (policy, kind, local, others, wanted) in [
        ("majority", RecordKind::Mx, &mine, five(3, &mine, &other), (Trusted, R::MajorityAgrees)),
        ("majority", RecordKind::Mx, &mine, five(2, &mine, &other), (Distrusted, R::MajorityDiffers)),
        ("majority", RecordKind::A, &here, five(2, &here, &far), (Undecided, R::OtherAddresses)),
        ("majority", RecordKind::Mx, &mine, vec![Some(mine.clone())], (Undecided, R::NotEnough)),
        ("majority", RecordKind::Mx, &bogus(), five(5, &mine, &other), (Undecided, R::NoAnswer)),
        ("quorum", RecordKind::Mx, &mine, five(4, &mine, &other), (Trusted, R::QuorumHeld)),
        ("quorum", RecordKind::Mx, &mine, five(3, &mine, &other), (Distrusted, R::QuorumMissed)),
        ("quorum", RecordKind::Mx, &mine, vec![None], (Undecided, R::NotEnough)),
        ("unanimous", RecordKind::A, &here, five(3, &here, &far), (Trusted, R::Unanimous)),
        ("unanimous", RecordKind::A, &here, five(2, &here, &far), (Distrusted, R::NotUnanimous)),
        ("unanimous", RecordKind::A, &here, vec![Some(here.clone()); 2], (Undecided, R::NotEnough)),
        ("mpic", RecordKind::Mx, &mine, five(4, &mine, &other), (Trusted, R::MpicCorroborated)),
        ("mpic", RecordKind::Mx, &mine, five(3, &mine, &other), (Distrusted, R::MpicDiffers)),
        ("mpic", RecordKind::Mx, &mine, vec![Some(mine.clone())], (Undecided, R::NotEnough)),
    ] {
        assert_eq!(ends(policy, kind, local.clone(), others), wanted, "{policy} {kind}");
    }
    let old = Policy::Quorum {
        threshold: crate::policy::Share::new(0.5).unwrap(),
        min_duration: std::time::Duration::from_secs(1),
    };
    let verdict = old.decide_name(&resolution(RecordKind::Mx, mine.clone(), five(5, &mine, &mine)), NOW);
    assert_eq!((verdict.decision, verdict.rule), (Undecided, R::QuorumTooYoung));
}

#[test]
fn a_cache_near_me_is_spoken_of_where_it_may_be_the_reason() {
    let (mine, other) = (told(&["10 a."]), told(&["10 b."]));
    let of = |others| Policy::default().decide_name(&resolution(RecordKind::Mx, mine.clone(), others), NOW).reasons;
    assert!(of(five(0, &mine, &other)).iter().any(|reason| reason.contains("in 300 s")));
    assert!(!of(five(5, &mine, &other)).iter().any(|reason| reason.contains("cache")));
}

#[test]
fn every_rule_has_its_name() {
    for (rule, name) in
        [(NameRule::DiffersNearMe, "differs-near-me"), (NameRule::MpicCorroborated, "mpic-corroborated")]
    {
        assert_eq!(serde_json::to_value(rule).unwrap(), name);
        assert_eq!(rule.as_str(), name);
    }
    assert_eq!(serde_json::to_value(SetAgreement::SameNetworks).unwrap(), SetAgreement::SameNetworks.as_str());
}

fn any_told() -> impl Strategy<Value = Told> {
    prop_oneof![
        4 => prop::collection::btree_set(0u8..4, 0..3).prop_map(|records| {
            let records: Vec<_> = records.into_iter().map(|n| format!("192.{n}.2.1")).collect();
            told(&records.iter().map(String::as_str).collect::<Vec<_>>())
        }),
        1 => (0u8..3).prop_map(|n| secure(&[&format!("192.{n}.2.1")])),
        1 => (0u8..3, 1u32..3).prop_map(|(n, serial)| at_serial(told(&[&format!("192.{n}.2.1")]), serial)),
        1 => prop::sample::select(vec![bogus(), cut(&["192.0.2.1"]), nothing("SERVFAIL"), nothing("NXDOMAIN")]),
    ]
}

fn any_kind() -> impl Strategy<Value = RecordKind> {
    prop::sample::select(vec![RecordKind::A, RecordKind::Aaaa, RecordKind::Mx, RecordKind::Soa])
}

fn is_flip(one: Decision, other: Decision) -> bool {
    one != other && one != Decision::Undecided && other != Decision::Undecided
}

proptest! {
    #[test]
    fn silence_never_flips(
        kind in any_kind(),
        local in any_told(),
        others in prop::collection::vec(prop::option::weighted(0.9, any_told()), 0..7),
        silenced in prop::collection::vec(any::<bool>(), 7),
    ) {
        let policy = Policy::default();
        let full = policy.decide_name(&resolution(kind, local.clone(), others.clone()), NOW);
        let fewer = others.into_iter().zip(silenced).map(|(told, silent)| told.filter(|_| !silent)).collect();
        let fewer = policy.decide_name(&resolution(kind, local, fewer), NOW);
        prop_assert!(!is_flip(full.decision, fewer.decision), "{full:?} {fewer:?}");
    }

    #[test]
    fn one_more_that_agrees_never_flips(
        kind in any_kind(),
        local in any_told(),
        others in prop::collection::vec(prop::option::weighted(0.9, any_told()), 0..6),
    ) {
        let policy = Policy::default();
        let before = policy.decide_name(&resolution(kind, local.clone(), others.clone()), NOW);
        let more = others.into_iter().chain([Some(local.clone())]).collect();
        let after = policy.decide_name(&resolution(kind, local, more), NOW);
        prop_assert!(!is_flip(before.decision, after.decision), "{before:?} {after:?}");
    }

    #[test]
    fn no_word_hangs_on_another_answer(kind in any_kind(), local in any_told(), told in any_told(), other in any_told()) {
        let alone = Policy::default().decide_name(&resolution(kind, local.clone(), vec![Some(told.clone())]), NOW);
        let both = Policy::default().decide_name(&resolution(kind, local, vec![Some(told), Some(other)]), NOW);
        prop_assert_eq!(alone.judged[0], both.judged[0]);
    }

    #[test]
    fn every_policy_is_total(
        kind in any_kind(),
        local in any_told(),
        others in prop::collection::vec(prop::option::of(any_told()), 0..7),
        policy in prop::sample::select(Policy::NAMES.to_vec()),
    ) {
        let verdict = Policy::named(policy).unwrap().decide_name(&resolution(kind, local, others), NOW);
        prop_assert!(!verdict.reasons.is_empty());
        prop_assert!(verdict.counts.agree + verdict.counts.differ <= verdict.counts.answered);
    }
}
