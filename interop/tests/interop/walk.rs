//! The walk of the README by hand: two nodes on loopback, a server of somebody else's make, and a certificate that changes
//! for one, for some, for all.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Keeper, Nginx, Node, Run, Server, User, free_port, needs};

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
/// Where each looks from; everybody else here is 127.0.0.1.
const EUROPE: &str = "127.0.0.2";
const AMERICA: &str = "127.0.0.3";
const NEAR_ME: &str = "127.0.0.9";

/// A person who has started two nodes and listed them.
struct Walk {
    user: User,
    keeper: Keeper,
    europe: Node,
    america: Node,
}

impl Walk {
    fn start() -> Self {
        let (user, keeper) = (User::new(), Keeper::new());
        for name in ["good", "evil", "new"] {
            keeper.self_signed(name, P256);
        }
        let europe = Node::start(&user, "europe", "eu-west", EUROPE);
        let america = Node::start(&user, "america", "us-east", AMERICA);
        for node in [&europe, &america] {
            let added = user.run(&["vantage", "add", &node.url()]);
            assert_eq!(added.status, 0, "{added:?}");
        }
        Self { user, keeper, europe, america }
    }

    /// A site that shows each address the certificate in a file of its own: `everybody`, `america`, `near-me`.
    fn nginx(&self, shown: [(&str, &str); 3]) -> Nginx {
        for (whom, certificate) in shown {
            self.keeper.replace(whom, certificate);
        }
        let directory = self.keeper.path().display();
        Nginx::start(&format!(
            "access_log off; map $remote_addr $shown {{ default everybody; {AMERICA} america; {NEAR_ME} near-me; }}\n\
             server {{ listen 127.0.0.1:PORT ssl; ssl_certificate {directory}/$shown.pem;\n\
             ssl_certificate_key {directory}/$shown.pem; }}"
        ))
    }

    fn check(&self, arguments: &[&str]) -> Run {
        self.user.run(&[&["check"], arguments].concat())
    }

    /// The verdict in JSON; the exit status is the one that belongs to it.
    fn verdict(&self, arguments: &[&str]) -> Value {
        let run = self.check(&[&["--json"], arguments].concat());
        let json = run.json();
        let wanted = match json["verdict"].as_str() {
            Some("trusted") => 0,
            Some("distrusted") => 1,
            Some("undecided") => 3,
            other => panic!("{other:?}: {run:?}"),
        };
        assert_eq!((run.status, run.stderr.as_str()), (wanted, ""), "{run:?}");
        json
    }

    #[track_caller]
    fn expect(&self, arguments: &[&str], verdict: &str, rule: &str) -> Value {
        let json = self.verdict(arguments);
        assert_eq!((&json["verdict"], &json["rule"]), (&verdict.into(), &rule.into()), "{json:#}");
        json
    }
}

/// What a verdict says of one node.
fn view<'a>(verdict: &'a Value, node: &Node) -> &'a Value {
    let views = verdict["views"].as_array().unwrap();
    let found = views.iter().find(|view| view["vantage"] == node.vantage.as_str());
    found.unwrap_or_else(|| panic!("no view of {}: {verdict:#}", node.vantage))
}

#[test]
fn an_honest_server_and_an_attacker_near_me() {
    needs!("openssl", "nginx");
    let walk = Walk::start();
    let nginx = walk.nginx([("everybody", "good"), ("america", "good"), ("near-me", "evil")]);
    let site = nginx.address();

    let run = walk.check(&[&site]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("verdict: TRUSTED (corroborated)\n"), "{run:?}");
    assert!(run.stdout.contains("2 of 2 asked see the key that you see."), "{run:?}");
    let verdict = walk.expect(&[&site], "trusted", "corroborated");
    for node in [&walk.europe, &walk.america] {
        let view = view(&verdict, node);
        assert_eq!((&view["agrees"], &view["word"]), (&"same-leaf".into(), &"for".into()), "{view:#}");
        assert_eq!(view["view"]["now"]["leaf"], walk.keeper.fingerprint("good"));
    }

    let run = walk.check(&["--source", NEAR_ME, &site]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("verdict: DISTRUSTED (mitm-near-me)\n"), "{run:?}");
    let verdict = walk.expect(&["--source", NEAR_ME, &site], "distrusted", "mitm-near-me");
    assert_eq!(verdict["local"]["now"]["leaf"], walk.keeper.fingerprint("evil"));
    for node in [&walk.europe, &walk.america] {
        let view = view(&verdict, node);
        assert_eq!((&view["agrees"], &view["word"]), (&"differs".into(), &"against".into()), "{view:#}");
        assert_eq!(view["there"]["key"], walk.keeper.key_fingerprint("good"), "at my address, too: {view:#}");
    }
    assert_eq!(walk.check(&["--quiet", &site]).status, 0, "and nobody else is told so");
}

#[test]
fn a_hijack_that_one_node_sees() {
    needs!("openssl", "nginx");
    let walk = Walk::start();
    let nginx = walk.nginx([("everybody", "good"), ("america", "evil"), ("near-me", "good")]);
    let run = walk.check(&[&nginx.address()]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("verdict: UNDECIDED (partial-hijack)\n"), "{run:?}");
    let line = |node: &Node| run.stdout.lines().find(|line| line.starts_with(&node.https)).unwrap().to_owned();
    assert!(line(&walk.america).contains(" NO "), "{run:?}");
    assert!(line(&walk.europe).contains(" yes "), "{run:?}");

    let verdict = walk.expect(&[&nginx.address()], "undecided", "partial-hijack");
    assert_eq!(view(&verdict, &walk.europe)["agrees"], "same-leaf");
    let differing = view(&verdict, &walk.america);
    assert_eq!((&differing["agrees"], &differing["region"]), (&"differs".into(), &"us-east".into()));
    assert_eq!(differing["view"]["now"]["leaf"], walk.keeper.fingerprint("evil"));
    assert_eq!(verdict["counts"], serde_json::json!({ "asked": 2, "answered": 2, "agree": 1, "differ": 1 }));
}

#[test]
fn a_certificate_that_changes_for_everybody() {
    needs!("openssl", "nginx");
    let walk = Walk::start();
    let nginx = walk.nginx([("everybody", "good"), ("america", "good"), ("near-me", "good")]);
    let site = nginx.address();
    walk.expect(&[&site], "trusted", "corroborated");
    walk.keeper.replace("everybody", "new");
    walk.keeper.replace("america", "new");
    let verdict = change_seen_by_all(&walk, &site);
    for node in [&walk.europe, &walk.america] {
        let view = &view(&verdict, node)["view"];
        assert_eq!(view["now"]["leaf"], walk.keeper.fingerprint("new"), "{view:#}");
        let remembered = view["history"].as_array().unwrap().iter().map(|span| &span["key"]);
        assert!(remembered.into_iter().any(|key| *key == walk.keeper.key_fingerprint("good")), "{view:#}");
    }
}

/// Checks once the person has seen the new certificate. Both nodes looked a moment ago: their looks are of the past, and
/// call nobody an attacker.
fn change_seen_by_all(walk: &Walk, site: &str) -> Value {
    for _ in 0..3 {
        assert_eq!(walk.user.observes(&[site])["leaf"], walk.keeper.fingerprint("new"));
    }
    walk.expect(&[site], "undecided", "global-change")
}

#[test]
fn the_same_with_openssl() {
    needs!("openssl");
    let walk = Walk::start();
    let pem = |name: &str| walk.keeper.file(&format!("{name}.pem"));
    let site = format!("127.0.0.1:{}", free_port());
    let server = Server::start_at(&site, &pem("good"), "");
    let verdict = walk.expect(&[&site], "trusted", "corroborated");
    assert_eq!(verdict["local"]["now"]["leaf"], walk.keeper.fingerprint("good"));
    drop(server);
    let _server = Server::start_at(&site, &pem("new"), "");
    change_seen_by_all(&walk, &site);
}

#[test]
fn a_node_that_is_gone_is_named_and_its_place_does_not_count() {
    needs!("openssl");
    let walk = Walk::start();
    let server = Server::start(&walk.keeper.file("good.pem"), "");
    let gone = walk.america.vantage.clone();
    let Walk { america, .. } = &walk;
    crate::support::signal("KILL", &america.process);
    let verdict = walk.expect(&[server.address()], "undecided", "not-enough");
    // The other one may not be waited for: its word could change nothing.
    let missing = verdict["missing"].as_array().unwrap().iter().find(|missing| missing["vantage"] == gone.as_str());
    let why = missing.unwrap_or_else(|| panic!("{verdict:#}"))["why"].as_str().unwrap();
    assert!(why.starts_with("it can't be reached: "), "{why}");
}

#[test]
fn json_has_the_fields_of_the_blueprint() {
    needs!("openssl");
    let walk = Walk::start();
    let server = Server::start(&walk.keeper.file("good.pem"), "");
    let verdict = walk.expect(&[server.address()], "trusted", "corroborated");
    let now = "at address outcome protocol proved leaf key issuer_key chain names not_before not_after ca_id public_ca";
    let dns = "a aaaa ca tlsa caa dnssec";
    expect_fields(&verdict, "service verdict rule reasons policy local views dropped missing counts elapsed_ms");
    expect_fields(&verdict["counts"], "asked answered agree differ");
    expect_fields(&verdict["local"], "dns now");
    for view in verdict["views"].as_array().unwrap() {
        expect_fields(view, "vantage region agrees word view");
        let view = &view["view"];
        expect_fields(view, "format vantage region service nonce issued_at valid_until dns now history authority");
        let span = "key leaf leaf_md5 issuer_key ca_id networks first_seen last_seen";
        expect_fields(&view["history"][0], span);
        expect_fields(&view["now"], now);
        expect_fields(&view["dns"], dns);
        assert_eq!((&view["format"], &view["service"]), (&"parallax-view/1".into(), &verdict["service"]));
    }
    expect_fields(&verdict["local"]["now"], now);
    expect_fields(&verdict["local"]["dns"], dns);
    assert_eq!(verdict["service"], format!("tls://{}", server.address()));
    assert_eq!(verdict["policy"], "evidence");
    assert!(verdict["elapsed_ms"].is_u64() && verdict["reasons"][0].is_string(), "{verdict:#}");
}

#[track_caller]
fn expect_fields(object: &Value, wanted: &str) {
    let found: BTreeSet<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    let missing: Vec<&str> = wanted.split(' ').filter(|field| !found.contains(field)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {object:#}");
}
