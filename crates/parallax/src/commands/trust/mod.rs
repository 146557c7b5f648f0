//! `parallax trust`: whom you trust, and what comes of it.

mod explain;

use std::path::Path;

use parallax_client::{Deadline, Mailbox, OwnIdentity, TrustError, TrustNode, VantageUrl};
use parallax_proto::trust::{TrustList, TrustState};
use serde_json::json;

use super::{block_on, settings};
use crate::args::{TrustAddArgs, TrustArgs, TrustCommand, TrustListArgs, TrustNodeArgs, TrustRemoveArgs};
use crate::failure::{DONE, Failure};
use crate::identities::Identities;
use crate::output::{self, Cell, Column, Cut};
use crate::settings::Settings;
use crate::{logs, progress};

/// Runs the command.
pub(crate) fn run(args: &TrustArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match &args.command {
        TrustCommand::Add(args) => add(args, config),
        TrustCommand::Remove(args) => remove(args, config),
        TrustCommand::List(args) => list(args, config),
        TrustCommand::Explain(args) => explain::run(args, config),
    }
}

/// Who asks, and the node that keeps the trust.
struct At {
    identity: OwnIdentity,
    url: VantageUrl,
    node: TrustNode,
    settings: Settings,
}

impl At {
    fn of(args: &TrustNodeArgs, settings: Settings) -> Result<Self, Failure> {
        let mailbox = settings.id_mailbox.as_ref().map(Mailbox::as_str);
        let acting = Identities::of(&settings).acting(mailbox)?;
        let named = args.node.as_deref().map(str::parse::<VantageUrl>).transpose().map_err(Failure::usage)?;
        let url = named.unwrap_or(acting.janus);
        let node = TrustNode::new(url.clone(), &acting.identity).map_err(Failure::usage)?;
        logs::start("error")?;
        Ok(Self { identity: acting.identity, url, node, settings })
    }

    fn deadline(&self) -> Deadline {
        Deadline::within(self.settings.check.timeout)
    }

    /// Waits for the node, and says which one it is when that comes to nothing.
    async fn ask<T>(&self, asking: impl Future<Output = Result<T, TrustError>>) -> Result<T, Failure> {
        let at = self.url.authority();
        let done = progress::waiting(format!("asking {at}"), asking).await;
        done.map_err(|error| Failure::not_done(format!("{at}: {error}")))
    }

    async fn declared(&self) -> Result<TrustList, Failure> {
        self.ask(self.node.declared(self.deadline())).await
    }
}

fn add(args: &TrustAddArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let whom = Mailbox::from_typed(&args.mailbox).map_err(Failure::usage)?;
    let at = At::of(&args.at, settings(config, &args.at.flags())?)?;
    let list = block_on(async {
        at.ask(at.node.declare(&whom, at.deadline())).await?;
        at.declared().await
    })?;
    output::print(&format!("{} trusts {whom}\n", at.identity.mailbox()))?;
    let state = list.edges.iter().find(|edge| edge.mailbox == whom.as_str()).map(|edge| edge.state);
    output::say(&match state {
        Some(TrustState::Mutual) => format!("{whom} trusts you too: it counts"),
        Some(TrustState::Waiting | TrustState::Renew) => {
            format!("one of you has another key since it was declared; it counts when {whom} declares it again")
        }
        Some(TrustState::Declared) | None => format!("it counts when {whom} has declared it too, at the same node"),
    });
    Ok(DONE)
}

fn remove(args: &TrustRemoveArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let whom = Mailbox::from_typed(&args.mailbox).map_err(Failure::usage)?;
    let at = At::of(&args.at, settings(config, &args.at.flags())?)?;
    block_on(at.ask(at.node.withdraw(&whom, at.deadline())))?;
    output::print(&format!("{} does not trust {whom}\n", at.identity.mailbox()))?;
    Ok(DONE)
}

const COLUMNS: [Column; 2] =
    [Column { title: "WHOM", least: 20, cut: Cut::Middle }, Column { title: "STATE", least: 30, cut: Cut::End }];

fn list(args: &TrustListArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let at = At::of(&args.at, settings(config, &args.at.flags())?)?;
    let list = block_on(at.declared())?;
    if args.json {
        output::print_json(&json!({ "mailbox": list.mailbox, "node": at.url.to_string(), "edges": list.edges }))?;
    } else if list.edges.is_empty() {
        output::say(&format!("{} trusts nobody; `parallax trust add EMAIL` declares it", at.identity.mailbox()));
    } else {
        let mut edges = list.edges;
        edges.sort_by(|one, other| one.mailbox.cmp(&other.mailbox));
        let rows: Vec<_> = edges
            .iter()
            .map(|edge| vec![Cell::new(output::escape(&edge.mailbox)), Cell::new(in_words(edge.state))])
            .collect();
        output::print(&output::render_table(&COLUMNS, &rows))?;
    }
    Ok(DONE)
}

const fn in_words(state: TrustState) -> &'static str {
    match state {
        TrustState::Mutual => "mutual: it counts",
        TrustState::Declared => "declared: they have not declared it",
        TrustState::Renew => "rests: a key has changed, add it again",
        TrustState::Waiting => "rests: a key has changed, they must add it again",
    }
}
