//! A domain's mail as people read it: where it goes, who is told the same, and a line for each relay.

use parallax_client::{MailReport, RelayReport, ReportedRoute};
use parallax_core::{Decision, MailRoute};

use super::escape::escape;
use super::report::{line, shout, style_of};
use super::when;
use super::wrap::wrap;

/// Relays of one route that are named; all are in the JSON.
const MOST_NAMED: usize = 4;

/// Everything, at most 80 columns wide.
pub(crate) fn render(report: &MailReport) -> String {
    let mut text = heading(report);
    push_others(&mut text, report);
    text.push('\n');
    for relay in &report.relays {
        push_relay(&mut text, relay);
    }
    if report.route.left_out() > 0 {
        text.push_str(&wrap("", &format!("{} more relays are not checked", report.route.left_out())));
    }
    if !report.relays.is_empty() {
        text.push('\n');
    }
    let style = style_of(report.decision);
    text.push_str(&format!("verdict: {style}{}{style:#}\n", shout(report.decision)));
    text.push_str(&wrap("  - ", &reason(report)));
    text
}

fn heading(report: &MailReport) -> String {
    let standing = &report.standing;
    let told = match standing.asked {
        0 => "nobody else was asked".to_owned(),
        asked => format!("{} of {asked} asked are told the same", standing.agree),
    };
    let route = wrap("", &format!("{}: {}", report.domain, said(&report.route)));
    route + &wrap("", &format!("{told}, {}", when::took(report.elapsed)))
}

/// A route in words.
fn said(route: &MailRoute) -> String {
    match route {
        MailRoute::Relays(relays) => {
            let named =
                relays.iter().take(MOST_NAMED).map(|relay| format!("{} {}", relay.preference, escape(&relay.host)));
            let more = relays.len().saturating_sub(MOST_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("mail goes to {}{more}", named.collect::<Vec<_>>().join(", "))
        }
        MailRoute::Itself => "there is no MX record, so mail goes to the domain itself".into(),
        MailRoute::Nowhere => "takes no mail (null MX)".into(),
        MailRoute::NoSuchName => "there is no such domain".into(),
        MailRoute::Unknown(why) => format!("DNS did not say where mail goes ({})", escape(why)),
    }
}

fn push_others(text: &mut String, report: &MailReport) {
    let line = |one: &ReportedRoute, what: &str| {
        let region = one.region.as_deref().map(|region| format!(" ({})", escape(region))).unwrap_or_default();
        wrap("  ", &format!("{}{region}: {what}", escape(&one.label)))
    };
    let lines = report.routes.iter().filter_map(|one| match &one.route {
        Ok(route) if *route == report.route => None,
        Ok(route) => Some(line(one, &said(route))),
        Err(why) => Some(line(one, &escape(&why.to_string()))),
    });
    let lines: String = lines.collect();
    if !lines.is_empty() {
        text.push_str("\nNot the same from:\n");
        text.push_str(&lines);
    }
}

/// The reasons of what is not trusted stand below it.
fn push_relay(text: &mut String, relay: &RelayReport) {
    match &relay.report {
        Ok(report) => {
            text.push_str(&line(&report.verdict, report.service()));
            if report.verdict.decision != Decision::Trusted {
                report.verdict.reasons.iter().for_each(|reason| text.push_str(&wrap("  - ", &escape(reason))));
            }
        }
        Err(why) => {
            let what =
                format!("undecided: the MX record names no host that can be checked: {}", escape(&why.to_string()));
            text.push_str(&wrap("", &what));
        }
    }
}

fn reason(report: &MailReport) -> String {
    match (report.decision, report.standing.doubt()) {
        (Decision::Trusted, _) if report.relays.is_empty() => {
            "Most are told the same: the domain takes no mail.".into()
        }
        (Decision::Trusted, _) => {
            "Most are told the same MX records, and each relay is the one that others reach.".into()
        }
        (Decision::Distrusted, _) => {
            "At least one relay is not the one that others reach: no mail should go there.".into()
        }
        (Decision::Undecided, Some(why)) => format!("Where mail goes is not corroborated: {why}."),
        (Decision::Undecided, None) if report.relays.is_empty() => "There is no relay to check.".into(),
        (Decision::Undecided, None) => "At least one relay could not be corroborated; see above.".into(),
    }
}
