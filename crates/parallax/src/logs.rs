//! What is logged, to standard error. No log records who asked for what.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::settings::LOG_VARIABLE;

/// Begins logging as `PARALLAX_LOG`, else `RUST_LOG`, else `default` says.
pub(crate) fn start(default: &str) -> Result<(), Failure> {
    let (variable, filter) = [LOG_VARIABLE, "RUST_LOG"]
        .into_iter()
        .find_map(|variable| Some((variable, std::env::var(variable).ok().filter(|filter| !filter.is_empty())?)))
        .unwrap_or((LOG_VARIABLE, default.to_owned()));
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage(format!("{variable}: {error}; write a level such as info or debug")))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    subscriber.try_init().map_err(|error| Failure::usage(format!("logging can't begin: {error}")))
}
