//! `parallax trust explain`: through whom each view of a service came.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anstyle::Style;
use parallax_client::{Checker, HubVantage, Report, ReportedPeer};
use parallax_core::{Agreement, ServiceId};
use parallax_proto::trust::TrustList;
use serde_json::json;

use super::At;
use crate::args::TrustExplainArgs;
use crate::commands::check::{shown, status};
use crate::commands::{block_on, looking, settings};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Cut};
use crate::progress;
use crate::settings::RootsChoice;

/// Runs the command.
pub(super) fn run(args: &TrustExplainArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let service: ServiceId = args.service.parse().map_err(Failure::usage)?;
    let (list, report) = asked(args, config, &service).map_err(Failure::local)?;
    let views: Vec<View<'_>> = report.peers.iter().map(|peer| View::of(&report, &list, peer)).collect();
    if args.json {
        output::print_json(&to_json(&report, &views))?;
    } else {
        output::print(&render(&report, views))?;
    }
    Ok(status(report.verdict.decision))
}

fn asked(args: &TrustExplainArgs, config: Option<&Path>, service: &ServiceId) -> Result<(TrustList, Report), Failure> {
    let at = At::of(&args.at, settings(config, &args.flags())?)?;
    let (list, report) = block_on(async {
        let list = at.declared().await?;
        let checker = checker(&at)?;
        let report = progress::waiting(format!("checking {service}"), checker.report(service)).await;
        Ok((list, report))
    })?;
    match report.missing.iter().find(|one| Some(one.vantage) == at.url.pin()) {
        Some(missing) => Err(Failure::not_done(format!("{}: {}", missing.label, missing.why))),
        None => Ok((list, report)),
    }
}

/// Asks nobody but the hub, in the person's name.
fn checker(at: &At) -> Result<Checker, Failure> {
    let check = &at.settings.check;
    let key = at.identity.for_channels().map_err(Failure::usage)?;
    let hub = HubVantage::new(at.url.clone(), key).map_err(Failure::usage)?;
    let builder = Checker::builder(looking::prober(&at.settings.look, check.timeout)?)
        .policy(check.policy.clone())
        .timeout(check.timeout)
        .max_age(check.max_age)
        .tell_private(check.tell_private)
        .public_roots(at.settings.look.roots != RootsChoice::None)
        .wait_for_all(true);
    let builder = check.replies.into_iter().fold(builder, |builder, replies| builder.replies(replies));
    Ok(builder.hub(Arc::new(hub)).build())
}

/// A view, and through whom it came.
struct View<'a> {
    peer: &'a ReportedPeer,
    /// The mailbox at the other end of the edge; `None` of a stranger.
    through: Option<String>,
    agrees: Agreement,
}

/// An edge that ended since the node was asked, or began.
const UNNAMED: &str = "(an edge that has just changed)";

impl<'a> View<'a> {
    fn of(report: &Report, list: &TrustList, peer: &'a ReportedPeer) -> Self {
        let edge = list.edges.iter().find(|edge| edge.edge.as_deref() == Some(peer.edge.as_str()));
        let through = peer.trusted.then(|| edge.map_or_else(|| UNNAMED.into(), |edge| edge.mailbox.clone()));
        let judged = report.verdict.judged.iter().find(|judged| judged.vantage == peer.peer);
        Self { peer, through, agrees: judged.map_or(Agreement::NothingSeen, |judged| judged.agrees) }
    }

    fn key(&self) -> Option<String> {
        self.peer.view.content().view().now.proved().map(|met| met.key.short())
    }
}

fn to_json(report: &Report, views: &[View<'_>]) -> serde_json::Value {
    let view = |view: &View<'_>| {
        json!({
            "through": view.through,
            "peer": view.peer.peer,
            "network": view.peer.network,
            "region": view.peer.region,
            "agrees": view.agrees,
            "key": view.peer.view.content().view().now.proved().map(|met| met.key),
        })
    };
    let whole = report.to_json();
    json!({
        "service": report.service(),
        "verdict": report.verdict.decision,
        "rule": report.verdict.rule,
        "reasons": report.verdict.reasons,
        "trust": whole.get("trust"),
        "views": views.iter().map(view).collect::<Vec<_>>(),
    })
}

const COLUMNS: [Column; 5] = [
    Column { title: "THROUGH", least: 20, cut: Cut::Middle },
    Column { title: "NETWORK", least: 7, cut: Cut::End },
    Column { title: "REGION", least: 6, cut: Cut::End },
    Column { title: "KEY", least: 8, cut: Cut::End },
    Column { title: "AGREES", least: 8, cut: Cut::End },
];

fn render(report: &Report, mut views: Vec<View<'_>>) -> String {
    let mut text = output::wrap("", &format!("{}: through whom each view came", report.service()));
    text.push('\n');
    // Strangers last.
    views.sort_by(|one, other| (one.through.is_none(), &one.through).cmp(&(other.through.is_none(), &other.through)));
    let networks = networks(&views);
    let rows: Vec<_> = views.iter().filter(|view| view.through.is_some()).map(|view| row(view, &networks)).collect();
    if !rows.is_empty() {
        text.push_str(&output::render_table(&COLUMNS, &rows));
        text.push('\n');
    }
    for line in strangers(&views) {
        text.push_str(&output::wrap("", &line));
    }
    text.push_str(&output::conclusion(&shown(report)));
    text
}

/// Networks by number, in the order in which they are shown: the hub's words say nothing but which are the same.
fn networks<'a>(views: &[View<'a>]) -> HashMap<&'a str, usize> {
    let mut numbers = HashMap::new();
    for view in views {
        let next = numbers.len() + 1;
        numbers.entry(view.peer.network.as_str()).or_insert(next);
    }
    numbers
}

fn row(view: &View<'_>, networks: &HashMap<&str, usize>) -> Vec<Cell> {
    let text = |text: Option<String>| text.map_or_else(|| Cell::styled("-", Style::new().dimmed()), Cell::new);
    let number = networks.get(view.peer.network.as_str()).map(|number| format!("no. {number}"));
    vec![
        text(view.through.as_deref().map(output::escape)),
        text(number),
        text(view.peer.region.as_deref().map(output::escape)),
        text(view.key()),
        Cell::new(match view.agrees {
            Agreement::SameLeaf | Agreement::SameKey => "yes",
            Agreement::SameCa | Agreement::Differs => "NO",
            Agreement::NothingSeen => "saw nothing",
        }),
    ]
}

/// Strangers are counted by what they see: there may be many.
fn strangers(views: &[View<'_>]) -> Vec<String> {
    let mut keys: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for view in views.iter().filter(|view| view.through.is_none()) {
        *keys.entry(view.key()).or_default() += 1;
    }
    let line = |(key, count): (Option<String>, usize)| match key {
        Some(key) => format!("{count} of strangers, who do not count, see {key}."),
        None => format!("{count} of strangers, who do not count, saw nothing."),
    };
    keys.into_iter().map(line).collect()
}
