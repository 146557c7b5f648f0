//! `accept`: the user's own word.

use clap::{Args, Subcommand};

use super::{LookArgs, flags};
use crate::settings::{self, Flag};

const AFTER_ACCEPT: &str = "\
The accepted key is trusted in every `check` of this service, whatever the
vantage points say, and `check` says so each time. Another key gets the verdict
that it would have got without. `ssh-known-hosts` prints an accepted host key.
Under a pattern every key is trusted, even an attacker's, and nobody is asked:
for intranets that no vantage point can reach.
A service whose host is called list or remove is written with its port.

Exit status:
  0  accepted      1  no proved key was met, or another was accepted before
  2  wrong use

Examples:
  parallax accept nas.example:5001
  parallax accept --key 627c5472… nas.example:5001
  parallax accept --pattern '*.corp.example'
  parallax accept remove nas.example:5001";

/// Take a key for right by your own word (accepted.toml).
///
/// Looks once, shows what it met, and accepts that key for this service.
#[derive(Debug, Args)]
#[command(after_help = AFTER_ACCEPT, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct AcceptArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AcceptCommand>,

    #[arg(value_name = "SERVICE", required_unless_present = "pattern", help = "A host, host:port, [v6]:port or URL")]
    pub(crate) service: Option<String>,

    /// Accept this key (64 hex digits, as --json prints it) and do not look
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) key: Option<String>,

    /// Accept every key at these hosts: a host, or *. and a name for all below it
    #[arg(long, value_name = "HOSTS", conflicts_with_all = ["service", "key"])]
    pub(crate) pattern: Option<String>,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AcceptCommand {
    /// Show what is accepted
    List(AcceptListArgs),
    /// Take your word back
    Remove(AcceptRemoveArgs),
}

/// Flags of `accept list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax accept list --json")]
pub(crate) struct AcceptListArgs {
    /// Print JSON, with whole keys
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `accept remove` is told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax accept remove nas.example:5001")]
pub(crate) struct AcceptRemoveArgs {
    /// The service or the pattern that was accepted
    #[arg(value_name = "SERVICE|PATTERN")]
    pub(crate) which: String,
}

impl AcceptArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        [flags([(&settings::TIMEOUT, &self.timeout)]), self.look.flags()].concat()
    }
}
