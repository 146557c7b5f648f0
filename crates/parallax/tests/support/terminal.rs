//! A command at a terminal of its own, by util-linux' `script`.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::support::Home;

/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Starts `parallax` with these arguments; `None` where no terminal can be had.
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Option<Self> {
        if Command::new("script").arg("--version").output().is_err() {
            eprintln!("skipped: util-linux' script is not installed, so there is no terminal to test with");
            return None;
        }
        let words = [&[env!("CARGO_BIN_EXE_parallax")], arguments].concat();
        let line: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let mut script = home.command_of("script", &["-qec", &format!("exec {}", line.join(" ")), "/dev/null"]);
        script.env("TERM", "xterm").env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Some(Self { child, keys, screen, seen: String::new() })
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until this stands on the screen, after what was waited for before; what came up to it.
    pub(crate) fn expect(&mut self, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.seen.find(wanted) {
                let rest = self.seen.split_off(at + wanted.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{wanted:?} did not come: {:?}", self.seen),
            }
        }
    }

    /// Waits for the end; the exit status.
    pub(crate) fn end(mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            // What is still written must be taken, or the command would wait for ever.
            let _ = self.screen.recv_timeout(Duration::from_millis(20));
        }
        panic!("it did not end: {:?}", self.seen);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
