//! What one network may ask for, and what one target is spared.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parallax_core::Outcome;
use parallax_node::Rate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, Site, TestNode, get, http_get, look_now, whole};

#[tokio::test]
async fn looks_at_once_are_bounded() {
    let node = TestNode::with(|settings| settings.limits.looks_at_once = 1).await;
    let ((slow, gate), other) = (Site::gated().await, Site::start().await);
    let (router, path) = (node.node.router(), look_now(&slow.service()).to_path());
    let asker = tokio::spawn(async move { get(router, &path).await });
    slow.arrived(1).await;

    let refused = node.get(&look_now(&other.service()).to_path()).await;
    assert_eq!(refused.problem(503), "too-many-looks");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(other.connections(), 0);

    gate.open();
    assert_eq!(asker.await.unwrap().status, 200);
    assert_eq!(node.ask(&look_now(&other.service())).await.content().now.outcome, Outcome::Seen);
}

#[tokio::test]
async fn the_slow_targets_of_one_source_leave_room_for_others() {
    let node = TestNode::with(|settings| settings.limits.looks_at_once_per_source_network = 1).await;
    let ((slow, _gate), other) = (Site::gated().await, Site::start().await);
    let http = node.node.http().unwrap();
    let path = look_now(&slow.service()).to_path();
    let asker = tokio::spawn(async move { http_get(http, &path).await });
    slow.arrived(1).await;
    let refused = http_get(http, &look_now(&other.service()).to_path()).await;
    assert_eq!(refused.problem(503), "too-many-looks");
    // Called in process, so from no source network.
    assert_eq!(node.ask(&look_now(&other.service())).await.content().now.outcome, Outcome::Seen);
    asker.abort();
}

#[tokio::test]
async fn one_source_opens_so_many_connections_a_second() {
    let node = TestNode::with(|settings| settings.limits.questions_per_source_network = Rate::new(1, 3)).await;
    let http = node.node.http().unwrap();
    let mut refused = 0;
    for _ in 0..40 {
        let mut stream = TcpStream::connect(http).await.unwrap();
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        refused += usize::from(read.is_err() || !answer.starts_with(b"HTTP/1.1 200"));
    }
    assert!(refused > 0, "forty connections take less than thirty-seven seconds");
}

#[tokio::test]
async fn one_target_is_spared_however_many_services_lead_there() {
    let node = TestNode::with(|settings| settings.limits.looks_per_target = Rate::new(1, 2)).await;
    let mut refused = 0;
    let mut sites = Vec::new();
    // Ten services at one address; the budget is two, and one more for every second that this takes.
    let started = std::time::Instant::now();
    for _ in 0..10 {
        let site = Site::start().await;
        let reply = node.get(&look_now(&site.service()).to_path()).await;
        if reply.status == 200 {
            assert_eq!(site.connections(), 1);
        } else {
            assert_eq!(reply.problem(503), "target-busy");
            assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
            assert_eq!(site.connections(), 0);
            assert_eq!(node.node.store().known(&site.service()).await.unwrap(), None);
            refused += 1;
        }
        sites.push(site);
    }
    let looked = sites.iter().map(Site::connections).sum::<usize>();
    let budget = 2 + usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
    assert!(looked <= budget, "{looked} connections in {:?}", started.elapsed());
    assert_eq!(looked + refused, 10);
    // Another address has a budget of its own.
    let elsewhere = Site::start_at("127.0.9.1:0").await;
    assert_eq!(node.ask(&look_now(&elsewhere.service())).await.content().now.outcome, Outcome::Seen);
}

#[tokio::test]
async fn one_source_is_told_to_come_back() {
    let node = TestNode::with(|settings| settings.limits.questions_per_source_network = Rate::new(1, 10)).await;
    let http = node.node.http().unwrap();
    // On one connection: the rate of connections is another one.
    let stream = TcpStream::connect(http).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut last = None;
    for _ in 0..40 {
        let request = Request::get("/v1/vantage").header("host", "node").body(Empty::<Bytes>::new()).unwrap();
        let reply = whole(sender.send_request(request).await.unwrap()).await;
        if reply.status == 429 {
            last = Some(reply);
            break;
        }
    }
    let refused = last.expect("forty requests take less than thirty seconds");
    assert_eq!(refused.problem(429), "too-many-requests");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    for path in ["/healthz", "/readyz"] {
        let request = Request::get(path).header("host", "node").body(Empty::<Bytes>::new()).unwrap();
        let reply = whole(sender.send_request(request).await.unwrap()).await;
        assert_eq!(reply.status, 200, "{path} works for those who watch the node");
    }
}

#[tokio::test]
async fn connections_are_bounded_by_source_and_in_all() {
    for (total, of_source) in [(100, 1), (1, 100)] {
        let node = TestNode::with(|settings| {
            settings.limits.connections = total;
            settings.limits.connections_per_source_network = of_source;
            settings.limits.header_timeout = Duration::from_secs(600);
        })
        .await;
        let http = node.node.http().unwrap();
        let mut first = TcpStream::connect(http).await.unwrap();
        first.write_all(b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        first.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");

        let mut second = TcpStream::connect(http).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, second.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(read.is_err() || answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");

        drop(first);
        // The place is free as soon as the node has seen the first one leave.
        let freed = async {
            loop {
                let mut next = TcpStream::connect(http).await.unwrap();
                let _ = next.write_all(b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n").await;
                let mut begin = [0; 12];
                if next.read_exact(&mut begin).await.is_ok() && &begin == b"HTTP/1.1 200" {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, freed).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_serves_so_many_requests_and_no_more() {
    let node = TestNode::with(|settings| settings.limits.requests_per_connection = 3).await;
    let mut stream = TcpStream::connect(node.node.http().unwrap()).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n";
    let mut answers = Vec::new();
    let asking = async {
        for _ in 0..10 {
            if stream.write_all(request).await.is_err() {
                break;
            }
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer).await {
                Ok(length) if length > 0 => answers.extend_from_slice(&buffer[..length]),
                _ => break,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap();
    let served = String::from_utf8_lossy(&answers).matches("200 OK").count();
    assert!((3..=4).contains(&served), "{served} requests were served");
}

#[tokio::test]
async fn headers_are_bounded() {
    let node = TestNode::start().await;
    let mut stream = TcpStream::connect(node.node.http().unwrap()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: node\r\n").await.unwrap();
    let line = format!("x-filler: {}\r\n", "x".repeat(1000));
    let mut answer = Vec::new();
    let flooding = async {
        for _ in 0..1000 {
            if stream.write_all(line.as_bytes()).await.is_err() {
                break;
            }
        }
        let _ = stream.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(PATIENCE, flooding).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}
