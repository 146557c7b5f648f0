//! `./bench`: what a look, a decision, a view and a check cost, each against a peer or a limit in the same run.
//!
//! The sites that are looked at stand in a process of their own, so that CPU time is the looker's alone. Rounds of the two
//! sides alternate and the median ratio is quoted: the machine's speed drifts, the ratio does not.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::panic)]

mod channels;
mod check;
mod command;
mod decide;
mod hub;
mod janus;
mod legacy;
mod look;
mod measure;
mod million;
mod mirrors;
mod scan;
mod sites;
mod trust;
mod views;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(sites::ARGUMENT) => return served(sites::serve),
        Some(sites::FAR_ARGUMENT) => return served(sites::serve_far),
        Some(channels::ARGUMENT) => return served(channels::serve),
        Some(hub::ARGUMENT) => return served(hub::serve),
        Some(sites::TARGETS_ARGUMENT) => return served(sites::serve_targets),
        _ => {}
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    let known = [
        "decide", "look", "views", "legacy", "check", "mirrors", "scan", "channels", "hub", "million", "trust", "janus",
    ];
    if let Some(unknown) = arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        println!("\"{unknown}\" is not measured here; choose from {}, or name none for all", known.join(", "));
        return ExitCode::from(2);
    }
    for (name, measure) in [
        ("decide", decide::run as fn()),
        ("look", look::run),
        ("views", views::run),
        ("legacy", legacy::run),
        ("check", check::run),
        ("mirrors", mirrors::run),
        ("scan", scan::run),
        ("channels", channels::run),
        ("hub", hub::run),
        ("million", million::run),
        ("trust", trust::run),
        ("janus", janus::run),
    ] {
        if wanted(name) {
            measure();
        }
    }
    ExitCode::SUCCESS
}

fn served(serve: fn()) -> ExitCode {
    serve();
    ExitCode::SUCCESS
}
