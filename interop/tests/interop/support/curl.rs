//! `curl`.

use std::process::Command;

use serde_json::Value;

/// What curl got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As curl names it: `1.1` or `2`.
    pub(crate) version: String,
    headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.headers.lines().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Fetches `url`; panics with what curl said when curl could not.
pub(crate) fn curl(arguments: &[&str], url: &str) -> Answer {
    let place = tempfile::tempdir().unwrap();
    let (headers, body) = (place.path().join("headers"), place.path().join("body"));
    let mut command = Command::new("curl");
    // -q: not the configuration of whoever runs the tests.
    command.args(["-q", "--noproxy", "*", "--silent", "--show-error", "--max-time", "60"]);
    command.arg("--dump-header").arg(&headers).arg("--output").arg(&body);
    command.args(["--write-out", "%{http_code} %{http_version}"]).args(arguments).arg(url);
    let output = command.output().unwrap();
    assert!(output.status.success(), "curl {url}: {}", String::from_utf8_lossy(&output.stderr));
    let written = String::from_utf8(output.stdout).unwrap();
    let (status, version) = written.split_once(' ').unwrap();
    Answer {
        status: status.parse().unwrap(),
        version: version.into(),
        headers: std::fs::read_to_string(headers).unwrap(),
        // curl makes no file for an empty body.
        body: std::fs::read(body).unwrap_or_default(),
    }
}
