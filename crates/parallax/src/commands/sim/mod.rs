//! `parallax sim`: the simulations.

mod mirrors;

use crate::args::{SimArgs, SimCommand};
use crate::failure::Failure;

/// Runs the command.
pub(crate) fn run(args: &SimArgs) -> Result<u8, Failure> {
    match &args.command {
        SimCommand::Mirrors(args) => mirrors::run(args),
    }
}
