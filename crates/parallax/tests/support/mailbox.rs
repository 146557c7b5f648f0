//! The folder that a node's mails go to, and the local helper's page as a browser uses it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::support::Home;

const PATIENCE: Duration = Duration::from_secs(60);

/// A maildir.
pub(crate) struct Mailboxes(PathBuf);

impl Mailboxes {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn all(&self) -> Vec<Mail> {
        let Ok(files) = std::fs::read_dir(self.0.join("new")) else { return Vec::new() };
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort_by_key(|file| std::fs::metadata(file).unwrap().modified().unwrap());
        files.into_iter().map(|file| Mail(std::fs::read_to_string(file).unwrap())).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }

    /// Takes all of them away.
    pub(crate) fn clear(&self) {
        for file in std::fs::read_dir(self.0.join("new")).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    /// The newest of the first kind, once there are so many mails.
    pub(crate) fn wait(&self, count: usize) -> Mail {
        self.until(|mails| {
            let enough = mails.len() >= count;
            mails.into_iter().rev().find(|mail| mail.is("Confirm your address")).filter(|_| enough)
        })
    }

    pub(crate) fn wait_for_subject(&self, subject: &str) -> Mail {
        self.until(|mails| mails.into_iter().rev().find(|mail| mail.is(subject)))
    }

    fn until(&self, found: impl Fn(Vec<Mail>) -> Option<Mail>) -> Mail {
        let begun = Instant::now();
        loop {
            if let Some(mail) = found(self.all()) {
                return mail;
            }
            assert!(begun.elapsed() < PATIENCE, "no such mail came: {}", self.count());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A mail as it lies in the folder.
pub(crate) struct Mail(String);

impl Mail {
    fn is(&self, subject: &str) -> bool {
        self.0.lines().take_while(|line| !line.is_empty()).any(|line| line.starts_with(&format!("Subject: {subject}")))
    }

    /// Its plain text.
    pub(crate) fn text(&self) -> String {
        self.part("text/plain")
    }

    /// On a line of its own, whole.
    pub(crate) fn link(&self) -> String {
        self.text().lines().find(|line| line.starts_with("http://localhost:15342/")).unwrap().to_owned()
    }

    /// The only line of eight characters of base32 behind four blanks.
    pub(crate) fn code(&self) -> String {
        let text = self.text();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("    "));
        let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'));
        lines.find(is_code).unwrap_or_else(|| panic!("no code in {text}")).to_owned()
    }

    /// What is attached.
    pub(crate) fn attachment(&self) -> String {
        self.part("application/pem-certificate-chain")
    }

    fn part(&self, kind: &str) -> String {
        let mail = self.0.replace("\r\n", "\n");
        let (_, part) =
            mail.split_once(&format!("Content-Type: {kind}")).unwrap_or_else(|| panic!("no {kind}: {mail}"));
        let (head, body) = part.split_once("\n\n").unwrap();
        // To the boundary; the lines of PEM have more hyphens.
        let is_boundary = |line: &&str| line.starts_with("--") && !line.starts_with("---");
        let lines: Vec<&str> = body.lines().take_while(|line| !is_boundary(line)).collect();
        let body = &format!("{}\n", lines.join("\n").trim_end());
        match head.to_ascii_lowercase() {
            head if head.contains("base64") => {
                let text: String = body.split_whitespace().collect();
                String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
            }
            head if head.contains("quoted-printable") => unquoted(body),
            _ => body.to_owned(),
        }
    }
}

/// RFC 2045 section 6.7.
fn unquoted(text: &str) -> String {
    let joined = text.replace("=\n", "");
    let mut parts = joined.split('=');
    let mut out = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        out.push(u8::from_str_radix(digits, 16).unwrap());
        out.extend(rest.as_bytes());
    }
    String::from_utf8(out).unwrap()
}

/// A running `parallax agent`, asked as a browser does on its own page.
pub(crate) struct Agent {
    child: Child,
    host: String,
}

impl Agent {
    pub(crate) fn start(home: &Home) -> Self {
        let mut child = home.command(&["agent", "--listen", "127.0.0.1:0"]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { host: line.trim().strip_prefix("ready http=").unwrap().to_owned(), child }
    }

    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let page = self.say(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.host));
        let (_, behind) = page.split_once("name=\"token\" value=\"").unwrap();
        let mut form = format!("token={}", behind.split_once('"').unwrap().0);
        fields.iter().for_each(|(name, value)| form.push_str(&format!("&{name}={value}")));
        self.say(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len(),
            host = self.host
        ))
    }

    fn say(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
