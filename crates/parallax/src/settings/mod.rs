//! From raw arguments to resolved settings: flag, then environment, then file, then default.

mod duration;
mod file;
mod keys;
mod layers;
mod paths;
mod values;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parallax_core::{Policy, Share};
use parallax_node::{ChannelSettings, MirrorSettings};
use parallax_proto::DEFAULT_MAX_AGE;
use parallax_proto::channel::ServerSettings;
use parallax_proto::mirror::Settings as Rules;

pub(crate) use duration::parse as parse_duration;
pub(crate) use file::File;
pub(crate) use keys::{
    ACCEPT_PRIVATE, ALLOW_PRIVATE, CONFIG_VARIABLE, DATA, DOMAIN, Key, LEGACY, LISTEN, LISTEN_TLS, LOG_VARIABLE,
    MAX_AGE, MIN_DURATION, MIN_VIEWS, OPERATOR, POLICY, REGION, REPLIES, RESOLVER, RIR, ROLES, ROOTS, SCAN_EVERY,
    SOURCE, TELL_PRIVATE, THRESHOLD, TIMEOUT,
};
pub(crate) use layers::{Flag, Origin, Shown};
pub(crate) use paths::Environment;
pub(crate) use values::{DnssecChoice, Ports, RootsChoice};

use layers::Layers;
use values::{Addresses, Day, Line, Millis, PolicyName, Popular, Region, Registry, Roles, Secs, Switch};

/// Why there are no settings. One sentence each, with the place and what would be right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{origin}: {why}")]
    Bad { origin: Origin, why: String },
    #[error("{} line {line}: {key}: {why}", file.display())]
    BadKey { file: PathBuf, line: usize, key: &'static str, why: String },
    #[error("{} line {line}: unknown key \"{key}\"; did you mean {nearest}?", file.display())]
    UnknownKey { file: PathBuf, line: usize, key: String, nearest: &'static str },
    #[error("{} line {line}: {why}", file.display())]
    NotToml { file: PathBuf, line: usize, why: String },
    #[error("the configuration file {} can't be read: {why}; name another one with --config, or correct it", file.display())]
    Unreadable { file: PathBuf, why: String },
    #[error("{variable} is not text in UTF-8")]
    NotText { variable: &'static str },
    #[error("neither HOME nor {variable} names a directory; set one, or name the file with --config")]
    NoHome { variable: &'static str },
    #[error("{flag} has no meaning under the policy {policy}; it belongs to {belongs}")]
    NotOfPolicy { flag: &'static str, policy: &'static str, belongs: &'static str },
}

/// Everything that is in force.
#[derive(Debug)]
pub(crate) struct Settings {
    /// How a check decides.
    pub(crate) check: CheckSettings,
    /// How looks are made.
    pub(crate) look: LookSettings,
    /// How a node runs.
    pub(crate) serve: ServeSettings,
    /// How a node takes part in the federation.
    pub(crate) mirror: MirrorSettings,
    /// Who gets a channel from a node.
    pub(crate) channel: ChannelSettings,
    /// The configuration file, there or not.
    pub(crate) file: PathBuf,
    /// Whether it is there.
    pub(crate) file_found: bool,
    /// Each key as it is in force.
    pub(crate) shown: Vec<Shown>,
}

/// How a check decides.
#[derive(Debug, PartialEq)]
pub(crate) struct CheckSettings {
    /// The rule.
    pub(crate) policy: Policy,
    /// How many of the vantage points are asked, drawn at random; `None` asks all.
    pub(crate) replies: Option<usize>,
    /// The whole check.
    pub(crate) timeout: Duration,
    /// How old a look may be that a vantage point answers with, where it agrees.
    pub(crate) max_age: Duration,
    /// Whether hubs are told private names and addresses.
    pub(crate) tell_private: bool,
}

/// How looks are made.
#[derive(Debug, PartialEq)]
pub(crate) struct LookSettings {
    /// The DNS resolver; `None` is the system's.
    pub(crate) resolver: Option<SocketAddr>,
    /// The local address that looks and DNS questions leave from.
    pub(crate) source: Option<IpAddr>,
    /// The roots that count as public.
    pub(crate) roots: RootsChoice,
    /// Whether DNS answers that authorise keys are validated.
    pub(crate) dnssec: DnssecChoice,
    /// A list of the logs of Certificate Transparency whose timestamps count; `None` knows none.
    pub(crate) ct_logs: Option<PathBuf>,
    /// The ports that a node looks at.
    pub(crate) ports: Ports,
}

/// How a node runs.
#[derive(Debug, PartialEq)]
pub(crate) struct ServeSettings {
    /// The plain listener.
    pub(crate) listen: SocketAddr,
    /// The HTTPS listener.
    pub(crate) listen_tls: SocketAddr,
    /// Where it keeps its identity and its memory.
    pub(crate) data: PathBuf,
    /// The URLs that its descriptor announces; empty leaves it to the node.
    pub(crate) addresses: Vec<String>,
    /// The region it claims.
    pub(crate) region: Option<String>,
    /// The regional Internet registry of its address.
    pub(crate) rir: Option<&'static str>,
    /// Who runs it.
    pub(crate) operator: Option<String>,
    /// Its domain.
    pub(crate) domain: Option<String>,
    /// Whether clients of Perspectives are answered on the plain listener.
    pub(crate) legacy: bool,
    /// Whether it looks at private addresses and any port.
    pub(crate) allow_private: bool,
    /// Whether peers attach to it.
    pub(crate) hub: bool,
    /// How often it looks at every service that it knows; `None` never.
    pub(crate) scan_every: Option<Duration>,
}

/// The whole check, when nobody says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Fewer looks than this decide nothing under `majority`.
const DEFAULT_MIN_VIEWS: usize = 3;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_LISTEN_TLS: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8443);

impl Settings {
    /// Resolves the settings of a command from its flags, the environment and the configuration file.
    pub(crate) fn load(named: Option<&Path>, flags: &[Flag], env: Environment<'_>) -> Result<Self, SettingsError> {
        let (path, must_exist) = layers::choose_file(named, CONFIG_VARIABLE, env)?;
        Self::resolve(flags, env, &File::read(&path, must_exist)?)
    }

    /// Resolves them from a file that was read.
    pub(crate) fn resolve(flags: &[Flag], env: Environment<'_>, file: &File) -> Result<Self, SettingsError> {
        let mut layers = Layers::new(flags, env, file);
        let check = resolve_check(&mut layers, flags)?;
        let look = resolve_look(&mut layers)?;
        let serve = resolve_serve(&mut layers, env)?;
        let mirror = resolve_mirror(&mut layers)?;
        let channel = resolve_channel(&mut layers)?;
        let (path, file_found) = (file.path().to_path_buf(), file.is_found());
        Ok(Self { check, look, serve, mirror, channel, file: path, file_found, shown: layers.into_shown() })
    }

    /// The list of vantage points beside the configuration.
    pub(crate) fn vantages_file(&self) -> PathBuf {
        self.file.with_file_name("vantages.toml")
    }

    /// The user's own key, beside the configuration.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.file.with_file_name("key.pem")
    }

    /// The user's own word, beside the configuration.
    pub(crate) fn accepted_file(&self) -> PathBuf {
        self.file.with_file_name("accepted.toml")
    }
}

fn resolve_check(layers: &mut Layers<'_>, flags: &[Flag]) -> Result<CheckSettings, SettingsError> {
    let name: PolicyName = layers.pick(&keys::POLICY, PolicyName(Policy::NAMES[0]))?;
    let replies = layers.pick_optional(&keys::REPLIES)?;
    let threshold = layers.pick_optional(&keys::THRESHOLD)?;
    let Secs(min_duration) = layers.pick(&keys::MIN_DURATION, Secs(Duration::ZERO))?;
    let min_views = layers.pick(&keys::MIN_VIEWS, DEFAULT_MIN_VIEWS)?;
    let Millis(timeout) = layers.pick(&keys::TIMEOUT, Millis(DEFAULT_TIMEOUT))?;
    let Secs(max_age) = layers.pick(&keys::MAX_AGE, Secs(DEFAULT_MAX_AGE))?;
    let accept_private = layers.pick(&keys::ACCEPT_PRIVATE, false)?;
    let tell_private = layers.pick(&keys::TELL_PRIVATE, false)?;
    let policy = tune(Policy::named(name.0).unwrap_or_default(), threshold, min_duration, min_views, accept_private);
    refuse_stray_flags(&policy, flags)?;
    Ok(CheckSettings { policy, replies, timeout, max_age, tell_private })
}

fn tune(
    policy: Policy,
    share: Option<Share>,
    min_duration: Duration,
    min_views: usize,
    accept_private: bool,
) -> Policy {
    match policy {
        Policy::Evidence { .. } => Policy::Evidence { accept_private },
        Policy::Majority { threshold, .. } => Policy::Majority { threshold: share.unwrap_or(threshold), min_views },
        Policy::Quorum { threshold, .. } => Policy::Quorum { threshold: share.unwrap_or(threshold), min_duration },
        policy @ (Policy::Unanimous | Policy::Mpic) => policy,
    }
}

/// A flag that changes nothing is a misunderstanding; in file and environment it waits for its policy.
fn refuse_stray_flags(policy: &Policy, flags: &[Flag]) -> Result<(), SettingsError> {
    for (key, belongs) in [
        (&keys::THRESHOLD, "majority and quorum"),
        (&keys::MIN_DURATION, "quorum"),
        (&keys::MIN_VIEWS, "majority"),
        (&keys::ACCEPT_PRIVATE, "evidence"),
    ] {
        let policy = policy.name();
        if !belongs.split(" and ").any(|name| name == policy) && flags.iter().any(|(flagged, _)| *flagged == key) {
            return Err(SettingsError::NotOfPolicy { flag: key.flag, policy, belongs });
        }
    }
    Ok(())
}

fn resolve_look(layers: &mut Layers<'_>) -> Result<LookSettings, SettingsError> {
    Ok(LookSettings {
        resolver: layers.pick_optional(&keys::RESOLVER)?,
        source: layers.pick_optional(&keys::SOURCE)?,
        roots: layers.pick(&keys::ROOTS, RootsChoice::Public)?,
        dnssec: layers.pick(&keys::DNSSEC, DnssecChoice::Off)?,
        ct_logs: layers.pick_optional(&keys::CT_LOGS)?,
        ports: layers.pick(&keys::PORTS, Ports::Home)?,
    })
}

fn resolve_serve(layers: &mut Layers<'_>, env: Environment<'_>) -> Result<ServeSettings, SettingsError> {
    Ok(ServeSettings {
        listen: layers.pick(&keys::LISTEN, DEFAULT_LISTEN)?,
        listen_tls: layers.pick(&keys::LISTEN_TLS, DEFAULT_LISTEN_TLS)?,
        data: resolve_data(layers, env)?,
        addresses: layers.pick(&keys::ADDRESSES, Addresses(Vec::new()))?.0,
        region: layers.pick_optional(&keys::REGION)?.map(|Region(region)| region),
        rir: layers.pick_optional(&keys::RIR)?.map(|Registry(rir)| rir),
        operator: layers.pick_optional(&keys::OPERATOR)?.map(|Line(line)| line),
        domain: layers.pick_optional(&keys::DOMAIN)?.map(|Line(line)| line),
        legacy: layers.pick(&keys::LEGACY, Switch(true))?.0,
        allow_private: layers.pick(&keys::ALLOW_PRIVATE, false)?,
        hub: layers.pick(&keys::ROLES, Roles::default())?.hub,
        scan_every: Some(layers.pick(&keys::SCAN_EVERY, Secs(Duration::ZERO))?.0).filter(|every| !every.is_zero()),
    })
}

/// Every time of the rules goes with the length of the day.
fn resolve_mirror(layers: &mut Layers<'_>) -> Result<MirrorSettings, SettingsError> {
    let default = MirrorSettings::default();
    let Day(day) = layers.pick(&keys::MIRROR_DAY, Day(default.rules.day))?;
    let quizzes = layers.pick(&keys::MIRROR_QUIZZES, usize::from(default.rules.candidate_quizzes))?;
    let Secs(quiz_max_age) = layers.pick(&keys::MIRROR_MAX_AGE, Secs(default.quiz_max_age))?;
    let clients_a_name = layers.pick(&keys::MIRROR_CLIENTS, default.rules.clients_a_name)?;
    let Popular(popular) = layers.pick(&keys::MIRROR_POPULAR, Popular(default.popular))?;
    let by = default.rules.day.as_secs() / day.as_secs().max(1);
    let rules = Rules {
        candidate_quizzes: u16::try_from(quizzes).unwrap_or(u16::MAX),
        clients_a_name,
        ..Rules::compressed(u32::try_from(by).unwrap_or(u32::MAX))
    };
    Ok(MirrorSettings { rules, popular, quiz_max_age, ..MirrorSettings::default() })
}

fn resolve_channel(layers: &mut Layers<'_>) -> Result<ChannelSettings, SettingsError> {
    let mut rules = ServerSettings::default();
    rules.open = layers.pick(&keys::CHANNEL_OPEN, rules.open)?;
    let Secs(lifetime) = layers.pick(&keys::CHANNEL_LIFETIME, Secs(rules.lifetime))?;
    let Secs(idle) = layers.pick(&keys::CHANNEL_IDLE, Secs(rules.limits.idle()))?;
    rules.channels_per_key = layers.pick(&keys::CHANNEL_PER_KEY, rules.channels_per_key)?;
    rules.lifetime = lifetime;
    rules.limits.idle_secs = idle.as_secs();
    Ok(ChannelSettings { rules })
}

fn resolve_data(layers: &mut Layers<'_>, env: Environment<'_>) -> Result<PathBuf, SettingsError> {
    match layers.pick_optional(&keys::DATA)? {
        Some(path) => Ok(path),
        None => paths::data_directory(env),
    }
}

#[cfg(test)]
mod tests;
