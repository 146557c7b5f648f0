//! `parallax ssh-known-hosts`: the host keys that the vantage points corroborate, for OpenSSH's `KnownHostsCommand`.

use std::path::Path;

use parallax_client::{Checker, JudgedHostKey, Report};
use parallax_core::{Decision, Scheme, ServiceId, Verdict};

use super::{block_on, check, settings};
use crate::args::SshKnownHostsArgs;
use crate::failure::{DONE, Failure, NOT};
use crate::{logs, output, progress};

/// Runs the command.
pub(crate) fn run(args: &SshKnownHostsArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let service = parse_host(&args.host)?;
    let names = check::parse_names(&args.vantage)?;
    let settings = settings(config, &args.flags())?;
    let rule = settings.check_of_one(&service.host().to_string()).map_err(Failure::usage)?;
    logs::start("error")?;
    block_on(async {
        let check::Ready { builder, federated, .. } = check::ready(false, names, &settings).await?;
        let checker = check::under(&builder.build(), rule);
        let report = progress::waiting(format!("checking {service}"), checker.report(&service)).await;
        let status = tell(&args.host, &checker, &report);
        if let Some(federated) = federated {
            federated.finish(&checker).await;
        }
        checker.close().await;
        status
    })
}

/// `host` or `[host]:port`. The text goes back to ssh as it came, so there is nothing in it but a host: a comma, a star
/// or a space would make another line of it.
fn parse_host(text: &str) -> Result<ServiceId, Failure> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, Some(Scheme::Ssh.default_port())),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    match port {
        Some(port) if host.chars().all(is_plain) => ServiceId::new(Scheme::Ssh, host, port).map_err(Failure::usage),
        _ => Err(Failure::usage(format!(
            "{text:?} is not a host as ssh names it; write host.example or [host.example]:2222"
        ))),
    }
}

/// OpenSSH goes on with its own known_hosts when it gets no line, and ends the connection when the command fails. So a
/// check that could not decide must not fail, and one that found an attacker must.
fn tell(host: &str, checker: &Checker, report: &Report) -> Result<u8, Failure> {
    let judged = checker.judge_host_keys(report);
    judged.iter().filter(|judged| judged.accepted).for_each(|judged| say_accepted(report, judged));
    if let Some(distrusted) = distrusted(report, &judged) {
        say(report, distrusted);
        return Ok(NOT);
    }
    let trusted = judged.iter().filter(|judged| judged.verdict.decision == Decision::Trusted);
    let lines: String = trusted.map(|judged| judged.key.known_hosts_line(host) + "\n").collect();
    let is_void = report.own_word.is_some() && !judged.iter().any(|judged| judged.accepted);
    if lines.is_empty() || is_void {
        say(report, &report.verdict);
    }
    output::print(&lines)?;
    Ok(DONE)
}

/// Why the connection must not be. Where the user answers for the key that ssh prefers, that line alone decides which key
/// ssh asks for, and what others say of the other keys ends nothing.
fn distrusted<'a>(report: &'a Report, judged: &'a [JudgedHostKey]) -> Option<&'a Verdict> {
    if report.own_word.as_ref().is_some_and(|touched| touched.holds) {
        return None;
    }
    let verdicts = std::iter::once(&report.verdict).chain(judged.iter().map(|judged| &judged.verdict));
    verdicts.into_iter().find(|verdict| verdict.decision == Decision::Distrusted)
}

/// The user's own word is never heard in silence.
fn say_accepted(report: &Report, judged: &JudgedHostKey) {
    let (key, reasons) = (&judged.key, judged.verdict.reasons.join(" "));
    output::say(&format!("{}: {} {}: {reasons}", report.service(), key.kind, key.openssh_fingerprint()));
}

fn say(report: &Report, verdict: &Verdict) {
    let reasons = verdict.reasons.join(" ");
    output::say(&format!("{}: {} ({}): {reasons}", report.service(), verdict.decision, verdict.rule));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_ssh_names_them() {
        for (text, wanted) in [
            ("host.example", "ssh://host.example:22"),
            ("[host.example]:2222", "ssh://host.example:2222"),
            ("[127.0.0.1]:2222", "ssh://127.0.0.1:2222"),
            ("2001:db8::1", "ssh://[2001:db8::1]:22"),
            ("[2001:db8::1]:2222", "ssh://[2001:db8::1]:2222"),
        ] {
            assert_eq!(parse_host(text).unwrap_or_else(|_| panic!("{text}")).to_string(), wanted);
        }
        for text in [
            "",
            "*",
            "a,b",
            "a b",
            "@revoked",
            "a\nb",
            "[a]:",
            "[a]:0",
            "[a]:99999",
            "ssh://a",
            "a/",
            "|1|a",
            "!a",
            "a#",
        ] {
            assert!(parse_host(text).is_err(), "{text:?}");
        }
    }
}
