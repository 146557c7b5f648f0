//! `ca`: the operator's side of a janus.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::DataArgs;
use crate::settings::Flag;

const AFTER_CA: &str = "\
A node of the role janus certifies mailboxes. Its root key signs issuing keys
alone, one every two months, and can be kept elsewhere; issuing keys sign the
certificates.

Examples:
  parallax ca init --root-out /media/stick/janus-root.key
  parallax ca list";

/// What is below `ca`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_CA)]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    pub(crate) command: CaCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Make a root and the first issuing key, before the node first runs
    Init(CaInitArgs),
    /// Print the root certificate
    Root(CaRootArgs),
    /// Make a successor of the issuing key
    Rotate(CaRotateArgs),
    /// Show the keys, whom they certified, and what was revoked
    List(CaListArgs),
    /// Have a key, or all keys of an address, count no more
    Revoke(CaRevokeArgs),
}

const AFTER_INIT: &str = "\
A node with --role janus makes an authority itself where there is none, with the
root key beside the others. This command is for keeping the root key elsewhere,
or for knowing the root before the node runs.

Examples:
  parallax ca init
  parallax ca init --root-out /media/stick/janus-root.key";

/// What `ca init` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_INIT)]
pub(crate) struct CaInitArgs {
    /// Write the root key to this new file, and not into the data directory
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) root_out: Option<PathBuf>,

    #[command(flatten)]
    data: DataArgs,
}

/// What `ca root` is told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax ca root > janus-root.pem")]
pub(crate) struct CaRootArgs {
    #[command(flatten)]
    data: DataArgs,
}

const AFTER_ROTATE: &str = "\
A successor is due 30 days before the newest issuing key ends: with the root key
in the data directory the node makes it by itself. A node that runs takes the
new key at once; it never sees a root key that is kept elsewhere.

Examples:
  parallax ca rotate
  parallax ca rotate --root-key /media/stick/janus-root.key";

/// What `ca rotate` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_ROTATE)]
pub(crate) struct CaRotateArgs {
    /// The root key [default: the one in the data directory]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) root_key: Option<PathBuf>,

    #[command(flatten)]
    data: DataArgs,
}

const AFTER_LIST: &str = "\
The node has to run, and only its user may ask it.

Examples:
  parallax ca list
  parallax ca list --json";

/// What `ca list` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_LIST)]
pub(crate) struct CaListArgs {
    /// Print JSON, with whole ids
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    data: DataArgs,
}

const AFTER_REVOKE: &str = "\
It holds at this node at once, and within five minutes wherever its list is
read; a key leaves the list when its certificates have ended. The node has to
run, and only its user may ask it.

Examples:
  parallax ca revoke ann@example.com
  parallax ca revoke 27f0…";

/// What `ca revoke` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_REVOKE)]
pub(crate) struct CaRevokeArgs {
    /// The whole id of a key, or an address, of which all keys are meant
    #[arg(value_name = "KEYID|EMAIL")]
    pub(crate) what: String,

    #[command(flatten)]
    data: DataArgs,
}

impl CaCommand {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        match self {
            Self::Init(CaInitArgs { data, .. })
            | Self::Root(CaRootArgs { data })
            | Self::Rotate(CaRotateArgs { data, .. })
            | Self::List(CaListArgs { data, .. })
            | Self::Revoke(CaRevokeArgs { data, .. }) => data.flags(),
        }
    }
}
