//! `parallax demo`: a whole network on loopback, and what a check makes of what happens there.

mod by_hand;
mod panorama;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use parallax_client::Report;
use parallax_core::plainly;
use parallax_lab::{LabError, SCENES, Scene, Stage, Staged};
use serde_json::{Value, json};

use super::check;
use super::serve::Stops;
use crate::args::{DemoArgs, DemoPart};
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT};
use crate::output::{self, wrap};
use crate::{logs, progress};

const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

/// Runs the command.
pub(crate) fn run(args: &DemoArgs) -> Result<u8, Failure> {
    logs::start("error")?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::not_done(format!("this machine gives no runtime: {}", plainly(&error))))?;
    let done = runtime.block_on(async {
        let mut stops = Stops::listen()
            .map_err(|error| Failure::not_done(format!("signals can't be heard: {}", plainly(&error))))?;
        if let Some(DemoPart::Panorama(args)) = &args.part {
            return panorama::run(args, &mut stops).await;
        }
        let shown = tokio::select! {
            shown = show(args) => shown?,
            // What was begun is dropped and cleans up after itself.
            () = stops.next() => return Err(Failure::not_done("stopped before the last scene")),
        };
        shown.stay(args, &mut stops).await
    });
    // What still holds a thread is not waited for.
    runtime.shutdown_background();
    done
}

/// A scene with what came of it.
struct Played {
    staged: Staged,
    report: Report,
}

impl Played {
    fn is_as_expected(&self) -> bool {
        self.staged.scene().is_as_expected(&self.report)
    }
}

/// All that was shown; the network still runs.
struct Shown {
    stage: Stage,
    played: Vec<Played>,
}

async fn show(args: &DemoArgs) -> Result<Shown, Failure> {
    let begun = Instant::now();
    let scenes = chosen(args);
    let stage = progress::waiting("starting a network".into(), Stage::open()).await.map_err(not_staged)?;
    if !args.json {
        output::print(&opening(&stage))?;
    }
    let mut played = Vec::new();
    for (index, scene) in scenes.iter().enumerate() {
        let one =
            progress::waiting(format!("playing {}", scene.name), play(&stage, scene)).await.map_err(not_staged)?;
        if !args.json {
            output::print(&rendered(&one, (index + 1, scenes.len())))?;
        }
        played.push(one);
    }
    match args.json {
        true => output::print_json(&to_json(&played, begun.elapsed()))?,
        false => output::print(&summary(&played, begun.elapsed()))?,
    }
    Ok(Shown { stage, played })
}

impl Shown {
    /// Lets the network stand until a signal where that is wanted, then stops it.
    async fn stay(self, args: &DemoArgs, stops: &mut Stops) -> Result<u8, Failure> {
        let Self { stage, played } = self;
        let status = if played.iter().all(Played::is_as_expected) { DONE } else { NOT };
        if args.keep {
            let hints = by_hand::Hints::write(&stage, &played)?;
            output::print(&hints.text)?;
            stops.next().await;
        }
        drop(played);
        tokio::select! {
            stopped = stage.shutdown() => stopped.map_err(not_staged)?,
            () = stops.next() => {}
        }
        Ok(status)
    }
}

fn chosen(args: &DemoArgs) -> Vec<&'static Scene> {
    SCENES.iter().filter(|scene| args.scene.as_deref().is_none_or(|name| name == scene.name)).collect()
}

async fn play(stage: &Stage, scene: &'static Scene) -> Result<Played, LabError> {
    let staged = stage.set_up(scene).await?;
    let report = staged.check().await;
    Ok(Played { staged, report })
}

fn not_staged(error: LabError) -> Failure {
    Failure::not_done(error)
}

fn opening(stage: &Stage) -> String {
    let regions: std::collections::BTreeSet<_> =
        stage.nodes().iter().filter_map(|node| node.descriptor().region).collect();
    let text = format!(
        "A network on this machine, with real sockets: sites, DNS, attackers and {} nodes in {} regions. You check from \
         {}, and ask every node.",
        stage.nodes().len(),
        regions.len(),
        stage.me()
    );
    wrap("", &text)
}

fn rendered(played: &Played, (number, of): (usize, usize)) -> String {
    let scene = played.staged.scene();
    let mut text = format!("\n{BOLD}[{number}/{of}] {}{BOLD:#} ({})\n", scene.title, scene.name);
    text.push_str(&wrap("", scene.sentence));
    if let Some(past) = scene.past {
        text.push_str(&wrap("", &format!("For this scene a past was written: {past}.")));
    }
    text.push('\n');
    text.push_str(&output::render(&check::shown(&played.report), now()));
    text.push_str(&judgement(played));
    text
}

fn judgement(played: &Played) -> String {
    let scene = played.staged.scene();
    let (style, word) = if played.is_as_expected() { (GREEN, "OK") } else { (RED, "UNEXPECTED") };
    format!("{style}{word}{style:#}: {} ({}) is what must come out\n", scene.decision, scene.rule)
}

fn summary(played: &[Played], took: Duration) -> String {
    let unexpected: Vec<_> = played.iter().filter(|one| !one.is_as_expected()).collect();
    let style = if unexpected.is_empty() { GREEN } else { RED };
    let mut text = format!(
        "\n{style}{} of {} scenes ended as they must{style:#} ({:.1} s)\n",
        played.len() - unexpected.len(),
        played.len(),
        took.as_secs_f64()
    );
    for one in unexpected {
        let verdict = &one.report.verdict;
        let _ = writeln!(text, "  {}: {} ({})", one.staged.scene().name, verdict.decision, verdict.rule);
    }
    text
}

fn to_json(played: &[Played], took: Duration) -> Value {
    let scene = |one: &Played| {
        let (scene, verdict) = (one.staged.scene(), &one.report.verdict);
        json!({
            "name": scene.name,
            "title": scene.title,
            "sentence": scene.sentence,
            "past": scene.past,
            "expected": { "verdict": scene.decision, "rule": scene.rule },
            "actual": { "verdict": verdict.decision, "rule": verdict.rule },
            "as_expected": one.is_as_expected(),
            "report": one.report.to_json(),
        })
    };
    json!({
        "scenes": played.iter().map(scene).collect::<Vec<_>>(),
        "as_expected": played.iter().all(Played::is_as_expected),
        "elapsed_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use parallax_core::Rule;

    use super::*;

    #[tokio::test]
    async fn what_does_not_end_as_it_must_is_said_and_counted() {
        let stage = Stage::open().await.unwrap();
        let mut played = vec![play(&stage, &SCENES[0]).await.unwrap()];
        assert!(judgement(&played[0]).contains("OK"));
        assert!(summary(&played, Duration::ZERO).contains("1 of 1 scenes ended as they must"));
        played[0].report.verdict.rule = Rule::Unexplained;
        assert!(judgement(&played[0]).contains("UNEXPECTED"));
        let text = summary(&played, Duration::ZERO);
        assert!(text.contains("0 of 1 scenes") && text.contains("honest-site: trusted (unexplained)"), "{text}");
        let json = to_json(&played, Duration::ZERO);
        assert_eq!((&json["as_expected"], &json["scenes"][0]["as_expected"]), (&false.into(), &false.into()));
        assert_eq!(json["scenes"][0]["actual"]["rule"], "unexplained");
        let shown = Shown { stage, played };
        let args = DemoArgs { part: None, scene: None, keep: false, json: false };
        assert_eq!(shown.stay(&args, &mut Stops::listen().unwrap()).await.unwrap(), NOT);
    }
}
