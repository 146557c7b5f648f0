//! `_ca-auth` and TLSA end to end: the lab's DNS, a real node that reads it, and the signed view that tells of it
//! (`docs/protocols/dns.md`; mirrors row 2).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::time::Duration;

use parallax_client::Deadline;
use parallax_core::{DnsAnswers, Dnssec, Fingerprint, Tlsa};
use parallax_lab::{Answer, Failure, Lab, LabNode};
use parallax_proto::Question;

const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    lab: Lab,
    node: LabNode,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let node = lab.node(21, "eu-west", "RIPE").await.unwrap();
        Self { lab, node }
    }

    fn set(&self, at: &str, answer: Answer) {
        self.lab.dns().set(at, answer).unwrap();
    }

    /// What the node reads now; nobody serves the name, so only DNS speaks.
    async fn read(&self, host: &str) -> DnsAnswers {
        let question = Question::about(self.lab.service(host).unwrap());
        let view = self.node.vantage_point().unwrap().view(question, Deadline::within(PATIENCE)).await;
        view.unwrap().into_content().dns
    }
}

fn key(n: u16) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    Fingerprint::from_bytes(bytes)
}

fn keys(numbers: &[u16]) -> Option<Vec<Fingerprint>> {
    Some(numbers.iter().map(|n| key(*n)).collect())
}

#[tokio::test]
async fn row_1_2_several_cas_in_one_record_and_in_several() {
    let world = World::start().await;
    world.set("_ca-auth.one.example", Answer::ca_auth([key(2), key(1)]));
    assert_eq!(world.read("one.example").await.ca, keys(&[1, 2]));

    let texts: Vec<String> = [1, 2].map(|n| format!("v=ca1; sha256={}", key(n))).into();
    world.set("_ca-auth.several.example", Answer::txts(texts.iter().map(String::as_str)).with_ttl(60));
    let found = world.read("several.example").await;
    assert_eq!((found.ca, found.record_ttl_secs), (keys(&[1, 2]), Some(60)));

    world.set("_ca-auth.both.example", Answer::ca_auth([key(1)]).with_ttl(60));
    let tlsa: Tlsa = format!("2 1 1 {}", key(2)).parse().unwrap();
    world.set(&format!("_{}._tcp.both.example", world.lab.port()), Answer::tlsa([tlsa]).with_ttl(30));
    let found = world.read("both.example").await;
    assert_eq!((found.ca, found.record_ttl_secs), (keys(&[1, 2]), Some(30)), "the shorter life counts");
}

#[tokio::test]
async fn row_2_a_wildcard_authorises_for_every_name_below_it() {
    let world = World::start().await;
    world.set("*.wild.example", Answer::ca_auth([key(1)]));
    world.set("_ca-auth.own.wild.example", Answer::ca_auth([key(2)]));
    assert_eq!(world.read("any.wild.example").await.ca, keys(&[1]));
    assert_eq!(world.read("a.b.wild.example").await.ca, keys(&[1]));
    assert_eq!(world.read("own.wild.example").await.ca, keys(&[2]));

    // A wildcard of other texts stands at every `_ca-auth` name, and is passed on the way up.
    world.set("*.mail.example", Answer::txt("v=spf1 -all"));
    world.set("_ca-auth.mail.example", Answer::ca_auth([key(3)]));
    let found = world.read("a.b.mail.example").await;
    assert_eq!((found.ca, found.ignored), (keys(&[3]), vec![]));
}

#[tokio::test]
async fn row_2_an_alias_is_followed_and_bounds_the_life_of_the_record() {
    let world = World::start().await;
    world.set("_ca-auth.alias.example", Answer::cname("keys.provider.example").unwrap().with_ttl(20));
    world.set("keys.provider.example", Answer::ca_auth([key(1)]).with_ttl(3600));
    let found = world.read("alias.example").await;
    assert_eq!((found.ca, found.record_ttl_secs), (keys(&[1]), Some(20)));

    world.set("_ca-auth.loop.example", Answer::cname("_ca-auth.pool.example").unwrap());
    world.set("_ca-auth.pool.example", Answer::cname("_ca-auth.loop.example").unwrap());
    assert_eq!(world.read("loop.example").await.ca, None, "a loop is a failed lookup, not an empty record");
}

#[tokio::test]
async fn row_2_the_climb_ends_at_the_registrable_domain() {
    let world = World::start().await;
    world.set("_ca-auth.co.uk", Answer::ca_auth([key(1)]));
    world.set("_ca-auth.parent.co.uk", Answer::ca_auth([key(2)]));
    world.set("_ca-auth.near.parent.co.uk", Answer::ca_auth([key(3)]));
    assert_eq!(world.read("a.b.parent.co.uk").await.ca, keys(&[2]));
    assert_eq!(world.read("a.near.parent.co.uk").await.ca, keys(&[3]), "the nearest decides");
    assert_eq!(world.read("a.orphan.co.uk").await.ca, keys(&[]), "a public suffix authorises for nobody");
}

#[tokio::test]
async fn an_empty_answer_is_a_record_and_a_failed_lookup_is_none() {
    let world = World::start().await;
    world.set("nothing.example", Answer::a([world.lab.address(30, 9)]));
    assert_eq!(world.read("nothing.example").await.ca, keys(&[]));
    world.set("_ca-auth.nobody.example", Answer::txt("v=ca1"));
    let found = world.read("nobody.example").await;
    assert_eq!((found.ca, found.record_ttl_secs), (keys(&[]), None));
    world.set("_ca-auth.broken.example", Answer::failure(Failure::ServFail));
    assert_eq!(world.read("broken.example").await.ca, None);
    // Below it stands a record, above it the lookup fails: the nearest has decided already.
    world.set("_ca-auth.www.broken.example", Answer::ca_auth([key(1)]));
    assert_eq!(world.read("www.broken.example").await.ca, keys(&[1]));
}

#[tokio::test]
async fn a_thousand_records_are_read_and_a_thousand_keys_are_no_record() {
    let world = World::start().await;
    let own = format!("v=ca1; sha256={}", key(1));
    let others: Vec<String> = (0..999).map(|n| format!("note {n}")).collect();
    let texts = others.iter().map(String::as_str).chain([own.as_str()]);
    world.set("_ca-auth.many.example", Answer::txts(texts));
    assert_eq!(world.read("many.example").await.ca, keys(&[1]), "the one that counts is the last of them");

    let tlsa = (0..1000).map(|n| format!("2 1 1 {}", key(n)).parse::<Tlsa>().unwrap());
    world.set(&format!("_{}._tcp.flood.example", world.lab.port()), Answer::tlsa(tlsa));
    let found = world.read("flood.example").await;
    assert_eq!((found.ca, found.tlsa), (None, None), "half of them would be half a record");

    world.set("_ca-auth.most.example", Answer::ca_auth((0..55).map(key)));
    assert_eq!(world.read("most.example").await.ca.map(|keys| keys.len()), Some(55));
    let texts: Vec<String> = (0..65).map(|n| format!("v=ca1; sha256={}", key(n))).collect();
    world.set("_ca-auth.toomany.example", Answer::txts(texts.iter().map(String::as_str)));
    assert_eq!(world.read("toomany.example").await.ca, None, "65 keys are more than anybody authorises");
}

#[tokio::test]
async fn malformed_records_count_for_nothing_and_are_named() {
    let world = World::start().await;
    let good = format!("v=ca1; sha256={}", key(1));
    let half = format!("v=ca1; sha256={}; sha256=00ff", key(2));
    let long = format!("v=ca1; {}", "x".repeat(5000));
    let texts = [good.as_str(), half.as_str(), "v=ca1; sha256=\u{1b}[2J", "something else", &long];
    world.set("_ca-auth.odd.example", Answer::txts(texts));
    let short: Tlsa = "2 1 1 00ff".parse().unwrap();
    let other: Tlsa = "1 0 1 00ff".parse().unwrap();
    world.set(&format!("_{}._tcp.odd.example", world.lab.port()), Answer::tlsa([short, other]));
    let found = world.read("odd.example").await;
    assert_eq!(found.ca, keys(&[1]));
    let port = world.lab.port();
    let named = [
        format!("_{port}._tcp.odd.example: TLSA 2 1 1 holds 2 bytes; a SHA-256 has 32"),
        "_ca-auth.odd.example: \"00ff\" is no SHA-256: 64 hex digits".into(),
        "_ca-auth.odd.example: \"\\u{1b}[2j\" is no SHA-256: 64 hex digits".into(),
        "_ca-auth.odd.example: it is longer than 4096 octets, or no UTF-8".into(),
    ];
    assert_eq!(found.ignored.len(), named.len(), "{:?}", found.ignored);
    for wanted in named {
        assert!(found.ignored.iter().any(|one| one.eq_ignore_ascii_case(&wanted)), "{wanted}: {:?}", found.ignored);
    }

    let flood: Vec<String> = (0..500).map(|n| format!("v=ca1; sha256={n}")).collect();
    world.set("_ca-auth.flood.odd.example", Answer::txts(flood.iter().map(String::as_str)));
    assert_eq!(world.read("flood.odd.example").await.ignored.len(), 8, "as many as a view may hold");
}

#[tokio::test]
async fn a_record_is_unchecked_where_nobody_validates() {
    let world = World::start().await;
    world.set("_ca-auth.plain.example", Answer::ca_auth([key(1)]));
    assert_eq!(world.read("plain.example").await.dnssec, Dnssec::Unchecked);
}

#[tokio::test]
async fn answers_of_any_size_do_not_make_a_view_that_nobody_reads() {
    let world = World::start().await;
    // Each octet takes five characters in JSON.
    let huge: Vec<String> = (0..30).map(|n| format!("{n}{}", "\u{1}".repeat(1500))).collect();
    world.set("_ca-auth.huge.example", Answer::txts(huge.iter().map(String::as_str)));
    world.set("huge.example", Answer::a((0..=255).map(|host| world.lab.address(30, host))));
    let found = world.read("huge.example").await;
    assert_eq!(found.ca, keys(&[]));
    assert_eq!(found.a.map(|a| a.len()), Some(64));
}
