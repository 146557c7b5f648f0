//! Programs whose clock is wrong, by the program faketime.

use std::process::Command;
use std::sync::LazyLock;

use crate::support::Home;

const FAKETIME: &str = "faketime";

/// Whether it is installed.
pub(crate) fn is_there() -> bool {
    static THERE: LazyLock<bool> = LazyLock::new(|| Command::new(FAKETIME).arg("--version").output().is_ok());
    *THERE
}

/// The command with a clock that is so many seconds ahead. Time goes by as it does.
pub(crate) fn command(home: &Home, ahead: i32, arguments: &[&str]) -> Command {
    if ahead == 0 {
        return home.command(arguments);
    }
    let offset = format!("{ahead:+}s");
    let program = env!("CARGO_BIN_EXE_parallax");
    // The program is a child of faketime: only the whole group ends with the one that is waited for.
    let all = [&["--kill-after=5", "90", FAKETIME, "--exclude-monotonic", "-f", &offset, program], arguments].concat();
    let mut command = home.command_of("timeout", &all);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}
