//! `config`, `completions`, `man`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// What is below `config`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax config show")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print what is in force as TOML, and where each value came from
    #[command(after_help = "Example:\n  PARALLAX_TIMEOUT=2s parallax config show")]
    Show,
}

/// What `completions` is told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax completions bash > ~/.local/share/bash-completion/completions/parallax")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  parallax man | man -l -\n  parallax man --dir /usr/share/man/man1")]
pub(crate) struct ManArgs {
    /// Write a page for each command into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}
