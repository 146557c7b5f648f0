//! For shells and packagers: completions and manual pages.

use clap::CommandFactory as _;
use parallax_core::plainly;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::failure::{DONE, Failure};
use crate::output;

/// `parallax completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "parallax", &mut script);
    output::print_raw(&script)?;
    Ok(DONE)
}

/// `parallax man`.
pub(crate) fn man(args: &ManArgs) -> Result<u8, Failure> {
    match &args.dir {
        Some(directory) => clap_mangen::generate_to(Cli::command(), directory).map_err(|error| {
            let (directory, why) = (directory.display(), plainly(&error));
            Failure::not_done(format!("{directory} can't be written to: {why}; name a directory that is there"))
        })?,
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| Failure::not_done(format!("the page can't be made: {}", plainly(&error))))?;
            output::print_raw(&page)?;
        }
    }
    Ok(DONE)
}
