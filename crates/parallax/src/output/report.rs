//! A check as people read it: who sees what, the verdict, why, and what to do next.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use parallax_client::AskedMirrors;
use parallax_core::{
    Agreement, CaId, Decision, Fingerprint, History, Look, Met, NotaryTestimony, Observation, Rule, ServiceId,
    Starttls, Timestamp, VantageId, Verdict, Word,
};

use parallax_proto::hub::Counts;

use super::advice::{NO_UPGRADE, advice};
use super::escape::escape;
use super::table::{Cell, Column, render as render_table};
use super::wrap::{Cut, wrap};
use super::{scts, when};

/// What is shown of a check. Texts are strangers' and still harmful.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    /// What was checked.
    pub(crate) service: &'a ServiceId,
    /// The policy that decided.
    pub(crate) policy: &'a str,
    /// Its verdict.
    pub(crate) verdict: &'a Verdict,
    /// My own look.
    pub(crate) local: &'a Look,
    /// The views that count.
    pub(crate) views: Vec<ShownView<'a>>,
    /// What old notaries told.
    pub(crate) notaries: Vec<ShownNotary<'a>>,
    /// What the peers of hubs see.
    pub(crate) hubs: Vec<ShownHub>,
    /// Who answered, but nothing that may count.
    pub(crate) dropped: Vec<ShownFailure>,
    /// Who did not answer.
    pub(crate) missing: Vec<ShownFailure>,
    /// Who was not waited for: the verdict stood without them.
    pub(crate) not_needed: Vec<String>,
    /// Which mirrors of the federation were asked, where there was one to ask.
    pub(crate) mirrors: Option<&'a AskedMirrors>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// A view that counts.
#[derive(Clone, Debug)]
pub(crate) struct ShownView<'a> {
    /// Whose.
    pub(crate) vantage: VantageId,
    /// Where it answers.
    pub(crate) label: String,
    /// The region that its operator claims.
    pub(crate) region: Option<String>,
    /// Its look by its own DNS.
    pub(crate) now: &'a Observation,
    /// Its look at my address, where one was asked for.
    pub(crate) there: Option<&'a Observation>,
    /// What it remembers.
    pub(crate) history: History,
}

/// What an old notary told.
#[derive(Clone, Debug)]
pub(crate) struct ShownNotary<'a> {
    /// Where it answers.
    pub(crate) label: &'a str,
    /// Its id and its timespans.
    pub(crate) testimony: &'a NotaryTestimony,
}

/// What the peers of one hub see.
#[derive(Clone, Debug)]
pub(crate) struct ShownHub {
    /// Where it answers.
    pub(crate) label: String,
    /// What it says it did.
    pub(crate) counts: Counts,
    /// Why it ended.
    pub(crate) ended: &'static str,
    /// The keys, that of the most first.
    pub(crate) keys: Vec<ShownKey>,
    /// Peers whose look failed.
    pub(crate) failed: usize,
}

/// A key, and how many peers see it.
#[derive(Clone, Debug)]
pub(crate) struct ShownKey {
    /// Which.
    pub(crate) key: Fingerprint,
    /// How many.
    pub(crate) peers: usize,
    /// Under which CA, harmless.
    pub(crate) ca: String,
}

/// A vantage point whose view does not count.
#[derive(Clone, Debug)]
pub(crate) struct ShownFailure {
    /// Where it answers, or should.
    pub(crate) label: String,
    /// Why not.
    pub(crate) why: String,
}

const COLUMNS: [Column; 7] = [
    Column { title: "WHO", least: 12, cut: Cut::Middle },
    Column { title: "REGION", least: 6, cut: Cut::End },
    Column { title: "KEY", least: 8, cut: Cut::End },
    Column { title: "CA", least: 10, cut: Cut::End },
    Column { title: "SINCE", least: 8, cut: Cut::End },
    Column { title: "AGREES", least: 8, cut: Cut::End },
    Column { title: "WORD", least: 7, cut: Cut::End },
];

const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const FAINT: Style = Style::new().dimmed();

/// Everything, for a terminal, at most 80 columns wide. `now` dates the spans.
pub(crate) fn render(shown: &Shown<'_>, now: Timestamp) -> String {
    let mut text = heading(shown);
    text.push('\n');
    text.push_str(&render_table(&COLUMNS, &rows(shown, now)));
    if is_unproved(shown) {
        text.push_str(&wrap("", "? the server did not prove that it holds this key: shown, never counted"));
    }
    push_hubs(&mut text, shown);
    push_host_keys(&mut text, shown);
    push_scts(&mut text, shown, now);
    push_failures(&mut text, "Answered, but not counted:", &shown.dropped);
    push_failures(&mut text, "Gave no answer:", &shown.missing);
    if !shown.not_needed.is_empty() {
        let labels: Vec<_> = shown.not_needed.iter().map(|label| escape(label)).collect();
        text.push('\n');
        text.push_str(&wrap("", &format!("Not waited for, as the verdict stood without: {}", labels.join(", "))));
    }
    push_mirrors(&mut text, shown);
    text.push('\n');
    text.push_str(&conclusion(shown));
    text
}

fn push_mirrors(text: &mut String, shown: &Shown<'_>) {
    let Some(AskedMirrors { asked, disagreed, .. }) = shown.mirrors.filter(|mirrors| !mirrors.asked.is_empty()) else {
        return;
    };
    let more = if *disagreed { " Their answers disagreed, so more than the first were asked." } else { "" };
    text.push('\n');
    text.push_str(&wrap(
        "",
        &format!("{} mirrors of the federation were asked, drawn for this service and day.{more}", asked.len()),
    ));
}

/// One line for one of many: verdict, rule, service.
pub(crate) fn line(verdict: &Verdict, service: &ServiceId) -> String {
    let style = style_of(verdict.decision);
    format!("{style}{:<11}{style:#} {:<18} {service}\n", verdict.decision.as_str(), verdict.rule.as_str())
}

fn heading(shown: &Shown<'_>) -> String {
    let counts = &shown.verdict.counts;
    let asked = match counts.asked {
        0 => "nobody asked".to_owned(),
        asked => format!("{} of {asked} asked answered", counts.answered),
    };
    let text = format!("{}: policy {}, {asked}, {}", shown.service, shown.policy, when::took(shown.elapsed));
    wrap("", &text)
}

fn rows(shown: &Shown<'_>, now: Timestamp) -> Vec<Vec<Cell>> {
    let mut rows = vec![local_row(&shown.local.now)];
    let mut views: Vec<_> = shown.views.iter().collect();
    views.sort_by_key(|view| (view.region.clone(), view.label.clone(), view.vantage));
    for view in views {
        rows.push(view_row(view, shown.verdict, now));
        rows.extend(view.there.map(there_row));
    }
    rows.extend(shown.notaries.iter().map(|notary| notary_row(notary, shown.verdict, now)));
    rows
}

fn local_row(look: &Observation) -> Vec<Cell> {
    let [key, ca] = key_and_ca(look);
    let mut row = vec![Cell::styled("you", Style::new().bold()), Cell::new("here"), key, ca];
    row.resize(COLUMNS.len(), Cell::styled("-", FAINT));
    row
}

fn view_row(view: &ShownView<'_>, verdict: &Verdict, now: Timestamp) -> Vec<Cell> {
    let judged = verdict.judged.iter().find(|judged| judged.vantage == view.vantage);
    let [key, ca] = key_and_ca(view.now);
    let region = view.region.as_deref().map_or_else(|| Cell::styled("-", FAINT), |region| Cell::new(escape(region)));
    let since = since(view, now).map_or_else(|| Cell::styled("-", FAINT), Cell::new);
    let agrees = judged.map_or_else(|| Cell::styled("-", FAINT), |judged| agreement(judged.agrees));
    let word = judged.map_or_else(|| Cell::styled("-", FAINT), |judged| word(judged.word));
    vec![Cell::new(escape(&view.label)), region, key, ca, since, agrees, word]
}

/// An old notary knows neither key nor CA: what it saw last, by MD5, and since when.
fn notary_row(notary: &ShownNotary<'_>, verdict: &Verdict, now: Timestamp) -> Vec<Cell> {
    let judged = verdict.judged.iter().find(|judged| judged.vantage == notary.testimony.vantage);
    let newest = notary.testimony.spans.iter().max_by_key(|span| (span.last_seen, span.first_seen));
    let none = || Cell::styled("-", FAINT);
    let md5 = newest.map_or_else(none, |span| Cell::new(span.leaf_md5.to_string().chars().take(8).collect::<String>()));
    let since = newest.map_or_else(none, |span| Cell::new(when::length(now.since(span.first_seen))));
    let agrees = judged.map_or_else(none, |judged| agreement(judged.agrees));
    let word = judged.map_or_else(none, |judged| word(judged.word));
    vec![Cell::new(escape(notary.label)), none(), md5, Cell::styled("(MD5 only)", FAINT), since, agrees, word]
}

fn there_row(look: &Observation) -> Vec<Cell> {
    let [key, ca] = key_and_ca(look);
    vec![Cell::styled("  at your IP", FAINT), Cell::default(), key, ca]
}

fn key_and_ca(look: &Observation) -> [Cell; 2] {
    match &look.met {
        Some(met) if met.proved => [Cell::new(met.key.short()), Cell::new(ca_name(met))],
        Some(met) => [Cell::new(format!("{}?", met.key.short())), Cell::new(ca_name(met))],
        None => [Cell::styled("-", FAINT), Cell::styled(format!("({})", why_no_key(look)), FAINT)],
    }
}

pub(super) fn why_no_key(look: &Observation) -> &'static str {
    match look.starttls {
        Some(Starttls::NotOffered) => "no TLS offered",
        Some(Starttls::Refused) => "TLS refused",
        _ => look.outcome.as_str(),
    }
}

/// The CA in few letters: its organisation, or what is known instead. A host key has its kind there.
pub(crate) fn ca_name(met: &Met) -> String {
    if let Some(host_key) = met.host_key() {
        return host_key.kind.to_string();
    }
    match &met.ca_id {
        CaId::Organisation(name) => escape(name),
        CaId::Key(key) if *key == met.key => "self-signed".into(),
        CaId::Key(key) => format!("key {}", key.short()),
    }
}

/// How long the view has known the key that it shows.
fn since(view: &ShownView<'_>, now: Timestamp) -> Option<String> {
    let key = view.now.met.as_ref()?.key;
    let first = view.history.spans.iter().filter(|span| span.key == key).map(|span| span.first_seen).min()?;
    Some(when::length(now.since(first)))
}

fn agreement(agrees: Agreement) -> Cell {
    match agrees {
        Agreement::SameLeaf => Cell::new("yes"),
        Agreement::SameKey => Cell::new("same key"),
        Agreement::SameCa => Cell::new("same CA"),
        Agreement::Differs => Cell::styled("NO", RED),
        _ => Cell::styled("-", FAINT),
    }
}

pub(super) fn word(word: Word) -> Cell {
    match word {
        Word::For => Cell::styled(word.as_str(), GREEN),
        Word::Against => Cell::styled(word.as_str(), RED),
        Word::Aside => Cell::new(word.as_str()),
    }
}

fn is_unproved(shown: &Shown<'_>) -> bool {
    let looks = shown.views.iter().flat_map(|view| [Some(view.now), view.there]).flatten();
    looks.chain([&shown.local.now]).any(|look| look.met.as_ref().is_some_and(|met| !met.proved))
}

/// Keys that are shown of one hub; liars may bring a hundred.
const MOST_KEYS: usize = 8;

/// A line for each key that a hub's peers see.
fn push_hubs(text: &mut String, shown: &Shown<'_>) {
    let mine = shown.local.now.proved().map(|met| met.key);
    for hub in &shown.hubs {
        let (asked, cached) = (hub.counts.asked, hub.counts.cached);
        let heading = format!("Peers behind {}: {asked} asked, {cached} remembered; {}", escape(&hub.label), hub.ended);
        text.push('\n');
        text.push_str(&wrap("", &heading));
        for key in hub.keys.iter().take(MOST_KEYS) {
            let whose = if mine == Some(key.key) { "your key" } else { "another key" };
            text.push_str(&wrap("  ", &format!("{:>3} see {} {} ({whose})", key.peers, key.key.short(), key.ca)));
        }
        let others: usize = hub.keys.iter().skip(MOST_KEYS).map(|key| key.peers).sum();
        if others > 0 {
            text.push_str(&wrap("  ", &format!("{others:>3} see still other keys")));
        }
        if hub.failed > 0 {
            text.push_str(&wrap("  ", &format!("{:>3} could not look", hub.failed)));
        }
    }
}

/// Every host key by itself: the table is about the first.
fn push_host_keys(text: &mut String, shown: &Shown<'_>) {
    let Some(met) = shown.local.now.proved().filter(|met| !met.host_keys.is_empty()) else { return };
    let looks: Vec<_> = shown.views.iter().filter_map(|view| view.now.proved()).collect();
    text.push_str("\nThe host keys that you met, and how many looks of others show each:\n");
    for key in &met.host_keys {
        let seen = looks.iter().filter(|look| look.shows(key.key)).count();
        let line = format!("{} {} {seen}/{}", key.kind, key.openssh_fingerprint(), looks.len());
        text.push_str(&wrap("  ", &line));
    }
}

/// Of the own look alone: those of the views are in the JSON.
fn push_scts(text: &mut String, shown: &Shown<'_>, now: Timestamp) {
    if let Some(scts) = shown.local.now.met.as_ref().and_then(|met| met.scts.as_ref()) {
        text.push('\n');
        text.push_str(&wrap("", &format!("CT of the certificate that you met: {}", scts::sentence(scts, now))));
    }
}

pub(super) fn push_failures(text: &mut String, title: &str, failures: &[ShownFailure]) {
    if failures.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    for failure in failures {
        text.push_str(&wrap("  ", &format!("{}: {}", escape(&failure.label), escape(&failure.why))));
    }
}

pub(crate) fn conclusion(shown: &Shown<'_>) -> String {
    let verdict = shown.verdict;
    let is_silent = verdict.counts.answered == 0 && shown.not_needed.is_empty();
    let style = style_of(verdict.decision);
    let mut text = format!("verdict: {style}{}{style:#} ({})\n", shout(verdict.decision), verdict.rule);
    for reason in &verdict.reasons {
        text.push_str(&wrap("  - ", &escape(reason)));
    }
    let next = if is_in_the_clear(shown) { NO_UPGRADE } else { advice(verdict, is_silent) };
    text.push_str(&wrap("next: ", next));
    text
}

/// Whether a server that would not begin TLS with me begins it with nobody, so that there is nothing to compare.
fn is_in_the_clear(shown: &Shown<'_>) -> bool {
    let met = shown.views.iter().any(|view| view.now.met.is_some());
    let answered = shown.verdict.counts.answered > 0;
    shown.verdict.rule == Rule::NotEnough && shown.local.now.lacks_upgrade() && answered && !met
}

pub(super) fn shout(decision: Decision) -> String {
    decision.as_str().to_ascii_uppercase()
}

pub(super) fn style_of(decision: Decision) -> Style {
    match decision {
        Decision::Trusted => GREEN,
        Decision::Distrusted => RED,
        Decision::Undecided => YELLOW,
    }
}

#[cfg(test)]
pub(super) mod tests;
