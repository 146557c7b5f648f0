//! Ten thousand requests that no client means well, every fourth of them as a form.

use parallax_probe::TargetPolicy;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

use super::{PATIENCE, TestNode, remember, span, start};

/// A generator that is the same everywhere (xorshift64*), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const NAMES: [&str; 12] =
    ["host", "port", "service_type", "Host", "hos%74", "", "x", "%", "host%00", "h+ost", "service_type[]", "%ff"];

const VALUES: [&str; 31] = [
    "",
    "known.example",
    "KNOWN.example.",
    "443",
    "0",
    "-1",
    "65536",
    "99999999999999999999",
    "+443",
    "%34%34%33",
    "1",
    "2",
    "3",
    "1e3",
    "a..b",
    ".",
    "%00",
    "%zz",
    "%",
    "%f",
    "%c3%28",
    "%f0%9f%92%a9",
    "x.y",
    "[::1]",
    "::1",
    "0x7f.1",
    "127.0.0.1",
    "a%0d%0aSet-Cookie:x=y",
    "'\"--",
    "../../etc/passwd",
    "{{7*7}}",
];

fn query(dice: &mut Dice) -> String {
    let pairs = (0..dice.below(6)).map(|_| match dice.below(8) {
        0 => noise(dice),
        1 => dice.pick(&NAMES).to_owned(),
        2 => format!("host={}", dice.pick(&VALUES)),
        3 => format!("host=known.example&port={}", dice.pick(&VALUES)),
        4 => format!("host=known.example&service_type={}", dice.pick(&VALUES)),
        5 => format!("{}={}", dice.pick(&NAMES), dice.pick(&VALUES).repeat(dice.below(40))),
        _ => format!("{}={}", dice.pick(&NAMES), dice.pick(&VALUES)),
    });
    let pairs: Vec<String> = pairs.collect();
    pairs.join(dice.pick(&["&", "&", "&", "&&", ";"]))
}

fn noise(dice: &mut Dice) -> String {
    // What may stand in a request line; a space or a line break would end it.
    (0..dice.below(30)).map(|_| char::from(u8::try_from(0x21 + dice.below(0x5e)).unwrap())).collect()
}

#[tokio::test]
async fn always_the_stated_status() {
    let node = start(|settings| settings.probe.targets = TargetPolicy::public()).await;
    remember(&node.node, "known.example", vec![span(7, 1000, 2000)]).await;
    let asking = async {
        let (mut dice, mut seen) = (Dice(20_261_123), [0usize; 3]);
        let mut connection = connect(&node).await;
        for number in 0..10_000 {
            if number % 900 == 899 {
                connection = connect(&node).await;
            }
            let query = query(&mut dice);
            let request = if number % 4 == 3 { as_form(&query) } else { as_query(&query) };
            let status = match exchange(&mut connection, &request).await {
                Some(status) => status,
                // What is no HTTP ends the connection.
                None => {
                    connection = connect(&node).await;
                    exchange(&mut connection, &request).await.unwrap()
                }
            };
            let index = [200, 400, 404].iter().position(|stated| *stated == status);
            seen[index.unwrap_or_else(|| panic!("request {number}, {query:?}: {status}"))] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    };
    tokio::time::timeout(PATIENCE * 3, asking).await.unwrap();
    assert_eq!(node.get("/healthz").await.status, 200);
}

async fn connect(node: &TestNode) -> BufStream<TcpStream> {
    BufStream::new(TcpStream::connect(node.node.http().unwrap()).await.unwrap())
}

fn as_query(query: &str) -> String {
    format!("GET /?{query} HTTP/1.1\r\nhost: node\r\n\r\n")
}

fn as_form(query: &str) -> String {
    let length = query.len();
    format!("POST / HTTP/1.1\r\nhost: node\r\ncontent-length: {length}\r\n\r\n{query}")
}

/// The status of the answer, read whole; `None` when the connection is closed.
async fn exchange(connection: &mut BufStream<TcpStream>, request: &str) -> Option<u16> {
    connection.write_all(request.as_bytes()).await.ok()?;
    connection.flush().await.ok()?;
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        status = status.or_else(|| line.split(' ').nth(1)?.parse().ok());
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().unwrap();
        }
    }
    connection.read_exact(&mut vec![0; length]).await.ok()?;
    status
}
