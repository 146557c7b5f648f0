//! An SSH server has several host keys, and not every look sees all of them: which of them are compared.
//!
//! My key is the one that the verdict is about. A view's look is put so that its key of the same kind stands as its key.
//! A look without that kind says nothing where every other kind that both saw agrees in its strongest: a server that
//! offers more or fewer kinds than a while ago is no attack. It does not vouch either: each key is proved over a
//! connection of its own, so whoever sits in between could pass on those for the keys that others know and answer the
//! rest himself. A look that shares no kind with mine, or another key of the strongest shared one, differs.

use std::borrow::Cow;

use crate::evidence::Evidence;
use crate::observation::Met;

/// The evidence as keys can be compared in it.
pub(super) fn aligned(evidence: &Evidence) -> Cow<'_, Evidence> {
    match evidence.local().now.proved() {
        Some(mine) if !mine.host_keys.is_empty() => Cow::Owned(evidence.with_looks(|met| align(mine, met))),
        _ => Cow::Borrowed(evidence),
    }
}

fn align(mine: &Met, met: &mut Met) {
    let Some(compared) = mine.host_key() else { return };
    if let Some(same_kind) = met.host_keys.iter().find(|key| key.kind == compared.kind) {
        *met = met.by_host_key(same_kind);
    } else if agree_in_strongest_shared(mine, met) {
        met.proved = false;
    }
}

fn agree_in_strongest_shared(mine: &Met, met: &Met) -> bool {
    let shared =
        mine.host_keys.iter().find_map(|key| Some((key, met.host_keys.iter().find(|other| other.kind == key.kind)?)));
    shared.is_some_and(|(mine, other)| mine.key == other.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DnsAnswers;
    use crate::evidence::{Asked, Testimony};
    use crate::history::History;
    use crate::host_key::{HostKey, HostKeyKind};
    use crate::id::{Fingerprint, Md5Fingerprint, VantageId};
    use crate::observation::{Look, Observation, Outcome};
    use crate::policy::Policy;
    use crate::time::Timestamp;
    use crate::verdict::{Agreement, Decision, Rule, Verdict};
    use HostKeyKind::{EcdsaP256, Ed25519, Rsa};

    const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

    fn print(seed: u8) -> Fingerprint {
        Fingerprint::from_bytes([seed; 32])
    }

    /// A look that proved these keys; no key is a look that failed.
    fn look(keys: &[(HostKeyKind, u8)]) -> Look {
        let host_keys: Vec<HostKey> = keys
            .iter()
            .map(|(kind, seed)| HostKey {
                kind: *kind,
                key: print(*seed),
                md5: Md5Fingerprint::from_bytes([*seed; 16]),
                blob: vec![*seed],
            })
            .collect();
        let Some(met) = Met::of_host_keys(host_keys) else {
            return Look { dns: DnsAnswers::default(), now: Observation::failed(NOW, None, Outcome::Timeout) };
        };
        let address = Some("192.0.2.10:22".parse().unwrap());
        let now = Observation::seen(NOW, address, met);
        Look { dns: DnsAnswers { a: Some(vec!["192.0.2.10".parse().unwrap()]), ..DnsAnswers::default() }, now }
    }

    fn evidence(mine: &[(HostKeyKind, u8)], others: &[&[(HostKeyKind, u8)]]) -> Evidence {
        let mut evidence = Evidence::new("ssh://host.example".parse().unwrap(), look(mine), NOW);
        for (index, keys) in others.iter().enumerate() {
            let vantage = VantageId::from_bytes([index as u8 + 1; 32]);
            let region = Some(format!("r{index}"));
            evidence.ask(Asked { vantage, region, rir: Some(format!("RIR{index}")) });
            let mut history = History::default();
            history.absorb(&look(keys));
            evidence.add(Testimony { vantage, issued_at: NOW, look: look(keys), there: None, history });
        }
        evidence
    }

    fn verdict(mine: &[(HostKeyKind, u8)], others: &[&[(HostKeyKind, u8)]]) -> Verdict {
        Policy::default().decide(&evidence(mine, others), NOW)
    }

    #[test]
    fn the_same_keys_are_corroborated_under_every_policy() {
        let keys: &[(HostKeyKind, u8)] = &[(Ed25519, 1), (EcdsaP256, 2), (Rsa, 3)];
        for name in Policy::NAMES {
            let policy = Policy::named(name).unwrap();
            let told = policy.decide(&evidence(keys, &[keys, keys, keys, keys, keys]), NOW);
            assert_eq!(told.decision, Decision::Trusted, "{name}: {told:?}");
            let evil: &[(HostKeyKind, u8)] = &[(Ed25519, 11), (EcdsaP256, 12), (Rsa, 13)];
            let told = policy.decide(&evidence(evil, &[keys, keys, keys, keys, keys]), NOW);
            assert_eq!(told.decision, Decision::Distrusted, "{name}: {told:?}");
        }
    }

    #[test]
    fn who_sees_more_kinds_than_i_do_is_compared_in_mine() {
        let all: &[(HostKeyKind, u8)] = &[(Ed25519, 1), (Rsa, 3)];
        let told = verdict(&[(Rsa, 3)], &[all, all]);
        assert_eq!((told.decision, told.rule), (Decision::Trusted, Rule::Corroborated), "{told:?}");
        let told = verdict(&[(Rsa, 13)], &[all, all]);
        assert_eq!((told.decision, told.rule), (Decision::Distrusted, Rule::MitmNearMe), "{told:?}");
    }

    /// Each key has a connection of its own: an attacker near me may pass on those that the others know and slip in a
    /// stronger one of his own.
    #[test]
    fn a_key_that_only_i_see_is_neither_an_attack_nor_trusted() {
        let known: &[(HostKeyKind, u8)] = &[(EcdsaP256, 2), (Rsa, 3)];
        let told = verdict(&[(Ed25519, 66), (EcdsaP256, 2), (Rsa, 3)], &[known, known, known]);
        assert_eq!((told.decision, told.rule), (Decision::Undecided, Rule::NotEnough), "{told:?}");
        assert!(told.judged.iter().all(|judged| judged.agrees == Agreement::NothingSeen), "{told:?}");
    }

    #[test]
    fn a_server_without_a_kind_in_common_differs() {
        let known: &[(HostKeyKind, u8)] = &[(EcdsaP256, 2), (Rsa, 3)];
        let told = verdict(&[(Ed25519, 66)], &[known, known]);
        assert_eq!((told.decision, told.rule), (Decision::Distrusted, Rule::MitmNearMe), "{told:?}");
        // Nor does one weak key that he holds help him: the strongest shared one is compared.
        let told = verdict(&[(Ed25519, 66), (EcdsaP256, 67), (Rsa, 3)], &[known, known]);
        assert_eq!(told.decision, Decision::Distrusted, "{told:?}");
    }

    #[test]
    fn each_key_can_be_asked_about_by_itself() {
        let known: &[(HostKeyKind, u8)] = &[(EcdsaP256, 2), (Rsa, 3)];
        let evidence = evidence(&[(Ed25519, 66), (EcdsaP256, 2), (Rsa, 3)], &[known, known, known]);
        let decision = |kind| Policy::default().decide(&evidence.about_host_key(kind).unwrap(), NOW).decision;
        assert_eq!(decision(Ed25519), Decision::Undecided);
        assert_eq!((decision(EcdsaP256), decision(Rsa)), (Decision::Trusted, Decision::Trusted));
        assert!(evidence.about_host_key(HostKeyKind::EcdsaP521).is_none());
    }

    #[test]
    fn a_history_keeps_a_span_of_each_key() {
        let mut history = History::default();
        history.absorb(&look(&[(Ed25519, 1), (Rsa, 3)]));
        history.absorb(&look(&[(Rsa, 3)]));
        let spans: Vec<_> = history.spans.iter().map(|span| (span.leaf, span.key, span.leaf_md5.is_some())).collect();
        assert_eq!(spans, [(print(1), print(1), true), (print(3), print(3), true)]);
    }
}
