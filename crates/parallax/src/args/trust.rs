//! `trust`: whom you trust.

use clap::{Args, Subcommand, ValueHint};

use super::{LookArgs, flags};
use crate::settings::{self, Flag};

const AFTER_TRUST: &str = "\
Trust counts when both declared it. Then each of you sees the other's peers, and
whom they see, through that one edge; in a check every edge has an equal share,
however many stand behind it. It is kept at the node that certified your mailbox.

Example:
  parallax trust add bob@example.com && parallax trust list";

/// What is below `trust`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_TRUST)]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Declare that you trust somebody
    Add(TrustAddArgs),
    /// Take it back
    Remove(TrustRemoveArgs),
    /// Show whom you trust, and who trusts you back
    List(TrustListArgs),
    /// Show through whom each view of a service came
    Explain(TrustExplainArgs),
}

/// Who asks, and where.
#[derive(Debug, Args)]
pub(crate) struct TrustNodeArgs {
    /// Which of your mailboxes [default: id.mailbox of the configuration, else the only one]
    #[arg(long, value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    id: Option<String>,

    /// The node that keeps it, https://HOST:PORT#ID [default: the one that certified the mailbox]
    #[arg(long, value_name = "URL")]
    pub(crate) node: Option<String>,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

const AFTER_ADD: &str = "\
It is not told whether the address is known. If the key behind it changes, the
mailbox may have changed hands: the edge rests until both declare it again.

Example:
  parallax trust add bob@example.com";

/// Flags of `trust add`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_ADD)]
pub(crate) struct TrustAddArgs {
    /// Whom
    #[arg(value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    pub(crate) mailbox: String,

    #[command(flatten)]
    pub(crate) at: TrustNodeArgs,
}

/// Flags of `trust remove`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax trust remove bob@example.com")]
pub(crate) struct TrustRemoveArgs {
    /// Whom
    #[arg(value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    pub(crate) mailbox: String,

    #[command(flatten)]
    pub(crate) at: TrustNodeArgs,
}

/// Flags of `trust list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax trust list --json")]
pub(crate) struct TrustListArgs {
    #[command(flatten)]
    pub(crate) at: TrustNodeArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const AFTER_EXPLAIN: &str = "\
Asks the node's hub as `check --policy majority --id` does, and names of each
view the edge of yours through which it came. Nobody beyond your own edges is
named: the node does not tell.

Exit status:
  0  trusted      1  distrusted      3  undecided
  2  the command line, the configuration or this machine is at fault

Examples:
  parallax trust explain example.com
  parallax trust explain --replies 20 --threshold 0.7 example.com";

/// Flags of `trust explain`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_EXPLAIN)]
pub(crate) struct TrustExplainArgs {
    #[arg(value_name = "SERVICE", help = "A host, host:port, [v6]:port or URL")]
    pub(crate) service: String,

    #[command(flatten)]
    pub(crate) at: TrustNodeArgs,

    /// Ask for so many views
    #[arg(long, value_name = "N")]
    replies: Option<String>,

    /// The share that must agree, 0 to 1
    #[arg(long, value_name = "F")]
    threshold: Option<String>,

    /// How old a view may be that the hub remembers, such as 0s: look now
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,

    /// Tell the hub private names and addresses too: for labs and intranets
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private: Option<String>,

    #[command(flatten)]
    look: LookArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl TrustNodeArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        flags([(&settings::ID_MAILBOX, &self.id), (&settings::TIMEOUT, &self.timeout)])
    }
}

impl TrustExplainArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([
            (&settings::REPLIES, &self.replies),
            (&settings::THRESHOLD, &self.threshold),
            (&settings::MAX_AGE, &self.max_age),
            (&settings::TELL_PRIVATE, &self.allow_private),
        ]);
        [own, self.at.flags(), self.look.flags(), vec![(&settings::POLICY, "majority".to_owned())]].concat()
    }
}
