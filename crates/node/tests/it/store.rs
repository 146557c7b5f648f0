//! What a node does while its store can't write.

use parallax_core::Outcome;

use crate::support::{Site, TestNode, look_now, what_is_known};

#[tokio::test]
async fn what_can_not_be_recorded_is_not_signed_and_what_is_known_is_still_told() {
    let (node, known, new) = (TestNode::start().await, Site::start().await, Site::start().await);
    node.ask(&look_now(&known.service())).await;

    // Another program takes the database and does not let go.
    let other = rusqlite::Connection::open(node.data.path().join("parallax.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = node.get(&look_now(&new.service()).to_path()).await;
    assert_eq!(refused.problem(503), "not-recorded");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(!refused.text().contains("sqlite"), "files of the node are nobody's business: {}", refused.text());
    assert_eq!(node.ask(&what_is_known(&known.service())).await.content().history.len(), 1);
    assert_eq!(node.get("/readyz").await.problem(503), "not-ready");
    assert_eq!(node.get("/healthz").await.status, 200);

    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(node.get("/readyz").await.status, 200, "no restart is needed");
    let recovered = async {
        loop {
            let reply = node.get(&look_now(&new.service()).to_path()).await;
            if reply.status == 200 {
                return reply;
            }
            assert_eq!(reply.problem(503), "not-recorded");
        }
    };
    let reply = tokio::time::timeout(crate::support::PATIENCE, recovered).await.unwrap();
    let view = node.verify(&look_now(&new.service()), reply);
    assert_eq!(view.content().now.outcome, Outcome::Seen);
    assert_eq!(node.node.store().known(&new.service()).await.unwrap().unwrap().history.spans.len(), 1);
}
