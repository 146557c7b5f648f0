//! `parallax services`: which services a node remembers.

use std::path::Path;

use parallax_core::{History, ServiceId};
use parallax_node::forget_legacy_signature;
use parallax_store::{HistoryStore as _, Listed, Listing, MAX_PAGE, SqliteStore, forget_old_spans, note_forgetting};
use serde_json::json;

use super::store::{failed, open, open_existing};
use super::{block_on, settings};
use crate::args::{ServicesArgs, ServicesCommand, ServicesListArgs};
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT};
use crate::{logs, output};

/// Runs the command.
pub(crate) fn run(args: &ServicesArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let data = &settings.serve.data;
    match &args.command {
        ServicesCommand::List(list) => {
            let listing = listing(list)?;
            with(open_existing(data)?, async |store| show(list, listing, store).await)
        }
        ServicesCommand::Add(named) => {
            let services = parse(&named.services)?;
            with(open(data)?, async |store| add(&services, store).await)
        }
        ServicesCommand::Remove(named) => {
            let services = parse(&named.services)?;
            with(open_existing(data)?, async |store| remove(&services, store).await)
        }
    }
}

fn with(store: SqliteStore, work: impl AsyncFnOnce(&SqliteStore) -> Result<u8, Failure>) -> Result<u8, Failure> {
    block_on(async {
        let done = work(&store).await;
        store.shutdown().await;
        done
    })
}

/// All of them must be right before anything is changed.
fn parse(named: &[String]) -> Result<Vec<ServiceId>, Failure> {
    named.iter().map(|text| text.parse().map_err(Failure::usage)).collect()
}

fn listing(args: &ServicesListArgs) -> Result<Listing, Failure> {
    let now = now();
    let ago = |age: std::time::Duration| now.minus(age);
    Ok(Listing {
        after: None,
        seen_since: args.newer_than()?.map(ago),
        not_seen_since: args.older_than()?.map(ago),
        limit: MAX_PAGE,
    })
}

/// Page by page: a million services need no more memory than a thousand.
async fn show(args: &ServicesListArgs, mut listing: Listing, store: &SqliteStore) -> Result<u8, Failure> {
    loop {
        let page = store.services(listing.clone()).await.map_err(failed)?;
        if args.json {
            let lines = page.iter().map(|row| json!({ "service": row.service, "last_seen": row.last_seen }));
            output::print_raw(lines.map(|line| format!("{line}\n")).collect::<String>().as_bytes())?;
        } else {
            output::print(&page.iter().map(line).collect::<String>())?;
        }
        if !listing.advance(&page) {
            return Ok(DONE);
        }
    }
}

/// The moment has a fixed width and comes first, so that the lines can be sorted by it.
fn line(row: &Listed) -> String {
    let seen = row.last_seen.map_or_else(|| "never".to_owned(), output::minute);
    format!("{seen:<17} {}\n", row.service)
}

async fn add(services: &[ServiceId], store: &SqliteStore) -> Result<u8, Failure> {
    for service in services {
        let known = store.known(service).await.map_err(failed)?.is_some();
        if !known {
            store.import(service, History::default()).await.map_err(failed)?;
        }
        output::print(&format!("{} {service}\n", if known { "known" } else { "added" }))?;
    }
    Ok(DONE)
}

async fn remove(services: &[ServiceId], store: &SqliteStore) -> Result<u8, Failure> {
    let mut status = DONE;
    for service in services {
        // Noted first: views that this node signs from now on say why what it signed before is missing.
        if store.known(service).await.map_err(failed)?.is_some() {
            note_forgetting(store, now()).await.map_err(failed)?;
        }
        let old = forget_old_spans(store, service).await.map_err(failed)?;
        forget_legacy_signature(store, service).await.map_err(failed)?;
        if store.forget(service).await.map_err(failed)? || old {
            output::print(&format!("removed {service}\n"))?;
        } else {
            output::say(&format!("{service} is not known"));
            status = NOT;
        }
    }
    Ok(status)
}
