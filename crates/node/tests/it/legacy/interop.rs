//! Replies before programs that nobody here wrote the cryptography of.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use futures_util::future::try_join_all;
use parallax_core::{
    CaId, Fingerprint, History, LegacyRow, Md5Fingerprint, ServiceId, Timespan, Timestamp, with_old_rows,
};
use parallax_proto::LegacyHistory;
use parallax_store::OldSpan;

use super::old::{import, old};
use super::{TestNode, ask, public_pem, remember, span, start};

const HISTORIES: u64 = 1000;

/// xorshift64*: the same histories on every machine.
fn dice(state: &mut u64, bound: u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
}

fn any_history(state: &mut u64) -> History {
    let mut history = History::default();
    for _ in 0..=dice(state, 12) {
        let leaf = u8::try_from(dice(state, 5)).unwrap();
        let print = Fingerprint::from_bytes([leaf; 32]);
        let first = i64::try_from(dice(state, 4_000_000_000)).unwrap();
        let last = first + i64::try_from(dice(state, 100_000_000)).unwrap();
        let span = Timespan {
            key: print,
            leaf: print,
            leaf_md5: Some(Md5Fingerprint::from_bytes(std::array::from_fn(|at| leaf.wrapping_mul(51) ^ at as u8))),
            issuer_key: None,
            ca_id: CaId::Key(print),
            networks: vec![],
            proved: true,
            first_seen: Timestamp::from_unix_ms(first * 1000 + i64::try_from(dice(state, 1000)).unwrap()),
            last_seen: Timestamp::from_unix_ms(last * 1000 + 999),
        };
        history.merge(&History { spans: vec![span], ..History::default() });
    }
    history
}

/// What old notaries remembered before: for two services of three nothing.
fn any_old(state: &mut u64) -> Vec<OldSpan> {
    let count = if dice(state, 3) == 0 { dice(state, 9) } else { 0 };
    let mut spans = Vec::new();
    for _ in 0..count {
        let first = i64::try_from(dice(state, 4_000_000_000)).unwrap();
        let last = first + i64::try_from(dice(state, 100_000_000)).unwrap();
        spans.push(old(u8::try_from(dice(state, 5)).unwrap(), first, last));
    }
    spans
}

/// The question with the rows that are expected, as the verifier reads it.
fn question(host: &str, history: &History, old: &[OldSpan]) -> String {
    let row = |span: &OldSpan| LegacyRow {
        leaf_md5: span.leaf_md5,
        start: span.first_seen.unix_secs(),
        end: span.last_seen.unix_secs(),
    };
    let old: Vec<_> = old.iter().map(row).collect();
    let told = LegacyHistory::new(with_old_rows(history.legacy_rows(), &old));
    let mut rows = Vec::new();
    for (print, spans) in told.keys() {
        let print: Vec<String> = print.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        rows.extend(spans.iter().map(|(start, end)| serde_json::json!([print.join(":"), start, end])));
    }
    serde_json::json!({"host": host, "port": 443, "rows": rows}).to_string()
}

fn key_file(dir: &Path, page: &str) -> std::path::PathBuf {
    let path = dir.join("public.pem");
    std::fs::write(&path, public_pem(page)).unwrap();
    path
}

#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn is_there(program: &str) -> bool {
    let version = if program == "openssl" { "version" } else { "--version" };
    let found = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("skipped: there is no {program} here");
    }
    found
}

#[tokio::test]
async fn an_independent_verifier_accepts_a_thousand_histories() {
    if !is_there("python3") {
        return;
    }
    let node = start(|settings| {
        settings.limits.legacy_spellings_per_source_network = parallax_node::Rate::new(1000, 1000);
    })
    .await;
    let (mut state, mut questions) = (20_261_123, String::new());
    let (mut histories, mut olds) = (Vec::new(), Vec::new());
    for number in 0..HISTORIES {
        // Every tenth name is spelt in its own way.
        let host = format!("{}{number}.Example", if number % 10 == 0 { "Host-" } else { "host-" });
        let host = if number % 10 == 0 { host } else { host.to_lowercase() };
        let (history, old) = (any_history(&mut state), any_old(&mut state));
        olds.push((host.parse().unwrap(), old));
        histories.push((host, history));
    }
    let old_store = import(&node, olds).await;
    let store = node.node.store();
    let imports = histories.iter().map(|(host, history)| {
        let service: ServiceId = host.parse().unwrap();
        store.import(&service, history.clone())
    });
    try_join_all(imports).await.unwrap();
    for (host, history) in &histories {
        // As they are kept: rows of one certificate that overlap are one.
        let kept = parallax_store::old_spans(&old_store, &host.parse().unwrap()).await.unwrap();
        writeln!(questions, "{}", question(host, history, &kept)).unwrap();
    }
    let (told, text) = verify(&node, questions).await;
    assert!(told, "{text}");
    assert_eq!(text, format!("{HISTORIES} of {HISTORIES} replies accepted\n"));
    // The verifier is one that can say no.
    remember(&node.node, "other.example", vec![span(7, 1000, 2000)]).await;
    let wrong = "{\"host\": \"other.example\", \"port\": 443, \"rows\": [[\"00\", 1, 2]]}\n".to_owned();
    assert!(!verify(&node, wrong).await.0);
}

/// Runs the verifier beside the node.
async fn verify(node: &TestNode, questions: String) -> (bool, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/perspectives_verify.py");
    let key = key_file(node.data.path(), &node.get("/").await.text());
    let url = format!("http://{}", node.node.http().unwrap());
    let run = move || {
        let mut verifier = Command::new("python3")
            .args([script, &url])
            .arg(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = verifier.stdin.take().unwrap();
        let writing = std::thread::spawn(move || input.write_all(questions.as_bytes()));
        let output = verifier.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn openssl_verifies_the_signature() {
    if !is_there("openssl") {
        return;
    }
    let node = start(|_| {}).await;
    remember(&node.node, "known.example", vec![span(7, 1000, 2000), span(9, 500, 600)]).await;
    let text = ask(&node, "/?host=known.example").await.text();
    let signature = text.split_once("sig=\"").unwrap().1.split_once('"').unwrap().0;
    let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
    let known = node.node.store().known(&"known.example".parse().unwrap()).await.unwrap().unwrap();
    let message = LegacyHistory::new(known.history.legacy_rows()).signed_bytes("known.example:443,2");
    let dir = node.data.path();
    let key = key_file(dir, &node.get("/").await.text());
    for (file, bytes) in [("signature", &signature), ("message", &message)] {
        std::fs::write(dir.join(file), bytes).unwrap();
    }
    let verify = |message: &str| {
        let mut command = Command::new("openssl");
        command.args(["dgst", "-md5", "-verify"]).arg(&key).arg("-signature").arg(dir.join("signature"));
        command.arg(dir.join(message)).output().unwrap()
    };
    let output = verify("message");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(dir.join("other"), [message.as_slice(), b"x"].concat()).unwrap();
    assert!(!verify("other").status.success());
}
