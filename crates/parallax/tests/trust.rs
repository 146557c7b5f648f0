//! Certificates, trust, peers and a check through them, with our commands and a maildir; and a crowd of liars that changes
//! nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Instant;

use parallax_lab::{Answer, Lab, Site, Validity};
use served::{PATIENCE, Served};
use support::{Home, Run};

/// A site, and a node that is janus and hub.
struct World {
    lab: Lab,
    node: Served,
    at_home: Home,
    service: String,
    _site: Site,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let certificate = ca.issue(&["shop.example"], Validity::current()).unwrap();
        let site = lab.site(lab.address(20, 10), &certificate).await.unwrap();
        lab.dns().set("shop.example", Answer::a([lab.address(20, 10)])).unwrap();
        let at_home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_CHANNEL_OPEN", "true");
        let mails = at_home.path().join("mails");
        let janus = format!("[janus]\nsmtp = \"maildir:{}\"\nfrom = \"janus@example.com\"\n", mails.display());
        at_home.write(".config/parallax/config.toml", &janus);
        let node = tokio::task::block_in_place(|| Served::start(&at_home, "data", &["--role", "hub,janus"]));
        let service = format!("shop.example:{}", lab.port());
        Self { lab, node, at_home, service, _site: site }
    }

    /// Somebody with a home of their own and a certificate in it.
    fn person(&self, name: &str) -> Person {
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &self.lab.dns().address().to_string())
            .with("PARALLAX_TIMEOUT", "30s");
        let person = Person { home, mailbox: format!("{name}@example.com") };
        person.done(&["id", "request", &person.mailbox, "--janus", &self.node.url()]);
        person.done(&["id", "confirm", &self.link_to(&person.mailbox)]);
        person
    }

    /// The link of the newest mail to somebody.
    fn link_to(&self, mailbox: &str) -> String {
        let (folder, begun) = (self.at_home.path().join("mails/new"), Instant::now());
        loop {
            for mail in std::fs::read_dir(&folder).into_iter().flatten() {
                let text = std::fs::read_to_string(mail.unwrap().path()).unwrap_or_default();
                let text = text.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
                let addressed = text.lines().any(|line| line.starts_with("To:") && line.contains(mailbox));
                if let Some((_, rest)) = text.split_once("http://localhost:15342/AddCert#").filter(|_| addressed) {
                    let tokens: String = rest.chars().take(45).collect();
                    return format!("http://localhost:15342/AddCert#{tokens}");
                }
            }
            assert!(begun.elapsed() < PATIENCE, "no mail came to {mailbox}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Peers as a process, once all have attached.
    fn peers(&self, home: &Home, source: String, more: &[&str]) -> Peers {
        let url = self.node.url();
        let fixed = ["peer", "--hub", url.as_str(), "--allow-private", "--source", source.as_str()];
        let mut child = home.command(&[&fixed[..], more].concat()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.starts_with("ready peers="), "{ready:?}");
        Peers(child)
    }

    fn check(&self, person: &Person, more: &[&str]) -> Run {
        let hub = self.node.url().replace("https://", "hub+https://");
        let fixed = ["check", "--policy", "majority", "--allow-private", "--max-age", "0s", "--vantage", hub.as_str()];
        person.home.run(&[&fixed[..], &["--id", &person.mailbox], more, &[&self.service]].concat())
    }
}

struct Person {
    home: Home,
    mailbox: String,
}

impl Person {
    fn done(&self, arguments: &[&str]) -> Run {
        let run = self.home.run(arguments);
        assert_eq!(run.status, 0, "{arguments:?}: {run:?}");
        run
    }
}

struct Peers(Child);

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_check_a_site_through_each_other_and_liars_without_an_edge_change_nothing() {
    let world = World::start().await;
    tokio::task::block_in_place(|| walk(&world));
}

fn walk(world: &World) {
    let ann = world.person("ann");
    let friends = ["bob", "carl", "dora"].map(|name| world.person(name));
    for friend in &friends {
        let said = ann.done(&["trust", "add", &friend.mailbox]);
        assert_eq!(said.stdout, format!("{} trusts {}\n", ann.mailbox, friend.mailbox));
        assert!(said.stderr.contains("it counts when"), "{}", said.stderr);
        let said = friend.done(&["trust", "add", &ann.mailbox]);
        assert!(said.stderr.contains("trusts you too: it counts"), "{}", said.stderr);
    }
    let list = ann.done(&["trust", "list"]);
    assert_eq!(list.stdout.matches("mutual: it counts").count(), 3, "{}", list.stdout);
    let _peers: Vec<_> = friends
        .iter()
        .enumerate()
        .map(|(number, friend)| {
            let source = world.lab.address(50 + number as u8, 1).to_string();
            world.peers(&friend.home, source, &["--id", &friend.mailbox])
        })
        .collect();

    let before = world.check(&ann, &["--replies", "20", "--threshold", "0.7", "--json"]);
    assert_eq!(before.status, 0, "{before:?}");
    let told = before.json();
    assert_eq!((told["rule"].as_str(), told["trust"][0]["edges"].as_u64()), (Some("majority-agrees"), Some(3)));
    assert_eq!((told["trust"][0]["outcome"].as_str(), told["trust"][0]["liars"].as_u64()), (Some("trusted"), Some(1)));
    assert!(!before.stdout.contains('@'), "a check names nobody: {}", before.stdout);

    let liars = Home::new().with("PARALLAX_RESOLVER", &world.lab.dns().address().to_string());
    let _liars: Vec<_> = (0..2)
        .map(|number| {
            let keys = format!("liars{number}");
            let source = world.lab.address(90 + number, 1).to_string();
            world.peers(&liars, source, &["--count", "40", "--lying", "BAD_CERTIFICATE_INFO", "--keys", &keys])
        })
        .collect();
    // A key may open five channels at once, and one every 30 s.
    for threshold in ["0.5", "1.0"] {
        let after = world.check(&ann, &["--replies", "60", "--threshold", threshold, "--json"]);
        let again = after.json();
        assert_eq!((after.status, &again["rule"], &again["counts"]), (0, &told["rule"], &told["counts"]), "{after:?}");
        assert!(again["trust"][0]["strangers"].as_u64().unwrap() >= 50, "{}", again["trust"]);
    }
    // In nobody's name they are many.
    let hub = world.node.url().replace("https://", "hub+https://");
    let fixed = ["check", "--policy", "majority", "--allow-private", "--replies", "60", "--vantage", &hub];
    let nobody = ann.home.run(&[&fixed[..], &[world.service.as_str()]].concat());
    assert_eq!(nobody.status, 1, "{nobody:?}");

    explained(world, &ann, &friends);
    too_few(world, &friends[0]);
}

fn explained(world: &World, ann: &Person, friends: &[Person]) {
    let fixed = ["trust", "explain", "--allow-private", "--replies", "20", "--max-age", "0s"];
    let run = ann.done(&[&fixed[..], &[world.service.as_str()]].concat());
    for friend in friends {
        assert!(run.stdout.contains(&friend.mailbox), "{}", run.stdout);
    }
    assert!(run.stdout.contains("of strangers, who do not count, see ") && run.stdout.contains("verdict: TRUSTED"));
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    let json = ann.done(&[&fixed[..], &["--json", world.service.as_str()]].concat()).json();
    let through: Vec<_> =
        json["views"].as_array().unwrap().iter().filter_map(|view| view["through"].as_str()).collect();
    assert_eq!(through.len(), 3, "{json}");
}

/// Bob has one edge.
fn too_few(world: &World, bob: &Person) {
    let run = world.check(bob, &["--replies", "20"]);
    assert_eq!(run.status, 3, "{run:?}");
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("a vote wants 3 edges and 2 networks"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_declared_survives_kill_and_what_is_damaged_is_left_out() {
    let world = World::start().await;
    tokio::task::block_in_place(|| killed(world));
}

fn killed(mut world: World) {
    let (ann, bob) = (world.person("ann"), world.person("bob"));
    ann.done(&["trust", "add", &bob.mailbox]);
    bob.done(&["trust", "add", &ann.mailbox]);
    ann.done(&["trust", "add", "carl@example.com"]);
    let before = ann.done(&["trust", "list", "--json"]).json();
    let https = world.node.https.clone();
    let again = |world: &mut World| {
        world.node.signal("KILL");
        world.node.wait();
        world.node = Served::start_at(&world.at_home, "data", &https, &["--role", "hub,janus"]);
    };
    again(&mut world);
    assert_eq!(ann.done(&["trust", "list", "--json"]).json(), before);

    world.node.signal("KILL");
    world.node.wait();
    let store = rusqlite::Connection::open(world.at_home.path().join("data/parallax.sqlite")).unwrap();
    let damaged = "UPDATE records SET bytes = X'00' WHERE namespace = 'trust' AND key = '0000000001'";
    assert_eq!(store.execute(damaged, []).unwrap(), 1);
    drop(store);
    let log = world.at_home.path().join("log");
    world.node = Served::at_with_log(&world.at_home, "data", &https, &["--role", "hub,janus"], &log);
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("can't be read; it is left out") && said.contains("it is in nobody"), "{said}");
    let list = ann.done(&["trust", "list", "--json"]).json();
    assert_eq!(list["edges"].as_array().unwrap().len(), 1, "bob's record was the damaged one: {list}");
    assert_eq!(list["edges"][0]["mailbox"], "carl@example.com");
    bob.done(&["trust", "add", &ann.mailbox]);
    assert_eq!(bob.done(&["trust", "list", "--json"]).json()["edges"][0]["state"], "declared");
}

#[test]
fn wrong_use_says_what_would_be_right() {
    let home = Home::new();
    let node = format!("https://127.0.0.1:1#{}", "ab".repeat(32));
    for (arguments, status, part) in [
        (vec!["trust", "add", "bob"], 2, "has no @"),
        (vec!["trust", "add", "bob@example.com"], 1, "parallax id request"),
        (vec!["trust", "list", "--id", "ann@example.com"], 1, "`parallax id request ann@example.com` asks for one"),
        (vec!["trust", "list", "--id", "Ann <ann@example.com>"], 2, "--id"),
        (vec!["peer", "--hub", &node, "--id", "ann@example.com", "--count", "2"], 2, "one peer with one key"),
        (vec!["peer", "--hub", &node, "--id", "ann@example.com", "--no-id"], 2, "--no-id"),
        (vec!["call", "http://127.0.0.1:1#abab", "{}", "--id", "ann@example.com"], 2, ""),
        (vec!["check", "--id", "ann@example.com", "--vantage", &format!("hub+{node}"), "example.com"], 2, "id request"),
    ] {
        let run = home.run(&arguments);
        assert_eq!(run.status, status, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
}
