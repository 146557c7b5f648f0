//! `parallax sim mirrors`: a federation of mirrors with liars, day by day.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use parallax_core::plainly;
use parallax_sim::mirrors::{BadPlan, Day, Plan, Results, render_svg, run as simulate};

use crate::args::SimMirrorsArgs;
use crate::failure::{DONE, Failure};
use crate::output::{self, Cell, Column, Cut};

/// Runs the command.
pub(super) fn run(args: &SimMirrorsArgs) -> Result<u8, Failure> {
    let SimMirrorsArgs { nodes, evil, days, seed, .. } = *args;
    let plan = Plan { nodes, evil, days, seed, ..Plan::default() };
    plan.check().map_err(Failure::usage)?;
    let results = with_a_bar(&plan).map_err(Failure::not_done)?;
    if let Some(file) = &args.svg {
        std::fs::write(file, render_svg(&results)).map_err(|error| {
            Failure::not_done(format!("{} can't be written to: {}", file.display(), plainly(&error)))
        })?;
    }
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
        true => ProgressBar::new(u64::from(plan.days) * 24),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} hours, {eta} left") {
        bar.set_style(style);
    }
    let hours = f64::from(plan.days) * 24.0;
    let results = simulate(plan, |share| bar.set_position((share * hours).round() as u64));
    bar.finish_and_clear();
    results
}

fn told(results: &Results) -> String {
    let plan = &results.plan;
    let mut text = format!(
        "{} mirrors, {:.0} % evil, {} days, seed {}: {} events\n\n",
        plan.nodes,
        plan.evil * 100.0,
        plan.days,
        plan.seed,
        results.events
    );
    text.push_str(&days(results));
    text.push('\n');
    text.push_str(&fates(results));
    text.push('\n');
    let hours = |hours: Option<f64>| hours.map_or_else(|| "not reached".to_owned(), |hours| format!("{hours:.0} h"));
    text.push_str(&format!(
        "newcomers: {} honest; active on half of the mirrors after {},\n  on 95 % after {} (medians; {} got there)\n",
        results.newcomers,
        hours(results.promotion_hours_half),
        hours(results.promotion_hours_most),
        results.promoted
    ));
    text.push_str(&format!(
        "honest made inactive by honest: {} times, for dissents {} times\n\n",
        results.honest_removals, results.honest_removals_for_dissent
    ));
    for (aim, found, met) in results.aims() {
        let mark = met.map_or("?   ", |met| if met { "met " } else { "MISS" });
        text.push_str(&format!("{mark} {aim}:\n     {found}\n"));
    }
    text
}

const fn column(title: &'static str) -> Column {
    Column { title, least: 3, cut: Cut::End }
}

/// The first week, then every seventh day, and the last.
fn days(results: &Results) -> String {
    let columns =
        ["DAY", "LIARS OFF", "2-FACED", "HONEST OFF", "EVIL DRAWN", "LISTS", "3 EVIL", "MESSAGES"].map(column);
    let shown = |day: &&Day| day.day <= 7 || day.day.is_multiple_of(7) || day.day == results.plan.days;
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let row = |day: &Day| {
        [
            day.day.to_string(),
            percent(day.liars_inactive),
            percent(day.selective_inactive),
            format!("{:.3} %", day.honest_inactive * 100.0),
            percent(day.evil_share),
            percent(day.list_evil),
            format!("{}/{}", day.three_evil, day.draws),
            format!("{}..{}", day.messages_median, day.messages_most),
        ]
        .map(Cell::new)
        .to_vec()
    };
    let rows: Vec<Vec<Cell>> = results.days.iter().filter(shown).map(row).collect();
    output::render_table(&columns, &rows)
}

fn fates(results: &Results) -> String {
    let columns = ["EVIL", "MIRRORS", "OFF AT 95 %", "MEDIAN", "LONGEST", "WHAT IT DOES"].map(column);
    let hours = |hours: Option<f64>| hours.map_or_else(|| "-".to_owned(), |hours| format!("{hours:.1} h"));
    let row = |fate: &parallax_sim::mirrors::Fate| {
        [
            format!("{:?}", fate.kind).to_lowercase(),
            fate.mirrors.to_string(),
            fate.removed.to_string(),
            hours(fate.hours_median),
            hours(fate.hours_longest),
            fate.kind.sentence().to_owned(),
        ]
        .map(Cell::new)
        .to_vec()
    };
    let rows: Vec<Vec<Cell>> = results.fates.iter().map(row).collect();
    output::render_table(&columns, &rows)
}
