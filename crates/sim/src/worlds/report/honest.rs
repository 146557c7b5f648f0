//! What happens to those whom nobody attacks.

use parallax_core::Rule;

use super::super::names::{EventKind, SiteClass};
use super::super::results::{Kind, Results, Tally};
use super::super::scenario::Truth;
use super::{Cell, Table, distrusted, main_number, policies, text, trusted, undecided};
use crate::statistics::Proportion;

/// By class and by event, distrusted and undecided apart.
pub(super) fn tables(results: &Results) -> Vec<Table> {
    let asked = main_number(results);
    let classes: Vec<_> = SiteClass::ALL.iter().map(|class| (class.to_string(), Slice::Class(*class))).collect();
    let events = EventKind::ALL.iter().map(|event| (event.to_string(), Slice::Event(Some(*event))));
    let events: Vec<_> = std::iter::once(("none".to_string(), Slice::Event(None))).chain(events).collect();
    let each = |by: &str, slices: &[(String, Slice)]| {
        [("distrusted", distrusted as fn(&Tally) -> Cell), ("undecided", undecided)].map(|(name, count)| Table {
            name: format!("{name} by {by}"),
            title: format!("Honest visits that are {name}, by {by}, {asked} asked, %"),
            columns: columns(by, results),
            rows: slices.iter().map(|(title, slice)| row(results, asked, title, *slice, count)).collect(),
        })
    };
    let [class, event] = [each("class", &classes), each("event", &events)];
    class.into_iter().chain(event).chain([warnings(results, asked), strange(results, asked)]).collect()
}

#[derive(Clone, Copy)]
enum Slice {
    Class(SiteClass),
    Event(Option<EventKind>),
}

impl Slice {
    fn holds(self, kind: &Kind) -> bool {
        match self {
            Slice::Class(class) => kind.class == Some(class),
            Slice::Event(event) => kind.event == event,
        }
    }
}

fn columns(first: &str, results: &Results) -> Vec<String> {
    [first, "visits"].into_iter().chain(policies(results)).map(String::from).collect()
}

fn row(results: &Results, asked: u8, title: &str, slice: Slice, count: fn(&Tally) -> Cell) -> Vec<Cell> {
    let tally = |policy: &&str| {
        results.total(policy, None, |kind| kind.is_honest() && kind.asked == asked && slice.holds(kind))
    };
    let tallies: Vec<Tally> = policies(results).iter().map(tally).collect();
    let visits = tallies.first().map_or(0, |tally| tally.visits);
    [text(title), Cell::Count(visits)].into_iter().chain(tallies.iter().map(count)).collect()
}

/// Undecided says why: everybody sees something new, or the evidence does not suffice.
fn warnings(results: &Results, asked: u8) -> Table {
    let share = |tally: &Tally, rule: Rule| {
        let hits = tally.rules.get(&rule).copied().unwrap_or_default();
        Cell::Share(Proportion::new(hits, tally.visits))
    };
    let rows = policies(results).into_iter().map(|policy| {
        let tally = super::honest(results, policy, None, asked);
        let rules = [Rule::GlobalChange, Rule::NotEnough].map(|rule| share(&tally, rule));
        [text(policy), undecided(&tally)].into_iter().chain(rules).collect()
    });
    let titles = ["policy", "undecided", "of all: global-change", "of all: not-enough"];
    Table {
        name: "warnings".into(),
        title: format!("Why honest visits are undecided, {asked} asked, %"),
        columns: titles.map(String::from).to_vec(),
        rows: rows.collect(),
    }
}

/// Nobody attacks, and yet the key is not the owner's, or there is none: trusted would be wrong.
fn strange(results: &Results, asked: u8) -> Table {
    let mut rows = Vec::new();
    for (truth, title) in [(Truth::Stranger, "a stranger's key"), (Truth::NoKey, "no key")] {
        let tally = |policy: &&str| {
            results.total(policy, None, |kind| kind.attack.is_none() && kind.asked == asked && kind.truth == truth)
        };
        let tallies: Vec<Tally> = policies(results).iter().map(tally).collect();
        let visits = tallies.first().map_or(0, |tally| tally.visits);
        let first = [text(title), Cell::Count(visits)];
        rows.push(first.into_iter().chain(tallies.iter().map(trusted)).collect());
    }
    Table {
        name: "strange".into(),
        title: format!("Visits without an attack that do not meet the owner's key, trusted, {asked} asked, %"),
        columns: columns("the user meets", results),
        rows,
    }
}
