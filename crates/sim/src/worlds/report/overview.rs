//! The tables that show everything at a glance.

use std::iter::once;

use super::super::names::{Attack, Cell as Drawn};
use super::super::results::{Kind, Results};
use super::table::plain;
use super::{
    Cell, Part, Report, Table, deceived, distrusted, honest, main_number, numbers_asked, policies, text, trusted,
    undecided,
};

/// Shares of captured vantage points that stand in the overview, in percent.
pub(super) const SHOWN: [u8; 3] = [20, 50, 80];

const TITLES: [&str; 8] = ["policy", "asked", "distrusted", "undecided", "near me", "f = 0.2", "f = 0.5", "f = 0.8"];

const TITLE: &str = "Honest visits that are distrusted (blocked) and undecided (warned of), and attacks that are missed \
                     (trusted): near the user, and with a hijack that captures the user and a share f of the asked, %";

/// A row for each policy and number of asked: false alarms, and what is missed.
pub(super) fn table(results: &Results) -> Table {
    let mut rows = Vec::new();
    for asked in numbers_asked(results) {
        rows.extend(policies(results).into_iter().map(|policy| row(results, policy, asked)));
    }
    Table { name: "overview".into(), title: TITLE.into(), columns: TITLES.map(String::from).to_vec(), rows }
}

fn row(results: &Results, policy: &str, asked: u8) -> Vec<Cell> {
    let honest = honest(results, policy, None, asked);
    let mut row = vec![text(policy), Cell::Count(asked.into()), distrusted(&honest), undecided(&honest)];
    row.extend(shown().map(|attack| trusted(&deceived(results, policy, None, Drawn { asked, attack: Some(attack) }))));
    row
}

/// The part `headline` of a document: the first number of asked of each world, one table for all.
pub fn headline(reports: &[Report]) -> Part {
    let mut rows = Vec::new();
    for results in reports.iter().map(|report| &report.results) {
        let asked = main_number(results);
        for policy in policies(results) {
            let mut cells = row(results, policy, asked);
            cells.splice(0..2, [text(&results.world), text(policy)]);
            rows.push(cells);
        }
    }
    let columns = TITLES.iter().map(|title| if *title == "policy" { "world" } else { title });
    let columns = columns.map(|title| if title == "asked" { "policy" } else { title }).map(String::from).collect();
    let table = Table { name: "headline".into(), title: TITLE.into(), columns, rows };
    Part { name: table.name.clone(), text: format!("{}\n\n{}", plain(&table.title), table.markdown()) }
}

/// The overview of one number of asked, turned on its side: policies beside each other.
pub(super) fn glance(results: &Results, asked: u8) -> Table {
    let policies = policies(results);
    let honest = policies.iter().map(|policy| honest(results, policy, None, asked)).collect::<Vec<_>>();
    let mut rows = vec![
        once(text("distrusted")).chain(honest.iter().map(distrusted)).collect(),
        once(text("undecided")).chain(honest.iter().map(undecided)).collect(),
    ];
    for (name, attack) in NAMED {
        let drawn = Drawn { asked, attack: Some(attack) };
        let missed = policies.iter().map(|policy| trusted(&deceived(results, policy, None, drawn)));
        rows.push(once(text(name)).chain(missed).collect());
    }
    Table {
        name: format!("glance {asked}"),
        title: format!("{asked} asked: honest visits distrusted and undecided, attacks missed, %"),
        columns: once("").chain(policies).map(String::from).collect(),
        rows,
    }
}

/// Attacks with names that are short enough for a screen.
const NAMED: [(&str, Attack); 7] = [
    ("near me", Attack::NearMe { resolver: false }),
    ("my DNS", Attack::Resolver),
    ("f = 0.2", Attack::Hijack { captured: 20, with_me: true }),
    ("f = 0.5", Attack::Hijack { captured: 50, with_me: true }),
    ("f = 0.8", Attack::Hijack { captured: 80, with_me: true }),
    ("f = 1", Attack::SubPrefix),
    ("at server", Attack::NearServer),
];

/// The attacks that stand in the overview.
pub(super) fn shown() -> impl Iterator<Item = Attack> {
    let hijacks = SHOWN.into_iter().map(|captured| Attack::Hijack { captured, with_me: true });
    std::iter::once(Attack::NearMe { resolver: false }).chain(hijacks)
}

/// How many questions a visit costs. All policies are given the same evidence.
pub(super) fn questions(results: &Results) -> Table {
    let policy = policies(results).into_iter().next().unwrap_or_default();
    let mut rows = Vec::new();
    for asked in numbers_asked(results) {
        for (name, attacked) in [("honest", false), ("attacked", true)] {
            let wanted = |kind: &Kind| kind.asked == asked && kind.attack.is_some() == attacked;
            let tally = results.total(policy, None, wanted);
            let questions = tally.questions;
            let mean = |count: u64| Cell::Mean((tally.visits > 0).then(|| count as f64 / tally.visits as f64));
            let all = questions.first + questions.again + questions.there;
            let counts = [questions.first, questions.again, questions.there, all].map(mean);
            rows.push([Cell::Count(asked.into()), text(name)].into_iter().chain(counts).collect());
        }
    }
    let titles = ["asked", "visits", "first", "look anew", "look at my address", "together"];
    Table {
        name: "questions".into(),
        title: "Questions put to vantage points, a visit".into(),
        columns: titles.map(String::from).to_vec(),
        rows,
    }
}
