//! The user's own word, with the real binary in a lab: an attacker near the user, two nodes that see the true key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use parallax_lab::{Certificate, Lab, LabNode, Site, Validity};
use support::{Home, Run};

/// A site that shows the user another certificate than the nodes.
struct World {
    lab: Lab,
    home: Home,
    site: Site,
    nodes: Vec<LabNode>,
    /// What the user is shown.
    mine: Certificate,
    service: String,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let names = &["nas.corp.example"];
        let site = lab.site(lab.address(20, 10), &ca.issue(names, Validity::current()).unwrap()).await.unwrap();
        let mine = Certificate::self_signed(names, Validity::current()).unwrap();
        site.set_certificate_towards(lab.network(10), &mine).unwrap();
        lab.dns().set("nas.corp.example", parallax_lab::Answer::a([lab.address(20, 10)])).unwrap();
        let mut nodes = Vec::new();
        for (network, region) in [(21, "eu-west"), (22, "us-east")] {
            nodes.push(lab.node(network, region, "RIPE").await.unwrap());
        }
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(10, 1).to_string())
            .with("PARALLAX_ROOTS", "roots.pem")
            .with("PARALLAX_TIMEOUT", "60s");
        home.write("roots.pem", &lab.roots_pem());
        let service = format!("nas.corp.example:{}", lab.port());
        let world = Self { lab, home, site, nodes, mine, service };
        for node in &world.nodes {
            let run = world.run(&["vantage", "add", &node.url().to_string()]);
            assert_eq!(run.status, 0, "{run:?}");
        }
        world
    }

    /// The lab serves on this runtime while the command runs.
    fn run(&self, arguments: &[&str]) -> Run {
        tokio::task::block_in_place(|| self.home.run(arguments))
    }

    fn check(&self, flags: &[&str]) -> Run {
        self.run(&[&["check", &self.service], flags].concat())
    }
}

/// Text without the line breaks of the layout.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_key_is_trusted_and_every_verdict_says_so() {
    let world = World::start().await;
    let run = world.check(&[]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("DISTRUSTED (mitm-near-me)"), "{run:?}");

    let key = world.mine.key().to_string();
    let run = world.run(&["accept", &world.service]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("self-signed"), "what was met is shown: {run:?}");
    assert!(run.stdout.ends_with(&format!("accepted {key} at tls://{}\n", world.service)), "{run:?}");
    assert!(run.stderr.contains("takes it back"), "{run:?}");

    let run = world.check(&[]);
    assert_eq!(run.status, 0, "{run:?}");
    let text = unwrapped(&run.stdout);
    assert!(text.contains("verdict: TRUSTED (accepted)"), "{run:?}");
    assert!(text.contains("you accepted this key") && text.contains("would be distrusted (mitm-near-me)"), "{run:?}");
    assert!(text.contains("2 of 2 asked see another key"), "the network's reason stays: {run:?}");
    assert!(run.stderr.contains("warning: ") && run.stderr.contains("by your own word alone"), "{run:?}");

    let quiet = world.check(&["--quiet"]);
    assert_eq!((quiet.status, quiet.stdout.as_str()), (0, ""));
    assert!(quiet.stderr.contains("warning: "), "{quiet:?}");

    let json = world.check(&["--json"]).json();
    assert_eq!((&json["verdict"], &json["rule"]), (&"trusted".into(), &"accepted".into()));
    let accepted = &json["accepted"];
    assert_eq!((&accepted["holds"], &accepted["key"]), (&true.into(), &key.as_str().into()), "{json}");
    assert_eq!(accepted["without"]["rule"], "mitm-near-me");
    assert_eq!(json["counts"]["differ"], 2, "the network was asked all the same: {json}");
    let line = tokio::task::block_in_place(|| world.home.run_with_input(&["check", "-"], world.service.as_bytes()));
    assert_eq!(line.stdout, format!("trusted     accepted           tls://{}\n", world.service));
    assert!(line.stderr.contains("warning: "), "{line:?}");

    // Another service of the same host is another matter.
    let removed = world.run(&["accept", "remove", &world.service]);
    assert_eq!((removed.status, removed.stdout), (0, format!("removed tls://{}\n", world.service)));
    assert_eq!(world.check(&[]).status, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_key_voids_it_and_softens_nothing() {
    let world = World::start().await;
    assert_eq!(world.run(&["accept", &world.service]).status, 0);
    let other = Certificate::self_signed(&["nas.corp.example"], Validity::current()).unwrap();
    world.site.set_certificate_towards(world.lab.network(10), &other).unwrap();

    let run = world.check(&[]);
    assert_eq!(run.status, 1, "{run:?}");
    let text = unwrapped(&run.stdout);
    assert!(text.contains("verdict: DISTRUSTED (mitm-near-me)"), "{run:?}");
    let wanted = format!("was another ({}, not {})", world.mine.key().short(), other.key().short());
    assert!(text.contains(&wanted), "{wanted}: {run:?}");
    assert_eq!(run.stderr, "");
    let json = world.check(&["--json"]).json();
    assert_eq!((&json["accepted"]["holds"], &json["rule"]), (&false.into(), &"mitm-near-me".into()));

    // Nor is another key accepted in passing.
    let run = world.run(&["accept", &world.service]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("accept remove"), "{run:?}");
    let listed = world.run(&["accept", "list", "--json"]).json();
    assert_eq!(listed["keys"][0]["key"], world.mine.key().to_string());

    // What all others see too is trusted by the policy, and the void word is still named.
    world.site.treat_alike();
    let run = world.check(&["--policy", "quorum", "--max-age", "0s"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(unwrapped(&run.stdout).contains("TRUSTED (quorum-held)"), "{run:?}");
    assert!(unwrapped(&run.stdout).contains("The key that you accepted"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_pattern_nobody_is_asked_and_the_verdict_is_loud() {
    let world = World::start().await;
    let run = world.run(&["accept", "--pattern", "*.corp.example"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, "accepted every key at *.corp.example\n"));
    assert!(run.stderr.contains("an attacker's key"), "{run:?}");
    let looks = || [21, 22].map(|network| world.site.connections_from(world.lab.address(network, 1)));
    let before = looks();
    let run = world.check(&["--max-age", "0s"]);
    assert_eq!(run.status, 0, "{run:?}");
    let text = unwrapped(&run.stdout);
    assert!(text.contains("verdict: TRUSTED (accepted)"), "{run:?}");
    assert!(text.contains("every key at *.corp.example, whoever shows it"), "{run:?}");
    assert!(text.contains("nobody asked"), "{run:?}");
    assert_eq!(looks(), before, "no vantage point learned the name");
    let json = world.check(&["--json"]).json();
    assert_eq!((&json["accepted"]["hosts"], &json["counts"]["asked"]), (&"*.corp.example".into(), &0.into()));

    // A key that is named for the service is more than the pattern.
    let run = world.run(&["accept", "--key", &"ab".repeat(32), &world.service]);
    assert_eq!(run.status, 0, "{run:?}");
    let run = world.check(&[]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("DISTRUSTED (mitm-near-me)"), "{run:?}");

    let list = world.run(&["accept", "list"]);
    assert!(list.stdout.contains("abababab") && list.stdout.contains("every key"), "{list:?}");
    assert_eq!(world.run(&["accept", "remove", "*.corp.example"]).stdout, "removed *.corp.example\n");
    assert_eq!(world.run(&["accept", "remove", "*.corp.example"]).status, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_proves_no_key_can_not_be_accepted() {
    let world = World::start().await;
    let run = world.run(&["accept", &format!("nowhere.example:{}", world.lab.port())]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("nothing was accepted"), "{run:?}");
    assert!(!world.home.path().join(".config/parallax/accepted.toml").exists());

    assert_eq!(world.run(&["accept", &world.service]).status, 0);
    world.site.behave(parallax_lab::Behaviour::plain_http());
    world.site.behave_towards(world.lab.network(10), parallax_lab::Behaviour::plain_http());
    let run = world.check(&[]);
    assert_ne!(run.status, 0, "{run:?}");
    assert!(unwrapped(&run.stdout).contains("but no proved key was met"), "{run:?}");
}

#[test]
fn wrong_use_is_refused_with_a_sentence() {
    let home = Home::new();
    let key = "ab".repeat(32);
    for (arguments, part) in [
        (&["accept", "gopher://x"][..], "use tls://"),
        (&["accept", "--key", "abc", "nas.example"], "64 lower-case hex digits"),
        (&["accept", "--pattern", "*"], "*.corp.example"),
        (&["accept", "--pattern", "https://nas.example"], "without scheme"),
        (&["accept", "--pattern", "*.x.example", "nas.example"], "cannot be used with"),
        (&["accept", "--key", &key], "required arguments"),
        (&["accept", "remove", "a..b"], "empty label"),
    ] {
        let run = home.run(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains(part) && run.stderr.matches('\n').count() == 1, "{part}: {run:?}");
    }
    assert_eq!(home.run(&["accept", "remove", "nas.example"]).status, 1);
    let empty = home.run(&["accept", "list"]);
    assert_eq!((empty.status, empty.stdout.as_str()), (0, ""));
    home.write(".config/parallax/accepted.toml", "[[key]]\nservice = \"nas.example\"\n");
    for command in [&["check", "example.com"][..], &["accept", "list"]] {
        let run = home.run(command);
        assert_eq!(run.status, 2, "{run:?}");
        assert!(run.stderr.contains("accepted.toml line 1: missing field"), "{run:?}");
    }
}
