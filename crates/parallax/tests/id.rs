//! `parallax id` and `parallax agent` where no node certifies anything: what is wrong is said, and nothing is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use support::Home;

const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody listens there.
fn nobody() -> String {
    format!("https://127.0.0.1:9#{}", "ab".repeat(32))
}

#[test]
fn wrong_use_says_what_would_be_right() {
    let home = Home::new();
    let unpinned = "https://127.0.0.1:9";
    home.write("text", "no certificate\n");
    for (arguments, part) in [
        (&["id", "request", "ann@example.com"][..], "name one with --janus https://HOST:PORT#VANTAGE-ID"),
        (&["id", "request", "ann", "--janus", &nobody()], "no @; write one such as ann@example.com"),
        (&["id", "request", "<ann@example.com>", "--janus", &nobody()], "bare address alone"),
        (&["id", "request", "ann@example.com", "--janus", unpinned], "has no pin; add #VANTAGE-ID"),
        (&["id", "request", "ann@example.com", "--janus", "example.com"], "write https://HOST:PORT#VANTAGE-ID"),
        (&["id", "request", "ann@example.com", "--key-type", "dsa"], "there are ed25519, p256, rsa"),
        (&["id", "confirm", "ABC"], "a code is 8 of the letters A to Z"),
        (&["id", "confirm", "http://localhost:15342/AddCert#x"], "the link is not whole"),
        (&["id", "confirm", "http://localhost:15342/AddCert#x.y"], "the link is not whole"),
        (&["id", "import", "nothing.pem"], "nothing.pem: there is no such file"),
        (&["id", "revoke", "--lost"], "EMAIL"),
        (&["agent", "--listen", "0.0.0.0:15342"], "for this machine alone"),
        (&["agent", "--listen", "192.0.2.7:15342"], "for this machine alone"),
        (&["agent", "--listen", "localhost"], "is not IP:PORT"),
    ] {
        let run = home.run(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}: {run:?}");
        assert!(run.stderr.starts_with("parallax: ") && run.stderr.contains(part), "{arguments:?}: {run:?}");
    }
}

#[test]
fn what_can_not_be_done_is_said() {
    let home = Home::new();
    home.write("text", "no certificate\n");
    let elsewhere = "If you did not ask, somebody asked in your name: nothing was issued";
    let link = "AAECAwQFBgcICQoLDA0ODw.AAECAwQFBgcICQoLDA0ODw";
    for (arguments, part) in [
        (&["id", "request", "ann@example.com", "--janus", &nobody()][..], "127.0.0.1:9: it can't be reached"),
        (&["id", "confirm", "ABCD2345"], elsewhere),
        (&["id", "confirm", link], elsewhere),
        (&["id", "confirm"], elsewhere),
        (&["id", "import", "text"], "there is no certificate in it"),
        (&["id", "renew"], "`parallax id request` asks for one"),
        (&["id", "renew", "ann@example.com"], "`parallax id request ann@example.com` asks for one"),
        (&["id", "revoke"], "`parallax id request` asks for one"),
    ] {
        let run = home.run(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{arguments:?}: {run:?}");
        assert!(run.stderr.starts_with("parallax: ") && run.stderr.contains(part), "{arguments:?}: {run:?}");
    }
    // The key was made, and is there for the next try; it is its owner's alone.
    let shown = home.run(&["id", "show", "--json"]).json();
    assert_eq!(shown["identities"][0]["state"], "not-yet", "{shown}");
    let key = home.path().join(".config/parallax/id/ann@example.com/key.pem");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let table = home.run(&["id", "show"]).stdout;
    assert!(table.contains("ann@example.com") && table.contains("not yet"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let again = home.run(&["id", "request", "ann@example.com"]);
    assert!(again.stderr.contains("127.0.0.1:9: it can't be reached"), "the node is remembered: {again:?}");
    assert_eq!(home.run(&["id", "show", "--json"]).json()["identities"][0]["key"], shown["identities"][0]["key"]);
}

#[test]
fn without_an_identity_there_is_nothing_to_show() {
    let home = Home::new();
    let run = home.run(&["id", "show"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""));
    assert!(run.stderr.contains("`parallax id request EMAIL` asks for one"), "{run:?}");
    assert_eq!(home.run(&["id", "show", "--json"]).json(), serde_json::json!({ "identities": [], "orders": [] }));
}

/// A running helper; killed when dropped.
struct Agent {
    child: Child,
    address: String,
}

impl Agent {
    fn start(home: &Home, listen: &str) -> Self {
        let mut child = home.command(&["agent", "--listen", listen]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready http=").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What comes back until the helper closes.
    fn say(&self, request: &str) -> String {
        let mut stream = self.connect();
        // It may have seen enough before all is said.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_helper_answers_a_browser_and_ends_when_told() {
    let home = Home::new();
    let mut agent = Agent::start(&home, "127.0.0.1:0");
    let port = agent.address.rsplit_once(':').unwrap().1.to_owned();
    let page = agent.say(&format!("GET /AddCert HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"));
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("No order waits"), "{page}");
    let named = agent.say(&format!("GET /AddCert HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"));
    assert!(named.starts_with("HTTP/1.1 421 "), "{named}");
    let old = agent.say("GET /AddCert HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 421 "), "{old}");
    // The second one finds the place taken.
    let run = home.run(&["agent", "--listen", &agent.address]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("is `parallax agent` running already?"), "{run:?}");
    let told = Command::new("kill").args(["-TERM", &agent.child.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(agent.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_helper_is_not_held_up() {
    let home = Home::new();
    let agent = Agent::start(&home, "127.0.0.1:0");
    let port = agent.address.rsplit_once(':').unwrap().1.to_owned();
    // More than it serves at a time, and none of them says anything.
    let mute: Vec<TcpStream> = (0..40).map(|_| agent.connect()).collect();
    let begun = Instant::now();
    let page = agent.say(&format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"));
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    drop(mute);
    let huge = agent.say(&format!("GET /AddCert/{} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", "a".repeat(100_000)));
    assert!(huge.is_empty() || huge.starts_with("HTTP/1.1 4"), "{}", huge.lines().next().unwrap_or_default());
    let page = agent.say(&format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"));
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
}
