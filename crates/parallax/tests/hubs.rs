//! Hubs that share their peers over a real message queue, each a process of its own: TLS, a password, and what is told of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use parallax_lab::{Answer, Lab, Validity};
use served::{PATIENCE, Served};
use support::Home;

const PASSWORD: &str = "pass%3Aword-nobody-may-see";

/// A message queue of the test's own, which wants TLS and a password.
struct Queue {
    child: Child,
    port: u16,
}

impl Queue {
    /// `None` where nats-server is not installed. The certificate is written to `queue.pem`.
    fn start(home: &Home) -> Option<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = home.write("queue.pem", &made.cert.pem());
        let key = home.write("queue.key", &made.signing_key.serialize_pem());
        // The system picks the port and lets go of it; whoever else takes it meanwhile makes this fail, not lie.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("nats-server");
        command.args([
            "-a",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "--user",
            "hub",
            "--pass",
            "pass:word-nobody-may-see",
        ]);
        command.arg("--tls").arg("--tlscert").arg(certificate).arg("--tlskey").arg(key);
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            eprintln!("skipped: nats-server is not installed");
            return None;
        };
        let queue = Self { child, port };
        until("the queue answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(queue)
    }

    fn url(&self, credentials: &str) -> String {
        format!("tls://{credentials}localhost:{}", self.port)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: it never came to hold");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hubs_share_their_peers_and_nobody_sees_the_password() {
    let lab = Lab::start().await.unwrap();
    let certificate = lab.public_ca("Example Trust").unwrap().issue(&["shop.example"], Validity::current()).unwrap();
    let _site = lab.site(lab.address(20, 10), &certificate).await.unwrap();
    lab.dns().set("shop.example", Answer::a([lab.address(20, 10)])).unwrap();
    let home = Home::new()
        .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
        .with("PARALLAX_CHANNEL_OPEN", "true")
        .with("PARALLAX_TIMEOUT", "20s");
    let service = format!("shop.example:{}", lab.port());
    tokio::task::block_in_place(|| {
        let Some(queue) = Queue::start(&home) else { return };
        let home =
            home.with("PARALLAX_BUS", &queue.url(&format!("hub:{PASSWORD}@"))).with("PARALLAX_BUS_CA", "queue.pem");
        shared(&home, &service);
        refused(&home, &queue);
    });
}

fn shared(home: &Home, service: &str) {
    home.write("hubs.secret", "0123456789abcdef0123456789abcdef\n");
    let flags = ["--role", "hub", "--hub-group", "hubs.secret"];
    let (log, other) = (home.path().join("first.log"), home.path().join("second.log"));
    let first = Served::with_log(home, "first", &flags, &log);
    let mut second = Served::with_log(home, "second", &flags, &other);
    // Two, so that neither has the asker's own key.
    let mut peer = home.command(&["peer", "--hub", &second.url(), "--allow-private", "--count", "2"]);
    let mut peer = peer.stderr(Stdio::inherit()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(peer.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ready peers=2"), "{ready}");
    until("the first knows the second's peers", || first.get("/metrics").contains("parallax_hub_shared_peers 2\n"));
    let hub = first.url().replace("https://", "hub+https://");
    let check = ["check", "--policy", "majority", "--min-views", "1", "--allow-private", "--vantage", &hub, service];
    let run = home.run(&check);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("2 see "), "{}", run.stdout);

    let shown = home.run(&["config", "show"]).stdout;
    assert!(shown.contains("bus = \"tls://***@localhost:"), "{shown}");
    // A node that dies says nothing.
    second.child.kill().unwrap();
    second.wait();
    until("the first lets go of it", || first.get("/metrics").contains("parallax_hub_siblings 0\n"));
    let _ = peer.kill();
    let _ = peer.wait();
    first.stop();
    for text in [&shown, &std::fs::read_to_string(log).unwrap(), &std::fs::read_to_string(other).unwrap()] {
        assert!(!text.contains("nobody-may-see"), "{text}");
    }
}

/// What is wrong is said, without what is secret.
fn refused(home: &Home, queue: &Queue) {
    let other = queue.url("hub:wrong-nobody-may-see@");
    home.write("short.secret", "short");
    home.write("none.creds", "nothing");
    let plain = format!("nats://hub:{PASSWORD}@queue.example:4222");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--data", "third"];
    for (flags, part) in [
        (&["--bus", other.as_str()][..], "authorization violation"),
        (&["--bus", plain.as_str()], "so the queue needs TLS: write tls://queue.example:4222"),
        (&["--bus", "queue.example"], "a message queue is nats://HOST:PORT"),
        (&["--role", "hub", "--hub-group", "short.secret"], "has at least 32 characters"),
        (&["--role", "hub", "--hub-group", "missing.secret"], "missing.secret can't be read"),
        (&["--hub-group", "hubs.secret"], "only a hub has peers to share"),
        (&["--bus-credentials", "none.creds"], "name one of them"),
        (&["--bus", "tls://localhost:1", "--bus-credentials", "none.creds"], "holds no credentials of NATS"),
        (&["--bus-ca", "missing.pem"], "missing.pem can't be read"),
    ] {
        let run = home.run(&[&serve[..], flags].concat());
        assert_ne!(run.status, 0, "{flags:?} {run:?}");
        assert!(run.stderr.contains(part), "{flags:?} {run:?}");
        assert!(!run.stderr.contains("nobody-may-see"), "{run:?}");
    }
    let call = ["call", "--key", "own.pem", "--bus-ca", "queue.pem"];
    home.run(&["key", "new", "--out", "own.pem"]);
    let nobody = "ab".repeat(32);
    let run = home.run(&[&call[..], &[&format!("{other}#{nobody}"), r#"{"run": {"type": "health"}}"#]].concat());
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("authorization violation") && !run.stderr.contains("nobody-may-see"), "{run:?}");
}
