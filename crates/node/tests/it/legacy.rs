//! The Perspectives interface over real sockets.

mod interop;
mod malformed;
mod memory;
mod old;

use std::path::Path;

use axum::body::Body;
use http::Request;
use parallax_core::{CaId, Fingerprint, History, Md5Fingerprint, ServiceId, Timespan, Timestamp};
use parallax_node::{Node, NodeSettings, Rate};
use parallax_probe::TargetPolicy;
use parallax_proto::{LegacyHistory, LegacyKind};
use parallax_store::{Records as _, SqliteStore};
use rsa::pkcs8::DecodePublicKey as _;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use rustls::version::TLS13;

use crate::support::{Https, PATIENCE, Protocol, Reply, Site, TestNode, call, get, http_get, https_get, settings};

/// A key that no test has to wait for.
const KEY: &str = include_str!("support/legacy.pem");

/// Puts the key where a node that was never started with the interface on will find it.
pub(crate) async fn with_key(data: &Path) {
    Node::start(settings(data)).await.unwrap().shutdown().await.unwrap();
    let path = data.join("identity/legacy.pem");
    std::fs::write(&path, KEY).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

async fn start(change: impl FnOnce(&mut NodeSettings)) -> TestNode {
    let data = tempfile::tempdir().unwrap();
    with_key(data.path()).await;
    let mut settings = NodeSettings { legacy: true, ..settings(data.path()) };
    change(&mut settings);
    TestNode { node: Node::start(settings).await.unwrap(), data }
}

fn span(leaf: u8, first: i64, last: i64) -> Timespan {
    let print = Fingerprint::from_bytes([leaf; 32]);
    Timespan {
        key: print,
        leaf: print,
        leaf_md5: Some(Md5Fingerprint::from_bytes([leaf; 16])),
        issuer_key: None,
        ca_id: CaId::Key(print),
        networks: vec![],
        proved: true,
        first_seen: Timestamp::from_unix_secs(first),
        last_seen: Timestamp::from_unix_secs(last),
    }
}

async fn remember(node: &Node, service: &str, spans: Vec<Timespan>) {
    let service: ServiceId = service.parse().unwrap();
    node.store().import(&service, History { spans, ..History::default() }).await.unwrap();
}

async fn ask(node: &TestNode, path: &str) -> Reply {
    http_get(node.node.http().unwrap(), path).await
}

/// What the index page shows to those who configure a client.
fn public_pem(page: &str) -> String {
    let (_, rest) = page.split_once("<pre>").unwrap();
    rest.split_once("</pre>").unwrap().0.to_owned()
}

/// Verifies a reply as a client does: everything in it, under the spelling that was asked.
fn assert_signed(pem: &str, id: &str, reply: &Reply, rows: &[(u8, u32, u32)]) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "text/xml");
    let text = reply.text();
    let signature = text.split_once("sig=\"").unwrap().1.split_once('"').unwrap().0;
    let signature = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
    let rows = rows.iter().map(|(leaf, start, end)| parallax_core::LegacyRow {
        leaf_md5: Md5Fingerprint::from_bytes([*leaf; 16]),
        start: i64::from(*start),
        end: i64::from(*end),
    });
    let history = LegacyHistory::new(rows);
    let kind = if id.ends_with(",1") { LegacyKind::Ssh } else { LegacyKind::Ssl };
    assert_eq!(text, history.to_xml(kind, &signature));
    let digest = <md5::Md5 as md5::Digest>::digest(history.signed_bytes(id));
    let key = RsaPublicKey::from_public_key_pem(pem).unwrap();
    key.verify(Pkcs1v15Sign::new::<md5::Md5>(), &digest, &signature).unwrap();
}

async fn counted(node: &TestNode, metric: &str) -> u64 {
    let text = node.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.map_or(0, |count| count.parse().unwrap())
}

const SIGNED: &str = "parallax_node_legacy_signatures_total";

/// The rows of docs/protocols/perspectives.md that a request alone decides, by name. The others have tests of their own:
/// the background look, what is not allowed, no store (`memory`), the limits.
const STATUSES: [(&str, &[&str], u16); 12] = [
    (
        "known service",
        &[
            "host=known.example",
            "host=known.example&",
            "host=known.example&port=443&service_type=2",
            "service_type=2&host=%6Bnown.example",
        ],
        200,
    ),
    (
        "nothing is known",
        &[
            "host=unknown.example",
            "host=empty.example",
            "host=known.example&port=444",
            "host=known.example&service_type=1",
        ],
        404,
    ),
    (
        "not looked at",
        &["host=127.0.0.1", "host=10.0.0.1&port=22", "host=192.0.2.1&port=81", "host=x.example&port=81"],
        404,
    ),
    ("unknown parameter", &["host=known.example&colour=red", "host=known.example&Port=443", "colour=red"], 400),
    ("repeated parameter", &["host=known.example&host=known.example", "host=a&port=1&port=1"], 400),
    ("empty host", &["host=", "host", "host=&port=443"], 400),
    ("port without host", &["port=443", "port=443&", "service_type=2"], 400),
    ("bad host", &["host=a..b", "host=a+b", "host=known.example:443"], 400),
    (
        "bad port",
        &[
            "host=known.example&port=",
            "host=known.example&port=0",
            "host=known.example&port=x",
            "host=known.example&port=0443",
            "host=known.example&port=%2B443",
            "host=known.example&port=65536",
        ],
        400,
    ),
    ("unknown type", &["host=known.example&service_type=3", "host=known.example&service_type="], 400),
    ("broken encoding", &["host=%zz", "host=%", "host=%ff"], 400),
    ("more than one & at the end", &["host=known.example&&", "&host=known.example"], 400),
];

#[tokio::test]
async fn every_row_of_the_status_table() {
    let node = start(|settings| settings.probe.targets = TargetPolicy::public()).await;
    remember(&node.node, "known.example", vec![span(7, 1000, 2000)]).await;
    remember(&node.node, "empty.example", vec![]).await;
    let requests =
        STATUSES.iter().flat_map(|(row, queries, status)| queries.iter().map(move |query| (row, query, status)));
    for (row, query, status) in requests {
        let form = Request::post("/").body(Body::from(*query)).unwrap();
        for reply in [ask(&node, &format!("/?{query}")).await, call(node.node.router(), form).await] {
            assert_eq!(reply.status, *status, "{row}: {query}: {}", reply.text());
            match status {
                200 => assert_eq!(reply.header("content-type"), "text/xml"),
                404 => assert_eq!(reply.problem(404), "unknown-service"),
                _ => assert_eq!(reply.problem(400), "bad-parameter"),
            }
        }
    }
    let form = |query: &str, body: String| Request::post(format!("/{query}")).body(Body::from(body)).unwrap();
    let status = async |query, body: &str| call(node.node.router(), form(query, body.to_owned())).await.status.as_u16();
    assert_eq!(status("?host=known.example", "host=known.example").await, 400, "they count together");
    assert_eq!(status("?host=known.example", "port=443&").await, 200);
    assert_eq!(status("?", "&").await, 200, "the page");
    let large = call(node.node.router(), form("", "a".repeat(70_000))).await;
    assert_eq!(large.problem(413), "body-too-large");
    let not_text = Request::post("/").body(Body::from(vec![b'h', 0xff])).unwrap();
    assert_eq!(call(node.node.router(), not_text).await.problem(400), "bad-parameter");
}

#[tokio::test]
async fn what_is_not_known_is_looked_at_once_and_then_told() {
    let (node, site) = (start(|_| {}).await, Site::start().await);
    let path = format!("/?host=127.0.0.1&port={}", site.address.port());
    assert_eq!(ask(&node, &path).await.problem(404), "unknown-service");
    let told = async {
        loop {
            let reply = ask(&node, &path).await;
            if reply.status == 200 {
                return reply;
            }
            assert_eq!(reply.problem(404), "unknown-service");
        }
    };
    let reply = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(reply.text().matches("<key ").count(), 1);
    assert_eq!(site.connections(), 1, "one look however often it was asked");
}

#[tokio::test]
async fn what_may_not_be_looked_at_is_not() {
    let site = Site::start().await;
    let node = start(|settings| settings.probe.targets = TargetPolicy::public().with_any_port()).await;
    let path = format!("/?host=127.0.0.1&port={}", site.address.port());
    for _ in 0..5 {
        assert_eq!(ask(&node, &path).await.status, 404);
    }
    assert_eq!(site.connections(), 0);
    assert!(!node.get("/metrics").await.text().contains("parallax_node_looks_total{"), "not even begun");
    let node = start(|settings| settings.probe.targets = TargetPolicy::public()).await;
    for denied in [
        "host=name.example&port=81",
        "host=192.0.2.1",
        "host=fd00::1&port=443",
        "host=name.example&port=81&service_type=1",
    ] {
        assert_eq!(ask(&node, &format!("/?{denied}")).await.status, 404);
    }
    assert!(!node.get("/metrics").await.text().contains("parallax_node_looks_total{"), "not even begun");
}

#[tokio::test]
async fn signed_once_for_each_history_and_kept() {
    let node = start(|_| {}).await;
    let pem = public_pem(&node.get("/").await.text());
    remember(&node.node, "known.example", vec![span(7, 1000, 2000)]).await;
    let path = "/?host=known.example";
    let first = ask(&node, path).await;
    assert_signed(&pem, "known.example:443,2", &first, &[(7, 1000, 2000)]);
    assert_eq!(ask(&node, path).await.body, first.body);
    remember(&node.node, "known.example", vec![span(7, 1000, 2000)]).await;
    assert_eq!(ask(&node, path).await.body, first.body, "an import of the same changes nothing");
    assert_eq!(counted(&node, SIGNED).await, 1);

    remember(&node.node, "known.example", vec![span(3, 3000, 4000)]).await;
    let changed = ask(&node, path).await;
    let rows = [(7, 1000, 2999), (3, 3000, 4000)];
    assert_signed(&pem, "known.example:443,2", &changed, &rows);
    assert_eq!(counted(&node, SIGNED).await, 2);

    let TestNode { node, data } = node;
    node.shutdown().await.unwrap();
    let node = Node::start(NodeSettings { legacy: true, ..settings(data.path()) }).await.unwrap();
    let node = TestNode { node, data };
    assert_eq!(ask(&node, path).await.body, changed.body);
    assert_eq!(counted(&node, SIGNED).await, 0, "the signature was kept with the history");
    assert_eq!(counted(&node, "parallax_node_legacy_replies_total{source=\"kept\"}").await, 1);
}

#[tokio::test]
async fn other_spellings_are_signed_as_they_were_asked_and_not_without_end() {
    let node = start(|settings| settings.limits.legacy_spellings_per_source_network = Rate::new(1, 3)).await;
    let pem = public_pem(&node.get("/").await.text());
    remember(&node.node, "known.example", vec![span(7, 1000, 2000)]).await;
    for (host, id) in [("KNOWN.example", "KNOWN.example:443,2"), ("known.example.", "known.example.:443,2")] {
        assert_signed(&pem, id, &ask(&node, &format!("/?host={host}")).await, &[(7, 1000, 2000)]);
    }
    let spellings = (0..10).map(|bit| {
        let letters = "known.example".chars().enumerate();
        letters.map(|(at, c)| if at == bit + 1 { c.to_ascii_uppercase() } else { c }).collect::<String>()
    });
    let mut refused = 0;
    for host in spellings.filter(|host| host != "known.example") {
        let reply = ask(&node, &format!("/?host={host}")).await;
        refused += usize::from(reply.status == 429 && !reply.header("retry-after").is_empty());
    }
    assert!(refused > 0);
    assert_eq!(ask(&node, "/?host=KNOWN.example").await.status, 200, "what is made is given again");
    assert_eq!(ask(&node, "/?host=known.example").await.status, 200, "and the name itself is nobody's to block");
}

#[tokio::test]
async fn only_on_the_plain_listener_and_only_when_on() {
    let node = start(|_| {}).await;
    remember(&node.node, "known.example", vec![span(7, 1000, 2000)]).await;
    let ca = node.node.descriptor().ca;
    let client = Https { ca: &ca, name: "localhost", protocol: Protocol::Http1, version: &TLS13 };
    let https = node.node.https().unwrap();
    assert_eq!(https_get(&client, https, "/?host=known.example").await.problem(404), "not-found");
    let client = Https { protocol: Protocol::Http2, ..client };
    assert_eq!(https_get(&client, https, "/?host=known.example").await.problem(404), "not-found");
    assert!(node.get("/").await.text().contains("BEGIN PUBLIC KEY"));

    let off = TestNode::start().await;
    remember(&off.node, "known.example", vec![span(7, 1000, 2000)]).await;
    assert_eq!(ask(&off, "/?host=known.example").await.problem(404), "not-found");
    let form = Request::post("/").body(Body::from("host=known.example")).unwrap();
    assert_eq!(call(off.node.router(), form).await.problem(404), "not-found");
    let page = ask(&off, "/").await;
    assert!(page.status == 200 && !page.text().contains("<form") && !page.text().contains("PUBLIC KEY"));
    assert!(!off.data.path().join("identity/legacy.pem").exists(), "no key is made for what is off");
}

#[tokio::test]
async fn the_index_page_escapes_what_the_operator_wrote_and_keeps_secrets() {
    let node = start(|settings| settings.operator = Some("<script>alert(1)</script> & \"sons\"".into())).await;
    let page = ask(&node, "/?&").await;
    let text = page.text();
    assert_eq!(page.status, 200);
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;sons&quot;"), "{text}");
    assert!(!text.contains("<script") && !text.contains("PRIVATE"));
    assert!(text.contains(env!("CARGO_PKG_VERSION")) && text.contains("<form action=\"/\""));
    assert!(page.header("content-security-policy").contains("form-action 'self'"));
}

#[tokio::test]
async fn the_key_is_made_at_the_first_start_and_stays() {
    let node = TestNode::with(|settings| settings.legacy = true).await;
    remember(&node.node, "known.example", vec![span(7, 1000, 2000)]).await;
    let reply = ask(&node, "/?host=known.example").await;
    let pem = public_pem(&get(node.node.router(), "/").await.text());
    assert_signed(&pem, "known.example:443,2", &reply, &[(7, 1000, 2000)]);
    let TestNode { node, data } = node;
    node.shutdown().await.unwrap();
    let again = Node::start(NodeSettings { legacy: true, ..settings(data.path()) }).await.unwrap();
    assert_eq!(public_pem(&get(again.router(), "/").await.text()), pem);
}

#[tokio::test]
async fn the_kept_signature_can_be_forgotten() {
    let node = start(|_| {}).await;
    // As the utilities do, beside the node.
    let store = SqliteStore::open(&node.data.path().join(parallax_node::DATABASE)).unwrap();
    let kept = async || store.range("legacy", String::new().."~".into(), 9).await.unwrap().len();
    for name in ["known.example", "192.0.2.7"] {
        remember(&node.node, name, vec![span(7, 1000, 2000)]).await;
        assert_eq!(ask(&node, &format!("/?host={name}")).await.status, 200);
    }
    let begun = std::time::Instant::now();
    while kept().await < 2 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for (service, left) in [("other.example", 2), ("known.example:8443", 2), ("known.example", 1), ("192.0.2.7", 0)] {
        parallax_node::forget_legacy_signature(&store, &service.parse().unwrap()).await.unwrap();
        assert_eq!(kept().await, left, "{service}");
    }
}
