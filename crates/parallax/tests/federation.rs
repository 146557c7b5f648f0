//! A user who has nothing but a bootstrap file, with nodes as processes: `mirror publish`, `mirror bootstrap`, `check`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use parallax_lab::{Answer, Ca, Lab, Site, Validity};
use serde_json::Value;
use served::{PATIENCE, Served};
use support::{Home, Run};

const NODES: u8 = 4;

/// Nodes in networks of their own that hold one another for active, and a site.
struct World {
    lab: Lab,
    home: Home,
    nodes: Vec<Served>,
    service: String,
    _site: Site,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let at = lab.address(20, 10);
        let site = lab.site(at, &ca.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
        lab.dns().set("shop.example", Answer::a([at]).with_ttl(0)).unwrap();
        let service = format!("shop.example:{}", lab.port());
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_TIMEOUT", "30s")
            .with("PARALLAX_ROOTS", "roots.pem");
        home.write("roots.pem", &lab.roots_pem());
        // A day of the federation in ten seconds: in less, what the nodes ask one another fills their rates.
        let quick = format!("[mirror]\nday_secs = 10\nquizzes = 1\nmax_age_secs = 0\npopular = [\"{service}\"]\n");
        home.write("node.toml", &quick);
        let mut world = Self { lab, home, nodes: Vec::new(), service, _site: site };
        tokio::task::block_in_place(|| world.start_nodes());
        world
    }

    fn start_nodes(&mut self) {
        for number in 1..=NODES {
            let (region, operator) = (format!("region-{number}"), format!("operator {number}"));
            let source = self.lab.address(30 + number, 1).to_string();
            let flags = ["--config", "node.toml", "--region", &region, "--operator", &operator, "--source", &source];
            let data = format!("node-{number}");
            self.nodes.push(Served::start_at(&self.home, &data, &format!("{source}:0"), &flags));
        }
        for one in &self.nodes {
            for other in self.nodes.iter().filter(|other| other.vantage != one.vantage) {
                let own = format!("--node=https://{}", one.https);
                let run = self.home.run(&["mirror", "join", &own, &other.url()]);
                assert_eq!(run.status, 0, "{run:?}");
            }
        }
        let begun = Instant::now();
        for node in &self.nodes {
            loop {
                let said = self.home.run(&["mirror", "list", "--json", "--status", "active", &node.url()]).json();
                if said["mirrors"].as_array().unwrap().len() == usize::from(NODES) - 1 {
                    break;
                }
                assert!(begun.elapsed() < PATIENCE, "{said}");
                // Each source network has a rate, and everybody here is of one.
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
        }
    }

    /// Makes a bootstrap file of what the first node knows.
    fn publish(&self) -> Run {
        let node = format!("--node=https://{}", self.nodes[0].https);
        self.run(&["mirror", "publish", "--data", "node-1", &node, "--out", "mirrors.boot"])
    }

    fn run(&self, arguments: &[&str]) -> Run {
        tokio::task::block_in_place(|| self.home.run(arguments))
    }

    /// Reports that the nodes took.
    fn reports(&self) -> u64 {
        let lines = self.nodes.iter().flat_map(|node| {
            let metrics = node.get("/metrics");
            metrics.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        lines
            .filter(|line| line.contains("route=\"/v1/reports\"") && line.contains("\"202\""))
            .filter(|line| line.contains("_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

fn said(run: &Run, status: i32) -> &Run {
    assert_eq!(run.status, status, "{run:?}");
    let fits = |line: &str| line.starts_with('{') || line.chars().count() <= 80;
    assert!(run.stdout.lines().all(fits), "{}", run.stdout);
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_3_to_8_from_a_bootstrap_file_to_a_verdict_with_nothing_configured() {
    let world = World::start().await;
    let publisher = &world.nodes[0].vantage;

    // Nobody is known yet, and the check says how to get to know somebody.
    let run = world.run(&["check", &world.service]);
    let words = said(&run, 3).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("parallax mirror bootstrap"), "{run:?}");
    let run = world.run(&["mirror", "list"]);
    assert!(said(&run, 1).stderr.contains("no mirrors are known yet"), "{run:?}");

    let run = world.publish();
    assert!(said(&run, 0).stderr.contains("4 mirrors of 4 networks"), "{run:?}");
    // A second publisher puts their name under it.
    let run = world.run(&["mirror", "publish", "--data", "node-2", "--add", "mirrors.boot", "--out", "both.boot"]);
    assert!(said(&run, 0).stderr.contains("signed by 2 publishers"), "{run:?}");

    let by_second = format!("both.boot#{}", world.nodes[1].vantage);
    let run = world.run(&["mirror", "bootstrap", &by_second]);
    assert!(said(&run, 1).stderr.contains("--allow-private is for mirrors of a lab"), "{run:?}");
    let run = world.run(&["mirror", "bootstrap", "--allow-private", &by_second]);
    assert!(said(&run, 0).stdout.contains("4 mirrors are known now: 4 came, 0 went"), "{run:?}");
    let kept = world.home.path().join(".config/parallax/mirrors.json");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = said(&world.run(&["mirror", "list", "--json"]), 0).json();
    assert_eq!(listed["mirrors"].as_array().unwrap().len(), 4, "{listed}");
    assert!(said(&world.run(&["mirror", "list"]), 0).stdout.contains("region-3"));

    let run = world.run(&["check", &world.service]);
    assert!(said(&run, 0).stdout.contains(" mirrors of the federation were asked"), "{run:?}");
    assert!(run.stdout.contains("verdict: TRUSTED (corroborated)"), "{run:?}");
    let before = world.reports();
    assert!(before >= 2, "the mirrors that answered were told");
    let json = said(&world.run(&["check", "--json", "--no-reports", &world.service]), 0).json();
    let asked: Vec<Value> = json["mirrors"]["asked"].as_array().unwrap().clone();
    // A loaded machine has a fourth asked in the place of one that is late.
    assert!((3..=4).contains(&asked.len()) && json["mirrors"]["disagreed"] == false, "{json}");
    assert_eq!(world.reports(), before, "they were not told again");
    let learnt = said(&world.run(&["mirror", "list", "--json"]), 0).json();
    assert!(learnt["mirrors"][0]["round_trip_ms"].is_number(), "{learnt}");

    // Somebody stands between this user and the site.
    let evil = Ca::root("Somebody Else").unwrap();
    let attacker = world.lab.address(200, 66);
    let _attacker = world.lab.site(attacker, &evil.issue(&["shop.example"], Validity::current()).unwrap()).await;
    let user = world.lab.network(10);
    world.lab.dns().set_towards(user, "shop.example", Answer::a([attacker]).with_ttl(0)).unwrap();
    let source = world.lab.address(10, 1).to_string();
    let run = world.run(&["check", "--source", &source, &world.service]);
    assert!(said(&run, 1).stdout.contains("so more than the first were asked"), "{run:?}");
    world.lab.dns().treat_alike();

    // `resolve` asks them too, and a refresh changes nothing where nothing changed.
    assert_eq!(world.run(&["resolve", "shop.example", "A"]).status, 0);
    let run = world.run(&["mirror", "refresh"]);
    assert!(said(&run, 0).stdout.contains("4 mirrors are known now: 0 came, 0 went"), "{run:?}");
    let run = world.run(&["mirror", "refresh", "--if-due"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "it is fresh");

    // A list that is due is refreshed after the verdict, by a process that nobody waits for.
    let refreshed = |world: &World| world.run(&["mirror", "list", "--json"]).json()["refreshed_at"].clone();
    let (old, begun) = (refreshed(&world), Instant::now());
    world.home.write("due.toml", "");
    std::fs::copy(&kept, world.home.path().join("mirrors.json")).unwrap();
    let due = |arguments: &[&str]| {
        let mut command = world.home.command(&[arguments, &["--config", "due.toml"]].concat());
        command.env("PARALLAX_MIRROR_REFRESH", "1s");
        tokio::task::block_in_place(|| Run::of_command(command, b""))
    };
    while due(&["mirror", "list", "--json"]).json()["refreshed_at"] == old {
        assert!(begun.elapsed() < PATIENCE, "not refreshed");
        due(&["check", "--quiet", &world.service]);
    }

    // Fetched from the publisher's own node, and from anywhere.
    std::fs::copy(world.home.path().join("mirrors.boot"), world.home.path().join("node-1/bootstrap.json")).unwrap();
    let places = [format!("https://{}", world.nodes[0].https), format!("http://{}/v1/bootstrap", world.nodes[0].http)];
    for place in places {
        let run = world.run(&["mirror", "bootstrap", "--anew", "--allow-private", &format!("{place}#{publisher}")]);
        assert!(said(&run, 0).stdout.contains("4 came, 0 went"), "{run:?}");
    }
    let elsewhere = format!("https://{}#{publisher}", world.nodes[2].https);
    let run = world.run(&["mirror", "bootstrap", "--allow-private", &elsewhere]);
    assert!(said(&run, 1).stderr.contains("not to the pinned"), "{run:?}");
    refusals(&world, publisher);
}

/// What is cut, altered, of too few networks or by somebody else is refused in a sentence.
fn refusals(world: &World, publisher: &str) {
    let good = std::fs::read_to_string(world.home.path().join("mirrors.boot")).unwrap();
    let cut: String = good.chars().take(good.len() - 10).collect();
    for (content, id, part) in [
        (cut, publisher, "the bootstrap file is refused: it can't be read: EOF"),
        (good.replacen("127.", "128.", 1), publisher, "is not signed by"),
        (good.clone(), world.nodes[3].vantage.as_str(), "there is no descriptor of that publisher in it"),
        (" ".repeat(1024 * 1024 + 1), publisher, "at most 1048576 are read"),
    ] {
        world.home.write("bad.boot", &content);
        let run = world.run(&["mirror", "bootstrap", "--allow-private", &format!("bad.boot#{id}")]);
        assert!(said(&run, 1).stderr.contains(part) && run.stderr.lines().count() == 1, "{part}: {run:?}");
    }
    let url = |number: usize| world.nodes[number].url();
    // The first was asked so often by now that it would refuse.
    let run = world.run(&["mirror", "publish", "--data", "node-1", &url(2), &url(3)]);
    assert!(said(&run, 1).stderr.contains("names mirrors of 2 networks; at least 3 are needed"), "{run:?}");
    assert_eq!(run.stdout, "");
    let nobody = format!("https://127.0.0.1:9#{}", "ab".repeat(32));
    for (arguments, status, part) in [
        (vec!["mirror", "publish", "--data", "node-1", &nobody], 1, "was not met"),
        (vec!["mirror", "publish", "--data", "nowhere", &nobody], 2, "nowhere/identity can't be used"),
        (vec!["mirror", "publish", "--data", "node-1", "https://a.example:8443"], 2, "has no pin"),
        (vec!["mirror", "publish", "--most", "2"], 2, "names 3 to 500 mirrors"),
        (vec!["mirror", "publish", "--data", "node-1", "--valid", "400d", &nobody], 2, "at most 366d"),
        (vec!["mirror", "bootstrap", "mirrors.boot"], 2, "write FILE#ID or URL#ID"),
        (vec!["mirror", "bootstrap", "--allow-private", &format!("none#{publisher}")], 2, "none can't be read"),
        (vec!["mirror", "list", "--status", "active"], 2, "add --here"),
        (vec!["mirror", "bootstrap", &format!("mirrors.boot#{publisher}")], 1, "add --allow-private"),
    ] {
        let run = world.run(&arguments);
        assert!(said(&run, status).stderr.contains(part), "{arguments:?} {run:?}");
    }
}
