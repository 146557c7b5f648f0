//! A hub with peers on real sockets: what a check makes of what they see, and what strangers can't do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use parallax_client::{Attached, Pushed};
use parallax_client::{Checker, Deadline, HubPoint as _, HubVantage, Lie, Missing, PeerSettings, Report};
use parallax_core::{Decision, Policy, Rule, ServiceId};
use parallax_lab::{Answer, Ca, Lab, LabNode, LabPeer, Site, Validity, new_key};
use parallax_proto::channel::Run;
use parallax_proto::hub::{Ask, Ended, Nonce};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// A lab with a site, a hub and some peers.
struct Panorama {
    lab: Lab,
    service: ServiceId,
    hub: LabNode,
    peers: Vec<LabPeer>,
    _site: Site,
}

impl Panorama {
    async fn start(honest: u8) -> Self {
        let lab = Lab::start().await.unwrap();
        let ca: Ca = lab.public_ca("Example Trust Services").unwrap();
        let at = lab.address(30, 10);
        let site = lab.site(at, &ca.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
        lab.dns().set("shop.example", Answer::a([at])).unwrap();
        let hub = lab.hub(40, "eu-west").await.unwrap();
        let service = lab.service("shop.example").unwrap();
        let mut panorama = Self { lab, service, hub, peers: Vec::new(), _site: site };
        panorama.join(honest, None).await;
        panorama
    }

    async fn join(&mut self, count: u8, lie: Option<Lie>) {
        for _ in 0..count {
            let source = self.lab.address(50 + self.peers.len() as u8, 1);
            let settings = PeerSettings { region: Some("eu-west".into()), lie: lie.clone(), ..PeerSettings::default() };
            self.peers.push(self.lab.peer(&self.hub, source, settings).await.unwrap());
        }
    }

    fn checker(&self, replies: usize, policy: Policy) -> Checker {
        let me = self.lab.address(20, 1);
        let builder = self.lab.checker(me, []).unwrap().hub(self.lab.hub_point(&self.hub).unwrap());
        builder.policy(policy).replies(replies).timeout(PATIENCE).tell_private(true).wait_for_all(true).build()
    }

    async fn report(&self, replies: usize, policy: Policy) -> Report {
        self.checker(replies, policy).report(&self.service).await
    }

    /// A channel of its own to the hub.
    async fn attached(&self) -> Attached {
        let key = new_key().unwrap();
        Attached::open(self.hub.url().clone().into(), key, Deadline::within(PATIENCE)).await.unwrap()
    }

    fn ask(&self, replies: u16, max_age_secs: u32) -> Ask {
        let service = self.service.clone();
        Ask { service, replies, deadline_ms: 15_000, max_age_secs, nonce: Nonce([7; 32]) }
    }
}

fn majority(threshold: f64) -> Policy {
    Policy::Majority { threshold: parallax_core::Share::new(threshold).unwrap(), min_views: 3 }
}

fn run(kind: &str, message: impl serde::Serialize) -> Run {
    let mut run = serde_json::to_value(message).unwrap();
    run["type"] = kind.into();
    Run::new(run).unwrap()
}

async fn call(attached: &Attached, kind: &str, message: impl serde::Serialize) -> Result<Value, Value> {
    let id = attached.caller().fresh_id().unwrap();
    attached.call(id, run(kind, message), Deadline::within(PATIENCE)).await.unwrap().outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_honest_and_ten_lying_peers() {
    let mut panorama = Panorama::start(10).await;
    let all_agree = panorama.report(5, majority(0.5)).await;
    assert_eq!(all_agree.verdict.decision, Decision::Trusted, "{:?}", all_agree.verdict);
    assert_eq!((all_agree.verdict.counts.agree, all_agree.verdict.counts.differ), (5, 0));

    panorama.join(10, Some(Lie::Text("BAD_CERTIFICATE_INFO".into()))).await;
    for (threshold, decision) in [(0.5, Decision::Trusted), (0.7, Decision::Distrusted)] {
        let report = panorama.report(20, majority(threshold)).await;
        assert_eq!(report.verdict.decision, decision, "{threshold}: {:?} {:?}", report.verdict, report.missing);
        assert_eq!((report.verdict.counts.agree, report.verdict.counts.differ), (10, 10));
        assert_eq!(report.peers.len(), 20);
        let keys: BTreeSet<_> = report.peers.iter().map(|peer| peer.peer).collect();
        assert_eq!(keys.len(), 20, "one vote for each key");
        assert_eq!(report.hubs[0].ended, Ended::Complete);
        assert!(report.verdict.reasons.iter().any(|reason| reason.contains("behind the hub")));
    }
    // The same peers are one vantage point to everybody else, and say nothing where they disagree.
    let report = panorama.report(20, Policy::named("quorum").unwrap()).await;
    assert_eq!((report.verdict.decision, report.verdict.rule), (Decision::Undecided, Rule::NotEnough));
    assert_eq!(report.verdict.counts.asked, 1);
    let json = report.to_json();
    assert_eq!(
        (json["peers"].as_array().unwrap().len(), json["hubs"][0]["counts"]["answered"].as_u64()),
        (20, Some(20))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_at_random_convince_nobody() {
    let mut panorama = Panorama::start(3).await;
    panorama.join(3, Some(Lie::Random)).await;
    let report = panorama.report(6, majority(0.5)).await;
    assert_eq!((report.verdict.counts.agree, report.verdict.counts.differ), (3, 3));
    let lies = report.peers.iter().filter_map(|peer| peer.view.content().view().now.met.as_ref().map(|met| met.key));
    assert_eq!(lies.collect::<BTreeSet<_>>().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_learns_no_private_names_unless_the_user_says_so() {
    let panorama = Panorama::start(1).await;
    let me = panorama.lab.address(20, 1);
    let builder = panorama.lab.checker(me, []).unwrap().hub(panorama.lab.hub_point(&panorama.hub).unwrap());
    let report = builder.policy(majority(0.5)).timeout(PATIENCE).build().report(&panorama.service).await;
    assert!(matches!(report.missing.first().unwrap().why, Missing::Private), "{:?}", report.missing);
    assert_eq!(report.verdict.counts.asked, 0, "who is not asked does not count as silent");
    assert_eq!(panorama.peers[0].looks(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_fewer_peers_than_replies_it_ends_early() {
    let panorama = Panorama::start(3).await;
    let begun = tokio::time::Instant::now();
    let report = panorama.report(20, majority(0.5)).await;
    assert_eq!((report.peers.len(), report.hubs[0].ended), (3, Ended::NobodyLeft));
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_lately_is_remembered() {
    let panorama = Panorama::start(4).await;
    let first = panorama.report(4, majority(0.5)).await;
    assert_eq!(first.hubs[0].counts.cached, 0);
    // Rows are written soon after they are passed on, many at once: asked until all are there.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let again = panorama.report(4, majority(0.5)).await;
        assert_eq!(again.verdict.decision, Decision::Trusted);
        if again.hubs[0].counts.cached == 4 {
            assert!(again.peers.iter().all(|peer| peer.cached) && again.hubs[0].counts.asked == 0);
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{:?}", again.hubs);
    }
    let checker = panorama.lab.checker(panorama.lab.address(20, 1), []).unwrap();
    let hub = panorama.lab.hub_point(&panorama.hub).unwrap();
    let fresh = checker.hub(hub).policy(majority(0.5)).replies(4).max_age(Duration::ZERO).tell_private(true);
    let fresh = fresh.timeout(PATIENCE).wait_for_all(true).build().report(&panorama.service).await;
    assert_eq!((fresh.hubs[0].counts.cached, fresh.peers.len()), (0, 4), "who wants no memory gets none");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_peers_view_does_not_come_back() {
    let panorama = Panorama::start(1).await;
    let key = new_key().unwrap();
    let source = panorama.lab.address(99, 1);
    let own = panorama.lab.peer_with(&panorama.hub, source, PeerSettings::default(), key.clone()).await.unwrap();
    let hub = HubVantage::new(panorama.hub.url().clone(), key).unwrap();
    let (heard, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let all = hub.ask(panorama.ask(10, 300), heard, Deadline::within(PATIENCE)).await.unwrap();
    assert_eq!((all.counts.answered, all.ended), (1, Ended::NobodyLeft));
    assert!(answers.recv().await.is_some() && answers.recv().await.is_none());
    assert_eq!(own.looks(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn early_malformed_and_unasked_messages_end_nothing_but_themselves() {
    let panorama = Panorama::start(2).await;
    let stranger = panorama.attached().await;
    let look_id = "AAAAAAAAAAAAAAAAAAAAAA";
    let early = call(&stranger, "seen", json!({ "look_id": look_id })).await.unwrap_err();
    assert!(early["reason"].as_str().unwrap().contains("send attach first"), "{early}");
    for (kind, message, part) in [
        ("ask", json!({}), "missing field"),
        ("ask", json!({ "service": "shop.example" }), "missing field"),
        (
            "ask",
            json!({ "service": "shop.example", "replies": "twenty", "deadline_ms": 1000, "nonce": Nonce([1; 32]) }),
            "invalid type",
        ),
        ("attach", json!({ "looks_per_minute": 0 }), "at least 1"),
        ("seen", json!({ "look_id": 7 }), "invalid type"),
        ("hello", json!({}), "run.type is not known"),
    ] {
        let error = call(&stranger, kind, message).await.unwrap_err();
        assert!(error["reason"].as_str().unwrap().contains(part), "{kind}: {error}");
    }
    call(&stranger, "attach", json!({ "looks_per_minute": 60 })).await.unwrap();
    let unasked = call(&stranger, "seen", json!({ "look_id": look_id })).await.unwrap_err();
    assert!(unasked["reason"].as_str().unwrap().contains("not asked of you"), "{unasked}");
    let report = panorama.report(2, majority(0.5)).await;
    assert!(report.verdict.counts.agree >= 1, "everybody else goes on: {:?}", report.verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_names_nothing_but_the_service_and_a_silent_peer_is_replaced() {
    let panorama = Panorama::start(2).await;
    let mut silent = panorama.attached().await;
    call(&silent, "attach", json!({ "looks_per_minute": 60 })).await.unwrap();
    let report = tokio::spawn({
        let checker = panorama.checker(3, majority(0.5));
        let service = panorama.service.clone();
        async move { checker.report(&service).await }
    });
    let pushed = tokio::time::timeout(PATIENCE, silent.pushed()).await.unwrap().unwrap();
    let Pushed { run, .. } = pushed;
    let mut fields: Vec<_> = run.value().as_object().unwrap().keys().cloned().collect();
    fields.sort_unstable();
    assert_eq!(fields, ["look_id", "nonce", "service", "type", "wait_ms"]);
    let report = report.await.unwrap();
    assert_eq!((report.peers.len(), report.hubs[0].counts.failed), (2, 1), "{:?}", report.hubs);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asker_that_leaves_ends_its_question() {
    let panorama = Panorama::start(0).await;
    let mut peer = panorama.attached().await;
    call(&peer, "attach", json!({ "looks_per_minute": 60 })).await.unwrap();
    let asker = panorama.attached().await;
    asker.tell(run("ask", panorama.ask(1, 0))).await.unwrap();
    let Some(Pushed { run: look, .. }) = peer.pushed().await else { panic!("no look") };
    assert!(metrics(&panorama.hub).await.contains("parallax_hub_asks_open 1\n"));
    asker.close().await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !metrics(&panorama.hub).await.contains("parallax_hub_asks_open 0\n") {
        assert!(tokio::time::Instant::now() < deadline, "the question outlives its asker");
    }
    // Its look is one that nobody asked for.
    let seen = call(&peer, "seen", json!({ "look_id": look.value()["look_id"] })).await.unwrap_err();
    assert!(seen["reason"].as_str().unwrap().contains("not asked of you"), "{seen}");
}

async fn metrics(hub: &LabNode) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(hub.http().unwrap()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_notices_when_its_hub_goes() {
    let mut panorama = Panorama::start(1).await;
    panorama.hub.shutdown().await.unwrap();
    let mut peer = panorama.peers.pop().unwrap();
    tokio::time::timeout(PATIENCE, peer.until_attached(false)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_hubs_in_one_process_know_nothing_of_each_other() {
    let panorama = Panorama::start(2).await;
    let other = panorama.lab.hub(41, "us-east").await.unwrap();
    let _peer = panorama.lab.peer(&other, panorama.lab.address(60, 1), PeerSettings::default()).await.unwrap();
    let me = panorama.lab.address(20, 1);
    let builder = panorama.lab.checker(me, []).unwrap();
    let builder = builder.hub(panorama.lab.hub_point(&panorama.hub).unwrap());
    let builder = builder.hub(panorama.lab.hub_point(&other).unwrap()).replies(10);
    let checker = builder.policy(majority(0.5)).timeout(PATIENCE).tell_private(true).wait_for_all(true).build();
    let report = checker.report(&panorama.service).await;
    let of = |hub: &LabNode| report.peers.iter().filter(|peer| peer.hub == hub.vantage()).count();
    assert_eq!((of(&panorama.hub), of(&other)), (2, 1), "{:?}", report.missing);
    assert_eq!(report.verdict.decision, Decision::Trusted);
}
