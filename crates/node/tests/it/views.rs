//! Questions about services and the views that answer them.

use std::time::{Duration, Instant};

use parallax_core::{CaId, Fingerprint, History, Look, Observation, Outcome, ServiceId, Timespan, Timestamp};
use parallax_probe::ProbeSettings;
use parallax_proto::{Question, contradiction};

use crate::support::{PATIENCE, Site, TestNode, get, look_now, now, what_is_known};

fn span(first: Timestamp, last: Timestamp) -> Timespan {
    let key = Fingerprint::from_bytes([7; 32]);
    Timespan {
        key,
        leaf: key,
        leaf_md5: None,
        issuer_key: None,
        ca_id: CaId::Key(key),
        networks: vec![],
        proved: true,
        first_seen: first,
        last_seen: last,
    }
}

fn past(days: u64) -> History {
    let ago = |days| now().minus(Duration::from_secs(days * 86_400));
    History { spans: vec![span(ago(days), ago(days / 2))], ..History::default() }
}

#[tokio::test]
async fn the_first_look_is_signed_and_kept_and_the_second_asker_gets_it() {
    let (node, site) = (TestNode::start().await, Site::start().await);
    let first = node.ask(&what_is_known(&site.service())).await;
    let view = first.content();
    assert_eq!(view.region.as_deref(), Some("lab-1"));
    assert_eq!(view.now.outcome, Outcome::Seen);
    assert_eq!(view.now.proved().unwrap().leaf, site.leaf);
    assert_eq!(view.history.len(), 1, "the look is on disk before anybody is told of it");
    assert_eq!(view.valid_until, view.issued_at.plus(Duration::from_secs(300)));

    let second = node.ask(&what_is_known(&site.service())).await;
    assert_eq!(second.content().now, view.now);
    assert_eq!(site.connections(), 1);
    assert_eq!(contradiction(&first, &second), None);
}

#[tokio::test]
async fn two_hundred_askers_make_one_handshake() {
    let (node, (site, gate)) = (TestNode::start().await, Site::gated().await);
    let askers: Vec<_> = (0..200)
        .map(|asker| {
            let question = Question { nonce: Some(format!("asker {asker}")), ..look_now(&site.service()) };
            let (router, path) = (node.node.router(), question.to_path());
            (question, tokio::spawn(async move { get(router, &path).await }))
        })
        .collect();
    site.arrived(1).await;
    gate.open();
    for (question, asker) in askers {
        let view = node.verify(&question, asker.await.unwrap());
        assert_eq!(view.content().now.outcome, Outcome::Seen);
        assert_eq!(view.content().nonce, question.nonce);
    }
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn an_asker_who_leaves_cancels_nothing() {
    let (node, (site, gate)) = (TestNode::start().await, Site::gated().await);
    let (router, path) = (node.node.router(), look_now(&site.service()).to_path());
    let asker = tokio::spawn(async move { get(router, &path).await });
    site.arrived(1).await;
    asker.abort();
    assert!(asker.await.unwrap_err().is_cancelled());
    gate.open();
    // Nobody asks again: what is on disk can only be the look that was left behind.
    let kept = async {
        loop {
            if let Some(known) = node.node.store().known(&site.service()).await.unwrap() {
                return known;
            }
            tokio::task::yield_now().await;
        }
    };
    let known = tokio::time::timeout(PATIENCE, kept).await.unwrap();
    assert_eq!(known.history.spans[0].leaf, site.leaf);
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn who_does_not_wait_gets_the_history_and_pending() {
    let (node, (site, gate)) = (TestNode::start().await, Site::gated().await);
    node.node.store().import(&site.service(), past(30)).await.unwrap();
    let impatient = Question { wait: Duration::ZERO, ..look_now(&site.service()) };
    let view = node.ask(&impatient).await;
    assert_eq!(view.content().now.outcome, Outcome::Pending);
    assert_eq!(view.content().history.len(), 1);
    gate.open();
    let later = node.ask(&look_now(&site.service())).await;
    assert_eq!(later.content().now.outcome, Outcome::Seen);
    assert_eq!(later.content().history.len(), 2);
    assert_eq!(site.connections(), 1, "the second joins the look of the first, or gets it");
    assert_eq!(contradiction(&view, &later), None);
}

#[tokio::test]
async fn a_dictated_address_enters_no_history() {
    let node = TestNode::start().await;
    let site = Site::start().await;
    let elsewhere = Site::start_at(&format!("127.0.0.2:{}", site.address.port())).await;
    let there = Question { address: "127.0.0.2".parse().ok(), ..look_now(&site.service()) };

    let stranger = node.ask(&there).await;
    assert_eq!(stranger.content().now.proved().unwrap().leaf, elsewhere.leaf);
    assert_eq!(stranger.content().now.address, Some(elsewhere.address));
    assert!(stranger.content().history.is_empty());
    assert_eq!(node.node.store().known(&site.service()).await.unwrap(), None);

    let ordinary = node.ask(&look_now(&site.service())).await;
    assert_eq!(ordinary.content().now.proved().unwrap().leaf, site.leaf);
    assert_eq!(ordinary.content().history.len(), 1);

    let again = node.ask(&Question { nonce: Some("again".into()), ..there }).await;
    assert_eq!(again.content().history, ordinary.content().history, "what is known goes with it unchanged");
    for other in [&stranger, &again] {
        assert_eq!(contradiction(&ordinary, other), None);
    }
}

#[tokio::test]
async fn a_failed_look_is_an_answer_and_is_not_repeated_for_ten_seconds() {
    let node = TestNode::start().await;
    let service = nobody_listens().await;
    node.node.store().import(&service, past(30)).await.unwrap();
    let started = Instant::now();
    let first = node.ask(&look_now(&service)).await;
    assert_eq!(first.content().now.outcome, Outcome::Refused);
    assert_eq!(first.content().history.len(), 1, "the history is as before");
    let second = node.ask(&look_now(&service)).await;
    if started.elapsed() < Duration::from_secs(10) {
        assert_eq!(second.content().now, first.content().now);
    }
}

#[tokio::test]
async fn names_that_lead_nowhere_leave_nothing_on_disk() {
    let node = TestNode::start().await;
    let service = nobody_listens().await;
    assert_eq!(node.ask(&look_now(&service)).await.content().now.outcome, Outcome::Refused);
    assert_eq!(node.node.store().known(&service).await.unwrap(), None);
}

#[tokio::test]
async fn a_service_is_looked_at_once_in_two_seconds() {
    let node = TestNode::start().await;
    // On a machine that is too busy to ask twice in two seconds there is nothing to see; then try again.
    for _ in 0..20 {
        let (site, started) = (Site::start().await, Instant::now());
        let first = node.ask(&look_now(&site.service())).await;
        let second = node.ask(&look_now(&site.service())).await;
        if started.elapsed() < Duration::from_secs(2) {
            assert_eq!(first.content().now, second.content().now);
            assert_eq!(site.connections(), 1);
            return;
        }
    }
    panic!("no two questions came within two seconds");
}

#[tokio::test]
async fn max_age_decides_what_is_fresh_enough() {
    let (node, site) = (TestNode::start().await, Site::start().await);
    let seen = node.ask(&look_now(&site.service())).await.content().now.clone();
    let (other, hour_ago) = (Site::start().await, now().minus(Duration::from_secs(3600)));
    let old = Observation { at: hour_ago, address: Some(other.address), ..seen };
    node.node.store().record(&other.service(), Look { dns: Default::default(), now: old.clone() }).await.unwrap();

    let relaxed = Question { max_age: Duration::from_secs(7200), ..look_now(&other.service()) };
    assert_eq!(node.ask(&relaxed).await.content().now, old);
    assert_eq!(other.connections(), 0);
    let strict = Question { max_age: Duration::from_secs(60), ..look_now(&other.service()) };
    assert_eq!(node.ask(&strict).await.content().now.proved().unwrap().leaf, other.leaf);
    assert_eq!(other.connections(), 1);
}

#[tokio::test]
async fn by_default_nothing_private_is_looked_at() {
    let node = TestNode::with(|settings| settings.probe = ProbeSettings::default()).await;
    let site = Site::start().await;
    let port = site.address.port();
    for service in [format!("127.0.0.1:{port}"), "127.0.0.1:443".into(), "[::1]:443".into(), "[::ffff:7f00:1]".into()] {
        let service: ServiceId = service.parse().unwrap();
        let view = node.ask(&look_now(&service)).await;
        assert_eq!(view.content().now.outcome, Outcome::NotAllowed, "{service}");
        assert_eq!(view.content().now.address, None);
        let there = Question { address: "127.0.0.1".parse().ok(), ..look_now(&"192.0.2.1:443".parse().unwrap()) };
        assert_eq!(node.ask(&there).await.content().now.outcome, Outcome::NotAllowed);
    }
    assert_eq!(site.connections(), 0);
}

#[tokio::test]
async fn a_node_does_not_look_at_itself() {
    let node = TestNode::start().await;
    for own in [node.node.http(), node.node.https()].into_iter().flatten() {
        let service: ServiceId = own.to_string().parse().unwrap();
        assert_eq!(node.ask(&look_now(&service)).await.content().now.outcome, Outcome::NotAllowed);
    }
}

#[tokio::test]
async fn nothing_is_signed_before_what_it_tells_of() {
    let (node, site) = (TestNode::start().await, Site::start().await);
    let ahead = now().plus(Duration::from_secs(3600));
    let history = History { spans: vec![span(now(), ahead)], ..History::default() };
    node.node.store().import(&site.service(), history).await.unwrap();
    let reply = node.get(&look_now(&site.service()).to_path()).await;
    assert_eq!(reply.problem(503), "clock");
    // One history that lies ahead does not stop the others.
    let other = Site::start().await;
    assert_eq!(node.ask(&look_now(&other.service())).await.content().now.outcome, Outcome::Seen);
}

#[tokio::test]
async fn those_without_a_nonce_share_finished_bytes_but_never_older_ones_than_they_take() {
    let (node, site) = (TestNode::start().await, Site::start().await);
    let anybody = Question { nonce: None, ..what_is_known(&site.service()) };
    let first = node.get(&anybody.to_path()).await;
    let second = node.get(&anybody.to_path()).await;
    let (first, second) = (node.verify(&anybody, first), node.verify(&anybody, second));
    assert_eq!(first.content().now, second.content().now);
    // A nonce is never answered with what was signed for somebody else.
    let mine = Question { nonce: Some("mine".into()), ..anybody };
    assert_eq!(node.ask(&mine).await.content().nonce.as_deref(), Some("mine"));
}

/// A port on loopback where nobody listens: bound once and given back.
async fn nobody_listens() -> ServiceId {
    let listener = tokio::net::TcpListener::bind("127.0.0.3:0").await.unwrap();
    listener.local_addr().unwrap().to_string().parse().unwrap()
}
