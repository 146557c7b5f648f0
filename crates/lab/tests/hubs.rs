//! Several hubs of one operator, which share their peers over a real message queue: nodes and peers on real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use parallax_client::{Attached, Checker, Deadline, PeerSettings, Report};
use parallax_core::{Decision, Policy, ServiceId};
use parallax_lab::{Answer, Lab, LabNode, LabPeer, Site, Validity, new_key};
use parallax_node::BusSettings;
use parallax_proto::channel::Run;
use parallax_proto::hub::{Ask, Ended, Nonce};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// A message queue of the test's own.
struct Queue {
    child: tokio::process::Child,
    port: u16,
}

impl Queue {
    /// `None` where nats-server is not installed.
    async fn start() -> Option<Self> {
        // The system picks the port and lets go of it; whoever else takes it meanwhile makes this fail, not lie.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(port).await
    }

    async fn start_at(port: u16) -> Option<Self> {
        let mut command = tokio::process::Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]).kill_on_drop(true);
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            eprintln!("skipped: nats-server is not installed");
            return None;
        };
        until(async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        Some(Self { child, port })
    }

    async fn stop(mut self) -> u16 {
        self.child.kill().await.unwrap();
        self.port
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to hold");
}

/// Three hubs of one operator, and one that knows another secret.
struct Operator {
    lab: Lab,
    service: ServiceId,
    hubs: Vec<LabNode>,
    peers: Vec<LabPeer>,
    secrets: tempfile::TempDir,
    _site: Site,
}

impl Operator {
    async fn start(queue: &Queue, count: u8) -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let at = lab.address(30, 10);
        let site = lab.site(at, &ca.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
        lab.dns().set("shop.example", Answer::a([at])).unwrap();
        let service = lab.service("shop.example").unwrap();
        let secrets = tempfile::tempdir().unwrap();
        let mut operator = Self { lab, service, hubs: Vec::new(), peers: Vec::new(), secrets, _site: site };
        for number in 0..count {
            let hub = operator.hub(queue, 40 + number, "the operator's own secret, not a stranger's").await;
            operator.hubs.push(hub);
        }
        operator
    }

    async fn hub(&self, queue: &Queue, network: u8, secret: &str) -> LabNode {
        let file = self.secrets.path().join(network.to_string());
        std::fs::write(&file, secret).unwrap();
        let mut bus = BusSettings::new(queue.url().parse().unwrap());
        bus.group = Some(file);
        self.lab.hub_with(network, "eu-west", |settings| settings.bus = Some(bus)).await.unwrap()
    }

    /// So many peers more at a hub.
    async fn join(&mut self, hub: usize, count: u8) {
        for _ in 0..count {
            let source = self.lab.address(60 + self.peers.len() as u8, 1);
            let peer = self.lab.peer(&self.hubs[hub], source, PeerSettings::default()).await.unwrap();
            self.peers.push(peer);
        }
    }

    fn checker(&self, hub: usize, replies: usize) -> Checker {
        let builder = self.lab.checker(self.lab.address(20, 1), []).unwrap();
        let builder = builder.hub(self.lab.hub_point(&self.hubs[hub]).unwrap()).max_age(Duration::ZERO);
        let policy = Policy::Majority { threshold: parallax_core::Share::new(0.5).unwrap(), min_views: 1 };
        builder.policy(policy).replies(replies).timeout(PATIENCE).tell_private(true).wait_for_all(true).build()
    }

    async fn report(&self, hub: usize, replies: usize) -> Report {
        self.checker(hub, replies).report(&self.service).await
    }

    async fn until_shared(&self, hub: usize, peers: usize) {
        let wanted = format!("parallax_hub_shared_peers {peers}\n");
        until(async || get(&self.hubs[hub], "/metrics").await.contains(&wanted)).await;
    }
}

async fn get(hub: &LabNode, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(hub.http().unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_at_one_hub_is_answered_by_the_peers_of_all() {
    let Some(queue) = Queue::start().await else { return };
    let mut operator = Operator::start(&queue, 3).await;
    for hub in 0..3 {
        operator.join(hub, 2).await;
    }
    let stranger = operator.hub(&queue, 50, "somebody else's secret, who is on the queue too").await;
    let at_stranger = operator.lab.peer(&stranger, operator.lab.address(90, 1), PeerSettings::default()).await.unwrap();
    for hub in 0..3 {
        operator.until_shared(hub, 4).await;
        let report = operator.report(hub, 20).await;
        assert_eq!((report.peers.len(), report.hubs[0].ended), (6, Ended::NobodyLeft), "{:?}", report.missing);
        let keys: BTreeSet<_> = report.peers.iter().map(|peer| peer.peer).collect();
        assert_eq!(keys, operator.peers.iter().map(LabPeer::id).collect(), "each once, none of the stranger's");
        assert_eq!(report.verdict.decision, Decision::Trusted, "{:?}", report.verdict);
        assert_eq!(operator.report(hub, 4).await.peers.len(), 4, "exactly N");
    }
    assert_eq!(at_stranger.looks(), 0);
    // Noise of those who may write to the queue, but know no secret, changes nothing.
    let noise = noise(&queue, &operator.hubs[0], &operator.hubs[1]).await;
    assert!(noise > 0);
    assert_eq!(operator.report(0, 20).await.peers.len(), 6);
    until(async || get(&operator.hubs[0], "/metrics").await.contains(&format!("outcome=\"refused\"}} {noise}\n")))
        .await;
}

/// Any bytes on the subjects of a group; how many messages.
async fn noise(queue: &Queue, hub: &LabNode, sibling: &LabNode) -> usize {
    let client = async_nats::connect(queue.url()).await.unwrap();
    let mut heard = client.subscribe("parallax.hubs.>").await.unwrap();
    let real = loop {
        let message = tokio::time::timeout(PATIENCE, futures_util::StreamExt::next(&mut heard)).await.unwrap().unwrap();
        // Who says it stands in the clear.
        if message.payload.starts_with(sibling.vantage().as_bytes()) {
            break message;
        }
    };
    let group = real.subject.split('.').nth(2).unwrap().to_owned();
    let mut sent = 0;
    for to in ["all".to_owned(), hub.vantage().to_string()] {
        // What another one said, again and cut short; and nonsense.
        for bytes in [&real.payload[..], &real.payload[..60], b"", b"{}", &[0xff; 70_000]] {
            client.publish(format!("parallax.hubs.{group}.{to}"), bytes.to_vec().into()).await.unwrap();
            sent += 1;
        }
    }
    client.flush().await.unwrap();
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_to_another_hub_leaves_the_first() {
    let Some(queue) = Queue::start().await else { return };
    let operator = Operator::start(&queue, 2).await;
    let key = new_key().unwrap();
    let first = attach(&operator.hubs[0], &key).await;
    operator.until_shared(1, 1).await;
    let _second = attach(&operator.hubs[1], &key).await;
    operator.until_shared(0, 1).await;
    operator.until_shared(1, 0).await;
    let metrics = get(&operator.hubs[0], "/metrics").await;
    assert!(metrics.contains("parallax_hub_peers 0\n"), "{metrics}");
    until(async || !first.caller().is_open()).await;
}

async fn attach(hub: &LabNode, key: &parallax_proto::channel::OwnKey) -> Attached {
    let attached = Attached::open(hub.url().clone().into(), key.clone(), Deadline::within(PATIENCE)).await.unwrap();
    call(&attached, "attach", json!({ "looks_per_minute": 60 })).await.unwrap();
    attached
}

async fn call(attached: &Attached, kind: &str, message: Value) -> Result<Value, Value> {
    let id = attached.caller().fresh_id().unwrap();
    attached.call(id, run(kind, message), Deadline::within(PATIENCE)).await.unwrap().outcome
}

fn run(kind: &str, mut message: Value) -> Run {
    message["type"] = kind.into();
    Run::new(message).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asker_that_leaves_withdraws_at_the_other_hub_too() {
    let Some(queue) = Queue::start().await else { return };
    let operator = Operator::start(&queue, 2).await;
    let mut peer = attach(&operator.hubs[1], &new_key().unwrap()).await;
    operator.until_shared(0, 1).await;
    let asker = Attached::open(operator.hubs[0].url().clone().into(), new_key().unwrap(), Deadline::within(PATIENCE));
    let asker = asker.await.unwrap();
    let service = operator.service.clone();
    let ask = Ask { service, replies: 1, deadline_ms: 15_000, max_age_secs: 0, nonce: Nonce([7; 32]) };
    asker.tell(run("ask", serde_json::to_value(ask).unwrap())).await.unwrap();
    let pushed = tokio::time::timeout(PATIENCE, peer.pushed()).await.unwrap().unwrap();
    let mut fields: Vec<_> = pushed.run.value().as_object().unwrap().keys().cloned().collect();
    fields.sort_unstable();
    assert_eq!(fields, ["look_id", "nonce", "service", "type", "wait_ms"], "nothing of the asker");
    asker.close().await;
    // Until the look is one that nobody waits for, the peer may say that it is busy; that ends it as well.
    until(async || get(&operator.hubs[0], "/metrics").await.contains("parallax_hub_asks_open 0\n")).await;
    until(async || {
        let seen = call(&peer, "seen", json!({ "look_id": pushed.run.value()["look_id"] })).await;
        seen.is_err_and(|error| error["reason"].as_str().unwrap().contains("not asked of you"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_in_the_middle_is_not_waited_for() {
    let Some(queue) = Queue::start().await else { return };
    let mut operator = Operator::start(&queue, 2).await;
    operator.join(0, 2).await;
    // A peer at the second hub that never answers, and then its hub is gone.
    let mut silent = attach(&operator.hubs[1], &new_key().unwrap()).await;
    operator.until_shared(0, 1).await;
    let asking = tokio::spawn({
        let (checker, service) = (operator.checker(0, 3), operator.service.clone());
        async move { checker.report(&service).await }
    });
    assert!(tokio::time::timeout(PATIENCE, silent.pushed()).await.unwrap().is_some());
    drop(operator.hubs.pop());
    let report = asking.await.unwrap();
    assert_eq!((report.peers.len(), report.hubs[0].ended), (2, Ended::NobodyLeft), "{:?}", report.missing);
    operator.until_shared(0, 0).await;
    assert_eq!(operator.report(0, 20).await.peers.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_queue_is_away_each_hub_serves_its_own_and_says_so() {
    let Some(queue) = Queue::start().await else { return };
    let mut operator = Operator::start(&queue, 2).await;
    operator.join(0, 2).await;
    operator.join(1, 1).await;
    operator.until_shared(0, 1).await;
    assert!(get(&operator.hubs[0], "/readyz").await.ends_with("ready\n"));
    let port = queue.stop().await;
    operator.until_shared(0, 0).await;
    assert_eq!(operator.report(0, 20).await.peers.len(), 2);
    let ready = get(&operator.hubs[0], "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("the message queue is away"), "{ready}");
    assert!(get(&operator.hubs[0], "/metrics").await.contains("parallax_bus_connected 0\n"));
    let _queue = Queue::start_at(port).await.unwrap();
    operator.until_shared(0, 1).await;
    operator.until_shared(1, 2).await;
    assert_eq!(operator.report(1, 20).await.peers.len(), 3);
    assert!(get(&operator.hubs[0], "/metrics").await.contains("parallax_bus_connected 1\n"));
}
