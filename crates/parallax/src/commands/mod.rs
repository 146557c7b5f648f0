//! The commands, one module each.

pub(crate) mod accept;
pub(crate) mod agent;
pub(crate) mod ca;
pub(crate) mod ca_auth;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod export;
mod federation;
pub(crate) mod history;
pub(crate) mod id;
pub(crate) mod import;
pub(crate) mod key;
mod looking;
mod mail;
mod many;
pub(crate) mod mirror;
mod mirror_remove;
mod notaries;
pub(crate) mod observe;
pub(crate) mod packaging;
pub(crate) mod peer;
pub(crate) mod resolve;
pub(crate) mod scan;
pub(crate) mod serve;
pub(crate) mod services;
pub(crate) mod shell;
pub(crate) mod sim;
pub(crate) mod ssh_known_hosts;
mod store;
pub(crate) mod trust;
pub(crate) mod vantage;

use std::io::Read;
use std::path::Path;

use parallax_core::plainly;

use crate::failure::Failure;
use crate::settings::{Flag, Settings};

/// The settings of a command on this machine.
fn settings(config: Option<&Path>, flags: &[Flag]) -> Result<Settings, Failure> {
    Settings::load(config, flags, &|variable| std::env::var_os(variable)).map_err(Failure::usage)
}

/// A file that was named for output and can't be had.
fn unwritable(file: &Path, why: &std::io::Error) -> Failure {
    let (file, why) = (file.display(), plainly(why));
    Failure::not_done(format!("{file} can't be written to: {why}; name a file where this user may write"))
}

/// What is in a file, or with `-` comes in on standard input; no more than `most` bytes.
fn read_input(file: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let (mut content, name) = (Vec::new(), file.display());
    let mut take = |input: &mut dyn Read| input.take(most + 1).read_to_end(&mut content);
    let taken = match file.to_str() {
        Some("-") => take(&mut std::io::stdin().lock()),
        _ => std::fs::File::open(file).and_then(|mut file| take(&mut file)),
    };
    taken.map_err(|why| Failure::usage(format!("{name}: {}", plainly(&why))))?;
    let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
    if size > most {
        Err(Failure::usage(format!("{name}: it is larger than {} KiB", most / 1024)))
    } else {
        Ok(content)
    }
}

/// Runs one user's command to its end.
fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::usage(format!("this machine gives no runtime: {}", plainly(&error))))?;
    let done = runtime.block_on(command);
    // Nobody waits for what is still under way: a name lookup on a thread of its own, say.
    runtime.shutdown_background();
    done
}
