//! NATS as the peer: one asks, eight answer, over the server that runs on this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use super::cpu_of;

const AT: &str = "127.0.0.1:4222";
const RESPONDERS: usize = 8;

/// A NATS server of this machine.
pub(super) struct Nats {
    process: u32,
}

impl Nats {
    /// The server's process, when it can be seen and connected to.
    pub(super) fn find() -> Option<Self> {
        TcpStream::connect(AT).ok()?;
        let of_name = |entry: std::fs::DirEntry| {
            let process: u32 = entry.file_name().to_str()?.parse().ok()?;
            let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
            (name.trim() == "nats-server").then_some(process)
        };
        let process = std::fs::read_dir("/proc").ok()?.flatten().find_map(of_name)?;
        Some(Self { process })
    }

    /// Microseconds of the server's CPU for one question with eight answers of so many bytes.
    pub(super) fn ask(&self, questions: usize, bytes: usize) -> f64 {
        let subject = format!("parallax.bench.{}", std::process::id());
        let mut asker = Line::open();
        asker.say("SUB parallax.bench.inbox 1\r\n");
        let responders: Vec<_> = (0..RESPONDERS)
            .map(|_| {
                let mut line = Line::open();
                line.say(&format!("SUB {subject} 1\r\n"));
                line.settled();
                std::thread::spawn(move || {
                    let view = "x".repeat(bytes);
                    for _ in 0..questions {
                        line.message();
                        line.say(&format!("PUB parallax.bench.inbox {}\r\n{view}\r\n", view.len()));
                    }
                })
            })
            .collect();
        asker.settled();
        let before = cpu_of(self.process);
        for _ in 0..questions {
            asker.say(&format!("PUB {subject} parallax.bench.inbox 64\r\n{}\r\n", "q".repeat(64)));
            (0..RESPONDERS).for_each(|_| asker.message());
        }
        let spent = cpu_of(self.process) - before;
        responders.into_iter().for_each(|responder| responder.join().expect("a responder"));
        spent.as_secs_f64() * 1e6 / questions as f64
    }
}

/// The text protocol of NATS clients.
struct Line {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Line {
    fn open() -> Self {
        let stream = TcpStream::connect(AT).expect("a NATS server");
        stream.set_nodelay(true).expect("no delay");
        let reader = BufReader::new(stream.try_clone().expect("a second hand"));
        let mut line = Self { stream, reader };
        line.say("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        line.settled();
        line
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("sent");
    }

    /// Everything said before has arrived.
    fn settled(&mut self) {
        self.say("PING\r\n");
        while self.read() != "PONG" {}
    }

    /// The next message; its content is read and let go.
    fn message(&mut self) {
        loop {
            let text = self.read();
            if text.starts_with("MSG ") {
                let length: usize = text.rsplit(' ').next().and_then(|length| length.parse().ok()).expect("a length");
                let mut content = vec![0; length + 2];
                self.reader.read_exact(&mut content).expect("content");
                return;
            }
        }
    }

    fn read(&mut self) -> String {
        let mut text = String::new();
        self.reader.read_line(&mut text).expect("a line");
        if text.starts_with("PING") {
            self.say("PONG\r\n");
        }
        text.trim_end().to_owned()
    }
}
