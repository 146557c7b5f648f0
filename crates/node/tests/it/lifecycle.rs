//! Start, stop, start again.

use std::time::{Duration, Instant};

use parallax_core::Outcome;
use parallax_node::{Node, NodeError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{PATIENCE, Site, TestNode, get, look_now, settings, what_is_known};

/// The promise is five seconds; a loaded machine gets some more before a test fails.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn identity_and_history_survive_a_restart() {
    let (node, site) = (TestNode::start().await, Site::start().await);
    let before = node.ask(&look_now(&site.service())).await;
    let (vantage, descriptor) = (node.node.vantage(), node.node.descriptor());
    node.node.shutdown().await.unwrap();

    let node = TestNode { node: Node::start(settings(node.data.path())).await.unwrap(), data: node.data };
    assert_eq!(node.node.vantage(), vantage);
    assert_eq!(node.node.descriptor().statement_key, descriptor.statement_key);
    let after = node.ask(&what_is_known(&site.service())).await;
    assert_eq!(after.content().now, before.content().now);
    assert_eq!(after.content().history, before.content().history);
    assert_eq!(site.connections(), 1);
    assert_eq!(parallax_proto::contradiction(&before, &after), None);
}

#[tokio::test]
async fn it_stops_in_time_with_a_connection_open_and_a_look_under_way() {
    let (node, (site, _gate)) = (TestNode::start().await, Site::gated().await);
    let http = node.node.http().unwrap();
    let mut idle = TcpStream::connect(http).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n").await.unwrap();
    let mut begin = [0; 12];
    idle.read_exact(&mut begin).await.unwrap();
    let silent = TcpStream::connect(http).await.unwrap();
    let question = look_now(&site.service());
    let asker = tokio::spawn(async move { crate::support::http_get(http, &question.to_path()).await });
    site.arrived(1).await;

    let data = node.data;
    let started = Instant::now();
    node.node.shutdown().await.unwrap();
    assert!(started.elapsed() < STOPPED_WITHIN, "{:?}", started.elapsed());
    let reply = asker.await.unwrap();
    assert_eq!(reply.json()["now"]["outcome"], "pending", "{}", reply.text());
    assert!(TcpStream::connect(http).await.is_err(), "nobody listens any more");
    drop(silent);
    // The data directory is free at once, and what was never told of is not on disk.
    let node = Node::start(settings(data.path())).await.unwrap();
    assert_eq!(node.store().known(&site.service()).await.unwrap(), None);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_look_that_ends_while_the_node_stops_is_told_of_and_kept() {
    let (node, (site, gate)) = (TestNode::start().await, Site::gated().await);
    let (router, path) = (node.node.router(), look_now(&site.service()).to_path());
    let asker = tokio::spawn(async move { get(router, &path).await });
    site.arrived(1).await;
    let (data, http) = (node.data, node.node.http().unwrap());
    let stopping = tokio::spawn(node.node.shutdown());
    // The listener is the first to go; then the look may end.
    let closed = async {
        while TcpStream::connect(http).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
    gate.open();
    stopping.await.unwrap().unwrap();
    let told = asker.await.unwrap();
    assert_eq!(told.status, 200, "{}", told.text());
    let node = Node::start(settings(data.path())).await.unwrap();
    let known = node.store().known(&site.service()).await.unwrap();
    if told.json()["now"]["outcome"] == "seen" {
        assert_eq!(known.unwrap().history.spans[0].leaf, site.leaf);
    }
}

#[tokio::test]
async fn run_until_stops_at_the_signal() {
    let node = TestNode::start().await;
    let (signal, waits) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(node.node.run_until(async { waits.await.unwrap() }));
    signal.send(()).unwrap();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_node_that_is_dropped_lets_go() {
    let node = TestNode::start().await;
    let data = node.data;
    drop(node.node);
    let again = async {
        loop {
            match Node::start(settings(data.path())).await {
                Ok(node) => return node,
                Err(NodeError::Locked(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn what_keeps_a_node_from_starting_is_named() {
    let node = TestNode::start().await;
    let error = Node::start(settings(node.data.path())).await.unwrap_err();
    assert!(matches!(error, NodeError::Locked(_)), "{error}");

    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _holds_it = TcpListener::bind(taken).await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut at_taken = settings(data.path());
    at_taken.listen = Some(taken);
    let error = Node::start(at_taken).await.unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()), "{error}");

    let file = data.path().join("a-file");
    std::fs::write(&file, "x").unwrap();
    let error = Node::start(settings(&file)).await.unwrap_err().to_string();
    assert!(error.contains("a-file"), "{error}");

    let broken = tempfile::tempdir().unwrap();
    std::fs::write(broken.path().join("parallax.sqlite"), "this is no database, whatever its name says").unwrap();
    let error = Node::start(settings(broken.path())).await.unwrap_err();
    assert!(matches!(error, NodeError::Store(_)), "{error}");

    let ahead = tempfile::tempdir().unwrap();
    std::fs::write(ahead.path().join("clock"), "2999-01-01T00:00:00Z\n").unwrap();
    let error = Node::start(settings(ahead.path())).await.unwrap_err();
    assert!(matches!(error, NodeError::Clock(_)), "{error}");
    std::fs::remove_file(ahead.path().join("clock")).unwrap();
    let node = Node::start(settings(ahead.path())).await.unwrap();
    node.shutdown().await.unwrap();
    assert!(ahead.path().join("clock").exists());
}

#[tokio::test]
async fn one_listener_is_enough() {
    let node = TestNode::with(|settings| settings.listen = None).await;
    assert!(node.node.http().is_none() && node.node.https().is_some());
    let node = TestNode::with(|settings| settings.listen_tls = None).await;
    assert!(node.node.http().is_some() && node.node.https().is_none());
    assert!(node.node.descriptor().addresses.is_empty());
    let site = Site::start().await;
    assert_eq!(node.ask(&look_now(&site.service())).await.content().now.outcome, Outcome::Seen);
}
