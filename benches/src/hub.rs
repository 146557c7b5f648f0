//! A hub in a process of its own: what a routed reply costs it, what resting peers take, how long questions wait, and what
//! NATS takes to ask as many.
//!
//! The peers are in this process and sign nothing: the hub verifies no signature either. Only the hub's CPU time counts.

mod nats;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parallax_client::{Attached, Deadline, ServerUrl, new_key_file, read_key_file};
use parallax_core::VantageId;
use parallax_node::{Node, NodeSettings, Rate};
use parallax_probe::TargetPolicy;
use parallax_proto::channel::{OwnKey, Rate as Every, Run};
use parallax_proto::hub::{HubSettings, Look, PerMinute};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::measure::{heading, line, median};

/// What this program is called with to be the hub: then `memory` or `none`, for whether it remembers views.
pub(crate) const ARGUMENT: &str = "serve-hub";

const ROUNDS: usize = 5;
const REPLIES: u16 = 20;
const AT_ONCE: usize = 8;
const QUESTIONS: usize = 400;
const SERVICE: &str = "tls://127.0.0.1:8443";

pub(crate) fn run() {
    heading("hub: a node in a process of its own; its CPU time alone, user and system");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for (what, remembers, aim) in [
        ("a routed reply, nothing remembered", "none", 60_000.0),
        ("a routed reply, each written to disk", "memory", 30_000.0),
    ] {
        let hub = Server::start(remembers);
        let peers = runtime.block_on(attach(&hub, 100));
        let costs = (0..ROUNDS).map(|_| runtime.block_on(ask(&hub, QUESTIONS, REPLIES)).cpu_each).collect();
        said(what, median(costs), aim);
        drop(peers);
    }
    thousand(&runtime);
    against_nats(&runtime);
    resting(&runtime);
}

fn said(what: &str, each: f64, aim: f64) {
    let word = if 1e6 / each >= aim { "met" } else { "MISSED" };
    line(what, format_args!("{each:.1} µs CPU: {:.0} per CPU-second (aim {aim:.0}: {word})", 1e6 / each));
}

/// 1,000 peers, 20 replies each, 8 questions at once.
fn thousand(runtime: &Runtime) {
    let hub = Server::start("none");
    let peers = runtime.block_on(attach(&hub, 1_000));
    let mut took = runtime.block_on(ask(&hub, QUESTIONS, REPLIES)).took;
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let (middle, late) = (at(0.5), at(0.99));
    let ratio = late / middle;
    line(
        "1,000 peers, 20 replies, 8 at once: median, p99",
        format_args!("{middle:.1} ms, {late:.1} ms ({ratio:.1} x)"),
    );
    drop(peers);
}

fn against_nats(runtime: &Runtime) {
    let Some(nats) = nats::Nats::find() else {
        line(
            "a question to 8 peers against NATS to 8 responders",
            "not measured: no nats-server of this machine is seen",
        );
        return;
    };
    let hub = Server::start("none");
    let peers = runtime.block_on(attach(&hub, 8));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(runtime.block_on(ask(&hub, QUESTIONS, 8)).cpu_each * 8.0);
        theirs.push(nats.ask(QUESTIONS, view(VantageId::from_bytes([1; 32]), "x".repeat(43)).len()));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours / theirs;
    line("a question to 8 peers, NATS to 8 responders", format_args!("{ours:.0} µs, {theirs:.0} µs CPU: {ratio:.2} x"));
    drop(peers);
}

/// What a peer that rests takes, over plain HTTP and over TLS.
fn resting(runtime: &Runtime) {
    for (count, tls, aim) in [(1_000, false, 20), (1_000, true, 40), (10_000, false, 20), (10_000, true, 40)] {
        let hub = Server::start("none");
        let before = hub.memory();
        let peers = runtime.block_on(attach_over(&hub, count, tls));
        if peers.len() < count {
            line("a resting peer", format_args!("not measured: {} of {count} could attach", peers.len()));
            continue;
        }
        let each = (hub.memory().saturating_sub(before)) as f64 / 1024.0 / count as f64;
        let over = if tls { "TLS" } else { "plain" };
        let word = if each <= f64::from(aim) { "met" } else { "MISSED" };
        line(&format!("a resting peer of {count}, {over}"), format_args!("{each:.1} KiB (aim {aim}: {word})"));
    }
}

fn key() -> OwnKey {
    read_key_file(new_key_file().expect("a key").as_bytes()).expect("a key")
}

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(60))
}

async fn attach(hub: &Server, count: usize) -> JoinSet<()> {
    attach_over(hub, count, false).await
}

/// Peers that answer every look at once, with a view of ordinary length.
async fn attach_over(hub: &Server, count: usize, tls: bool) -> JoinSet<()> {
    let mut peers = JoinSet::new();
    for _ in 0..count {
        let key = key();
        let id = VantageId::from(key.id());
        let Ok(mut peer) = Attached::open(hub.url(tls), key, soon()).await else { break };
        let attach = Run::new(json!({ "type": "attach", "looks_per_minute": 1_000_000 })).expect("a run");
        let called = peer.call("attach".parse().expect("an id"), attach, soon()).await;
        if called.is_ok_and(|called| called.outcome.is_ok()) {
            peers.spawn(async move {
                let caller = peer.caller();
                while let Some(pushed) = peer.pushed().await {
                    let Ok(look) = serde_json::from_value::<Look>(pushed.run.into_value()) else { continue };
                    let body = view(id, look.nonce.to_string());
                    let seen = json!({ "type": "seen", "look_id": look.look_id, "view": { "body": body, "signature": "e30..e30" } });
                    let _ = caller.tell(Run::new(seen).expect("a run")).await;
                }
            });
        }
    }
    peers
}

/// As long as the view of an ordinary site.
fn view(peer: VantageId, nonce: String) -> String {
    let hash = "ab".repeat(32);
    json!({
        "format": "parallax-view/1", "vantage": peer, "region": "eu-west", "service": SERVICE, "nonce": nonce,
        "issued_at": "2099-01-01T00:00:00Z", "valid_until": "2099-01-01T00:05:00Z",
        "dns": { "a": ["192.0.2.10"], "aaaa": [], "ca": [], "tlsa": [], "caa": [], "dnssec": "unchecked" },
        "now": { "at": "2099-01-01T00:00:00Z", "address": "192.0.2.10:443", "outcome": "seen", "protocol": "TLSv1.3",
                 "proved": true, "leaf": hash, "key": hash, "issuer_key": hash, "chain": [hash, hash, hash],
                 "path": [hash, hash], "names": ["example.com", "www.example.com"], "not_before": "2098-01-01T00:00:00Z",
                 "not_after": "2099-06-01T00:00:00Z", "ca_id": "org:Example Trust Services", "public_ca": "valid" },
        "history": [], "authority": [],
    })
    .to_string()
}

/// What questions cost the hub for each reply, and how long each took.
struct Asked {
    cpu_each: f64,
    took: Vec<Duration>,
}

async fn ask(hub: &Server, questions: usize, replies: u16) -> Asked {
    let mut askers = Vec::new();
    for _ in 0..AT_ONCE {
        askers.push(Attached::open(hub.url(false), key(), soon()).await.expect("a channel"));
    }
    let before = hub.cpu();
    let mut tasks = JoinSet::new();
    for asker in askers {
        tasks.spawn(one_asker(asker, questions / AT_ONCE, replies));
    }
    let took: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let spent = hub.cpu() - before;
    Asked { cpu_each: spent.as_secs_f64() * 1e6 / (took.len() * usize::from(replies)) as f64, took }
}

/// One question after another; every answer is a push.
async fn one_asker(mut asker: Attached, questions: usize, replies: u16) -> Vec<Duration> {
    let caller = asker.caller();
    let mut took = Vec::new();
    for number in 0..questions {
        let nonce = parallax_proto::hub::Nonce([number as u8; 32]);
        let ask = json!({
            "type": "ask", "service": SERVICE, "replies": replies, "deadline_ms": 20_000, "max_age_secs": 0, "nonce": nonce,
        });
        let (begun, id) = (Instant::now(), format!("{number}").parse().expect("an id"));
        let asking = caller.call(id, Run::new(ask).expect("a run"), soon());
        tokio::pin!(asking);
        let called = loop {
            tokio::select! {
                pushed = asker.pushed() => drop(pushed.expect("a connection")),
                called = &mut asking => break called.expect("an answer"),
            }
        };
        let outcome = called.outcome.expect("no error");
        assert_eq!(outcome["ended"], "complete", "{outcome}");
        took.push(begun.elapsed());
    }
    took
}

struct Server {
    child: Child,
    plain: ServerUrl,
    tls: ServerUrl,
}

impl Server {
    fn start(remembers: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([ARGUMENT, remembers])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a hub");
        let mut text = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut text).expect("a line");
        let mut parts = text.split_whitespace().map(|part| part.parse().expect("a URL"));
        let (plain, tls) = (parts.next().expect("two"), parts.next().expect("two"));
        Self { child, plain, tls }
    }

    fn url(&self, tls: bool) -> ServerUrl {
        if tls { self.tls.clone() } else { self.plain.clone() }
    }

    fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }

    /// Resident bytes (proc(5): the second field, in pages).
    fn memory(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("Linux");
        statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
    }
}

/// User and system time of a process so far (proc(5): fields 14 and 15, in hundredths of a second).
fn cpu_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let after = stat.rsplit_once(')').expect("a name in brackets").1;
    let ticks: u64 = after.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The hub, until its standard input ends.
pub(crate) fn serve() {
    let remembers = std::env::args().nth(2).is_some_and(|word| word == "memory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    runtime.block_on(async {
        let node = Node::start(settings(directory.path(), remembers)).await.expect("a node");
        let (at, id) = (|at: Option<std::net::SocketAddr>| at.expect("a listener"), node.vantage());
        println!("http://{}#{id} https://{}#{id}", at(node.http()), at(node.https()));
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        let _ = ended.await;
        node.shutdown().await.expect("a clean stop");
    });
}

/// Nobody is held back by a limit.
fn settings(directory: &std::path::Path, remembers: bool) -> NodeSettings {
    let plenty = PerMinute { rate: 1_000_000_000, burst: 1_000_000_000 };
    let hub = HubSettings {
        window: if remembers { HubSettings::default().window } else { Duration::ZERO },
        views_a_network: None,
        looks_each: 1_000_000,
        asks_each_at_once: 1_000,
        asks_each: plenty,
        looks_a_service: plenty,
        looks_a_network: plenty,
        ..HubSettings::default()
    };
    let mut settings = NodeSettings::new(directory);
    settings.listen = "127.0.0.1:0".parse().ok();
    settings.listen_tls = "127.0.0.1:0".parse().ok();
    settings.legacy = false;
    settings.hub = Some(hub);
    settings.probe.targets = TargetPolicy::any();
    settings.limits.questions_per_source_network = Rate::new(1_000_000, 1_000_000);
    settings.limits.connections = 25_000;
    settings.limits.connections_per_source_network = 25_000;
    let any = Every { burst: 1_000_000, every: Duration::from_millis(1) };
    let rules = &mut settings.channel.rules;
    rules.open = true;
    (rules.address_creations, rules.network_creations, rules.key_creations) = (any, any, any);
    settings
}
