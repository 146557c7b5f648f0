//! What a busy node writes down about those who ask: nothing. The real binary, asked everything by several addresses; then
//! its log, its metrics, every table and every byte in its data directory are searched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use parallax_lab::{Answer, Behaviour, Lab, Site, Validity};
use rusqlite::types::Value;
use served::{PATIENCE, Served};
use support::Home;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

/// In everything that an asker alone says: names that lead nowhere, paths, headers, nonces.
const MARK: &str = "asker-";

/// What comes of the requests, in their order.
const ANSWERS: &str = "200 200 200 200 200 200 400 200 200 400 200 200 404 404 400 200 200 404 200 200 \
                       200 404 400 413 405 400 431 400";

/// Where askers say that they come from.
const FORWARDED: &str = "198.51.100.77";

struct World {
    lab: Lab,
    home: Home,
    sites: Vec<Site>,
}

impl World {
    async fn start(level: &str) -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let at = lab.address(20, 10);
        let site = lab.site(at, &ca.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
        let ssh = lab.open(lab.address(20, 22), Behaviour::Speak(b"SSH-2.0-lab\r\n")).await.unwrap();
        lab.dns().set("shop.example", Answer::a([at])).unwrap();
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(10, 1).to_string())
            .with("PARALLAX_LOG", level)
            .with("PARALLAX_DATA", "data");
        Self { lab, home, sites: vec![site, ssh] }
    }

    /// Each in a network of its own, so that none uses up what another may ask.
    fn askers(&self) -> Vec<Ipv4Addr> {
        (201..205).map(|network| self.lab.address(network, 77)).collect()
    }

    fn targets(&self) -> Vec<String> {
        self.sites.iter().map(|site| site.address().ip().to_string()).collect()
    }

    fn requests(&self) -> Vec<Vec<u8>> {
        let (port, tls, ssh) = (self.lab.port(), &self.targets()[0], &self.targets()[1]);
        let gets = [
            format!("/v1/view?service=shop.example:{port}&wait=15&nonce=asker-nonce"),
            format!("/v1/view?service=shop.example:{port}&wait=15&max_age=0"),
            format!("/v1/view?service={tls}:{port}&wait=15"),
            format!("/v1/view?service=shop.example:{port}&address={tls}&wait=15"),
            format!("/v1/view?service=ssh://{ssh}:{port}&wait=15"),
            "/v1/view?service=asker-view.example&wait=15".into(),
            "/v1/view?service=asker%20bad".into(),
            "/v1/dns?name=shop.example&types=A".into(),
            "/v1/dns?name=asker-dns.example&types=A,MX,TLSA".into(),
            "/v1/dns?name=asker..dns&types=A".into(),
            format!("/?host=shop.example&port={port}"),
            format!("/?host=SHOP.example&port={port}&"),
            format!("/?host={ssh}&port={port}&service_type=1"),
            "/?host=asker-legacy.example".into(),
            "/?host=asker+bad&port=asker-port".into(),
            "/?".into(),
            "/v1/vantage".into(),
            "/asker-path".into(),
            "/metrics".into(),
            "/readyz".into(),
        ];
        let form = format!("host=shop.example&port={port}");
        let posts = [form.as_str(), "host=asker-form.example", "asker-%zz", &"asker-".repeat(20_000)];
        let gets = gets.map(|path| format!("GET {path} HTTP/1.1\r\n{}\r\n", headers()));
        let posts =
            posts.map(|body| format!("POST / HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{body}", headers(), body.len()));
        let odd = [
            format!("DELETE /v1/view HTTP/1.1\r\n{}\r\n", headers()),
            "asker-garbage\r\n\r\n".into(),
            format!("GET / HTTP/1.1\r\nasker-header: {}\r\n\r\n", "a".repeat(40_000)),
            "\x16\x03\x01\x00\x05asker-half-a-hello".into(),
        ];
        gets.into_iter().chain(posts).chain(odd).map(String::into_bytes).collect()
    }

    /// Everything, by everybody, at both listeners; one asks far too much.
    async fn ask_everything(&self, node: &Served) {
        for asker in self.askers() {
            let mut told = Vec::new();
            for request in self.requests() {
                told.push(
                    ask(asker, &node.http, &request).await.chars().skip("HTTP/1.1 ".len()).take(3).collect::<String>(),
                );
            }
            assert_eq!(told.join(" "), ANSWERS, "each kind of request is answered");
            for request in self.requests().iter().rev().take(4) {
                ask(asker, &node.https, request).await;
            }
        }
        let many = "GET /asker-flood HTTP/1.1\r\nHost: asker-host\r\n\r\n".repeat(400);
        let many = format!("{many}GET /asker-flood HTTP/1.1\r\n{}\r\n", headers());
        let refused = ask(self.askers()[0], &node.http, many.as_bytes()).await;
        assert!(refused.contains("HTTP/1.1 429 "), "nobody was refused");
        let service = format!("shop.example:{}", self.lab.port());
        let flags = ["history", "--vantage", &node.url(), "--timeout", "60s", &service];
        let run = tokio::task::block_in_place(|| self.home.run(&flags));
        assert_eq!(run.status, 0, "{run:?}");
    }
}

fn headers() -> String {
    format!(
        "Host: asker-host\r\nConnection: close\r\nUser-Agent: asker-agent\r\nReferer: http://asker-referer/\r\n\
         Cookie: asker-cookie=1\r\nX-Forwarded-For: {FORWARDED}\r\nForwarded: for={FORWARDED}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n"
    )
}

/// One connection from this address; what comes back, if anything does.
async fn ask(from: Ipv4Addr, to: &str, request: &[u8]) -> String {
    let exchange = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(to.parse().unwrap()).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let goes_on = holds(request, "Connection: close");
        // Who is refused early reads no further; and who hangs up gets no answer.
        let write = async {
            let _ = writing.write_all(request).await;
            if !goes_on {
                let _ = writing.shutdown().await;
            }
        };
        let mut answer = Vec::new();
        let (_, _) = tokio::join!(write, reading.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap()
}

/// All that a node wrote.
struct Written {
    log: String,
    metrics: String,
    /// Every file of the data directory, while the node ran and after.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// Every value of every table: table, column, value.
    values: Vec<(String, String, Value)>,
}

impl Written {
    async fn by_a_busy_node(world: &World) -> Self {
        let (data, log) = (world.home.path().join("data"), world.home.path().join("log"));
        let node = tokio::task::block_in_place(|| {
            Served::with_log(&world.home, "data", &["--scan-every", "1s", "--region", "eu-west"], &log)
        });
        world.ask_everything(&node).await;
        let metrics = tokio::task::block_in_place(|| node.get("/metrics"));
        let mut files = read_all(&data);
        tokio::task::block_in_place(|| node.stop());
        files.extend(read_all(&data));
        let log = std::fs::read_to_string(log).unwrap();
        Self { log, metrics, files, values: read_tables(&data.join("parallax.sqlite")) }
    }

    /// Where a text stands in files and tables.
    fn places(&self, text: &str) -> Vec<String> {
        let files = self.files.iter().filter(|(_, bytes)| holds(bytes, text));
        let files = files.map(|(path, _)| path.display().to_string());
        let says = |value: &Value| match value {
            Value::Text(found) => found.contains(text),
            Value::Blob(bytes) => holds(bytes, text),
            Value::Null | Value::Integer(_) | Value::Real(_) => false,
        };
        let values = self.values.iter().filter(|(.., value)| says(value));
        files.chain(values.map(|(table, column, _)| format!("{table}.{column}"))).collect()
    }

    /// Where an address stands in tables as a number or in its bytes, which as text would not be found.
    fn encoded(&self, address: Ipv4Addr) -> Vec<String> {
        let mapped = address.to_ipv6_mapped().octets();
        let says = |value: &Value| match value {
            Value::Integer(number) => {
                let bytes = address.octets();
                [u32::from_be_bytes(bytes), u32::from_le_bytes(bytes)].iter().any(|known| i64::from(*known) == *number)
            }
            Value::Blob(bytes) => *bytes == address.octets() || *bytes == mapped,
            Value::Null | Value::Real(_) | Value::Text(_) => false,
        };
        let found = self.values.iter().filter(|(.., value)| says(value));
        found.map(|(table, column, _)| format!("{table}.{column}")).collect()
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn read_all(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(read_all(&path)),
            // What is gone meanwhile (the log of the database) was read before.
            false => files.extend(std::fs::read(&path).ok().map(|bytes| (path, bytes))),
        }
    }
    files
}

fn read_tables(file: &Path) -> Vec<(String, String, Value)> {
    let database = rusqlite::Connection::open(file).unwrap();
    let names = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let mut names = database.prepare(names).unwrap();
    let tables: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut values = Vec::new();
    for table in tables {
        let mut rows = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns: Vec<String> = rows.column_names().map(str::to_owned).collect();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = columns.iter().enumerate();
            values.extend(cells.map(|(at, column)| (table.clone(), column.clone(), row.get(at).unwrap())));
        }
    }
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_node_writes_down_nobody() {
    let world = World::start("info").await;
    let written = Written::by_a_busy_node(&world).await;
    let askers = world.askers();
    for secret in askers.iter().map(Ipv4Addr::to_string).chain([MARK.into(), FORWARDED.into()]) {
        assert_eq!(written.places(&secret), Vec::<String>::new(), "{secret}");
        assert!(!written.log.contains(&secret), "{secret}: {}", written.log);
        assert!(!written.metrics.contains(&secret), "{secret}: {}", written.metrics);
    }
    askers.iter().for_each(|asker| assert_eq!(written.encoded(*asker), Vec::<String>::new(), "{asker}"));
    // Nor do log and metrics say about what.
    for target in world.targets().into_iter().chain(["shop.example".into()]) {
        assert!(!written.log.contains(&target) && !written.metrics.contains(&target), "{target}: {}", written.log);
    }

    // The same search finds what is there: a service that was met, and where.
    for target in [world.targets()[0].clone(), "shop.example".into()] {
        let places = written.places(&target);
        assert!(places.iter().any(|place| place.ends_with("parallax.sqlite")), "{target}: {places:?}");
        assert!(places.iter().any(|place| place == "latest.look" || place == "services.service"), "{places:?}");
    }
    assert!(
        written.log.contains("the node answers") && written.log.contains("the node has stopped"),
        "{}",
        written.log
    );
    assert!(written.metrics.contains("parallax_node_refused_total{limit=\"source\"} "), "{}", written.metrics);
    let tables: std::collections::BTreeSet<_> = written.values.iter().map(|(table, ..)| table.as_str()).collect();
    assert!(tables.contains("timespans") && tables.contains("records"), "{tables:?}");
}

/// Below `info` a log may name what was asked about (libraries say which names they resolve), never who asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_the_log_at_trace_says_who() {
    let world = World::start("trace").await;
    let written = Written::by_a_busy_node(&world).await;
    assert!(written.log.contains("DEBUG") && written.log.contains("TRACE"));
    for asker in world.askers() {
        let line = written.log.lines().find(|line| line.contains(&asker.to_string()));
        assert_eq!(line, None);
        assert_eq!(written.places(&asker.to_string()), Vec::<String>::new());
    }
}
