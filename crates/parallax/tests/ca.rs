//! `parallax ca` and a node of the role janus as processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parallax_client::{Deadline, NodeVantage};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ED25519, SanType};
use serde_json::{Value, json};
use served::{PATIENCE, Served};
use support::Home;

/// Certificates are made at once and mailed into a folder.
const CLASSIC: &str = "[serve]\nroles = [\"janus\"]\n[janus]\nsmtp = \"maildir:mail\"\nflow = \"classic\"\n";

fn home() -> Home {
    let home = Home::new();
    home.write("janus.toml", CLASSIC);
    home
}

fn start(home: &Home) -> Served {
    Served::start(home, "data", &["--config", "janus.toml"])
}

/// Orders a certificate for a new key.
fn order(node: &Served, address: &str) {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::Rfc822Name(address.try_into().unwrap())];
    let csr = URL_SAFE_NO_PAD.encode(params.serialize_request(&key).unwrap().der());
    let asked = NodeVantage::new(node.url().parse().unwrap(), None).unwrap();
    let body = json!({ "csr": csr }).to_string().into_bytes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(asked.post("/v1/orders", body, Deadline::within(PATIENCE))).unwrap();
    assert!(answer.contains("expires_at"), "{answer}");
}

fn list(home: &Home) -> Value {
    let run = home.run(&["ca", "list", "--data", "data", "--json"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    run.json()
}

#[test]
fn a_root_kept_elsewhere_signs_a_successor_that_the_running_node_takes() {
    let home = home();
    let run = home.run(&["ca", "init", "--data", "data", "--root-out", "root.key"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    let mode = std::fs::metadata(home.path().join("root.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!home.path().join("data/identity/janus/root.key.pem").exists());
    let root = home.run(&["ca", "root", "--data", "data"]);
    assert!(root.stdout.starts_with("-----BEGIN CERTIFICATE-----\n"), "{root:?}");

    let node = start(&home);
    let before = list(&home);
    assert_eq!((before["root"]["key_here"].as_bool(), before["issuing"].as_array().unwrap().len()), (Some(false), 1));
    let run = home.run(&["ca", "rotate", "--data", "data"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("--root-key"), "{run:?}");
    let run = home.run(&["ca", "rotate", "--data", "data", "--root-key", "root.key"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stderr.contains("the running node issues with it"), "{run:?}");
    let after = list(&home);
    assert_eq!(after["issuing"].as_array().unwrap().len(), 2);
    assert!(run.stdout.contains(after["issuing"][0]["key"].as_str().unwrap()), "{run:?}");
    assert_eq!(after["issuing"][0]["issues"], true, "{after}");
    node.stop();
    let run = home.run(&["ca", "rotate", "--data", "data", "--root-key", "root.key"]);
    assert!(run.status == 0 && run.stderr.contains("it takes the key when it starts"), "{run:?}");
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let home = home();
    let mut node = start(&home);
    order(&node, "ann@example.com");
    order(&node, "bob@example.com");
    let run = home.run(&["ca", "revoke", "--data", "data", "ann@example.com"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("counts no more"), "{run:?}");
    node.signal("KILL");
    node.wait();
    let node = start(&home);
    let account = list(&home);
    assert_eq!(account["denied"]["count"], 1, "{account}");
    let denied = account["denied"]["first"][0]["key"].as_str().unwrap();
    assert!(run.stdout.contains(denied), "{account}");
    let certified = account["certified"].as_array().unwrap();
    assert_eq!(certified.len(), 1, "{account}");
    assert_eq!(certified[0]["mailbox"], "bob@example.com");
    let table = home.run(&["ca", "list", "--data", "data"]).stdout;
    for part in ["root; its key is in the data directory", "issues now", "revoked", "bob@example.com"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    // A second time it holds already; an address without a key is said so.
    assert_eq!(home.run(&["ca", "revoke", "--data", "data", denied]).status, 0);
    let run = home.run(&["ca", "revoke", "--data", "data", "nobody@example.com"]);
    assert_eq!((run.status, run.stderr.contains("no key is certified")), (1, true), "{run:?}");
    node.stop();
}

#[test]
fn what_can_not_be_is_said_in_a_sentence() {
    let home = home();
    home.write("hub.toml", "[serve]\nroles = [\"janus\"]\n");
    home.write("password", "hunter2\n");
    for (config, part) in [
        ("[serve]\nroles = [\"janus\"]\n", "maildir:DIR to try it out"),
        ("[serve]\nroles = [\"janus\"]\n[janus]\nsmtp = \"smtp://mail.example.com\"\n", "janus.from"),
        ("[janus]\nsmtp = \"smtp://ann:hunter2@mail.example.com\"\n", "janus.smtp_password_file"),
        ("[janus]\nsmtp = \"smtp+plain://mail.example.com\"\n", "this machine alone"),
        ("[janus]\ncertificate_life_secs = \"1h\"\nsmtp = \"maildir:m\"\n[serve]\nroles = [\"janus\"]\n", "24h to 7d"),
        ("[janus]\nflow = \"fast\"\n", "proof or classic"),
        (
            "[serve]\nroles = [\"janus\"]\n[janus]\nsmtp = \"smtp://mail.example.com\"\nfrom = \"a@example.com\"\n\
             smtp_user = \"a\"\nsmtp_password_file = \"password\"\n",
            "chmod 0600",
        ),
        (
            "[serve]\nroles = [\"janus\"]\n[janus]\nsmtp = \"smtp://mail.example.com\"\nfrom = \"a@example.com\"\n\
             smtp_user = \"a\"\n",
            "no password",
        ),
    ] {
        home.write("bad.toml", config);
        let run = home.run(&[
            "serve",
            "--config",
            "bad.toml",
            "--data",
            "bad",
            "--listen",
            "127.0.0.1:0",
            "--listen-tls",
            "127.0.0.1:0",
        ]);
        assert_eq!(run.status, 2, "{config}: {run:?}");
        assert!(run.stderr.contains(part) && !run.stderr.contains("hunter2"), "{part}: {run:?}");
    }
    for (arguments, status, part) in [
        (vec!["ca", "root", "--data", "none"], 1, "parallax ca init"),
        (vec!["ca", "rotate", "--data", "none"], 1, "parallax ca init"),
        (vec!["ca", "list", "--data", "none"], 1, "no node runs"),
        (vec!["ca", "revoke", "--data", "none", "ann@example.com"], 1, "no node runs"),
        (vec!["ca", "revoke", "--data", "none"], 2, "KEYID|EMAIL"),
    ] {
        let run = home.run(&arguments);
        assert_eq!(run.status, status, "{run:?}");
        assert!(run.stderr.contains(part), "{part}: {run:?}");
    }
    let first = home.run(&["ca", "init", "--data", "data"]);
    assert_eq!(first.status, 0, "{first:?}");
    let again = home.run(&["ca", "init", "--data", "data"]);
    assert!(again.status == 1 && again.stderr.contains("an authority already"), "{again:?}");
    let node = start(&home);
    let run = home.run(&["ca", "init", "--data", "data"]);
    assert!(run.status == 1 && run.stderr.contains("another node runs"), "{run:?}");
    let run = home.run(&["ca", "revoke", "--data", "data", "not an address"]);
    assert!(run.status == 1 && run.stderr.contains("neither a key's id"), "{run:?}");
    node.stop();
    let hub = Served::start(&home, "hub", &["--role", "hub"]);
    let run = home.run(&["ca", "list", "--data", "hub"]);
    assert!(run.status == 1 && run.stderr.contains("--role janus"), "{run:?}");
    hub.stop();
}

#[test]
fn a_password_is_in_no_listing_and_no_log() {
    let home = Home::new().with("PARALLAX_JANUS_SMTP_PASSWORD", "hunter2");
    home.write(
        "janus.toml",
        "[serve]\nroles = [\"janus\"]\n[janus]\nsmtp = \"smtp+plain://127.0.0.1:9\"\nsmtp_user = \"janus\"\n\
         from = \"janus@example.com\"\n",
    );
    let shown = home.run(&["config", "show", "--config", "janus.toml"]);
    assert!(shown.stdout.contains("smtp_user = \"janus\"") && !shown.stdout.contains("hunter2"), "{shown:?}");
    let log = home.path().join("log");
    let node = Served::with_log(&home, "data", &["--config", "janus.toml"], &log);
    order(&node, "secret-ann@example.com");
    let read = || std::fs::read_to_string(&log).unwrap();
    let begun = std::time::Instant::now();
    while !read().contains("mails can't be sent") {
        assert!(begun.elapsed() < PATIENCE, "{}", read());
        std::thread::sleep(Duration::from_millis(50));
    }
    node.stop();
    for secret in ["hunter2", "secret-ann", "PRIVATE KEY"] {
        assert!(!read().contains(secret), "{}", read());
    }
}
