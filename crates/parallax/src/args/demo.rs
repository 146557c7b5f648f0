//! `demo`: a network on this machine.

use clap::Args;
use clap::builder::PossibleValuesParser;
use parallax_lab::SCENES;

const AFTER_DEMO: &str = "\
Exit status:
  0  every scene ended with the verdict and by the rule that it must
  1  one did not, or the network could not be started

Examples:
  parallax demo
  parallax demo --scene attacker-near-me
  parallax demo --keep";

/// See it work: a network on this machine, attackers and vantage points.
///
/// Starts sites, DNS, attackers and five nodes in three regions on addresses of
/// 127.0.0.0/8, with real sockets, and checks what happens there. Nothing leaves
/// this machine, and nothing is left behind.
#[derive(Debug, Args)]
#[command(after_help = AFTER_DEMO)]
pub(crate) struct DemoArgs {
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
