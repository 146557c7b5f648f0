//! One look as people read it.

use parallax_core::{Look, Met, ServiceId, Starttls, Timestamp};

use super::escape::escape;
use super::report::ca_name;
use super::wrap::wrap;
use super::{scts, when};

/// The longest list of names or addresses that is shown; all are in the JSON.
const MOST_SHOWN: usize = 8;

/// What one look saw, at most 80 columns wide.
pub(crate) fn render(service: &ServiceId, look: &Look, now: Timestamp) -> String {
    let mut text = String::new();
    let address = look.now.address.map_or_else(|| "no address".to_owned(), |address| address.to_string());
    push(&mut text, "service", &service.to_string());
    push(&mut text, "address", &address);
    let sentence = if look.now.lacks_upgrade() { "the server does not begin TLS" } else { look.now.outcome.sentence() };
    push(&mut text, "outcome", &format!("{} ({sentence})", look.now.outcome));
    if let (Some(upgrade), Some(starttls)) = (service.scheme().upgrade(), look.now.starttls) {
        push(&mut text, upgrade, starttls_sentence(starttls));
    }
    match &look.now.met {
        Some(met) if !met.host_keys.is_empty() => push_host_keys(&mut text, met),
        Some(met) => push_met(&mut text, met, now),
        None => {}
    }
    push_dns(&mut text, look);
    text
}

fn starttls_sentence(starttls: Starttls) -> &'static str {
    match starttls {
        Starttls::Offered => "offered",
        Starttls::NotOffered => "not offered: by the server, or because somebody on the way takes it out",
        Starttls::Refused => "offered, but refused when asked for",
    }
}

fn push(text: &mut String, name: &str, value: &str) {
    text.push_str(&wrap(&format!("{name:<12}"), value));
}

fn push_met(text: &mut String, met: &Met, now: Timestamp) {
    let proof = if met.proved { "the server proved its key" } else { "the server did not prove its key: a sighting" };
    push(text, "protocol", &format!("{}, {proof}", escape(&met.protocol)));
    push(text, "key", &met.key.to_string());
    push(text, "leaf", &met.leaf.to_string());
    push(text, "issuer key", &met.issuer_key.map_or_else(|| "not sent".to_owned(), |key| key.to_string()));
    push(text, "CA", &format!("{} (public roots: {})", ca_name(met), met.public_ca));
    push(text, "names", &list(met.names.iter().map(|name| escape(name))));
    push(text, "valid", &validity(met, now));
    if let Some(scts) = &met.scts {
        push(text, "CT", &scts::sentence(scts, now));
    }
    let plural = if met.chain.len() == 1 { "" } else { "s" };
    push(text, "chain", &format!("{} certificate{plural}", met.chain.len()));
}

fn push_host_keys(text: &mut String, met: &Met) {
    push(text, "protocol", &format!("{}, the server proved these keys", escape(&met.protocol)));
    for key in &met.host_keys {
        push(text, "host key", &format!("{} {}", key.kind, key.openssh_fingerprint()));
    }
}

fn validity(met: &Met, now: Timestamp) -> String {
    let state = if now < met.not_before {
        format!("begins in {}", when::length(met.not_before.since(now)))
    } else if now > met.not_after {
        format!("ended {} ago", when::length(now.since(met.not_after)))
    } else {
        format!("{} left", when::length(met.not_after.since(now)))
    };
    format!("{} to {} ({state})", met.not_before, met.not_after)
}

fn push_dns(text: &mut String, look: &Look) {
    let dns = &look.dns;
    let addresses = |v4: Option<Vec<String>>, v6: Option<Vec<String>>| match (v4, v6) {
        (None, None) => "lookup failed".to_owned(),
        (v4, v6) => list(v4.into_iter().flatten().chain(v6.into_iter().flatten())),
    };
    let v4 = dns.a.as_ref().map(|found| found.iter().map(ToString::to_string).collect());
    let v6 = dns.aaaa.as_ref().map(|found| found.iter().map(ToString::to_string).collect());
    push(text, "DNS", &addresses(v4, v6));
    let shown =
        |found: Option<Vec<String>>| found.map_or_else(|| "lookup failed".to_owned(), |found| list(found.into_iter()));
    push(text, "DNS CAs", &shown(dns.ca.as_ref().map(|found| found.iter().map(ToString::to_string).collect())));
    push(text, "TLSA", &shown(dns.tlsa.as_ref().map(|found| found.iter().map(ToString::to_string).collect())));
    for ignored in &dns.ignored {
        push(text, "ignored", &escape(ignored));
    }
    push(text, "CAA", &shown(dns.caa.as_ref().map(|found| found.iter().map(|record| escape(record)).collect())));
}

fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    let more = items.len().saturating_sub(MOST_SHOWN);
    items.truncate(MOST_SHOWN);
    match (items.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => items.join(", "),
        (false, more) => format!("{} and {more} more", items.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::{DnsAnswers, Observation, Outcome};
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::output::escape::tests::POISON;
    use crate::output::report::tests::met;

    #[test]
    fn a_hostile_certificate_stays_in_its_lines() {
        for poison in POISON {
            let mut met = met(1);
            met.names = vec![poison.repeat(20), "example.com".into()];
            met.protocol = poison.into();
            met.ca_id = parallax_core::CaId::Organisation(poison.into());
            let at = Timestamp::from_unix_secs(1_700_000_000);
            let address = Some("192.0.2.10:443".parse().unwrap());
            let now = Observation::seen(at, address, met);
            let dns = DnsAnswers { caa: Some(vec![poison.into()]), ..DnsAnswers::default() };
            let text = render(&"example.com".parse().unwrap(), &Look { dns, now }, at);
            assert!(text.lines().all(|line| line.width() <= 80), "{text}");
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            assert!(!text.lines().any(|line| line.starts_with("verdict")), "{text}");
        }
    }

    #[test]
    fn a_look_in_the_clear_says_what_became_of_the_upgrade() {
        let at = Timestamp::from_unix_secs(0);
        for (service, starttls, line) in [
            ("smtp://mx.example", Some(Starttls::NotOffered), "STARTTLS    not offered: by the server, or because"),
            ("ldap://mx.example", Some(Starttls::Refused), "StartTLS    offered, but refused when asked for\n"),
            ("pop3://mx.example", Some(Starttls::Offered), "STLS        offered\n"),
            ("postgres://mx.example", Some(Starttls::NotOffered), "TLS         not offered"),
        ] {
            let now = Observation::failed(at, None, Outcome::NotTls).with_starttls(starttls);
            let text = render(&service.parse().unwrap(), &Look { dns: DnsAnswers::default(), now }, at);
            assert!(text.contains(line) && text.lines().all(|line| line.width() <= 80), "{text}");
        }
    }

    #[test]
    fn a_failed_look_says_why() {
        let at = Timestamp::from_unix_secs(0);
        let look = Look { dns: DnsAnswers::default(), now: Observation::failed(at, None, Outcome::NoAddress) };
        let text = render(&"example.com".parse().unwrap(), &look, at);
        assert!(text.contains("outcome     no-address (DNS gave no address)\n"), "{text}");
        assert!(text.contains("DNS         lookup failed\n"), "{text}");
    }
}
