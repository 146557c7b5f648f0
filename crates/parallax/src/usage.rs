//! What the argument parser says, as this program says things: help and version on standard output, a wrong command
//! line in one sentence.

use clap::error::ErrorKind;

use crate::failure::{DONE, Failure, USAGE};
use crate::output;

/// Answers a command line that is no command to run.
pub(crate) fn answer(error: &clap::Error) -> Result<u8, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::print(&error.render().ansi().to_string())?;
            Ok(DONE)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Standard error, as it is no answer to a question.
            let _ = error.print();
            Ok(USAGE)
        }
        _ => Err(Failure::usage(sentence(&error.render().to_string()))),
    }
}

/// The parser's message without its usage lines: `unexpected argument '--jsn' found; a similar argument exists: '--json'`.
fn sentence(rendered: &str) -> String {
    let lines = rendered.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let wanted = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let mut sentence = String::new();
    for line in wanted {
        let line = line.strip_prefix("error: ").unwrap_or(line);
        let (glue, line) = match line.strip_prefix("tip: ") {
            Some(tip) => ("; ", tip),
            None => (" ", line),
        };
        if !sentence.is_empty() {
            sentence.push_str(glue);
        }
        sentence.push_str(line);
    }
    sentence
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn one_sentence_without_usage_lines() {
        for (line, wanted) in [
            ("parallax check --jsn x", "unexpected argument '--jsn' found; a similar argument exists: '--json'"),
            ("parallax chek", "unrecognized subcommand 'chek'; a similar subcommand exists: 'check'"),
            ("parallax check", "the following required arguments were not provided: <SERVICE>"),
            ("parallax check -q --json x", "the argument '--quiet' cannot be used with '--json'"),
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(sentence(&error.render().to_string()), wanted);
        }
    }
}
