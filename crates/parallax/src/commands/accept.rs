//! `parallax accept`: the user's own word that a key is right.

use std::path::Path;

use parallax_core::{Fingerprint, HostPattern, ServiceId};
use serde_json::json;

use super::{block_on, looking, settings};
use crate::accepted::{AcceptedError, AcceptedHosts, AcceptedKey, AcceptedList, Taken};
use crate::args::{AcceptArgs, AcceptCommand, AcceptListArgs, AcceptRemoveArgs};
use crate::clock::now;
use crate::failure::{DONE, Failure};
use crate::kept::Kept as _;
use crate::output::{self, Cell, Column, Cut};
use crate::settings::Settings;
use crate::{logs, progress};

/// Runs the command.
pub(crate) fn run(args: &AcceptArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match &args.command {
        Some(AcceptCommand::List(args)) => list(args, config),
        Some(AcceptCommand::Remove(args)) => remove(args, config),
        None => accept(args, config),
    }
}

fn accept(args: &AcceptArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let service = args.service.as_deref().map(str::parse::<ServiceId>).transpose().map_err(Failure::usage)?;
    let pattern = args.pattern.as_deref().map(str::parse::<HostPattern>).transpose().map_err(Failure::usage)?;
    let key = args.key.as_deref().map(parse_key).transpose()?;
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    match (service, pattern) {
        (_, Some(pattern)) => accept_hosts(pattern, &settings),
        (Some(service), None) => accept_key(service, key, &settings),
        // The parser asks for one of the two.
        (None, None) => Err(Failure::usage("name a service such as nas.example, or hosts with --pattern")),
    }
}

/// A key as `check --json` and `observe` write it.
fn parse_key(text: &str) -> Result<Fingerprint, Failure> {
    text.trim().to_ascii_lowercase().parse().map_err(|why| Failure::usage(format!("--key: {why}")))
}

fn accept_key(service: ServiceId, key: Option<Fingerprint>, settings: &Settings) -> Result<u8, Failure> {
    let key = match key {
        Some(key) => key,
        None => look(&service, settings)?,
    };
    let entry = AcceptedKey { service: service.clone(), key, since: now() };
    let taken = AcceptedList::change(&settings.accepted_file(), |list| list.accept_key(entry)).map_err(refused)?;
    output::print(&match taken {
        Taken::New => format!("accepted {key} at {service}\n"),
        Taken::Known(since) => format!("accepted since {since}: {key} at {service}\n"),
    })?;
    if taken == Taken::New {
        output::say(&format!(
            "from now on `parallax check {service}` ends in trusted for this key, whatever the vantage points say, and says so; `parallax accept remove {service}` takes it back"
        ));
    }
    Ok(DONE)
}

/// The key that is met now, shown with all that belongs to it. Only one that the server proved to hold can be accepted.
fn look(service: &ServiceId, settings: &Settings) -> Result<Fingerprint, Failure> {
    let look = block_on(async {
        let prober = looking::prober(&settings.look, settings.check.timeout)?;
        Ok(progress::waiting(format!("looking at {service}"), prober.look(service)).await)
    })?;
    output::print(&output::render_look(service, &look, now()))?;
    look.now.proved().map(|met| met.key).ok_or_else(|| {
        Failure::not_done(format!(
            "nothing was accepted: no proved key was met at {service}; name the key that you know with --key"
        ))
    })
}

fn accept_hosts(pattern: HostPattern, settings: &Settings) -> Result<u8, Failure> {
    let entry = AcceptedHosts { pattern: pattern.clone(), since: now() };
    let taken = AcceptedList::change(&settings.accepted_file(), |list| list.accept_hosts(entry)).map_err(refused)?;
    output::print(&match taken {
        Taken::New => format!("accepted every key at {pattern}\n"),
        Taken::Known(since) => format!("accepted since {since}: every key at {pattern}\n"),
    })?;
    if taken == Taken::New {
        output::say(&format!(
            "an attacker's key is now trusted at {pattern} like the right one, and the vantage points are not asked about it; `parallax accept remove {pattern}` takes it back"
        ));
    }
    Ok(DONE)
}

/// A file that can't be used is a matter of this machine, a key that is in the way is not.
fn refused(error: AcceptedError) -> Failure {
    match error {
        AcceptedError::OtherKey { .. } | AcceptedError::TooMany(_) => Failure::not_done(error),
        error => Failure::usage(error),
    }
}

const COLUMNS: [Column; 3] = [
    Column { title: "WHERE", least: 20, cut: Cut::Middle },
    Column { title: "KEY", least: 8, cut: Cut::End },
    Column { title: "SINCE", least: 8, cut: Cut::End },
];

fn list(args: &AcceptListArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let list = AcceptedList::read(&settings(config, &[])?.accepted_file()).map_err(Failure::usage)?;
    if args.json {
        output::print_json(&json!({ "keys": list.keys, "hosts": list.hosts }))?;
    } else if list.is_empty() {
        output::say("nothing is accepted by your own word");
    } else {
        output::print(&output::render_table(&COLUMNS, &rows(&list)))?;
    }
    Ok(DONE)
}

fn rows(list: &AcceptedList) -> Vec<Vec<Cell>> {
    let ago = |since| Cell::new(output::ago(now().since(since)));
    let keys = list.keys.iter().map(|AcceptedKey { service, key, since }| {
        vec![Cell::new(service.to_string()), Cell::new(key.short()), ago(*since)]
    });
    let hosts = list.hosts.iter().map(|AcceptedHosts { pattern, since }| {
        vec![Cell::new(pattern.to_string()), Cell::new("every key"), ago(*since)]
    });
    keys.chain(hosts).collect()
}

fn remove(args: &AcceptRemoveArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let (service, pattern) = (args.which.parse::<ServiceId>(), args.which.parse::<HostPattern>());
    if let (Err(why), Err(_)) = (&service, &pattern) {
        return Err(Failure::usage(why));
    }
    let file = settings(config, &[])?.accepted_file();
    let (mut removed, which) = (Vec::new(), &args.which);
    AcceptedList::change(&file, |list| {
        removed.extend(service.ok().filter(|service| list.remove_key(service)).map(|service| service.to_string()));
        removed.extend(pattern.ok().filter(|hosts| list.remove_hosts(hosts)).map(|hosts| hosts.to_string()));
        Ok(())
    })
    .map_err(refused)?;
    if removed.is_empty() {
        return Err(Failure::not_done(format!("{which} is not in the list {}", file.display())));
    }
    for one in removed {
        output::print(&format!("removed {one}\n"))?;
    }
    Ok(DONE)
}
