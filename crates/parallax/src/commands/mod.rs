//! The commands, one module each.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod demo;
mod looking;
mod many;
pub(crate) mod observe;
pub(crate) mod packaging;
pub(crate) mod serve;
pub(crate) mod vantage;

use std::path::Path;

use crate::failure::Failure;
use crate::settings::{Flag, Settings};

/// The settings of a command on this machine.
fn settings(config: Option<&Path>, flags: &[Flag]) -> Result<Settings, Failure> {
    Settings::load(config, flags, &|variable| std::env::var_os(variable)).map_err(Failure::usage)
}

/// What one user's command runs on.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::usage(format!("this machine gives no runtime: {error}")))
}
