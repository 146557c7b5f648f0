//! What old notaries remembered, in replies and nowhere else.

use parallax_core::{Md5Fingerprint, ServiceId, Timestamp};
use parallax_store::{OldSpan, SqliteStore, add_old_spans};

use super::{PATIENCE, Site, TestNode, ask, assert_signed, counted, public_pem, remember, span, start};
use crate::support::what_is_known;

pub(crate) fn old(leaf: u8, first: i64, last: i64) -> OldSpan {
    let [first_seen, last_seen] = [first, last].map(Timestamp::from_unix_secs);
    OldSpan { leaf_md5: Md5Fingerprint::from_bytes([leaf; 16]), first_seen, last_seen }
}

/// As `parallax import` does it beside a running node: with a connection of its own.
pub(crate) async fn import(node: &TestNode, rows: impl IntoIterator<Item = (ServiceId, Vec<OldSpan>)>) -> SqliteStore {
    let store = SqliteStore::open(&node.data.path().join("parallax.sqlite")).unwrap();
    let added = rows.into_iter().map(|(service, spans)| {
        let store = &store;
        async move { add_old_spans(store, &service, &spans).await }
    });
    futures_util::future::try_join_all(added).await.unwrap();
    store
}

#[tokio::test]
async fn the_years_before_are_told_with_what_the_node_saw() {
    let node = start(|_| {}).await;
    let pem = public_pem(&node.get("/").await.text());
    let service: ServiceId = "known.example".parse().unwrap();
    // The first of them begins before the format can tell of it, and would reach the node's own.
    let rows = vec![old(9, -5, 29_000_000), old(3, 1_000_000, 9_000_000), old(7, 9_500_000, 10_000_000)];
    import(&node, [(service.clone(), rows)]).await;
    remember(&node.node, "known.example", vec![span(7, 10_100_000, 20_000_000), span(9, 20_000_001, 30_000_000)]).await;
    let reply = ask(&node, "/?host=known.example").await;
    let rows = [(3, 1_000_000, 9_000_000), (7, 9_500_000, 20_000_000), (9, 20_000_001, 30_000_000)];
    assert_signed(&pem, "known.example:443,2", &reply, &rows);
    assert_eq!(ask(&node, "/?host=known.example").await.body, reply.body);
    assert_eq!(counted(&node, super::SIGNED).await, 1);

    // A view holds what the node itself saw, and nothing forgeable.
    let view = node.ask(&what_is_known(&service)).await;
    let spans: Vec<_> = view.content().history.iter().map(|span| span.first_seen.unix_secs()).collect();
    assert_eq!(spans, [10_100_000, 20_000_001]);
}

#[tokio::test]
async fn an_ssh_server_has_its_keys_side_by_side() {
    let node = start(|_| {}).await;
    let pem = public_pem(&node.get("/").await.text());
    let service: ServiceId = "ssh://known.example".parse().unwrap();
    import(&node, [(service, vec![old(8, 1_000_000, 10_000_000)])]).await;
    let own = vec![span(7, 9_000_000, 20_000_000), span(8, 9_000_000, 20_000_000)];
    remember(&node.node, "ssh://known.example", own).await;
    let reply = ask(&node, "/?host=known.example&service_type=1").await;
    let rows = [(7, 9_000_000, 20_000_000), (8, 1_000_000, 20_000_000)];
    assert_signed(&pem, "known.example:22,1", &reply, &rows);
    assert_eq!(ask(&node, "/?host=known.example").await.status, 404, "another service of the same host");
}

#[tokio::test]
async fn what_only_others_have_seen_is_told_and_looked_at() {
    let (node, site) = (start(|_| {}).await, Site::start().await);
    let pem = public_pem(&node.get("/").await.text());
    let service = site.service();
    import(&node, [(service.clone(), vec![old(3, 1_000_000, 2_000_000)])]).await;
    remember(&node.node, &service.to_string(), vec![]).await;
    let path = format!("/?host=127.0.0.1&port={}", site.address.port());
    let reply = ask(&node, &path).await;
    assert_signed(&pem, &format!("{},2", site.address), &reply, &[(3, 1_000_000, 2_000_000)]);
    site.arrived(1).await;
    let told = async { while ask(&node, &path).await.text().matches("<key ").count() < 2 {} };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(site.connections(), 1);
}
