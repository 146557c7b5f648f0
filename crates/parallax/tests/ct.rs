//! Certificate Transparency as a user and a node see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parallax_core::Timestamp;
use parallax_lab::{CtLog, Lab, Site, Validity};
use parallax_probe::CtLogs;
use support::{Home, Run};

const DAY: Duration = Duration::from_secs(86_400);

/// A site whose certificate two logs of two operators know, one of them listed, and a user.
struct World {
    home: Home,
    log: CtLog,
    lab: Lab,
    _site: Site,
    service: String,
    oldest: Timestamp,
    newest: Timestamp,
}

impl World {
    async fn new() -> Self {
        let lab = Lab::start().await.unwrap();
        let (log, stranger) = (CtLog::new("Operator A").unwrap(), CtLog::new("Operator B").unwrap());
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let address = lab.address(1, 1);
        let host = address.to_string();
        let (oldest, newest) = (now().minus(DAY * 41), now().minus(DAY * 40));
        let shown = [(&log, oldest), (&log, newest), (&stranger, oldest)];
        let certificate = ca.issue_logged(&[&host], Validity::around(DAY * 41, DAY * 49), &shown).unwrap();
        let site = lab.site(address, &certificate).await.unwrap();
        let home = Home::new();
        home.write("logs.json", &CtLog::list(&[&log]));
        home.write("roots.pem", &lab.roots_pem());
        let service = lab.service(&host).unwrap().to_string();
        Self { home, log, lab, _site: site, service, oldest, newest }
    }

    /// Runs the command beside the servers of this world.
    async fn run(&self, configuration: &str, arguments: &[&str]) -> Run {
        let resolver = format!("resolver = \"{}\"", self.lab.dns().address());
        let file = format!("[look]\nroots = \"roots.pem\"\n{resolver}\n{configuration}\n");
        self.home.write(".config/parallax/config.toml", &file);
        tokio::task::block_in_place(|| self.home.run(arguments))
    }
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix_ms(elapsed.as_millis().try_into().unwrap())
}

const LISTED: &str = "ct_logs = \"logs.json\"";

#[tokio::test(flavor = "multi_thread")]
async fn observe_and_check_show_scts_where_logs_are_known() {
    let world = World::new().await;
    let seen = world.run(LISTED, &["observe", "--json", &world.service]).await.json();
    let wanted = serde_json::json!({
        "valid": 1, "operators": 1, "unknown": 1, "invalid": 0, "oldest": world.oldest, "newest": world.newest,
    });
    assert_eq!(seen["now"]["scts"], wanted, "{seen}");
    let line = "1 SCT of 1 operator, oldest 41 days ago; 1 can't be judged";
    let run = world.run(LISTED, &["observe", &world.service]).await;
    assert!(run.stdout.contains(&format!("\nCT          {line}\n")), "{run:?}");
    let run = world.run(LISTED, &["check", &world.service]).await;
    let text = run.stdout.replace('\n', " ");
    assert!(text.contains(&format!("CT of the certificate that you met: {line}")), "{run:?}");
    let checked = world.run(LISTED, &["check", "--json", &world.service]).await.json();
    assert_eq!(checked["local"]["now"]["scts"], wanted, "{checked}");
}

/// As docs/protocols/ct.md says.
#[tokio::test(flavor = "multi_thread")]
async fn why_an_sct_does_not_count_is_logged() {
    let world = World::new().await;
    let list = world.home.path().join("logs.json");
    let resolver = world.lab.dns().address().to_string();
    let mut command = world.home.command(&["observe", "--resolver", &resolver, &world.service]);
    command.env("PARALLAX_CT_LOGS", list).env("PARALLAX_LOG", "parallax_probe=debug");
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("an SCT does not count") && said.contains("is not known"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_where_no_log_is_known() {
    let world = World::new().await;
    for command in ["observe", "check"] {
        let run = world.run("", &[command, &world.service]).await;
        assert!(!run.stdout.contains("CT"), "{run:?}");
        let run = world.run("", &[command, "--json", &world.service]).await;
        assert!(run.stdout.contains("\"leaf\"") && !run.stdout.contains("scts"), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_none_is_refused() {
    let world = World::new().await;
    world.home.write("bad.json", &CtLog::list(&[&world.log]).replacen("\"log_id\":\"", "\"log_id\":\"AAAA", 1));
    world.home.write("page.html", "<html>");
    for (file, wanted) in [
        ("absent.json", "can't be read"),
        ("page.html", "page.html: it is no list of CT logs (log_list.json, version 3): "),
        ("bad.json", "the SHA-256 of its key is "),
    ] {
        let run = world.run(&format!("ct_logs = \"{file}\""), &["observe", &world.service]).await;
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains(wanted), "{run:?}");
    }
}

/// The whole way: a node looks, signs what the logs say, and the user's own check believes the view.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_carries_scts() {
    let world = World::new().await;
    let logs = CtLogs::from_json(CtLog::list(&[&world.log]).as_bytes()).unwrap();
    let node = world.lab.node_with(2, "eu-west", "RIPE", |settings| settings.probe.ct_logs = logs).await.unwrap();
    let checked =
        world.run("", &["check", "--json", "--vantage", &node.url().to_string(), &world.service]).await.json();
    let seen = &checked["views"][0]["view"]["now"]["scts"];
    assert_eq!((&seen["valid"], &seen["unknown"]), (&1.into(), &1.into()), "{checked}");
    assert_eq!(seen["oldest"], serde_json::json!(world.oldest), "{checked}");
    assert!(checked["local"]["now"].get("scts").is_none(), "{checked}");
}
