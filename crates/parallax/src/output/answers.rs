//! Corroborated DNS as people read it: who gets what, the verdict, why, and what to do next.

use anstyle::Style;
use parallax_client::{NameReport, ReportedAnswer};
use parallax_core::{Decision, DnsSet, Dnssec, NameRule, SetAgreement};

use super::advice::NO_VANTAGE;
use super::escape::escape;
use super::report::{FAINT, RED, ShownFailure, push_failures, shout, style_of, word};
use super::table::{Cell, Column, render as render_table};
use super::when;
use super::wrap::{Cut, wrap};

/// Records of one answer that are listed; all are in the JSON.
const MOST_RECORDS: usize = 12;

/// Other answers that are listed.
const MOST_ANSWERS: usize = 3;

const COLUMNS: [Column; 6] = [
    Column { title: "WHO", least: 12, cut: Cut::Middle },
    Column { title: "REGION", least: 6, cut: Cut::End },
    Column { title: "ANSWER", least: 12, cut: Cut::End },
    Column { title: "DNSSEC", least: 8, cut: Cut::End },
    Column { title: "AGREES", least: 8, cut: Cut::End },
    Column { title: "WORD", least: 7, cut: Cut::End },
];

/// Everything, for a terminal, at most 80 columns wide.
pub(crate) fn render(report: &NameReport) -> String {
    let mut text = heading(report);
    text.push('\n');
    text.push_str(&render_table(&COLUMNS, &rows(report)));
    push_records(&mut text, "What you get:", &report.resolution.local().set);
    for (count, set) in others(report).into_iter().take(MOST_ANSWERS) {
        push_records(&mut text, &format!("What {count} of the others get:"), set);
    }
    let shown = |label: &str, why: String| ShownFailure { label: label.into(), why };
    let dropped: Vec<_> = report.dropped.iter().map(|one| shown(&one.label, one.why.to_string())).collect();
    let missing: Vec<_> = report.missing.iter().map(|one| shown(&one.label, one.why.to_string())).collect();
    push_failures(&mut text, "Answered, but not counted:", &dropped);
    push_failures(&mut text, "Gave no answer:", &missing);
    text.push('\n');
    text.push_str(&conclusion(report));
    text
}

fn heading(report: &NameReport) -> String {
    let (resolution, counts) = (&report.resolution, &report.verdict.counts);
    let asked = match counts.asked {
        0 => "nobody asked".to_owned(),
        asked => format!("{} of {asked} asked answered", counts.answered),
    };
    let (name, kind) = (resolution.name(), resolution.kind());
    wrap("", &format!("{name} {kind}: policy {}, {asked}, {}", report.policy, when::took(report.elapsed)))
}

fn rows(report: &NameReport) -> Vec<Vec<Cell>> {
    let local = &report.resolution.local().set;
    let mut mine = vec![Cell::styled("you", Style::new().bold()), Cell::new("here"), answer(local), dnssec(local)];
    mine.resize(COLUMNS.len(), Cell::styled("-", FAINT));
    let mut answers: Vec<_> = report.answers.iter().collect();
    answers.sort_by_key(|answer| (answer.region.clone(), answer.label.clone(), answer.vantage));
    std::iter::once(mine).chain(answers.into_iter().filter_map(|answer| row(report, answer))).collect()
}

fn row(report: &NameReport, given: &ReportedAnswer) -> Option<Vec<Cell>> {
    let set = given.reply.content().answers.get(&report.resolution.kind())?;
    let judged = report.verdict.judged.iter().find(|judged| judged.vantage == given.vantage)?;
    let region = given.region.as_deref().map_or_else(|| Cell::styled("-", FAINT), |region| Cell::new(escape(region)));
    let label = Cell::new(escape(&given.label));
    Some(vec![label, region, answer(set), dnssec(set), agreement(judged.agrees), word(judged.word)])
}

/// An answer in few letters.
fn answer(set: &DnsSet) -> Cell {
    match set.records.as_slice() {
        [] if !set.is_answer() => Cell::styled(format!("({})", escape(&set.rcode)), FAINT),
        [] if set.cut => Cell::styled("(too large to tell)", FAINT),
        [] => Cell::new(format!("none ({})", escape(&set.rcode))),
        [only] => Cell::new(escape(only)),
        [first, more @ ..] => {
            let cut = if set.cut { ", cut" } else { "" };
            Cell::new(format!("{} records{cut}: {}", more.len() + 1, escape(first)))
        }
    }
}

fn dnssec(set: &DnsSet) -> Cell {
    match set.dnssec {
        Dnssec::Secure => Cell::new("secure"),
        Dnssec::Insecure => Cell::new("unsigned"),
        Dnssec::Bogus => Cell::styled("BOGUS", RED),
        Dnssec::Unchecked => Cell::styled("-", FAINT),
    }
}

fn agreement(agrees: SetAgreement) -> Cell {
    match agrees {
        SetAgreement::Same => Cell::new("yes"),
        SetAgreement::SameNetworks => Cell::new("networks"),
        SetAgreement::OtherSerial => Cell::new("serial"),
        SetAgreement::OtherAddresses => Cell::new("no"),
        SetAgreement::Differs => Cell::styled("NO", RED),
        SetAgreement::NothingSaid => Cell::styled("-", FAINT),
    }
}

/// The answers that are not mine, those that most give first.
fn others(report: &NameReport) -> Vec<(usize, &DnsSet)> {
    let mut found: Vec<(usize, &DnsSet)> = Vec::new();
    for testimony in report.resolution.answers() {
        let set = &testimony.told.set;
        let judged = report.verdict.judged.iter().find(|judged| judged.vantage == testimony.vantage);
        let same = judged.is_some_and(|judged| judged.agrees == SetAgreement::Same);
        if same || !set.is_answer() {
            continue;
        }
        match found.iter_mut().find(|(_, known)| known.records == set.records) {
            Some((count, _)) => *count += 1,
            None => found.push((1, set)),
        }
    }
    found.sort_by_key(|(count, set)| (std::cmp::Reverse(*count), set.records.clone()));
    found
}

fn push_records(text: &mut String, title: &str, set: &DnsSet) {
    text.push_str(&format!("\n{title}"));
    match (set.records.len(), set.min_ttl) {
        (0, _) if !set.is_answer() => text.push_str(&format!(" no answer ({})\n", escape(&set.rcode))),
        (0, _) if set.cut => text.push_str(" more than can be told\n"),
        (0, _) => text.push_str(&format!(" no such record ({})\n", escape(&set.rcode))),
        (_, Some(ttl)) => text.push_str(&format!(" ({ttl} s left)\n")),
        (_, None) => text.push('\n'),
    }
    for record in set.records.iter().take(MOST_RECORDS) {
        text.push_str(&wrap("  ", &escape(record)));
    }
    let more = set.records.len().saturating_sub(MOST_RECORDS);
    if more > 0 || (set.cut && !set.records.is_empty()) {
        text.push_str(&format!("  and {more}{} more\n", if set.cut { " or" } else { "" }));
    }
}

fn conclusion(report: &NameReport) -> String {
    let verdict = &report.verdict;
    let style = style_of(verdict.decision);
    let mut text = format!("verdict: {style}{}{style:#} ({})\n", shout(verdict.decision), verdict.rule);
    for reason in &verdict.reasons {
        text.push_str(&wrap("  - ", &escape(reason)));
    }
    text.push_str(&wrap("next: ", &advice(report)));
    text
}

fn advice(report: &NameReport) -> String {
    let verdict = &report.verdict;
    if verdict.counts.asked == 0 && verdict.decision == Decision::Undecided {
        return NO_VANTAGE.into();
    }
    if verdict.rule == NameRule::OtherAddresses {
        let name = report.resolution.name();
        return format!("Run `parallax check {name}`: it compares the servers, not their addresses.");
    }
    of_verdict(report).into()
}

fn of_verdict(report: &NameReport) -> &'static str {
    let verdict = &report.verdict;
    match verdict.rule {
        NameRule::NoAnswer => "Ask another resolver with --resolver IP:PORT, and see above what others get.",
        NameRule::Propagation => "Ask again in some minutes: the newest state is on its way.",
        NameRule::NotEnough => {
            "Ask again, allow more time with --timeout, or add vantage points with `parallax vantage add URL`."
        }
        NameRule::Unexplained | NameRule::QuorumTooYoung => "See above who gets what, and ask again in some minutes.",
        _ => match verdict.decision {
            Decision::Trusted => "Nothing: go ahead.",
            _ => {
                "Do not rely on this answer. Try another resolver with --resolver IP:PORT, look at the router's DNS \
                 settings, and compare. A resolver that blocks names also looks like this; ask whoever runs it."
            }
        },
    }
}
