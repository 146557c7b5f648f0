//! `mirror`: the federation.

mod client;

use clap::{Args, Subcommand};

pub(crate) use client::{MirrorBootstrapArgs, MirrorPublishArgs, MirrorRefreshArgs};

use super::{DataArgs, flags};
use crate::settings::{self, Flag};

/// What is below `mirror`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  parallax mirror bootstrap mirrors.boot#27f0…\n  parallax mirror join https://192.0.2.7:8443#27f0…"
)]
pub(crate) struct MirrorArgs {
    #[command(subcommand)]
    pub(crate) command: MirrorCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MirrorCommand {
    /// Get to know mirrors from a bootstrap file, for `check` to ask
    Bootstrap(MirrorBootstrapArgs),
    /// Ask the known mirrors for their lists again
    Refresh(MirrorRefreshArgs),
    /// Have your running node join the federation through a mirror
    Join(MirrorJoinArgs),
    /// Show the mirrors that you know, or that a node knows
    List(MirrorListArgs),
    /// Show what other mirrors think of your node, and why
    Status(MirrorStatusArgs),
    /// Make or sign a bootstrap file with your node's identity
    Publish(MirrorPublishArgs),
    /// Have a mirror removed from your running node's list
    Remove(MirrorRemoveArgs),
}

/// Which node is one's own.
#[derive(Debug, Args)]
pub(crate) struct OwnNodeArgs {
    /// Your node [default: the HTTPS listener that the configuration names]
    #[arg(long, value_name = "URL")]
    pub(crate) node: Option<String>,

    /// The time limit of each request, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

const AFTER_JOIN: &str = "\
Your node has to run, and the mirror has to reach it at an address of its
descriptor. The mirror tests it for a day; so do others that it tells. Your node
tests the mirror too, and learns of others from its list.

Example:
  parallax mirror join https://192.0.2.7:8443#27f0…";

/// What `mirror join` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_JOIN)]
pub(crate) struct MirrorJoinArgs {
    /// The mirror, https://HOST:PORT#ID
    #[arg(value_name = "URL#ID")]
    pub(crate) through: String,

    #[command(flatten)]
    pub(crate) own: OwnNodeArgs,
}

const AFTER_LIST: &str = "\
Without a node it is your own list, from which `parallax check` draws.

Examples:
  parallax mirror list
  parallax mirror list --here --status active";

/// What `mirror list` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_LIST)]
pub(crate) struct MirrorListArgs {
    /// The list of this node, https://HOST:PORT#ID
    #[arg(value_name = "URL#ID", conflicts_with_all = ["node", "here"])]
    pub(crate) of: Option<String>,

    /// The list of your own node, where the configuration says that it listens
    #[arg(long)]
    pub(crate) here: bool,

    /// Only candidate, active, inactive or gone ones of a node's list
    #[arg(long, value_name = "STATUS", value_parser = ["candidate", "active", "inactive", "gone"], hide_possible_values = true)]
    pub(crate) status: Option<String>,

    /// Print JSON, with whole ids
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) own: OwnNodeArgs,
}

const AFTER_STATUS: &str = "\
Without a mirror, those are asked that your node holds for active, 25 at most.

Examples:
  parallax mirror status
  parallax mirror status https://192.0.2.7:8443#27f0…";

/// What `mirror status` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_STATUS)]
pub(crate) struct MirrorStatusArgs {
    /// The mirror to ask, https://HOST:PORT#ID
    #[arg(value_name = "URL#ID")]
    pub(crate) of: Option<String>,

    /// Print JSON, with whole ids and measurements
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) own: OwnNodeArgs,
}

const AFTER_REMOVE: &str = "\
Your node asks some of the mirrors it knows; they test the one in question and
vote, and your node conforms to the majority. Nobody else's list is changed.
With --drop it is out of your node's list at once, whatever others say.

Only the user that runs the node may do this, on the machine where it runs.

Examples:
  parallax mirror remove 27f0… --data /var/lib/parallax
  parallax mirror remove 27f0… --drop";

/// What `mirror remove` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_REMOVE)]
pub(crate) struct MirrorRemoveArgs {
    /// Its whole vantage id, or https://HOST:PORT#ID
    #[arg(value_name = "VANTAGE")]
    pub(crate) vantage: String,

    /// Drop it from your node's own list, without a vote
    #[arg(long, conflicts_with = "take_back")]
    pub(crate) drop: bool,

    /// Have one that you dropped tested again
    #[arg(long)]
    pub(crate) take_back: bool,

    /// Print what your node thinks of it now, as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    data: DataArgs,
}

impl MirrorRemoveArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        self.data.flags()
    }
}

impl OwnNodeArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        flags([(&settings::TIMEOUT, &self.timeout)])
    }
}
