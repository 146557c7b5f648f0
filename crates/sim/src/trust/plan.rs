//! What is simulated, and what came of it.

use serde::{Deserialize, Serialize};

use crate::Proportion;

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Honest users; all are attached as peers, and all ask.
    pub honest: u32,
    /// False identities; all are attached, and all lie together.
    pub sybils: u32,
    /// Edges between honest users and false identities, in all; a row for each number.
    pub attack_edges: Vec<u32>,
    /// Edges of a user, on average.
    pub degree: u32,
    /// Views that a user asks for.
    pub views: u32,
    /// The share that must agree, inclusively: 0 to 1.
    pub threshold: f64,
    /// Whether the crowd is bound by no tables: the advertisements of all false identities come out of every attack edge,
    /// as where no node enforces the routes. Else it stands in the order that carries the most of them out.
    pub unbound: bool,
    /// Societies that are drawn for each row.
    pub societies: u32,
    /// The same seed gives the same figures.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            honest: 1_000,
            sybils: 1_000,
            attack_edges: vec![10, 25, 100],
            degree: 10,
            views: 20,
            threshold: 0.7,
            unbound: false,
            societies: 5,
            seed: 1,
        }
    }
}

/// Why a plan can't be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadPlan {
    /// A number lies outside of its range.
    #[error("{what} must be {range}, not {found}")]
    Range {
        /// Which.
        what: &'static str,
        /// What would be right.
        range: String,
        /// What it is.
        found: String,
    },
    /// The machines did what they must never do; this is a bug.
    #[error("an invariant broke: {0}")]
    Invariant(String),
}

impl Plan {
    /// Whether it can be simulated.
    pub fn check(&self) -> Result<(), BadPlan> {
        let range = |holds: bool, what, range: &str, found: String| match holds {
            true => Ok(()),
            false => Err(BadPlan::Range { what, range: range.to_owned(), found }),
        };
        range((50..=100_000).contains(&self.honest), "honest", "50 to 100000", self.honest.to_string())?;
        range((1..=100_000).contains(&self.sybils), "sybils", "1 to 100000", self.sybils.to_string())?;
        range((4..=40).contains(&self.degree), "degree", "4 to 40", self.degree.to_string())?;
        range((1..=100).contains(&self.views), "views", "1 to 100", self.views.to_string())?;
        range((0.0..=1.0).contains(&self.threshold), "threshold", "0 to 1", self.threshold.to_string())?;
        range((1..=1_000).contains(&self.societies), "societies", "1 to 1000", self.societies.to_string())?;
        let rows = self.attack_edges.len();
        range((1..=20).contains(&rows), "the number of attack-edges given", "1 to 20", rows.to_string())?;
        let most = self.honest.min(self.sybils.saturating_mul(self.honest));
        for edges in &self.attack_edges {
            let holds = *edges <= most;
            range(holds, "attack-edges", &format!("0 to {most} among so many users"), edges.to_string())?;
        }
        Ok(())
    }
}

/// How views are chosen and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// At random among all peers, each with one voice.
    Uniform,
    /// At random among those whose advertisement reaches the user, each with one voice.
    Advertisement,
    /// Dealt over the user's edges, each edge with an equal share.
    EqualShare,
}

impl Scheme {
    /// All.
    pub const ALL: [Scheme; 3] = [Scheme::Uniform, Scheme::Advertisement, Scheme::EqualShare];

    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Scheme::Uniform => "uniform",
            Scheme::Advertisement => "advertisement",
            Scheme::EqualShare => "equal share",
        }
    }
}

/// How one scheme fared against so many attack edges.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Attack edges in all.
    pub attack_edges: u32,
    /// The scheme.
    pub scheme: Scheme,
    /// Users who see an honest site, and whose peers do not confirm it.
    pub outvoted: Proportion,
    /// Users under attack whose peers confirm the attacker's key.
    pub deceived: Proportion,
    /// Users for whom too few edges or networks contributed: undecided, neither of the two.
    pub too_few: Proportion,
    /// Views that counted, on average.
    pub views: f64,
    /// Of these, the share of false identities: 0 to 1.
    pub evil: f64,
}

/// How users fare, with the equal share, when an attacker befriended them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Befriended {
    /// The user's edges that lead to the attacker.
    pub evil_edges: u32,
    /// All edges of the user.
    pub edges: u32,
    /// As in [`Row`].
    pub outvoted: Proportion,
    /// As in [`Row`].
    pub deceived: Proportion,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// Of this document.
    pub format: &'static str,
    /// What was simulated.
    pub plan: Plan,
    /// Each number of attack edges with each scheme.
    pub rows: Vec<Row>,
    /// An attacker who befriends the user.
    pub befriended: Vec<Befriended>,
    /// Peers that a user sees, on average, without an attacker.
    pub visible: f64,
}
