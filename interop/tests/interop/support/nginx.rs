//! `nginx`.

use std::path::Path;
use std::process::Command;

use super::free_port;
use super::process::Running;

/// How often another port is tried when somebody takes the free one first.
const TRIES: usize = 10;

/// A running nginx.
pub(crate) struct Nginx {
    _process: Running,
    _place: tempfile::TempDir,
    port: u16,
}

impl Nginx {
    /// nginx with these lines in its `http` block; `PORT` in them is a free port of 127.0.0.1.
    pub(crate) fn start(http: &str) -> Self {
        (0..TRIES).find_map(|_| Self::start_at(free_port(), http)).expect("a free port")
    }

    /// The same on a port of the caller's; `None` when somebody else has it.
    pub(crate) fn start_at(port: u16, http: &str) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let configuration = configuration(place.path(), &http.replace("PORT", &port.to_string()));
        std::fs::write(place.path().join("nginx.conf"), configuration).unwrap();
        let mut command = Command::new(super::find("nginx").unwrap());
        command.arg("-p").arg(place.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let mut process = Running::start(&mut command);
        // It says so once its listeners are bound.
        match process.hear(|line| line.contains("getrlimit(").then_some(())) {
            Some(()) => Some(Self { _process: process, _place: place, port }),
            None if process.said().iter().any(|line| line.contains("Address already in use")) => None,
            None => panic!("nginx did not start: {:?}", process.said()),
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

fn configuration(place: &Path, http: &str) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let place = place.display();
    let temporary: String = kinds.iter().map(|kind| format!("  {kind}_temp_path {place}/{kind};\n")).collect();
    // One process: no worker outlives it, and none becomes a user who may not read the certificates.
    format!(
        "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr notice;\n\
         events {{ worker_connections 64; }}\nhttp {{\n{temporary}{http}\n}}\n"
    )
}
