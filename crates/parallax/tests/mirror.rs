//! `parallax mirror` with nodes as processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use served::{PATIENCE, Served};
use support::{Home, Run};

/// Nodes that ask nobody's names: what they know of each other comes from joins alone.
const NO_NAMES: &str = "[mirror]\npopular = []\n";

fn own(node: &Served) -> String {
    format!("--node=https://{}", node.https)
}

fn json(run: &Run) -> Value {
    assert_eq!(run.status, 0, "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

/// Runs it until it says what is wanted.
fn until(home: &Home, arguments: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let said = json(&home.run(arguments));
        if wanted(&said) {
            return said;
        }
        assert!(begun.elapsed() < PATIENCE, "{said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_node_joins_through_another_and_both_list_each_other() {
    let home = Home::new();
    std::fs::write(home.path().join("none.toml"), NO_NAMES).unwrap();
    let config = ["--config", "none.toml"];
    let (one, two) = (Served::start(&home, "one", &config), Served::start(&home, "two", &config));

    let run = home.run(&["mirror", "list", &own(&one)]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""));
    assert!(run.stderr.contains("mirror join"), "{run:?}");

    let run = home.run(&["mirror", "join", &own(&two), &one.url()]);
    assert_eq!(run.status, 0, "{run:?}");
    let wanted = format!("{} holds your node for a candidate; your node holds it for a candidate\n", one.https);
    assert_eq!(run.stdout, wanted);

    for (node, other) in [(&one, &two), (&two, &one)] {
        let said = until(&home, &["mirror", "list", "--json", &node.url()], |said| said["mirrors"][0].is_object());
        assert_eq!(said["mirrors"][0]["vantage"], other.vantage, "{said}");
        assert_eq!(said["mirrors"][0]["status"], "candidate", "{said}");
    }
    let table = home.run(&["mirror", "list", &own(&one)]).stdout;
    assert!(table.contains("ADDRESS") && table.contains(&two.https) && table.contains("candidate"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");

    let said = json(&home.run(&["mirror", "status", "--json", &own(&two), &one.url()]));
    assert_eq!(said["told"][0]["account"]["reason"], "joined", "{said}");
    let table = home.run(&["mirror", "status", &own(&two), &one.url()]).stdout;
    assert!(table.contains("it asked to join and is being tested"), "{table}");
    let run = home.run(&["mirror", "status", &own(&two)]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("nobody to ask"), "{run:?}");
}

#[test]
fn what_can_not_be_is_said_in_a_sentence() {
    let home = Home::new();
    let node = Served::start(&home, "one", &[]);
    let nobody = "https://127.0.0.1:9#".to_owned() + &"ab".repeat(32);
    for (arguments, status, part) in [
        (vec!["mirror", "join", "https://192.0.2.7:8443"], 2, "has no pin"),
        (vec!["mirror", "join", "192.0.2.7"], 2, "write https://HOST:PORT#VANTAGE-ID"),
        (vec!["mirror", "join", &nobody, "--node", "192.0.2.7"], 2, "--node: "),
        (vec!["mirror", "join", &nobody, "--node", "https://127.0.0.1:9"], 1, "your node does not answer"),
        (vec!["mirror", "join", &nobody, &own(&node)], 1, "127.0.0.1:9 does not take the join"),
        (vec!["mirror", "list", &nobody], 1, "does not tell its list"),
        (vec!["mirror", "list", "--status", "good"], 2, "candidate"),
        (vec!["mirror", "join", &node.url(), &own(&node)], 1, "the mirror that was asked"),
    ] {
        let run = home.run(&arguments);
        assert_eq!(run.status, status, "{arguments:?} {run:?}");
        assert!(run.stderr.contains(part), "{arguments:?} {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
}

/// Another user of this machine; `None` where the test may not become one.
fn as_a_stranger(home: &Home, arguments: &[&str]) -> Option<std::process::Output> {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    (std::fs::metadata("/proc/self").ok()?.uid() == 0)
        .then(|| home.command(arguments).uid(NOBODY).gid(NOBODY).output().unwrap())
}

fn loosen(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn row_18_a_nodes_operator_and_nobody_else_has_a_mirror_dropped() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    std::fs::write(home.path().join("none.toml"), NO_NAMES).unwrap();
    let config = ["--config", "none.toml"];
    let (one, two) = (Served::start(&home, "one", &config), Served::start(&home, "two", &config));
    assert_eq!(home.run(&["mirror", "join", &own(&two), &one.url()]).status, 0);
    until(&home, &["mirror", "list", "--json", &one.url()], |said| said["mirrors"][0].is_object());

    let nobody = "ab".repeat(32);
    let data = ["--data", "one"];
    for (arguments, status, part) in [
        (vec!["27f0"], 2, "64 lower-case hex digits"),
        (vec![nobody.as_str()], 1, "is not known here"),
        (vec![one.vantage.as_str()], 1, "about the mirror that was asked"),
        (vec![two.vantage.as_str()], 1, "is not an active mirror"),
        (vec![two.vantage.as_str(), "--take-back"], 1, "was not dropped"),
        (vec![two.vantage.as_str(), "--drop", "--take-back"], 2, "cannot be used with"),
    ] {
        let run = home.run(&[&["mirror", "remove"], &arguments[..], &data].concat());
        assert_eq!(run.status, status, "{arguments:?} {run:?}");
        assert!(run.stderr.contains(part), "{arguments:?} {run:?}");
    }
    let run = home.run(&["mirror", "remove", &two.vantage, "--data", "nowhere"]);
    assert!(run.status == 1 && run.stderr.contains("no node runs with the data directory nowhere"), "{run:?}");

    // Neither listener knows the way, and whoever may open the socket must be the node's own user.
    for path in ["/mirrors", "/operator", "/operator/mirrors"] {
        assert!(one.get(path).starts_with("HTTP/1.1 404"), "{path}");
    }
    let socket = home.path().join("one/operator.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let remove = ["mirror", "remove", &two.vantage, "--drop", "--data", "one"];
    loosen(home.path(), 0o755);
    loosen(&home.path().join("one"), 0o755);
    match as_a_stranger(&home, &remove) {
        None => eprintln!("skipped: only root can be another user"),
        Some(strict) => {
            let said = String::from_utf8_lossy(&strict.stderr).into_owned();
            assert_eq!(strict.status.code(), Some(1), "{said}");
            assert!(said.contains("is the operator's alone"), "{said}");
            loosen(&socket, 0o666);
            let loose = as_a_stranger(&home, &remove).unwrap();
            let said = String::from_utf8_lossy(&loose.stderr).into_owned();
            assert_eq!(loose.status.code(), Some(1), "{said}");
        }
    }
    let status =
        |home: &Home| json(&home.run(&["mirror", "list", "--json", &one.url()]))["mirrors"][0]["status"].clone();
    assert_eq!(status(&home), "candidate", "no stranger has changed anything");

    let run = home.run(&remove);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("has dropped"), "{run:?}");
    assert_eq!(status(&home), "inactive");
    let run = home.run(&["mirror", "remove", &two.url(), "--take-back", "--json", "--data", "one"]);
    assert_eq!(json(&run)["reason"], "dropped", "{run:?}");
    one.stop();
    assert!(!socket.exists());
}
