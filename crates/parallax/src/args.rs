//! The command line as it is given: raw text. [`crate::settings`] makes settings of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueHint};
use parallax_lab::SCENES;

use crate::failure::Failure;
use crate::settings::{self, Flag, Key};

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
    /// Print known_hosts lines of corroborated SSH host keys, for OpenSSH
    SshKnownHosts(SshKnownHostsArgs),
    /// Run a node: a vantage point that others can ask
    Serve(ServeArgs),
    /// See it work: a network on this machine, attackers and vantage points
    Demo(DemoArgs),
    /// Keep the list of vantage points that `check` asks (vantages.toml)
    Vantage(VantageArgs),
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
    /// Show the configuration
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them
    Man(ManArgs),
}

const AFTER_CHECK: &str = "\
Exit status:
  0  trusted      1  distrusted      3  undecided
  2  the command line, the configuration or this machine is at fault
  With many services the gravest counts: 1 before 2 before 3 before 0.

Examples:
  parallax check example.com
  parallax check ssh://host.example
  parallax check --vantage https://192.0.2.7:8443#27f0… mail.example.com:993
  parallax check - < services.txt";

/// Flags of `check`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_CHECK)]
pub(crate) struct CheckArgs {
    #[arg(
        value_name = "SERVICE",
        help = "A host, host:port, [v6]:port or URL; - reads many from standard input, one a line, and prints a verdict a line"
    )]
    pub(crate) service: String,

    /// Ask this vantage point, https://HOST:PORT#ID, instead of the listed ones (repeatable)
    #[arg(long, value_name = "URL")]
    pub(crate) vantage: Vec<String>,

    /// Decide by this rule: evidence, majority, quorum, unanimous or mpic
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// Ask only this many of the vantage points, drawn at random
    #[arg(long, value_name = "N")]
    replies: Option<String>,

    /// The share of looks that is enough, 0 to 1 (majority, quorum)
    #[arg(long, value_name = "F")]
    threshold: Option<String>,

    /// For how long the quorum must have seen the certificate, such as 2d (quorum)
    #[arg(long, value_name = "TIME")]
    min_duration: Option<String>,

    /// Fewer looks than this decide nothing (majority)
    #[arg(long, value_name = "N")]
    min_views: Option<String>,

    /// How old a look may be that a vantage point agrees with, such as 0s: look now
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,

    /// Trust a private key that most remember long when too few can look (evidence)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    accept_private: Option<String>,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// Believe the vantage id that is met where --vantage names none, and say so
    #[arg(long)]
    pub(crate) trust_first: bool,

    /// Print no verdict; the exit status is it
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print JSON, one object a service
    #[arg(long)]
    pub(crate) json: bool,
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

const AFTER_OBSERVE: &str = "\
Exit status:
  0  a key was seen      1  none was seen      2  wrong use

Examples:
  parallax observe example.com
  parallax observe ssh://host.example:2222
  parallax observe --address 192.0.2.10 --json example.com";

/// Flags of `observe`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_OBSERVE)]
pub(crate) struct ObserveArgs {
    #[arg(value_name = "SERVICE", help = "A host, host:port, [v6]:port or URL")]
    pub(crate) service: String,

    /// Look at this address, with the service's name
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<String>,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const AFTER_SSH_KNOWN_HOSTS: &str = "\
In ~/.ssh/config, so that a first connection needs no blind yes:
  KnownHostsCommand /usr/bin/parallax ssh-known-hosts %H

Exit status:
  0  no key is distrusted; the keys that are trusted were printed, if any
  1  distrusted: nothing is printed, and ssh ends the connection
  2  the command line, the configuration or this machine is at fault

Examples:
  parallax ssh-known-hosts host.example
  parallax ssh-known-hosts '[host.example]:2222' >> ~/.ssh/known_hosts";

/// Flags of `ssh-known-hosts`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_SSH_KNOWN_HOSTS)]
pub(crate) struct SshKnownHostsArgs {
    #[arg(value_name = "HOST", help = "A host, or [host]:port, as ssh writes it for %H")]
    pub(crate) host: String,

    /// Ask this vantage point, https://HOST:PORT#ID, instead of the listed ones (repeatable)
    #[arg(long, value_name = "URL")]
    pub(crate) vantage: Vec<String>,

    /// Decide by this rule: evidence, majority, quorum, unanimous or mpic
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// How old a look may be that a vantage point agrees with, such as 0s: look now
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

const AFTER_SERVE: &str = "\
When the node is ready it prints one line on standard output:
  ready http=ADDR https=ADDR vantage=ID
It stops within 5 seconds of SIGTERM or SIGINT. PARALLAX_LOG says what is logged
to standard error, as in RUST_LOG: error, warn, info (the default), debug.

Examples:
  parallax serve --region eu-west
  parallax serve --listen 127.0.0.1:0 --listen-tls 127.0.0.1:0 --data /tmp/a \\
    --allow-private";

/// Flags of `serve`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_SERVE)]
pub(crate) struct ServeArgs {
    /// Serve plain HTTP here; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,

    /// Serve HTTPS under the node's own CA here [default: 127.0.0.1:8443]
    #[arg(long, value_name = "IP:PORT")]
    listen_tls: Option<String>,

    /// Keep identity and memory here [default: $XDG_DATA_HOME/parallax]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data: Option<String>,

    /// The region that this node claims, such as eu-west
    #[arg(long, value_name = "CODE")]
    region: Option<String>,

    /// The regional Internet registry of its address, such as RIPE
    #[arg(long, value_name = "NAME")]
    rir: Option<String>,

    /// Who runs this node
    #[arg(long, value_name = "TEXT")]
    operator: Option<String>,

    /// Its domain
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,

    /// Whether clients of Perspectives are answered on the HTTP listener: on or off [default: on]
    #[arg(long, value_name = "on|off")]
    legacy: Option<String>,

    /// Look at private addresses and at any port: for labs and intranets
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private: Option<String>,

    /// Look at every known service once in this time, such as 12h [default: never]
    #[arg(long, value_name = "TIME")]
    scan_every: Option<String>,

    #[command(flatten)]
    look: LookArgs,
}

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

/// What is below `vantage`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax vantage add https://192.0.2.7:8443#27f0…")]
pub(crate) struct VantageArgs {
    #[command(subcommand)]
    pub(crate) command: VantageCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VantageCommand {
    /// Meet a node, verify its pin, and list it
    Add(VantageAddArgs),
    /// Show the list
    List(VantageListArgs),
    /// Take a vantage point off the list
    Remove(VantageRemoveArgs),
    /// List the old notaries of a notary list file
    Import(VantageImportArgs),
}

const AFTER_ADD: &str = "\
The part after # is the node's vantage id; the node prints it when it starts.
An old Perspectives notary is perspectives+http://HOST:PORT#FILE, with the file
that holds its public key in PEM; it is listed without being asked.

Examples:
  parallax vantage add https://192.0.2.7:8443#27f0…
  parallax vantage add --trust-first https://192.0.2.7:8443";

/// Flags of `vantage add`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_ADD)]
pub(crate) struct VantageAddArgs {
    /// The node, https://HOST:PORT#ID, or an old notary
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Believe the vantage id that is met now, pin it, and say so
    #[arg(long)]
    pub(crate) trust_first: bool,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

/// Flags of `vantage list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax vantage list --json")]
pub(crate) struct VantageListArgs {
    /// Print JSON, with whole ids and URLs
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `vantage remove` is told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax vantage remove https://192.0.2.7:8443")]
pub(crate) struct VantageRemoveArgs {
    /// Its URL, with or without what follows the #, or its whole vantage id
    #[arg(value_name = "URL|ID")]
    pub(crate) which: String,
}

/// Flags of everything that works on a node's memory.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// The node's data directory [default: $XDG_DATA_HOME/parallax]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data: Option<String>,
}

const AFTER_HISTORY: &str = "\
Without --vantage it reads the node's own memory on this machine. A letter stands
for one key, the same one for every vantage point.

Exit status:
  0  shown    1  not known, or somebody did not answer    2  wrong use

Examples:
  parallax history example.com
  parallax history --vantage https://192.0.2.7:8443#27f0… --svg example.svg \
    example.com";

/// Flags of `history`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HISTORY)]
pub(crate) struct HistoryArgs {
    #[arg(value_name = "SERVICE", help = "A host, host:port, [v6]:port or URL")]
    pub(crate) service: String,

    /// Ask this vantage point, https://HOST:PORT#ID (repeatable)
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    pub(crate) vantage: Vec<String>,

    /// Write a picture (SVG) into this file instead of text
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) svg: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// How long to wait for answers, such as 5s
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    #[command(flatten)]
    data: DataArgs,
}

/// What is below `services`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax services list --older-than 5d")]
pub(crate) struct ServicesArgs {
    #[command(subcommand)]
    pub(crate) command: ServicesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServicesCommand {
    /// Show when each service was last seen
    List(ServicesListArgs),
    /// Have services known before they were looked at, so that scans do
    #[command(after_help = "Example:\n  parallax services add example.com mail.example.com:993")]
    Add(ServicesNamedArgs),
    /// Forget services with all that is remembered of them
    #[command(
        after_help = "Exit status:\n  0  removed    1  one was not known    2  wrong use\n\nExample:\n  parallax services remove example.com"
    )]
    Remove(ServicesNamedArgs),
}

/// Flags of `services list`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  parallax services list --older-than 5d\n  parallax services list --data /var/lib/parallax --json | jq -r .service"
)]
pub(crate) struct ServicesListArgs {
    /// Only those seen within this time, such as 5d
    #[arg(long, value_name = "TIME", conflicts_with = "older_than")]
    newer_than: Option<String>,

    /// Only those not seen within this time, or never
    #[arg(long, value_name = "TIME")]
    older_than: Option<String>,

    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    data: DataArgs,
}

/// Flags of `services add` and `services remove`.
#[derive(Debug, Args)]
pub(crate) struct ServicesNamedArgs {
    #[arg(value_name = "SERVICE", required = true, help = "Hosts, host:port, [v6]:port or URLs")]
    pub(crate) services: Vec<String>,

    #[command(flatten)]
    data: DataArgs,
}

const AFTER_SCAN: &str = "\
Without a list it looks at everything that the node remembers. In a list, empty
lines and lines that begin with # are passed over, and what is named twice is
looked at once; of a service that is not known, only a look that met a
certificate is remembered. Works beside a running node; `serve --scan-every`
needs no command at all.

Exit status:
  0  all were seen    1  some were not, or a line was wrong    2  wrong use

Examples:
  parallax scan --data /var/lib/parallax
  parallax scan --rate 50 services.txt";

/// Flags of `scan`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_SCAN)]
pub(crate) struct ScanArgs {
    /// The list, a service a line, such as example.com or host:port,2; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) list: Option<String>,

    /// Begin at most this many looks a second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rate: u32,

    /// The time limit of one look, such as 20s
    #[arg(long, value_name = "TIME", default_value = "20s")]
    timeout: String,

    /// Looks under way at once, at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = jobs)]
    pub(crate) jobs: usize,

    #[command(flatten)]
    data: DataArgs,

    /// Look at private addresses and at any port: for labs and intranets
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private: Option<String>,

    #[command(flatten)]
    look: LookArgs,
}

fn jobs(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1000).contains(number));
    number.ok_or_else(|| "the value must be 1 to 1000".into())
}

const AFTER_EXPORT: &str = "\
Works beside a running node. Each service is a line of its own, as it stood when
its line was written.

Exit status:
  0  all was written    1  not all could be    2  wrong use

Examples:
  parallax export --data /var/lib/parallax services.jsonl
  parallax export | jq -r .service";

/// Flags of `export`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_EXPORT)]
pub(crate) struct ExportArgs {
    /// The file to write, replaced in one step; - is standard output
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true, value_hint = ValueHint::FilePath)]
    pub(crate) file: String,

    #[command(flatten)]
    data: DataArgs,
}

const AFTER_IMPORT: &str = "\
Reads what `export` wrote, and the rows of old notaries (Perspectives):
  ('example.com:443,2', 'FINGERPRINT', 1376665224, 1382022034)
with commas, tabs, blanks or | in between, brackets and quotes or none. Such
rows know a certificate by its MD5 alone: they are kept and exported, and count
for no verdict. Works beside a running node; importing twice changes nothing.

Exit status:
  0  every line was taken over    1  some were not    2  wrong use

Examples:
  parallax import --data /var/lib/parallax services.jsonl
  sqlite3 notary.sqlite 'select * from observations' | parallax import";

/// Flags of `import`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_IMPORT)]
pub(crate) struct ImportArgs {
    /// The file to read; - is standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true, value_hint = ValueHint::FilePath)]
    pub(crate) file: String,

    #[command(flatten)]
    data: DataArgs,
}

const AFTER_VANTAGE_IMPORT: &str = "\
The file has for each notary a line HOST:PORT and below it its public key in PEM;
lines that begin with # are comments. A file with a mistake changes nothing.

Example:
  parallax vantage import http_notary_list.txt";

/// What `vantage import` is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_VANTAGE_IMPORT)]
pub(crate) struct VantageImportArgs {
    /// The notary list file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

const AFTER_ACCEPT: &str = "\
The accepted key is trusted in every `check` of this service, whatever the
vantage points say, and `check` says so each time. Another key gets the verdict
that it would have got without. Under a pattern every key is trusted, even an
attacker's, and nobody is asked: for intranets that no vantage point can reach.
A service whose host is called list or remove is written with its port.

Exit status:
  0  accepted      1  no proved key was met, or another was accepted before
  2  wrong use

Examples:
  parallax accept nas.example:5001
  parallax accept --key 627c5472… nas.example:5001
  parallax accept --pattern '*.corp.example'
  parallax accept remove nas.example:5001";

/// Take a key for right by your own word (accepted.toml).
///
/// Looks once, shows what it met, and accepts that key for this service.
#[derive(Debug, Args)]
#[command(after_help = AFTER_ACCEPT, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct AcceptArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AcceptCommand>,

    #[arg(value_name = "SERVICE", required_unless_present = "pattern", help = "A host, host:port, [v6]:port or URL")]
    pub(crate) service: Option<String>,

    /// Accept this key (64 hex digits, as --json prints it) and do not look
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) key: Option<String>,

    /// Accept every key at these hosts: a host, or *. and a name for all below it
    #[arg(long, value_name = "HOSTS", conflicts_with_all = ["service", "key"])]
    pub(crate) pattern: Option<String>,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AcceptCommand {
    /// Show what is accepted
    List(AcceptListArgs),
    /// Take your word back
    Remove(AcceptRemoveArgs),
}

/// Flags of `accept list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax accept list --json")]
pub(crate) struct AcceptListArgs {
    /// Print JSON, with whole keys
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `accept remove` is told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax accept remove nas.example:5001")]
pub(crate) struct AcceptRemoveArgs {
    /// The service or the pattern that was accepted
    #[arg(value_name = "SERVICE|PATTERN")]
    pub(crate) which: String,
}

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

impl CheckArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([
            (&settings::POLICY, &self.policy),
            (&settings::REPLIES, &self.replies),
            (&settings::THRESHOLD, &self.threshold),
            (&settings::MIN_DURATION, &self.min_duration),
            (&settings::MIN_VIEWS, &self.min_views),
            (&settings::TIMEOUT, &self.timeout),
            (&settings::MAX_AGE, &self.max_age),
            (&settings::ACCEPT_PRIVATE, &self.accept_private),
        ]);
        [own, self.look.flags()].concat()
    }
}

impl ObserveArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        [flags([(&settings::TIMEOUT, &self.timeout)]), self.look.flags()].concat()
    }
}

impl SshKnownHostsArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([
            (&settings::POLICY, &self.policy),
            (&settings::MAX_AGE, &self.max_age),
            (&settings::TIMEOUT, &self.timeout),
        ]);
        [own, self.look.flags()].concat()
    }
}

impl AcceptArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        [flags([(&settings::TIMEOUT, &self.timeout)]), self.look.flags()].concat()
    }
}

impl ServeArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([
            (&settings::LISTEN, &self.listen),
            (&settings::LISTEN_TLS, &self.listen_tls),
            (&settings::DATA, &self.data),
            (&settings::REGION, &self.region),
            (&settings::RIR, &self.rir),
            (&settings::OPERATOR, &self.operator),
            (&settings::DOMAIN, &self.domain),
            (&settings::LEGACY, &self.legacy),
            (&settings::ALLOW_PRIVATE, &self.allow_private),
            (&settings::SCAN_EVERY, &self.scan_every),
        ]);
        [own, self.look.flags()].concat()
    }
}

impl DataArgs {
    fn flags(&self) -> Vec<Flag> {
        flags([(&settings::DATA, &self.data)])
    }
}

impl HistoryArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        [flags([(&settings::TIMEOUT, &self.timeout)]), self.data.flags()].concat()
    }
}

impl ServicesArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        match &self.command {
            ServicesCommand::List(args) => args.data.flags(),
            ServicesCommand::Add(args) | ServicesCommand::Remove(args) => args.data.flags(),
        }
    }
}

impl ServicesListArgs {
    /// `--newer-than`.
    pub(crate) fn newer_than(&self) -> Result<Option<Duration>, Failure> {
        duration("--newer-than", self.newer_than.as_deref())
    }

    /// `--older-than`.
    pub(crate) fn older_than(&self) -> Result<Option<Duration>, Failure> {
        duration("--older-than", self.older_than.as_deref())
    }
}

impl ScanArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([(&settings::ALLOW_PRIVATE, &self.allow_private)]);
        [own, self.data.flags(), self.look.flags()].concat()
    }

    /// `--timeout`.
    pub(crate) fn time_limit(&self) -> Result<Duration, Failure> {
        let limit = duration("--timeout", Some(&self.timeout))?.unwrap_or_default();
        match limit.is_zero() {
            true => Err(Failure::usage("--timeout: a look needs some time, such as 20s")),
            false => Ok(limit),
        }
    }
}

fn duration(flag: &str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
    text.map(settings::parse_duration).transpose().map_err(|why| Failure::usage(format!("{flag}: {why}")))
}

impl ExportArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        self.data.flags()
    }
}

impl ImportArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        self.data.flags()
    }
}

impl VantageAddArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        flags([(&settings::TIMEOUT, &self.timeout)])
    }
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
