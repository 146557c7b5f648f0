//! `parallax key` and `parallax call` against nodes as processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;
use served::{PATIENCE, Served};
use support::{Home, Run};

const HEALTH: &str = r#"{"run": {"type": "health"}}"#;

fn plain(node: &Served) -> String {
    format!("http://{}#{}", node.http, node.vantage)
}

/// Until the node has read its key directory. A client whose key was not known yet stays away for 30 s; each run of the
/// command is a client of its own.
fn until(home: &Home, arguments: &[&str], wanted: impl Fn(&Run) -> bool) -> Run {
    let begun = Instant::now();
    loop {
        let run = home.run(arguments);
        if wanted(&run) {
            return run;
        }
        assert!(begun.elapsed() < PATIENCE, "{run:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_key_is_made_allowed_and_used() {
    let home = Home::new();
    let node = Served::start(&home, "data", &[]);
    let run = home.run(&["key", "new"]);
    assert_eq!(run.status, 0, "{run:?}");
    let id = run.stdout.trim().to_owned();
    assert_eq!(id.len(), 64);
    let file = home.path().join(".config/parallax/key.pem");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let run = home.run(&["key", "new"]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("is there already and is not replaced"), "{run:?}");

    let shown = home.run(&["key", "show"]).stdout;
    assert!(shown.starts_with(&format!("id    {id}\ntype  Ed25519\n-----BEGIN PUBLIC KEY-----\n")), "{shown}");
    let json: Value = serde_json::from_str(&home.run(&["key", "show", "--json"]).stdout).unwrap();
    assert_eq!(json["id"], id.as_str());
    let public = home.write("public.pem", json["public_key"].as_str().unwrap()).display().to_string();

    let run = home.run(&["call", &plain(&node), HEALTH]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains("the server says unauthorised"), "{run:?}");

    let run = home.run(&["key", "allow", "--data", "data", &public]);
    assert_eq!((run.status, run.stdout), (0, format!("{id} is allowed\n")));
    let run = until(&home, &["call", &plain(&node), HEALTH], |run| run.status == 0);
    let health: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&health["ready"], &health["vantage"]), (&Value::Bool(true), &Value::String(node.vantage.clone())));
    let run = home.run(&["call", "--websocket", &node.url(), HEALTH]);
    assert_eq!(run.status, 0, "{run:?}");

    let view = r#"{"run": {"type": "view", "service": "127.0.0.1:1"}}"#;
    let run = home.run(&["call", &node.url(), view]);
    assert_eq!(run.status, 0, "{run:?}");
    let view: Value = serde_json::from_str(&run.stdout).unwrap();
    let body: Value = serde_json::from_str(view["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["format"], &body["now"]["outcome"]), (&"parallax-view/1".into(), &"refused".into()));

    assert_eq!(home.run(&["key", "block", "--data", "data", &id]).stdout, format!("{id} is blocked\n"));
    // Until the node takes notice, the calls use up what the key may ask for; a block comes before that.
    let run = until(&home, &["call", &node.url(), HEALTH], |run| run.stderr.contains("forbidden"));
    assert_eq!(run.status, 1, "{run:?}");
    let run = home.run(&["key", "block", "--remove", "--data", "data", &id]);
    assert_eq!(run.stdout, format!("{id} is no longer blocked\n"));
    let run = home.run(&["key", "block", "--remove", "--data", "data", &id]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("was not blocked by you; `parallax key unblock` lifts what it earned"), "{run:?}");
    let run = home.run(&["key", "unblock", "--data", "data", &id]);
    assert_eq!((run.status, run.stdout), (0, format!("nothing blocks {id} any more\n")));
    let taken = home.path().join("data/keys/unblocked").join(&id);
    let begun = Instant::now();
    while taken.exists() {
        assert!(begun.elapsed() < PATIENCE, "the node takes no notice");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The README's section, with its commands: only the address, the id and the data directory are others.
#[test]
fn the_readme_s_channel_by_hand() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let (_, section) = readme.split_once("\n## A channel, by hand\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let commands: Vec<&str> = section.lines().filter_map(|line| line.trim().strip_prefix("parallax ")).collect();
    assert_eq!(commands.len(), 3, "{section}");
    let home = Home::new();
    let node = Served::start(&home, "data", &[]);
    let mut last = String::new();
    for command in commands {
        let words: Vec<String> = shell_words(command);
        let words = words.into_iter().map(|word| match word.as_str() {
            "/tmp/a" => "data".to_owned(),
            url if url.starts_with("http://") => plain(&node),
            file => file.replace('~', &home.path().display().to_string()),
        });
        let words: Vec<String> = words.collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        last = until(&home, &words, |run| run.status == 0 || words[0] != "call").stdout;
        assert!(!last.is_empty(), "{command}");
    }
    let health: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(health["ready"], true);
}

/// Words as a shell splits them, single quotes included.
fn shell_words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn an_open_node_needs_no_list() {
    let home = Home::new();
    home.write("open.toml", "[channel]\nopen = true\n");
    let node = Served::start(&home, "data", &["--config", "open.toml"]);
    home.run(&["key", "new", "--out", "mine.pem"]);
    let run = home.run(&["call", "--key", "mine.pem", &plain(&node), HEALTH]);
    assert_eq!(run.status, 0, "{run:?}");
    let run = home.run(&["call", "--key", "mine.pem", &plain(&node), r#"{"run": {"type": "dance"}}"#]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("run.type is not known here; known are "), "{run:?}");
    let other = "ab".repeat(32);
    let run = home.run(&["call", "--key", "mine.pem", &format!("http://{}#{other}", node.http), HEALTH]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("the descriptor is of vantage point"), "{run:?}");
}

#[test]
fn wrong_use_says_what_would_be_right() {
    let home = Home::new();
    let id = "ab".repeat(32);
    let url = format!("http://127.0.0.1:9#{id}");
    home.run(&["key", "new", "--out", "mine.pem"]);
    std::fs::copy(home.path().join("mine.pem"), home.path().join("open.pem")).unwrap();
    std::fs::set_permissions(home.path().join("open.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    home.write("none.pem", "nothing");
    std::fs::set_permissions(home.path().join("none.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    for (arguments, part) in [
        (&["call", &url, HEALTH][..], "`parallax key new` makes one"),
        (&["call", "--key", "open.pem", &url, HEALTH], "a key file has mode 600"),
        (&["call", "--key", "none.pem", &url, HEALTH], "there is no private key in it"),
        (
            &["call", "--key", "mine.pem", "http://127.0.0.1:9", HEALTH],
            "http://127.0.0.1:9 has no pin; add #VANTAGE-ID",
        ),
        (&["call", "--key", "mine.pem", "ftp://x", HEALTH], "write https://HOST:PORT#VANTAGE-ID"),
        (&["call", "--key", "mine.pem", &url, "health"], "it is not JSON"),
        (&["call", "--key", "mine.pem", &url, "[]"], "it is no JSON object"),
        (&["call", "--key", "mine.pem", &url, "{}"], "\"run\" is missing"),
        (&["call", "--key", "mine.pem", &url, r#"{"run": {}}"#], "an object with a text \"type\""),
        (&["call", "--key", "mine.pem", &url, r#"{"run": {"type": "x"}, "more": 1}"#], "\"more\" is not known"),
        (&["key", "allow", "--data", "data", "nobody"], "is no key id (64 lower-case hex digits), and no file"),
        (&["key", "allow", "--data", "data", "none.pem"], "there is no private key in it"),
        (&["key", "show", "missing.pem"], "`parallax key new` makes one"),
    ] {
        let run = home.run(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?} {run:?}");
        assert!(run.stderr.contains(part), "{arguments:?} {run:?}");
    }
    let run = home.run(&["call", "--key", "mine.pem", &url, HEALTH]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("can't be reached"), "{run:?}");
}
