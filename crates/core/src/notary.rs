//! What an old notary can testify. It knows certificates by their MD5 alone, and says nothing of looks, DNS or CAs.

use std::time::Duration;

use crate::evidence::Evidence;
use crate::history::CONTINUITY;
use crate::id::{Md5Fingerprint, VantageId};
use crate::time::Timestamp;
use crate::verdict::{Agreement, Judged, Word};

/// The signed answer of an old notary (`docs/protocols/perspectives-client.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotaryTestimony {
    /// Who: SHA-256 of its key's SubjectPublicKeyInfo.
    pub vantage: VantageId,
    /// What it remembers, in any order.
    pub spans: Vec<Md5Span>,
}

/// First to last time an old notary saw one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Md5Span {
    /// MD5 of the leaf.
    pub leaf_md5: Md5Fingerprint,
    /// First sight, to the second.
    pub first_seen: Timestamp,
    /// Last sight, to the second.
    pub last_seen: Timestamp,
}

impl Md5Span {
    pub(crate) fn held(&self) -> Duration {
        self.last_seen.since(self.first_seen)
    }
}

impl NotaryTestimony {
    /// When it last saw the service with any certificate.
    pub fn newest(&self) -> Option<Timestamp> {
        self.spans.iter().map(|span| span.last_seen).max()
    }

    /// Whether the certificate that it saw last is the one with this MD5; `None` when it has not looked for
    /// [`CONTINUITY`], and so says nothing of `now`.
    pub fn shows(&self, mine: Md5Fingerprint, now: Timestamp) -> Option<bool> {
        let newest = self.newest().filter(|newest| *newest >= now.minus(CONTINUITY))?;
        Some(self.spans.iter().any(|span| span.last_seen == newest && span.leaf_md5 == mine))
    }
}

/// How many old notaries show my certificate now, and how many another.
pub(crate) fn tally(evidence: &Evidence) -> (usize, usize) {
    let Some(mine) = mine(evidence) else { return (0, 0) };
    let shown = evidence.notaries().iter().filter_map(|notary| notary.shows(mine, evidence.started()));
    shown.fold((0, 0), |(agree, differ), shows| if shows { (agree + 1, differ) } else { (agree, differ + 1) })
}

/// How each compares with my look. An MD5 that agrees is no proof; whether it counts is the policy's affair.
pub(crate) fn judged<'a>(evidence: &'a Evidence, counts: bool) -> impl Iterator<Item = Judged> + 'a {
    let mine = mine(evidence);
    evidence.notaries().iter().map(move |notary| {
        let (agrees, word) = match mine.and_then(|mine| notary.shows(mine, evidence.started())) {
            Some(true) => (Agreement::SameLeaf, Word::For),
            Some(false) => (Agreement::Differs, Word::Against),
            None => (Agreement::NothingSeen, Word::Aside),
        };
        Judged { vantage: notary.vantage, agrees, word: if counts { word } else { Word::Aside } }
    })
}

fn mine(evidence: &Evidence) -> Option<Md5Fingerprint> {
    evidence.local().now.proved()?.leaf_md5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::DnsAnswers;
    use crate::evidence::Testimony;
    use crate::history::{History, Timespan};
    use crate::id::Fingerprint;
    use crate::observation::{CaId, Look, Met, Observation, PublicCa};
    use crate::policy::{Policy, Share};
    use crate::verdict::{Decision, Rule, Verdict};

    const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
    const MINE: u8 = 1;
    const OTHER: u8 = 2;

    fn print(n: u8) -> Fingerprint {
        Fingerprint::from_bytes([n; 32])
    }

    fn md5(n: u8) -> Md5Fingerprint {
        Md5Fingerprint::from_bytes([n; 16])
    }

    fn id(n: u8) -> VantageId {
        VantageId::from_bytes([n; 32])
    }

    fn ago(days: u64) -> Timestamp {
        NOW.minus(Duration::from_secs(days * 86_400))
    }

    fn look(n: u8, leaf_md5: Option<u8>) -> Look {
        let met = Met {
            protocol: "TLSv1.3".into(),
            proved: true,
            leaf: print(n),
            leaf_md5: leaf_md5.map(md5),
            key: print(n),
            issuer_key: None,
            chain: vec![print(n)],
            path: vec![],
            names: vec![],
            not_before: ago(400),
            not_after: NOW,
            ca_id: CaId::Key(print(n)),
            host_keys: Vec::new(),
            scts: None,
            public_ca: PublicCa::UnknownIssuer,
        };
        Look { dns: DnsAnswers::default(), now: Observation::seen(NOW, None, met) }
    }

    fn evidence() -> Evidence {
        Evidence::new("example.com".parse().unwrap(), look(MINE, Some(MINE)), NOW)
    }

    /// A notary that saw this certificate from so many days ago until so many days ago.
    fn notary(n: u8, seen: &[(u8, u64, u64)]) -> NotaryTestimony {
        let span = |(leaf, from, until): &(u8, u64, u64)| Md5Span {
            leaf_md5: md5(*leaf),
            first_seen: ago(*from),
            last_seen: ago(*until),
        };
        NotaryTestimony { vantage: id(n), spans: seen.iter().map(span).collect() }
    }

    /// A node that shows this certificate and has known it for so many days.
    fn node(n: u8, shows: u8, days: u64) -> Testimony {
        let span = Timespan {
            key: print(shows),
            leaf: print(shows),
            leaf_md5: None,
            issuer_key: None,
            ca_id: CaId::Key(print(shows)),
            networks: vec![],
            proved: true,
            first_seen: ago(days),
            last_seen: NOW,
        };
        let history = History { spans: vec![span], ..History::default() };
        Testimony { vantage: id(n), issued_at: NOW, look: look(shows, None), there: None, history }
    }

    fn quorum(evidence: &Evidence, share: f64, days: u64) -> Verdict {
        let min_duration = Duration::from_secs(days * 86_400);
        Policy::Quorum { threshold: Share::new(share).unwrap(), min_duration }.decide(evidence, NOW)
    }

    #[test]
    fn quorum_takes_spans_of_both_kinds_alike() {
        let mut evidence = evidence();
        evidence.add(node(1, MINE, 9));
        evidence.add_notary(notary(2, &[(OTHER, 30, 6), (MINE, 6, 0)]));
        evidence.add_notary(notary(3, &[(MINE, 4, 1)]));
        let verdict = quorum(&evidence, 1.0, 4);
        assert_eq!((verdict.decision, verdict.rule), (Decision::Trusted, Rule::QuorumHeld), "{verdict:?}");
        assert_eq!(quorum(&evidence, 1.0, 6).rule, Rule::QuorumTooYoung, "one has known it for 4 days");
        assert_eq!(quorum(&evidence, 0.6, 6).rule, Rule::QuorumHeld, "two have for 6");
        assert_eq!((verdict.counts.asked, verdict.counts.answered, verdict.counts.agree), (3, 3, 3));
        assert_eq!(verdict.judged.len(), 3);
        evidence.add_notary(notary(3, &[(OTHER, 4, 1)]));
        assert_eq!(quorum(&evidence, 1.0, 0).rule, Rule::QuorumMissed);
    }

    /// The longest reply that is read holds some 9000 of them; whoever answers must not keep me busy for minutes.
    #[test]
    fn a_notary_with_thousands_of_spans_is_judged_as_one_with_few() {
        let second = |seconds: u64| NOW.minus(Duration::from_secs(seconds));
        let span = |from, until| Md5Span { leaf_md5: md5(MINE), first_seen: second(from), last_seen: second(until) };
        let mut evidence = evidence();
        for n in 2..7 {
            // They overlap, are in no order, and one lies within another.
            let spans = (0..9000).map(|k| span(100 * (8999 - k) + 150, 100 * (8999 - k))).chain([span(5000, 4000)]);
            evidence.add_notary(NotaryTestimony { vantage: id(n), spans: spans.collect() });
        }
        let verdict = quorum(&evidence, 1.0, 10);
        assert_eq!(verdict.rule, Rule::QuorumHeld, "{verdict:?}");
        let mut gapped = evidence.notaries()[0].clone();
        gapped.spans.retain(|span| span.first_seen < second(500_000) || second(400_000) < span.last_seen);
        evidence.add_notary(gapped);
        assert_eq!(quorum(&evidence, 1.0, 5).rule, Rule::QuorumTooYoung, "a gap of a day breaks it");
        assert_eq!(quorum(&evidence, 1.0, 4).rule, Rule::QuorumHeld);
    }

    #[test]
    fn who_has_not_looked_for_two_days_says_nothing_of_now() {
        let mut evidence = evidence();
        evidence.add(node(1, MINE, 9));
        evidence.add_notary(notary(2, &[(OTHER, 30, 3)]));
        evidence.add_notary(notary(3, &[]));
        assert_eq!(quorum(&evidence, 1.0, 0).rule, Rule::QuorumHeld);
        assert_eq!(quorum(&evidence, 1.0, 0).counts.differ, 0);
        assert_eq!(notary(2, &[(MINE, 30, 2)]).shows(md5(MINE), NOW), Some(true), "two days to the millisecond");
        // Two certificates with the same last second: the one of the two that is mine is enough.
        assert_eq!(notary(2, &[(MINE, 30, 1), (OTHER, 3, 1)]).shows(md5(MINE), NOW), Some(true));
        assert_eq!(notary(2, &[(MINE, 30, 2), (OTHER, 3, 1)]).shows(md5(MINE), NOW), Some(false));
    }

    #[test]
    fn majority_counts_both_kinds() {
        let policy = Policy::Majority { threshold: Share::new(0.6).unwrap(), min_views: 3 };
        let mut evidence = evidence();
        evidence.add(node(1, MINE, 1));
        evidence.add_notary(notary(2, &[(MINE, 6, 0)]));
        assert_eq!(policy.decide(&evidence, NOW).rule, Rule::NotEnough);
        assert!(!policy.is_settled(&evidence, &[id(3)], NOW));
        evidence.add_notary(notary(3, &[(OTHER, 6, 0)]));
        assert_eq!(policy.decide(&evidence, NOW).rule, Rule::MajorityAgrees);
        evidence.add_notary(notary(4, &[(OTHER, 6, 0)]));
        assert_eq!(policy.decide(&evidence, NOW).rule, Rule::MajorityDiffers);
    }

    #[test]
    fn the_other_policies_decide_as_if_no_notary_had_been_asked() {
        for name in ["evidence", "unanimous", "mpic"] {
            let policy = Policy::named(name).unwrap();
            for shows in [MINE, OTHER] {
                let mut evidence = evidence();
                (1..=3).for_each(|n| evidence.add(node(n, MINE, 9)));
                let alone = policy.decide(&evidence, NOW);
                (11..=20).for_each(|n| evidence.add_notary(notary(n, &[(shows, 9, 0)])));
                let beside = policy.decide(&evidence, NOW);
                assert_eq!((beside.decision, beside.rule), (alone.decision, alone.rule), "{name}");
                assert_eq!((beside.counts.agree, beside.counts.differ), (alone.counts.agree, alone.counts.differ));
                assert_eq!((beside.counts.asked, beside.judged.len()), (13, 13));
                assert!(beside.judged[3..].iter().all(|judged| judged.word == Word::Aside));
                assert!(beside.reasons.last().unwrap().contains("10 of the asked are old notaries"), "{beside:?}");
                evidence.ask_notary(id(21));
                assert!(policy.is_settled(&evidence, &[id(21)], NOW), "{name} waits for no notary");
            }
        }
    }

    #[test]
    fn without_the_md5_of_my_own_certificate_nothing_is_compared() {
        let mut evidence = Evidence::new("example.com".parse().unwrap(), look(MINE, None), NOW);
        evidence.add_notary(notary(1, &[(MINE, 9, 0)]));
        assert_eq!(quorum(&evidence, 0.5, 0).rule, Rule::NotEnough);
        assert_eq!(quorum(&evidence, 0.5, 0).judged[0].agrees, Agreement::NothingSeen);
    }

    #[test]
    fn one_certificate_known_by_two_names_makes_no_inconsistent_site() {
        let mut local = look(MINE, Some(MINE));
        local.now.met.as_mut().unwrap().public_ca = PublicCa::Valid;
        let mut evidence = Evidence::new("example.com".parse().unwrap(), local, NOW);
        // Seen 20 days ago by the notary, something else now: weak only where the site is known to change all the time.
        evidence.add(node(1, OTHER, 1));
        evidence.add_notary(notary(2, &[(OTHER, 1, 0)]));
        assert_eq!(quorum(&evidence, 0.5, 0).rule, Rule::QuorumMissed);
        evidence.add_notary(notary(2, &[(MINE, 20, 19), (OTHER, 1, 0)]));
        assert_eq!(quorum(&evidence, 0.5, 0).rule, Rule::QuorumWeak);
    }
}
