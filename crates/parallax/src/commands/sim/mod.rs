//! `parallax sim`: the simulations.

mod documents;
mod mirrors;
mod trust;
mod worlds;

use crate::args::{SimArgs, SimCommand};
use crate::failure::Failure;

/// Runs the command.
pub(crate) fn run(args: &SimArgs) -> Result<u8, Failure> {
    match &args.command {
        SimCommand::Worlds(args) => worlds::run(args),
        SimCommand::Mirrors(args) => mirrors::run(args),
        SimCommand::Trust(args) => trust::run(args),
    }
}
