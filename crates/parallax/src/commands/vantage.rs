//! `parallax vantage`: the list of vantage points that `check` asks.

use std::path::Path;

use parallax_client::{Deadline, NoPin, NodeVantage, VantageUrl};
use parallax_proto::Descriptor;
use serde_json::json;

use super::{block_on, settings};
use crate::args::{VantageAddArgs, VantageArgs, VantageCommand, VantageListArgs, VantageRemoveArgs};
use crate::clock::now;
use crate::failure::{DONE, Failure};
use crate::output::{self, Cell, Column, Cut, escape};
use crate::vantages::{Added, Entry, Vantages, VantagesError, Which};
use crate::{logs, progress};

/// Runs the command.
pub(crate) fn run(args: &VantageArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match &args.command {
        VantageCommand::Add(args) => add(args, config),
        VantageCommand::List(args) => list(args, config),
        VantageCommand::Remove(args) => remove(args, config),
    }
}

fn add(args: &VantageAddArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let url: VantageUrl = args.url.parse().map_err(Failure::usage)?;
    if url.pin().is_none() && !args.trust_first {
        return Err(Failure::usage(NoPin(url)));
    }
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let descriptor = block_on(async {
        let discovery = NodeVantage::discover(&url, Deadline::within(settings.check.timeout));
        let met = progress::waiting(format!("meeting {}", url.authority()), discovery).await;
        met.map_err(|why| Failure::not_done(format!("{url} was not added: {why}")))
    })?;
    let entry = Entry::new(&url, descriptor.content(), now());
    let pinned = entry.url.clone();
    let added = Vantages::change(&settings.vantages_file(), |list| list.add(entry)).map_err(refused)?;
    if url.pin().is_none() {
        output::say(&format!(
            "trusted on first sight: {} is what answered just now; compare it with what the node's operator says",
            descriptor.content().vantage
        ));
    }
    let verb = match added {
        Added::New => "added",
        Added::Renewed => "renewed",
    };
    output::print(&format!("{verb} {pinned}{}\n", about(descriptor.content())))?;
    Ok(DONE)
}

/// A file that can't be used is a matter of this machine, a pin that is in the way is not.
fn refused(error: VantagesError) -> Failure {
    match error {
        VantagesError::OtherPin { .. } | VantagesError::TooMany(_) => Failure::not_done(error),
        error => Failure::usage(error),
    }
}

/// What the node says of itself.
fn about(descriptor: &Descriptor) -> String {
    let parts = [&descriptor.region, &descriptor.rir, &descriptor.operator];
    let parts: Vec<String> = parts.into_iter().flatten().map(|part| escape(part)).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

const COLUMNS: [Column; 6] = [
    Column { title: "ADDRESS", least: 16, cut: Cut::Middle },
    Column { title: "VANTAGE", least: 8, cut: Cut::End },
    Column { title: "REGION", least: 6, cut: Cut::End },
    Column { title: "RIR", least: 4, cut: Cut::End },
    Column { title: "OPERATOR", least: 8, cut: Cut::End },
    Column { title: "ADDED", least: 8, cut: Cut::End },
];

fn list(args: &VantageListArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &[])?;
    let list = Vantages::read(&settings.vantages_file()).map_err(Failure::usage)?;
    if args.json {
        output::print_json(&json!({ "vantages": list.entries }))?;
    } else if list.entries.is_empty() {
        output::say(&format!("no vantage point is listed. {}", output::NO_VANTAGE));
    } else {
        let rows: Vec<_> = list.entries.iter().map(row).collect();
        output::print(&output::render_table(&COLUMNS, &rows))?;
    }
    Ok(DONE)
}

fn row(entry: &Entry) -> Vec<Cell> {
    let text = |text: &Option<String>| Cell::new(text.as_deref().map_or_else(|| "-".into(), escape));
    vec![
        Cell::new(entry.url.authority()),
        Cell::new(entry.vantage.short()),
        text(&entry.region),
        text(&entry.rir),
        text(&entry.operator),
        Cell::new(match output::length(now().since(entry.added)).as_str() {
            "now" => "now".to_owned(),
            length => format!("{length} ago"),
        }),
    ]
}

fn remove(args: &VantageRemoveArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let which = match args.which.parse() {
        Ok(id) => Which::Id(id),
        Err(_) if !args.which.contains("://") => {
            return Err(Failure::usage(format!(
                "{:?} is neither a URL such as https://192.0.2.7:8443 nor a whole vantage id of 64 hex digits",
                args.which
            )));
        }
        Err(_) => Which::Url(args.which.parse().map_err(Failure::usage)?),
    };
    let file = settings(config, &[])?.vantages_file();
    let removed = Vantages::change(&file, |list| Ok(list.remove(&which))).map_err(refused)?;
    if removed.is_empty() {
        return Err(Failure::not_done(format!("{} is not in the list {}", args.which, file.display())));
    }
    for entry in removed {
        output::print(&format!("removed {}\n", entry.url))?;
    }
    Ok(DONE)
}
