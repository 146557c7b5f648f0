//! `parallax check --mx`: where a domain's mail goes, and each relay.

use parallax_client::{Checker, MailReport};
use parallax_core::{DnsName, Scheme};

use super::check::{status, warn_of_own_word};
use crate::args::CheckArgs;
use crate::failure::Failure;
use crate::{output, progress};

/// A domain, and the port at which its relays are checked: 25, or another one for a network of one's own.
pub(super) fn parse(text: &str) -> Result<(DnsName, u16), Failure> {
    let bad = |why: String| Failure::usage(format!("--mx: {why}"));
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && !text.contains('/') => {
            let port = port.parse().ok().filter(|port| *port != 0);
            (name, port.ok_or_else(|| bad(format!("{text:?} ends in no port; ports are 1 to 65535")))?)
        }
        _ => (text, Scheme::Smtp.default_port()),
    };
    Ok((name.parse().map_err(|error: parallax_core::BadDnsName| bad(error.to_string()))?, port))
}

/// Checks the mail of one domain.
pub(super) async fn run(args: &CheckArgs, checker: &Checker, domain: &DnsName, port: u16) -> Result<u8, Failure> {
    let report = progress::waiting(format!("checking the mail of {domain}"), checker.mail(domain, port)).await;
    report.relays.iter().filter_map(|relay| relay.report.as_ref().ok()).for_each(|report| warn_of_own_word(report));
    warn_of_other_routes(&report);
    if args.json {
        output::print_json(&report.to_json())?;
    } else if !args.quiet {
        output::print(&output::render_mail(&report))?;
    }
    Ok(status(report.decision))
}

/// Said beside the verdict, in whatever form that is printed.
fn warn_of_other_routes(report: &MailReport) {
    if report.standing.differ > 0 {
        output::say(&format!(
            "warning: {} of {} asked are told other MX records for {} than you",
            report.standing.differ, report.standing.asked, report.domain
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_ports() {
        for (text, wanted) in [
            ("Example.com.", ("example.com", 25)),
            ("example.com:2525", ("example.com", 2525)),
            ("bücher.example", ("xn--bcher-kva.example", 25)),
        ] {
            let (name, port) = parse(text).unwrap();
            assert_eq!((name.as_str(), port), wanted);
        }
        for (text, part) in [
            ("", "--mx: no name was given"),
            ("-", "--mx:"),
            ("smtp://example.com", "without scheme"),
            ("user@example.com", "more than a DNS name"),
            ("example.com:", "ports are 1 to 65535"),
            ("example.com:0", "ports are 1 to 65535"),
            ("example.com:70000", "ports are 1 to 65535"),
            ("192.0.2.7", "is an address"),
            ("[2001:db8::1]", "is an address"),
            ("2001:db8::1", "is an address"),
        ] {
            let failure = parse(text).unwrap_err();
            let error = failure.sentence().unwrap();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
