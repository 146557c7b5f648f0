//! `parallax demo panorama`: Panorama's own walk on loopback.

use std::time::{Duration, Instant};

use parallax_client::Report;
use parallax_lab::{ACTS, Act, LabError, Panorama};
use serde_json::{Value, json};

use super::super::serve::Stops;
use super::super::shell;
use super::{BOLD, GREEN, RED, not_staged};
use crate::args::PanoramaArgs;
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT};
use crate::output::{self, wrap};
use crate::progress;

/// Plays it to the end, or until a signal comes.
pub(super) async fn run(args: &PanoramaArgs, stops: &mut Stops) -> Result<u8, Failure> {
    let played = tokio::select! {
        played = show(args) => played?,
        () = stops.next() => return Err(Failure::not_done("stopped before the last request")),
    };
    let Shown { network, status } = played;
    tokio::select! {
        stopped = network.shutdown() => stopped.map_err(not_staged)?,
        () = stops.next() => {}
    }
    Ok(status)
}

/// All that was shown; the network still runs.
struct Shown {
    network: Panorama,
    status: u8,
}

/// A request with what came of it.
struct Played {
    act: &'static Act,
    report: Report,
}

async fn show(args: &PanoramaArgs) -> Result<Shown, Failure> {
    let begun = Instant::now();
    let opening = progress::waiting("starting a network".into(), Panorama::open()).await;
    let mut network = opening.map_err(not_staged)?;
    if !args.json {
        output::print(&opening_words(&network))?;
    }
    let mut played = Vec::new();
    for (index, act) in ACTS.iter().enumerate() {
        let one = progress::waiting(act.title.into(), play(&mut network, act)).await.map_err(not_staged)?;
        if !args.json {
            output::print(&rendered(&network, &one, index + 1))?;
        }
        played.push(one);
    }
    match args.json {
        true => output::print_json(&to_json(&played, begun.elapsed()))?,
        false => output::print(&summary(&played, begun.elapsed()))?,
    }
    let status = if played.iter().all(Played::is_as_expected) { DONE } else { NOT };
    Ok(Shown { network, status })
}

async fn play(network: &mut Panorama, act: &'static Act) -> Result<Played, LabError> {
    let report = network.play(act).await?;
    Ok(Played { act, report })
}

impl Played {
    fn is_as_expected(&self) -> bool {
        self.act.is_as_expected(&self.report)
    }
}

fn opening_words(network: &Panorama) -> String {
    let text = format!(
        "A network on this machine, with real sockets: a site, DNS, and the hub {} with {} peers, each with a key of \
         its own. You ask as `parallax shell` does.",
        network.hub_label(),
        network.peers()
    );
    wrap("", &text)
}

fn rendered(network: &Panorama, played: &Played, number: usize) -> String {
    let (act, report) = (played.act, &played.report);
    let mut text = format!("\n{BOLD}[{number}/{}] {}{BOLD:#}\n", ACTS.len(), act.title);
    text.push_str(&wrap("", act.sentence));
    text.push_str(&format!("\n{BOLD}>> {}{BOLD:#}\n", act.typed(&network.host_and_port())));
    text.push_str(&output::render_map(&super::check::shown(report), &shell::peers(report), now()));
    let (style, word) = if played.is_as_expected() { (GREEN, "OK") } else { (RED, "UNEXPECTED") };
    let wanted = format!("{} ({}), {} for and {} against", act.decision, act.rule, act.agree, act.differ);
    text.push_str(&format!("{style}{word}{style:#}: {wanted}, is what must come out\n"));
    text
}

fn summary(played: &[Played], took: Duration) -> String {
    let good = played.iter().filter(|one| one.is_as_expected()).count();
    let style = if good == played.len() { GREEN } else { RED };
    let took = took.as_secs_f64();
    format!("\n{style}{good} of {} requests ended as they must{style:#} ({took:.1} s)\n", played.len())
}

fn to_json(played: &[Played], took: Duration) -> Value {
    let one = |one: &Played| {
        let (act, verdict) = (one.act, &one.report.verdict);
        json!({
            "title": act.title,
            "replies": act.replies,
            "threshold": act.threshold,
            "expected": { "verdict": act.decision, "rule": act.rule, "agree": act.agree, "differ": act.differ },
            "actual": {
                "verdict": verdict.decision,
                "rule": verdict.rule,
                "agree": verdict.counts.agree,
                "differ": verdict.counts.differ,
            },
            "as_expected": one.is_as_expected(),
            "report": one.report.to_json(),
        })
    };
    json!({
        "requests": played.iter().map(one).collect::<Vec<_>>(),
        "as_expected": played.iter().all(Played::is_as_expected),
        "elapsed_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}
