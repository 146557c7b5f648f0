//! Nodes as processes: ready line, answers, signals; and a check that asks them about a real site.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use parallax_lab::{Answer, Ca, Lab, Site, Validity};
use served::Served;
use support::{Home, Run};

#[test]
fn a_node_says_when_it_is_ready_answers_and_stops_when_told() {
    let home = Home::new();
    for (signal, data) in [("TERM", "one"), ("INT", "two")] {
        let mut node = Served::start(&home, data, &["--region", "eu-west"]);
        assert!(node.get("/healthz").starts_with("HTTP/1.1 200"));
        assert!(node.get("/v1/vantage").contains(&node.vantage));
        let mode = std::fs::metadata(home.path().join(data).join("identity")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        node.signal(signal);
        let (status, took) = node.wait();
        assert_eq!(status.code(), Some(0), "{signal}");
        // Five seconds are promised; a loaded machine may add some.
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
}

#[test]
fn a_node_keeps_its_identity() {
    let home = Home::new();
    let first = Served::start(&home, "data", &[]);
    let second = home.run(&["serve", "--data", "data", "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"]);
    assert_eq!((second.status, second.stdout.as_str()), (1, ""));
    assert!(second.stderr.contains("parallax: another node runs with the data directory data"), "{second:?}");
    let id = first.vantage.clone();
    drop(first);
    assert_eq!(Served::start(&home, "data", &[]).vantage, id, "after kill -9 as well");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = home.run(&["serve", "--data", "data", "--listen", &address, "--listen-tls", "127.0.0.1:0"]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains(&format!("parallax: can't listen on {address}: ")), "{run:?}");
}

#[test]
fn vantage_points_are_added_listed_and_removed() {
    let home = Home::new();
    let flags = ["--region", "eu-west", "--rir", "RIPE", "--operator", "Example \u{202e}Operator"];
    let node = Served::start(&home, "data", &flags);
    let url = node.url();
    let address = format!("https://{}", node.https);

    let run = home.run(&["vantage", "add", &address]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("has no pin") && run.stderr.contains("--trust-first"), "{run:?}");
    let wrong = format!("{address}#{}", "ab".repeat(32));
    let run = home.run(&["vantage", "add", &wrong]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains(&node.vantage), "it names whom it met: {run:?}");

    let run = home.run(&["vantage", "add", &url]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!(run.stdout, format!("added {url} (eu-west, RIPE, Example \\u{{202e}}Operator)\n"));
    let run = home.run(&["vantage", "add", "--trust-first", &address]);
    assert_eq!(run.stdout.split(' ').next(), Some("renewed"), "{run:?}");
    assert!(run.stderr.contains("trusted on first sight") && run.stderr.contains(&node.vantage), "{run:?}");

    let list = home.run(&["vantage", "list"]).stdout;
    assert!(list.contains(&node.https) && list.contains("eu-west") && list.lines().count() == 2, "{list}");
    let json = home.run(&["vantage", "list", "--json"]).json();
    assert_eq!(json["vantages"][0]["url"], url);
    assert_eq!(json["vantages"][0]["vantage"], node.vantage);

    let run = home.run(&["vantage", "remove", &address]);
    assert_eq!((run.status, run.stdout), (0, format!("removed {url}\n")));
    let run = home.run(&["vantage", "remove", &node.vantage]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("is not in the list"), "{run:?}");
    let run = home.run(&["vantage", "list"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""));
    assert!(run.stderr.contains("no vantage point is listed"), "{run:?}");
}

#[test]
fn a_pinned_address_is_not_handed_to_another_node() {
    let home = Home::new();
    let honest = Served::start(&home, "honest", &[]);
    assert_eq!(home.run(&["vantage", "add", &honest.url()]).status, 0);
    let address = honest.https.clone();
    drop(honest);
    let flags = ["--listen-tls", address.as_str()];
    let fixed = ["serve", "--listen", "127.0.0.1:0", "--data", "other"];
    let mut other = home.command(&[&fixed[..], &flags].concat()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let run = home.run(&["vantage", "add", "--trust-first", &format!("https://{address}")]);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains("is pinned to") && run.stderr.contains("parallax vantage remove"), "{run:?}");
    assert_eq!(home.run(&["vantage", "list", "--json"]).json()["vantages"].as_array().unwrap().len(), 1);
}

/// A lab with a site, and two nodes in two regions that look at it from their own networks.
struct World {
    lab: Lab,
    home: Home,
    ca: Ca,
    site: Site,
    service: String,
    nodes: Vec<Served>,
}

const NETWORK_OF_ME: u8 = 10;
const NETWORKS_OF_NODES: [(u8, &str); 2] = [(41, "eu-west"), (42, "us-east")];

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let at = lab.address(20, 10);
        let site = lab.site(at, &ca.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
        lab.dns().set("shop.example", Answer::a([at])).unwrap();
        let home =
            Home::new().with("PARALLAX_RESOLVER", &lab.dns().address().to_string()).with("PARALLAX_TIMEOUT", "30s");
        let roots = home.write("roots.pem", &lab.roots_pem());
        let home = home.with("PARALLAX_ROOTS", roots.to_str().unwrap());
        let nodes = NETWORKS_OF_NODES.iter().map(|(network, region)| {
            let source = lab.address(*network, 1).to_string();
            tokio::task::block_in_place(|| Served::start(&home, region, &["--region", region, "--source", &source]))
        });
        let nodes = nodes.collect();
        let service = format!("shop.example:{}", lab.port());
        Self { lab, home, ca, site, service, nodes }
    }

    fn me(&self) -> Ipv4Addr {
        self.lab.address(NETWORK_OF_ME, 1)
    }

    /// Runs `check` from my address.
    fn check(&self, flags: &[&str]) -> Run {
        let me = self.me().to_string();
        let arguments = [&["check", "--source", &me], flags, &[&self.service]].concat();
        tokio::task::block_in_place(|| self.home.run(&arguments))
    }

    fn add_all(&self) {
        for node in &self.nodes {
            let run = tokio::task::block_in_place(|| self.home.run(&["vantage", "add", &node.url()]));
            assert_eq!(run.status, 0, "{run:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_that_everybody_reaches_is_trusted() {
    let world = World::start().await;
    world.add_all();
    let run = world.check(&[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("verdict: TRUSTED (corroborated)"), "{run:?}");
    for (_, region) in NETWORKS_OF_NODES {
        assert!(run.stdout.contains(region), "{run:?}");
    }
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    assert_eq!(run.stderr, "");

    for policy in ["majority", "quorum", "unanimous"] {
        let flags = ["--policy", policy, "--json"];
        let flags = if policy == "majority" { [&flags[..], &["--min-views", "1"]].concat() } else { flags.to_vec() };
        let json = world.check(&flags).json();
        assert_eq!(json["policy"], policy, "{json}");
    }

    let many = format!("{0}\n{0}\n", world.service);
    let me = world.me().to_string();
    let run =
        tokio::task::block_in_place(|| world.home.run_with_input(&["check", "--source", &me, "-"], many.as_bytes()));
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(run.stdout.matches("trusted     corroborated       tls://shop.example:").count(), 2, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_certificate_for_me_alone_is_distrusted_and_the_difference_is_shown() {
    let world = World::start().await;
    let forged = Ca::root("Example Trust Services").unwrap().issue(&["shop.example"], Validity::current()).unwrap();
    world.site.set_certificate_towards(world.lab.network(NETWORK_OF_ME), &forged).unwrap();
    let urls: Vec<_> = world.nodes.iter().map(Served::url).collect();
    let flags = ["--vantage", urls[0].as_str(), "--vantage", urls[1].as_str()];
    let run = world.check(&flags);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("verdict: DISTRUSTED (mitm-near-me)"), "{run:?}");
    assert_eq!(run.stdout.matches("against").count(), 2, "{run:?}");
    assert!(run.stdout.contains("next: Send no password"), "{run:?}");

    // Somebody else's service is still theirs: the same nodes, an honest address.
    world.site.set_certificate(&world.ca.issue(&["shop.example"], Validity::current()).unwrap()).unwrap();
    world.site.treat_alike();
    let run = world.check(&flags);
    assert_ne!(run.status, 1, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_pin_is_dropped_and_named_and_trust_first_says_what_it_took() {
    let world = World::start().await;
    let [one, two] = [&world.nodes[0], &world.nodes[1]];
    let swapped = format!("https://{}#{}", one.https, two.vantage);
    let run = world.check(&["--vantage", &swapped, "--vantage", &one.url(), "--json"]);
    let json = run.json();
    assert_eq!((run.status, &json["rule"]), (3, &"not-enough".into()), "{json}");
    assert_eq!(json["dropped"][0]["vantage"], two.vantage, "{json}");
    assert!(json["dropped"][0]["why"].as_str().unwrap().contains(&one.vantage), "{json}");

    let bare = format!("https://{}", one.https);
    assert_eq!(world.check(&["--vantage", &bare]).status, 2);
    let run = world.check(&["--vantage", &bare, "--vantage", &two.url(), "--trust-first"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stderr.contains(&format!("trusted on first sight: {}", one.url())), "{run:?}");

    // Once it is listed, its pin is known.
    world.add_all();
    let run = world.check(&["--vantage", &bare, "--vantage", &two.url()]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
}
