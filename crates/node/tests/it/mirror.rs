//! The node as a mirror, asked over real sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use parallax_client::{Checker, DEFAULT_TIMEOUT, Deadline, Missing, NodeVantage, VantageUrl};
use parallax_node::{MirrorSettings, Node};
use parallax_probe::{AwsLc, Prober, TargetPolicy};
use parallax_proto::Signed;
use parallax_proto::mirror::{MirrorList, Settings, Signatory, verify};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{PATIENCE, Reply, Site, TestNode, call, http_get, look_now, now, settings};

fn deadline() -> Deadline {
    Deadline::within(PATIENCE)
}

fn asked(node: &Node) -> NodeVantage {
    let url: VantageUrl = node.descriptor().addresses[0].parse().unwrap();
    NodeVantage::new(url.with_pin(node.vantage()), None).unwrap()
}

/// Its descriptor, as anybody may post it to a mirror.
async fn descriptor(node: &Node) -> Signed {
    asked(node).fetch("/v1/vantage", 32 * 1024, deadline()).await.unwrap()
}

async fn join(newcomer: &Signed, to: &Node) -> Result<Value, Missing> {
    let receipt = asked(to).post("/v1/mirrors", serde_json::to_vec(newcomer).unwrap(), deadline()).await?;
    Ok(serde_json::from_str(&receipt).unwrap())
}

/// Waits until `node` knows the newcomer, and gives what it says of it.
async fn known(node: &Node, newcomer: &Node) -> Value {
    let path = format!("/v1/mirrors/{}", newcomer.vantage());
    let known = async {
        loop {
            if let Ok(answer) = asked(node).fetch(&path, 16 * 1024, deadline()).await {
                return serde_json::from_str(&answer.body).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.unwrap()
}

async fn list(node: &Node, path: &str) -> MirrorList {
    let signed = asked(node).fetch(path, 1024 * 1024, deadline()).await.unwrap();
    let by = Signatory { vantage: node.vantage(), statement_key: node.descriptor().statement_key };
    verify::<MirrorList>(&AwsLc, by, signed, now()).unwrap().into_content()
}

async fn post(node: &TestNode, path: &str, body: impl Into<Body>) -> Reply {
    call(node.node.router(), Request::post(path).body(body.into()).unwrap()).await
}

#[tokio::test]
async fn row_10_13_every_join_is_accepted_as_a_candidacy_and_outlives_a_restart() {
    let (mirror, newcomer) = (TestNode::start().await, TestNode::start().await);
    assert!(list(&mirror.node, "/v1/mirrors").await.mirrors.is_empty());
    let receipt = join(&descriptor(&newcomer.node).await, &mirror.node).await.unwrap();
    assert_eq!(receipt, json!({ "vantage": newcomer.node.vantage(), "status": "candidate" }));
    let said = known(&mirror.node, &newcomer.node).await;
    assert_eq!((&said["status"], &said["reason"]), (&json!("candidate"), &json!("joined")), "{said}");
    // A page is given out again for two seconds.
    let listed = list(&mirror.node, "/v1/mirrors?status=candidate").await;
    assert_eq!(listed.mirrors.len(), 1);
    assert!(list(&mirror.node, "/v1/mirrors?status=active").await.mirrors.is_empty(), "nobody draws a candidate");
    assert!(list(&mirror.node, "/v1/mirrors?region=elsewhere").await.mirrors.is_empty());

    mirror.node.shutdown().await.unwrap();
    let again = Node::start(settings(mirror.data.path())).await.unwrap();
    let said = known(&again, &newcomer.node).await;
    assert_eq!(said["status"], "candidate", "{said}");
}

#[tokio::test]
async fn the_federation_is_served_over_https_only() {
    let node = TestNode::start().await;
    let http = node.node.http().unwrap();
    for path in ["/v1/mirrors", "/v1/ping", &format!("/v1/mirrors/{}", node.node.vantage())] {
        assert_eq!(http_get(http, path).await.problem(403), "https-only", "{path}");
    }
    let client = asked(&node.node);
    assert!(client.ping(deadline()).await.unwrap() < PATIENCE);
    let missing = client.fetch(&format!("/v1/removals/{}", "ab".repeat(32)), 1024, deadline()).await.unwrap_err();
    assert!(matches!(missing, Missing::Refused { status: 404, .. }), "{missing}");
}

#[tokio::test]
async fn what_is_posted_and_does_not_hold_is_refused_with_a_sentence() {
    let (node, newcomer) = (TestNode::start().await, TestNode::start().await);
    let good = descriptor(&newcomer.node).await;
    let mut tampered = good.clone();
    tampered.body = tampered.body.replace("lab-1", "lab-2");
    for (path, body, code, status) in [
        ("/v1/mirrors", "{".to_owned(), "bad-statement", 400),
        ("/v1/mirrors", json!({ "body": "{}", "signature": "" }).to_string(), "bad-statement", 400),
        ("/v1/mirrors", serde_json::to_string(&tampered).unwrap(), "bad-statement", 400),
        ("/v1/mirrors", " ".repeat(70_000), "body-too-large", 413),
        ("/v1/mirrors?forwarded=2", serde_json::to_string(&good).unwrap(), "bad-parameter", 400),
        ("/v1/removals", serde_json::to_string(&good).unwrap(), "bad-statement", 400),
        ("/v1/removals", " ".repeat(600_000), "body-too-large", 413),
        ("/v1/reports", json!({ "views": [] }).to_string(), "bad-statement", 400),
        ("/v1/reports", json!({ "views": [good, good] }).to_string(), "bad-statement", 400),
        ("/v1/reports", " ".repeat(600_000), "body-too-large", 413),
    ] {
        let shown: String = body.chars().take(60).collect();
        assert_eq!(post(&node, path, body).await.problem(status), code, "{path} {shown}");
    }
    let own = descriptor(&node.node).await;
    let reply = post(&node, "/v1/mirrors", serde_json::to_string(&own).unwrap()).await;
    assert_eq!(reply.problem(409), "refused");
    assert!(list(&node.node, "/v1/mirrors").await.mirrors.is_empty());
}

#[tokio::test]
async fn no_descriptor_leads_into_the_operator_s_own_network() {
    let newcomer = TestNode::start().await;
    let public = TestNode::with(|settings| settings.probe.targets = TargetPolicy::public()).await;
    let refused = join(&descriptor(&newcomer.node).await, &public.node).await.unwrap_err();
    assert!(refused.to_string().contains("no address that this mirror connects to"), "{refused}");
}

#[tokio::test]
async fn row_17_a_join_that_names_a_victim_costs_it_one_connection() {
    let node = TestNode::start().await;
    let victim = TcpListener::bind("127.0.0.9:0").await.unwrap();
    let at = format!("https://{}", victim.local_addr().unwrap());
    let liar = TestNode::with(|settings| settings.addresses = vec![at]).await;
    let wrapped = liar.get("/v1/vantage").await.signed();
    let body = serde_json::to_string(&wrapped).unwrap();
    assert_eq!(post(&node, "/v1/mirrors", body.clone()).await.status, 202);
    let (probe, _) = tokio::time::timeout(PATIENCE, victim.accept()).await.unwrap().unwrap();
    drop(probe);
    for _ in 0..20 {
        assert_eq!(post(&node, "/v1/mirrors", body.clone()).await.problem(429), "too-many-requests");
    }
    let second = tokio::time::timeout(Duration::from_millis(300), victim.accept()).await;
    assert!(second.is_err(), "the victim was met twice");
    assert!(list(&node.node, "/v1/mirrors").await.mirrors.is_empty(), "who was not met is not listed");
}

#[tokio::test]
async fn row_15_a_report_goes_only_to_those_who_were_asked_and_every_view_must_hold() {
    let site = Site::start().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(TestNode::start().await);
    }
    let question = look_now(&site.service());
    let (mut views, mut descriptors) = (Vec::new(), Vec::new());
    for node in &nodes {
        views.push(node.ask(&question).await.signed().clone());
        descriptors.push(descriptor(&node.node).await);
    }
    let report = |views: &[Signed]| json!({ "views": views, "descriptors": descriptors }).to_string();
    assert_eq!(post(&nodes[0], "/v1/reports", report(&views)).await.status, 202);
    assert_eq!(post(&nodes[0], "/v1/reports", report(&views[1..])).await.problem(403), "refused");
    views[2].body = views[2].body.replace("lab-1", "lab-2");
    assert_eq!(post(&nodes[0], "/v1/reports", report(&views)).await.problem(400), "bad-statement");
}

#[tokio::test]
async fn row_13_a_joiner_that_is_told_to_come_back_comes_back() {
    let hour = Duration::from_secs(2);
    let mirror = TestNode::with(|settings| {
        // One address is met once in an hour of this, on a stranger's own word.
        let rules = Settings { address_rest: hour * 24, ..Settings::default() };
        settings.mirror = MirrorSettings { rules, ..MirrorSettings::default() };
    })
    .await;
    // Two identities at one address: the second has to wait.
    let (first, second) = (TestNode::start().await, TestNode::start().await);
    let (one, other) = (descriptor(&first.node).await, descriptor(&second.node).await);
    join(&one, &mirror.node).await.unwrap();
    let refused = join(&other, &mirror.node).await.unwrap_err();
    assert!(matches!(refused, Missing::Refused { status: 429, .. }), "{refused}");
    let body = || serde_json::to_vec(&other).unwrap();
    let soon = Deadline::within(Duration::from_millis(500));
    let refused = asked(&mirror.node).post_patiently("/v1/mirrors", body(), soon).await.unwrap_err();
    assert!(matches!(refused, Missing::Refused { status: 429, .. }), "it is not waited for in vain: {refused}");
    asked(&mirror.node).post_patiently("/v1/mirrors", body(), deadline()).await.unwrap();
    assert_eq!(known(&mirror.node, &second.node).await["status"], "candidate");
}

/// Stands before a node under the node's own identity, and reads what it is asked.
struct Eavesdropper {
    at: std::net::SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Eavesdropper {
    async fn before(node: &TestNode, listener: TcpListener) -> Self {
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
        let (acceptor, heard) = (TlsAcceptor::from(Arc::new(config)), Arc::new(Mutex::new(Vec::new())));
        let (at, inner, listens) = (listener.local_addr().unwrap(), node.node.http().unwrap(), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, heard) = (acceptor.clone(), Arc::clone(&listens));
                tokio::spawn(async move {
                    let (mut reading, mut writing) = tokio::io::split(acceptor.accept(stream).await.ok()?);
                    let (mut answers, mut questions) = TcpStream::connect(inner).await.ok()?.into_split();
                    tokio::spawn(async move { tokio::io::copy(&mut answers, &mut writing).await });
                    let mut bytes = vec![0; 4096];
                    loop {
                        let many = reading.read(&mut bytes).await.ok().filter(|many| *many > 0)?;
                        heard.lock().unwrap().extend_from_slice(&bytes[..many]);
                        questions.write_all(&bytes[..many]).await.ok()?;
                    }
                    #[allow(unreachable_code, reason = "the type of what `?` leaves with")]
                    Some(())
                });
            }
        });
        Self { at, heard }
    }

    /// The first question about a service, with its headers in order and without its nonce; what was heard is forgotten.
    async fn question(&self) -> (String, Vec<String>) {
        let heard = async {
            loop {
                let text = String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned();
                let question = text.split_inclusive("\r\n\r\n").find(|head| head.starts_with("GET /v1/view"));
                if let Some(question) = question.and_then(|head| head.strip_suffix("\r\n\r\n")) {
                    self.heard.lock().unwrap().clear();
                    return question.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let heard = tokio::time::timeout(PATIENCE, heard).await.unwrap();
        let mut lines = heard.split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap();
        let (path, nonce) = line.strip_suffix(" HTTP/1.1").unwrap().split_once("&nonce=").unwrap();
        (format!("{path} and a nonce of {} characters", nonce.len()), lines.collect())
    }
}

#[tokio::test]
async fn row_20_a_quiz_is_the_very_question_that_a_client_asks() {
    let listener = TcpListener::bind("127.0.0.8:0").await.unwrap();
    let at = format!("https://{}", listener.local_addr().unwrap());
    let quizzed = TestNode::with(|settings| settings.addresses = vec![at.clone()]).await;
    let between = Eavesdropper::before(&quizzed, listener).await;
    let service = "popular.example".parse().unwrap();
    // They wait equally long. Here both wait a little longer: the seconds of `wait` are whole ones, and a loaded machine
    // may spend half of one before it asks.
    assert_eq!(MirrorSettings::default().patience, DEFAULT_TIMEOUT);
    let patience = Duration::from_millis(5_450);
    let tester = TestNode::with(|settings| {
        let rules = Settings { candidate_time: Duration::from_secs(2), ..Settings::default() };
        settings.mirror = MirrorSettings { rules, popular: vec![service], patience, ..MirrorSettings::default() };
    })
    .await;
    let wrapped = quizzed.get("/v1/vantage").await.signed();
    join(&wrapped, &tester.node).await.unwrap();
    let quiz = between.question().await;
    tester.node.shutdown().await.unwrap();
    between.heard.lock().unwrap().clear();

    let url: VantageUrl = format!("https://{}", between.at).parse().unwrap();
    let asked = NodeVantage::new(url.with_pin(quizzed.node.vantage()), None).unwrap();
    let prober = Prober::new(settings(quizzed.data.path()).probe).unwrap();
    let checker = Checker::builder(prober).vantage(Arc::new(asked)).timeout(patience).build();
    checker.check(&"popular.example".parse().unwrap()).await;
    assert_eq!(between.question().await, quiz);
}

#[tokio::test]
async fn settings_that_can_not_be_are_named() {
    let data = tempfile::tempdir().unwrap();
    let mirror = MirrorSettings { patience: Duration::ZERO, ..MirrorSettings::default() };
    let refused = Node::start(parallax_node::NodeSettings { mirror, ..settings(data.path()) }).await.unwrap_err();
    assert!(refused.to_string().starts_with("mirror.patience"), "{refused}");
}

#[tokio::test]
async fn row_3_a_node_hands_out_the_bootstrap_file_in_its_data_directory() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(settings(data.path())).await.unwrap();
    let fetch = async || asked(&node).fetch("/v1/bootstrap", 4096, deadline()).await;
    let missing = fetch().await.unwrap_err().to_string();
    assert!(missing.contains("publishes no bootstrap file"), "{missing}");
    std::fs::write(data.path().join(parallax_node::BOOTSTRAP), "{}").unwrap();
    let found = async {
        loop {
            if let Ok(found) = fetch().await {
                return found.body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, found).await.unwrap(), "{}");
}
