//! `parallax check`: look, ask, decide.

use std::path::Path;
use std::sync::Arc;

use parallax_client::{Checker, Deadline, Missing, NodeVantage, Report, ReportedView, VantageUrl};
use parallax_core::{Decision, History, ServiceId};

use super::{block_on, looking, many, settings};
use crate::args::CheckArgs;
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT, UNDECIDED};
use crate::output::{self, Shown, ShownFailure, ShownView};
use crate::settings::{RootsChoice, Settings};
use crate::vantages::{Vantages, Which};
use crate::{logs, progress};

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let service = match args.service.as_str() {
        "-" => None,
        text => Some(text.parse::<ServiceId>().map_err(Failure::usage)?),
    };
    let urls = parse_urls(&args.vantage)?;
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    block_on(async {
        let checker = checker(args, urls, &settings).await?;
        match service {
            Some(service) => one(args, &checker, &service).await,
            None => many::run(args, &checker).await,
        }
    })
}

async fn one(args: &CheckArgs, checker: &Checker, service: &ServiceId) -> Result<u8, Failure> {
    let report = progress::waiting(format!("checking {service}"), checker.report(service)).await;
    if args.json {
        output::print_json(&report.to_json())?;
    } else if !args.quiet {
        output::print(&output::render(&shown(&report), now()))?;
    }
    Ok(status(report.verdict.decision))
}

/// The exit status of a verdict.
pub(super) fn status(decision: Decision) -> u8 {
    match decision {
        Decision::Trusted => DONE,
        Decision::Distrusted => NOT,
        Decision::Undecided => UNDECIDED,
    }
}

fn parse_urls(given: &[String]) -> Result<Vec<VantageUrl>, Failure> {
    given.iter().map(|text| text.parse().map_err(Failure::usage)).collect()
}

async fn checker(args: &CheckArgs, urls: Vec<VantageUrl>, settings: &Settings) -> Result<Checker, Failure> {
    let prober = looking::prober(&settings.look, settings.check.timeout)?;
    let mut builder = Checker::builder(prober)
        .policy(settings.check.policy.clone())
        .timeout(settings.check.timeout)
        .max_age(settings.check.max_age)
        .public_roots(settings.look.roots != RootsChoice::None);
    if let Some(replies) = settings.check.replies {
        builder = builder.replies(replies);
    }
    for vantage in vantages(args, urls, settings).await? {
        builder = builder.vantage(Arc::new(vantage));
    }
    Ok(builder.build())
}

/// The vantage points that were named, else those of the list.
async fn vantages(args: &CheckArgs, urls: Vec<VantageUrl>, settings: &Settings) -> Result<Vec<NodeVantage>, Failure> {
    let list = Vantages::read(&settings.vantages_file()).map_err(Failure::usage)?;
    let urls = match urls.is_empty() {
        true => list.entries.iter().map(|entry| entry.url.clone()).collect(),
        false => urls,
    };
    let mut vantages = Vec::new();
    for url in urls {
        let url = pinned(args, url, &list, settings).await?;
        let listed = list.entries.iter().find(|entry| Some(entry.vantage) == url.pin());
        vantages.push(NodeVantage::new(url, listed.map(|entry| entry.known())).map_err(Failure::usage)?);
    }
    Ok(vantages)
}

/// The URL with its pin: its own, else the list's, else what is met where the user says so.
async fn pinned(
    args: &CheckArgs,
    url: VantageUrl,
    list: &Vantages,
    settings: &Settings,
) -> Result<VantageUrl, Failure> {
    if url.pin().is_some() {
        return Ok(url);
    }
    if let Some(listed) = list.find(&Which::Url(url.clone())) {
        return Ok(url.with_pin(listed.vantage));
    }
    if !args.trust_first {
        return Ok(url);
    }
    let met = NodeVantage::discover(&url, Deadline::within(settings.check.timeout)).await;
    let met = met.map_err(|why| Failure::usage(format!("{url} was to be pinned on first sight: {why}")))?;
    let url = url.with_pin(met.content().vantage);
    output::say(&format!("trusted on first sight: {url} (compare the id with its operator, then name it)"));
    Ok(url)
}

/// A report as it is shown to people.
pub(super) fn shown(report: &Report) -> Shown<'_> {
    let (not_needed, missing): (Vec<_>, Vec<_>) = report.missing.iter().partition(|one| one.why == Missing::NotNeeded);
    Shown {
        service: report.service(),
        policy: report.policy,
        verdict: &report.verdict,
        local: report.evidence.local(),
        views: report.views.iter().map(shown_view).collect(),
        dropped: report.dropped.iter().map(|one| failure(&one.label, &one.why)).collect(),
        missing: missing.iter().map(|one| failure(&one.label, &one.why)).collect(),
        not_needed: not_needed.iter().map(|one| one.label.clone()).collect(),
        elapsed: report.elapsed,
    }
}

fn shown_view(view: &ReportedView) -> ShownView<'_> {
    let content = view.view.content();
    ShownView {
        vantage: view.vantage,
        label: view.label.clone(),
        region: view.region.clone(),
        now: &content.now,
        there: view.there.as_ref().map(|there| &there.content().now),
        history: History { spans: content.history.clone(), authority: content.authority.clone(), turns: Vec::new() },
    }
}

fn failure(label: &str, why: &Missing) -> ShownFailure {
    ShownFailure { label: label.into(), why: why.to_string() }
}
