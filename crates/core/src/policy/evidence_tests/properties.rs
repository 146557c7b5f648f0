//! What must hold in any world.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::super::{Condition, Conditions, Variation};
use super::super::Bench;
use super::*;
use crate::verdict::Word;

fn any_cert() -> impl Strategy<Value = Cert> {
    prop::sample::select(vec![MINE, MINE, SIBLING, OTHER, OWN_ROOT, PRIVATE])
}

fn any_record() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![vec![], vec![], vec![1], vec![105], vec![9], vec![1, 9]])
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 1, 20, 30, 50, 73, 100, 24 * 40, 24 * 400]).prop_map(|hours: u32| HOUR * hours)
}

prop_compose! {
    fn any_view()(
        look in prop::option::weighted(0.85, (any_cert(), any::<bool>())),
        there in prop::option::weighted(0.5, any_cert()),
        stale in prop::bool::weighted(0.1),
        spans in prop::collection::vec((any_cert(), any_time(), any_time()), 0..3),
        record in prop::option::weighted(0.9, any_record()),
        before in prop::collection::vec((any_record(), any_time(), any_time()), 0..2),
    ) -> V {
        let mut view = match look {
            Some((cert, true)) => sees(cert),
            Some((cert, false)) => sees_elsewhere(cert),
            None => silent_look(),
        };
        if let Some(cert) = there {
            view = view.there(cert);
        }
        for (cert, one, other) in spans {
            view = view.remembers(cert, one.max(other), one.min(other));
        }
        for (ca, one, other) in before {
            view = view.had_record(&ca, one.max(other), one.min(other));
        }
        view = match record {
            Some(ca) => view.record(&ca),
            None => view.with(|view| view.look.dns.ca = None),
        };
        if stale {
            view = view.with(|view| view.look.now.at = NOW.minus(10 * HOUR));
        }
        view
    }
}

fn any_local() -> impl Strategy<Value = Observation> {
    prop_oneof![
        8 => any_cert().prop_map(|cert| cert.at(HERE)),
        1 => Just(Observation::failed(NOW, Some(HERE.parse().unwrap()), Outcome::NotTls)),
        1 => Just(failed()),
    ]
}

prop_compose! {
    fn any_world()(
        local in any_local(),
        views in prop::collection::vec(any_view(), 1..8),
        silent in 0..3usize,
    ) -> (Observation, Vec<V>, usize) {
        let asked = views.len() + silent;
        (local, views, asked)
    }
}

/// The same world with views left out; `keep` says which stay.
fn partly(local: &Observation, views: &[V], asked: usize, keep: &[bool]) -> Evidence {
    let mut evidence = evidence_from(local.clone(), views, asked);
    for (n, _) in views.iter().enumerate().filter(|(n, _)| !keep[*n]) {
        evidence.drop_view(vantage(n));
    }
    evidence
}

fn flips(one: Decision, other: Decision) -> bool {
    matches!((one, other), (Trusted, Distrusted) | (Distrusted, Trusted))
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        6 => any::<bool>().prop_map(|accept_private| Policy::Evidence { accept_private }),
        1 => prop::sample::select(vec!["majority", "quorum", "unanimous", "mpic"]).prop_map(|name| Policy::named(name).unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60_000, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn silence_never_flips_a_verdict((local, views, asked) in any_world(), keep in prop::collection::vec(any::<bool>(), 8), accept_private: bool) {
        let policy = Policy::Evidence { accept_private };
        let whole = policy.decide(&partly(&local, &views, asked, &[true; 8]), NOW);
        let part = policy.decide(&partly(&local, &views, asked, &keep), NOW);
        prop_assert!(!flips(whole.decision, part.decision), "{:?} {:?}", whole, part);
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12_000, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn one_more_for_me_never_flips_a_verdict((local, views, asked) in any_world(), more in any_view(), accept_private: bool) {
        let policy = Policy::Evidence { accept_private };
        let before = evidence_from(local, &views, asked);
        let mut after = before.clone();
        after.ask(Asked { vantage: vantage(40), region: Some("sa-east".into()), rir: None });
        after.add(Testimony { vantage: vantage(40), ..more.0 });
        let (before, after) = (policy.decide(&before, NOW), policy.decide(&after, NOW));
        if after.judged.last().is_some_and(|judged| judged.word == Word::For) {
            prop_assert!(!flips(before.decision, after.decision), "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn an_unexplained_new_ca_is_never_outvoted((local, views, asked) in any_world(), accept_private: bool) {
        let evidence = evidence_from(local, &views, asked);
        let verdict = Policy::Evidence { accept_private }.decide(&evidence, NOW);
        if Bench::of(&evidence, Conditions::default(), NOW).ca_is_new() {
            // The one exception needs a key that most have known for days: its CA can't be new to them.
            prop_assert!(verdict.decision != Trusted || verdict.rule == Rule::StablePrivate, "{:?}", verdict);
        }
    }

    #[test]
    fn settled_decisions_stand((local, views, asked) in any_world(), keep in prop::collection::vec(any::<bool>(), 8), policy in any_policy(), unknown_regions: bool) {
        let mut part = partly(&local, &views, asked, &keep);
        let mut whole = partly(&local, &views, asked, &[true; 8]);
        if unknown_regions {
            // The open ones tell their region only with their answer.
            part = Evidence::new(part.service().clone(), part.local().clone(), part.started());
            for n in 0..asked {
                let region = (n < views.len() && keep[n]).then(|| REGIONS[n % 3].into());
                part.ask(Asked { vantage: vantage(n), region, rir: Some(format!("RIR{}", n % 3)) });
            }
            for (n, view) in views.iter().enumerate().filter(|(n, _)| keep[*n]) {
                part.add(Testimony { vantage: vantage(n), ..view.0.clone() });
            }
            let all = whole;
            whole = part.clone();
            for (n, view) in views.iter().enumerate().filter(|(n, _)| !keep[*n]) {
                whole.ask(Asked { vantage: vantage(n), region: Some(REGIONS[n % 3].into()), rir: None });
                whole.add(Testimony { vantage: vantage(n), ..view.0.clone() });
            }
            prop_assert_eq!(all.views().len(), whole.views().len());
        }
        let open: Vec<_> = (0..asked).filter(|n| *n >= views.len() || !keep[*n]).map(vantage).collect();
        // Order of arrival matters to `unanimous`: those that were there stay first.
        if policy != Policy::Unanimous && policy.is_settled(&part, &open, NOW) {
            let (before, after) = (policy.decide(&part, NOW), policy.decide(&whole, NOW));
            prop_assert_eq!(before.decision, after.decision, "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn a_conclusion_is_the_decision_without_words((local, views, asked) in any_world(), policy in any_policy()) {
        let evidence = evidence_from(local, &views, asked);
        let verdict = policy.decide(&evidence, NOW);
        prop_assert_eq!(policy.conclude(&evidence, NOW), (verdict.decision, verdict.rule));
    }

    #[test]
    fn no_view_is_both_and_no_word_hangs_on_another((local, views, asked) in any_world()) {
        let together = Policy::default().decide(&evidence_from(local.clone(), &views, asked), NOW);
        for (n, view) in views.iter().enumerate() {
            let alone = Policy::default().decide(&evidence_from(local.clone(), std::slice::from_ref(view), 1), NOW);
            prop_assert_eq!(alone.judged[0].word, together.judged[n].word);
        }
    }
}

/// An ablation that changes nothing anywhere would measure nothing: each condition must be seen to matter.
#[test]
fn every_condition_changes_some_conclusion() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut unseen: BTreeSet<Condition> = Condition::ALL.iter().copied().collect();
    let policy = Policy::default();
    let mut try_on = |evidence: &Evidence| {
        let whole = policy.conclude(evidence, NOW);
        unseen.retain(|condition| policy.conclude_varied(Variation::Without(*condition), evidence, NOW) == whole);
        unseen.clone()
    };
    // What the generated worlds have not: most in one of two regions, a record that names a key, and a network in which
    // nobody has met my CA.
    let [mut one_region, mut named, mut strange] = [3, 2, 2].map(|asked| evidence_from(MINE.at(HERE), &[], asked));
    for (n, region) in [(0, 0), (1, 0), (2, 1)] {
        one_region = with_region(&one_region, n, REGIONS[region]);
    }
    for n in 0..2 {
        one_region.add(Testimony { vantage: vantage(n), ..sees(MINE).0 });
        let record =
            |view: &mut Testimony| view.look.dns.tlsa = Some(vec![format!("3 1 1 {}", print(1)).parse().unwrap()]);
        strange.add(Testimony { vantage: vantage(n), ..sees_elsewhere(SIBLING).there(MINE).0 });
        named.add(Testimony { vantage: vantage(n), ..view(SIBLING.at("192.0.99.1:443")).with(record).0 });
    }
    try_on(&one_region);
    try_on(&named);
    try_on(&strange);
    let (world, expired) = (any_world(), any::<bool>());
    for _ in 0..60_000 {
        let (mut local, views, asked) = world.new_tree(&mut runner).unwrap().current();
        if let (true, Some(met)) = (expired.new_tree(&mut runner).unwrap().current(), &mut local.met) {
            met.not_after = NOW.minus(HOUR);
        }
        if try_on(&evidence_from(local, &views, asked)).is_empty() {
            return;
        }
    }
    panic!("these change nothing: {:?}", try_on(&evidence_from(failed(), &[], 0)));
}

fn with_region(evidence: &Evidence, n: usize, region: &str) -> Evidence {
    let mut changed = Evidence::new(evidence.service().clone(), evidence.local().clone(), evidence.started());
    for asked in evidence.asked() {
        let region = if asked.vantage == vantage(n) { Some(region.into()) } else { asked.region.clone() };
        changed.ask(Asked { region, ..asked.clone() });
    }
    changed
}
