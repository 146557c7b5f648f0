//! `parallax config show`: what is in force.

use std::path::Path;

use crate::args::{ConfigArgs, ConfigCommand};
use crate::failure::{DONE, Failure};
use crate::output;
use crate::settings::{self, DomainSettings, Origin, Settings, Shown};

/// Runs the command.
pub(crate) fn run(args: &ConfigArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match args.command {
        ConfigCommand::Show => {
            output::print(&text(&super::settings(config, &[])?))?;
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
            // The domains' own sections follow the one that they depart from.
            if section == settings::POLICY.section() {
                settings.domains.iter().for_each(|domain| push_domain(&mut text, domain));
            }
            section = shown.key.section();
            text.push_str(&format!("\n[{section}]\n"));
        }
        push_setting(&mut text, shown);
    }
    text
}

fn push_domain(text: &mut String, domain: &DomainSettings) {
    text.push_str(&format!("\n[{}]\n", settings::domain_key(domain.domain.as_str())));
    domain.shown().for_each(|shown| push_setting(text, shown));
}

fn push_setting(text: &mut String, shown: &Shown) {
    let setting = format!("{} = {}", shown.key.name(), shown.toml);
    text.push_str(&format!("{setting:<32}  # {}\n", output::escape(&source(shown))));
}

fn source(shown: &Shown) -> String {
    match (&shown.origin, shown.is_empty) {
        (origin, true) => format!("{origin}: {}", shown.key.empty),
        (Origin::Variable(name), false) => format!("environment {name}"),
        (origin, false) => origin.to_string(),
    }
}
