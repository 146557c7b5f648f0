//! Row 19: the operator of a mirror that fell is told, at the mirror's own pinned address and nowhere else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use parallax_client::{Deadline, NodeVantage, VantageUrl};
use parallax_node::{MirrorSettings, MirrorWish, ask_operator};
use parallax_proto::mirror::{Settings, Wish};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{PATIENCE, TestNode, until};

fn asked(node: &TestNode) -> NodeVantage {
    let url: VantageUrl = node.node.descriptor().addresses[0].parse().unwrap();
    NodeVantage::new(url.with_pin(node.node.vantage()), None).unwrap()
}

/// One that meets as many strangers at one address as it is told of.
async fn node(notices: bool) -> TestNode {
    TestNode::with(|settings| {
        let rules = Settings { address_rest: Duration::ZERO, meets_a_minute: 600, ..Settings::default() };
        let patience = Duration::from_secs(2);
        settings.mirror = MirrorSettings { rules, notices, patience, ..MirrorSettings::default() };
    })
    .await
}

/// `one` holds `other` for a candidate.
async fn knows(one: &TestNode, other: &TestNode) {
    let descriptor = other.get("/v1/vantage").await.signed();
    let body = serde_json::to_vec(&descriptor).unwrap();
    asked(one).post("/v1/mirrors", body, Deadline::within(PATIENCE)).await.unwrap();
    let path = format!("/v1/mirrors/{}", other.node.vantage());
    until(async || asked(one).fetch(&path, 16 * 1024, Deadline::within(PATIENCE)).await.is_ok()).await;
}

async fn wishes(of: &TestNode, about: &TestNode, wish: Wish) {
    let request = MirrorWish { vantage: about.node.vantage(), wish };
    ask_operator(of.data.path(), "/mirrors", &request, PATIENCE).await.unwrap();
}

async fn notices(node: &TestNode) -> u32 {
    let text = node.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix("parallax_mirror_notices_total ")).unwrap().to_owned();
    line.parse().unwrap()
}

#[tokio::test]
async fn row_19_who_falls_is_told_once_an_hour_where_that_is_switched_on() {
    let (told, silent, teller) = (node(false).await, node(false).await, node(true).await);
    for node in [&silent, &teller] {
        knows(node, &told).await;
        knows(&told, node).await;
    }
    wishes(&silent, &told, Wish::Drop).await;
    wishes(&teller, &told, Wish::Drop).await;
    until(async || notices(&told).await > 0).await;
    // It falls again within the hour.
    wishes(&teller, &told, Wish::TakeBack).await;
    wishes(&teller, &told, Wish::Drop).await;
    // What comes after it shows that nothing came before it: both are sent in their order, over one connection.
    let other = node(false).await;
    knows(&teller, &other).await;
    knows(&other, &teller).await;
    wishes(&teller, &other, Wish::Drop).await;
    until(async || notices(&other).await > 0).await;
    assert_eq!((notices(&told).await, notices(&other).await), (1, 1));
}

#[tokio::test]
async fn row_19_a_stranger_s_notice_is_refused_and_so_is_one_about_another() {
    let (told, teller) = (node(false).await, node(true).await);
    let post = async |body: String| asked(&told).post("/v1/notices", body.into(), Deadline::within(PATIENCE)).await;
    let descriptor = serde_json::to_string(&teller.get("/v1/vantage").await.signed()).unwrap();
    let stranger = post(descriptor.clone()).await.unwrap_err().to_string();
    assert!(stranger.contains("404"), "{stranger}");
    knows(&told, &teller).await;
    let another_kind = post(descriptor).await.unwrap_err().to_string();
    assert!(another_kind.contains("400"), "{another_kind}");
    let large = post(" ".repeat(70_000)).await.unwrap_err().to_string();
    assert!(large.contains("413"), "{large}");
    assert_eq!(notices(&told).await, 0);
}

/// Stands at the address of a mirror, under the mirror's identity or a stranger's.
struct Trap {
    identity: Arc<Mutex<TlsAcceptor>>,
    connections: Arc<AtomicUsize>,
    /// Notices that came, and those of which the other end has given up the answer.
    requests: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
}

impl Trap {
    /// To a notice it answers `head` and then goes on for ever, or with no word at all; the rest goes to the mirror itself.
    fn before(mirror: &TestNode, listener: TcpListener, head: &str) -> Self {
        let identity = Arc::new(Mutex::new(acceptor(mirror)));
        let trap = Self { identity, connections: Arc::default(), requests: Arc::default(), given_up: Arc::default() };
        let (inner, head) = (mirror.node.http().unwrap(), head.to_owned());
        let (identity, connections) = (Arc::clone(&trap.identity), Arc::clone(&trap.connections));
        let (requests, given_up) = (Arc::clone(&trap.requests), Arc::clone(&trap.given_up));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let acceptor = identity.lock().unwrap().clone();
                let (head, requests, given_up) = (head.clone(), Arc::clone(&requests), Arc::clone(&given_up));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut bytes = vec![0; 16 * 1024];
                    let many = stream.read(&mut bytes).await.unwrap_or(0);
                    if bytes[..many].starts_with(b"POST /v1/notices") {
                        requests.fetch_add(1, Ordering::SeqCst);
                        drop(answer(&mut stream, &head).await);
                        given_up.fetch_add(1, Ordering::SeqCst);
                    } else if many > 0 {
                        let mut answers = TcpStream::connect(inner).await.unwrap();
                        answers.write_all(&bytes[..many]).await.unwrap();
                        drop(tokio::io::copy_bidirectional(&mut stream, &mut answers).await);
                    }
                });
            }
        });
        trap
    }
}

/// Until the other end hangs up.
async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), head: &str) -> std::io::Result<()> {
    stream.write_all(head.as_bytes()).await?;
    while !head.is_empty() {
        stream.write_all(&[b'x'; 1024]).await?;
    }
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

fn acceptor(node: &TestNode) -> TlsAcceptor {
    let identity = node.data.path().join("identity");
    let server = std::fs::read(identity.join("server.pem")).unwrap();
    let ca = std::fs::read(identity.join("ca.pem")).unwrap();
    let chain = [server.as_slice(), &ca].map(|pem| CertificateDer::from_pem_slice(pem).unwrap());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.to_vec(), PrivateKeyDer::from_pem_slice(&server).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A mirror that another one knows, and the trap at its address.
async fn trapped(teller: &TestNode, head: &str) -> (TestNode, Trap) {
    let listener = TcpListener::bind("127.0.0.8:0").await.unwrap();
    let at = format!("https://{}", listener.local_addr().unwrap());
    let mirror = TestNode::with(|settings| settings.addresses = vec![at]).await;
    let trap = Trap::before(&mirror, listener, head);
    knows(teller, &mirror).await;
    (mirror, trap)
}

#[tokio::test]
async fn row_19_no_redirect_is_followed_no_endless_answer_read_and_nobody_waited_for_without_end() {
    let victim = TcpListener::bind("127.0.0.9:0").await.unwrap();
    let elsewhere = format!("location: https://{}/", victim.local_addr().unwrap());
    let redirect = format!("HTTP/1.1 307 Temporary Redirect\r\n{elsewhere}\r\ncontent-length: 900000000\r\n\r\n");
    let teller = node(true).await;
    for head in [redirect.as_str(), "HTTP/1.1 200 OK\r\ncontent-length: 900000000\r\n\r\n", ""] {
        let (falls, trap) = trapped(&teller, head).await;
        wishes(&teller, &falls, Wish::Drop).await;
        // 900 MB or silence: the teller hangs up by itself.
        until(async || trap.given_up.load(Ordering::SeqCst) > 0).await;
        assert_eq!(trap.requests.load(Ordering::SeqCst), 1, "a notice is sent once");
    }
    let met = tokio::time::timeout(Duration::from_millis(300), victim.accept()).await;
    assert!(met.is_err(), "a redirect was followed");
}

#[tokio::test]
async fn row_19_a_stranger_at_a_mirror_s_address_is_sent_no_request() {
    let (teller, stranger) = (node(true).await, node(false).await);
    let (falls, trap) = trapped(&teller, "").await;
    let before = trap.connections.load(Ordering::SeqCst);
    *trap.identity.lock().unwrap() = acceptor(&stranger);
    wishes(&teller, &falls, Wish::Drop).await;
    until(async || trap.connections.load(Ordering::SeqCst) > before).await;
    // What is sent after it arrives: that one was over.
    let next = node(false).await;
    knows(&teller, &next).await;
    knows(&next, &teller).await;
    wishes(&teller, &next, Wish::Drop).await;
    until(async || notices(&next).await == 1).await;
    assert_eq!(trap.requests.load(Ordering::SeqCst), 0, "whoever stands there has another key");
    assert_eq!(trap.connections.load(Ordering::SeqCst), before + 1, "a handshake, once");
}
