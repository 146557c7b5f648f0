//! The house stands as ARCHITECTURE.md draws it: arrows point down only, and the pure crates stay pure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn cargo(arguments: &[&str]) -> String {
    let command = &mut Command::new(env!("CARGO"));
    let output = command.args(arguments).args(["--offline", "--locked"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The table of ARCHITECTURE.md: each crate with those it may use.
fn drawn() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        (names(cells[1]).remove(0), names(cells[3]).into_iter().collect())
    })
    .collect()
}

#[test]
fn arrows_are_as_drawn() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let short = |name: &str| name.strip_prefix("parallax-").unwrap_or(name).to_owned();
    let mut drawn = drawn();
    for package in metadata["packages"].as_array().unwrap() {
        let name = short(package["name"].as_str().unwrap());
        let allowed = drawn.remove(&name).unwrap_or_else(|| panic!("ARCHITECTURE.md does not name the crate {name}"));
        // Tests may stage what they need from wherever; the arrows are about what is shipped.
        let used = package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"] != "dev");
        let used = used.filter_map(|dependency| dependency["name"].as_str());
        let used: BTreeSet<String> = used.filter(|name| name.starts_with("parallax-")).map(short).collect();
        assert!(used.is_subset(&allowed), "{name} uses {used:?}, ARCHITECTURE.md allows {allowed:?}");
    }
    assert!(drawn.is_empty(), "ARCHITECTURE.md names crates that are not there: {drawn:?}");
}

#[test]
fn pure_crates_stay_pure() {
    for package in ["parallax-core", "parallax-janus", "parallax-proto"] {
        let tree = cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains("serde"), "the tree was read: {names:?}");
        let impure =
            ["tokio", "mio", "socket2", "rustls", "aws-lc-rs", "ring", "hickory-proto", "hyper", "rand", "rusqlite"];
        for impure in impure {
            assert!(!names.contains(impure), "{package} depends on {impure}");
        }
    }
}
