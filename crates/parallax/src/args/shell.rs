//! `shell`: asking, one request after another.

use clap::Args;

use super::{ActingArgs, LookArgs, flags};
use crate::settings::{self, Flag};

const AFTER_SHELL: &str = "\
It reads commands: request, start, stop, policy, set, help, history and quit,
from a terminal with editing and completion, else from standard input, one a
line. Ctrl-C ends a request, Ctrl-D the shell. Where nobody names a policy,
`majority` decides here: 5 replies, of which half must show your key.

What you type is kept on disk only if you want it: --history on.

Examples:
  parallax shell
  parallax shell --vantage 'hub+https://192.0.2.7:8443#27f0…'
  echo 'request example.com 20 .7' | parallax shell";

/// Ask for one service after another, and see who sees what.
#[derive(Debug, Args)]
#[command(after_help = AFTER_SHELL)]
pub(crate) struct ShellArgs {
    /// Ask this vantage point instead of the listed ones (repeatable)
    #[arg(long, value_name = "URL")]
    pub(crate) vantage: Vec<String>,

    /// Decide by this rule: evidence, majority, quorum, unanimous or mpic [default: majority]
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// Ask for so many replies, where a request names no number
    #[arg(long, value_name = "N")]
    replies: Option<String>,

    /// The share of looks that is enough, 0 to 1, where a request names none (majority, quorum)
    #[arg(long, value_name = "F")]
    threshold: Option<String>,

    /// Fewer looks than this decide nothing (majority)
    #[arg(long, value_name = "N")]
    min_views: Option<String>,

    /// How old a look may be that a vantage point agrees with, such as 0s: look now
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,

    /// Whether what you type is kept in $XDG_STATE_HOME/parallax/shell-history: on or off [default: off]
    #[arg(long, value_name = "on|off")]
    history: Option<String>,

    /// Tell hubs private names and addresses too, and look at them as a peer: for labs and intranets
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private: Option<String>,

    #[command(flatten)]
    acting: ActingArgs,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit of a request, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// Believe the vantage id that is met where --vantage names none, and say so
    #[arg(long)]
    pub(crate) trust_first: bool,
}

impl ShellArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([
            (&settings::POLICY, &self.policy),
            (&settings::REPLIES, &self.replies),
            (&settings::THRESHOLD, &self.threshold),
            (&settings::MIN_VIEWS, &self.min_views),
            (&settings::MAX_AGE, &self.max_age),
            (&settings::SHELL_HISTORY, &self.history),
            (&settings::TELL_PRIVATE, &self.allow_private),
            (&settings::TIMEOUT, &self.timeout),
        ]);
        [own, self.acting.flags(), self.look.flags()].concat()
    }
}
