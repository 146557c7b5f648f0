//! What strangers send, and what they get for it.

use axum::body::Body;
use http::{Method, Request};

use crate::support::{TestNode, call};

#[tokio::test]
async fn bad_parameters_are_named() {
    let node = TestNode::start().await;
    for (query, field) in [
        ("/v1/view", "service"),
        ("/v1/view?service=", "service"),
        ("/v1/view?service=%00", "service"),
        ("/v1/view?service=%ff%fe", "service"),
        ("/v1/view?service=a..b", "service"),
        ("/v1/view?service=0x7f.1", "service"),
        ("/v1/view?service=example.com:0", "service"),
        ("/v1/view?service=example.com&service=example.com", "service"),
        ("/v1/view?service=example.com&colour=red", "colour"),
        ("/v1/view?service=example.com&max_age=1e3", "max_age"),
        ("/v1/view?service=example.com&wait=16", "wait"),
        ("/v1/view?service=example.com&wait=%31%36", "wait"),
        ("/v1/view?service=example.com&address=localhost", "address"),
        ("/v1/view?service=example.com&nonce=%0d%0aX:y", "nonce"),
        ("/v1/dns?name=example.com", "types"),
        ("/v1/dns?types=A", "name"),
        ("/v1/dns?name=127.0.0.1&types=A", "name"),
        ("/v1/dns?name=example.com&types=NONSENSE", "types"),
        ("/v1/dns?name=example.com&types=A,A", "types"),
    ] {
        let reply = node.get(query).await;
        assert_eq!(reply.problem(400), "bad-parameter", "{query}");
        assert_eq!(reply.json()["field"], field, "{query}");
        assert!(!reply.headers.contains_key("parallax-signature"), "{query}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_done_that_way() {
    let node = TestNode::start().await;
    for path in ["/v1", "/v1/views", "/../etc/passwd", "/v1/view/", "/%2e%2e"] {
        assert_eq!(node.get(path).await.problem(404), "not-found", "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let request = Request::builder().method(&method).uri("/v1/view").body(Body::empty()).unwrap();
        let reply = call(node.node.router(), request).await;
        assert_eq!(reply.problem(405), "method-not-allowed", "{method}");
        assert_eq!(reply.header("allow"), "GET,HEAD", "{method}");
    }
    let request = Request::builder().method(Method::HEAD).uri("/healthz").body(Body::empty()).unwrap();
    let reply = call(node.node.router(), request).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0));
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let node = TestNode::start().await;
    let request = Request::get("/healthz").header("content-length", 65 * 1024).body(Body::from("x")).unwrap();
    assert_eq!(call(node.node.router(), request).await.problem(413), "body-too-large");
}

#[tokio::test]
async fn the_descriptor_is_verified_by_the_vantage_id_alone() {
    let node = TestNode::with(|settings| {
        settings.rir = Some("RIPE".into());
        settings.operator = Some("Somebody <b>&".into());
        settings.domain = Some("node.example".into());
    })
    .await;
    let descriptor = node.descriptor().await;
    let descriptor = descriptor.content();
    assert_eq!(descriptor, &node.node.descriptor());
    assert_eq!(descriptor.addresses, [format!("https://{}", node.node.https().unwrap())]);
    assert_eq!(descriptor.region.as_deref(), Some("lab-1"));
}

#[tokio::test]
async fn health_readiness_metrics_and_a_page_for_people() {
    let node = TestNode::start().await;
    assert_eq!(node.get("/healthz").await.text(), "alive\n");
    assert_eq!(node.get("/readyz").await.text(), "ready\n");

    let page = node.get("/").await;
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let text = page.text();
    assert!(text.contains(&node.node.vantage().to_string()) && text.contains("/v1/view"), "{text}");
    assert!(!text.contains("<script") && !text.contains("<style"));

    node.get("/v1/view?service=127.0.0.9").await;
    node.get("/v1/view?service=secret-host.example&wait=0").await;
    node.get("/nowhere/secret-path").await;
    let metrics = node.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = metrics.text();
    assert!(text.contains("parallax_http_requests_total{route=\"/v1/view\",status=\"200\"} 2"), "{text}");
    assert!(text.contains("parallax_http_requests_total{route=\"other\",status=\"404\"} 1"), "{text}");
    assert!(text.contains("parallax_store_transactions_total{name=\"open\",result=\"committed\"} 1"), "{text}");
    assert!(text.ends_with("# EOF\n"));
    for secret in ["secret", "127.0.0.9"] {
        assert!(!text.contains(secret), "{secret} is in the metrics");
    }
}

#[tokio::test]
async fn every_answer_forbids_sniffing_and_storing() {
    let node = TestNode::start().await;
    for path in ["/", "/healthz", "/v1/vantage", "/openapi.json", "/nowhere", "/v1/view"] {
        let reply = node.get(path).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
    }
}
