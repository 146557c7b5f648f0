//! `observe`: one look.

use clap::Args;

use super::{LookArgs, flags};
use crate::settings::{self, Flag};

const AFTER_OBSERVE: &str = "\
Exit status:
  0  a key was seen      1  none was seen      2  wrong use

Examples:
  parallax observe example.com
  parallax observe ssh://host.example:2222
  parallax observe smtp://mx.example.com
  parallax observe --address 192.0.2.10 --json example.com";

/// Flags of `observe`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_OBSERVE)]
pub(crate) struct ObserveArgs {
    #[arg(value_name = "SERVICE", help = "A host, host:port, [v6]:port or URL")]
    pub(crate) service: String,

    /// Look at this address, with the service's name
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<String>,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ObserveArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        [flags([(&settings::TIMEOUT, &self.timeout)]), self.look.flags()].concat()
    }
}
