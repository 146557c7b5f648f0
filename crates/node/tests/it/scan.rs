//! Looks that nobody asked for.

use std::time::{Duration, Instant};

use parallax_core::{History, Outcome, ServiceId};

use crate::support::{PATIENCE, Site, TestNode};

async fn until<T>(mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn known_services_are_looked_at_again_and_again_and_others_never() {
    let site = Site::start().await;
    let quiet: ServiceId = "127.0.0.1:9".parse().unwrap();
    let node = TestNode::with(|settings| settings.scan_every = Some(Duration::from_secs(1))).await;
    let store = node.node.store();
    for service in [site.service(), quiet.clone()] {
        store.import(&service, History::default()).await.unwrap();
    }
    let known = async |service: &ServiceId| store.known(service).await.unwrap();
    let first = until(async || known(&site.service()).await?.history.spans.first().map(|span| span.last_seen)).await;
    until(async || known(&site.service()).await?.last_seen().filter(|seen| *seen > first)).await;
    until(async || known(&quiet).await?.latest.clone().filter(|look| look.now.outcome == Outcome::Refused)).await;

    let metrics = node.get("/metrics").await.text();
    for line in ["parallax_scan_looks_total{outcome=\"seen\"} ", "parallax_scan_services 2"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert_eq!(store.services(parallax_store::Listing { limit: 9, ..Default::default() }).await.unwrap().len(), 2);
    // It stops as fast as any node.
    let begun = Instant::now();
    node.node.shutdown().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_node_that_was_not_told_to_scan_looks_at_nothing() {
    let site = Site::start().await;
    let node = TestNode::start().await;
    node.node.store().import(&site.service(), History::default()).await.unwrap();
    let metrics = node.get("/metrics").await.text();
    assert!(!metrics.contains("parallax_scan_looks_total{"), "{metrics}");
    assert!(metrics.contains("parallax_scan_services 0"), "{metrics}");
    let too_often = parallax_node::NodeSettings { scan_every: Some(Duration::from_millis(999)), ..Default::default() };
    let error = parallax_node::Node::start(too_often).await.unwrap_err().to_string();
    assert!(error.starts_with("scan_every"), "{error}");
}
