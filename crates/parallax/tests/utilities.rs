//! The notary's utilities on a node's memory: services, scan, export, import.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::time::{Duration, Instant};

use parallax_client::{Deadline, NodeVantage, VantagePoint as _};
use parallax_lab::{Answer, Behaviour, Lab, Site, Validity};
use parallax_proto::mirror::{forgets, is_equivocation};
use parallax_proto::{Question, Verified, View};
use support::{Home, Run};

/// A lab with one honest site, and a home whose settings lead there.
struct World {
    lab: Lab,
    home: Home,
    service: String,
    _site: Site,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let at = lab.address(20, 10);
        let site = lab.site(at, &ca.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
        lab.dns().set("shop.example", Answer::a([at])).unwrap();
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(10, 1).to_string())
            .with("PARALLAX_DATA", "data");
        std::fs::create_dir(home.path().join("data")).unwrap();
        let service = format!("shop.example:{}", lab.port());
        Self { lab, home, service, _site: site }
    }

    /// The lab serves on this runtime while the command runs.
    fn run(&self, arguments: &[&str], input: &str) -> Run {
        tokio::task::block_in_place(|| self.home.run_with_input(arguments, input.as_bytes()))
    }

    fn scan(&self, arguments: &[&str], input: &str) -> Run {
        let fixed = ["scan", "--allow-private", "--rate", "1000", "--timeout", "60s"];
        self.run(&[&fixed, arguments].concat(), input)
    }
}

fn home_with_data() -> Home {
    let home = Home::new().with("PARALLAX_DATA", "data");
    std::fs::create_dir(home.path().join("data")).unwrap();
    home
}

#[test]
fn services_are_added_listed_and_removed() {
    let home = home_with_data();
    let run = home.run(&["services", "list"]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("data holds no parallax.sqlite; name the data directory"), "{run:?}");

    let run = home.run(&["services", "add", "example.com", "EXAMPLE.com.", "mail.example:993,2"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!(run.stdout, "added tls://example.com:443\nknown tls://example.com:443\nadded tls://mail.example:993\n");
    let list = home.run(&["services", "list"]).stdout;
    assert_eq!(list, "never             tls://example.com:443\nnever             tls://mail.example:993\n");
    assert_eq!(home.run(&["services", "list", "--older-than", "5d"]).stdout, list, "never seen is not seen lately");
    assert_eq!(home.run(&["services", "list", "--newer-than", "5d"]).stdout, "");
    let json = home.run(&["services", "list", "--json"]).stdout;
    assert_eq!(json.lines().next(), Some(r#"{"last_seen":null,"service":"tls://example.com:443"}"#));

    let run = home.run(&["services", "remove", "example.com", "other.example"]);
    assert_eq!((run.status, run.stdout.as_str()), (1, "removed tls://example.com:443\n"));
    assert_eq!(run.stderr, "parallax: tls://other.example:443 is not known\n");
    for wrong in [&["add", "a b"][..], &["list", "--older-than", "5"], &["list", "--data", ""], &["add"]] {
        let run = home.run(&[&["services"], wrong].concat());
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
    }
}

#[test]
fn what_old_notaries_remembered_goes_in_and_out_and_bad_lines_are_named() {
    let home = home_with_data();
    let print = "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f";
    let rows = format!(
        "# an old notary\n('github.com:443,2', '{print}', 1376665224, 1382022034)\nnonsense\n\
         example.com:443,2\t{print}\t1376665224\t4000000000\nexample.com:443,2|{print}|5|9\n{}\n",
        "x".repeat(2 << 20)
    );
    let run = home.run_with_input(&["import"], rows.as_bytes());
    assert_eq!((run.status, run.stdout.as_str()), (1, "imported 2 lines, refused 3 lines\n"), "{run:?}");
    let complaints: Vec<_> = run.stderr.lines().collect();
    assert!(complaints[0].starts_with("parallax: line 3: it is neither"), "{run:?}");
    assert!(complaints[1].starts_with("parallax: line 4: a timespan ends at 2096"), "{run:?}");
    assert_eq!(complaints[2], "parallax: line 6: the line is longer than 1048576 bytes");

    let run = home.run(&["export"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let lines: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["format"], "parallax-export/1");
    assert_eq!(lines[2]["service"], "tls://github.com:443");
    assert_eq!(lines[2]["history"].as_array().unwrap().len(), 0, "no key is made up");
    assert_eq!(lines[2]["old"][0]["leaf_md5"], print.replace(':', ""));
    assert_eq!(lines[2]["old"][0]["first_seen"], "2013-08-16T15:00:24.000Z");

    let to_file = home.run(&["export", "all.jsonl"]);
    assert_eq!((to_file.status, to_file.stdout.as_str()), (0, ""), "{to_file:?}");
    let other = home_with_data();
    let file = home.path().join("all.jsonl");
    for _ in 0..2 {
        let imported = other.run(&["import", file.to_str().unwrap()]);
        assert_eq!((imported.status, imported.stdout.as_str()), (0, "imported 2 lines, refused 0 lines\n"));
        assert_eq!(other.run(&["export"]).stdout, run.stdout, "the same, also the second time");
    }

    let run = other.run_with_input(&["import"], b"{\"format\":\"parallax-export/9\"}\n");
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("line 1: the format \"parallax-export/9\" is not known"), "{run:?}");
    assert_eq!(other.run(&["import", "nowhere"]).status, 2);
    assert_eq!(other.run(&["export", "nowhere/file"]).status, 1);
    assert_eq!(other.run(&["services", "remove", "github.com", "example.com"]).status, 0);
    assert_eq!(other.run(&["export"]).stdout.lines().count(), 1, "what old notaries remembered is forgotten as well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_says_what_it_saw_missed_and_skipped() {
    let world = World::start().await;
    let port = world.lab.port();
    let silent = world.lab.address(20, 20);
    let _cut = world.lab.open(silent, Behaviour::Cut).await.unwrap();
    let list = format!(
        "# a list\n{0}\n\n{0},2\nnot a service\n{silent}:{port}\nnowhere.example:{port}\n  tls://{0}\n",
        world.service
    );
    world.home.write("list.txt", &list);
    let run = world.scan(&["list.txt"], "");
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains(&format!("no-address  tls://nowhere.example:{port}\n")), "{run:?}");
    assert!(run.stdout.contains("seen: 1 of 3 services in "), "{run:?}");
    assert!(run.stdout.contains("\n  no-address  1: DNS gave no address\n"), "{run:?}");
    assert!(run.stdout.ends_with("skipped: 1 bad lines, 2 named twice\n"), "{run:?}");
    assert!(run.stderr.starts_with("parallax: line 5: "), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");

    let list = world.run(&["services", "list", "--newer-than", "1d"], "").stdout;
    assert!(list.ends_with(&format!("tls://{}\n", world.service)) && list.lines().count() == 1, "{list}");

    let run = world.scan(&[], "");
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "from the store: {run:?}");
    assert!(run.stdout.starts_with("seen: 1 of 1 services"), "{run:?}");
    let added = format!("nowhere.example:{port}");
    assert_eq!(world.run(&["services", "add", &added], "").status, 0);
    assert_eq!(world.scan(&[], "").status, 1);

    let denied = world.run(&["scan", "-"], &world.service);
    assert!(denied.stdout.contains("  not-allowed 1: "), "loopback needs --allow-private: {denied:?}");
    for wrong in [&["--rate", "0"][..], &["--jobs", "0"], &["--timeout", "0s"], &["--timeout", "5"], &["nowhere.txt"]] {
        let run = world.run(&[&["scan"], wrong].concat(), "");
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{wrong:?} {run:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_a_hundred_thousand_lines() {
    let world = World::start().await;
    let mut list = String::new();
    for number in 0..50_000 {
        list.push_str(&format!("gar bage {number}\n{}\n", world.service));
    }
    let run = world.scan(&["-"], &list);
    assert_eq!(run.status, 1);
    assert!(run.stdout.starts_with("seen: 1 of 1 services in "), "{}", run.stdout);
    assert!(run.stdout.ends_with("skipped: 50000 bad lines, 49999 named twice\n"), "{}", run.stdout);
    assert_eq!(run.stderr.lines().count(), 50_000);
    assert!(run.stderr.lines().last().unwrap().starts_with("parallax: line 99999: "));
}

#[test]
fn a_list_of_many_services_garbage_and_duplicates() {
    let home = home_with_data();
    let mut list = String::new();
    for number in 0..20_000 {
        let service = format!("10.{}.{}.1:443", number / 250, number % 250);
        list.push_str(&format!("{service}\nno service {number}\n# {number}\n{service},2\n\n"));
    }
    // Nothing is connected to: private addresses are not allowed.
    let run = home.run_with_input(&["scan", "--rate", "10000", "-"], list.as_bytes());
    assert_eq!(run.status, 1);
    assert_eq!(run.stdout.matches("\nnot-allowed tls://10.").count(), 19_999);
    assert!(run.stdout.contains("\nseen: 0 of 20000 services in "), "{}", run.stdout);
    assert!(run.stdout.contains("\n  not-allowed 20000: "), "{}", run.stdout);
    assert!(run.stdout.ends_with("skipped: 20000 bad lines, 20000 named twice\n"), "{}", run.stdout);
    assert!(run.stderr.lines().last().unwrap().starts_with("parallax: line 99997: "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_a_budget_however_many_names_lead_there() {
    let world = World::start().await;
    let (port, busy) = (world.lab.port(), world.lab.address(20, 10));
    let mut list = String::new();
    for number in 0..8 {
        world.lab.dns().set(&format!("name-{number}.example"), Answer::a([busy])).unwrap();
        list.push_str(&format!("name-{number}.example:{port}\n"));
    }
    let quiet = world.lab.address(20, 30);
    let _cut = world.lab.open(quiet, Behaviour::Cut).await.unwrap();
    list.push_str(&format!("{quiet}:{port}\n"));
    let begun = std::time::Instant::now();
    let run = world.scan(&["-"], &list);
    assert!(begun.elapsed().as_secs_f64() >= 2.9, "five at once, then one a second: {:?}", begun.elapsed());
    assert!(run.stdout.contains("seen: 8 of 9 services in "), "{run:?}");
    assert!(run.stdout.contains("waited: 3 for the budget of their address (--per-address)\n"), "{run:?}");
    let run = world.scan(&["--per-address", "off", "-"], &list);
    assert!(run.stdout.contains("seen: 8 of 9 services in ") && !run.stdout.contains("waited"), "{run:?}");
    let wrong = world.scan(&["--per-address", "0", "-"], "");
    assert!(wrong.status == 2 && wrong.stderr.contains("1 to 10000, or off"), "{wrong:?}");
}

#[test]
fn an_export_leaves_pipes_links_and_the_memory_what_they_are() {
    let home = home_with_data();
    assert_eq!(home.run(&["services", "add", "example.com"]).status, 0);
    let lines = home.run(&["export"]).stdout;
    let target = home.write("there/backup.jsonl", "of yesterday");
    std::os::unix::fs::symlink(&target, home.path().join("backup.jsonl")).unwrap();
    assert_eq!(home.run(&["export", "backup.jsonl"]).status, 0);
    assert!(home.path().join("backup.jsonl").is_symlink());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), lines);

    let pipe = home.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap())
    };
    assert_eq!(home.run(&["export", "pipe"]).status, 0);
    assert_eq!(reader.join().unwrap(), lines);
    assert!(!pipe.is_file(), "the pipe is still one");

    for memory in ["data/parallax.sqlite", "there/../data/parallax.sqlite"] {
        let run = home.run(&["export", memory]);
        assert_eq!(run.status, 2, "{run:?}");
        assert!(run.stderr.contains("is the memory that is to be exported; name another file"), "{run:?}");
    }
    assert_eq!(home.run(&["export"]).stdout, lines);
}

#[test]
fn a_picture_of_nothing_replaces_none() {
    let home = home_with_data();
    assert_eq!(home.run(&["services", "add", "example.com"]).status, 0);
    let picture = home.write("a.svg", "of yesterday");
    let run = home.run(&["history", "--svg", "a.svg", "unknown.example"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert_eq!(std::fs::read_to_string(&picture).unwrap(), "of yesterday");
    assert_eq!(home.run(&["history", "--svg", "a.svg", "example.com"]).status, 0);
    assert!(std::fs::read_to_string(&picture).unwrap().starts_with("<svg "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_running_node() {
    let world = World::start().await;
    let data = world.home.path().join("data");
    let node = world.lab.node_with(41, "eu-west", "RIPE", |settings| settings.data = data).await.unwrap();
    let run = world.scan(&["-"], &world.service);
    assert_eq!(run.status, 0, "{run:?}");
    let before = world.run(&["export"], "").stdout;
    assert_eq!(before.lines().count(), 2, "{before}");

    // The node remembers what the scan saw, and the other way round.
    let me = world.lab.checker(world.lab.address(10, 1), [&node]).unwrap().build();
    let report = me.report(&world.service.parse().unwrap()).await;
    let history = &report.views[0].view.content().history;
    assert_eq!(history.len(), 1, "{report:?}");
    let after = world.run(&["export"], "").stdout;
    let line: serde_json::Value = serde_json::from_str(after.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["history"][0]["leaf"], history[0].leaf.to_string());
    assert_eq!(line["history"][0]["first_seen"], history[0].first_seen.to_string());

    let shown = world.run(&["history", &world.service], "");
    assert_eq!((shown.status, shown.stderr.as_str()), (0, ""), "{shown:?}");
    assert!(shown.stdout.contains("\nthis node\n  A  ") && shown.stdout.contains(&history[0].key.short()), "{shown:?}");
    assert!(shown.stdout.lines().all(|line| line.chars().count() <= 80), "{}", shown.stdout);
    let url = node.url().to_string();
    let json = world.run(&["history", "--vantage", &url, "--json", "--timeout", "60s", &world.service], "").json();
    assert_eq!(json["vantages"][0]["vantage"], node.vantage().to_string(), "{json}");
    assert_eq!(json["vantages"][0]["history"], line["history"], "{json}");

    let nobody = format!("https://{}:{}#{}", world.lab.address(30, 30), world.lab.port(), "ab".repeat(32));
    let flags = ["history", "--vantage", &nobody, "--vantage", &url, "--svg", "a.svg", &world.service];
    let run = world.run(&flags, "");
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "one did not answer: {run:?}");
    assert!(run.stderr.contains("it can't be reached"), "{run:?}");
    let svg = std::fs::read_to_string(world.home.path().join("a.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains(&history[0].key.to_string()), "{svg}");

    let unknown = world.run(&["history", "unknown.example"], "");
    assert_eq!((unknown.status, unknown.stdout.as_str()), (1, ""));
    assert!(unknown.stderr.contains("tls://unknown.example:443 is not known here"), "{unknown:?}");
    let unpinned = world.run(&["history", "--vantage", "https://127.0.0.1:1", &world.service], "");
    assert_eq!(unpinned.status, 2, "{unpinned:?}");
    node.shutdown().await.unwrap();
}

/// No test asks the machine's own resolver.
const NOBODY_RESOLVES: [&str; 2] = ["--resolver", "127.0.0.1:9"];

/// The rows of a reply, without its signature.
fn told(node: &served::Served, host: &str) -> String {
    let reply = node.get(&format!("/?host={host}"));
    reply.split_once("version=\"1\">\n").map_or(String::new(), |(_, rows)| rows.to_owned())
}

#[test]
fn what_an_old_notary_remembered_is_told_by_a_running_node_and_by_the_next_one() {
    let (home, other) = (home_with_data(), home_with_data());
    let prints = ["00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f", "ff:fe:fd:fc:fb:fa:f9:f8:f7:f6:f5:f4:f3:f2:f1:f0"];
    let row = |print: &str, start: u32, end: u32| format!("('old.invalid:443,2', '{print}', {start}, {end})\n");
    let node = served::Served::start(&home, "data", &NOBODY_RESOLVES);
    assert_eq!(told(&node, "old.invalid"), "");
    let rows = row(prints[1], 1_300_000_000, 1_310_000_000) + &row(prints[0], 1_376_665_224, 1_382_022_034);
    assert_eq!(home.run_with_input(&["import"], rows.as_bytes()).status, 0);
    let wait_for = |node: &served::Served, wanted: &str| {
        let begun = std::time::Instant::now();
        while told(node, "old.invalid") != wanted {
            assert!(begun.elapsed() < served::PATIENCE, "{:?}", told(node, "old.invalid"));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    let first = format!(
        "\t<key fp=\"{}\" type=\"ssl\">\n\t\t<timestamp end=\"1382022034\" start=\"1376665224\"/>\n\t</key>\n",
        prints[0]
    );
    let second = format!(
        "\t<key fp=\"{}\" type=\"ssl\">\n\t\t<timestamp end=\"1310000000\" start=\"1300000000\"/>\n\t</key>\n",
        prints[1]
    );
    wait_for(&node, &format!("{first}{second}</notary_reply>\n"));

    // One more row, while the reply stands in memory.
    let rows = row(prints[0], 1_200_000_000, 1_200_000_009);
    assert_eq!(home.run_with_input(&["import"], rows.as_bytes()).status, 0);
    let more =
        first.replace("\t\t<timestamp", "\t\t<timestamp end=\"1200000009\" start=\"1200000000\"/>\n\t\t<timestamp");
    let wanted = format!("{more}{second}</notary_reply>\n");
    wait_for(&node, &wanted);
    let exported = home.run(&["export"]).stdout;
    let view = node.get("/v1/view?service=old.invalid&wait=15");
    assert!(view.starts_with("HTTP/1.1 200 ") && view.contains("\"history\":[]"), "no view has them: {view}");
    node.stop();

    assert_eq!(other.run_with_input(&["import"], exported.as_bytes()).status, 0);
    assert_eq!(other.run(&["export"]).stdout, exported);
    let node = served::Served::start(&other, "data", &NOBODY_RESOLVES);
    assert_eq!(told(&node, "old.invalid"), wanted);
    assert_eq!(other.run(&["services", "remove", "old.invalid"]).status, 0);
    wait_for(&node, "");
    node.stop();
}

/// A view as the node that is named so signs it, verified.
async fn signed_view(node: &served::Served, service: &str) -> Verified<View> {
    let vantage = NodeVantage::new(node.url().parse().unwrap(), None).unwrap();
    let question = Question { max_age: Duration::ZERO, ..Question::about(service.parse().unwrap()) };
    vantage.view(question, Deadline::within(served::PATIENCE)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_16_who_removes_a_service_from_a_running_node_says_so_in_its_next_view_and_is_no_liar() {
    let world = World::start().await;
    let node = tokio::task::block_in_place(|| served::Served::start(&world.home, "data", &[]));
    let before = signed_view(&node, &world.service).await;
    let key = before.content().now.proved().expect("the site answers").key;
    assert_eq!(before.content().history.len(), 1);

    let run = world.run(&["services", "remove", &world.service], "");
    assert_eq!(run.status, 0, "{run:?}");
    // Looks at one service are two seconds apart; side by side, views need not know of one another.
    let begun = Instant::now();
    let after = loop {
        let view = signed_view(&node, &world.service).await;
        let apart = view.content().issued_at.since(before.content().issued_at);
        if view.content().now.at > before.content().now.at && apart > Duration::from_secs(2) {
            break view;
        }
        assert!(begun.elapsed() < served::PATIENCE, "it does not look again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let (old, new) = (before.content(), after.content());
    assert_eq!(new.now.proved().map(|met| met.key), Some(key), "the same site");
    assert!(new.history.iter().all(|span| span.first_seen > old.now.at), "it remembers nothing of it: {new:?}");
    assert!(new.kept_since > old.kept_since && new.kept_since >= Some(old.now.at), "{new:?}");
    assert!(!is_equivocation(&before, &after), "an operator may have a service forgotten");
    assert_eq!(forgets(&before, &after), new.kept_since, "and everybody sees that it did");
    node.stop();
}
