//! `parallax config show`: what is in force.

use std::path::Path;

use crate::args::{ConfigArgs, ConfigCommand};
use crate::failure::{DONE, Failure};
use crate::output;
use crate::settings::{Origin, Settings, Shown};

/// Runs the command.
pub(crate) fn run(args: &ConfigArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match args.command {
        ConfigCommand::Show => {
            let settings = super::settings(config, &[])?;
            output::print(&text(&settings))?;
            Ok(DONE)
        }
    }
}

/// What is in force, as a configuration file that says the same.
pub(crate) fn text(settings: &Settings) -> String {
    let state = if settings.file_found { "" } else { " (not there)" };
    let mut text = format!("# {}{state}\n", output::escape(&settings.file.display().to_string()));
    let mut section = "";
    for shown in &settings.shown {
        if shown.key.section() != section {
            section = shown.key.section();
            text.push_str(&format!("\n[{section}]\n"));
        }
        let setting = format!("{} = {}", shown.key.name(), shown.toml);
        text.push_str(&format!("{setting:<32}  # {}\n", output::escape(&source(shown))));
    }
    text
}

fn source(shown: &Shown) -> String {
    match (&shown.origin, shown.is_empty) {
        (origin, true) => format!("{origin}: {}", shown.key.empty),
        (Origin::Variable(name), false) => format!("environment {name}"),
        (origin, false) => origin.to_string(),
    }
}
