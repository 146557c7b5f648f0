//! `parallax mirror`: a node and the federation, and a client and the federation.

mod bootstrap;
mod files;
mod known;
mod publish;

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use parallax_client::{Deadline, NoPin, NodeVantage, VantagePoint as _, VantageUrl};
use parallax_core::{Timestamp, VantageId};
use parallax_proto::LARGEST_DESCRIPTOR;
use parallax_proto::mirror::{Peer, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{block_on, settings};
use crate::args::{MirrorArgs, MirrorCommand, MirrorJoinArgs, MirrorListArgs, MirrorStatusArgs, OwnNodeArgs};
use crate::clock::now;
use crate::failure::{DONE, Failure};
use crate::logs;
use crate::output::{self, Cell, Column, Cut, escape};
use crate::settings::Settings;

/// Mirrors that are asked what they think of one's own node.
const MOST_ASKED: usize = 25;

/// The largest account of one mirror that is read.
const LARGEST_ACCOUNT: usize = 16 * 1024;

/// Runs the command.
pub(crate) fn run(args: &MirrorArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match &args.command {
        MirrorCommand::Bootstrap(args) => bootstrap::bootstrap(args, config),
        MirrorCommand::Refresh(args) => bootstrap::refresh(args, config),
        MirrorCommand::Publish(args) => publish::run(args, config),
        MirrorCommand::Join(args) => join(args, config),
        MirrorCommand::List(args) => list(args, config),
        MirrorCommand::Status(args) => status(args, config),
        MirrorCommand::Remove(args) => super::mirror_remove::run(args, config),
    }
}

/// A node that is asked, and how long it may take.
struct Asked {
    node: NodeVantage,
    timeout: Duration,
}

impl Asked {
    /// Somebody else's: the pin says who it must be.
    fn other(url: &str, settings: &Settings) -> Result<Self, Failure> {
        let url: VantageUrl = url.parse().map_err(Failure::usage)?;
        // Trust on first sight is not offered here: a list would come from anybody.
        let no_pin = |NoPin(url)| Failure::usage(format!("{url} has no pin; add #VANTAGE-ID"));
        let node = NodeVantage::new(url, None).map_err(no_pin)?;
        Ok(Self { node, timeout: settings.check.timeout })
    }

    /// One's own: it is met where the configuration says that it listens.
    async fn own(args: &OwnNodeArgs, settings: &Settings) -> Result<Self, Failure> {
        let url = own_url(args, settings)?;
        let timeout = settings.check.timeout;
        let met = NodeVantage::discover(&url, Deadline::within(timeout)).await.map_err(|why| {
            Failure::not_done(format!("your node does not answer at {url}: {why}; start it, or name it with --node"))
        })?;
        let node = NodeVantage::new(url.with_pin(met.content().vantage), None).map_err(Failure::usage)?;
        Ok(Self { node, timeout })
    }

    fn deadline(&self) -> Deadline {
        Deadline::within(self.timeout)
    }

    fn failed(&self, what: &str, why: impl std::fmt::Display) -> Failure {
        Failure::not_done(format!("{} {what}: {why}", self.node.label()))
    }

    /// Its descriptor, wrapped as it is posted.
    async fn descriptor(&self) -> Result<Vec<u8>, Failure> {
        let signed = self.node.fetch("/v1/vantage", LARGEST_DESCRIPTOR, self.deadline()).await;
        let signed = signed.map_err(|why| self.failed("does not tell its descriptor", why))?;
        serde_json::to_vec(&signed).map_err(Failure::not_done)
    }

    async fn take(&self, descriptor: Vec<u8>) -> Result<Status, Failure> {
        #[derive(Deserialize)]
        struct Receipt {
            status: Status,
        }
        let receipt = self.node.post_patiently("/v1/mirrors", descriptor, self.deadline()).await;
        let receipt = receipt.map_err(|why| self.failed("does not take the join", why))?;
        let receipt: Receipt =
            serde_json::from_str(&receipt).map_err(|why| self.failed("answered what can't be read", why))?;
        Ok(receipt.status)
    }

    async fn mirrors(&self, status: Option<Status>) -> Result<Vec<(Peer, Status)>, Failure> {
        let mirrors = self.node.mirrors(status, self.deadline()).await;
        mirrors.map_err(|why| self.failed("does not tell its list", why))
    }
}

fn own_url(args: &OwnNodeArgs, settings: &Settings) -> Result<VantageUrl, Failure> {
    if let Some(url) = &args.node {
        return url.parse().map_err(|why| Failure::usage(format!("--node: {why}")));
    }
    let mut listen = settings.serve.listen_tls;
    if listen.ip().is_unspecified() {
        listen.set_ip(if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    if listen.port() == 0 {
        return Err(Failure::usage("the HTTPS listener has port 0 in the configuration; name your node with --node"));
    }
    format!("https://{listen}").parse().map_err(Failure::usage)
}

fn join(args: &MirrorJoinArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.own.flags())?;
    logs::start("error")?;
    let mirror = Asked::other(&args.through, &settings)?;
    block_on(async {
        let own = Asked::own(&args.own, &settings).await?;
        let there = mirror.take(own.descriptor().await?).await?;
        let here = own.take(mirror.descriptor().await?).await?;
        output::print(&format!(
            "{} holds your node for {}; your node holds it for {}\n",
            mirror.node.label(),
            article(there),
            article(here)
        ))
    })?;
    Ok(DONE)
}

fn article(status: Status) -> &'static str {
    match status {
        Status::Candidate => "a candidate",
        Status::Active => "active",
        Status::Inactive => "inactive",
        Status::Gone => "gone",
    }
}

const LIST: [Column; 5] = [
    Column { title: "ADDRESS", least: 16, cut: Cut::Middle },
    Column { title: "VANTAGE", least: 8, cut: Cut::End },
    Column { title: "REGION", least: 6, cut: Cut::End },
    Column { title: "OPERATOR", least: 8, cut: Cut::End },
    Column { title: "STATUS", least: 9, cut: Cut::End },
];

fn list(args: &MirrorListArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.own.flags())?;
    logs::start("error")?;
    if args.of.is_none() && args.own.node.is_none() && !args.here {
        return match &args.status {
            None => known::show(&settings, args.json),
            Some(_) => Err(Failure::usage(
                "--status is about a node's list; add --here for your own node's, --node URL, or name the node's URL#ID",
            )),
        };
    }
    let wanted = args.status.as_deref().and_then(|text| serde_json::from_value(text.into()).ok());
    let mirrors = block_on(async {
        let asked = match &args.of {
            Some(url) => Asked::other(url, &settings)?,
            None => Asked::own(&args.own, &settings).await?,
        };
        asked.mirrors(wanted).await
    })?;
    if args.json {
        output::print_json(&json!({ "mirrors": mirrors.iter().map(listed).collect::<Vec<_>>() }))?;
    } else if mirrors.is_empty() {
        output::say("no such mirror is known there. A node gets to know others by \"parallax mirror join URL#ID\"");
    } else {
        output::print(&output::render_table(&LIST, &mirrors.iter().map(list_row).collect::<Vec<_>>()))?;
    }
    Ok(DONE)
}

fn listed((peer, status): &(Peer, Status)) -> Value {
    json!({
        "vantage": peer.vantage(),
        "address": peer.address().to_string(),
        "region": peer.region(),
        "operator": peer.descriptor().operator,
        "status": status,
    })
}

fn list_row((peer, status): &(Peer, Status)) -> Vec<Cell> {
    let text = |text: Option<&str>| Cell::new(text.map_or_else(|| "-".into(), escape));
    vec![
        Cell::new(peer.address().to_string()),
        Cell::new(peer.vantage().short()),
        text(peer.region().map(AsRef::as_ref)),
        text(peer.descriptor().operator.as_deref()),
        Cell::new(status.as_str()),
    ]
}

/// What a mirror tells of another. Its numbers are shown as they are.
#[derive(Deserialize)]
struct Account {
    status: Status,
    why: String,
    since: Timestamp,
}

const STATUS: [Column; 4] = [
    Column { title: "MIRROR", least: 16, cut: Cut::Middle },
    Column { title: "STATUS", least: 9, cut: Cut::End },
    Column { title: "SINCE", least: 6, cut: Cut::End },
    Column { title: "WHY", least: 16, cut: Cut::End },
];

fn status(args: &MirrorStatusArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.own.flags())?;
    logs::start("error")?;
    let named = args.of.as_deref().map(|url| Asked::other(url, &settings)).transpose()?;
    let told = block_on(async {
        let own = Asked::own(&args.own, &settings).await?;
        let asked = match named {
            Some(one) => vec![one],
            None => active_ones(&own, &settings).await?,
        };
        Ok(join_all(asked.iter().map(|asked| account(asked, own.node.id()))).await)
    })?;
    if told.is_empty() {
        return Err(Failure::not_done(
            "your node holds no mirror for active, so there is nobody to ask; name one, or join through one",
        ));
    }
    if args.json {
        let told: Vec<Value> = told
            .into_iter()
            .map(|(mirror, account)| match account {
                Ok(account) => json!({ "mirror": mirror, "account": account }),
                Err(why) => json!({ "mirror": mirror, "missing": why }),
            })
            .collect();
        output::print_json(&json!({ "told": told }))?;
    } else {
        output::print(&output::render_table(&STATUS, &told.iter().map(status_row).collect::<Vec<_>>()))?;
    }
    Ok(DONE)
}

async fn active_ones(own: &Asked, settings: &Settings) -> Result<Vec<Asked>, Failure> {
    let active = own.mirrors(Some(Status::Active)).await?;
    let url = |peer: &Peer| format!("https://{}#{}", peer.address(), peer.vantage());
    active.iter().take(MOST_ASKED).map(|(peer, _)| Asked::other(&url(peer), settings)).collect()
}

async fn account(asked: &Asked, about: VantageId) -> (String, Result<Value, String>) {
    let path = format!("/v1/mirrors/{about}");
    let answer = asked.node.fetch(&path, LARGEST_ACCOUNT, asked.deadline()).await.map_err(|why| why.to_string());
    let account = answer.and_then(|answer| serde_json::from_str(&answer.body).map_err(|why| why.to_string()));
    (asked.node.label(), account)
}

fn status_row((mirror, account): &(String, Result<Value, String>)) -> Vec<Cell> {
    let read =
        account.clone().and_then(|value| serde_json::from_value::<Account>(value).map_err(|why| why.to_string()));
    let cells = match read {
        Ok(account) => {
            [account.status.as_str().to_owned(), output::ago(now().since(account.since)), escape(&account.why)]
        }
        Err(why) => ["-".into(), "-".into(), escape(&why)],
    };
    std::iter::once(Cell::new(mirror.clone())).chain(cells.into_iter().map(Cell::new)).collect()
}
