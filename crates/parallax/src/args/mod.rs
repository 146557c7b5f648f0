//! The command line as it is given: raw text, a file for each command. [`crate::settings`] makes settings of it.

mod accept;
mod acting;
mod ca;
mod ca_auth;
mod check;
mod demo;
mod history;
mod id;
mod key;
mod mirror;
mod observe;
mod peer;
mod resolve;
mod scan;
mod serve;
mod services;
mod shell;
mod sim;
mod ssh_known_hosts;
mod tools;
mod transfer;
mod trust;
mod vantage;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::failure::Failure;
use crate::settings::{self, Flag, Key};

pub(crate) use accept::{AcceptArgs, AcceptCommand, AcceptListArgs, AcceptRemoveArgs};
pub(crate) use acting::ActingArgs;
pub(crate) use ca::{CaArgs, CaCommand, CaInitArgs, CaListArgs, CaRevokeArgs, CaRotateArgs};
pub(crate) use ca_auth::CaAuthArgs;
pub(crate) use check::CheckArgs;
pub(crate) use demo::{DemoArgs, DemoPart, PanoramaArgs};
pub(crate) use history::HistoryArgs;
pub(crate) use id::{
    AgentArgs, IdArgs, IdCommand, IdConfirmArgs, IdImportArgs, IdRenewArgs, IdRequestArgs, IdRevokeArgs, IdShowArgs,
};
pub(crate) use key::{
    CallArgs, KeyAllowArgs, KeyArgs, KeyBlockArgs, KeyCommand, KeyNewArgs, KeyShowArgs, KeyUnblockArgs, WhichKeyArgs,
};
pub(crate) use mirror::{
    MirrorArgs, MirrorBootstrapArgs, MirrorCommand, MirrorJoinArgs, MirrorListArgs, MirrorPublishArgs,
    MirrorRefreshArgs, MirrorRemoveArgs, MirrorStatusArgs, OwnNodeArgs,
};
pub(crate) use observe::ObserveArgs;
pub(crate) use peer::PeerArgs;
pub(crate) use resolve::ResolveArgs;
pub(crate) use scan::ScanArgs;
pub(crate) use serve::ServeArgs;
pub(crate) use services::{ServicesArgs, ServicesCommand, ServicesListArgs};
pub(crate) use shell::ShellArgs;
pub(crate) use sim::{SimArgs, SimCommand, SimMirrorsArgs, SimTrustArgs, SimWorldsArgs};
pub(crate) use ssh_known_hosts::SshKnownHostsArgs;
pub(crate) use tools::{CompletionsArgs, ConfigArgs, ConfigCommand, ManArgs};
pub(crate) use transfer::{ExportArgs, ImportArgs};
pub(crate) use trust::{
    TrustAddArgs, TrustArgs, TrustCommand, TrustExplainArgs, TrustListArgs, TrustNodeArgs, TrustRemoveArgs,
};
pub(crate) use vantage::{
    VantageAddArgs, VantageArgs, VantageCommand, VantageImportArgs, VantageListArgs, VantageRemoveArgs,
};

/// Help is this wide on every terminal, and in the manual.
const HELP_COLUMNS: usize = 80;

/// Tells whether the server you reach is the server everybody else reaches.
///
/// Parallax looks at a service (a TLS server and the DNS records that lead to
/// it) from several places at once, and decides from what they see and remember.
#[derive(Debug, Parser)]
#[command(
    name = "parallax",
    version,
    term_width = HELP_COLUMNS,
    arg_required_else_help = true,
    after_help = "Example:\n  parallax check example.com"
)]
pub(crate) struct Cli {
    /// Read this configuration file instead of $XDG_CONFIG_HOME/parallax/config.toml
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, display_order = 900)]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look, ask the vantage points, decide
    Check(CheckArgs),
    /// Look once from here, and ask nobody
    Observe(ObserveArgs),
    /// Ask for one service after another, and see who sees what
    Shell(ShellArgs),
    /// Print known_hosts lines of corroborated SSH host keys, for OpenSSH
    SshKnownHosts(SshKnownHostsArgs),
    /// Ask DNS here and elsewhere, and tell whether the answers agree
    Resolve(ResolveArgs),
    /// Print the DNS records that authorise a CA, and check them
    CaAuth(CaAuthArgs),
    /// Run a node: a vantage point that others can ask
    Serve(ServeArgs),
    /// Be a peer: look for others, through a hub
    Peer(PeerArgs),
    /// See it work: a network on this machine, attackers and vantage points
    Demo(DemoArgs),
    /// Keep the list of vantage points that `check` asks (vantages.toml)
    Vantage(VantageArgs),
    /// The federation of mirrors: ask it, or take part with your node
    Mirror(MirrorArgs),
    /// The operator's side of a janus: its root, its keys, what it revoked
    Ca(CaArgs),
    /// Make keys, and say which may open channels at your node
    Key(KeyArgs),
    /// Ask a node for something over a channel
    Call(CallArgs),
    /// Your mailbox as your identity: certificates that a janus issues
    Id(IdArgs),
    /// Show the page that the link in janus' mail opens
    Agent(AgentArgs),
    /// Say whom you trust, and see through whom views come
    Trust(TrustArgs),
    /// Show which certificates were seen, and when
    History(HistoryArgs),
    /// List, add and remove the services that a node remembers
    Services(ServicesArgs),
    /// Look at many services at a steady rate, and remember what was seen
    Scan(ScanArgs),
    /// Write everything that a node remembers as lines of JSON
    Export(ExportArgs),
    /// Take over what another node or an old notary remembered
    Import(ImportArgs),
    /// Take a key for right by your own word (accepted.toml)
    Accept(AcceptArgs),
    /// Run the simulations: generated worlds, a federation with liars
    Sim(SimArgs),
    /// Show the configuration
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them
    Man(ManArgs),
}

/// Flags of everything that looks.
#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    /// Ask this DNS resolver instead of the system's
    #[arg(long, value_name = "IP:PORT")]
    resolver: Option<String>,

    /// Look and resolve from this local address
    #[arg(long, value_name = "IP")]
    source: Option<String>,

    /// The roots that count as public: public (Mozilla's), none, or a PEM file
    #[arg(long, value_name = "ROOTS", value_hint = ValueHint::FilePath)]
    roots: Option<String>,
}

/// Flags of everything that works on a node's memory.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// The node's data directory [default: $XDG_DATA_HOME/parallax]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data: Option<String>,
}

fn flags<const N: usize>(given: [(&'static Key, &Option<String>); N]) -> Vec<Flag> {
    given.into_iter().filter_map(|(key, text)| Some((key, text.clone()?))).collect()
}

impl LookArgs {
    fn flags(&self) -> Vec<Flag> {
        flags([
            (&settings::RESOLVER, &self.resolver),
            (&settings::SOURCE, &self.source),
            (&settings::ROOTS, &self.roots),
        ])
    }
}

impl DataArgs {
    fn flags(&self) -> Vec<Flag> {
        flags([(&settings::DATA, &self.data)])
    }
}

fn duration(flag: &str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
    text.map(settings::parse_duration).transpose().map_err(|why| Failure::usage(format!("{flag}: {why}")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn all(command: &clap::Command) -> Vec<clap::Command> {
        let below = command.get_subcommands().filter(|sub| sub.get_name() != "help").flat_map(all);
        std::iter::once(command.clone()).chain(below).collect()
    }

    #[test]
    fn the_definitions_hold() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_has_an_example_and_fits_the_screen() {
        let mut root = Cli::command();
        root.build();
        for mut command in all(&root) {
            for help in [command.render_help().to_string(), command.render_long_help().to_string()] {
                assert!(help.contains("Example"), "{help}");
                let wide: Vec<_> = help.lines().filter(|line| line.width() > HELP_COLUMNS).collect();
                assert!(wide.is_empty(), "{wide:?}");
            }
        }
    }

    #[test]
    fn every_flag_and_value_is_explained() {
        let mut root = Cli::command();
        root.build();
        for command in all(&root) {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
