//! `parallax ca`: the operator's side of a janus.

use std::path::Path;
use std::time::Duration;

use parallax_core::{Fingerprint, Timestamp, plainly};
use parallax_node::{AuthorityFiles, MadeAuthority, NotAsked, ask_operator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{block_on, settings};
use crate::args::{CaArgs, CaCommand, CaInitArgs, CaListArgs, CaRevokeArgs, CaRotateArgs};
use crate::clock::now;
use crate::failure::{DONE, Failure};
use crate::logs;
use crate::output::{self, Cell, Column, Cut, escape};

/// The node answers at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) fn run(args: &CaArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.command.flags())?;
    logs::start("error")?;
    let data = settings.serve.data.as_path();
    match &args.command {
        CaCommand::Init(args) => init(args, data),
        CaCommand::Root(_) => {
            let root = AuthorityFiles::of(data).root().map_err(|error| no_authority(data, error))?;
            output::print(&root).map(|()| DONE)
        }
        CaCommand::Rotate(args) => rotate(args, data),
        CaCommand::List(args) => list(args, data),
        CaCommand::Revoke(args) => revoke(args, data),
    }
}

fn init(args: &CaInitArgs, data: &Path) -> Result<u8, Failure> {
    let files = AuthorityFiles::of(data);
    let made = files.init(args.root_out.as_deref(), now()).map_err(Failure::not_done)?;
    let root_key = args.root_out.clone().unwrap_or_else(|| files.root_key());
    output::print(&format!("{}root key     {}\n", told(&made), root_key.display()))?;
    Ok(DONE)
}

fn told(made: &MadeAuthority) -> String {
    let line = |what: &str, id: Fingerprint, end: Timestamp| {
        format!("{what:<12} {id}\n{:12} until {}\n", "", output::minute(end))
    };
    line("root", made.root, made.root_end) + &line("issuing key", made.issuing, made.issuing_end)
}

fn rotate(args: &CaRotateArgs, data: &Path) -> Result<u8, Failure> {
    let files = AuthorityFiles::of(data);
    files.made().map_err(|error| no_authority(data, error))?;
    let own = files.root_key();
    if args.root_key.is_none() && !own.exists() {
        return Err(Failure::usage(format!(
            "the root key is not in {}; name its file with --root-key",
            own.parent().unwrap_or(data).display()
        )));
    }
    let made = files.rotate(args.root_key.as_deref().unwrap_or(&own), now()).map_err(Failure::not_done)?;
    output::print(&told(&made))?;
    match ask(data, "/ca/reload", &json!({})) {
        Ok(_) => output::say("the running node issues with it from now on"),
        Err(NotAsked::NotRunning(_)) => output::say("no node runs there; it takes the key when it starts"),
        Err(why) => return Err(refused(&why)),
    }
    Ok(DONE)
}

/// What a node tells of its authority.
#[derive(Deserialize)]
struct Account {
    root: Root,
    issuing: Vec<Issuing>,
    mails_waiting: usize,
    mail_server: String,
    denied: DeniedKeys,
    certified: Vec<Certified>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Root {
    key: Fingerprint,
    not_after: Timestamp,
    key_here: bool,
}

#[derive(Deserialize)]
struct Issuing {
    key: Fingerprint,
    not_after: Timestamp,
    issues: bool,
}

#[derive(Deserialize)]
struct DeniedKeys {
    count: usize,
    first: Vec<DeniedKey>,
}

#[derive(Deserialize)]
struct DeniedKey {
    key: Fingerprint,
    until: Timestamp,
}

#[derive(Deserialize)]
struct Certified {
    mailbox: String,
    key: Fingerprint,
    not_after: Timestamp,
}

const KEYS: [Column; 3] = [
    Column { title: "KEY", least: 16, cut: Cut::End },
    Column { title: "UNTIL", least: 17, cut: Cut::End },
    Column { title: "WHAT", least: 16, cut: Cut::End },
];

const CERTIFIED: [Column; 3] = [
    Column { title: "MAILBOX", least: 16, cut: Cut::Middle },
    Column { title: "KEY", least: 16, cut: Cut::End },
    Column { title: "UNTIL", least: 17, cut: Cut::End },
];

fn list(args: &CaListArgs, data: &Path) -> Result<u8, Failure> {
    let (mut whole, mut rows) = (Value::Null, Vec::new());
    let mut from = Value::Null;
    loop {
        let page = ask(data, "/ca/list", &json!({ "from": from })).map_err(|why| refused(&why))?;
        let read = |why: serde_json::Error| Failure::not_done(format!("the node answered what can't be read: {why}"));
        let account: Account = serde_json::from_value(page.clone()).map_err(read)?;
        if let Some(certified) = page.get("certified").and_then(Value::as_array) {
            whole = if whole.is_null() { page.clone() } else { whole };
            rows.extend(certified.iter().cloned());
        }
        if !args.json {
            show(&account, from.is_null())?;
        }
        match account.next {
            Some(next) => from = next.into(),
            None => break,
        }
    }
    if args.json {
        if let Some(whole) = whole.as_object_mut() {
            whole.remove("next");
            whole.insert("certified".into(), rows.into());
        }
        output::print_json(&whole)?;
    }
    Ok(DONE)
}

/// A page; before the first one, the authority itself.
fn show(account: &Account, is_first: bool) -> Result<(), Failure> {
    if is_first {
        output::print(&output::render_table(&KEYS, &key_rows(account)))?;
        if account.denied.count > account.denied.first.len() {
            output::print(&format!("{} keys are revoked; these are the first\n", account.denied.count))?;
        }
        if account.mails_waiting > 0 || account.mail_server != "well" {
            let (waiting, server) = (account.mails_waiting, escape(&account.mail_server));
            output::print(&format!("\nmails waiting: {waiting}; the mail server: {server}\n"))?;
        }
    }
    if account.certified.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = account
        .certified
        .iter()
        .map(|one| {
            let until = output::minute(one.not_after);
            vec![Cell::new(escape(&one.mailbox)), Cell::new(one.key.short()), Cell::new(until)]
        })
        .collect();
    output::print(&format!("\n{}", output::render_table(&CERTIFIED, &rows)))
}

fn key_rows(account: &Account) -> Vec<Vec<Cell>> {
    let row = |key: &Fingerprint, until: Timestamp, what: &str| {
        vec![Cell::new(key.short()), Cell::new(output::minute(until)), Cell::new(what)]
    };
    let root =
        if account.root.key_here { "root; its key is in the data directory" } else { "root; its key is elsewhere" };
    let issuing = account
        .issuing
        .iter()
        .map(|one| row(&one.key, one.not_after, if one.issues { "issues now" } else { "issuing key" }));
    let denied = account.denied.first.iter().map(|one| row(&one.key, one.until, "revoked"));
    std::iter::once(row(&account.root.key, account.root.not_after, root)).chain(issuing).chain(denied).collect()
}

fn revoke(args: &CaRevokeArgs, data: &Path) -> Result<u8, Failure> {
    #[derive(Deserialize)]
    struct Revoked {
        revoked: Vec<Fingerprint>,
    }
    let told = ask(data, "/ca/revoke", &json!({ "what": args.what })).map_err(|why| refused(&why))?;
    let read = |why: serde_json::Error| Failure::not_done(format!("the node answered what can't be read: {why}"));
    let Revoked { revoked } = serde_json::from_value(told).map_err(read)?;
    for key in revoked {
        output::print(&format!("{key} counts no more\n"))?;
    }
    Ok(DONE)
}

fn ask(data: &Path, path: &str, request: &Value) -> Result<Value, NotAsked> {
    let asking = ask_operator(data, path, request, PATIENCE);
    // A runtime that can't be had is told as a node that can't be reached.
    let asked = block_on(async { Ok(asking.await) });
    asked.unwrap_or_else(|_| Err(NotAsked::Refused("this machine gives no runtime".into())))
}

fn refused(why: &NotAsked) -> Failure {
    match why {
        NotAsked::NotYours { path, source } => Failure::not_done(format!(
            "{} is the operator's alone: {}; run this as the user that runs the node",
            path.display(),
            plainly(source)
        )),
        _ => Failure::not_done(why),
    }
}

fn no_authority(data: &Path, error: impl std::fmt::Display) -> Failure {
    if data.join("identity/janus").exists() {
        return Failure::not_done(error);
    }
    Failure::not_done(format!(
        "there is no authority in {}; make one with \"parallax ca init\", or name the directory with --data",
        data.display()
    ))
}
