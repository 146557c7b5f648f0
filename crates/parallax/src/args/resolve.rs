//! `resolve`: corroborated DNS.

use clap::Args;

use super::flags;
use crate::settings::{self, Flag};

const AFTER_RESOLVE: &str = "\
TYPE is A, AAAA, CAA, CNAME, DNSKEY, DS, HTTPS, MX, NS, PTR, SOA, SRV, SSHFP,
TLSA or TXT. Other addresses elsewhere are ordinary, as many sites answer by
region: then `parallax check NAME` tells whether the same server stands there.

Exit status:
  0  trusted      1  distrusted      3  undecided
  2  the command line, the configuration or this machine is at fault

Examples:
  parallax resolve example.com MX
  parallax resolve _dmarc.example.com TXT --policy unanimous
  parallax resolve --vantage https://192.0.2.7:8443#27f0… --json example.com A";

/// Flags of `resolve`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_RESOLVE)]
pub(crate) struct ResolveArgs {
    #[arg(value_name = "NAME", help = "A DNS name; labels may begin with an underscore")]
    pub(crate) name: String,

    #[arg(value_name = "TYPE", help = "The record type, such as MX")]
    pub(crate) kind: String,

    /// Ask this vantage point, https://HOST:PORT#ID, instead of the listed ones (repeatable)
    #[arg(long, value_name = "URL")]
    pub(crate) vantage: Vec<String>,

    /// Decide by this rule: evidence, majority, quorum, unanimous or mpic
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// Ask only this many of the vantage points, drawn at random
    #[arg(long, value_name = "N")]
    replies: Option<String>,

    /// The share of answers that is enough, 0 to 1 (majority, quorum)
    #[arg(long, value_name = "F")]
    threshold: Option<String>,

    /// Fewer answers than this decide nothing (majority)
    #[arg(long, value_name = "N")]
    min_views: Option<String>,

    /// Ask this DNS resolver as my own instead of the system's
    #[arg(long, value_name = "IP:PORT")]
    resolver: Option<String>,

    /// Ask from this local address
    #[arg(long, value_name = "IP")]
    source: Option<String>,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// Believe the vantage id that is met where --vantage names none, and say so
    #[arg(long)]
    pub(crate) trust_first: bool,

    /// Print no verdict; the exit status is it
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ResolveArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        flags([
            (&settings::POLICY, &self.policy),
            (&settings::REPLIES, &self.replies),
            (&settings::THRESHOLD, &self.threshold),
            (&settings::MIN_VIEWS, &self.min_views),
            (&settings::RESOLVER, &self.resolver),
            (&settings::SOURCE, &self.source),
            (&settings::TIMEOUT, &self.timeout),
        ])
    }
}
