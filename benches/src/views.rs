//! Signed views per second from the store, against the signatures alone.

use std::hint::black_box;

use aws_lc_rs::signature::Ed25519KeyPair;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use parallax_node::{Node, NodeSettings, Rate};
use parallax_probe::{ProbeSettings, Roots, TargetPolicy};
use tower::ServiceExt as _;

use crate::measure::{cpu_us, each, heading, in_turn, line, ratio};
use crate::sites::Sites;

const ROUNDS: usize = 9;
const COUNT: u32 = 2_000;

pub(crate) fn run() {
    heading("views: signed views from the store, each with a nonce, called in process on one thread");
    let sites = Sites::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let node = runtime.block_on(node(&sites, directory.path()));
    let router = node.router();
    let service = sites.name.to_string().replace('/', "%2F");
    let mut nonce = 0u64;
    let mut views = |with_nonce: bool| {
        each(COUNT, || {
            runtime.block_on(async {
                for _ in 0..COUNT {
                    nonce += 1;
                    let nonce = if with_nonce { format!("&nonce={nonce}") } else { String::new() };
                    let uri = format!("/v1/view?service={service}{nonce}");
                    let request = Request::get(uri).body(axum_body()).expect("a request");
                    let response = router.clone().oneshot(request).await.expect("a response");
                    assert_eq!(response.status(), StatusCode::OK);
                    black_box(response.into_body().collect().await.expect("a body"));
                }
            });
        })
    };
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let message = vec![b'x'; 2048];
    let signatures = || {
        each(COUNT, || {
            for _ in 0..COUNT {
                black_box(key.sign(black_box(&message)));
            }
        })
    };
    views(true);
    let (signed, alone) = in_turn(ROUNDS, || views(true), signatures);
    line("an Ed25519 signature over 2 KiB alone", format_args!("{:.1} µs CPU", cpu_us(&alone)));
    let each_view = cpu_us(&signed);
    line("a signed view from the store", format_args!("{each_view:.1} µs CPU: {:.0} per CPU-second", 1e6 / each_view));
    line("CPU of a view over that of its signature", format_args!("{:.1}", ratio(&signed, &alone, |cost| cost.cpu)));
    let (again, _) = in_turn(ROUNDS, || views(false), || each(1, || ()));
    let each_again = cpu_us(&again);
    line(
        "without a nonce (finished bytes, for a second)",
        format_args!("{each_again:.1} µs CPU: {:.0} per CPU-second", 1e6 / each_again),
    );
    runtime.block_on(node.shutdown()).expect("a clean stop");
}

fn axum_body() -> axum::body::Body {
    axum::body::Body::empty()
}

async fn node(sites: &Sites, directory: &std::path::Path) -> Node {
    let mut settings = NodeSettings::new(directory);
    settings.listen = "127.0.0.1:0".parse().ok();
    settings.listen_tls = None;
    settings.limits.questions_per_source_network = Rate::new(1_000_000, 1_000_000);
    settings.probe = ProbeSettings {
        resolver: Some(sites.resolver),
        targets: TargetPolicy::any(),
        roots: Roots::pem(&sites.roots).expect("the lab's roots"),
        ..ProbeSettings::default()
    };
    Node::start(settings).await.expect("a node")
}
