//! What people and programs read. Data goes to standard output, messages to standard error.

mod advice;
mod answers;
mod escape;
mod mail;
mod map;
mod report;
mod scts;
mod seen;
mod table;
mod when;
mod wrap;

use std::io::{self, Write as _};

use parallax_core::plainly;

use crate::failure::Failure;

pub(crate) use advice::NO_VANTAGE;
pub(crate) use answers::render as render_answers;
pub(crate) use escape::{escape, quote_toml};
pub(crate) use mail::render as render_mail;
pub(crate) use map::{PeerSight, render as render_map};
pub(crate) use report::{
    Shown, ShownFailure, ShownHub, ShownKey, ShownNotary, ShownView, ca_name, conclusion, line, render,
};
pub(crate) use seen::render as render_look;
pub(crate) use table::{Cell, Column, render as render_table};
pub(crate) use when::ago;
pub(crate) use when::{day, length, minute};
pub(crate) use wrap::{Cut, wrap};

/// Writes data to standard output; styles are taken out where it is no terminal, or `NO_COLOR` is set.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    finished(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Writes data to standard output as it is: for programs.
pub(crate) fn print_raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    finished(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes JSON and a line break, harmless on a terminal.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print_raw(format!("{}\n", escape::escape_json(&value.to_string())).as_bytes())
}

/// Writes a message to standard error, one line, after the name of the program.
pub(crate) fn say(message: &str) {
    // When standard error is gone there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "parallax: {}", escape(message));
}

fn finished(written: io::Result<()>) -> Result<(), Failure> {
    written.map_err(|error| not_written(&error))
}

/// Why standard output did not take what was written.
pub(crate) fn not_written(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::usage(format!("standard output can't be written to: {}", plainly(error))),
    }
}
