//! The listeners over real sockets.

use std::time::{Duration, Instant};

use parallax_proto::SIGNATURE_HEADER;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Https, PATIENCE, Protocol, Site, TestNode, http_get, https_get, look_now};

#[tokio::test]
async fn https_under_the_node_s_own_ca() {
    let (node, site) = (TestNode::start().await, Site::start().await);
    let (ca, https) = (node.node.descriptor().ca, node.node.https().unwrap());
    let question = look_now(&site.service());
    for (protocol, version) in [(Protocol::Http1, &TLS12), (Protocol::Http1, &TLS13), (Protocol::Http2, &TLS13)] {
        for name in ["localhost", "127.0.0.1"] {
            let client = Https { ca: &ca, name, protocol, version };
            let reply = https_get(&client, https, &question.to_path()).await;
            assert!(reply.headers.contains_key(SIGNATURE_HEADER));
            node.verify(&question, reply);
        }
    }
    let other = TestNode::start().await;
    let wrong = Https { ca: &ca, name: "localhost", protocol: Protocol::Http2, version: &TLS13 };
    assert!(wrong.connect(other.node.https().unwrap()).await.is_err(), "each node has a CA of its own");
}

#[tokio::test]
async fn the_chain_that_is_sent_holds_the_ca() {
    let node = TestNode::start().await;
    let ca = node.node.descriptor().ca;
    let client = Https { ca: &ca, name: "localhost", protocol: Protocol::Http2, version: &TLS13 };
    let stream = client.connect(node.node.https().unwrap()).await.unwrap();
    let (_, connection) = stream.get_ref();
    let chain = connection.peer_certificates().unwrap();
    assert_eq!(chain.len(), 2);
    let id = parallax_proto::vantage_id(&parallax_probe::AwsLc, &chain[1]).unwrap();
    assert_eq!(id, node.node.vantage(), "who pins the vantage id finds it in the handshake");
    assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn a_running_node_renews_its_server_certificate() {
    let node = TestNode::with(|settings| settings.server_certificate_life = Duration::from_secs(3)).await;
    let ca = node.node.descriptor().ca;
    let client = Https { ca: &ca, name: "localhost", protocol: Protocol::Http1, version: &TLS13 };
    let https = node.node.https().unwrap();
    let leaf = async || {
        let stream = client.connect(https).await.ok()?;
        Some(stream.get_ref().1.peer_certificates()?.first()?.clone().into_owned())
    };
    let first = leaf().await;
    let renewed = async {
        loop {
            let now = leaf().await;
            if now.is_some() && now != first {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.unwrap();
}

#[tokio::test]
async fn who_sends_slowly_or_nothing_is_cut() {
    let node = TestNode::with(|settings| settings.limits.header_timeout = Duration::from_millis(300)).await;
    let (http, https) = (node.node.http().unwrap(), node.node.https().unwrap());
    let cases: [(_, &[u8]); 5] = [
        (http, b""),
        (http, b"GET /healthz HTTP/1.1\r\nhost: no"),
        (https, b""),
        (https, b"\x16\x03\x01"),
        (https, b"GET / HTTP/1.1\r\n\r\n"),
    ];
    for (at, sent) in cases {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut rest = Vec::new();
        let cut = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(cut.is_ok(), "{at} {sent:?} was not cut");
    }
    // One byte at a time, each well within the limit.
    let mut stream = TcpStream::connect(http).await.unwrap();
    let started = Instant::now();
    let dripping = async {
        for byte in b"GET /healthz HTTP/1.1\r\nhost: ".iter().chain(std::iter::repeat(&b'x')) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dripping).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(300));
    // HTTP/2 has no header timeout of its own: a connection on which nothing is asked is closed all the same.
    let ca = node.node.descriptor().ca;
    let client = Https { ca: &ca, name: "localhost", protocol: Protocol::Http2, version: &TLS13 };
    let mut stream = client.connect(https).await.unwrap();
    let mut rest = Vec::new();
    assert!(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok());
    // All of that has done no harm.
    assert_eq!(http_get(http, "/healthz").await.status, 200);
}

#[tokio::test]
async fn garbage_is_answered_or_cut_and_never_harms() {
    let node = TestNode::with(|settings| settings.limits.header_timeout = Duration::from_millis(500)).await;
    let (http, https) = (node.node.http().unwrap(), node.node.https().unwrap());
    let mut noise = vec![0u8; 20_000];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    for bytes in [
        &b"\r\n\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/view?service=\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET http://example.com/v1/view HTTP/1.1\r\nhost: a\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        &noise,
    ] {
        for at in [http, https] {
            let mut stream = TcpStream::connect(at).await.unwrap();
            let _ = stream.write_all(bytes).await;
            let mut rest = Vec::new();
            let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
            assert!(ended.is_ok(), "{at} {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
        }
    }
    assert_eq!(http_get(http, "/healthz").await.status, 200);
}
