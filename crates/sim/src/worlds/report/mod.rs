//! What people and programs are told of a run: tables and curves of one world's [`Results`].

mod ablations;
mod attacks;
mod blocks;
mod curves;
mod honest;
mod overview;
mod table;
#[cfg(test)]
mod tests;
mod trade_off;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::names::{Attack, Cell as Drawn};
use super::results::{Ablation, Kind, Results, Tally};
use crate::chart::Chart;
use crate::statistics::Proportion;
use table::plain;

pub use blocks::{BadDocument, Part, fill_in};
pub use overview::headline;
pub use table::{Cell, Table, thousands};

/// Results, and what they were made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What the world assumes, in a sentence.
    pub about: String,
    /// Where hijacks take place, in a sentence.
    pub topology: String,
    /// What came of it.
    pub results: Results,
}

impl Report {
    /// All tables, for readers who want the whole.
    pub fn tables(&self) -> Vec<Table> {
        let mut tables = vec![overview::table(&self.results)];
        tables.extend(honest::tables(&self.results));
        tables.push(attacks::missed(&self.results));
        tables.extend(attacks::spared(&self.results));
        tables.push(attacks::by_share(&self.results));
        tables.extend(attacks::rules(&self.results));
        tables.push(overview::questions(&self.results));
        tables.extend(ablations::table(&self.results));
        tables.extend(ablations::thresholds(&self.results));
        tables
    }

    /// What a screen has room for: false alarms and missed attacks, and what parts of a policy are worth.
    pub fn overviews(&self) -> Vec<Table> {
        let numbers = numbers_asked(&self.results).into_iter();
        let glances = numbers.map(|asked| overview::glance(&self.results, asked));
        glances.chain(ablations::glance(&self.results)).collect()
    }

    /// Missed attacks over the share of captured vantage points.
    pub fn curves(&self) -> Chart {
        curves::chart(&self.results)
    }

    /// What stricter thresholds win and lose; `None` unless they were put otherwise.
    pub fn trade_off(&self) -> Option<Chart> {
        trade_off::chart(&self.results)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let Results { world, seed, visits, .. } = &self.results;
        json!({
            "world": world,
            "about": self.about,
            "topology": self.topology,
            "seed": seed,
            "visits": visits,
            "tables": self.tables().iter().map(Table::json).collect::<Vec<_>>(),
            "curves": self.curves(),
            "trade_off": self.trade_off(),
            "results": self.results,
        })
    }

    /// The parts of a document: a sentence on the run, then each table under its name.
    pub fn parts(&self) -> Vec<Part> {
        let world = plain(&self.results.world);
        let said = Part { name: format!("{world} run"), text: format!("{}\n", self.sentence()) };
        let tables = self.tables().into_iter().map(|table| Part {
            name: format!("{world} {}", table.name),
            text: format!("{}\n\n{}", plain(&table.title), table.markdown()),
        });
        std::iter::once(said).chain(tables).collect()
    }

    /// What was run.
    pub fn sentence(&self) -> String {
        let Results { world, seed, visits, .. } = &self.results;
        let visits = thousands(*visits);
        let (world, about, topology) = (plain(world), plain(&self.about), plain(&self.topology));
        format!("World {world}: {about} {visits} visits, seed {seed}. {topology}")
    }
}

/// Distrusted.
fn distrusted(tally: &Tally) -> Cell {
    Cell::Share(Proportion::new(tally.distrusted, tally.visits))
}

/// Undecided.
fn undecided(tally: &Tally) -> Cell {
    Cell::Share(Proportion::new(tally.undecided, tally.visits))
}

/// Trusted.
fn trusted(tally: &Tally) -> Cell {
    Cell::Share(Proportion::new(tally.trusted, tally.visits))
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// The policies that judged, in the order in which they were asked for.
fn policies(results: &Results) -> Vec<&str> {
    let mut policies: Vec<&str> = Vec::new();
    for row in &results.rows {
        if !policies.contains(&row.policy.as_str()) {
            policies.push(&row.policy);
        }
    }
    policies
}

/// How many were asked: the numbers that occur.
fn numbers_asked(results: &Results) -> BTreeSet<u8> {
    results.rows.iter().map(|row| row.kind.asked).collect()
}

/// The number of asked for which most attacks were looked at.
fn main_number(results: &Results) -> u8 {
    let attacks = |asked: u8| attacks_with(results, asked).len();
    numbers_asked(results).into_iter().rev().max_by_key(|asked| attacks(*asked)).unwrap_or_default()
}

/// The attacks that occur with this many asked.
fn attacks_with(results: &Results, asked: u8) -> BTreeSet<Attack> {
    let kinds = results.rows.iter().map(|row| row.kind).filter(|kind| kind.asked == asked);
    kinds.filter_map(|kind| kind.attack).collect()
}

/// Whoever meets a stranger's key under this attack.
fn deceived(results: &Results, policy: &str, without: Option<Ablation>, drawn: Drawn) -> Tally {
    let wanted = |kind: &Kind| kind.is_deceived() && kind.asked == drawn.asked && kind.attack == drawn.attack;
    results.total(policy, without, wanted)
}

/// Whoever meets the owner's key while nobody attacks.
fn honest(results: &Results, policy: &str, without: Option<Ablation>, asked: u8) -> Tally {
    results.total(policy, without, |kind| kind.is_honest() && kind.asked == asked)
}
