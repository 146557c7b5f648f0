//! `parallax sim worlds`: how often each policy is wrong, in worlds that whoever doubts them can change.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::thread;
use std::time::Instant;

use parallax_core::{Policy, plainly};
use parallax_sim::topology::{MAX_SERIAL1_BYTES, Topology, TopologyParameters};
use parallax_sim::worlds::{Ablation, Atlas, Generator, Plan, Report, Table, TableCell, World, thousands};
use serde_json::json;

use super::documents::Documents;
use crate::args::SimWorldsArgs;
use crate::failure::{DONE, Failure};
use crate::output::{self, Cell, Column, Cut};
use crate::progress::Many;

/// A world is a page of text.
const MAX_WORLD_BYTES: usize = 1024 * 1024;

/// Runs the command.
pub(crate) fn run(args: &SimWorldsArgs) -> Result<u8, Failure> {
    if args.print_world {
        return print_world(args);
    }
    if args.trade_off.is_some() && !is_wanted(args, Policy::default().name()) {
        return Err(Failure::usage(
            "--trade-off draws the policy evidence: leave out --policy, or add --policy evidence",
        ));
    }
    let worlds = worlds(args)?;
    // What can't be written is better known before the work than after.
    let documents = Documents::open(args, &names(&worlds))?;
    let runs = worlds.into_iter().map(|world| Prepared::new(world, args)).collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    let reports = judge(&runs);
    documents.write(&reports)?;
    if args.json {
        let worlds: Vec<_> = reports.iter().map(Report::json).collect();
        output::print_json(&json!({ "format": "parallax-sim-worlds/1", "worlds": worlds }))?;
    } else {
        output::print(&reports.iter().map(summary).collect::<String>())?;
        output::print(&format!("{} visits in {:.1} s.\n", thousands(visits(&runs)), begun.elapsed().as_secs_f64()))?;
    }
    Ok(DONE)
}

fn print_world(args: &SimWorldsArgs) -> Result<u8, Failure> {
    let [world] = args.world.as_slice() else {
        return Err(Failure::usage("--print-world prints one world: give --world once"));
    };
    output::print_raw(world_text(world)?.as_bytes())?;
    Ok(DONE)
}

/// One world, and all that is to be done in it.
struct Prepared {
    generator: Generator,
    plan: Plan,
    about: String,
    topology: String,
}

impl Prepared {
    fn new(world: World, args: &SimWorldsArgs) -> Result<Self, Failure> {
        let (topology, said) = topology(&world, args)?;
        let atlas = Atlas::survey(&topology, world.regions.len(), world.attackers.pairs, args.seed);
        let about = world.about.clone();
        let generator = Generator::new(world, atlas).map_err(Failure::usage)?;
        Ok(Self { generator, plan: plan(args), about, topology: said })
    }
}

fn plan(args: &SimWorldsArgs) -> Plan {
    let mut asked = Vec::new();
    for k in &args.k {
        if !asked.contains(k) {
            asked.push(*k);
        }
    }
    let policies = Policy::NAMES.iter().filter(|name| is_wanted(args, name));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Plan {
        policies: policies.filter_map(|name| Policy::named(name)).collect(),
        ablations: if args.ablate { Ablation::all().collect() } else { Vec::new() },
        jobs: args.jobs.map_or(cores, usize::from),
        ..Plan::of(args.visits, &asked, args.seed)
    }
}

fn is_wanted(args: &SimWorldsArgs, policy: &str) -> bool {
    args.policy.is_empty() || args.policy.iter().any(|wanted| wanted == policy)
}

fn visits(runs: &[Prepared]) -> u64 {
    runs.iter().map(|run| run.plan.visits()).sum()
}

fn judge(runs: &[Prepared]) -> Vec<Report> {
    let bar = Many::new("visits");
    bar.more(usize::try_from(visits(runs)).unwrap_or(usize::MAX));
    let judged = runs.iter().map(|run| Report {
        about: run.about.clone(),
        topology: run.topology.clone(),
        results: parallax_sim::worlds::run(&run.generator, &run.plan, |visits| bar.advance(visits)),
    });
    judged.collect()
}

fn worlds(args: &SimWorldsArgs) -> Result<Vec<World>, Failure> {
    let mut worlds: Vec<World> = Vec::new();
    for named in &args.world {
        let world = World::parse(&world_text(named)?).map_err(|why| Failure::usage(format!("{named}: {why}")))?;
        if worlds.iter().any(|other| other.name == world.name) {
            let name = &world.name;
            return Err(Failure::usage(format!(
                "two worlds are called \"{name}\": give one another `name` in its file"
            )));
        }
        worlds.push(world);
    }
    Ok(worlds)
}

fn names(worlds: &[World]) -> Vec<String> {
    worlds.iter().map(|world| world.name.clone()).collect()
}

fn world_text(named: &str) -> Result<String, Failure> {
    if let Ok(text) = World::built_in_text(named) {
        return Ok(text.into());
    }
    read(Path::new(named), MAX_WORLD_BYTES).map_err(|why| {
        let built_in = World::BUILT_IN.join(", ");
        Failure::usage(format!(
            "--world {named}: there is no built-in world of that name ({built_in}), and as a file {why}"
        ))
    })
}

/// The topology, and what a report says of it.
fn topology(world: &World, args: &SimWorldsArgs) -> Result<(Topology, String), Failure> {
    let (topology, kind) = match &args.topology {
        None => {
            let regions = u8::try_from(world.regions.len()).unwrap_or(u8::MAX);
            let defaults = TopologyParameters::default();
            let tier_ones = defaults.tier_ones.max(regions.into());
            let parameters = TopologyParameters { regions, tier_ones, ..defaults };
            (Topology::from_seed(&parameters, args.seed).map_err(Failure::usage)?, "generated")
        }
        Some(file) => {
            let failed = |why: &dyn std::fmt::Display| Failure::usage(format!("--topology {}: {why}", file.display()));
            let text = read(file, MAX_SERIAL1_BYTES).map_err(|why| failed(&why))?;
            (Topology::read_serial1(&text).map_err(|why| failed(&why))?, "given")
        }
    };
    let [ases, links] = [topology.len(), topology.links()].map(|count| thousands(count as u64));
    let said = format!("Hijacks take place in a {kind} topology of {ases} ASes and {links} links.");
    Ok((topology, said))
}

/// A text file of bounded length.
fn read(file: &Path, most: usize) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("it can't be read: {}", plainly(&error));
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(most as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > most {
        return Err(format!("it is too long: {most} bytes are the most"));
    }
    String::from_utf8(bytes).map_err(|_| "it is no text (UTF-8)".into())
}

/// What a screen shows.
fn summary(report: &Report) -> String {
    let mut text = output::wrap("", &output::escape(&report.sentence()));
    for part in report.overviews() {
        text.push('\n');
        text.push_str(&output::wrap("", &part.title));
        text.push_str(&on_screen(&part));
    }
    text.push('\n');
    text
}

/// A table whose content, and titles, are short.
fn on_screen(table: &Table) -> String {
    const COLUMN: Column = Column { title: "", least: 12, cut: Cut::Middle };
    let titles = table.columns.iter().map(|title| Cell::new(title.to_uppercase())).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(|cell| Cell::new(TableCell::short(cell))).collect());
    let rows: Vec<_> = std::iter::once(titles).chain(rows).collect();
    let table = output::render_table(&vec![COLUMN; table.columns.len()], &rows);
    // The titles stand in the first row.
    table.split_once('\n').map(|(_, rows)| rows.to_owned()).unwrap_or(table)
}
