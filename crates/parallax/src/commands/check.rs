//! `parallax check`: look, ask, decide.

use std::path::Path;
use std::sync::Arc;

use parallax_client::{
    Checker, CheckerBuilder, Deadline, HubVantage, Missing, NodeVantage, OldNotary, Report, ReportedHub,
    ReportedNotary, ReportedView, VantageName, VantageUrl,
};
use parallax_core::{Decision, DnsName, ServiceId};

use super::federation::Federated;
use super::{block_on, looking, mail, many, notaries, settings};
use crate::accepted::AcceptedList;
use crate::args::CheckArgs;
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT, UNDECIDED};
use crate::kept::Kept as _;
use crate::output::{self, Shown, ShownFailure, ShownHub, ShownKey, ShownNotary, ShownView};
use crate::settings::{CheckSettings, RootsChoice, Settings};
use crate::vantages::{NotaryEntry, Vantages, Which};
use crate::{logs, own_keys, progress};

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let subject = subject(args)?;
    let names = parse_names(&args.vantage)?;
    let settings = settings(config, &args.flags())?;
    let rule = rule(&subject, &settings)?;
    logs::start("error")?;
    block_on(async {
        let Ready { builder, federated, .. } = ready(args.trust_first, names, &settings).await?;
        let checker = builder.wait_for_all(args.wait_for_all).build();
        let ruled = under(&checker, rule);
        let status = match subject {
            Subject::One(service) => one(args, &ruled, &service).await,
            Subject::Mail(domain, port) => mail::run(args, &ruled, &domain, port).await,
            Subject::Many => many::run(args, &checker, &settings).await,
        };
        if let Some(federated) = federated {
            federated.finish(&checker).await;
        }
        checker.close().await;
        status
    })
}

/// How the subject is decided about; many have each their own.
fn rule<'a>(subject: &Subject, settings: &'a Settings) -> Result<&'a CheckSettings, Failure> {
    match subject {
        Subject::One(service) => settings.check_of_one(&service.host().to_string()).map_err(Failure::usage),
        Subject::Mail(domain, _) => settings.check_of_one(domain.as_str()).map_err(Failure::usage),
        Subject::Many => Ok(&settings.check),
    }
}

/// The checker under the rule of whatever is checked.
pub(super) fn under(checker: &Checker, rule: &CheckSettings) -> Checker {
    checker.under(rule.policy.clone(), rule.replies)
}

/// What checks, and whom it draws from where nobody else is asked.
pub(super) struct Ready {
    pub(super) builder: CheckerBuilder,
    /// The hubs whose peers it asks, pinned.
    pub(super) hubs: Vec<VantageUrl>,
    pub(super) federated: Option<Federated>,
}

/// What is to be checked.
enum Subject {
    One(ServiceId),
    Many,
    Mail(DnsName, u16),
}

fn subject(args: &CheckArgs) -> Result<Subject, Failure> {
    match args.service.as_str() {
        text if args.mx => mail::parse(text).map(|(domain, port)| Subject::Mail(domain, port)),
        "-" => Ok(Subject::Many),
        text => text.parse().map(Subject::One).map_err(Failure::usage),
    }
}

async fn one(args: &CheckArgs, checker: &Checker, service: &ServiceId) -> Result<u8, Failure> {
    let report = progress::waiting(format!("checking {service}"), checker.report(service)).await;
    warn_of_own_word(&report);
    if args.json {
        output::print_json(&report.to_json())?;
    } else if !args.quiet {
        output::print(&output::render(&shown(&report), now()))?;
    }
    Ok(status(report.verdict.decision))
}

/// Where the user's own word outweighs a distrust, that is said beside the verdict, whatever form it is printed in.
pub(super) fn warn_of_own_word(report: &Report) {
    if report.mirrors.as_ref().is_some_and(|mirrors| mirrors.is_private) {
        output::say(&format!(
            "{} is not the public's: strangers are not asked about it; name a vantage point of your own network with --vantage",
            report.service()
        ));
    }
    let Some(touched) = report.own_word.as_ref().filter(|touched| touched.holds) else { return };
    if touched.without.decision == Decision::Distrusted {
        output::say(&format!(
            "warning: {} is trusted by your own word alone; without it the verdict would be distrusted ({})",
            report.service(),
            touched.without.rule
        ));
    }
}

/// The exit status of a verdict.
pub(super) fn status(decision: Decision) -> u8 {
    match decision {
        Decision::Trusted => DONE,
        Decision::Distrusted => NOT,
        Decision::Undecided => UNDECIDED,
    }
}

pub(super) fn parse_names(given: &[String]) -> Result<Vec<VantageName>, Failure> {
    given.iter().map(|text| text.parse().map_err(Failure::usage)).collect()
}

/// What will ask these vantage points, or those of the list, or else mirrors of the federation.
pub(super) async fn ready(trust_first: bool, names: Vec<VantageName>, settings: &Settings) -> Result<Ready, Failure> {
    let prober = looking::prober(&settings.look, settings.check.timeout)?;
    let accepted = AcceptedList::read(&settings.accepted_file()).map_err(Failure::usage)?;
    let mut builder = Checker::builder(prober)
        .policy(settings.check.policy.clone())
        .timeout(settings.check.timeout)
        .max_age(settings.check.max_age)
        .own_word(accepted.own_word())
        .tell_private(settings.check.tell_private)
        .public_roots(settings.look.roots != RootsChoice::None);
    if let Some(replies) = settings.check.replies {
        builder = builder.replies(replies);
    }
    let list = Vantages::read(&settings.vantages_file()).map_err(Failure::usage)?;
    let Chosen { urls, hubs, notaries } = chosen(names, &list)?;
    let mut federated = None;
    if urls.is_empty() && hubs.is_empty() && notaries.is_empty() {
        federated = Federated::load(settings)?;
    }
    if let Some(federated) = &federated {
        builder = builder.federation(federated.federation());
    }
    for vantage in vantages(trust_first, urls, &list, settings).await? {
        builder = builder.vantage(Arc::new(vantage));
    }
    let hubs = pinned_hubs(trust_first, hubs, &list, settings).await?;
    for hub in &hubs {
        let key = own_keys::for_hubs(settings)?;
        builder = builder.hub(Arc::new(HubVantage::new(hub.clone(), key).map_err(Failure::usage)?));
    }
    builder = notaries.into_iter().fold(builder, |builder, notary| builder.notary(notary));
    Ok(Ready { builder, hubs, federated })
}

/// Whom to ask.
struct Chosen {
    urls: Vec<VantageUrl>,
    hubs: Vec<VantageUrl>,
    notaries: Vec<OldNotary>,
}

/// The vantage points that were named, else those of the list.
fn chosen(names: Vec<VantageName>, list: &Vantages) -> Result<Chosen, Failure> {
    let listed = |entry: &NotaryEntry| entry.notary().map_err(Failure::usage);
    if names.is_empty() {
        return Ok(Chosen {
            urls: list.entries.iter().map(|entry| entry.url.clone()).collect(),
            hubs: list.hubs.iter().map(|entry| entry.url.clone()).collect(),
            notaries: list.notaries.iter().map(listed).collect::<Result<_, _>>()?,
        });
    }
    let mut chosen = Chosen { urls: Vec::new(), hubs: Vec::new(), notaries: Vec::new() };
    for name in names {
        match name {
            VantageName::Node(url) => chosen.urls.push(url),
            VantageName::Hub(url) => chosen.hubs.push(url),
            VantageName::Notary { address, key_file } => {
                let known = list.notaries.iter().find(|entry| entry.address == address && key_file.is_none());
                let notary = known.map_or_else(|| notaries::with_key(address.clone(), key_file.as_deref()), listed)?;
                chosen.notaries.push(notary);
            }
        }
    }
    Ok(chosen)
}

/// The hubs, each with its pin; they are asked under the user's own key, which is made at first use.
async fn pinned_hubs(
    trust_first: bool,
    hubs: Vec<VantageUrl>,
    list: &Vantages,
    settings: &Settings,
) -> Result<Vec<VantageUrl>, Failure> {
    let mut found = Vec::new();
    for url in hubs {
        let known = list.hubs.iter().find(|entry| entry.url.authority() == url.authority());
        found.push(match (url.pin(), known) {
            (None, Some(known)) => url.with_pin(known.vantage),
            _ => pinned(trust_first, url, list, settings).await?,
        });
    }
    Ok(found)
}

async fn vantages(
    trust_first: bool,
    urls: Vec<VantageUrl>,
    list: &Vantages,
    settings: &Settings,
) -> Result<Vec<NodeVantage>, Failure> {
    let mut vantages = Vec::new();
    for url in urls {
        let url = pinned(trust_first, url, list, settings).await?;
        let listed = list.entries.iter().find(|entry| Some(entry.vantage) == url.pin());
        vantages.push(NodeVantage::new(url, listed.map(|entry| entry.known())).map_err(Failure::usage)?);
    }
    Ok(vantages)
}

/// The URL with its pin: its own, else the list's, else what is met where the user says so.
async fn pinned(
    trust_first: bool,
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
    if !trust_first {
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
        notaries: report.notaries.iter().map(shown_notary).collect(),
        hubs: report.hubs.iter().map(|hub| shown_hub(report, hub)).collect(),
        dropped: report.dropped.iter().map(|one| failure(&one.label, &one.why)).collect(),
        missing: missing.iter().map(|one| failure(&one.label, &one.why)).collect(),
        not_needed: not_needed.iter().map(|one| one.label.clone()).collect(),
        mirrors: report.mirrors.as_ref(),
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
        history: content.as_history(),
    }
}

fn shown_notary(notary: &ReportedNotary) -> ShownNotary<'_> {
    ShownNotary { label: &notary.label, testimony: &notary.testimony }
}

/// What a hub's peers see, by key.
fn shown_hub(report: &Report, hub: &ReportedHub) -> ShownHub {
    let mut keys: Vec<ShownKey> = Vec::new();
    let mut failed = 0;
    for peer in report.peers.iter().filter(|peer| peer.hub == hub.hub) {
        let Some(met) = peer.view.content().view().now.proved() else {
            failed += 1;
            continue;
        };
        match keys.iter_mut().find(|known| known.key == met.key) {
            Some(known) => known.peers += 1,
            None => keys.push(ShownKey { key: met.key, peers: 1, ca: output::ca_name(met) }),
        }
    }
    keys.sort_by_key(|known| std::cmp::Reverse(known.peers));
    ShownHub { label: hub.label.clone(), counts: hub.counts, ended: hub.ended_in_words(), keys, failed }
}

fn failure(label: &str, why: &Missing) -> ShownFailure {
    ShownFailure { label: label.into(), why: why.to_string() }
}
