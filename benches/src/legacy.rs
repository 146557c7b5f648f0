//! Perspectives replies: cold (a node that has just started, signatures kept), warm, and the first after a change.
//!
//! The peer is the original's own figures on one core (its Python 3 port): 255 a CPU-second without a cache, 2,330 warm.

use std::path::Path;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use parallax_core::{CaId, Fingerprint, History, Md5Fingerprint, Timespan, Timestamp};
use parallax_node::{Node, NodeSettings};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::measure::{Cost, cpu_us, each, heading, line};

const SERVICES: u32 = 10_000;
const KEYS: u8 = 3;
const SPANS: i64 = 5;
const WARM_ROUNDS: usize = 5;
const DAY: i64 = 86_400;

pub(crate) fn run() {
    heading("legacy: Perspectives replies about 10,000 services with 3 keys of 5 spans each, called in process");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let node = runtime.block_on(filled(directory.path()));
    report("the first reply after a change, one RSA signature", &[ask_all(&runtime, &node)], None);
    runtime.block_on(node.shutdown()).expect("a clean stop");
    let node = runtime.block_on(Node::start(settings(directory.path()))).expect("a node");
    report("cold: history and signature from the store", &[ask_all(&runtime, &node)], Some(255.0));
    let warm: Vec<Cost> = (0..WARM_ROUNDS).map(|_| ask_all(&runtime, &node)).collect();
    report("warm: finished bytes", &warm, Some(2330.0));
    runtime.block_on(node.shutdown()).expect("a clean stop");
}

fn report(what: &str, costs: &[Cost], original: Option<f64>) {
    let cost = cpu_us(costs);
    let against =
        original.map_or(String::new(), |original| format!(", {:.0} times the original's", 1e6 / cost / original));
    line(what, format_args!("{cost:.1} µs CPU: {:.0} per CPU-second{against}", 1e6 / cost));
}

fn ask_all(runtime: &tokio::runtime::Runtime, node: &Node) -> Cost {
    let router = node.router();
    each(SERVICES, || {
        runtime.block_on(async {
            for number in 0..SERVICES {
                let request = Request::get(format!("/?host=host-{number}.example")).body(Body::empty());
                let response = router.clone().oneshot(request.expect("a request")).await.expect("a response");
                assert_eq!(response.status(), StatusCode::OK);
                response.into_body().collect().await.expect("a body");
            }
        });
    })
}

fn settings(data: &Path) -> NodeSettings {
    let mut settings = NodeSettings::new(data);
    settings.listen = "127.0.0.1:0".parse().ok();
    settings.listen_tls = None;
    settings
}

async fn filled(data: &Path) -> Node {
    let node = Node::start(settings(data)).await.expect("a node");
    let (store, mut imports) = (node.store(), JoinSet::new());
    for number in 0..SERVICES {
        let service = format!("host-{number}.example").parse().expect("a service");
        imports.spawn(store.import(&service, history()));
        // Fewer than may wait.
        if imports.len() > 1000 {
            imports.join_next().await.expect("one").expect("a task").expect("an import");
        }
    }
    while let Some(import) = imports.join_next().await {
        import.expect("a task").expect("an import");
    }
    node
}

/// One key after the other, five times, with gaps that no span bridges.
fn history() -> History {
    let span = |key: u8, round: i64| {
        let print = Fingerprint::from_bytes([key; 32]);
        let first = 1_700_000_000 + (round * i64::from(KEYS) + i64::from(key)) * 10 * DAY;
        Timespan {
            key: print,
            leaf: print,
            leaf_md5: Some(Md5Fingerprint::from_bytes([key; 16])),
            issuer_key: None,
            ca_id: CaId::Key(print),
            networks: vec![],
            proved: true,
            first_seen: Timestamp::from_unix_secs(first),
            last_seen: Timestamp::from_unix_secs(first + 5 * DAY),
        }
    };
    let spans = (0..SPANS).flat_map(|round| (0..KEYS).map(move |key| span(key, round))).collect();
    History { spans, ..History::default() }
}
