//! `resolve` and `ca-auth` on real sockets, and a CA that is taken back while everything runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/notary.rs"]
#[allow(dead_code, reason = "only its key is of use here")]
mod notary;
mod support;

use std::time::{Duration, Instant};

use parallax_lab::{Answer, Ca, Lab, LabNode, Validity};
use support::{Home, Run};

/// A lab with three nodes in three regions, and a user.
struct World {
    lab: Lab,
    nodes: Vec<LabNode>,
    home: Home,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let mut nodes = Vec::new();
        for (network, region, rir) in [(21, "eu-west", "RIPE"), (22, "us-east", "ARIN"), (23, "ap-south", "APNIC")] {
            nodes.push(lab.node(network, region, rir).await.unwrap());
        }
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(20, 1).to_string())
            .with("PARALLAX_TIMEOUT", "30s");
        Self { lab, nodes, home }
    }

    /// The lab serves on this runtime while the command runs.
    async fn run(&self, arguments: &[&str]) -> Run {
        tokio::task::block_in_place(|| self.home.run(arguments))
    }

    /// The same, with all nodes named.
    async fn ask(&self, arguments: &[&str]) -> Run {
        let urls: Vec<String> = self.nodes.iter().map(|node| node.url().to_string()).collect();
        let named = urls.iter().flat_map(|url| ["--vantage", url.as_str()]);
        self.run(&arguments.iter().copied().chain(named).collect::<Vec<_>>()).await
    }

    fn poison(&self, at: &str, answer: Answer) {
        self.lab.dns().set_towards(self.lab.address(20, 1), at, answer).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resolve_tells_what_i_get_and_what_others_get() {
    let world = World::start().await;
    world.lab.dns().set("bank.example", Answer::mx(&[(10, "mail.bank.example")]).unwrap().with_ttl(300)).unwrap();
    let run = world.ask(&["resolve", "Bank.Example.", "mx"]).await;
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("bank.example MX: policy evidence, 3 of 3 asked answered"), "{}", run.stdout);
    assert!(run.stdout.contains("verdict: TRUSTED (corroborated)\n"), "{}", run.stdout);
    assert!(run.stdout.contains("What you get: (300 s left)\n  10 mail.bank.example.\n"), "{}", run.stdout);

    world.poison("bank.example", Answer::mx(&[(5, "mail.evil.example")]).unwrap().with_ttl(60));
    let run = world.ask(&["resolve", "bank.example", "MX"]).await;
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("verdict: DISTRUSTED (differs-near-me)\n"), "{}", run.stdout);
    assert!(run.stdout.contains("What 3 of the others get:"), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);

    let run = world.ask(&["resolve", "bank.example", "MX", "--json"]).await;
    let json = run.json();
    assert_eq!((&json["verdict"], &json["rule"]), (&"distrusted".into(), &"differs-near-me".into()));
    assert_eq!((&json["name"], &json["type"]), (&"bank.example".into(), &"MX".into()));
    assert_eq!(json["local"]["records"][0], "5 mail.evil.example.");
    assert_eq!(json["answers"][0]["answer"]["records"][0], "10 mail.bank.example.");
    assert_eq!((&json["answers"][0]["agrees"], &json["counts"]["differ"]), (&"differs".into(), &3.into()));

    let run = world.ask(&["resolve", "bank.example", "MX", "--quiet", "--policy", "majority"]).await;
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resolve_without_anybody_and_with_old_notaries_is_undecided() {
    let world = World::start().await;
    world.lab.dns().set("bank.example", Answer::txt("v=spf1 -all")).unwrap();
    let run = world.run(&["resolve", "bank.example", "TXT"]).await;
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("nobody asked") && run.stdout.contains("parallax vantage add URL"), "{}", run.stdout);
    assert!(run.stdout.contains("\"v=spf1 -all\""), "{}", run.stdout);

    world.home.write("notary.pem", &notary::public_pem(1));
    let old = ["--vantage", "perspectives+http://127.0.0.1:9#notary.pem"];
    let run = world.ask(&[&["resolve", "bank.example", "TXT"], &old[..]].concat()).await;
    assert_eq!(run.status, 0, "{run:?}");
    let named = "127.0.0.1:9: not supported: old notaries can't be asked about DNS";
    assert!(run.stdout.contains(named) && run.stdout.contains("3 of 3 asked answered"), "{}", run.stdout);
    for (arguments, part) in [
        (["resolve", "bank.example", "ANY"], "\"ANY\" is not a record type"),
        (["resolve", "192.0.2.7", "A"], "is an address; write a DNS name"),
        (["resolve", "https://bank.example/", "A"], "more than a DNS name"),
        (["resolve", "a..b", "A"], "empty label"),
    ] {
        let run = world.run(&arguments).await;
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_strangers_can_not_paint_the_terminal() {
    let world = World::start().await;
    let paint = "\u{1b}[2J\u{1b}[32mverdict: TRUSTED\u{202e}\r\nverdict: TRUSTED (corroborated)";
    world.lab.dns().set("bank.example", Answer::txts([paint, "x"])).unwrap();
    world.poison("bank.example", Answer::txt(paint));
    let run = world.ask(&["resolve", "bank.example", "TXT"]).await;
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.chars().all(|c| c == '\n' || (' '..='~').contains(&c) || c == '…'), "{:?}", run.stdout);
    assert!(!run.stdout.lines().any(|line| line.starts_with("verdict: TRUSTED")), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ca_auth_prints_what_to_publish_and_checks_that_it_is() {
    let world = World::start().await;
    let (one, two) = (Ca::root("Example University").unwrap(), Ca::root("Old CA").unwrap());
    world.home.write("one.pem", one.pem());
    world.home.write("both.pem", &format!("{}{}", one.pem(), two.pem()));
    let run = world.run(&["ca-auth", "www.Uni.example", "--ca", "one.pem", "both.pem", "--port", "8443"]).await;
    assert_eq!(run.status, 0, "{run:?}");
    let records: Vec<&str> = run.stdout.lines().filter(|line| !line.starts_with(';')).collect();
    let wanted: Vec<String> = [
        format!("_ca-auth.www.uni.example. 300 IN TXT \"v=ca1; sha256={}\"", one.key()),
        format!("_ca-auth.www.uni.example. 300 IN TXT \"v=ca1; sha256={}\"", two.key()),
        format!("_8443._tcp.www.uni.example. 300 IN TLSA 2 1 1 {}", one.key()),
        format!("_8443._tcp.www.uni.example. 300 IN TLSA 2 1 1 {}", two.key()),
    ]
    .into();
    assert_eq!(records, wanted);
    assert!(
        run.stdout.contains("; O=Example University") || run.stdout.contains("Example University"),
        "{}",
        run.stdout
    );

    let check = ["ca-auth", "www.uni.example", "--ca", "one.pem", "--check"];
    let run = world.run(&check).await;
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains(&format!("  missing  {}\n", one.key())), "{}", run.stdout);

    // What was printed is what is read: the text goes into the zone as it stands there.
    let text = records[0].split('"').nth(1).unwrap();
    world.lab.dns().set("_ca-auth.uni.example", Answer::txt(text).with_ttl(120)).unwrap();
    let run = world.run(&check).await;
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("Published now (1 key, DNSSEC unchecked, 120 s left):"), "{}", run.stdout);

    let both = format!("v=ca1; sha256={}", two.key());
    world.lab.dns().set("_ca-auth.uni.example", Answer::txts([text, &both, "v=ca1; sha256=0"])).unwrap();
    let run = world.run(&[&check[..], &["--json"]].concat()).await;
    assert_eq!(run.status, 1, "another CA is authorised too: {run:?}");
    let published = &run.json()["published"];
    assert_eq!(
        (&published["ok"][0], &published["other"][0]),
        (&one.key().to_string().into(), &two.key().to_string().into())
    );
    assert!(published["ignored"][0].as_str().unwrap().contains("no SHA-256"), "{published}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ca_auth_names_what_is_no_ca() {
    let world = World::start().await;
    let ca = Ca::root("Example University").unwrap();
    let leaf = ca.issue(&["uni.example"], Validity::current()).unwrap();
    let pem = |der: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    world.home.write("leaf.pem", &pem(&leaf.chain()[0]));
    world.home.write("ca.pem", ca.pem());
    world.home.write("empty.pem", "");
    for (arguments, part) in [
        (&["--ca", "leaf.pem"][..], "leaf.pem: certificate 1 in it"),
        (&["--ca", "leaf.pem"], "is not a CA's"),
        (&["--ca", "empty.pem"], "no certificate in PEM form"),
        (&["--ca", "nowhere.pem"], "nowhere.pem: it can't be read"),
        (&["--ca", "/dev/zero"], "/dev/zero: it is larger than 1 MiB"),
        (&["--ca", "ca.pem", "--port", "0"], "ports are 1 to 65535"),
        (&["--ca", "ca.pem", "--ttl", "soon"], "--ttl:"),
        (&[], "--ca"),
    ] {
        let run = world.run(&[&["ca-auth", "uni.example"], arguments].concat()).await;
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
    let run = world.run(&["ca-auth", "192.0.2.7", "--ca", "ca.pem"]).await;
    assert!(run.status == 2 && run.stderr.contains("is an address"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_9_who_deletes_the_record_has_revoked_within_its_time_to_live() {
    let world = World::start().await;
    let ttl = Duration::from_secs(3);
    let ca = Ca::root("Example University").unwrap();
    let certificate = ca.issue(&["uni.example"], Validity::current()).unwrap();
    let _site = world.lab.site(world.lab.address(30, 10), &certificate).await.unwrap();
    world.lab.dns().set("uni.example", Answer::a([world.lab.address(30, 10)])).unwrap();
    world.lab.dns().set("_ca-auth.uni.example", Answer::ca_auth([ca.key()]).with_ttl(3)).unwrap();
    let service = format!("uni.example:{}", world.lab.port());
    let run = world.ask(&["check", &service]).await;
    assert!(run.status == 0 && run.stdout.contains("TRUSTED"), "{run:?}");

    world.lab.dns().remove("_ca-auth.uni.example").unwrap();
    let deleted = Instant::now();
    let mut latest_trusted = Duration::ZERO;
    let revoked = loop {
        let began = deleted.elapsed();
        let run = world.ask(&["check", &service]).await;
        if run.status == 1 {
            break run;
        }
        latest_trusted = began;
        assert!(began < ttl + Duration::from_secs(60), "{run:?}");
    };
    assert!(revoked.stdout.contains("verdict: DISTRUSTED (revoked)"), "{}", revoked.stdout);
    assert!(latest_trusted <= ttl + Duration::from_secs(3), "a check after {latest_trusted:?} still trusted");
}
