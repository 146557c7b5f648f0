//! What is documented against what is there.

use parallax_node::metrics;

const API: &str = include_str!("../../../../docs/api.md");
const OPERATING: &str = include_str!("../../../../docs/operating.md");

#[test]
fn every_metric_is_in_the_operator_s_table() {
    for name in [
        metrics::HTTP_REQUESTS,
        metrics::HTTP_REQUEST_SECONDS,
        metrics::HTTP_CONNECTIONS,
        metrics::HTTP_CONNECTIONS_REFUSED,
        metrics::LOOKS,
        metrics::LOOK_SECONDS,
        metrics::LOOKS_UNDER_WAY,
        metrics::VIEWS,
        metrics::DNS_ANSWERS,
        metrics::REFUSED,
        metrics::HISTORIES,
        metrics::LEGACY_REPLIES,
        metrics::LEGACY_SIGNATURES,
        metrics::SIGNATURES,
        metrics::SERVER_CERTIFICATE_END,
        metrics::SCAN_LOOKS,
        metrics::SCAN_SERVICES,
        metrics::SCAN_DUE,
        metrics::MIRROR_ACTIONS,
        metrics::MIRRORS,
        metrics::CHANNELS_OPEN,
        metrics::CHANNEL_CREATIONS,
        metrics::CHANNEL_MESSAGES,
        metrics::CHANNEL_PUSHES,
        metrics::JANUS_ORDERS,
        metrics::JANUS_ANSWERS,
        metrics::JANUS_CERTIFICATES,
        metrics::JANUS_REVOCATIONS,
        metrics::JANUS_MAILS,
        metrics::JANUS_MAILS_WAITING,
        metrics::JANUS_DENIED,
        metrics::JANUS_ISSUING_END,
        metrics::STORE_TRANSACTIONS,
        metrics::STORE_SECONDS,
    ] {
        assert!(OPERATING.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[tokio::test]
async fn every_route_and_problem_code_is_in_the_api_s_text() {
    let node = crate::support::TestNode::start().await;
    let document = node.get("/openapi.json").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let method = ["GET", "POST", "PUT"].into_iter().find(|one| methods.get(one.to_lowercase()).is_some()).unwrap();
        assert!(API.contains(&format!("{method} {path}")), "{path}");
    }
    let codes = document.pointer("/components/schemas/Problem/properties/code/enum").unwrap();
    for code in codes.as_array().unwrap() {
        assert!(API.contains(&format!("`{}`", code.as_str().unwrap())), "{code}");
    }
    for parameter in document.pointer("/paths/~1v1~1view/get/parameters").unwrap().as_array().unwrap() {
        assert!(API.contains(&format!("| `{}` |", parameter["name"].as_str().unwrap())), "{parameter}");
    }
}
