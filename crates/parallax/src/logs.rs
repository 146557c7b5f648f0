//! What is logged, to standard error. No log records who asked for what.

use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::failure::Failure;
use crate::settings::LOG_VARIABLE;

/// Begins logging as `PARALLAX_LOG`, else `RUST_LOG`, else `default` says.
pub(crate) fn start(default: &str) -> Result<(), Failure> {
    let (variable, filter) = [LOG_VARIABLE, "RUST_LOG"]
        .into_iter()
        .find_map(|variable| Some((variable, std::env::var(variable).ok().filter(|filter| !filter.is_empty())?)))
        .unwrap_or((LOG_VARIABLE, default.to_owned()));
    // Levels for targets are all that is needed; the filter with fields would bring a regular expression engine along.
    let filter: Targets = filter
        .parse()
        .map_err(|error| Failure::usage(format!("{variable}: {error}; write a level such as info or debug")))?;
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(filter).with(layer);
    subscriber.try_init().map_err(|error| Failure::usage(format!("logging can't begin: {error}")))
}
