//! Replies from memory: what goes on while the store is gone, and what does not.

use std::time::Instant;

use super::{PATIENCE, Site, TestNode, ask, counted, remember, span, start};
use crate::support::{look_now, what_is_known};

/// Takes a table away under a running node, as a damaged file would; and gives it back.
struct Gone(rusqlite::Connection);

impl Gone {
    fn take(node: &TestNode) -> Self {
        let other = rusqlite::Connection::open(node.data.path().join("parallax.sqlite")).unwrap();
        other.busy_timeout(PATIENCE).unwrap();
        other.execute_batch("ALTER TABLE services RENAME TO gone").unwrap();
        Self(other)
    }

    fn give_back(self) {
        self.0.execute_batch("ALTER TABLE gone RENAME TO services").unwrap();
    }
}

#[tokio::test]
async fn while_the_store_is_gone_what_is_in_memory_goes_on_and_others_get_503() {
    let (node, site) = (start(|_| {}).await, Site::start().await);
    for name in ["known.example", "other.example"] {
        remember(&node.node, name, vec![span(7, 1000, 2000)]).await;
    }
    let told = ask(&node, "/?host=known.example").await;
    assert_eq!(told.status, 200);
    node.ask(&look_now(&site.service())).await;

    let gone = Gone::take(&node);
    // Also when the ten seconds are over in which the store is not asked again.
    let begun = Instant::now();
    while counted(&node, "parallax_node_histories_total{source=\"stale\"}").await == 0 {
        assert_eq!(ask(&node, "/?host=known.example").await.body, told.body);
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(ask(&node, "/?host=known.example").await.body, told.body);
    for path in ["/?host=other.example", "/?host=unknown.example", "/?host=known.example&service_type=1"] {
        let refused = ask(&node, path).await;
        assert_eq!(refused.problem(503), "not-recorded", "{path}");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
        assert!(!refused.text().contains("services"), "its tables are nobody's business: {}", refused.text());
    }
    // The same holds for views.
    assert_eq!(node.ask(&what_is_known(&site.service())).await.content().history.len(), 1);
    assert_eq!(node.get("/v1/view?service=other.example").await.problem(503), "not-recorded");
    assert_eq!(node.get("/healthz").await.status, 200, "the node keeps running");

    gone.give_back();
    assert_eq!(ask(&node, "/?host=other.example").await.status, 200, "and recovers by itself");
}

#[tokio::test]
async fn memory_for_replies_has_a_bound() {
    let node = start(|settings| {
        settings.limits.memory_bytes = 50_000;
        settings.limits.legacy_bytes = 50_000;
    })
    .await;
    let names: Vec<String> = (0..300).map(|number| format!("host-{number}.example")).collect();
    for name in &names {
        remember(&node.node, name, vec![span(7, 1000, 2000)]).await;
        assert_eq!(ask(&node, &format!("/?host={name}")).await.status, 200);
    }
    let gone = Gone::take(&node);
    let mut told = 0;
    for name in &names {
        let reply = ask(&node, &format!("/?host={name}")).await;
        assert!(reply.status == 200 || reply.problem(503) == "not-recorded");
        told += usize::from(reply.status == 200);
    }
    // A history with one span counts 1400 bytes, a reply with its row 1000: more than 85 of both together are not kept.
    assert!((1..=120).contains(&told), "{told} of {} from memory", names.len());
    gone.give_back();
}
