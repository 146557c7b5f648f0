//! What a node writes down about those who ask: nothing.

use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;
use tracing_subscriber::filter::LevelFilter;

use crate::support::TestNode;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The subscriber hears the nodes of all tests in this process, which makes the claim the stronger.
#[tokio::test]
async fn no_log_line_says_who_asked_or_about_what() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(LevelFilter::INFO).with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let node = TestNode::with(|settings| settings.legacy = true).await;
    for path in [
        "/?host=secret-name.example",
        "/?host=secret+name",
        "/?host=127.0.0.99&port=4499",
        "/v1/view?service=secret-name.example&wait=15",
        "/v1/view?service=127.0.0.99:4499&wait=15",
        "/v1/view?service=secret name",
        "/v1/dns?name=secret-zone.example&types=A",
        "/secret-path",
    ] {
        ask_from_127_0_0_77(&node, path).await;
    }
    node.node.shutdown().await.unwrap();

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the node answers") && text.contains("the node has stopped"), "{text}");
    for secret in ["secret", "127.0.0.77", "127.0.0.99", "PRIVATE KEY"] {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
}

async fn ask_from_127_0_0_77(node: &TestNode, path: &str) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.77:0".parse().unwrap()).unwrap();
    let stream = socket.connect(node.node.http().unwrap()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path.replace(' ', "%20")).header("host", "secret-host").body(Empty::<Bytes>::new());
    sender.send_request(request.unwrap()).await.unwrap().into_body().collect().await.unwrap();
}
