//! From raw arguments to resolved settings: flag, then environment, then file, then default.

mod check;
mod duration;
mod file;
mod janus;
mod keys;
mod layers;
mod paths;
mod values;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parallax_client::{Mailbox, QueueAccess, QueueUrl, VantageUrl};
use parallax_core::Policy;
use parallax_node::{BelieveSettings, BusSettings, ChannelSettings, MirrorSettings};
use parallax_proto::channel::ServerSettings;
use parallax_proto::mirror::Settings as Rules;

pub(crate) use check::{CheckSettings, DomainSettings, canonical};
pub(crate) use duration::parse as parse_duration;
pub(crate) use file::{File, domain_key};
pub(crate) use janus::JanusChoices;
pub(crate) use keys::{
    ACCEPT_PRIVATE, ALLOW_PRIVATE, BUS, BUS_CA, BUS_CREDENTIALS, CONFIG_VARIABLE, DATA, DOMAIN, HUB_GROUP, ID_JANUS,
    ID_MAILBOX, JANUS_SMTP_PASSWORD_VARIABLE, Key, LEGACY, LISTEN, LISTEN_TLS, LOG_VARIABLE, MAX_AGE, MIN_DURATION,
    MIN_VIEWS, MIRROR_REPORTS, OPERATOR, POLICY, REGION, REPLIES, RESOLVER, RIR, ROLES, ROOTS, SCAN_EVERY,
    SHELL_HISTORY, SOURCE, TELL_PRIVATE, THRESHOLD, TIMEOUT,
};
pub(crate) use layers::{Flag, Origin, Shown, is_within};
pub(crate) use paths::Environment;
pub(crate) use values::{DnssecChoice, NOBODY, Ports, RootsChoice};

use layers::Layers;
use values::{
    ADay, ActsFor, Addresses, Believed, Day, Line, Millis, Pinned, Popular, Region, Registry, Roles, Secs, Switch,
};

/// Why there are no settings. One sentence each, with the place and what would be right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{origin}: {why}")]
    Bad { origin: Origin, why: String },
    #[error("{} line {line}: {key}: {why}", file.display())]
    BadKey { file: PathBuf, line: usize, key: String, why: String },
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
    #[error("--hub-group (serve.hub_group) shares peers over a message queue: name that with --bus (serve.bus)")]
    GroupWithoutBus,
    #[error("{flag} has no meaning under the policy {policy}; it belongs to {belongs}")]
    NotOfPolicy { flag: &'static str, policy: &'static str, belongs: &'static str },
}

/// Everything that is in force.
#[derive(Debug)]
pub(crate) struct Settings {
    /// How a check decides.
    pub(crate) check: CheckSettings,
    /// How a check of certain domains does, in the order of their names.
    pub(crate) domains: Vec<DomainSettings>,
    /// How looks are made.
    pub(crate) look: LookSettings,
    /// How the interactive shell behaves.
    pub(crate) shell: ShellSettings,
    /// How a node runs.
    pub(crate) serve: ServeSettings,
    /// How a node takes part in the federation.
    pub(crate) mirror: MirrorSettings,
    /// How a user's checks ask the federation.
    pub(crate) federation: FederationSettings,
    /// Who gets a channel from a node.
    pub(crate) channel: ChannelSettings,
    /// How a node certifies mailboxes.
    pub(crate) janus: JanusChoices,
    /// Whose certificates count at a node besides its own.
    pub(crate) believe: BelieveSettings,
    /// The mailbox that is acted for at hubs; nobody's unless the user says so.
    pub(crate) id_mailbox: Option<Mailbox>,
    /// The node that certifies the user's mailboxes, where one is named.
    pub(crate) id_janus: Option<VantageUrl>,
    /// The configuration file, there or not.
    pub(crate) file: PathBuf,
    /// Whether it is there.
    pub(crate) file_found: bool,
    /// Each key as it is in force.
    pub(crate) shown: Vec<Shown>,
    flags: Vec<Flag>,
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

/// How the interactive shell behaves.
#[derive(Debug, PartialEq)]
pub(crate) struct ShellSettings {
    /// Whether what is typed is kept on disk.
    pub(crate) history: bool,
    /// Where it is, or would be.
    pub(crate) history_file: PathBuf,
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
    /// What it is besides a notary and a mirror.
    pub(crate) roles: Roles,
    /// How often it looks at every service that it knows; `None` never.
    pub(crate) scan_every: Option<Duration>,
    /// The message queue that channels are served on; `None` is none.
    pub(crate) bus: Option<BusSettings>,
}

/// How a user's checks ask the federation.
#[derive(Debug, PartialEq)]
pub(crate) struct FederationSettings {
    /// Whether mirrors are told, after a check, what the others answered.
    pub(crate) reports: bool,
    /// How old the list gets before it is asked for again after a check; `None` never.
    pub(crate) refresh: Option<Duration>,
}

/// How old the list of mirrors gets.
const DEFAULT_REFRESH: Duration = Duration::from_secs(86_400);

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_LISTEN_TLS: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8443);

impl Settings {
    /// Resolves the settings of a command from its flags, the environment and the configuration file.
    pub(crate) fn load(named: Option<&Path>, flags: &[Flag], env: Environment<'_>) -> Result<Self, SettingsError> {
        Self::resolve(Policy::NAMES[0], flags, env, &read_file(named, env)?)
    }

    /// Resolves them from a file that was read; `usual` is the policy when nobody names one.
    pub(crate) fn resolve(
        usual: &'static str,
        flags: &[Flag],
        env: Environment<'_>,
        file: &File,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::new(flags, env, file);
        let check = check::resolve(&mut layers, usual)?;
        let domains = check::resolve_domains(flags, env, file, usual)?;
        let policies = std::iter::once(&check).chain(domains.iter().map(|domain| &domain.check));
        check::refuse_stray_flags(&policies.map(|check| &check.policy).collect::<Vec<_>>(), flags)?;
        let look = resolve_look(&mut layers)?;
        let shell = resolve_shell(&mut layers, env)?;
        let serve = resolve_serve(&mut layers, env)?;
        let mirror = resolve_mirror(&mut layers)?;
        let federation = FederationSettings {
            reports: layers.pick(&keys::MIRROR_REPORTS, true)?,
            refresh: Some(layers.pick(&keys::MIRROR_REFRESH, Secs(DEFAULT_REFRESH))?.0).filter(|age| !age.is_zero()),
        };
        let channel = resolve_channel(&mut layers)?;
        let janus = janus::resolve(&mut layers)?;
        let believe = BelieveSettings {
            nodes: layers.pick(&keys::JANUS_BELIEVE, Believed(Vec::new()))?.0,
            refresh: layers.pick(&keys::JANUS_BELIEVE_REFRESH, Secs(BelieveSettings::default().refresh))?.0,
        };
        let id_janus = layers.pick_optional(&keys::ID_JANUS)?.map(|Pinned(url)| url);
        let ActsFor(id_mailbox) = layers.pick(&keys::ID_MAILBOX, ActsFor(None))?;
        let (path, file_found) = (file.path().to_path_buf(), file.is_found());
        let (shown, flags) = (layers.into_shown(), flags.to_vec());
        Ok(Self {
            check,
            domains,
            look,
            shell,
            serve,
            mirror,
            federation,
            channel,
            janus,
            id_janus,
            id_mailbox,
            believe,
            file: path,
            file_found,
            shown,
            flags,
        })
    }

    /// How a check of this host decides: as the nearest domain says, else as for all.
    pub(crate) fn check_of(&self, host: &str) -> &CheckSettings {
        check::nearest(&self.domains, host).map_or(&self.check, |domain| &domain.check)
    }

    /// The same where this host is all that a command is about: a flag that changes nothing for it is refused.
    pub(crate) fn check_of_one(&self, host: &str) -> Result<&CheckSettings, SettingsError> {
        let check = self.check_of(host);
        check::refuse_stray_flags(&[&check.policy], &self.flags)?;
        Ok(check)
    }

    /// Where the value of a key comes from that decides about this host.
    pub(crate) fn origin_of(&self, host: &str, key: &Key) -> Option<&Origin> {
        let of_all = || check::origin_of(&self.shown, key);
        check::nearest(&self.domains, host).map_or_else(of_all, |domain| domain.origin_of(key))
    }

    /// The list of vantage points beside the configuration.
    pub(crate) fn vantages_file(&self) -> PathBuf {
        self.file.with_file_name("vantages.toml")
    }

    /// The mirrors of the federation that this user knows, beside the configuration.
    pub(crate) fn mirrors_file(&self) -> PathBuf {
        self.file.with_file_name("mirrors.json")
    }

    /// The user's own key, beside the configuration.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.file.with_file_name("key.pem")
    }

    /// The user's mailbox identities, beside the configuration.
    pub(crate) fn identities_directory(&self) -> PathBuf {
        self.file.with_file_name("id")
    }

    /// The user's own word, beside the configuration.
    pub(crate) fn accepted_file(&self) -> PathBuf {
        self.file.with_file_name("accepted.toml")
    }
}

/// Reads the configuration file: the one that was named, else the usual one.
pub(crate) fn read_file(named: Option<&Path>, env: Environment<'_>) -> Result<File, SettingsError> {
    let (path, must_exist) = layers::choose_file(named, CONFIG_VARIABLE, env)?;
    File::read(&path, must_exist)
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

fn resolve_shell(layers: &mut Layers<'_>, env: Environment<'_>) -> Result<ShellSettings, SettingsError> {
    let Switch(history) = layers.pick(&keys::SHELL_HISTORY, Switch(false))?;
    Ok(ShellSettings { history, history_file: paths::state_directory(env)?.join("shell-history") })
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
        roles: layers.pick(&keys::ROLES, Roles::default())?,
        scan_every: Some(layers.pick(&keys::SCAN_EVERY, Secs(Duration::ZERO))?.0).filter(|every| !every.is_zero()),
        bus: resolve_bus(layers)?,
    })
}

fn resolve_bus(layers: &mut Layers<'_>) -> Result<Option<BusSettings>, SettingsError> {
    let url: Option<QueueUrl> = layers.pick_optional(&keys::BUS)?;
    let credentials: Option<PathBuf> = layers.pick_optional(&keys::BUS_CREDENTIALS)?;
    let ca: Option<PathBuf> = layers.pick_optional(&keys::BUS_CA)?;
    let group: Option<PathBuf> = layers.pick_optional(&keys::HUB_GROUP)?;
    if url.is_none() && group.is_some() {
        return Err(SettingsError::GroupWithoutBus);
    }
    Ok(url.map(|url| BusSettings { url, access: QueueAccess { credentials, ca }, group }))
}

/// Every time of the rules goes with the length of the day, unless it is named itself.
fn resolve_mirror(layers: &mut Layers<'_>) -> Result<MirrorSettings, SettingsError> {
    let default = MirrorSettings::default();
    let Day(day) = layers.pick(&keys::MIRROR_DAY, Day(default.rules.day))?;
    let quizzes = layers.pick(&keys::MIRROR_QUIZZES, usize::from(default.rules.candidate_quizzes))?;
    let by = default.rules.day.as_secs() / day.as_secs().max(1);
    let mut rules = Rules::compressed(u32::try_from(by).unwrap_or(u32::MAX));
    rules.candidate_quizzes = u16::try_from(quizzes).unwrap_or(u16::MAX);
    for (key, time) in [
        (&keys::MIRROR_CANDIDATE, &mut rules.candidate_time),
        (&keys::MIRROR_SUSPECT, &mut rules.suspect_time),
        (&keys::MIRROR_RECHECK, &mut rules.recheck_after),
        (&keys::MIRROR_VOTE, &mut rules.vote_time),
        (&keys::MIRROR_RETEST, &mut rules.retest_first),
        (&keys::MIRROR_LIST, &mut rules.list_every),
        (&keys::MIRROR_NAME_DELAY, &mut rules.name_delay),
    ] {
        let named: Option<Secs> = layers.pick_optional(key)?;
        *time = named.map_or(*time, |Secs(named)| named);
    }
    rules.retest_longest = rules.retest_longest.max(rules.retest_first);
    rules.most_ping = layers.pick(&keys::MIRROR_PING, Millis(rules.most_ping))?.0;
    rules.most_response = layers.pick(&keys::MIRROR_RESPONSE, Millis(rules.most_response))?.0;
    rules.messages_a_day = layers.pick(&keys::MIRROR_MESSAGES, ADay(rules.messages_a_day))?.0;
    rules.visits_a_day = layers.pick(&keys::MIRROR_VISITS, ADay(rules.visits_a_day))?.0;
    let Secs(quiz_max_age) = layers.pick(&keys::MIRROR_MAX_AGE, Secs(default.quiz_max_age))?;
    rules.clients_a_name = layers.pick(&keys::MIRROR_CLIENTS, default.rules.clients_a_name)?;
    let Popular(popular) = layers.pick(&keys::MIRROR_POPULAR, Popular(default.popular))?;
    let notices = layers.pick(&keys::MIRROR_NOTICES, default.notices)?;
    Ok(MirrorSettings { rules, popular, quiz_max_age, notices, ..MirrorSettings::default() })
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
