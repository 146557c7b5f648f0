//! `parallax sim trust`: people who trust one another, and a crowd of false identities.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use parallax_sim::trust::{BadPlan, Befriended, Plan, Results, Row, run as simulate};

use crate::args::SimTrustArgs;
use crate::failure::{DONE, Failure};
use crate::output::{self, Cell, Column, Cut};

/// Runs the command.
pub(super) fn run(args: &SimTrustArgs) -> Result<u8, Failure> {
    let SimTrustArgs { honest, sybils, degree, views, threshold, unbound, societies, seed, .. } = *args;
    let mut attack_edges = args.attack_edges.clone();
    attack_edges.sort_unstable();
    attack_edges.dedup();
    let plan = Plan { honest, sybils, attack_edges, degree, views, threshold, unbound, societies, seed };
    plan.check().map_err(Failure::usage)?;
    let results = with_a_bar(&plan).map_err(Failure::not_done)?;
    match args.json {
        true => {
            let value = serde_json::to_value(&results).map_err(Failure::not_done)?;
            output::print_json(&value)?;
        }
        false => output::print(&told(&results))?,
    }
    Ok(DONE)
}

/// Simulates, with a bar where somebody waits at a terminal.
fn with_a_bar(plan: &Plan) -> Result<Results, BadPlan> {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new(100),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} %, {eta} left") {
        bar.set_style(style);
    }
    let results = simulate(plan, |share| bar.set_position((share * 100.0).round() as u64));
    bar.finish_and_clear();
    results
}

fn told(results: &Results) -> String {
    let plan = &results.plan;
    let sentence = format!(
        "{} honest users with {} edges each on average, {} false identities{}, {} views, {} of them must agree; {} \
         societies a row, seed {}. A user sees {:.0} honest peers.",
        plan.honest,
        plan.degree,
        plan.sybils,
        if plan.unbound { " that no table binds" } else { "" },
        plan.views,
        plan.threshold,
        plan.societies,
        plan.seed,
        results.visible
    );
    let mut text = output::wrap("", &sentence);
    text.push('\n');
    text.push_str(&schemes(&results.rows));
    text.push('\n');
    text.push_str(&output::wrap("", "An attacker who befriends a user with ten edges (equal share):"));
    text.push_str(&befriended(&results.befriended));
    text
}

const fn column(title: &'static str) -> Column {
    Column { title, least: 3, cut: Cut::End }
}

fn schemes(rows: &[Row]) -> String {
    let columns = ["EDGES", "VIEWS CHOSEN", "OUTVOTED %", "DECEIVED %", "TOO FEW %", "VIEWS", "FALSE"].map(column);
    let row = |row: &Row| {
        [
            row.attack_edges.to_string(),
            row.scheme.sentence().to_owned(),
            row.outvoted.short(),
            row.deceived.short(),
            row.too_few.short(),
            format!("{:.1}", row.views),
            format!("{:.1} %", row.evil * 100.0),
        ]
        .map(Cell::new)
        .to_vec()
    };
    output::render_table(&columns, &rows.iter().map(row).collect::<Vec<_>>())
}

fn befriended(rows: &[Befriended]) -> String {
    let columns = ["FALSE FRIENDS", "OUTVOTED %", "DECEIVED %"].map(column);
    let row = |row: &Befriended| {
        [format!("{} of {}", row.evil_edges, row.edges), row.outvoted.short(), row.deceived.short()]
            .map(Cell::new)
            .to_vec()
    };
    output::render_table(&columns, &rows.iter().map(row).collect::<Vec<_>>())
}
