//! A notary that scans itself, as docs/operating.md has an operator set it up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::time::{Duration, Instant};

use parallax_lab::{Answer, Lab, Site, Validity};
use served::{PATIENCE, Served};
use support::{Home, Run};

struct World {
    lab: Lab,
    home: Home,
    sites: Vec<Site>,
}

const NAMES: [&str; 2] = ["shop.example", "mail.example"];

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let mut sites = Vec::new();
        for (host, name) in (10..).zip(NAMES) {
            let at = lab.address(20, host);
            sites.push(lab.site(at, &ca.issue(&[name], Validity::current()).unwrap()).await.unwrap());
            lab.dns().set(name, Answer::a([at])).unwrap();
        }
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(10, 1).to_string())
            .with("PARALLAX_DATA", "data");
        Self { lab, home, sites }
    }

    fn serve(&self, every: &str) -> Served {
        tokio::task::block_in_place(|| Served::start(&self.home, "data", &["--scan-every", every, "--legacy", "off"]))
    }

    fn run(&self, arguments: &[&str]) -> Run {
        tokio::task::block_in_place(|| self.home.run(arguments))
    }

    fn service(&self, name: &str) -> String {
        format!("{name}:{}", self.lab.port())
    }

    /// First and last sight of the one certificate that a service ever showed.
    fn span(&self, name: &str) -> Option<(String, String)> {
        let json = self.run(&["history", "--json", &self.service(name)]).json();
        let spans = json["vantages"][0]["history"].as_array().unwrap();
        assert!(spans.len() <= 1, "{json}");
        let moment = |field: &str| spans[0][field].as_str().unwrap().to_owned();
        spans.first().map(|_| (moment("first_seen"), moment("last_seen")))
    }

    fn looks(&self) -> Vec<u64> {
        self.sites.iter().map(Site::connections).collect()
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notary_scans_itself_and_a_restart_neither_repeats_nor_forgets() {
    let world = World::start().await;
    let node = world.serve("2s");
    let services = NAMES.map(|name| world.service(name));
    let added = world.run(&["services", "add", &services[0], &services[1]]);
    assert_eq!((added.status, added.stdout.lines().count()), (0, 2), "{added:?}");
    until("each is looked at again and again", || world.looks().iter().all(|looks| *looks >= 3)).await;
    until("what was seen is remembered", || {
        NAMES.iter().all(|name| world.span(name).is_some_and(|(first, last)| first < last))
    })
    .await;
    let metrics = tokio::task::block_in_place(|| node.get("/metrics"));
    assert!(metrics.contains("parallax_scan_services 2\n"), "{metrics}");
    tokio::task::block_in_place(|| node.stop());
    let (before, looks) = (NAMES.map(|name| world.span(name).unwrap()), world.looks());

    // Nothing is due for an hour less a tenth: the first reading of the store says so, and nobody is looked at.
    let node = world.serve("1h");
    let counted = |what: &str| tokio::task::block_in_place(|| node.get("/metrics")).contains(what);
    until("the store is read", || counted("parallax_scan_services 2\n")).await;
    assert!(counted("parallax_scan_due_services 0\n"));
    assert_eq!(world.looks(), looks, "a restart repeats nothing");
    tokio::task::block_in_place(|| node.stop());

    // What is due is looked at, and goes on from where it was.
    let node = world.serve("2s");
    until("the looks go on", || world.looks().iter().zip(&looks).all(|(now, before)| now > before)).await;
    until("the history grows", || {
        NAMES.iter().zip(&before).all(|(name, before)| world.span(name).is_some_and(|now| now.1 > before.1))
    })
    .await;
    for (name, (first, _)) in NAMES.iter().zip(&before) {
        assert_eq!(&world.span(name).unwrap().0, first, "{name}: nothing is forgotten");
    }
    tokio::task::block_in_place(|| node.stop());
    let listed = world.run(&["services", "list", "--newer-than", "1h"]);
    assert_eq!(listed.stdout.lines().count(), 2, "{listed:?}");
}
