//! `services`: what a node remembers.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{DataArgs, duration};
use crate::failure::Failure;
use crate::settings::Flag;

/// What is below `services`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax services list --older-than 5d")]
pub(crate) struct ServicesArgs {
    #[command(subcommand)]
    pub(crate) command: ServicesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServicesCommand {
    /// Show when each service was last seen
    List(ServicesListArgs),
    /// Have services known before they were looked at, so that scans do
    #[command(after_help = "Example:\n  parallax services add example.com mail.example.com:993")]
    Add(ServicesNamedArgs),
    /// Forget services with all that is remembered of them
    #[command(
        after_help = "Exit status:\n  0  removed    1  one was not known    2  wrong use\n\nExample:\n  parallax services remove example.com"
    )]
    Remove(ServicesNamedArgs),
}

/// Flags of `services list`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  parallax services list --older-than 5d\n  parallax services list --data /var/lib/parallax --json | jq -r .service"
)]
pub(crate) struct ServicesListArgs {
    /// Only those seen within this time, such as 5d
    #[arg(long, value_name = "TIME", conflicts_with = "older_than")]
    newer_than: Option<String>,

    /// Only those not seen within this time, or never
    #[arg(long, value_name = "TIME")]
    older_than: Option<String>,

    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    data: DataArgs,
}

/// Flags of `services add` and `services remove`.
#[derive(Debug, Args)]
pub(crate) struct ServicesNamedArgs {
    #[arg(value_name = "SERVICE", required = true, help = "Hosts, host:port, [v6]:port or URLs")]
    pub(crate) services: Vec<String>,

    #[command(flatten)]
    data: DataArgs,
}

impl ServicesArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        match &self.command {
            ServicesCommand::List(args) => args.data.flags(),
            ServicesCommand::Add(args) | ServicesCommand::Remove(args) => args.data.flags(),
        }
    }
}

impl ServicesListArgs {
    /// `--newer-than`.
    pub(crate) fn newer_than(&self) -> Result<Option<Duration>, Failure> {
        duration("--newer-than", self.newer_than.as_deref())
    }

    /// `--older-than`.
    pub(crate) fn older_than(&self) -> Result<Option<Duration>, Failure> {
        duration("--older-than", self.older_than.as_deref())
    }
}
