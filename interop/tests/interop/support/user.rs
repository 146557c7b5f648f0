//! A person at a terminal.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::binary::parallax;
use super::dns::LoopbackDns;
use super::process::Run;

/// A person with a home and a resolver of their own: nothing of the machine's own configuration is seen, and no question
/// leaves the machine.
pub(crate) struct User {
    home: tempfile::TempDir,
    dns: LoopbackDns,
}

impl User {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), dns: LoopbackDns::start() }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// `parallax` with these arguments, not yet run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(parallax());
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    /// A line as it is typed into a shell, with `parallax` on the path.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        self.settle(&mut command);
        let own = parallax().parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))).unwrap());
        command
    }

    fn settle(&self, command: &mut Command) {
        command.env_clear().current_dir(self.home());
        command.env("HOME", self.home()).env("XDG_CONFIG_HOME", self.home().join("config"));
        command.env("PARALLAX_RESOLVER", self.dns.address());
        // Nothing here is a race; a loaded machine gets its time.
        command.env("PARALLAX_TIMEOUT", "30s");
        command.stdin(Stdio::null());
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// The `now` of `parallax observe --json` with these arguments.
    pub(crate) fn observes(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[&["observe", "--json"], arguments].concat());
        let now = run.json()["now"].take();
        let seen = now["outcome"] == "seen";
        assert_eq!(run.status, i32::from(!seen), "{run:?}");
        now
    }
}
