//! The rules that turn evidence into a verdict. Pure and total: the same evidence and moment give the same verdict in
//! the command, the library, the simulation and the browser.

mod condition;
mod edges;
mod evidence;
mod host_keys;
mod hubs;
mod majority;
mod memory;
mod mpic;
mod quorum;
mod reasons;
mod unanimous;
mod upgrade;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::evidence::{Evidence, Testimony};
use crate::id::VantageId;
use crate::notary;
use crate::observation::{Met, Observation};
use crate::time::Timestamp;
use crate::verdict::{Agreement, Counts, Decision, Judged, Rule, Verdict, Word};

use condition::Conditions;

pub use condition::{Condition, Variation};
pub use edges::HubVote;
pub use mpic::least_asked;
pub(crate) use mpic::quorum_slack;

/// A rule that turns evidence into a verdict (`docs/protocols/evidence.md`).
#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    /// The default: one word per view, three judgements, one table.
    Evidence {
        /// Whether a private key that most remember long is trusted when too few answer.
        accept_private: bool,
    },
    /// Panorama: the share of looks with my key.
    Majority {
        /// The share that is enough.
        threshold: Share,
        /// Fewer looks than this decide nothing; 3 by default, 1 in the original.
        min_views: usize,
    },
    /// Perspectives: my certificate at a quorum, now and over time.
    Quorum {
        /// The share that makes the quorum.
        threshold: Share,
        /// For how long it must have held.
        min_duration: Duration,
    },
    /// Secure Mirrors: local and the first three looks agree in everything.
    Unanimous,
    /// CA/Browser Forum Baseline Requirements 3.2.2.9: multi-perspective corroboration.
    Mpic,
}

impl Default for Policy {
    fn default() -> Self {
        Policy::Evidence { accept_private: false }
    }
}

impl Policy {
    /// The names of all policies, the default first.
    pub const NAMES: [&'static str; 5] = ["evidence", "majority", "quorum", "unanimous", "mpic"];

    /// The policy of that name with its default settings.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "evidence" => Some(Policy::Evidence { accept_private: false }),
            "majority" => Some(Policy::Majority { threshold: Share::HALF, min_views: 3 }),
            "quorum" => Some(Policy::Quorum { threshold: Share::THREE_QUARTERS, min_duration: Duration::ZERO }),
            "unanimous" => Some(Policy::Unanimous),
            "mpic" => Some(Policy::Mpic),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Policy::Evidence { .. } => "evidence",
            Policy::Majority { .. } => "majority",
            Policy::Quorum { .. } => "quorum",
            Policy::Unanimous => "unanimous",
            Policy::Mpic => "mpic",
        }
    }

    /// Decides. Views that contradict their own vantage point were dropped before (`lying-vantage`).
    pub fn decide(&self, evidence: &Evidence, now: Timestamp) -> Verdict {
        let heard = &*host_keys::aligned(evidence);
        let evidence = &*hubs::counted(heard, self.counts_peers(), &[]);
        let mut verdict = match self {
            Policy::Evidence { accept_private } => evidence::decide(evidence, *accept_private, now),
            Policy::Majority { threshold, min_views } => {
                edges::decide(heard, evidence, *threshold, || majority::decide(evidence, *threshold, *min_views))
            }
            Policy::Quorum { threshold, min_duration } => quorum::decide(evidence, *threshold, *min_duration, now),
            Policy::Unanimous => unanimous::decide(evidence),
            Policy::Mpic => mpic::decide(evidence, now),
        };
        verdict.reasons.extend(upgrade::others(evidence));
        self.take_notaries(evidence, &mut verdict);
        hubs::tell(heard, self.counts_peers(), &mut verdict);
        verdict
    }

    /// The decision and its rule, as [`Policy::decide`] comes to them. The default policy writes no sentences for it: for
    /// simulations of millions of visits.
    pub fn conclude(&self, evidence: &Evidence, now: Timestamp) -> (Decision, Rule) {
        match self {
            Policy::Evidence { accept_private } => {
                let aligned = host_keys::aligned(evidence);
                evidence::conclude(&hubs::counted(&aligned, false, &[]), *accept_private, Conditions::default(), now)
            }
            _ => {
                let verdict = self.decide(evidence, now);
                (verdict.decision, verdict.rule)
            }
        }
    }

    /// What the default policy would conclude with one thing put otherwise: for simulations that ask what it is good for.
    /// Policies other than `evidence` have no such thing.
    pub fn conclude_varied(&self, variation: Variation, evidence: &Evidence, now: Timestamp) -> (Decision, Rule) {
        match self {
            Policy::Evidence { accept_private } => {
                let conditions = Conditions::varied(variation);
                let aligned = host_keys::aligned(evidence);
                evidence::conclude(&hubs::counted(&aligned, false, &[]), *accept_private, conditions, now)
            }
            _ => self.conclude(evidence, now),
        }
    }

    /// Whether no answer of the vantage points in `open` (asked, not yet heard) could change the decision. The rule and
    /// the reasons may still become others. A hub is open until the last of its peers was heard.
    pub fn is_settled(&self, evidence: &Evidence, open: &[VantageId], now: Timestamp) -> bool {
        let mut open = open.to_vec();
        if !self.hears_notaries() {
            open.retain(|vantage| !evidence.asked_notaries().contains(vantage));
        }
        if open.is_empty() {
            return true;
        }
        let still = hubs::still_open(evidence, self.counts_peers(), &open);
        let aligned = host_keys::aligned(evidence);
        let evidence = &*hubs::counted(&aligned, self.counts_peers(), &open);
        let open = open.as_slice();
        match self {
            Policy::Evidence { accept_private } => evidence::is_settled(evidence, *accept_private, open, now),
            Policy::Majority { threshold, min_views } => {
                let rest = || majority::is_settled(evidence, *threshold, *min_views, still);
                edges::is_settled(&aligned, *threshold, open, rest)
            }
            Policy::Quorum { threshold, min_duration } => {
                quorum::is_settled(evidence, *threshold, *min_duration, open, now)
            }
            Policy::Unanimous => unanimous::is_settled(evidence, open),
            Policy::Mpic => mpic::is_settled(evidence, open, now),
        }
    }
}

impl Policy {
    /// How the views counted that each hub gave over the asker's own edges of trust; nothing where no hub was asked in a
    /// person's name, or the policy does not count peers.
    pub fn hub_votes(&self, evidence: &Evidence) -> Vec<HubVote> {
        match self {
            Policy::Majority { threshold, .. } => edges::votes(&host_keys::aligned(evidence), *threshold),
            _ => Vec::new(),
        }
    }

    /// Whether old notaries count. MD5 proves nothing, and they say nothing of CAs, DNS and regions.
    pub fn hears_notaries(&self) -> bool {
        matches!(self, Policy::Majority { .. } | Policy::Quorum { .. })
    }

    /// Whether each peer of a hub counts by itself; else a hub's peers are one vantage point together.
    pub fn counts_peers(&self) -> bool {
        matches!(self, Policy::Majority { .. })
    }

    /// Old notaries stand beside the views: heard they count in the tables too, else they are shown aside, and it is said.
    fn take_notaries(&self, evidence: &Evidence, verdict: &mut Verdict) {
        verdict.judged.extend(notary::judged(evidence, self.hears_notaries()));
        verdict.counts.asked += evidence.asked_notaries().len();
        verdict.counts.answered += evidence.notaries().len();
        if self.hears_notaries() {
            let (agree, differ) = notary::tally(evidence);
            verdict.counts.agree += agree;
            verdict.counts.differ += differ;
        } else if !evidence.asked_notaries().is_empty() {
            verdict.reasons.push(format!(
                "{} of the asked are old notaries, which know certificates by MD5 alone: they neither vouch nor object here. The policies quorum and majority hear them.",
                evidence.asked_notaries().len()
            ));
        }
    }
}

/// A share between 0 and 1, both included.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

/// The number was no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a share between 0 and 1, such as 0.75")]
pub struct BadShare(String);

impl Share {
    pub(crate) const HALF: Share = Share(0.5);
    const THREE_QUARTERS: Share = Share(0.75);

    /// A share.
    pub fn new(value: f64) -> Result<Self, BadShare> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(BadShare(value.to_string())) }
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The smallest number of `of` that reaches this share, half rounded up, at least 1.
    pub(crate) fn rounded_of(self, of: usize) -> usize {
        ((of as f64 * self.0 + 0.5).floor() as usize).clamp(1, of.max(1))
    }

    /// Whether `part` of `of` reaches this share, inclusively.
    pub(crate) fn is_reached(self, part: usize, of: usize) -> bool {
        // The tolerance makes 7 of 10 reach 0.7, which binary fractions would deny.
        part as f64 + 1e-9 >= self.0 * of as f64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        let value = text.parse().map_err(|_| BadShare(text.chars().take(40).collect()))?;
        Self::new(value).map_err(|_| BadShare(text.chars().take(40).collect()))
    }
}

/// How another look compares with mine.
pub fn compare(mine: &Observation, other: &Observation) -> Agreement {
    match (mine.proved(), other.proved()) {
        (Some(mine), Some(other)) if mine.leaf == other.leaf => Agreement::SameLeaf,
        (Some(mine), Some(other)) if mine.key == other.key => Agreement::SameKey,
        (Some(mine), Some(other)) if mine.ca_id == other.ca_id => Agreement::SameCa,
        (Some(_), Some(_)) => Agreement::Differs,
        _ => Agreement::NothingSeen,
    }
}

/// What the small policies share: my key, the looks, and how many show it.
struct Tally<'a> {
    mine: Option<&'a Met>,
    looks: Vec<(&'a Testimony, &'a Met)>,
    agree: usize,
}

impl<'a> Tally<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let mine = evidence.local().now.proved();
        let looks: Vec<_> =
            evidence.views().iter().filter_map(|view| view.look.now.proved().map(|met| (view, met))).collect();
        let agree = looks.iter().filter(|(_, met)| mine.is_some_and(|mine| mine.key == met.key)).count();
        Self { mine, looks, agree }
    }

    fn differ(&self) -> usize {
        self.looks.len() - self.agree
    }
}

/// A verdict of a policy that says *for* where a look shows my key and *against* where it shows another.
fn plain_verdict(evidence: &Evidence, decision: Decision, rule: Rule, reasons: Vec<String>) -> Verdict {
    let judged = evidence.views().iter().map(|view| {
        let agrees = compare(&evidence.local().now, &view.look.now);
        let word = match agrees {
            Agreement::SameLeaf | Agreement::SameKey => Word::For,
            Agreement::SameCa | Agreement::Differs => Word::Against,
            Agreement::NothingSeen => Word::Aside,
        };
        Judged { vantage: view.vantage, agrees, word }
    });
    Verdict { decision, rule, reasons, judged: judged.collect(), counts: counts(evidence) }
}

fn counts(evidence: &Evidence) -> Counts {
    let tally = Tally::of(evidence);
    Counts {
        asked: evidence.asked().len(),
        answered: evidence.views().len(),
        agree: tally.agree,
        differ: if tally.mine.is_some() { tally.differ() } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        for (share, of, wanted) in [(0.75, 4, 3), (0.75, 2, 2), (0.5, 5, 3), (0.5, 3, 2), (0.0, 3, 1), (1.0, 3, 3)] {
            assert_eq!(Share::new(share).unwrap().rounded_of(of), wanted, "{share} of {of}");
        }
        assert!(Share::new(0.7).unwrap().is_reached(7, 10));
        assert!(!Share::new(0.7).unwrap().is_reached(10, 20));
        for bad in ["", "1.1", "-0.1", "NaN", "inf", "half"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_name_names_a_policy() {
        for name in Policy::NAMES {
            assert_eq!(Policy::named(name).unwrap().name(), name);
        }
        assert_eq!(Policy::named("vote"), None);
    }
}
