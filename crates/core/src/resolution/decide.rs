//! The table of `docs/protocols/dns.md`, and what the other policies make of the same words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::compare::{compare, is_comparable};
use super::{JudgedAnswer, NameRule, NameVerdict, Resolution, SetAgreement, reasons};
use crate::dns::Dnssec;
use crate::id::VantageId;
use crate::most::are_most;
use crate::policy::{Policy, Share, least_asked, quorum_slack};
use crate::time::Timestamp;
use crate::verdict::{Counts, Decision, Word};

/// Answers that `unanimous` looks at.
const MIRRORS: usize = 3;

pub(super) fn decide(policy: &Policy, resolution: &Resolution, now: Timestamp) -> NameVerdict {
    let bench = Bench::of(resolution);
    let (decision, rule) = match policy {
        Policy::Evidence { .. } => bench.evidence(),
        _ if !is_comparable(&resolution.local().set) => (Decision::Undecided, NameRule::NoAnswer),
        Policy::Majority { threshold, min_views } => bench.majority(*threshold, *min_views),
        Policy::Quorum { threshold, min_duration } => bench.quorum(*threshold, *min_duration),
        Policy::Unanimous => bench.unanimous(),
        Policy::Mpic => bench.mpic(now),
    };
    let reasons = reasons::of(&bench, rule);
    NameVerdict { decision, rule, reasons, counts: bench.counts(), judged: bench.judged }
}

/// All that the table looks at.
pub(super) struct Bench<'a> {
    pub(super) resolution: &'a Resolution,
    pub(super) judged: Vec<JudgedAnswer>,
}

impl<'a> Bench<'a> {
    fn of(resolution: &'a Resolution) -> Self {
        let judged = resolution.answers().iter().map(|answer| {
            let agrees = compare(resolution.kind(), resolution.local(), &answer.told);
            JudgedAnswer { vantage: answer.vantage, agrees, word: agrees.word() }
        });
        Self { resolution, judged: judged.collect() }
    }

    pub(super) fn asked(&self) -> usize {
        self.resolution.asked().len()
    }

    pub(super) fn count(&self, what: impl Fn(&JudgedAnswer) -> bool) -> usize {
        self.judged.iter().filter(|judged| what(judged)).count()
    }

    /// Those that gave an answer, whatever mine is.
    pub(super) fn answering(&self) -> BTreeSet<VantageId> {
        let answers = self.resolution.answers().iter();
        answers.filter(|answer| is_comparable(&answer.told.set)).map(|answer| answer.vantage).collect()
    }

    fn those(&self, what: impl Fn(&JudgedAnswer) -> bool) -> BTreeSet<VantageId> {
        self.judged.iter().filter(|judged| what(judged)).map(|judged| judged.vantage).collect()
    }

    /// Whoever answered was asked.
    fn is_most(&self, those: &BTreeSet<VantageId>) -> bool {
        let asked = self.resolution.asked().iter();
        let members = asked.clone().filter(|asked| those.contains(&asked.vantage));
        are_most(members.map(|asked| asked.region.as_deref()), asked.map(|asked| asked.region.as_deref()))
    }

    /// The answer other than mine that most tell.
    pub(super) fn other_answer(&self, secure_only: bool) -> Option<&'a [String]> {
        let mut tellers: BTreeMap<&[String], BTreeSet<VantageId>> = BTreeMap::new();
        let against = self.those(|judged| judged.word == Word::Against);
        for answer in self.resolution.answers().iter().filter(|answer| against.contains(&answer.vantage)) {
            if !secure_only || answer.told.set.dnssec == Dnssec::Secure {
                tellers.entry(&answer.told.set.records).or_default().insert(answer.vantage);
            }
        }
        tellers.into_iter().find(|(_, tellers)| self.is_most(tellers)).map(|(records, _)| records)
    }

    /// The table of the policy `evidence`; the first row that matches wins.
    fn evidence(&self) -> (Decision, NameRule) {
        let mine = &self.resolution.local().set;
        let answering = self.is_most(&self.answering());
        if !is_comparable(mine) {
            let bogus = mine.dnssec == Dnssec::Bogus && answering;
            return if bogus {
                (Decision::Distrusted, NameRule::BogusNearMe)
            } else {
                (Decision::Undecided, NameRule::NoAnswer)
            };
        }
        if self.is_most(&self.those(|judged| judged.word == Word::For)) {
            let same = self.is_most(&self.those(|judged| judged.agrees == SetAgreement::Same));
            return (Decision::Trusted, if same { NameRule::Corroborated } else { NameRule::SameNetworks });
        }
        if mine.dnssec == Dnssec::Secure {
            return match self.other_answer(true) {
                Some(_) => (Decision::Undecided, NameRule::Propagation),
                None => (Decision::Trusted, NameRule::DnssecSecure),
            };
        }
        if let Some(rule) = self.rule_against() {
            return (Decision::Distrusted, rule);
        }
        (Decision::Undecided, self.rule_undecided(answering))
    }

    fn rule_against(&self) -> Option<NameRule> {
        let against = self.those(|judged| judged.word == Word::Against);
        let empty = |vantage: &VantageId| {
            let answers = self.resolution.answers().iter();
            answers.filter(|answer| answer.vantage == *vantage).all(|answer| answer.told.set.records.is_empty())
        };
        if self.resolution.local().set.records.is_empty() {
            return self.is_most(&against).then_some(NameRule::Withheld);
        }
        if self.is_most(&against.into_iter().filter(empty).collect()) {
            return Some(NameRule::Invented);
        }
        self.other_answer(false).map(|_| NameRule::DiffersNearMe)
    }

    fn rule_undecided(&self, answering: bool) -> NameRule {
        let any = |agrees| self.count(|judged| judged.agrees == agrees) > 0;
        if !answering {
            NameRule::NotEnough
        } else if any(SetAgreement::OtherSerial) {
            NameRule::Propagation
        } else if any(SetAgreement::OtherAddresses) {
            NameRule::OtherAddresses
        } else {
            NameRule::Unexplained
        }
    }

    /// Answers that can be compared with mine, and those that are for it.
    pub(super) fn tally(&self) -> (usize, usize) {
        let looks = self.count(|judged| judged.agrees != SetAgreement::NothingSaid);
        (self.count(|judged| judged.word == Word::For), looks)
    }

    /// Too few are like mine: distrusted, unless nobody speaks against it. Other addresses are ordinary.
    fn too_few(&self, rule: NameRule) -> (Decision, NameRule) {
        if self.count(|judged| judged.word == Word::Against) > 0 {
            (Decision::Distrusted, rule)
        } else {
            (Decision::Undecided, self.rule_undecided(true))
        }
    }

    fn majority(&self, threshold: Share, min_views: usize) -> (Decision, NameRule) {
        let (agree, looks) = self.tally();
        if looks < min_views.max(1) {
            (Decision::Undecided, NameRule::NotEnough)
        } else if threshold.is_reached(agree, looks) {
            (Decision::Trusted, NameRule::MajorityAgrees)
        } else {
            self.too_few(NameRule::MajorityDiffers)
        }
    }

    fn quorum(&self, threshold: Share, min_duration: Duration) -> (Decision, NameRule) {
        let (agree, looks) = self.tally();
        if looks == 0 {
            (Decision::Undecided, NameRule::NotEnough)
        } else if agree < threshold.rounded_of(looks) {
            self.too_few(NameRule::QuorumMissed)
        } else if min_duration > Duration::ZERO {
            (Decision::Undecided, NameRule::QuorumTooYoung)
        } else {
            (Decision::Trusted, NameRule::QuorumHeld)
        }
    }

    /// The proposal's own rule: the same, at all three.
    fn unanimous(&self) -> (Decision, NameRule) {
        let mut looks = self.judged.iter().filter(|judged| judged.agrees != SetAgreement::NothingSaid);
        let first: Vec<_> = looks.by_ref().take(MIRRORS).collect();
        if first.len() < MIRRORS {
            (Decision::Undecided, NameRule::NotEnough)
        } else if first.iter().all(|judged| judged.agrees == SetAgreement::Same) {
            (Decision::Trusted, NameRule::Unanimous)
        } else {
            (Decision::Distrusted, NameRule::NotUnanimous)
        }
    }

    fn mpic(&self, now: Timestamp) -> (Decision, NameRule) {
        let (agree, looks) = self.tally();
        let slack = quorum_slack(self.asked());
        if looks - agree > slack {
            self.too_few(NameRule::MpicDiffers)
        } else if self.asked() >= least_asked(now)
            && agree > 0
            && agree + slack >= self.asked()
            && self.registries() >= 2
        {
            (Decision::Trusted, NameRule::MpicCorroborated)
        } else {
            (Decision::Undecided, NameRule::NotEnough)
        }
    }

    /// Registry regions of those whose answer is for mine.
    pub(super) fn registries(&self) -> usize {
        let vouching = self.those(|judged| judged.word == Word::For);
        let asked = self.resolution.asked().iter().filter(|asked| vouching.contains(&asked.vantage));
        asked.filter_map(|asked| asked.rir.as_deref()).collect::<BTreeSet<_>>().len()
    }

    fn counts(&self) -> Counts {
        let (agree, looks) = self.tally();
        Counts { asked: self.asked(), answered: self.resolution.answers().len(), agree, differ: looks - agree }
    }
}
