//! `check`: the main job.

use clap::Args;

use super::{ActingArgs, LookArgs, flags};
use crate::settings::{self, Flag};

const AFTER_CHECK: &str = "\
Exit status:
  0  trusted      1  distrusted      3  undecided
  2  the command line, the configuration or this machine is at fault
  With many services the gravest counts: 1 before 2 before 3 before 0.

Examples:
  parallax check example.com
  parallax check ssh://host.example
  parallax check imap://mail.example.com
  parallax check --mx example.com
  parallax check --vantage https://192.0.2.7:8443#27f0… mail.example.com:993
  parallax check - < services.txt";

/// Flags of `check`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_CHECK)]
pub(crate) struct CheckArgs {
    #[arg(
        value_name = "SERVICE",
        help = "A host, host:port, [v6]:port or URL; - reads many from standard input, one a line, and prints a verdict a line"
    )]
    pub(crate) service: String,

    /// Check the mail relays of the domain SERVICE: its MX records as others are told them, and smtp:// at each
    #[arg(long)]
    pub(crate) mx: bool,

    /// Ask this vantage point, https://HOST:PORT#ID, or the peers of a hub, hub+https://HOST:PORT#ID, instead of the listed ones or mirrors (repeatable)
    #[arg(long, value_name = "URL")]
    pub(crate) vantage: Vec<String>,

    /// Decide by this rule: evidence, majority, quorum, unanimous or mpic
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// Ask only this many of the vantage points, drawn at random, and hubs for as many peers' views
    #[arg(long, value_name = "N")]
    replies: Option<String>,

    /// The share of looks that is enough, 0 to 1 (majority, quorum)
    #[arg(long, value_name = "F")]
    threshold: Option<String>,

    /// For how long the quorum must have seen the certificate, such as 2d (quorum)
    #[arg(long, value_name = "TIME")]
    min_duration: Option<String>,

    /// Fewer looks than this decide nothing (majority)
    #[arg(long, value_name = "N")]
    min_views: Option<String>,

    /// How old a look may be that a vantage point agrees with, such as 0s: look now
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,

    /// Trust a private key that most remember long when too few can look (evidence)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    accept_private: Option<String>,

    /// Tell hubs private names and addresses too: for labs and intranets
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private: Option<String>,

    #[command(flatten)]
    acting: ActingArgs,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// Believe the vantage id that is met where --vantage names none, and say so
    #[arg(long)]
    pub(crate) trust_first: bool,

    /// Do not tell mirrors of the federation what the others answered
    #[arg(long)]
    no_reports: bool,

    /// Wait for every answer, so that the rule does not depend on who was first
    #[arg(long)]
    pub(crate) wait_for_all: bool,

    /// Print no verdict; the exit status is it
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print JSON, one object a service
    #[arg(long)]
    pub(crate) json: bool,
}

impl CheckArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([
            (&settings::POLICY, &self.policy),
            (&settings::REPLIES, &self.replies),
            (&settings::THRESHOLD, &self.threshold),
            (&settings::MIN_DURATION, &self.min_duration),
            (&settings::MIN_VIEWS, &self.min_views),
            (&settings::TIMEOUT, &self.timeout),
            (&settings::MAX_AGE, &self.max_age),
            (&settings::ACCEPT_PRIVATE, &self.accept_private),
            (&settings::TELL_PRIVATE, &self.allow_private),
        ]);
        let reports = self.no_reports.then(|| (&settings::MIRROR_REPORTS, "false".to_owned()));
        [own, self.acting.flags(), self.look.flags(), reports.into_iter().collect()].concat()
    }
}
