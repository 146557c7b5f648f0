//! `parallax serve`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Running;
use super::user::User;

/// A running node.
pub(crate) struct Node {
    pub(crate) process: Running,
    /// Where it serves plain HTTP.
    pub(crate) http: String,
    /// Where it serves HTTPS.
    pub(crate) https: String,
    /// Its vantage id.
    pub(crate) vantage: String,
    data: PathBuf,
}

impl Node {
    /// A node in a region that looks from one of this machine's loopback addresses. `data` is below the user's home.
    pub(crate) fn start(user: &User, data: &str, region: &str, source: &str) -> Self {
        let data = user.home().join(data);
        let listen = ["--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        let looks = ["--region", region, "--source", source, "--allow-private"];
        Self::started(&mut user.command(&[&["serve"], &listen[..], &looks].concat()), data)
    }

    /// A node that this command starts.
    pub(crate) fn started(command: &mut Command, data: PathBuf) -> Self {
        let mut process = Running::start(command);
        let ready = process.hear(|line| line.strip_prefix("ready ").map(str::to_owned));
        let ready = ready.unwrap_or_else(|| panic!("the node did not start: {:?}", process.said()));
        let field = |name: &str| {
            let value = ready.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_else(|| panic!("no {name} in {ready:?}")).to_owned()
        };
        Self { http: field("http"), https: field("https"), vantage: field("vantage"), process, data }
    }

    /// How it is named to `parallax vantage add`.
    pub(crate) fn url(&self) -> String {
        format!("https://{}#{}", self.https, self.vantage)
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }
}
