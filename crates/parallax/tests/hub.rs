//! Panorama's way with our commands: a hub, ten peers, a check; ten liars join; `check` at 0.5 and at 0.7.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use parallax_lab::{Answer, Lab, Site, Validity};
use served::Served;
use support::{Home, Run};

/// A lab with an honest site, and a hub as a process.
struct World {
    lab: Lab,
    home: Home,
    hub: Served,
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
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_CHANNEL_OPEN", "true")
            .with("PARALLAX_TIMEOUT", "20s");
        let hub = tokio::task::block_in_place(|| Served::start(&home, "data", &["--role", "hub"]));
        let service = format!("shop.example:{}", lab.port());
        Self { lab, home, hub, service, _site: site }
    }

    /// Peers as a process, once all have attached.
    fn peers(&self, more: &[&str]) -> Peers {
        let url = self.hub.url();
        let arguments = [&["peer", "--hub", url.as_str(), "--allow-private"], more].concat();
        let mut child = self.home.command(&arguments).stderr(Stdio::inherit()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        Peers { child, ready }
    }

    fn check(&self, more: &[&str]) -> Run {
        let hub = self.hub.url().replace("https://", "hub+https://");
        let base = ["check", "--policy", "majority", "--allow-private", "--wait-for-all", "--vantage", hub.as_str()];
        tokio::task::block_in_place(|| self.home.run(&[&base[..], more, &[&self.service]].concat()))
    }
}

struct Peers {
    child: Child,
    ready: String,
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panorama_step_by_step() {
    let world = World::start().await;
    let honest = world.peers(&["--count", "10"]);
    assert_eq!(honest.ready, format!("ready peers=10 hub={}\n", world.hub.vantage));

    let run = world.check(&[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("5 see ") && run.stdout.contains("(your key)"), "{}", run.stdout);
    assert!(run.stdout.contains("behind the hub"), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);

    let liars = world.peers(&["--count", "10", "--lying", "BAD_CERTIFICATE_INFO"]);
    assert!(liars.ready.starts_with("ready peers=10 "), "{}", liars.ready);
    let run = world.check(&["--replies", "20", "--max-age", "0s"]);
    assert_eq!(run.status, 0, "{run:?}");
    let shown: Vec<_> = run.stdout.lines().filter(|line| line.trim_start().starts_with("10 see ")).collect();
    assert_eq!(shown.len(), 2, "both answers ten times: {}", run.stdout);
    let run = world.check(&["--replies", "20", "--threshold", "0.7", "--json"]);
    assert_eq!(run.status, 1, "{run:?}");
    let json = run.json();
    assert_eq!((json["rule"].as_str(), json["peers"].as_array().unwrap().len()), (Some("majority-differs"), 20));
    assert_eq!(json["hubs"][0]["counts"]["answered"], 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_name_is_not_told_and_a_stranger_is_not_let_in() {
    let world = World::start().await;
    let hub = world.hub.url().replace("https://", "hub+https://");
    let run = tokio::task::block_in_place(|| world.home.run(&["check", "--vantage", &hub, &world.service]));
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("not told private names"), "{}", run.stdout);
    assert!(world.lab.port() > 0);
}

#[test]
fn hubs_are_listed_and_wrong_use_says_what_would_be_right() {
    let home = Home::new();
    let hub = Served::start(&home, "data", &["--role", "hub"]);
    let url = hub.url().replace("https://", "hub+https://");
    let run = home.run(&["vantage", "add", &url]);
    assert_eq!((run.status, run.stdout.as_str()), (0, format!("added {url}\n").as_str()), "{run:?}");
    let list = home.run(&["vantage", "list"]);
    assert!(list.stdout.contains("hub+https://127.0.0.1:") && list.stdout.contains("(its peers)"), "{}", list.stdout);
    assert_eq!(home.run(&["vantage", "remove", &url]).stdout, format!("removed {url}\n"));
    for (arguments, part) in [
        (vec!["peer", "--hub", "https://127.0.0.1:1"], "has no pin; add #VANTAGE-ID (the hub prints"),
        (vec!["peer", "--hub", "perspectives+http://127.0.0.1:1"], "old notaries have no peers"),
        (vec!["peer", "--hub", "nonsense"], "write https://HOST:PORT#VANTAGE-ID"),
        (vec!["peer", "--hub", &url, "--region", "Nowhere!"], "--region"),
        (vec!["peer", "--hub", &url, "--count", "0"], "--count"),
        (vec!["serve", "--role", "king"], "the roles are hub, janus, mirror and notary"),
        (vec!["check", "--vantage", "hub+https://127.0.0.1:1", "example.com"], "has no pin"),
    ] {
        let run = home.run(&arguments);
        assert_eq!(run.status, 2, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
}
