//! `demo`: a network on this machine.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use parallax_lab::SCENES;

const AFTER_DEMO: &str = "\
Exit status:
  0  every scene ended with the verdict and by the rule that it must
  1  one did not, or the network could not be started

Examples:
  parallax demo
  parallax demo --scene attacker-near-me
  parallax demo --keep
  parallax demo panorama";

const AFTER_PANORAMA: &str = "\
Exit status:
  0  every request ended with the verdict and the counts that it must
  1  one did not, or the network could not be started

Example:
  parallax demo panorama";

/// See it work: a network on this machine, attackers and vantage points.
///
/// Starts sites, DNS, attackers and five nodes in three regions on addresses of
/// 127.0.0.0/8, with real sockets, and checks what happens there. Nothing leaves
/// this machine, and nothing is left behind.
#[derive(Debug, Args)]
#[command(after_help = AFTER_DEMO, args_conflicts_with_subcommands = true)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    pub(crate) part: Option<DemoPart>,

    /// Play only this scene
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(SCENES.iter().map(|scene| scene.name)))]
    pub(crate) scene: Option<String>,

    /// Leave the network running until Ctrl-C, and print commands to try by hand
    #[arg(long, conflicts_with = "json")]
    pub(crate) keep: bool,

    /// Print JSON, one object for all scenes
    #[arg(long)]
    pub(crate) json: bool,
}

/// Another play than the scenes.
#[derive(Debug, Subcommand)]
pub(crate) enum DemoPart {
    /// See a hub with ten peers, a request, and ten liars that join
    Panorama(PanoramaArgs),
}

/// See Panorama's own walk: a hub with ten peers, a request, ten liars that join.
///
/// Starts a site, DNS, a hub and ten peers, asks for 5 replies, lets ten liars
/// join, and asks all 20, first content with half of them, then with 0.7. All with
/// real sockets on addresses of 127.0.0.0/8; nothing leaves this machine.
#[derive(Debug, Args)]
#[command(after_help = AFTER_PANORAMA)]
pub(crate) struct PanoramaArgs {
    /// Print JSON, one object for all requests
    #[arg(long)]
    pub(crate) json: bool,
}
