//! `peer`: look for others.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{ActingArgs, LookArgs};
use crate::settings::Flag;

const AFTER_PEER: &str = "\
A peer attaches to a hub and looks where the hub asks it to, at public addresses
and the ports where TLS, STARTTLS and SSH are at home. When all have attached,
one line is printed on standard output:
  ready peers=COUNT hub=ID
It comes back by itself when the hub was away, and stops on SIGTERM or SIGINT.
With --source it looks, and connects to the hub, from that address.

Examples:
  parallax peer --hub https://192.0.2.7:8443#27f0…
  parallax peer --hub https://192.0.2.7:8443#27f0… --id ann@example.com
  parallax peer --hub https://127.0.0.1:8443#27f0… --count 10 --allow-private
  parallax peer --hub https://127.0.0.1:8443#27f0… --count 10 --lying random";

/// Flags of `peer`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_PEER)]
pub(crate) struct PeerArgs {
    /// The hub, https://HOST:PORT#ID; the node prints its id when it starts
    #[arg(long, value_name = "URL")]
    pub(crate) hub: String,

    /// Be so many peers, each with a key of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) count: u16,

    /// Keep the keys here, made at first use [default: key.pem beside the configuration; for more than one the directory peers there, for liars lying-peers]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) keys: Option<PathBuf>,

    /// Look so often a minute at most, each peer
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) looks_per_minute: u32,

    /// The region that the peers claim, such as eu-west
    #[arg(long, value_name = "CODE")]
    pub(crate) region: Option<String>,

    /// Look at private addresses and at any port: for labs and intranets
    #[arg(long)]
    pub(crate) allow_private: bool,

    /// Look at nothing and claim a key made of TEXT, or with "random" another one each time: to try out attackers
    #[arg(long, value_name = "TEXT")]
    pub(crate) lying: Option<String>,

    /// Print each service that was looked at
    #[arg(long, short)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    acting: ActingArgs,

    #[command(flatten)]
    look: LookArgs,
}

impl PeerArgs {
    /// What it says of keys of the configuration.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        [self.acting.flags(), self.look.flags()].concat()
    }
}
