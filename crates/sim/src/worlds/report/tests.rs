//! The report of a small run: what its tables say must be what the counts say.

use super::super::atlas::Atlas;
use super::super::generate::Generator;
use super::super::run::{Plan, run};
use super::super::world::World;
use super::*;
use crate::topology::{Topology, TopologyParameters};

fn report(visits: u64, asked: &[u8]) -> Report {
    report_with(visits, asked, Ablation::PARTS.to_vec())
}

fn report_with(visits: u64, asked: &[u8], ablations: Vec<Ablation>) -> Report {
    let world = World::built_in("a").unwrap();
    let (about, regions) = (world.about.clone(), world.regions.len());
    let network = TopologyParameters { ases: 500, ..TopologyParameters::default() };
    let atlas = Atlas::survey(&Topology::from_seed(&network, 1).unwrap(), regions, 64, 1);
    let generator = Generator::new(world, atlas).unwrap();
    let plan = Plan { ablations, ..Plan::of(visits, asked, 1) };
    Report { about, topology: "In a small network.".into(), results: run(&generator, &plan, |_| {}) }
}

fn table(tables: &[Table], name: &str) -> Table {
    tables.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("no table {name}")).clone()
}

fn hits(cell: &Cell) -> (u64, u64) {
    match cell {
        Cell::Share(share) | Cell::Sparse(share) => (share.hits, share.of),
        other => panic!("{other:?} is no share"),
    }
}

/// The sum of one column over some rows.
fn sum<'a>(rows: impl Iterator<Item = &'a Vec<Cell>>, column: usize) -> (u64, u64) {
    rows.map(|row| hits(&row[column])).fold((0, 0), |(hits, of), (more, visits)| (hits + more, of + visits))
}

fn named(row: &[Cell], place: usize, name: &str) -> bool {
    row[place] == Cell::Text(name.into())
}

#[test]
fn the_parts_add_up_to_the_whole() {
    let report = report(10_000, &[5, 3]);
    let tables = report.tables();
    let overview = table(&tables, "overview");
    for (place, policy) in ["evidence", "majority", "quorum", "unanimous", "mpic"].into_iter().enumerate() {
        let whole = overview.rows.iter().find(|row| named(row, 0, policy) && row[1] == Cell::Count(5)).unwrap();
        let column = place + 2;
        for by in ["class", "event"] {
            let parts = table(&tables, &format!("distrusted by {by}"));
            assert_eq!(sum(parts.rows.iter(), column), hits(&whole[2]), "{policy} by {by}");
            let parts = table(&tables, &format!("undecided by {by}"));
            assert_eq!(sum(parts.rows.iter(), column), hits(&whole[3]), "{policy} by {by}");
        }
        let missed = table(&tables, "missed");
        let near = missed.rows.iter().filter(|row| named(row, 0, "near-me"));
        assert_eq!(sum(near, place + 3), hits(&whole[4]), "{policy}");
    }
    assert!(overview.rows.iter().any(|row| hits(&row[2]).0 > 0), "no policy is ever wrong: {overview:?}");
}

#[test]
fn every_table_is_whole_and_every_rule_is_counted() {
    let report = report(6_000, &[5]);
    let tables = report.tables();
    for table in &tables {
        assert!(!table.rows.is_empty() && table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:?}");
        let lines = table.markdown();
        let bars = |line: &str| line.matches(" | ").count();
        assert!(lines.lines().all(|line| bars(line) == table.columns.len() - 1), "{lines}");
    }
    let mut names: Vec<_> = tables.iter().map(|table| &table.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), tables.len(), "{names:?}");
    for row in &table(&tables, "rules evidence").rows {
        let Cell::Count(visits) = row[1] else { panic!("{row:?}") };
        assert_eq!(row.iter().skip(2).map(|cell| hits(cell).0).sum::<u64>(), visits, "{row:?}");
    }
}

#[test]
fn the_curves_run_from_near_the_user_to_everybody() {
    let report = report(6_000, &[3, 5]);
    let chart = report.curves();
    let titles: Vec<_> = chart.panels.iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles, ["3 asked", "5 asked"]);
    for curve in chart.panels.iter().flat_map(|panel| &panel.curves) {
        let (first, last) = (curve.points.first().unwrap(), curve.points.last().unwrap());
        assert_eq!((first.x, last.x), (0.0, 100.0), "{curve:?}");
        assert!(curve.points.windows(2).all(|pair| pair[0].x <= pair[1].x), "{curve:?}");
        assert!(curve.points.iter().all(|at| at.low <= at.y && at.y <= at.high), "{curve:?}");
    }
}

#[test]
fn an_ablation_costs_what_it_costs() {
    let report = report(10_000, &[5]);
    let ablations = table(&report.tables(), "ablations");
    assert_eq!(ablations.rows.len(), 1 + Ablation::PARTS.len());
    let overview = table(&report.tables(), "overview");
    let whole = overview.rows.iter().find(|row| named(row, 0, "evidence")).unwrap();
    assert_eq!(ablations.rows[0][1..7], whole[2..8]);
    let nothing = || [Cell::Points(Some(0.0)), Cell::Text("-".into())];
    assert_eq!(ablations.rows[0][7..], [nothing(), nothing()].concat());
    let worst = |row: &Vec<Cell>| matches!(row[7], Cell::Points(Some(points)) if points > 1.0);
    assert!(ablations.rows.iter().any(worst), "nothing is worth anything: {ablations:?}");
    let glance = report.overviews().pop().unwrap();
    assert_eq!((glance.columns.len(), glance.rows.len()), (3, ablations.rows.len()));
    // What is put otherwise is not taken away.
    assert!(!tables(&report).contains(&"thresholds".into()) && report.trade_off().is_none());
}

fn tables(report: &Report) -> Vec<String> {
    report.tables().into_iter().map(|table| table.name).collect()
}

#[test]
fn stricter_thresholds_warn_more_and_miss_less() {
    let ablations = Ablation::all().collect();
    let report = report_with(20_000, &[5], ablations);
    let chart = report.trade_off().unwrap();
    assert_eq!(chart.panels.len(), 1);
    let curves = &chart.panels[0].curves;
    assert_eq!(curves.iter().map(|curve| curve.points.len()).collect::<Vec<_>>(), [7, 4, 4]);
    for curve in curves {
        let (lax, strict) = (curve.points.first().unwrap(), curve.points.last().unwrap());
        assert!(curve.points.windows(2).all(|two| two[0].x <= two[1].x && two[0].y >= two[1].y), "{curve:?}");
        assert!(lax.x < strict.x && lax.y > strict.y, "{curve:?}");
    }
    let thresholds = table(&report.tables(), "thresholds");
    let overview = table(&report.tables(), "overview");
    assert_eq!(thresholds.rows[0][2..4], overview.rows[0][2..4]);
    let parts = table(&report.tables(), "ablations");
    assert!(parts.rows.iter().all(|row| !named(row, 0, "one-may-dissent")));
    // Without a row for what an attacker is refused, these would look as if they were worth nothing.
    let row = parts.rows.iter().find(|row| named(row, 0, "not-tls-here")).unwrap();
    assert!(matches!(row[9], Cell::Points(Some(points)) if points > 50.0) && named(row, 10, "strip"), "{row:?}");
}

#[test]
fn names_from_files_stay_in_their_cells() {
    let mut report = report(2_000, &[2]);
    report.results.world = "<!-- end of x -->\n|".into();
    let text: String =
        report.parts().iter().chain([&headline(std::slice::from_ref(&report))]).map(Part::marked).collect();
    assert!(!text.contains("<!-- end of x -->"), "{text}");
    assert_eq!(fill_in(&text, &report.parts()).unwrap(), text);
}

#[test]
fn a_run_without_visits_says_so() {
    let empty = Report { about: String::new(), topology: String::new(), results: Results::default() };
    assert!(empty.tables().iter().all(|table| table.rows.iter().all(|row| row.len() == table.columns.len())));
    assert!(empty.overviews().is_empty());
    assert!(empty.curves().panels.is_empty());
}
