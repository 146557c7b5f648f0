//! What is simulated, and what came of it.

use serde::{Deserialize, Serialize};

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Mirrors at the beginning; everybody's list holds all of them.
    pub nodes: u32,
    /// The share of them that is evil: 0 to 1.
    pub evil: f64,
    /// Days.
    pub days: u32,
    /// The same seed gives the same figures.
    pub seed: u64,
    /// Mirrors that join a day, of which the same share is evil.
    pub joins_a_day: u32,
    /// Clients that draw, and report what they find.
    pub clients: u32,
    /// Clients that flood mirrors with forged and with misleading reports, 480 a day each.
    pub forgers: u32,
    /// Draws of each client a day.
    pub draws_a_day: u32,
    /// Messages that are lost: 0 to 1.
    pub loss: f64,
    /// Outages of an honest mirror a day, on average; one lasts from five minutes to four hours.
    pub outages_a_day: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 2_000,
            evil: 0.1,
            days: 30,
            seed: 1,
            joins_a_day: 2,
            clients: 20,
            forgers: 20,
            draws_a_day: 500,
            loss: 0.005,
            outages_a_day: 0.02,
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
        range: &'static str,
        /// What it is.
        found: String,
    },
    /// The machine did what it must never do; this is a bug.
    #[error("an invariant broke on day {day:.2}: {what}")]
    Invariant {
        /// When.
        day: f64,
        /// What happened.
        what: String,
    },
}

impl Plan {
    /// Whether it can be simulated.
    pub fn check(&self) -> Result<(), BadPlan> {
        let range = |holds: bool, what, range, found: String| match holds {
            true => Ok(()),
            false => Err(BadPlan::Range { what, range, found }),
        };
        range((8..=4_000).contains(&self.nodes), "nodes", "8 to 4000", self.nodes.to_string())?;
        range((0.0..=0.9).contains(&self.evil), "evil", "0 to 0.9", self.evil.to_string())?;
        range((1..=365).contains(&self.days), "days", "1 to 365", self.days.to_string())?;
        range(self.joins_a_day <= 50, "joins a day", "0 to 50", self.joins_a_day.to_string())?;
        range((0.0..=0.5).contains(&self.loss), "loss", "0 to 0.5", self.loss.to_string())
    }
}

/// What an evil mirror does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evil {
    /// Lies to everybody, alone.
    Liar,
    /// Lies to everybody, as its ring does, and votes for its ring.
    Colluder,
    /// Is honest to known mirrors, and lies to clients.
    Selective,
    /// Answers honestly, and asks for the removal of honest mirrors.
    Remover,
}

impl Evil {
    /// All kinds.
    pub const ALL: [Evil; 4] = [Evil::Liar, Evil::Colluder, Evil::Selective, Evil::Remover];

    /// What ten evil mirrors are: three liars, three colluders, two selective, two false removers.
    pub(super) fn of(number: u32) -> Self {
        match number % 10 {
            0..3 => Evil::Liar,
            3..6 => Evil::Colluder,
            6..8 => Evil::Selective,
            _ => Evil::Remover,
        }
    }

    pub(super) fn lies_to_all(self) -> bool {
        matches!(self, Evil::Liar | Evil::Colluder)
    }

    pub(super) fn lies_to_clients(self) -> bool {
        matches!(self, Evil::Liar | Evil::Colluder | Evil::Selective)
    }

    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Evil::Liar => "lies to everybody",
            Evil::Colluder => "lies and votes with its ring",
            Evil::Selective => "lies to clients alone",
            Evil::Remover => "asks to remove the honest",
        }
    }
}

/// What happened on one day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// Counted from 1.
    pub day: u32,
    /// Draws of clients.
    pub draws: u64,
    /// Of the drawn mirrors, the share that was evil.
    pub evil_share: f64,
    /// Draws of which all three would have lied to the client.
    pub three_liars: u64,
    /// Draws of which all three were evil, whatever they do.
    pub three_evil: u64,
    /// Of the entries of clients' lists, the share of evil mirrors, and of invented ones.
    pub list_evil: f64,
    /// See there.
    pub list_invented: f64,
    /// Messages of an honest mirror: the median and the most.
    pub messages_median: u32,
    /// See there.
    pub messages_most: u32,
    /// Of the pairs of an honest mirror and a consistent liar, the share in which the liar is inactive.
    pub liars_inactive: f64,
    /// The same of selective liars.
    pub selective_inactive: f64,
    /// Of the pairs of two honest mirrors that are up, the share in which one holds the other as inactive.
    pub honest_inactive: f64,
}

/// How one kind of evil mirror fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fate {
    /// Which kind.
    pub kind: Evil,
    /// How many there were at the beginning.
    pub mirrors: u32,
    /// How many became inactive on 95 % of the honest mirrors.
    pub removed: u32,
    /// Hours until then: the median and the longest.
    pub hours_median: Option<f64>,
    /// See there.
    pub hours_longest: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// What was simulated.
    pub plan: Plan,
    /// Day by day.
    pub days: Vec<Day>,
    /// What became of the evil.
    pub fates: Vec<Fate>,
    /// Honest newcomers.
    pub newcomers: u32,
    /// Hours until half of the honest mirrors held one as active: the median of those that got there.
    pub promotion_hours_half: Option<f64>,
    /// Hours until 95 % did.
    pub promotion_hours_most: Option<f64>,
    /// How many got there.
    pub promoted: u32,
    /// How often an honest mirror made an honest one inactive, for whatever reason: most were down.
    pub honest_removals: u64,
    /// Of these, for dissents: wrongly.
    pub honest_removals_for_dissent: u64,
    /// The longest that lasted, in hours while both were up.
    pub honest_longest_hours: f64,
    /// Draws after the third day.
    pub late_draws: u64,
    /// Of these, all three liars.
    pub late_three_liars: u64,
    /// Of these, all three evil.
    pub late_three_evil: u64,
    /// The most messages that an honest mirror sent on a day.
    pub most_messages: u32,
    /// Events that the state machines handled.
    pub events: u64,
}

impl Results {
    /// The aims of the federation, each with whether it was met; `None` where the run was too short to tell. They are set for
    /// 10 % evil.
    pub fn aims(&self) -> Vec<(&'static str, String, Option<bool>)> {
        let liars =
            self.days.iter().find(|day| day.day == 3).or(self.days.last()).map_or(0.0, |day| day.liars_inactive);
        let worst = self
            .fates
            .iter()
            .filter(|fate| matches!(fate.kind, Evil::Liar | Evil::Colluder))
            .map(|fate| if fate.removed < fate.mirrors { f64::INFINITY } else { fate.hours_longest.unwrap_or(0.0) })
            .fold(0.0, f64::max);
        let three = share(self.late_three_evil, self.late_draws);
        vec![
            (
                "no honest mirror is inactive for more than a day",
                format!("{:.1} h at the longest, outages not counted", self.honest_longest_hours),
                Some(self.honest_longest_hours <= 24.0),
            ),
            (
                "every consistent liar is inactive on 95 % within 3 days",
                match worst.is_finite() {
                    true => format!("{worst:.1} h at the longest; {:.1} % of pairs on day 3", liars * 100.0),
                    false => format!("not every one was; {:.1} % of pairs on day 3", liars * 100.0),
                },
                Some(worst <= 72.0),
            ),
            (
                "after day 3 under 0.01 % of draws are three of three evil",
                format!("{} of {} draws, {:.4} %", self.late_three_evil, self.late_draws, three * 100.0),
                (self.late_draws > 0).then_some(three < 1e-4),
            ),
            (
                "no mirror sends more than 20,000 messages a day",
                format!("{} at the most", self.most_messages),
                Some(self.most_messages <= 20_000),
            ),
        ]
    }
}

pub(super) fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}
