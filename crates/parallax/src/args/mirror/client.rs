//! `mirror bootstrap`, `refresh` and `publish`: whom clients ask.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::OwnNodeArgs;
use crate::args::{DataArgs, duration, flags};
use crate::failure::Failure;
use crate::settings::{self, Flag};

/// How long a file is valid when nothing is said.
const VALID: &str = "180d";

const AFTER_BOOTSTRAP: &str = "\
A bootstrap file names some mirrors and is signed by its publishers. ID is the
vantage id of one of them, which you have from elsewhere: it is all that is
believed. Up to 25 of the mirrors are asked for their lists; whom more than half
of their networks know is kept in mirrors.json beside the configuration, and
`parallax check` asks three of them where no vantage point is listed.

From https:// the file must come from the publisher's own node; from http:// or
from a file it may come from anywhere.

Examples:
  parallax mirror bootstrap mirrors.boot#27f0…
  parallax mirror bootstrap https://192.0.2.7:8443#27f0…";

/// What `mirror bootstrap` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_BOOTSTRAP)]
pub(crate) struct MirrorBootstrapArgs {
    /// The bootstrap file, or where it is fetched, and its publisher's id
    #[arg(value_name = "FILE|URL#ID")]
    pub(crate) from: String,

    /// Forget the mirrors that are known, and begin with these
    #[arg(long)]
    pub(crate) anew: bool,

    /// These mirrors stand in a lab or a network of your own: meet them at private addresses, and ask them about
    /// private names
    #[arg(long)]
    pub(crate) allow_private: bool,

    /// How long each mirror may take, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

const AFTER_REFRESH: &str = "\
At most a third of the list changes on one day. `parallax check` has this done
by itself when the list is a day old (mirror.refresh_secs) or a third of it is
silent.

Example:
  parallax mirror refresh";

/// What `mirror refresh` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_REFRESH)]
pub(crate) struct MirrorRefreshArgs {
    /// Do nothing while the list is fresh
    #[arg(long)]
    pub(crate) if_due: bool,

    /// How long each mirror may take, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

const AFTER_PUBLISH: &str = "\
Without mirrors, those are published that your running node holds for active,
and that node. The file goes to standard output; several publishers can sign it.

Examples:
  parallax mirror publish --data /var/lib/parallax --out mirrors.boot
  parallax mirror publish --add mirrors.boot --out mirrors.boot
  parallax mirror publish --serve";

/// What `mirror publish` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_PUBLISH)]
pub(crate) struct MirrorPublishArgs {
    /// Publish these mirrors, https://IP:PORT#ID, each of which must answer
    #[arg(value_name = "URL#ID", conflicts_with = "add")]
    pub(crate) mirrors: Vec<String>,

    /// Sign this file of other publishers, instead of a new one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) add: Option<PathBuf>,

    /// Write it here instead of to standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,

    /// Have the node hand it out, at /v1/bootstrap
    #[arg(long)]
    pub(crate) serve: bool,

    /// How long it is valid, at most 366d
    #[arg(long, value_name = "TIME", default_value = VALID, conflicts_with = "add")]
    valid: String,

    /// How many mirrors it names at most, of networks as different as possible
    #[arg(long, value_name = "N", default_value = "100", value_parser = most, conflicts_with = "add")]
    pub(crate) most: usize,

    #[command(flatten)]
    data: DataArgs,

    #[command(flatten)]
    pub(crate) own: OwnNodeArgs,
}

fn most(text: &str) -> Result<usize, String> {
    let most = parallax_proto::mirror::MOST_PAIRS;
    let fits = text.parse().ok().filter(|number| (3..=most).contains(number));
    fits.ok_or_else(|| format!("a bootstrap file names 3 to {most} mirrors"))
}

impl MirrorBootstrapArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        flags([(&settings::TIMEOUT, &self.timeout)])
    }
}

impl MirrorRefreshArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        flags([(&settings::TIMEOUT, &self.timeout)])
    }
}

impl MirrorPublishArgs {
    /// What it says of keys.
    pub(crate) fn all_flags(&self) -> Vec<Flag> {
        [self.data.flags(), self.own.flags()].concat()
    }

    /// How long the file is valid.
    pub(crate) fn valid(&self) -> Result<Duration, Failure> {
        Ok(duration("--valid", Some(&self.valid))?.unwrap_or_default())
    }
}
