//! The program under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The `parallax` of this workspace, as up to date as its sources.
///
/// A test of another package is not told where the binary is. It lies beside the tests; cargo is asked only when it is
/// missing or older than its sources, because each test is a process of its own.
pub(crate) fn parallax() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let tests = std::env::current_exe().unwrap();
        let target = tests.parent().and_then(Path::parent).expect("tests lie in deps/ of the profile's directory");
        let binary = target.join("parallax");
        if is_current(&binary).is_none() { build() } else { binary }
    })
}

/// Whether the binary is younger than everything it was made of, by the list that cargo keeps beside it for this purpose
/// (the Cargo book, "Dep-info files").
fn is_current(binary: &Path) -> Option<()> {
    let built = modified(binary)?;
    let list = fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    let spaces_kept = sources.trim().replace("\\ ", "\0");
    let sources = spaces_kept.split(' ').map(|path| PathBuf::from(path.replace('\0', " ")));
    let lock = workspace().join("Cargo.lock");
    sources.chain([lock]).all(|source| modified(&source).is_some_and(|changed| changed <= built)).then_some(())
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Cargo's own lock keeps tests that come here at the same time apart. The whole workspace is named, or the dependencies would
/// be built anew with the fewer features that the binary alone needs.
fn build() -> PathBuf {
    let build = ["build", "--workspace", "--bin", "parallax", "--locked", "--offline"];
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(build).args(["--message-format", "json"]).current_dir(workspace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().rev().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut made = messages.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    made.next().expect("cargo names what it built")
}
