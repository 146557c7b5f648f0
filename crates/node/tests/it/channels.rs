//! Channels over real sockets: HTTP, HTTPS and WebSocket, with the key directories and what outlives a restart.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parallax_client::{Attached, CallError, Channel, Deadline, ServerUrl, new_key_file, read_key_file};
use parallax_core::KeyId;
use parallax_node::{BusSettings, Caller, Channels, Handler, KeyDirectories, Node, Watcher, failure};
use parallax_probe::{AwsLc, SystemRandom};
use parallax_proto::channel::{
    Block, ChannelId, ClientChannel, Connection, Incoming, Opening, OpeningRequest, OwnKey, Rate, Run, Status,
};
use parallax_proto::{Expected, Question, Signed, View};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{PATIENCE, Site, TestNode, http_get, now, settings, until};

fn key() -> OwnKey {
    read_key_file(new_key_file().unwrap().as_bytes()).unwrap()
}

fn allow(data: &Path, key: KeyId) {
    put(&KeyDirectories::of(data).allowed(), key);
}

fn put(directory: &Path, key: KeyId) {
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join(key.to_string()), "").unwrap();
}

fn soon() -> Deadline {
    Deadline::within(PATIENCE)
}

fn run(kind: &str) -> Run {
    Run::new(json!({ "type": kind })).unwrap()
}

/// All ways in: plain, TLS.
fn urls(node: &Node) -> [ServerUrl; 2] {
    let url = |scheme: &str, at: Option<SocketAddr>| format!("{scheme}://{}#{}", at.unwrap(), node.vantage());
    [url("http", node.http()), url("https", node.https())].map(|url| url.parse().unwrap())
}

/// A node that knows the key, once it has read its directory.
async fn knowing(node: &TestNode, key: &OwnKey) {
    allow(node.data.path(), key.id());
    until(async || open_by_hand(&node.node, key).await.is_ok()).await;
}

async fn post(node: &Node, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;
    let request = http::Request::post(path).body(axum::body::Body::from(body)).unwrap();
    let (parts, body) = node.router().oneshot(request).await.unwrap().into_parts();
    (parts.status.as_u16(), body.collect().await.unwrap().to_bytes().to_vec())
}

fn opening(node: &Node, key: &OwnKey) -> (Vec<u8>, Opening) {
    let descriptor = node.descriptor();
    let wanted = OpeningRequest {
        source: descriptor.addresses[0].clone(),
        server: Some(descriptor.statement_key),
        replaces: None,
        max_lifetime: None,
    };
    Opening::new(Arc::new(AwsLc), key.clone(), wanted, now(), &mut SystemRandom::default()).unwrap()
}

async fn open_by_hand(node: &Node, key: &OwnKey) -> Result<ClientChannel, u16> {
    let (message, opening) = opening(node, key);
    let (status, answer) = post(node, "/v1/channels", message).await;
    if status == 200 { Ok(opening.created(&answer, now()).unwrap()) } else { Err(status) }
}

/// Many creations of one key within a test.
fn generous(settings: &mut parallax_node::NodeSettings) {
    settings.channel.rules.key_creations = Rate { burst: 1000, every: Duration::from_millis(1) };
    settings.channel.rules.too_frequent = 10_000;
    settings.channel.rules.blocked_at = 10_000;
}

#[tokio::test]
async fn a_registered_key_asks_over_every_way_in() {
    let (node, key) = (TestNode::with(generous).await, key());
    knowing(&node, &key).await;
    let site = Site::start().await;
    for url in urls(&node.node) {
        let channel = Channel::new(url.clone(), key.clone()).unwrap();
        let called = channel.call(&run("health"), soon()).await.unwrap();
        assert_eq!(called.outcome.unwrap()["ready"], true);
        let question = json!({ "type": "view", "service": site.service(), "max_age": 0, "nonce": "n" });
        let view = channel.call(&Run::new(question).unwrap(), soon()).await.unwrap().outcome.unwrap();
        let signed: Signed = serde_json::from_value(view).unwrap();
        let question = Question { max_age: Duration::ZERO, nonce: Some("n".into()), ..Question::about(site.service()) };
        let statement_key = node.node.descriptor().statement_key;
        let expected = Expected { vantage: node.node.vantage(), statement_key, question: &question, now: now() };
        View::verify(&AwsLc, &expected, signed).expect("the view that /v1/view gives");
        let unknown = channel.call(&run("dance"), soon()).await.unwrap().outcome.unwrap_err();
        assert_eq!(unknown["reason"], "run.type is not known here; known are health, view");
        let bad = Run::new(json!({ "type": "view", "service": 7 })).unwrap();
        assert_eq!(channel.call(&bad, soon()).await.unwrap().outcome.unwrap_err()["type"], "bad-parameter");
        channel.close(soon()).await;

        let attached = Attached::open(url, key.clone(), soon()).await.unwrap();
        let id = attached.caller().fresh_id().unwrap();
        assert_eq!(attached.call(id, run("health"), soon()).await.unwrap().outcome.unwrap()["ready"], true);
        attached.close().await;
    }
    let metrics = node.get("/metrics").await;
    assert!(metrics.text().contains("parallax_channel_creations_total{outcome=\"created\"}"));
    assert!(metrics.text().contains("parallax_channel_messages_total{outcome=\"opened\"}"));
}

#[tokio::test]
async fn a_closed_node_knows_no_stranger_and_the_directory_is_read_while_it_runs() {
    let node = TestNode::with(generous).await;
    let (key, other) = (key(), key());
    assert_eq!(open_by_hand(&node.node, &key).await.err(), Some(401));
    knowing(&node, &key).await;
    assert_eq!(open_by_hand(&node.node, &other).await.err(), Some(401));
    let mut channel = open_by_hand(&node.node, &key).await.unwrap();

    put(&KeyDirectories::of(node.data.path()).blocked(), key.id());
    until(async || node.node.channels().blocked(key.id(), now()).is_some()).await;
    assert_eq!(open_by_hand(&node.node, &key).await.err(), Some(403));
    let (_, message) = channel.request(Some(&"1".parse().unwrap()), &run("health"), now()).unwrap();
    let (status, told) = post(&node.node, "/v1/messages", message).await;
    assert_eq!(status, 403);
    let Incoming::Told { told, .. } = channel.receive(&told).unwrap() else { panic!("a status") };
    assert_eq!((told.status(), told.is_proved()), (Status::Forbidden, true));

    std::fs::remove_file(KeyDirectories::of(node.data.path()).blocked().join(key.id().to_string())).unwrap();
    until(async || node.node.channels().blocked(key.id(), now()).is_none()).await;
    let mut ask = async || {
        let (_, message) = channel.request(None, &run("health"), now()).unwrap();
        post(&node.node, "/v1/messages", message).await.0
    };
    assert_eq!(ask().await, 204, "the channel outlived the block");
    std::fs::remove_file(KeyDirectories::of(node.data.path()).allowed().join(key.id().to_string())).unwrap();
    until(async || ask().await == 401).await;
    assert_eq!(open_by_hand(&node.node, &key).await.err(), Some(401), "it ended when the key was no longer allowed");
}

#[tokio::test]
async fn an_open_node_takes_anybody() {
    let node = TestNode::with(|settings| settings.channel.rules.open = true).await;
    let channel = Channel::new(urls(&node.node)[0].clone(), key()).unwrap();
    assert!(channel.call(&run("health"), soon()).await.unwrap().outcome.is_ok());
}

#[tokio::test]
async fn replays_and_blocks_outlive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let key = key();
    allow(data.path(), key.id());
    let start = async |generous_to: bool| {
        let mut settings = settings(data.path());
        // The same port, so that the same URL is meant.
        settings.addresses = vec!["https://node.example:8443".into()];
        if generous_to {
            generous(&mut settings);
            settings.channel.rules.blocked_at = 1;
            settings.channel.rules.too_frequent = 1;
        }
        Node::start(settings).await.unwrap()
    };
    let node = start(false).await;
    let (message, _) = opening(&node, &key);
    assert_eq!(post(&node, "/v1/channels", message.clone()).await.0, 200);
    assert_eq!(post(&node, "/v1/channels", message.clone()).await.0, 401);
    node.shutdown().await.unwrap();

    let node = start(true).await;
    assert_eq!(post(&node, "/v1/channels", message).await.0, 401, "the table knows it");
    let first = open_by_hand(&node, &key).await.unwrap();
    let descriptor = node.descriptor();
    let wanted = OpeningRequest {
        source: descriptor.addresses[0].clone(),
        server: Some(descriptor.statement_key),
        replaces: Some(first.id()),
        max_lifetime: None,
    };
    let (message, _) = Opening::new(Arc::new(AwsLc), key.clone(), wanted, now(), &mut SystemRandom::default()).unwrap();
    assert_eq!(post(&node, "/v1/channels", message).await.0, 200);
    assert!(node.channels().blocked(key.id(), now()).is_some(), "one early replacement is too many here");
    node.shutdown().await.unwrap();

    let node = start(false).await;
    let left = node.channels().blocked(key.id(), now()).expect("a block outlives a restart");
    assert!(left > Duration::from_secs(3500), "{left:?}");
    assert_eq!(open_by_hand(&node, &key).await.err(), Some(403));
    // Its operator lifts it, for good.
    let directories = KeyDirectories::of(data.path());
    put(&directories.unblocked(), key.id());
    until(async || node.channels().blocked(key.id(), now()).is_none()).await;
    until(async || !directories.unblocked().join(key.id().to_string()).exists()).await;
    node.shutdown().await.unwrap();

    let node = start(false).await;
    assert!(node.channels().blocked(key.id(), now()).is_none());
    assert_ne!(open_by_hand(&node, &key).await.err(), Some(403));
    // One that the operator blocks stays blocked, whatever is lifted.
    put(&directories.blocked(), key.id());
    put(&directories.unblocked(), key.id());
    until(async || !directories.unblocked().join(key.id().to_string()).exists()).await;
    assert!(node.channels().blocked(key.id(), now()).is_some());
    node.shutdown().await.unwrap();
}

/// Answers, and says the same unasked; `wait` waits until it is let go.
struct Echo {
    channels: Arc<Channels>,
    go: Arc<Notify>,
    done: Arc<Mutex<usize>>,
}

impl Handler for Echo {
    fn handle(&self, caller: Caller, run: Run) -> BoxFuture<'static, Result<Value, Value>> {
        let (channels, go, done) = (Arc::clone(&self.channels), Arc::clone(&self.go), Arc::clone(&self.done));
        Box::pin(async move {
            if run.value()["wait"] == true {
                go.notified().await;
            }
            *done.lock().unwrap() += 1;
            if run.value()["push"] == true {
                let pushed = channels.push(caller.channel, caller.request_id.as_ref(), &run);
                pushed.map_err(|error| failure("not-pushed", error.to_string()))?;
            }
            Ok(run.into_value())
        })
    }
}

#[derive(Default)]
struct Ends(Mutex<Vec<&'static str>>);

impl Watcher for Ends {
    fn ended(&self, _: ChannelId) {
        self.0.lock().unwrap().push("channel");
    }

    fn disconnected(&self, _: Connection) {
        self.0.lock().unwrap().push("connection");
    }
}

async fn echoing(node: &TestNode) -> (Arc<Notify>, Arc<Mutex<usize>>) {
    let (go, done) = (Arc::new(Notify::new()), Arc::new(Mutex::new(0)));
    let echo = Echo { channels: node.node.channels(), go: Arc::clone(&go), done: Arc::clone(&done) };
    node.node.channels().register("echo", Arc::new(echo));
    (go, done)
}

#[tokio::test]
async fn a_websocket_carries_calls_beside_each_other_and_what_is_said_unasked() {
    let (node, key) = (TestNode::with(generous).await, key());
    knowing(&node, &key).await;
    let (go, _) = echoing(&node).await;
    let ends = Arc::new(Ends::default());
    node.node.channels().watch(Arc::clone(&ends) as _);
    let mut attached = Attached::open(urls(&node.node)[0].clone(), key, soon()).await.unwrap();
    let caller = attached.caller();
    let echo = |wait: bool, push: bool| Run::new(json!({ "type": "echo", "wait": wait, "push": push })).unwrap();
    let slow = tokio::spawn({
        let (caller, run) = (attached.caller(), echo(true, false));
        async move { caller.call("slow".parse().unwrap(), run, soon()).await }
    });
    let quick = caller.call("quick".parse().unwrap(), echo(false, true), soon()).await.unwrap();
    assert_eq!(quick.outcome.unwrap()["push"], true);
    let pushed = attached.pushed().await.unwrap();
    assert_eq!(pushed.request_id.unwrap().as_str(), "quick");
    assert!(!slow.is_finished());
    go.notify_one();
    assert!(slow.await.unwrap().unwrap().outcome.is_ok());
    attached.tell(echo(false, true)).await.unwrap();
    assert_eq!(attached.pushed().await.unwrap().request_id, None);
    attached.close().await;
    until(async || ends.0.lock().unwrap().contains(&"connection")).await;
    assert!(ends.0.lock().unwrap().contains(&"channel"), "it was closed by name");
}

#[tokio::test]
async fn over_http_there_is_nothing_unasked() {
    let (node, key) = (TestNode::with(generous).await, key());
    knowing(&node, &key).await;
    echoing(&node).await;
    let channel = Channel::new(urls(&node.node)[0].clone(), key).unwrap();
    let run = Run::new(json!({ "type": "echo", "push": true })).unwrap();
    let error = channel.call(&run, soon()).await.unwrap().outcome.unwrap_err();
    assert_eq!(error["type"], "not-pushed");
}

#[tokio::test]
async fn an_asker_that_left_asks_again_and_nothing_is_done_twice() {
    let (node, key) = (TestNode::with(generous).await, key());
    knowing(&node, &key).await;
    let (go, done) = echoing(&node).await;
    let mut channel = open_by_hand(&node.node, &key).await.unwrap();
    let run = Run::new(json!({ "type": "echo", "wait": true })).unwrap();
    let id = "same".parse().unwrap();
    let (_, first) = channel.request(Some(&id), &run, now()).unwrap();
    let (_, second) = channel.request(Some(&id), &run, now()).unwrap();
    let node = Arc::new(node);
    // The first asker is cut off while its request is being worked on.
    let left = tokio::spawn({
        let node = Arc::clone(&node);
        async move { post(&node.node, "/v1/messages", first).await }
    });
    until(async || {
        let text = node.get("/metrics").await.text();
        text.contains("parallax_channel_messages_total{outcome=\"opened\"} 1")
    })
    .await;
    left.abort();
    let again = tokio::spawn({
        let node = Arc::clone(&node);
        async move { post(&node.node, "/v1/messages", second).await }
    });
    until(async || {
        let text = node.get("/metrics").await.text();
        text.contains("parallax_channel_messages_total{outcome=\"opened\"} 2")
    })
    .await;
    go.notify_one();
    let (status, answer) = again.await.unwrap();
    assert_eq!(status, 200);
    assert!(matches!(channel.receive(&answer), Ok(Incoming::Answer { counter: 1, .. })));
    assert_eq!(*done.lock().unwrap(), 1);
}

#[tokio::test]
async fn statuses_over_http_have_their_codes_and_bodies() {
    let node = TestNode::start().await;
    for (path, body, status, word) in [
        ("/v1/channels", "{}".to_owned(), 400, "bad_message"),
        ("/v1/messages", "nonsense".to_owned(), 400, "bad_message"),
        ("/v1/messages", json!({ "channel": "A".repeat(22), "request": "AAAA" }).to_string(), 401, "unauthorised"),
    ] {
        let (found, body) = post(&node.node, path, body.into()).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((found, body["status"].as_str()), (status, Some(word)), "{path}");
        assert_eq!(body["source"], json!(node.node.descriptor().addresses[0]));
    }
    let key = key();
    knowing(&node, &key).await;
    let mut last = 200;
    for _ in 0..6 {
        last = post(&node.node, "/v1/channels", opening(&node.node, &key).0).await.0;
    }
    assert_eq!(last, 429);
    assert_eq!(post(&node.node, "/v1/messages", vec![b' '; 70_000]).await.0, 413);
    let reply = node.get("/v1/peer").await;
    assert_eq!(reply.status.as_u16(), 426, "{}", reply.text());
}

#[tokio::test]
async fn without_an_answer_there_is_no_content() {
    let (node, key) = (TestNode::with(generous).await, key());
    knowing(&node, &key).await;
    let mut channel = open_by_hand(&node.node, &key).await.unwrap();
    let (_, message) = channel.request(None, &run("health"), now()).unwrap();
    assert_eq!(post(&node.node, "/v1/messages", message).await, (204, vec![]));
    let (_, close) = channel.control(parallax_proto::channel::Control::Close, now()).unwrap();
    assert_eq!(post(&node.node, "/v1/messages", close).await.0, 204);
}

/// Any bytes on the WebSocket end that connection at most.
#[tokio::test]
async fn a_websocket_ends_after_a_first_frame_that_opens_nothing() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    let node = TestNode::start().await;
    let http = node.node.http().unwrap();
    let frames = [
        Message::text("nonsense"),
        Message::text("{}"),
        Message::text(json!({ "channel": "A".repeat(22), "request": "AAAA" }).to_string()),
        Message::text("x".repeat(70_000)),
        Message::binary(vec![0; 10]),
    ];
    for frame in frames {
        let stream = tokio::net::TcpStream::connect(http).await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{http}/v1/peer"), stream).await.unwrap();
        socket.send(frame).await.unwrap();
        let end = async {
            loop {
                match socket.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                    Some(Ok(_)) => {}
                    _ => return None,
                }
            }
        };
        let code = tokio::time::timeout(PATIENCE, end).await.unwrap();
        assert!(code.is_none_or(|code| [1003, 1008, 1009].contains(&code)), "{code:?}");
        assert_eq!(http_get(http, "/healthz").await.status.as_u16(), 200, "the node lives on");
    }
}

#[tokio::test]
async fn a_node_stops_while_a_websocket_is_open() {
    let (node, key) = (TestNode::with(generous).await, key());
    knowing(&node, &key).await;
    let mut attached = Attached::open(urls(&node.node)[0].clone(), key, soon()).await.unwrap();
    let TestNode { node, data: _data } = node;
    tokio::time::timeout(Duration::from_secs(10), node.shutdown()).await.expect("within its time").unwrap();
    assert_eq!(attached.pushed().await, None);
}

#[tokio::test]
async fn a_client_obeys_what_is_signed_and_backs_off_from_hints() {
    let (node, key) = (TestNode::start().await, key());
    let channel = Channel::new(urls(&node.node)[0].clone(), key.clone()).unwrap();
    let refused = channel.call(&run("health"), soon()).await.unwrap_err();
    assert!(matches!(&refused, CallError::Opening(_)), "{refused}");
    let Err(CallError::TooEarly { left, .. }) = channel.call(&run("health"), soon()).await else { panic!("too early") };
    assert!((25..=30).contains(&left.as_secs()), "{left:?}");

    knowing(&node, &key).await;
    for _ in 0..5 {
        let _ = open_by_hand(&node.node, &key).await;
    }
    put(&KeyDirectories::of(node.data.path()).blocked(), key.id());
    until(async || node.node.channels().blocked(key.id(), now()).is_some()).await;
    let channel = Channel::new(urls(&node.node)[1].clone(), key).unwrap();
    channel.call(&run("health"), soon()).await.unwrap_err();
    let Err(CallError::TooEarly { left, .. }) = channel.call(&run("health"), soon()).await else { panic!("too early") };
    assert!(left > Duration::from_secs(86_000), "{left:?}");
    assert_eq!(Block { until: None, times: 0 }.left(now()), Some(Duration::from_secs(86_400)));
}

#[tokio::test]
async fn a_live_connection_gets_a_new_channel_in_time_and_nothing_is_lost() {
    let node = TestNode::with(|settings| {
        generous(settings);
        // The shortest that there is: a new channel is due at the first look.
        settings.channel.rules.lifetime = Duration::from_secs(60);
    })
    .await;
    let key = key();
    knowing(&node, &key).await;
    let (go, _) = echoing(&node).await;
    let [url, _] = urls(&node.node);
    let mut attached = Attached::open(url, key, soon()).await.unwrap();
    let mut replaced = attached.replaced();
    replaced.mark_unchanged();
    // Asked on the old channel, answered when the new one is there.
    let slow = tokio::spawn({
        let caller = attached.caller();
        let run = Run::new(json!({ "type": "echo", "wait": true })).unwrap();
        async move { caller.call("slow".parse().unwrap(), run, soon()).await }
    });
    tokio::time::timeout(PATIENCE, replaced.changed()).await.expect("it is replaced").unwrap();
    let push = Run::new(json!({ "type": "echo", "push": true })).unwrap();
    let called = attached.call("quick".parse().unwrap(), push, soon()).await.unwrap();
    assert_eq!(called.outcome.unwrap()["push"], true);
    assert_eq!(attached.pushed().await.unwrap().request_id.unwrap().as_str(), "quick", "pushed on the new one");
    go.notify_one();
    assert!(slow.await.unwrap().unwrap().outcome.is_ok(), "the old one goes on for a moment");
    attached.close().await;
}

#[tokio::test]
async fn who_has_another_pin_meets_nobody() {
    let (node, other) = (TestNode::start().await, TestNode::start().await);
    for url in urls(&node.node) {
        let url = url.with_pin(other.node.vantage());
        let error = Channel::new(url, key()).unwrap().call(&run("health"), soon()).await.unwrap_err();
        assert!(matches!(error, CallError::Missing(_)), "{error}");
    }
}

/// A message queue of the test's own; `None` where nats-server is not installed.
#[allow(clippy::print_stderr)]
async fn queue() -> Option<(tokio::process::Child, String)> {
    // The system picks the port and lets go of it; whoever else takes it meanwhile makes this fail, not lie.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = tokio::process::Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", &port.to_string()]).kill_on_drop(true);
    let Ok(child) = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn() else {
        eprintln!("skipped: nats-server is not installed");
        return None;
    };
    until(async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    Some((child, format!("nats://127.0.0.1:{port}")))
}

#[tokio::test]
async fn a_message_queue_carries_the_same() {
    let Some((_child, bus)) = queue().await else { return };
    let node = TestNode::with(|settings| {
        generous(settings);
        settings.bus = Some(BusSettings::new(bus.parse().unwrap()));
    })
    .await;
    let key = key();
    knowing(&node, &key).await;
    let (go, _) = echoing(&node).await;
    let ends = Arc::new(Ends::default());
    node.node.channels().watch(Arc::clone(&ends) as _);
    let url: ServerUrl = format!("{bus}#{}", node.node.vantage()).parse().unwrap();
    let channel = Channel::new(url.clone(), key.clone()).unwrap();
    assert_eq!(channel.call(&run("health"), soon()).await.unwrap().outcome.unwrap()["ready"], true);
    let push = Run::new(json!({ "type": "echo", "push": true })).unwrap();
    let error = channel.call(&push, soon()).await.unwrap().outcome.unwrap_err();
    assert_eq!(error["type"], "not-pushed", "an inbox for one answer takes nothing more");
    channel.close(soon()).await;

    let mut attached = Attached::open(url.clone(), key.clone(), soon()).await.unwrap();
    let slow = tokio::spawn({
        let caller = attached.caller();
        let run = Run::new(json!({ "type": "echo", "wait": true })).unwrap();
        async move { caller.call("slow".parse().unwrap(), run, soon()).await }
    });
    let called = attached.call("quick".parse().unwrap(), push, soon()).await.unwrap();
    assert_eq!(called.outcome.unwrap()["push"], true);
    assert_eq!(attached.pushed().await.unwrap().request_id.unwrap().as_str(), "quick");
    go.notify_one();
    assert!(slow.await.unwrap().unwrap().outcome.is_ok());
    attached.close().await;
    until(async || ends.0.lock().unwrap().iter().filter(|end| **end == "channel").count() == 2).await;

    // Any bytes on any subject: the node lives on.
    let client = async_nats::connect(&bus).await.unwrap();
    for subject in ["channels", "messages", "peer", "vantage", "other"] {
        for bytes in [&b""[..], b"nonsense", b"{}", &[0xff; 70_000]] {
            let subject = format!("parallax.{}.{subject}", node.node.vantage());
            client.publish(subject.clone(), bytes.to_vec().into()).await.unwrap();
            client.request(subject, bytes.to_vec().into()).await.unwrap();
        }
    }
    let channel = Channel::new(url.clone(), key.clone()).unwrap();
    assert!(channel.call(&run("health"), soon()).await.unwrap().outcome.is_ok());
    let other = url.with_pin(TestNode::start().await.node.vantage());
    let nobody = Channel::new(other, key).unwrap().call(&run("health"), soon()).await.unwrap_err();
    assert!(matches!(nobody, CallError::Missing(_)), "{nobody}");
}

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/channel_client.py");

/// Whether Python with its package `cryptography` is here.
#[allow(clippy::print_stderr)]
fn python_is_here() -> bool {
    let found = std::process::Command::new("python3").args(["-c", "import cryptography"]).output();
    let here = found.is_ok_and(|output| output.status.success());
    if !here {
        eprintln!("skipped: python3 with the package cryptography is not installed");
    }
    here
}

async fn python(arguments: Vec<String>) -> String {
    let command = move || std::process::Command::new("python3").arg(CLIENT).args(arguments).output().unwrap();
    let output = tokio::task::spawn_blocking(command).await.unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{failed}");
    said.into_owned()
}

#[tokio::test]
async fn a_client_in_another_language_reads_the_recorded_exchange() {
    if python_is_here() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocols/vectors/channel.json");
        python(vec!["vectors".into(), kept.into()]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_another_language_speaks_with_a_node() {
    if !python_is_here() {
        return;
    }
    let node = TestNode::with(|settings| {
        generous(settings);
        settings.channel.rules.lifetime = Duration::from_secs(60);
    })
    .await;
    let file = node.data.path().join("client.pem").display().to_string();
    let id = python(vec!["key".into(), file.clone()]).await;
    let key = read_key_file(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(id.trim(), key.id().to_string(), "both know it by the same id");
    knowing(&node, &key).await;
    let url = format!("http://{}", node.node.http().unwrap());
    let said = python(vec!["talk".into(), url, node.node.vantage().to_string(), file]).await;
    assert!(said.contains("spoke with"), "{said}");
}
