//! Signals, while strangers hold connections open; and what a `kill -9` leaves.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Keeper, Node, Running, Server, User, curl, needs, signal};

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: node.example\r\n\r\n";

/// A client that has had one answer and keeps its connection.
fn with_an_answer(client: &mut Command) -> Running {
    let mut client = Running::start(client);
    client.stdin().write_all(REQUEST).unwrap();
    client.stdin().flush().unwrap();
    let answered = client.hear(|line| line.starts_with("HTTP/1.1 200").then_some(()));
    assert!(answered.is_some(), "{:?}", client.said());
    client
}

/// SIGTERM ends a node with 0; it would say 1 by itself after its five seconds.
fn terminate(node: &mut Node) {
    let begun = Instant::now();
    signal("TERM", &node.process);
    let status = node.process.wait();
    assert_eq!(status.code(), Some(0), "{:?}", node.process.said());
    // A loaded machine may add some.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn sigterm_ends_it_in_time_whoever_is_connected() {
    needs!("curl", "openssl");
    let user = User::new();
    let mut node = Node::start(&user, "data", "eu-west", "127.0.0.2");
    // curl's telnet is a bare connection that stays; s_client the same over TLS.
    let telnet = ["-q", "--silent", "--no-buffer", "--noproxy", "*"];
    let _telnet = with_an_answer(Command::new("curl").args(telnet).arg(format!("telnet://{}", node.http)));
    let _tls = with_an_answer(Command::new("openssl").args(["s_client", "-quiet", "-connect", &node.https]));
    terminate(&mut node);
}

#[test]
fn who_waits_for_a_look_at_sigterm_is_answered() {
    needs!("curl");
    let user = User::new();
    let mut node = Node::start(&user, "data", "eu-west", "127.0.0.2");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = silent.local_addr().unwrap();
    let url = format!("http://{}/v1/view?service={service}&wait=15", node.http);
    let asking = std::thread::spawn(move || curl(&[], &url));
    let _looking = silent.accept().unwrap();
    terminate(&mut node);
    let answer = asking.join().unwrap();
    assert_eq!((answer.status, &answer.json()["now"]["outcome"]), (200, &"pending".into()), "{answer:?}");
}

#[test]
fn after_a_kill_it_is_who_it_was_and_knows_what_it_knew() {
    needs!("curl", "openssl");
    let (user, keeper) = (User::new(), Keeper::new());
    let server = Server::start(&keeper.self_signed("site", "ed25519"), "");
    let path = format!("/v1/view?service={}", server.address());
    let view = |node: &Node, more: &str| curl(&[], &format!("http://{}{path}{more}", node.http)).json();
    let mut node = Node::start(&user, "data", "eu-west", "127.0.0.2");
    let (vantage, before) = (node.vantage.clone(), view(&node, ""));
    assert_eq!(before["history"][0]["leaf"], keeper.fingerprint("site"), "{before:#}");
    signal("KILL", &node.process);
    assert_eq!(node.process.wait().code(), None, "it was killed");

    let node = Node::start(&user, "data", "eu-west", "127.0.0.2");
    assert_eq!(node.vantage, vantage);
    let after = view(&node, "");
    for part in ["now", "history", "authority", "dns", "vantage"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    // A new look extends what was there.
    let later = view(&node, "&max_age=0");
    assert_eq!(later["history"].as_array().unwrap().len(), 1, "{later:#}");
    assert_eq!(later["history"][0]["first_seen"], before["history"][0]["first_seen"]);
    assert_ne!(later["history"][0]["last_seen"], before["history"][0]["last_seen"]);
}
