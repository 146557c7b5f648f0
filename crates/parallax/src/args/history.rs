//! `history`: which keys were seen, and when.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{DataArgs, flags};
use crate::settings::{self, Flag};

const AFTER_HISTORY: &str = "\
Without --vantage it reads the node's own memory on this machine. A letter stands
for one key, the same one for every vantage point.

Exit status:
  0  shown    1  not known, or somebody did not answer    2  wrong use

Examples:
  parallax history example.com
  parallax history --vantage https://192.0.2.7:8443#27f0… --svg example.svg \
    example.com";

/// Flags of `history`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HISTORY)]
pub(crate) struct HistoryArgs {
    #[arg(value_name = "SERVICE", help = "A host, host:port, [v6]:port or URL")]
    pub(crate) service: String,

    /// Ask this vantage point, https://HOST:PORT#ID (repeatable)
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    pub(crate) vantage: Vec<String>,

    /// Write a picture (SVG) into this file instead of text
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) svg: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// How long to wait for answers, such as 5s
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    #[command(flatten)]
    data: DataArgs,
}

impl HistoryArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        [flags([(&settings::TIMEOUT, &self.timeout)]), self.data.flags()].concat()
    }
}
