//! What DNS says, and what becomes of it.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use parallax_core::{DnsAnswers, Dnssec, Fingerprint, Outcome, RecordKind, Tlsa};
use parallax_probe::{Limits, ProbeSettings, Prober, TargetPolicy};

use crate::support::{DnsServer, Say, Server, service, settings, zone};

const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

fn asking(dns: &DnsServer) -> ProbeSettings {
    ProbeSettings { resolver: Some(dns.address), targets: TargetPolicy::public(), ..settings() }
}

async fn answers(dns: &DnsServer, target: &str) -> DnsAnswers {
    Prober::new(asking(dns)).unwrap().look(&service(target)).await.dns
}

async fn answers_of(lines: &str, target: &str) -> DnsAnswers {
    answers(&DnsServer::start(zone(lines)).await, target).await
}

fn keys(texts: &[&str]) -> Option<Vec<Fingerprint>> {
    Some(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn ips<T: std::str::FromStr>(texts: &[&str]) -> Option<Vec<T>> {
    Some(texts.iter().map(|text| text.parse().ok().unwrap()).collect())
}

#[tokio::test]
async fn all_that_is_asked() {
    let dns = DnsServer::start(zone(&format!(
        "site.test A 192.0.2.9\nsite.test A 192.0.2.1\nsite.test AAAA 2001:db8::1\n\
         _8443._tcp.site.test TLSA 2 1 1 {TWO}\n_8443._tcp.site.test TLSA 3 1 1 {ONE}\n\
         _ca-auth.site.test TXT \"v=ca1; sha256={ONE}\"\nsite.test CAA 0 issue \"ca.test\""
    )))
    .await;
    let found = answers(&dns, "site.test:8443").await;
    assert_eq!(found.a, ips(&["192.0.2.1", "192.0.2.9"]));
    assert_eq!(found.aaaa, ips(&["2001:db8::1"]));
    assert_eq!(found.ca, keys(&[ONE, TWO]));
    let tlsa: Vec<Tlsa> = vec![format!("2 1 1 {TWO}").parse().unwrap(), format!("3 1 1 {ONE}").parse().unwrap()];
    assert_eq!(found.tlsa, Some(tlsa));
    assert_eq!(found.caa, Some(vec!["0 issue \"ca.test\"".to_owned()]));
    assert_eq!(found.dnssec, Dnssec::Unchecked);
    let mut asked = dns.asked();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 5, "{asked:?}");
}

#[tokio::test]
async fn no_such_name_is_an_answer() {
    let found = answers_of("", "site.test").await;
    let none = DnsAnswers {
        a: ips(&[]),
        aaaa: ips(&[]),
        ca: keys(&[]),
        tlsa: Some(vec![]),
        caa: Some(vec![]),
        ..found.clone()
    };
    assert_eq!(found, none);
}

#[tokio::test]
async fn no_address_and_no_answer() {
    for say in [Say::Code(ResponseCode::NXDomain), Say::Code(ResponseCode::ServFail), Say::Records(vec![])] {
        let failed = matches!(say, Say::Code(ResponseCode::ServFail));
        let dns = DnsServer::start(move |_, _| say.clone()).await;
        let seen = Prober::new(asking(&dns)).unwrap().look(&service("site.test")).await;
        assert_eq!((seen.now.outcome, seen.now.address), (Outcome::NoAddress, None));
        assert_eq!(seen.dns.a.is_none(), failed);
        assert_eq!(seen.dns.ca.is_none(), failed);
    }
}

#[tokio::test]
async fn failed_lookups_are_none() {
    for say in [
        Say::Code(ResponseCode::ServFail),
        Say::Code(ResponseCode::Refused),
        Say::Code(ResponseCode::FormErr),
        Say::Silence,
        Say::Garbage,
    ] {
        let dns = DnsServer::start(move |_, _| say.clone()).await;
        let limits = Limits { dns: Duration::from_millis(500), ..settings().limits };
        let prober = Prober::new(ProbeSettings { limits, ..asking(&dns) }).unwrap();
        assert_eq!(prober.look(&service("site.test")).await.dns, DnsAnswers::default());
    }
}

/// Half a record authorises nothing and excludes nobody.
#[tokio::test]
async fn a_failed_half_leaves_no_record() {
    let whole = format!("_443._tcp.www.site.test TLSA 2 1 1 {ONE}\n_ca-auth.site.test TXT \"v=ca1; sha256={TWO}\"");
    for failing in [("_443._tcp.www.site.test", RecordType::TLSA), ("_ca-auth.www.site.test", RecordType::TXT)] {
        let known = zone(&whole);
        let dns = DnsServer::start(move |name, kind| {
            if (name, kind) == failing { Say::Code(ResponseCode::ServFail) } else { known(name, kind) }
        })
        .await;
        let found = answers(&dns, "www.site.test").await;
        assert_eq!(found.ca, None, "{failing:?}");
        assert_eq!(found.tlsa.is_none(), failing.1 == RecordType::TLSA);
    }
}

#[tokio::test]
async fn ca_auth_is_found_on_the_way_up() {
    let auth = |name: &str, key: &str| format!("_ca-auth.{name} TXT \"v=ca1; sha256={key}\"\n");
    for (lines, wanted) in [
        (auth("a.b.site.test", ONE) + &auth("site.test", TWO), vec![ONE]),
        (auth("b.site.test", ONE) + &auth("site.test", TWO), vec![ONE]),
        (auth("site.test", TWO), vec![TWO]),
        (auth("site.test", ONE) + &auth("site.test", TWO), vec![ONE, TWO]),
        // Other texts are no record, an empty record is one.
        ("_ca-auth.b.site.test TXT \"hello\"\n".to_owned() + &auth("site.test", TWO), vec![TWO]),
        ("_ca-auth.b.site.test TXT \"v=ca1; sha256=00\"\n".to_owned() + &auth("site.test", TWO), vec![TWO]),
        ("_ca-auth.b.site.test TXT \"v=ca1\"\n".to_owned() + &auth("site.test", TWO), vec![]),
        // Alias, and a text in several strings.
        (
            "_ca-auth.b.site.test CNAME keys.other.test\n".to_owned()
                + &format!("keys.other.test TXT \"v=ca1; sha\" \"256={ONE}\"\n"),
            vec![ONE],
        ),
        // Above the registrable domain nobody is asked.
        (auth("test", ONE), vec![]),
    ] {
        let dns = DnsServer::start(zone(&lines)).await;
        assert_eq!(answers(&dns, "a.b.site.test").await.ca, keys(&wanted), "{lines}");
        assert!(dns.asked().iter().all(|(name, _)| name != "_ca-auth.test"));
    }
}

#[tokio::test]
async fn the_registrable_domain_is_that_of_the_public_suffix_list() {
    let dns = DnsServer::start(zone(&format!("_ca-auth.co.uk TXT \"v=ca1; sha256={ONE}\""))).await;
    assert_eq!(answers(&dns, "www.site.co.uk").await.ca, keys(&[]));
    assert_eq!(answers(&dns, "co.uk").await.ca, keys(&[ONE]), "a suffix is asked for itself");
    let texts = dns.asked().into_iter().filter(|(_, kind)| *kind == RecordType::TXT).map(|(name, _)| name);
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    assert_eq!(texts, ["_ca-auth.co.uk", "_ca-auth.site.co.uk", "_ca-auth.www.site.co.uk"]);
}

#[tokio::test]
async fn a_very_deep_name_is_not_climbed() {
    let dns = DnsServer::start(zone("")).await;
    let deep = "a.".repeat(100) + "site.test";
    let found = answers(&dns, &deep).await;
    assert_eq!((found.ca, found.caa, found.tlsa), (None, None, Some(vec![])));
    assert!(dns.asked().len() < 10);
}

#[tokio::test]
async fn aliases_are_followed_and_bounded() {
    let chain = |hops: usize| {
        let hop = |number: usize| format!("n{number}.test CNAME n{}.test\n", number + 1);
        (0..hops).map(hop).collect::<String>() + &format!("n{hops}.test A 192.0.2.1")
    };
    assert_eq!(answers_of(&chain(8), "n0.test").await.a, ips(&["192.0.2.1"]));
    assert_eq!(answers_of(&chain(9), "n0.test").await.a, None);
    assert_eq!(answers_of("n0.test CNAME n1.test\nn1.test CNAME n0.test", "n0.test").await.a, None);
    assert_eq!(answers_of("n0.test CNAME n0.test", "n0.test").await.a, None);
    assert_eq!(answers_of("n0.test CNAME gone.test", "n0.test").await.a, ips(&[]));
}

/// The resolver gives one alias at a time, without end.
#[tokio::test]
async fn aliases_told_one_by_one_are_bounded_too() {
    let dns = DnsServer::start(|name, kind| {
        let number: usize = name.trim_start_matches('n').trim_end_matches(".test").parse().unwrap_or(0);
        let to = format!("n{}.test.", number + 1);
        let alias = RData::try_from_str(RecordType::CNAME, &to).unwrap();
        if kind == RecordType::A {
            Say::Records(vec![(name.to_owned(), alias)])
        } else {
            Say::Code(ResponseCode::NXDomain)
        }
    })
    .await;
    assert_eq!(answers(&dns, "n0.test").await.a, None);
    assert_eq!(dns.asked().iter().filter(|(_, kind)| *kind == RecordType::A).count(), 9);
}

/// Records that were not asked for are not believed, whatever section or name they stand under.
#[tokio::test]
async fn other_names_and_types_in_an_answer_are_ignored() {
    let dns = DnsServer::start(|name, kind| {
        let data = |kind, text: &str| RData::try_from_str(kind, text).unwrap();
        match kind {
            RecordType::A => Say::Records(vec![
                ("victim.test".to_owned(), data(RecordType::A, "198.51.100.1")),
                (name.to_owned(), data(RecordType::AAAA, "2001:db8::bad")),
                (name.to_owned(), data(RecordType::A, "192.0.2.1")),
                (format!("www.{name}"), data(RecordType::A, "198.51.100.2")),
            ]),
            RecordType::TXT => Say::Records(vec![(
                "_ca-auth.other.test".to_owned(),
                data(RecordType::TXT, &format!("\"v=ca1; sha256={ONE}\"")),
            )]),
            _ => Say::Records(vec![]),
        }
    })
    .await;
    let found = answers(&dns, "site.test").await;
    assert_eq!((found.a, found.aaaa, found.ca), (ips(&["192.0.2.1"]), ips(&[]), keys(&[])));
}

#[tokio::test]
async fn answers_are_cut_to_size() {
    let many: String = (0..600).map(|n| format!("site.test A 10.{}.{}.1\n", n / 200, n % 200)).collect();
    let text = format!("_ca-auth.site.test TXT {}", format!("\"{}\" ", "x".repeat(250)).repeat(40));
    let dns = DnsServer::start(zone(&(many + &text))).await;
    let found = answers(&dns, "site.test").await;
    assert_eq!(found.a.map(|a| a.len()), Some(64), "over TCP, and only so many of them");
    assert_eq!(found.ca, keys(&[]), "too long for one of ours");
}

/// A view that grew past what its readers take would silence the vantage point.
#[tokio::test]
async fn hints_and_keys_are_bounded_in_bytes() {
    let hints: String =
        (0..60).map(|n| format!("site.test CAA 0 iodef \"mailto:{n:02}{}\"\n", "x".repeat(700))).collect();
    let found = answers_of(&hints, "site.test").await.caa.unwrap();
    assert!((5..12).contains(&found.len()), "{}", found.len());
    let whole = "ab".repeat(1000);
    let tlsa: String = (10..30).map(|n| format!("_443._tcp.site.test TLSA 3 0 0 {n}{whole}\n")).collect();
    let found = answers_of(&tlsa, "site.test").await;
    assert_eq!((found.tlsa, found.ca), (None, None), "20 KiB of whole certificates");
}

/// A public name that resolves to an address of the operator's own network.
#[tokio::test]
async fn no_name_leads_to_a_private_address() {
    let server = Server::start(|_, _| async {}).await;
    let port = server.address.port();
    for address in ["A 127.0.0.1", "AAAA ::ffff:127.0.0.1", "AAAA 64:ff9b::127.0.0.1", "AAAA ::1", "A 10.0.0.1"] {
        let dns = DnsServer::start(zone(&format!("public.test {address}"))).await;
        let targets = TargetPolicy::public().with_ports([port]);
        let prober = Prober::new(ProbeSettings { targets, ..asking(&dns) }).unwrap();
        let seen = prober.look(&service(&format!("public.test:{port}"))).await;
        assert_eq!((seen.now.outcome, seen.now.address), (Outcome::NotAllowed, None), "{address}");
    }
    assert_eq!(server.connections(), 0);
}

/// The address that was judged is the one that is connected to: there is no second question to give another answer to.
#[tokio::test]
async fn a_name_is_resolved_once() {
    let server = Server::start(|_, _| async {}).await;
    let port = server.address.port();
    let flips = std::sync::atomic::AtomicUsize::new(0);
    let dns = DnsServer::start(move |name, kind| {
        let first = flips.fetch_add(usize::from(kind == RecordType::A), std::sync::atomic::Ordering::SeqCst) == 0;
        let address = if first { "127.0.0.9" } else { "127.0.0.1" };
        let data = RData::try_from_str(RecordType::A, address).unwrap();
        if kind == RecordType::A {
            Say::Records(vec![(name.to_owned(), data)])
        } else {
            Say::Code(ResponseCode::NXDomain)
        }
    })
    .await;
    let prober = Prober::new(ProbeSettings { targets: TargetPolicy::any(), ..asking(&dns) }).unwrap();
    let seen = prober.look(&service(&format!("flip.test:{port}"))).await;
    assert_eq!((seen.now.outcome, seen.now.address.map(|to| to.ip())), (Outcome::Refused, "127.0.0.9".parse().ok()));
    assert_eq!(seen.dns.a, ips(&["127.0.0.9"]));
    assert_eq!(dns.asked().iter().filter(|(_, kind)| *kind == RecordType::A).count(), 1);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn slow_records_do_not_hold_up_the_connection() {
    let server = Server::start(|_, _| async {}).await;
    let known = zone("site.test A 127.0.0.1");
    let dns = DnsServer::start(move |name, kind| match kind {
        RecordType::A => known(name, kind),
        _ => Say::Silence,
    })
    .await;
    let limits = Limits { dns: Duration::from_secs(2), ..settings().limits };
    let settings = ProbeSettings { targets: TargetPolicy::any(), limits, ..asking(&dns) };
    let look = Prober::new(settings).unwrap();
    let target = service(&format!("site.test:{}", server.address.port()));
    let seen = look.look(&target).await;
    assert_eq!(seen.now.outcome, Outcome::Reset);
    assert_eq!((seen.dns.a, seen.dns.aaaa, seen.dns.ca), (ips(&["127.0.0.1"]), None, None));
}

#[tokio::test]
async fn localhost_never_leaves_this_machine() {
    let dns = DnsServer::start(|_, _| Say::Silence).await;
    let prober = Prober::new(asking(&dns)).unwrap();
    let found = prober.addresses(&service("db.localhost")).await;
    assert_eq!(found, Some(vec!["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]));
    assert!(dns.asked().is_empty());
}

#[tokio::test]
async fn single_questions() {
    let dns = DnsServer::start(zone(&format!(
        "site.test MX 20 b.site.test.\nsite.test MX 10 a.site.test.\nsite.test NS ns.test.\nsite.test TXT \"a b\" \"c\"\n\
         site.test SOA ns.test. who.test. 7 3600 600 86400 300\nsite.test CAA 128 iodef \"mailto:who@site.test\"\n\
         _s._tcp.site.test SRV 1 2 443 a.site.test.\nwww.site.test CNAME site.test.\nsite.test A 192.0.2.1\n\
         7.2.0.192.in-addr.arpa PTR site.test.\n_443._tcp.site.test TLSA 3 1 1 {ONE}\nsite.test AAAA 2001:db8::1"
    )))
    .await;
    let prober = Prober::new(asking(&dns)).unwrap();
    let tlsa = format!("3 1 1 {ONE}");
    for (name, kind, records) in [
        ("site.test", "MX", vec!["10 a.site.test.", "20 b.site.test."]),
        ("site.test", "ns", vec!["ns.test."]),
        ("site.test", "TXT", vec!["\"a b\" \"c\""]),
        ("site.test", "SOA", vec!["ns.test. who.test. 7 3600 600 86400 300"]),
        ("site.test", "CAA", vec!["128 iodef \"mailto:who@site.test\""]),
        ("_s._tcp.site.test", "SRV", vec!["1 2 443 a.site.test."]),
        ("www.site.test", "CNAME", vec!["site.test."]),
        ("www.site.test", "A", vec!["192.0.2.1"]),
        ("Site.TEST.", "AAAA", vec!["2001:db8::1"]),
        ("7.2.0.192.in-addr.arpa", "PTR", vec!["site.test."]),
        ("_443._tcp.site.test", "TLSA", vec![tlsa.as_str()]),
    ] {
        let set = prober.dns(&name.parse().unwrap(), kind.parse().unwrap()).await;
        assert_eq!((set.rcode.as_str(), set.min_ttl), ("NOERROR", Some(300)), "{name} {kind}");
        assert_eq!(set.records, records, "{name} {kind}");
    }
    let set = prober.dns(&"site.test".parse().unwrap(), RecordKind::Srv).await;
    assert_eq!((set.rcode.as_str(), set.records.len(), set.min_ttl), ("NOERROR", 0, None));
    assert_eq!(prober.dns(&"gone.test".parse().unwrap(), RecordKind::A).await.rcode, "NXDOMAIN");
}

#[tokio::test]
async fn single_questions_that_fail() {
    for (say, rcode) in [
        (Say::Code(ResponseCode::ServFail), "SERVFAIL"),
        (Say::Code(ResponseCode::Refused), "REFUSED"),
        (Say::Silence, "TIMEOUT"),
    ] {
        let dns = DnsServer::start(move |_, _| say.clone()).await;
        let limits = Limits { dns: Duration::from_millis(500), ..settings().limits };
        let prober = Prober::new(ProbeSettings { limits, ..asking(&dns) }).unwrap();
        assert_eq!(prober.dns(&"site.test".parse().unwrap(), RecordKind::A).await.rcode, rcode);
    }
}
