//! `ca-auth`: the records that authorise a CA.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::flags;
use crate::settings::{self, Flag};

const AFTER_CA_AUTH: &str = "\
The TXT records count for NAME and every name below it that has none of its own,
the TLSA records for NAME at one port. Who publishes a record excludes every CA
that it does not name; who deletes it has revoked within its time to live.

Exit status:
  0  printed; with --check: what is published authorises these CAs and no others
  1  with --check: it does not
  2  the command line, a FILE or this machine is at fault

Examples:
  parallax ca-auth example.com --ca root.pem
  parallax ca-auth www.example.com --ca old.pem new.pem --port 8443 --check";

/// Flags of `ca-auth`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_CA_AUTH)]
pub(crate) struct CaAuthArgs {
    #[arg(value_name = "NAME", help = "The name that the CAs may vouch for")]
    pub(crate) name: String,

    /// Certificates of CAs in PEM form, one or more a file
    #[arg(long, value_name = "FILE", num_args = 1.., required = true, value_hint = ValueHint::FilePath)]
    pub(crate) ca: Vec<PathBuf>,

    /// The port of the TLSA records [default: 443]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<String>,

    /// The time to live of the records, such as 5m; what was read counts for five minutes at most [default: 5m]
    #[arg(long, value_name = "TIME")]
    pub(crate) ttl: Option<String>,

    /// Compare with what is published now
    #[arg(long)]
    pub(crate) check: bool,

    /// Ask this DNS resolver instead of the system's
    #[arg(long, value_name = "IP:PORT", requires = "check")]
    resolver: Option<String>,

    /// Ask from this local address
    #[arg(long, value_name = "IP", requires = "check")]
    source: Option<String>,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME", requires = "check")]
    timeout: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl CaAuthArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        flags([
            (&settings::RESOLVER, &self.resolver),
            (&settings::SOURCE, &self.source),
            (&settings::TIMEOUT, &self.timeout),
        ])
    }
}
