//! The `parallax` command: arguments, configuration, output. The work is done by the crates below it.

mod accepted;
mod agent;
mod args;
mod clock;
mod commands;
mod failure;
mod identities;
mod kept;
mod lines;
mod logs;
mod mirrors;
mod output;
mod own_keys;
mod picture;
mod progress;
mod settings;
mod timeline;
mod transfer;
mod usage;
mod vantages;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use failure::Failure;

/// Looks, views and simulations spend a tenth of their time on memory less than with the system's.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let status = match Cli::try_parse() {
        Ok(cli) => run(&cli).unwrap_or_else(|failure| report(&failure)),
        Err(error) => usage::answer(&error).unwrap_or_else(|failure| report(&failure)),
    };
    ExitCode::from(status)
}

fn run(cli: &Cli) -> Result<u8, Failure> {
    let config = cli.config.as_deref();
    match &cli.command {
        Command::Check(args) => commands::check::run(args, config),
        Command::Observe(args) => commands::observe::run(args, config),
        Command::Shell(args) => commands::shell::run(args, config),
        Command::SshKnownHosts(args) => commands::ssh_known_hosts::run(args, config),
        Command::Resolve(args) => commands::resolve::run(args, config),
        Command::CaAuth(args) => commands::ca_auth::run(args, config),
        Command::Serve(args) => commands::serve::run(args, config),
        Command::Peer(args) => commands::peer::run(args, config),
        Command::Demo(args) => commands::demo::run(args),
        Command::Vantage(args) => commands::vantage::run(args, config),
        Command::Mirror(args) => commands::mirror::run(args, config),
        Command::Ca(args) => commands::ca::run(args, config),
        Command::Key(args) => commands::key::run(args, config),
        Command::Call(args) => commands::call::run(args, config),
        Command::Id(args) => commands::id::run(args, config),
        Command::Agent(args) => commands::agent::run(args, config),
        Command::History(args) => commands::history::run(args, config),
        Command::Services(args) => commands::services::run(args, config),
        Command::Scan(args) => commands::scan::run(args, config),
        Command::Export(args) => commands::export::run(args, config),
        Command::Import(args) => commands::import::run(args, config),
        Command::Accept(args) => commands::accept::run(args, config),
        Command::Sim(args) => commands::sim::run(args),
        Command::Trust(args) => commands::trust::run(args, config),
        Command::Config(args) => commands::config::run(args, config),
        Command::Completions(args) => commands::packaging::completions(args),
        Command::Man(args) => commands::packaging::man(args),
    }
}

fn report(failure: &Failure) -> u8 {
    if let Some(sentence) = failure.sentence() {
        output::say(sentence);
    }
    failure.status
}
