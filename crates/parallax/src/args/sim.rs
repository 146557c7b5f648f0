//! `sim`: the simulations.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueHint, value_parser};
use parallax_core::Policy;
use parallax_sim::worlds::MAX_ASKED;

/// What is below `sim`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  parallax sim worlds\n  parallax sim mirrors --nodes 200 --days 7\n  parallax sim trust --attack-edges 25"
)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    pub(crate) command: SimCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// False alarms and missed attacks of every policy in generated worlds
    Worlds(SimWorldsArgs),
    /// A federation of mirrors with liars, day by day
    Mirrors(SimMirrorsArgs),
    /// People who trust one another, and a crowd of false identities
    Trust(SimTrustArgs),
}

const AFTER_WORLDS: &str = "\
Draws visits by chance, half of them honest and half attacked, lets the product's
own policies judge what their user would have seen, and counts. All assumptions
stand in one file, the world; the same world and seed give the same figures.
Figures have 95 % intervals (Wilson).

A report into a file that has lines <!-- sim worlds: NAME --> and <!-- end of
NAME --> replaces only what stands between them. With several worlds the name of
each stands in the names of the pictures, before the extension.

Exit status:
  0  judged
  1  a file could not be written
  2  wrong use, or a world or topology that is none

Examples:
  parallax sim worlds --visits 100000
  parallax sim worlds --world b --policy evidence --k 3 --k 5 --ablate
  parallax sim worlds --print-world > mine.toml
  parallax sim worlds --world mine.toml --report mine.md --svg mine.svg";

/// Flags of `sim worlds`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_WORLDS)]
pub(crate) struct SimWorldsArgs {
    /// A world: a, b, c or a TOML file (repeatable)
    #[arg(long, value_name = "WORLD", default_value = "a", value_hint = ValueHint::FilePath)]
    pub(crate) world: Vec<String>,

    /// How many visits to draw in each world
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) visits: u64,

    /// Where chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Judge by this policy only: evidence, majority, quorum, unanimous or mpic (repeatable) [default: all]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Policy::NAMES), hide_possible_values = true)]
    pub(crate) policy: Vec<String>,

    /// Ask this many vantage points, 1 to 32 (repeatable); the first sees all attacks
    #[arg(long, value_name = "N", default_value = "5", value_parser = value_parser!(u8).range(1..=i64::from(MAX_ASKED)))]
    pub(crate) k: Vec<u8>,

    /// Use so many threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,

    /// Hijack in this network: AS relationships in CAIDA's format serial-1 [default: a generated one]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) topology: Option<PathBuf>,

    /// Also judge without each part of the policy `evidence`, and with other thresholds
    #[arg(long)]
    pub(crate) ablate: bool,

    /// Print JSON: all tables, curves and counts
    #[arg(long)]
    pub(crate) json: bool,

    /// Write all tables into this file, as Markdown (repeatable)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) report: Vec<PathBuf>,

    /// Draw missed attacks over the share of captured vantage points into this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) svg: Option<PathBuf>,

    /// Draw what other thresholds of the policy `evidence` win and lose into this file
    #[arg(long, value_name = "FILE", requires = "ablate", value_hint = ValueHint::FilePath)]
    pub(crate) trade_off: Option<PathBuf>,

    /// Print the world, to be changed and given to --world, and judge nothing
    #[arg(long, conflicts_with_all = ["json", "report", "svg", "ablate", "trade_off"])]
    pub(crate) print_world: bool,
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

const AFTER_TRUST: &str = "\
Draws societies of honest users and crowds of false identities that lie
together, with a few edges of trust between the two. Every honest user asks for
views, which are chosen and counted in three ways: at random among all; at
random among those whose advertisement reaches the user; dealt over the user's
edges, each with an equal share. Then users with ten edges ask, of which more
and more lead to the attacker. Graph, routes and vote are those that nodes and
clients run.

OUTVOTED: an honest site is not confirmed. DECEIVED: an attacker's key is. TOO
FEW: fewer than 3 edges or 2 networks answered, so the vote says nothing.
Figures have 95 % intervals (Wilson). The same seed gives the same figures.

Exit status:
  0  simulated
  1  an invariant broke (a bug: please report it)
  2  wrong use

Examples:
  parallax sim trust --honest 1000 --sybils 1000 --attack-edges 25 --seed 1
  parallax sim trust --attack-edges 10 --attack-edges 100 --threshold 0.5";

/// Flags of `sim trust`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_TRUST)]
pub(crate) struct SimTrustArgs {
    /// How many honest users there are: 50 to 100000
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) honest: u32,

    /// How many false identities there are: 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) sybils: u32,

    /// How many edges lead from honest users to false identities (repeatable)
    #[arg(long, value_name = "N", default_values_t = [10, 25, 100])]
    pub(crate) attack_edges: Vec<u32>,

    /// How many edges a user has, on average: 4 to 40
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) degree: u32,

    /// How many views a user asks for: 1 to 100
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) views: u32,

    /// The share that must agree, inclusively: 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.7)]
    pub(crate) threshold: f64,

    /// Let the crowd flood: all its advertisements come out of every attack
    /// edge, as where no node enforces the routes
    #[arg(long)]
    pub(crate) unbound: bool,

    /// How many societies are drawn for each row: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) societies: u32,

    /// Where chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Print JSON: all figures
    #[arg(long)]
    pub(crate) json: bool,
}
