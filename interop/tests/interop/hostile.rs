//! Servers that are none, or none that speaks TLS.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::support::{Nginx, Node, User, curl, needs};

/// Listens on a port of 127.0.0.1 and does this with each connection, until the test ends.
fn listen(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

/// Reads until the other side leaves.
fn hold(mut stream: TcpStream) {
    let mut piece = [0; 1024];
    while stream.read(&mut piece).is_ok_and(|read| read > 0) {}
}

/// How a look by the command ends, and how one by a node does: both name it alike.
#[track_caller]
fn expect(address: &str, outcome: &str) {
    let user = User::new();
    let now = user.observes(&["--timeout", "20s", address]);
    assert_eq!(now["outcome"], outcome, "{now}");
    assert_eq!(now.get("leaf"), None, "{now}");
    let node = Node::start(&user, "data", "eu-west", "127.0.0.2");
    let answer = curl(&[], &format!("http://{}/v1/view?service={address}&wait=15", node.http));
    assert_eq!(answer.status, 200, "a failed look is an answer, too: {answer:?}");
    let view = answer.json();
    assert_eq!((&view["now"]["outcome"], &view["history"]), (&outcome.into(), &Value::Array(vec![])), "{view:#}");
}

#[test]
fn a_port_that_says_nothing() {
    needs!("curl");
    expect(&listen(hold), "timeout");
}

#[test]
fn the_time_limit_of_the_user_holds() {
    let begun = std::time::Instant::now();
    let address = listen(hold);
    let now = User::new().observes(&["--timeout", "300ms", &address]);
    assert_eq!(now["outcome"], "timeout", "{now}");
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(4),
        "less than the limits of a look: {:?}",
        begun.elapsed()
    );
}

#[test]
fn a_server_of_ssh() {
    needs!("curl");
    let address = listen(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
        hold(stream);
    });
    expect(&address, "not-tls");
}

#[test]
fn a_server_of_mail() {
    needs!("curl");
    let address = listen(|mut stream| {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
        hold(stream);
    });
    expect(&address, "not-tls");
}

#[test]
fn plain_http_by_nginx() {
    needs!("nginx", "curl");
    let nginx = Nginx::start("access_log off; server { listen 127.0.0.1:PORT; return 200 hello; }");
    assert_eq!(curl(&[], &format!("http://{}/", nginx.address())).text(), "hello");
    expect(&nginx.address(), "not-tls");
}

#[test]
fn plain_http_by_our_own_node() {
    needs!("curl");
    let user = User::new();
    let node = Node::start(&user, "data", "eu-west", "127.0.0.2");
    assert_eq!(user.observes(&[&node.http])["outcome"], "not-tls");
    let now = user.observes(&[&node.https]);
    assert_eq!((&now["protocol"], &now["proved"]), (&"TLSv1.3".into(), &true.into()));
    assert_eq!(now["issuer_key"], node.vantage.as_str(), "the vantage id is the key of its CA");
}

#[test]
fn a_port_where_nobody_is() {
    needs!("curl");
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(User::new().observes(&[&address])["outcome"], "refused");
}

#[test]
fn a_server_that_hangs_up() {
    needs!("curl");
    expect(&listen(drop), "reset");
}
