//! A node as a process.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::support::Home;

/// Nothing here takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running `parallax serve`; killed when dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) http: String,
    pub(crate) https: String,
    pub(crate) vantage: String,
}

impl Served {
    pub(crate) fn start(home: &Home, data: &str, flags: &[&str]) -> Self {
        Self::logging_to(home, data, "127.0.0.1:0", flags, Stdio::null())
    }

    /// One whose HTTPS listener is here.
    pub(crate) fn start_at(home: &Home, data: &str, listen_tls: &str, flags: &[&str]) -> Self {
        Self::logging_to(home, data, listen_tls, flags, Stdio::null())
    }

    /// One whose log goes to this file.
    pub(crate) fn with_log(home: &Home, data: &str, flags: &[&str], log: &Path) -> Self {
        Self::logging_to(home, data, "127.0.0.1:0", flags, std::fs::File::create(log).unwrap().into())
    }

    /// One whose HTTPS listener is here, and whose log goes to this file.
    pub(crate) fn at_with_log(home: &Home, data: &str, listen_tls: &str, flags: &[&str], log: &Path) -> Self {
        Self::logging_to(home, data, listen_tls, flags, std::fs::File::create(log).unwrap().into())
    }

    fn logging_to(home: &Home, data: &str, listen_tls: &str, flags: &[&str], log: Stdio) -> Self {
        let fixed = ["serve", "--listen", "127.0.0.1:0", "--listen-tls", listen_tls, "--allow-private", "--data", data];
        let mut child = home.command(&[&fixed, flags].concat()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let part = |name: &str| {
            let found = line.split_whitespace().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {name} in {line:?}")).to_owned()
        };
        assert!(line.starts_with("ready ") && line.ends_with('\n'), "{line:?}");
        Self { http: part("http"), https: part("https"), vantage: part("vantage"), child }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}#{}", self.https, self.vantage)
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn wait(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        (self.child.wait().unwrap(), begun.elapsed())
    }

    /// Told to stop, and gone.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait().0.code(), Some(0));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
