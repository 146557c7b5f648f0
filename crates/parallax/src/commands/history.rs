//! `parallax history`: which certificates a vantage point has seen, and when.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use parallax_client::{Deadline, NodeVantage, VantagePoint as _, VantageUrl};
use parallax_core::{Authority, ServiceId, Timespan, VantageId};
use parallax_proto::Question;
use parallax_store::{HistoryStore as _, OldSpan, old_spans};
use serde_json::{Value, json};

use super::store::{failed, open_existing};
use super::{block_on, settings, unwritable};
use crate::args::HistoryArgs;
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT};
use crate::kept::Kept as _;
use crate::settings::Settings;
use crate::timeline::{Timeline, Track, render_svg, render_text};
use crate::vantages::{Vantages, Which};
use crate::{logs, output, progress};

/// Ten years, the most that a node takes (`max_age` in docs/api.md).
const ANY_AGE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Runs the command.
pub(crate) fn run(args: &HistoryArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let service: ServiceId = args.service.parse().map_err(Failure::usage)?;
    let urls: Vec<VantageUrl> =
        args.vantage.iter().map(|text| text.parse().map_err(Failure::usage)).collect::<Result<_, _>>()?;
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let remembered = block_on(async {
        match urls.is_empty() {
            true => own(&service, &settings).await,
            false => asked(&service, urls, &settings).await,
        }
    })?;
    show(args, service, &remembered)
}

/// What one vantage point remembers; an error says why that is not known.
struct Remembered {
    vantage: Option<VantageId>,
    who: String,
    known: Result<Known, String>,
}

struct Known {
    history: Vec<Timespan>,
    authority: Vec<Authority>,
    old: Vec<OldSpan>,
}

async fn own(service: &ServiceId, settings: &Settings) -> Result<Vec<Remembered>, Failure> {
    let store = open_existing(&settings.serve.data)?;
    let read = async {
        let old = old_spans(&store, service).await?;
        Ok(match store.known(service).await? {
            Some(known) => {
                let history = known.history.clone();
                Ok(Known { history: history.spans, authority: history.authority, old })
            }
            None => Err(format!("{service} is not known here")),
        })
    };
    let known = read.await.map_err(failed);
    store.shutdown().await;
    Ok(vec![Remembered { vantage: None, who: "this node".into(), known: known? }])
}

async fn asked(service: &ServiceId, urls: Vec<VantageUrl>, settings: &Settings) -> Result<Vec<Remembered>, Failure> {
    let list = Vantages::read(&settings.vantages_file()).map_err(Failure::usage)?;
    let vantages: Vec<NodeVantage> = urls
        .into_iter()
        .map(|url| {
            let listed = list.find(&Which::Url(url.clone()));
            let url = listed.map_or(url.clone(), |entry| url.with_pin(entry.vantage));
            NodeVantage::new(url, listed.map(|entry| entry.known())).map_err(Failure::usage)
        })
        .collect::<Result<_, _>>()?;
    let asking = vantages.iter().map(|vantage| ask(vantage, service, settings));
    Ok(progress::waiting(format!("asking about {service}"), join_all(asking)).await)
}

/// However old its newest look is, the node need not look for this; only what it has never seen it looks at.
async fn ask(vantage: &NodeVantage, service: &ServiceId, settings: &Settings) -> Remembered {
    let question = Question { max_age: ANY_AGE, ..Question::about(service.clone()) };
    let view = vantage.view(question, Deadline::within(settings.check.timeout)).await;
    let known = view.map_err(|why| why.to_string()).map(|view| {
        let view = view.content();
        Known { history: view.history.clone(), authority: view.authority.clone(), old: Vec::new() }
    });
    Remembered { vantage: Some(vantage.id()), who: vantage.label(), known }
}

fn show(args: &HistoryArgs, service: ServiceId, remembered: &[Remembered]) -> Result<u8, Failure> {
    for (one, why) in remembered.iter().filter_map(|one| Some((one, one.known.as_ref().err()?))) {
        output::say(&format!("{}: {why}", one.who));
    }
    let tracks = remembered.iter().filter_map(|one| {
        let known = one.known.as_ref().ok()?;
        Some(Track::new(one.who.clone(), &known.history, &known.old))
    });
    let timeline = Timeline { service, tracks: tracks.collect(), now: now() };
    // Where nothing is known, a picture of an earlier time is worth more than an empty one.
    if let Some(file) = args.svg.as_ref().filter(|_| !timeline.tracks.is_empty()) {
        std::fs::write(file, render_svg(&timeline)).map_err(|error| unwritable(file, &error))?;
    }
    if args.json {
        output::print_json(&to_json(&timeline.service, remembered))?;
    } else if !timeline.tracks.is_empty() && args.svg.is_none() {
        output::print(&render_text(&timeline))?;
    }
    Ok(if timeline.tracks.len() == remembered.len() { DONE } else { NOT })
}

fn to_json(service: &ServiceId, remembered: &[Remembered]) -> Value {
    let vantages = remembered.iter().filter_map(|one| {
        let Known { history, authority, old } = one.known.as_ref().ok()?;
        let (vantage, who) = (one.vantage, &one.who);
        Some(json!({ "vantage": vantage, "who": who, "history": history, "authority": authority, "old": old }))
    });
    let missing = remembered.iter().filter_map(|one| {
        let why = one.known.as_ref().err()?;
        Some(json!({ "vantage": one.vantage, "who": one.who, "why": why }))
    });
    json!({ "service": service, "vantages": vantages.collect::<Vec<_>>(), "missing": missing.collect::<Vec<_>>() })
}
