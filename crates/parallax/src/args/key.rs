//! `key` and `call`: channels from the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{ActingArgs, DataArgs, flags};
use crate::settings::{self, Flag};

const AFTER_KEY: &str = "\
A key is all a client needs: a node that allows it opens a channel for it. Its
id is the SHA-256 of its public half.

Example:
  parallax key new && parallax key show";

/// What is below `key`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_KEY)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key of your own
    New(KeyNewArgs),
    /// Show the id and the public half of a key
    Show(KeyShowArgs),
    /// Let a key open channels at your node
    Allow(KeyAllowArgs),
    /// Keep a key away from your node for good
    Block(KeyBlockArgs),
    /// Lift a key's blocks: yours, and one that it earned
    Unblock(KeyUnblockArgs),
}

/// Flags of `key new`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax key new --out laptop.pem")]
pub(crate) struct KeyNewArgs {
    /// Write it here [default: key.pem beside the configuration]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
}

/// Flags of `key show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax key show --json laptop.pem")]
pub(crate) struct KeyShowArgs {
    /// The key file [default: key.pem beside the configuration]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const AFTER_ALLOW: &str = "\
A running node takes notice within a second. With --remove the key's channels
end at once.

Examples:
  parallax key allow laptop.pem
  parallax key allow 8f14e45f… --data /var/lib/parallax
  parallax key allow --remove laptop.pem";

/// Flags of `key allow`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_ALLOW)]
pub(crate) struct KeyAllowArgs {
    #[command(flatten)]
    pub(crate) which: WhichKeyArgs,

    /// Do not let it any more
    #[arg(long)]
    pub(crate) remove: bool,
}

const AFTER_BLOCK: &str = "\
A running node takes notice within a second. A blocked key is refused even where
the node is open to any key.

Examples:
  parallax key block 8f14e45f…
  parallax key block --remove 8f14e45f…";

/// Flags of `key block`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_BLOCK)]
pub(crate) struct KeyBlockArgs {
    #[command(flatten)]
    pub(crate) which: WhichKeyArgs,

    /// Lift the block
    #[arg(long)]
    pub(crate) remove: bool,
}

const AFTER_UNBLOCK: &str = "\
A node blocks a key by itself, for an hour to a day, when its client asks for
channels too often or sends nonsense. A running node lifts that within a second,
another one when it starts.

Example:
  parallax key unblock 8f14e45f…";

/// Flags of `key unblock`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_UNBLOCK)]
pub(crate) struct KeyUnblockArgs {
    #[command(flatten)]
    pub(crate) which: WhichKeyArgs,
}

/// A key, at a node.
#[derive(Debug, Args)]
pub(crate) struct WhichKeyArgs {
    /// The key's id, or a file with the key or its public half
    #[arg(value_name = "ID|FILE")]
    pub(crate) key: String,

    #[command(flatten)]
    data: DataArgs,
}

const AFTER_CALL: &str = "\
Prints what the server returns. The URL is https://HOST:PORT#ID or, for the
plain listener, http://HOST:PORT#ID: the channel is secure over either. A node
answers `health` and `view`.

Exit status:
  0  done      1  not done, or the server answers with an error
  2  wrong use

Examples:
  parallax call https://192.0.2.7:8443#27f0… '{\"run\": {\"type\": \"health\"}}'
  parallax call http://192.0.2.7:8080#27f0… \\
    '{\"run\": {\"type\": \"view\", \"service\": \"example.com\"}}'";

/// Flags of `call`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_CALL)]
pub(crate) struct CallArgs {
    /// The server with its vantage id
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// What to ask for: {"run": {"type": …}}
    #[arg(value_name = "JSON")]
    pub(crate) request: String,

    /// Your key [default: key.pem beside the configuration]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) key: Option<PathBuf>,

    #[command(flatten)]
    acting: ActingArgs,

    /// Use a WebSocket instead of HTTP
    #[arg(long)]
    pub(crate) websocket: bool,

    /// Open a message queue with this credentials file of NATS
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) bus_credentials: Option<PathBuf>,

    /// Trust these authorities (PEM) for a queue's TLS, besides the system's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) bus_ca: Option<PathBuf>,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

impl WhichKeyArgs {
    /// What it says of keys of the configuration.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        self.data.flags()
    }
}

impl CallArgs {
    /// What it says of keys of the configuration.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        [self.acting.flags(), flags([(&settings::TIMEOUT, &self.timeout)])].concat()
    }
}
