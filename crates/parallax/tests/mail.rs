//! `check --mx` on real sockets: where a domain's mail goes, whether others are told the same, and each relay.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use parallax_core::{Scheme, Starttls, Tlsa};
use parallax_lab::{Answer, Behaviour, Failure, Lab, LabNode, Site, Validity};
use support::{Home, Run};

/// A domain with two relays, and three nodes in two regions.
struct World {
    lab: Lab,
    home: Home,
    relays: Vec<Site>,
    nodes: Vec<LabNode>,
}

const DOMAIN: &str = "shop.example";

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let mut relays = Vec::new();
        for (name, number) in [("mx1.shop.example", 10), ("mx2.shop.example", 11)] {
            let certificate = ca.issue(&[name], Validity::current()).unwrap();
            let behaviour = Behaviour::starttls(Scheme::Smtp, &certificate).unwrap();
            relays.push(lab.open(lab.address(30, number), behaviour).await.unwrap());
            lab.dns().set(name, Answer::a([lab.address(30, number)])).unwrap();
        }
        lab.dns().set(DOMAIN, Answer::mx(&[(20, "mx2.shop.example"), (10, "mx1.shop.example")]).unwrap()).unwrap();
        let mut nodes = Vec::new();
        for (network, region, rir) in [(21, "eu-west", "RIPE"), (22, "eu-west", "RIPE"), (23, "us-east", "ARIN")] {
            nodes.push(lab.node(network, region, rir).await.unwrap());
        }
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(10, 1).to_string())
            .with("PARALLAX_TIMEOUT", "30s");
        home.write("roots.pem", &lab.roots_pem());
        for node in &nodes {
            let added = tokio::task::block_in_place(|| home.run(&["vantage", "add", &node.url().to_string()]));
            assert_eq!(added.status, 0, "{added:?}");
        }
        Self { lab, home, relays, nodes }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        tokio::task::block_in_place(|| self.home.run(arguments))
    }

    fn check_of(&self, domain: &str, more: &[&str]) -> Run {
        let domain = format!("{domain}:{}", self.lab.port());
        let run = self.run(&[&["check", "--roots", "roots.pem", "--mx", &domain], more].concat());
        let is_json = run.stdout.starts_with('{');
        assert!(is_json || run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
        // Where lines are broken is of no interest to the tests.
        Run { stdout: run.stdout.split_whitespace().collect::<Vec<_>>().join(" "), ..run }
    }

    fn check(&self, more: &[&str]) -> Run {
        self.check_of(DOMAIN, more)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_domain() {
    let world = World::start().await;
    let key = world.lab.public_roots()[0].key();
    let tlsa = Tlsa { usage: 2, selector: 1, matching: 1, data: key.as_bytes().to_vec() };
    world.lab.publish_tlsa("mx1.shop.example", [tlsa]).unwrap();
    let run = world.check(&[]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(run.stdout.contains("mail goes to 10 mx1.shop.example, 20 mx2.shop.example"), "{run:?}");
    assert!(run.stdout.contains("3 of 3 asked are told the same"), "{run:?}");
    let (first, second) = (run.stdout.find("smtp://mx1.shop").unwrap(), run.stdout.find("smtp://mx2.shop").unwrap());
    assert!(first < second, "the preferred first: {run:?}");
    assert!(run.stdout.contains("verdict: TRUSTED"), "{run:?}");

    let run = world.check(&["--json"]);
    let json = run.json();
    assert_eq!((run.status, &json["verdict"], &json["domain"]), (0, &"trusted".into(), &DOMAIN.into()), "{json:#}");
    assert_eq!(json["mx"]["route"], "relays");
    assert_eq!(json["mx"]["relays"][0]["host"], "mx1.shop.example");
    assert_eq!((&json["mx_counts"]["agree"], &json["mx_counts"]["corroborated"]), (&3.into(), &true.into()));
    let report = &json["relays"][0]["report"];
    assert_eq!((&report["rule"], &report["local"]["now"]["starttls"]), (&"corroborated".into(), &"offered".into()));
    // The owner's record for the relay comes with each view.
    let record = format!("2 1 1 {key}");
    for view in report["views"].as_array().unwrap() {
        assert_eq!(view["view"]["dns"]["tlsa"], serde_json::json!([record]), "{view:#}");
    }
    assert_eq!(world.check(&["--quiet"]).stdout, "");
}

/// The attacker's own relay is honest: everybody sees the same key there. Only the MX records give it away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_records_lead_to_an_honest_relay_of_the_attackers() {
    let world = World::start().await;
    let lab = &world.lab;
    let certificate = lab.public_roots()[0].issue(&["mx.evil.example"], Validity::current()).unwrap();
    let at = lab.address(66, 1);
    let _evil = lab.open(at, Behaviour::starttls(Scheme::Smtp, &certificate).unwrap()).await.unwrap();
    lab.dns().set("mx.evil.example", Answer::a([at])).unwrap();
    lab.dns().set_towards(lab.address(10, 1), DOMAIN, Answer::mx(&[(1, "mx.evil.example")]).unwrap()).unwrap();
    let run = world.check(&[]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stderr.contains("warning: 3 of 3 asked are told other MX records for shop.example"), "{run:?}");
    assert!(run.stdout.contains("undecided corroborated smtp://mx.evil.example"), "{run:?}");
    assert!(run.stdout.contains("mail goes to 10 mx1.shop.example"), "what the others are told: {run:?}");
    assert!(run.stdout.contains("verdict: UNDECIDED") && !run.stdout.contains("trusted corr"), "{run:?}");
    let json = world.check(&["--json"]).json();
    assert_eq!(json["relays"][0]["report"]["verdict"], "undecided", "{json:#}");
    assert_eq!(json["mx_views"][0]["agrees"], false);

    // One of three is told something else: the others are most.
    lab.dns().set(DOMAIN, Answer::mx(&[(10, "mx1.shop.example")]).unwrap()).unwrap();
    lab.dns().set_towards(lab.address(10, 1), DOMAIN, Answer::mx(&[(10, "mx1.shop.example")]).unwrap()).unwrap();
    lab.dns().set_towards(world.nodes[1].address(), DOMAIN, Answer::mx(&[(1, "mx.evil.example")]).unwrap()).unwrap();
    let run = world.check(&[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stderr.contains("1 of 3 asked are told other MX records"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_relay_whose_offer_is_taken_out_for_me_is_enough() {
    let world = World::start().await;
    let me = world.lab.address(10, 1);
    world.relays[1].behave_towards(me, Behaviour::without_starttls(Scheme::Smtp, Starttls::NotOffered));
    let run = world.check(&[]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("trusted corroborated smtp://mx1.shop.example"), "{run:?}");
    assert!(run.stdout.contains("distrusted mitm-near-me smtp://mx2.shop.example"), "{run:?}");
    assert!(run.stdout.contains("STARTTLS is not offered to you, but offered to"), "{run:?}");
    assert!(run.stdout.contains("verdict: DISTRUSTED"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_without_relays_of_their_own() {
    let world = World::start().await;
    let (lab, me) = (&world.lab, world.lab.address(10, 1));
    lab.dns().set("nomail.example", Answer::mx(&[(0, ".")]).unwrap()).unwrap();
    let run = world.check_of("nomail.example", &[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("takes no mail (null MX)") && run.stdout.contains("verdict: TRUSTED"), "{run:?}");
    assert_eq!(world.check_of("nomail.example", &["--json"]).json()["mx"]["route"], "nowhere");

    // Told so to me alone, it is no such thing.
    lab.dns().set_towards(me, DOMAIN, Answer::mx(&[(0, ".")]).unwrap()).unwrap();
    let run = world.check(&[]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("3 of 3 asked are told other MX records than you"), "{run:?}");

    // RFC 5321 section 5.1: without MX records the domain is its own relay.
    let run = world.check_of("mx1.shop.example", &[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("mail goes to the domain itself"), "{run:?}");
    assert!(run.stdout.contains("corroborated smtp://mx1.shop.example"), "{run:?}");

    let run = world.check_of("nosuch.example", &[]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("there is no such domain") && run.stdout.contains("no relay to check"), "{run:?}");

    lab.dns().set_towards(me, "lost.example", Answer::failure(Failure::ServFail)).unwrap();
    let run = world.check_of("lost.example", &[]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("DNS did not say where mail goes (SERVFAIL)"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_name_no_host_and_more_than_sixteen() {
    let world = World::start().await;
    world.lab.dns().set(DOMAIN, Answer::mx(&[(5, "192.0.2.7"), (10, "mx1.shop.example")]).unwrap()).unwrap();
    let run = world.check(&[]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("the MX record names no host that can be checked"), "{run:?}");
    assert!(run.stdout.contains("trusted corroborated smtp://mx1.shop.example"), "{run:?}");

    let names: Vec<String> = (0..40).map(|number| format!("mx{number}.many.example")).collect();
    let relays: Vec<(u16, &str)> = (0..).zip(names.iter().map(String::as_str)).collect();
    world.lab.dns().set("many.example", Answer::mx(&relays).unwrap()).unwrap();
    let json = world.check_of("many.example", &["--json"]).json();
    assert_eq!((json["relays"].as_array().unwrap().len(), &json["left_out"]), (16, &24.into()), "{json:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_domain_is_refused() {
    let home = Home::new();
    for (text, part) in [
        ("-", "--mx:"),
        ("smtp://shop.example", "without scheme"),
        ("192.0.2.7", "is an address"),
        ("shop.example:0", "ports are 1 to 65535"),
    ] {
        let run = tokio::task::block_in_place(|| home.run(&["check", "--mx", text]));
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains(part), "{run:?}");
    }
}
