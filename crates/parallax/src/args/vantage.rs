//! `vantage`: whom `check` asks.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::flags;
use crate::settings::{self, Flag};

/// What is below `vantage`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax vantage add https://192.0.2.7:8443#27f0…")]
pub(crate) struct VantageArgs {
    #[command(subcommand)]
    pub(crate) command: VantageCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VantageCommand {
    /// Meet a node, verify its pin, and list it
    Add(VantageAddArgs),
    /// Show the list
    List(VantageListArgs),
    /// Take a vantage point off the list
    Remove(VantageRemoveArgs),
    /// List the old notaries of a notary list file
    Import(VantageImportArgs),
}

const AFTER_ADD: &str = "\
The part after # is the node's vantage id; the node prints it when it starts.
An old Perspectives notary is perspectives+http://HOST:PORT#FILE, with the file
that holds its public key in PEM; it is listed without being asked.

Examples:
  parallax vantage add https://192.0.2.7:8443#27f0…
  parallax vantage add --trust-first https://192.0.2.7:8443";

/// Flags of `vantage add`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_ADD)]
pub(crate) struct VantageAddArgs {
    /// The node, https://HOST:PORT#ID, or an old notary
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Believe the vantage id that is met now, pin it, and say so
    #[arg(long)]
    pub(crate) trust_first: bool,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

/// Flags of `vantage list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax vantage list --json")]
pub(crate) struct VantageListArgs {
    /// Print JSON, with whole ids and URLs
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `vantage remove` is told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax vantage remove https://192.0.2.7:8443")]
pub(crate) struct VantageRemoveArgs {
    /// Its URL, with or without what follows the #, or its whole vantage id
    #[arg(value_name = "URL|ID")]
    pub(crate) which: String,
}

const AFTER_VANTAGE_IMPORT: &str = "\
The file has for each notary a line HOST:PORT and below it its public key in PEM;
lines that begin with # are comments. A file with a mistake changes nothing.

Example:
  parallax vantage import http_notary_list.txt";

/// What `vantage import` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_VANTAGE_IMPORT)]
pub(crate) struct VantageImportArgs {
    /// The notary list file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

impl VantageAddArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        flags([(&settings::TIMEOUT, &self.timeout)])
    }
}
