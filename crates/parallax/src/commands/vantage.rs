//! `parallax vantage`: the list of vantage points that `check` asks.

use std::path::Path;

use parallax_client::{
    Deadline, HUB_SCHEME, LARGEST_NOTARY_LIST, NOTARY_SCHEME, NoPin, NodeVantage, OldNotary, VantageName, VantageUrl,
    parse_notary_list,
};
use parallax_proto::Descriptor;
use serde_json::json;

use super::{block_on, notaries, settings};
use crate::args::{VantageAddArgs, VantageArgs, VantageCommand, VantageImportArgs, VantageListArgs, VantageRemoveArgs};
use crate::clock::now;
use crate::failure::{DONE, Failure};
use crate::kept::Kept as _;
use crate::output::{self, Cell, Column, Cut, escape};
use crate::vantages::{Added, Entry, HubEntry, NotaryEntry, Vantages, VantagesError, Which};
use crate::{logs, progress};

/// Runs the command.
pub(crate) fn run(args: &VantageArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match &args.command {
        VantageCommand::Add(args) => add(args, config),
        VantageCommand::List(args) => list(args, config),
        VantageCommand::Remove(args) => remove(args, config),
        VantageCommand::Import(args) => import(args, config),
    }
}

fn add(args: &VantageAddArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let (url, is_hub): (VantageUrl, bool) = match args.url.parse().map_err(Failure::usage)? {
        VantageName::Node(url) => (url, false),
        VantageName::Hub(url) => (url, true),
        VantageName::Notary { address, key_file } => {
            let notary = notaries::with_key(address, key_file.as_deref())?;
            return list_notaries(&settings(config, &args.flags())?.vantages_file(), &[notary]);
        }
    };
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
    let pinned = if is_hub { hub_url(&entry.url) } else { entry.url.to_string() };
    let added = Vantages::change(&settings.vantages_file(), |list| match is_hub {
        true => list.add_hub(HubEntry { url: entry.url, vantage: entry.vantage, added: entry.added }),
        false => list.add(entry),
    });
    let added = added.map_err(refused)?;
    if url.pin().is_none() {
        output::say(&format!(
            "trusted on first sight: {} is what answered just now; compare it with what the node's operator says",
            descriptor.content().vantage
        ));
    }
    output::print(&format!("{} {pinned}{}\n", verb(added), about(descriptor.content())))?;
    Ok(DONE)
}

/// A hub's URL as it is named.
fn hub_url(url: &VantageUrl) -> String {
    let text = url.to_string();
    text.strip_prefix("https://").map_or(text.clone(), |rest| format!("{HUB_SCHEME}{rest}"))
}

fn import(args: &VantageImportArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let text = notaries::read(&args.file, LARGEST_NOTARY_LIST)?;
    let list = parse_notary_list(&text).map_err(|why| Failure::usage(format!("{}: {why}", args.file.display())))?;
    list_notaries(&settings(config, &[])?.vantages_file(), &list)
}

/// All of them, or none where one can't be.
fn list_notaries(file: &Path, notaries: &[OldNotary]) -> Result<u8, Failure> {
    let added = Vantages::change(file, |list| {
        notaries.iter().map(|notary| list.add_notary(NotaryEntry::new(notary, now()))).collect::<Result<Vec<_>, _>>()
    })
    .map_err(refused)?;
    for (notary, added) in notaries.iter().zip(added) {
        output::print(&format!("{} {NOTARY_SCHEME}{} ({})\n", verb(added), notary.address(), notary.id()))?;
    }
    Ok(DONE)
}

fn verb(added: Added) -> &'static str {
    match added {
        Added::New => "added",
        Added::Renewed => "renewed",
    }
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
        output::print_json(&json!({ "vantages": list.entries, "notaries": list.notaries, "hubs": list.hubs }))?;
    } else if list.is_empty() {
        output::say(&format!("no vantage point is listed. {}", output::NO_VANTAGE));
    } else {
        let others = list.notaries.iter().map(notary_row).chain(list.hubs.iter().map(hub_row));
        let rows: Vec<_> = list.entries.iter().map(row).chain(others).collect();
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
        Cell::new(output::ago(now().since(entry.added))),
    ]
}

fn notary_row(entry: &NotaryEntry) -> Vec<Cell> {
    let (address, none) = (format!("{NOTARY_SCHEME}{}", entry.address), || Cell::new("-"));
    let added = Cell::new(output::ago(now().since(entry.added)));
    vec![Cell::new(address), Cell::new(entry.vantage.short()), none(), none(), Cell::new("(old notary)"), added]
}

fn hub_row(entry: &HubEntry) -> Vec<Cell> {
    let (address, none) = (format!("{HUB_SCHEME}{}", entry.url.authority()), || Cell::new("-"));
    let added = Cell::new(output::ago(now().since(entry.added)));
    vec![Cell::new(address), Cell::new(entry.vantage.short()), none(), none(), Cell::new("(its peers)"), added]
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
        Err(_) => match args.which.parse().map_err(Failure::usage)? {
            VantageName::Node(url) => Which::Url(url),
            VantageName::Hub(url) => Which::Hub(url),
            VantageName::Notary { address, .. } => Which::Notary(address),
        },
    };
    let file = settings(config, &[])?.vantages_file();
    let (removed, notaries, hubs) =
        Vantages::change(&file, |list| Ok((list.remove(&which), list.remove_notary(&which), list.remove_hub(&which))))
            .map_err(refused)?;
    if removed.is_empty() && notaries.is_empty() && hubs.is_empty() {
        return Err(Failure::not_done(format!("{} is not in the list {}", args.which, file.display())));
    }
    for entry in removed {
        output::print(&format!("removed {}\n", entry.url))?;
    }
    for entry in notaries {
        output::print(&format!("removed {NOTARY_SCHEME}{}\n", entry.address))?;
    }
    for entry in hubs {
        output::print(&format!("removed {}\n", hub_url(&entry.url)))?;
    }
    Ok(DONE)
}
