//! The real command in a process of its own, and what it cost: as Linux tells in `/proc`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a command cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    /// The most memory that it had at a time, its program included.
    pub(crate) peak_bytes: u64,
}

/// A command that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    begun: Instant,
    peak_bytes: u64,
}

/// The command as it was built beside this program.
pub(crate) fn parallax(arguments: &[&str]) -> Command {
    let program = std::env::current_exe().expect("this program").with_file_name("parallax");
    assert!(program.exists(), "{} is not built; use ./bench, which builds it", program.display());
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", home()).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A home without a configuration.
fn home() -> PathBuf {
    PathBuf::from("/nonexistent")
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self { begun: Instant::now(), child: command.spawn().expect("a process"), peak_bytes: 0 }
    }

    /// Waits for its end; it must do what it was told.
    pub(crate) fn end(mut self) -> Ran {
        let cpu = loop {
            self.note_peak();
            match self.cpu() {
                (true, cpu) => break cpu,
                (false, _) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let wall = self.begun.elapsed();
        let status = self.child.wait().expect("its end");
        assert!(status.success(), "{status}");
        Ran { cpu, wall, peak_bytes: self.peak_bytes }
    }

    /// Memory is told while it runs alone; CPU time until somebody has asked how it ended.
    pub(crate) fn note_peak(&mut self) {
        self.peak_bytes = self.peak_bytes.max(self.peak().unwrap_or_default());
    }

    fn peak(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// Whether it has ended, and the time in user and system mode: hundredths of a second.
    fn cpu(&self) -> (bool, Duration) {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("/proc, as on Linux");
        let (_, rest) = stat.rsplit_once(") ").expect("its form");
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok()).expect("its form");
        (fields.first() == Some(&"Z"), Duration::from_millis(10) * u32::try_from(ticks(11) + ticks(12)).expect("few"))
    }
}
