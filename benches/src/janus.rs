//! What an order costs a node of the role janus, from its JSON to the answer, on disk before it is answered; and its answer with the
//! certificate. In process: no TLS, no HTTP on the wire. Mails go into a folder in memory where the machine has one.

use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use parallax_core::{Fingerprint, VantageId};
use parallax_janus::answer_message;
use parallax_node::{JanusLimits, JanusSettings, MailRoute, Node, NodeSettings};
use parallax_probe::sha256;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ED25519, SanType, SigningKey as _};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::measure::{Cost, cpu_us, heading, line, wall_us};

const ORDERS: usize = 1_000;
const ROUNDS: usize = 5;
/// Requests at once: what is on disk together is written together.
const AT_ONCE: usize = 64;

struct Asker {
    key: KeyPair,
    csr: Vec<u8>,
}

impl Asker {
    fn new(number: usize) -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let address = format!("user{number}@example.com");
        params.subject_alt_names = vec![SanType::Rfc822Name(address.as_str().try_into().expect("ASCII"))];
        let csr = params.serialize_request(&key).expect("a request").der().to_vec();
        Self { key, csr }
    }

    fn answer(&self, janus: VantageId, order: &str, token2: &str, code: &str) -> Value {
        let hash: Fingerprint = sha256(&self.csr);
        let message = answer_message(janus, order, code, token2, &hash);
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(&message).expect("a signature"));
        json!({ "proof": code, "token2": token2, "signature": signature })
    }
}

pub(crate) fn run() {
    heading("janus: orders and answers of a node in process, 64 at once, on disk before they are answered");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut placed, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (order, answer) = runtime.block_on(round());
        placed.push(order);
        answered.push(answer);
    }
    for (what, costs) in [("an order placed, its mail queued", placed), ("an answer, its certificate issued", answered)]
    {
        let per_second = |us: f64| 1e6 / us;
        line(
            what,
            format_args!(
                "{:.0} µs CPU: {:.0} per CPU-second; {:.0} a second here",
                cpu_us(&costs),
                per_second(cpu_us(&costs)),
                per_second(wall_us(&costs))
            ),
        );
    }
}

async fn round() -> (Cost, Cost) {
    let memory = Path::new("/dev/shm");
    let data = tempfile::tempdir().expect("a directory");
    let mails = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a directory");
    let mut janus = JanusSettings::new(MailRoute::Maildir(mails.path().into()));
    janus.limits = JanusLimits { network_hour: 100_000, overall_hour: 100_000, ..JanusLimits::default() };
    let listen = "127.0.0.1:0".parse().ok();
    let settings = NodeSettings {
        listen: None,
        listen_tls: listen,
        legacy: false,
        janus: Some(janus),
        ..NodeSettings::new(data.path())
    };
    let node = Node::start(settings).await.expect("a node");
    let askers: Vec<Asker> = (0..ORDERS).map(Asker::new).collect();
    let bodies =
        askers.iter().map(|asker| ("/v1/orders".to_owned(), json!({ "csr": URL_SAFE_NO_PAD.encode(&asker.csr) })));
    let (order_cost, orders) = measured(&node, bodies.collect()).await;
    let codes = codes(mails.path()).await;
    let answers = askers.iter().zip(&orders).map(|(asker, placed)| {
        let text = |field: &str| placed[field].as_str().expect("a text").to_owned();
        let (order, token2) = (text("order"), text("token2"));
        let code = codes.get(&order).expect("a mail");
        (format!("/v1/orders/{order}/answer"), asker.answer(node.vantage(), &order, &token2, code))
    });
    let (answer_cost, certificates) = measured(&node, answers.collect()).await;
    assert!(certificates.iter().all(|told| told["certificate"].is_string()), "every order got its certificate");
    node.shutdown().await.expect("a clean end");
    (order_cost, answer_cost)
}

async fn measured(node: &Node, requests: Vec<(String, Value)>) -> (Cost, Vec<Value>) {
    let router = node.router();
    let count = u32::try_from(requests.len()).expect("few");
    let started = (cpu_time::ProcessTime::now(), Instant::now());
    let answers = futures_util::stream::iter(requests.into_iter().map(|(path, body)| call(router.clone(), path, body)));
    let answers = answers.buffered(AT_ONCE).collect().await;
    let cost = Cost { cpu: started.0.elapsed() / count, wall: started.1.elapsed() / count };
    (cost, answers)
}

async fn call(router: Router, path: String, body: Value) -> Value {
    let request = http::Request::post(path).body(Body::from(body.to_string())).expect("a request");
    let response = router.oneshot(request).await.expect("an answer");
    let body = response.into_body().collect().await.expect("whole").to_bytes();
    serde_json::from_slice(&body).expect("JSON")
}

/// The code of each order, from its mail.
async fn codes(mails: &Path) -> std::collections::HashMap<String, String> {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let files: Vec<_> = std::fs::read_dir(mails.join("new")).expect("a folder").flatten().collect();
        if files.len() == ORDERS {
            return files.iter().map(|file| code(&std::fs::read_to_string(file.path()).expect("a mail"))).collect();
        }
        assert!(Instant::now() < until, "{} mails of {ORDERS} came", files.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn code(mail: &str) -> (String, String) {
    let link = mail.lines().find_map(|line| line.strip_prefix("http://localhost:15342/AddCert#")).expect("a link");
    let is_code = |line: &&str| line.len() == 12 && line.starts_with("    ") && !line.contains('-');
    let code = mail.lines().find(is_code).expect("a code").trim();
    (link.split('.').next().unwrap_or_default().to_owned(), code.to_owned())
}
