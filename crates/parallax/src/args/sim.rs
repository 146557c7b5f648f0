//! `sim`: the simulations.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// What is below `sim`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax sim mirrors --nodes 200 --days 7")]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    pub(crate) command: SimCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// A federation of mirrors with liars, day by day
    Mirrors(SimMirrorsArgs),
}

const AFTER_MIRRORS: &str = "\
The state machines are those that nodes run; signatures and hashes are cheap
stand-ins, so that weeks of thousands of mirrors pass in minutes. Of ten evil
mirrors three lie alone, three in a ring, two to clients only, and two ask for
the removal of honest ones; half of them stand in five networks. The same seed
gives the same figures.

Exit status:
  0  simulated
  1  a file could not be written, or an invariant broke (a bug: please report it)
  2  wrong use

Examples:
  parallax sim mirrors --nodes 200 --days 7
  parallax sim mirrors --nodes 2000 --evil 0.1 --days 30 --svg mirrors.svg";

/// Flags of `sim mirrors`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_MIRRORS)]
pub(crate) struct SimMirrorsArgs {
    /// How many mirrors there are at the beginning: 8 to 4000
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub(crate) nodes: u32,

    /// The share of them that is evil: 0 to 0.9
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub(crate) evil: f64,

    /// How many days pass: 1 to 365
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) days: u32,

    /// Where chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Print JSON: all figures of all days
    #[arg(long)]
    pub(crate) json: bool,

    /// Draw the days into this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) svg: Option<PathBuf>,
}
