//! What came of the visits: counts that add up.

use std::collections::BTreeMap;
use std::fmt;

use parallax_core::{Condition, Decision, Rule};
use serde::{Deserialize, Serialize};

use super::evidence::Questions;
use super::names::{Attack, Chain, EventKind, SiteClass, Threshold};
use super::scenario::{Scenario, Truth};

/// What came of a run. Two of the same world add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The name of the world.
    pub world: String,
    /// The seed.
    pub seed: u64,
    /// Visits made, each once however many policies judged it.
    pub visits: u64,
    /// One row for each policy, ablation and kind of visit, in their order.
    pub rows: Vec<Row>,
}

/// Visits of one kind as one policy judged them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The policy.
    pub policy: String,
    /// What was taken from it; `None` when nothing was.
    pub without: Option<Ablation>,
    /// The kind of visit.
    pub kind: Kind,
    /// The counts.
    pub tally: Tally,
}

/// A kind of visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// How many vantage points were asked.
    pub asked: u8,
    /// The attack; `None` in honest visits.
    pub attack: Option<Attack>,
    /// What the attacker's certificate was worth.
    pub chain: Option<Chain>,
    /// How the site is built; `None` in attacked visits, whose sites are mixed.
    pub class: Option<SiteClass>,
    /// What happened; `None` also in attacked visits.
    pub event: Option<EventKind>,
    /// Whose key the user met.
    pub truth: Truth,
}

/// What can be taken from the default policy, or put otherwise in it, to see what it is worth. Its name is how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Ablation {
    /// No look at the user's address.
    CrossChecks,
    /// No memory.
    History,
    /// No records in DNS.
    Authorisation,
    /// No regions.
    Regions,
    /// One condition of the policy.
    Condition(Condition),
    /// Nothing; a threshold of the policy is put otherwise.
    Threshold(Threshold),
}

/// The text names nothing that can be taken away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no part of the policy; write cross-checks, history, authorisation, regions, or the name of a condition or \
     threshold"
)]
pub struct BadAblation(String);

impl Ablation {
    /// Whole parts of the evidence.
    pub const PARTS: [Self; 4] = [Self::CrossChecks, Self::History, Self::Authorisation, Self::Regions];

    /// All: the parts, then the conditions in the order of the page that explains them, then the thresholds.
    pub fn all() -> impl Iterator<Item = Self> {
        let conditions = Condition::ALL.iter().copied().map(Self::Condition);
        Self::PARTS.into_iter().chain(conditions).chain(Threshold::ALL.map(Self::Threshold))
    }

    /// Whether nothing is taken away, but something put otherwise.
    pub fn is_threshold(self) -> bool {
        matches!(self, Self::Threshold(_))
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrossChecks => "cross-checks",
            Self::History => "history",
            Self::Authorisation => "authorisation",
            Self::Regions => "regions",
            Self::Condition(condition) => condition.as_str(),
            Self::Threshold(threshold) => threshold.as_str(),
        }
    }
}

impl fmt::Display for Ablation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<Ablation> for String {
    fn from(ablation: Ablation) -> Self {
        ablation.as_str().into()
    }
}

impl TryFrom<String> for Ablation {
    type Error = BadAblation;

    fn try_from(text: String) -> Result<Self, BadAblation> {
        Self::all().find(|ablation| ablation.as_str() == text).ok_or(BadAblation(text.chars().take(60).collect()))
    }
}

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Visits.
    pub visits: u64,
    /// Trusted.
    pub trusted: u64,
    /// Distrusted: blocks.
    pub distrusted: u64,
    /// Undecided: warns.
    pub undecided: u64,
    /// How often each rule fired.
    pub rules: BTreeMap<Rule, u64>,
    /// Questions put to vantage points.
    pub questions: Questions,
    /// Vantage points asked, all visits together.
    pub asked: u64,
    /// Of them captured by a hijack.
    pub captured: u64,
}

impl Kind {
    /// The kind of this visit.
    pub fn of(scenario: &Scenario) -> Self {
        let attack = scenario.visit.cell.attack;
        let honest = attack.is_none();
        Self {
            asked: scenario.visit.cell.asked,
            attack,
            chain: scenario.attack.and_then(|(_, chain, _)| chain),
            class: honest.then_some(scenario.class),
            event: scenario.event.map(|(event, _)| event).filter(|_| honest),
            truth: scenario.truth,
        }
    }

    /// Whether nobody attacks and the user met the owner's key: all but trusted is a false alarm.
    pub fn is_honest(&self) -> bool {
        self.attack.is_none() && self.truth == Truth::Owner
    }

    /// Whether the user met a stranger's key: trusted is a missed attack.
    pub fn is_deceived(&self) -> bool {
        self.truth == Truth::Stranger
    }
}

impl Tally {
    /// Takes in one verdict.
    pub(super) fn take(&mut self, decision: Decision, rule: Rule, questions: Questions, scenario: &Scenario) {
        self.visits += 1;
        match decision {
            Decision::Trusted => self.trusted += 1,
            Decision::Distrusted => self.distrusted += 1,
            Decision::Undecided => self.undecided += 1,
        }
        *self.rules.entry(rule).or_default() += 1;
        self.questions.add(questions);
        self.asked += scenario.vantages.len() as u64;
        self.captured += scenario.vantages.iter().filter(|vantage| vantage.party.captured).count() as u64;
    }

    /// Takes in another tally.
    pub fn add(&mut self, other: &Tally) {
        self.visits += other.visits;
        self.trusted += other.trusted;
        self.distrusted += other.distrusted;
        self.undecided += other.undecided;
        for (rule, count) in &other.rules {
            *self.rules.entry(*rule).or_default() += count;
        }
        self.questions.add(other.questions);
        self.asked += other.asked;
        self.captured += other.captured;
    }
}

impl Questions {
    fn add(&mut self, other: Questions) {
        self.first += other.first;
        self.again += other.again;
        self.there += other.there;
    }
}

impl Results {
    /// Takes in the results of other visits to the same world.
    pub fn merge(&mut self, other: &Results) {
        self.visits += other.visits;
        for row in &other.rows {
            let same = |known: &Row| (&known.policy, known.without, known.kind) == (&row.policy, row.without, row.kind);
            match self.rows.iter_mut().find(|known| same(known)) {
                Some(known) => known.tally.add(&row.tally),
                None => self.rows.push(row.clone()),
            }
        }
    }

    /// All rows of a policy, without ablation, of the kinds that `wanted` wants, together.
    pub fn total(&self, policy: &str, without: Option<Ablation>, wanted: impl Fn(&Kind) -> bool) -> Tally {
        let mut total = Tally::default();
        let rows = self.rows.iter().filter(|row| row.policy == policy && row.without == without && wanted(&row.kind));
        rows.for_each(|row| total.add(&row.tally));
        total
    }
}
