//! What every test needs: a node, a site, a question, and the reader who believes nothing unverified.

mod client;
mod dns_server;
mod site;

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use parallax_core::{ServiceId, Timestamp};
use parallax_node::{Node, NodeLimits, NodeSettings, Rate};
use parallax_probe::{AwsLc, ProbeSettings, TargetPolicy};
use parallax_proto::{Descriptor, Expected, Question, SIGNATURE_HEADER, Signed, Verified, View};
use tower::ServiceExt as _;

pub(crate) use client::{Https, Protocol, http_get, https_get, whole};
pub(crate) use dns_server::DnsServer;
pub(crate) use site::Site;

/// Nothing on a loaded machine takes longer; what does has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for loopback: free ports, any target, limits that no test reaches by accident.
pub(crate) fn settings(data: &Path) -> NodeSettings {
    let plenty = Rate::new(1_000_000, 1_000_000);
    NodeSettings {
        listen: "127.0.0.1:0".parse().ok(),
        listen_tls: "127.0.0.1:0".parse().ok(),
        region: Some("lab-1".into()),
        // Finding primes for every node of every test would take its time.
        legacy: false,
        probe: ProbeSettings {
            targets: TargetPolicy::any(),
            // Nobody answers there: no test asks a resolver it does not run itself.
            resolver: "127.0.0.1:9".parse().ok(),
            ..Default::default()
        },
        limits: NodeLimits {
            looks_per_target: plenty,
            looks_per_target_network: plenty,
            questions_per_source_network: plenty,
            ..Default::default()
        },
        ..NodeSettings::new(data)
    }
}

/// A node with its own data directory.
pub(crate) struct TestNode {
    pub(crate) node: Node,
    pub(crate) data: tempfile::TempDir,
}

impl TestNode {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut NodeSettings)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut settings = settings(data.path());
        change(&mut settings);
        Self { node: Node::start(settings).await.unwrap(), data }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        get(self.node.router(), path).await
    }

    /// The verified answer.
    pub(crate) async fn ask(&self, question: &Question) -> Verified<View> {
        self.verify(question, self.get(&question.to_path()).await)
    }

    pub(crate) fn verify(&self, question: &Question, reply: Reply) -> Verified<View> {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.header("content-type"), "application/json");
        let descriptor = self.node.descriptor();
        let expected =
            Expected { vantage: self.node.vantage(), statement_key: descriptor.statement_key, question, now: now() };
        View::verify(&AwsLc, &expected, reply.signed()).unwrap()
    }

    /// The verified descriptor, as a stranger gets it.
    pub(crate) async fn descriptor(&self) -> Verified<Descriptor> {
        let reply = self.get("/v1/vantage").await;
        Descriptor::verify(&AwsLc, self.node.vantage(), reply.signed(), now()).unwrap()
    }
}

/// A question that insists on a new look and waits for it.
pub(crate) fn look_now(service: &ServiceId) -> Question {
    Question {
        max_age: Duration::ZERO,
        wait: Duration::from_secs(15),
        nonce: Some("now".into()),
        ..Question::about(service.clone())
    }
}

/// A question that takes what is known.
pub(crate) fn what_is_known(service: &ServiceId) -> Question {
    Question { wait: Duration::from_secs(15), nonce: Some("known".into()), ..Question::about(service.clone()) }
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap())
}

/// Waits for something to hold.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to hold");
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn signed(&self) -> Signed {
        Signed { body: self.text(), signature: self.header(SIGNATURE_HEADER).to_owned() }
    }

    /// The `code` of a problem document with this status.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().unwrap().len() > 10);
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// Calls a router in process.
pub(crate) async fn get(router: axum::Router, path: &str) -> Reply {
    call(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn call(router: axum::Router, request: Request<Body>) -> Reply {
    let answering = async {
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    };
    tokio::time::timeout(PATIENCE, answering).await.unwrap()
}
