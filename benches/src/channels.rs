//! Channels and messages per CPU-second of a node in a process of its own, over HTTP keep-alive on its plain listener.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parallax_client::{new_key_file, read_key_file};
use parallax_core::Timestamp;
use parallax_node::{Caller, Handler, Node, NodeSettings, Rate};
use parallax_probe::{AwsLc, SystemRandom};
use parallax_proto::StatementKey;
use parallax_proto::channel::{ClientChannel, Opening, OpeningRequest, OwnKey, Rate as Every, Run};
use serde_json::{Value, json};

use crate::measure::{heading, line, median};

/// What this program is called with to be the server.
pub(crate) const ARGUMENT: &str = "serve-channels";

const ROUNDS: usize = 5;
const CREATIONS: usize = 2_000;
const MESSAGES: usize = 20_000;
const CONNECTIONS: usize = 8;

pub(crate) fn run() {
    heading("channels: a node in a process of its own, over HTTP keep-alive; its CPU time alone, user and system");
    let mut server = Server::start();
    let (mut creations, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let prepared: Vec<_> = (0..CREATIONS).map(|_| server.opening(&key())).collect();
        let texts = prepared.iter().map(|(message, _)| request("/v1/channels", message)).collect();
        let (cost, answers) = server.exchange(texts);
        creations.push(cost);
        let opened = |((_, opening), answer): (&(Vec<u8>, Opening), &Vec<u8>)| opening.created(answer, now());
        let mut channels: Vec<ClientChannel> =
            prepared.iter().zip(&answers).take(CONNECTIONS).map(|pair| opened(pair).expect("a channel")).collect();
        let run = Run::new(json!({ "type": "echo", "text": "as long as a short question" })).expect("a run");
        let texts = (0..MESSAGES)
            .map(|count| {
                let id = format!("{count}").parse().expect("an id");
                let message = channels[count % CONNECTIONS].request(Some(&id), &run, now()).expect("a message");
                request("/v1/messages", &message.1)
            })
            .collect();
        messages.push(server.exchange(texts).0);
    }
    for (what, costs, aim) in [("a channel", creations, 6_000.0), ("a message and its answer", messages, 20_000.0)] {
        let each = median(costs);
        let said = if 1e6 / each >= aim { "met" } else { "MISSED" };
        line(what, format_args!("{each:.1} µs CPU: {:.0} per CPU-second (aim {aim:.0}: {said})", 1e6 / each));
    }
}

fn key() -> OwnKey {
    read_key_file(new_key_file().expect("a key").as_bytes()).expect("a key")
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).expect("this era"))
}

fn request(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

struct Server {
    child: Child,
    http: SocketAddr,
    statement_key: StatementKey,
    source: String,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let mut parts = line.split_whitespace().map(str::to_owned);
        let mut part = || parts.next().expect("three parts");
        let (http, key, source) = (part(), part(), part());
        Self {
            child,
            http: http.parse().expect("an address"),
            statement_key: key.parse().expect("a statement key"),
            source,
        }
    }

    fn opening(&self, key: &OwnKey) -> (Vec<u8>, Opening) {
        let wanted = OpeningRequest {
            source: self.source.clone(),
            server: Some(self.statement_key),
            replaces: None,
            max_lifetime: None,
        };
        let mut random = SystemRandom::default();
        Opening::new(Arc::new(AwsLc), key.clone(), wanted, now(), &mut random).expect("a request")
    }

    /// All of them, on a few connections at once, in their order on each: µs of the server's CPU for one, and the answers.
    fn exchange(&mut self, texts: Vec<Vec<u8>>) -> (f64, Vec<Vec<u8>>) {
        let count = texts.len();
        let mut lanes: Vec<Vec<(usize, Vec<u8>)>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
        for (place, text) in texts.into_iter().enumerate() {
            lanes[place % CONNECTIONS].push((place, text));
        }
        let before = self.cpu();
        let http = self.http;
        let threads: Vec<_> = lanes.into_iter().map(|lane| std::thread::spawn(move || speak(http, lane))).collect();
        let mut answers: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("answers")).collect();
        let spent = self.cpu() - before;
        answers.sort_by_key(|(place, _)| *place);
        (spent.as_secs_f64() * 1e6 / count as f64, answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// User and system time of the server so far (proc(5): fields 14 and 15, in hundredths of a second).
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux");
        let after = stat.rsplit_once(')').expect("a name in brackets").1;
        let ticks: u64 =
            after.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn speak(http: SocketAddr, lane: Vec<(usize, Vec<u8>)>) -> Vec<(usize, Vec<u8>)> {
    let mut stream = TcpStream::connect(http).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut reader = BufReader::new(stream.try_clone().expect("a second hand"));
    lane.into_iter()
        .map(|(place, text)| {
            stream.write_all(&text).expect("sent");
            (place, answer(&mut reader))
        })
        .collect()
}

fn answer(reader: &mut BufReader<TcpStream>) -> Vec<u8> {
    let (mut line, mut length, mut first) = (String::new(), 0, true);
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        if first {
            assert!(line.starts_with("HTTP/1.1 200"), "{line}");
            first = false;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    body
}

struct Echo;

impl Handler for Echo {
    fn handle(&self, _: Caller, run: Run) -> futures_util::future::BoxFuture<'static, Result<Value, Value>> {
        Box::pin(async move { Ok(run.into_value()) })
    }
}

/// The server, until its standard input ends.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    runtime.block_on(async {
        let mut settings = NodeSettings::new(directory.path());
        settings.listen = "127.0.0.1:0".parse().ok();
        settings.listen_tls = "127.0.0.1:0".parse().ok();
        settings.legacy = false;
        settings.limits.questions_per_source_network = Rate::new(1_000_000, 1_000_000);
        settings.limits.requests_per_connection = usize::MAX;
        settings.channel.rules.open = true;
        let any = Every { burst: 1_000_000, every: Duration::from_millis(1) };
        settings.channel.rules.address_creations = any;
        settings.channel.rules.network_creations = any;
        let node = Node::start(settings).await.expect("a node");
        node.channels().register("echo", Arc::new(Echo));
        let about = node.descriptor();
        println!("{} {} {}", node.http().expect("HTTP"), about.statement_key, about.addresses[0]);
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        let _ = ended.await;
        node.shutdown().await.expect("a clean stop");
    });
}
