//! Every key of the configuration with its environment variable. `etc/parallax.toml` explains them to people.

/// A key of the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Section and name in the file, such as `check.timeout_ms`.
    pub(crate) path: &'static str,
    /// The environment variable.
    pub(crate) variable: &'static str,
    /// The flag, such as `--timeout`; empty when there is none.
    pub(crate) flag: &'static str,
    /// What an empty value means; empty when the value can't be.
    pub(crate) empty: &'static str,
}

impl Key {
    /// The section of the file.
    pub(crate) fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }

    /// The name within its section.
    pub(crate) fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }
}

const fn key(path: &'static str, variable: &'static str, flag: &'static str, empty: &'static str) -> Key {
    Key { path, variable, flag, empty }
}

/// The configuration file itself; has a flag (`--config`) and a variable, but no key.
pub(crate) const CONFIG_VARIABLE: &str = "PARALLAX_CONFIG";

/// What is logged to standard error, as in `RUST_LOG`, over which it wins.
pub(crate) const LOG_VARIABLE: &str = "PARALLAX_LOG";

/// The rule that turns evidence into a verdict.
pub(crate) const POLICY: Key = key("check.policy", "PARALLAX_POLICY", "--policy", "");
/// How many of the vantage points are asked.
pub(crate) const REPLIES: Key =
    key("check.replies", "PARALLAX_REPLIES", "--replies", "the policy's own: majority 5, the others ask all");
/// The share of looks that is enough.
pub(crate) const THRESHOLD: Key =
    key("check.threshold", "PARALLAX_THRESHOLD", "--threshold", "the policy's own: majority 0.5, quorum 0.75");
/// For how long the quorum must have held.
pub(crate) const MIN_DURATION: Key = key("check.min_duration_secs", "PARALLAX_MIN_DURATION", "--min-duration", "");
/// Fewer looks than this decide nothing.
pub(crate) const MIN_VIEWS: Key = key("check.min_views", "PARALLAX_MIN_VIEWS", "--min-views", "");
/// The whole check.
pub(crate) const TIMEOUT: Key = key("check.timeout_ms", "PARALLAX_TIMEOUT", "--timeout", "");
/// How old a look may be that a vantage point answers with.
pub(crate) const MAX_AGE: Key = key("check.max_age_secs", "PARALLAX_MAX_AGE", "--max-age", "");
/// Whether a private key that most remember long is trusted.
pub(crate) const ACCEPT_PRIVATE: Key = key("check.accept_private", "PARALLAX_ACCEPT_PRIVATE", "--accept-private", "");

/// Whether hubs are told private names and addresses.
pub(crate) const TELL_PRIVATE: Key = key("check.allow_private", "PARALLAX_CHECK_ALLOW_PRIVATE", "--allow-private", "");

/// Where the keys stand that are a domain's own.
pub(crate) const DOMAIN_SECTION: &str = "check.domains";

/// The keys that a domain may have of its own: those that make the rule.
pub(crate) const OF_DOMAINS: [&Key; 6] = [&POLICY, &REPLIES, &THRESHOLD, &MIN_DURATION, &MIN_VIEWS, &ACCEPT_PRIVATE];

/// The DNS resolver.
pub(crate) const RESOLVER: Key = key("look.resolver", "PARALLAX_RESOLVER", "--resolver", "the system's resolvers");
/// The local address that looks and DNS questions leave from.
pub(crate) const SOURCE: Key = key("look.source", "PARALLAX_SOURCE", "--source", "the system chooses");
/// The roots that count as public.
pub(crate) const ROOTS: Key = key("look.roots", "PARALLAX_ROOTS", "--roots", "");
/// Whether DNS answers that authorise keys are validated.
pub(crate) const DNSSEC: Key = key("look.dnssec", "PARALLAX_DNSSEC", "", "");
/// The logs of Certificate Transparency whose timestamps count.
pub(crate) const CT_LOGS: Key = key("look.ct_logs", "PARALLAX_CT_LOGS", "", "no log is known");
/// The ports that a node looks at.
pub(crate) const PORTS: Key = key("look.ports", "PARALLAX_PORTS", "", "");

/// Whether the interactive shell keeps on disk what is typed.
pub(crate) const SHELL_HISTORY: Key = key("shell.history", "PARALLAX_SHELL_HISTORY", "--history", "");

/// The plain listener.
pub(crate) const LISTEN: Key = key("serve.listen", "PARALLAX_LISTEN", "--listen", "");
/// The HTTPS listener.
pub(crate) const LISTEN_TLS: Key = key("serve.listen_tls", "PARALLAX_LISTEN_TLS", "--listen-tls", "");
/// Where a node keeps its identity and its memory.
pub(crate) const DATA: Key = key("serve.data", "PARALLAX_DATA", "--data", "$XDG_DATA_HOME/parallax");
/// The URLs that its descriptor announces.
pub(crate) const ADDRESSES: Key = key("serve.addresses", "PARALLAX_ADDRESSES", "", "");
/// The region that the node claims.
pub(crate) const REGION: Key = key("serve.region", "PARALLAX_REGION", "--region", "none is claimed");
/// The regional Internet registry of its address.
pub(crate) const RIR: Key = key("serve.rir", "PARALLAX_RIR", "--rir", "none is claimed");
/// Who runs it.
pub(crate) const OPERATOR: Key = key("serve.operator", "PARALLAX_OPERATOR", "--operator", "none is named");
/// Its domain.
pub(crate) const DOMAIN: Key = key("serve.domain", "PARALLAX_DOMAIN", "--domain", "none is named");
/// Whether clients of Perspectives are answered.
pub(crate) const LEGACY: Key = key("serve.legacy", "PARALLAX_LEGACY", "--legacy", "");
/// Whether the node looks at private addresses and any port.
pub(crate) const ALLOW_PRIVATE: Key = key("serve.allow_private", "PARALLAX_ALLOW_PRIVATE", "--allow-private", "");
/// What the node is besides a notary and a mirror.
pub(crate) const ROLES: Key = key("serve.roles", "PARALLAX_ROLES", "--role", "");
/// The message queue that channels are served on.
pub(crate) const BUS: Key = key("serve.bus", "PARALLAX_BUS", "--bus", "no queue");
/// The credentials that open it.
pub(crate) const BUS_CREDENTIALS: Key =
    key("serve.bus_credentials", "PARALLAX_BUS_CREDENTIALS", "--bus-credentials", "none, or those in the URL");
/// The authorities that sign its certificate.
pub(crate) const BUS_CA: Key = key("serve.bus_ca", "PARALLAX_BUS_CA", "--bus-ca", "those of the system");
/// The secret of the hubs that share their peers.
pub(crate) const HUB_GROUP: Key =
    key("serve.hub_group", "PARALLAX_HUB_GROUP", "--hub-group", "this hub's peers are its own");
/// How often a node looks at every service that it knows.
pub(crate) const SCAN_EVERY: Key = key("serve.scan_every_secs", "PARALLAX_SCAN_EVERY", "--scan-every", "");

/// What counts as a day in the federation.
pub(crate) const MIRROR_DAY: Key = key("mirror.day_secs", "PARALLAX_MIRROR_DAY", "", "");
/// Quizzes that a candidate takes from each tester.
pub(crate) const MIRROR_QUIZZES: Key = key("mirror.quizzes", "PARALLAX_MIRROR_QUIZZES", "", "");
/// Over which time they are spread.
pub(crate) const MIRROR_CANDIDATE: Key =
    key("mirror.candidate_secs", "PARALLAX_MIRROR_CANDIDATE", "", "it goes with day_secs");
/// Over which time the quizzes of one that has drawn attention are spread.
pub(crate) const MIRROR_SUSPECT: Key =
    key("mirror.suspect_secs", "PARALLAX_MIRROR_SUSPECT", "", "it goes with day_secs");
/// When a dissent is judged by a later look.
pub(crate) const MIRROR_RECHECK: Key =
    key("mirror.recheck_secs", "PARALLAX_MIRROR_RECHECK", "", "it goes with day_secs");
/// How long votes are waited for.
pub(crate) const MIRROR_VOTE: Key = key("mirror.vote_secs", "PARALLAX_MIRROR_VOTE", "", "it goes with day_secs");
/// The first retest of one that fell.
pub(crate) const MIRROR_RETEST: Key = key("mirror.retest_secs", "PARALLAX_MIRROR_RETEST", "", "it goes with day_secs");
/// How often another's list is fetched.
pub(crate) const MIRROR_LIST: Key = key("mirror.list_secs", "PARALLAX_MIRROR_LIST", "", "it goes with day_secs");
/// When a name that clients asked for is replayed at the earliest.
pub(crate) const MIRROR_NAME_DELAY: Key =
    key("mirror.name_delay_secs", "PARALLAX_MIRROR_NAME_DELAY", "", "it goes with day_secs");
/// A slower ping is noticed.
pub(crate) const MIRROR_PING: Key = key("mirror.most_ping_ms", "PARALLAX_MIRROR_PING", "", "");
/// A slower answer is noticed.
pub(crate) const MIRROR_RESPONSE: Key = key("mirror.most_response_ms", "PARALLAX_MIRROR_RESPONSE", "", "");
/// Messages of the federation a day.
pub(crate) const MIRROR_MESSAGES: Key = key("mirror.messages_a_day", "PARALLAX_MIRROR_MESSAGES", "", "");
/// Health checks a day.
pub(crate) const MIRROR_VISITS: Key = key("mirror.visits_a_day", "PARALLAX_MIRROR_VISITS", "", "");
/// How old the look of a quizzed view may be.
pub(crate) const MIRROR_MAX_AGE: Key = key("mirror.max_age_secs", "PARALLAX_MIRROR_MAX_AGE", "", "");
/// Source networks that must have asked for a name before it is replayed.
pub(crate) const MIRROR_CLIENTS: Key = key("mirror.clients_a_name", "PARALLAX_MIRROR_CLIENTS", "", "");
/// What quizzes ask for besides the names of clients.
pub(crate) const MIRROR_POPULAR: Key = key("mirror.popular", "PARALLAX_MIRROR_POPULAR", "", "");
/// Whether a mirror that falls in the node's list is told.
pub(crate) const MIRROR_NOTICES: Key = key("mirror.notices", "PARALLAX_MIRROR_NOTICES", "", "");
/// Whether mirrors are told, after a check, what the others answered.
pub(crate) const MIRROR_REPORTS: Key = key("mirror.reports", "PARALLAX_MIRROR_REPORTS", "--no-reports", "");
/// How old the list of mirrors gets before it is asked for again.
pub(crate) const MIRROR_REFRESH: Key = key("mirror.refresh_secs", "PARALLAX_MIRROR_REFRESH", "", "");

/// Whether any key may open a channel.
pub(crate) const CHANNEL_OPEN: Key = key("channel.open", "PARALLAX_CHANNEL_OPEN", "", "");
/// How long a channel lasts.
pub(crate) const CHANNEL_LIFETIME: Key = key("channel.lifetime_secs", "PARALLAX_CHANNEL_LIFETIME", "", "");
/// How long a channel may rest.
pub(crate) const CHANNEL_IDLE: Key = key("channel.idle_secs", "PARALLAX_CHANNEL_IDLE", "", "");
/// Channels of one key.
pub(crate) const CHANNEL_PER_KEY: Key = key("channel.per_key", "PARALLAX_CHANNEL_PER_KEY", "", "");

/// Where mails of a janus go.
pub(crate) const JANUS_SMTP: Key =
    key("janus.smtp", "PARALLAX_JANUS_SMTP", "", "it is to be named where the role janus is on");
/// Who logs in at the mail server.
pub(crate) const JANUS_SMTP_USER: Key = key("janus.smtp_user", "PARALLAX_JANUS_SMTP_USER", "", "nobody logs in");
/// The file with the password.
pub(crate) const JANUS_SMTP_PASSWORD_FILE: Key =
    key("janus.smtp_password_file", "PARALLAX_JANUS_SMTP_PASSWORD_FILE", "", "nobody logs in");
/// The password itself; a variable alone, so that nothing that is shown or kept holds it.
pub(crate) const JANUS_SMTP_PASSWORD_VARIABLE: &str = "PARALLAX_JANUS_SMTP_PASSWORD";
/// The roots that the mail server's certificate may lead to.
pub(crate) const JANUS_SMTP_ROOTS: Key =
    key("janus.smtp_roots", "PARALLAX_JANUS_SMTP_ROOTS", "", "those that Mozilla ships");
/// Whom mails are from.
pub(crate) const JANUS_FROM: Key =
    key("janus.from", "PARALLAX_JANUS_FROM", "", "it is to be named where mails are sent");
/// Whether the mailbox is proved before a certificate is made.
pub(crate) const JANUS_FLOW: Key = key("janus.flow", "PARALLAX_JANUS_FLOW", "", "");
/// How long a certificate lives.
pub(crate) const JANUS_LIFE: Key = key("janus.certificate_life_secs", "PARALLAX_JANUS_CERTIFICATE_LIFE", "", "");
/// Mails to one address in an hour.
pub(crate) const JANUS_ADDRESS_HOUR: Key = key("janus.mails_an_hour", "PARALLAX_JANUS_MAILS_AN_HOUR", "", "");
/// Mails to one address in a day.
pub(crate) const JANUS_ADDRESS_DAY: Key = key("janus.mails_a_day", "PARALLAX_JANUS_MAILS_A_DAY", "", "");
/// Orders of one network in an hour.
pub(crate) const JANUS_NETWORK_HOUR: Key = key("janus.orders_a_network", "PARALLAX_JANUS_ORDERS_A_NETWORK", "", "");
/// Nodes whose certificates count too.
pub(crate) const JANUS_BELIEVE: Key = key("janus.believe", "PARALLAX_JANUS_BELIEVE", "", "");
/// How often their deny lists are fetched.
pub(crate) const JANUS_BELIEVE_REFRESH: Key =
    key("janus.believe_refresh_secs", "PARALLAX_JANUS_BELIEVE_REFRESH", "", "");
/// Orders in an hour, from wherever.
pub(crate) const JANUS_OVERALL_HOUR: Key = key("janus.orders_an_hour", "PARALLAX_JANUS_ORDERS_AN_HOUR", "", "");

/// The mailbox that is acted for at hubs.
pub(crate) const ID_MAILBOX: Key = key("id.mailbox", "PARALLAX_ID", "--id", "");
/// The node that certifies the user's mailboxes.
pub(crate) const ID_JANUS: Key = key("id.janus", "PARALLAX_ID_JANUS", "--janus", "the one that was asked before");

/// All of them, in the order of the file.
pub(crate) const ALL: &[&Key] = &[
    &POLICY,
    &REPLIES,
    &THRESHOLD,
    &MIN_DURATION,
    &MIN_VIEWS,
    &TIMEOUT,
    &MAX_AGE,
    &ACCEPT_PRIVATE,
    &TELL_PRIVATE,
    &RESOLVER,
    &SOURCE,
    &ROOTS,
    &DNSSEC,
    &CT_LOGS,
    &PORTS,
    &SHELL_HISTORY,
    &LISTEN,
    &LISTEN_TLS,
    &DATA,
    &ADDRESSES,
    &REGION,
    &RIR,
    &OPERATOR,
    &DOMAIN,
    &LEGACY,
    &ALLOW_PRIVATE,
    &ROLES,
    &SCAN_EVERY,
    &BUS,
    &BUS_CREDENTIALS,
    &BUS_CA,
    &HUB_GROUP,
    &MIRROR_DAY,
    &MIRROR_QUIZZES,
    &MIRROR_CANDIDATE,
    &MIRROR_SUSPECT,
    &MIRROR_RECHECK,
    &MIRROR_VOTE,
    &MIRROR_RETEST,
    &MIRROR_LIST,
    &MIRROR_NAME_DELAY,
    &MIRROR_PING,
    &MIRROR_RESPONSE,
    &MIRROR_MESSAGES,
    &MIRROR_VISITS,
    &MIRROR_MAX_AGE,
    &MIRROR_CLIENTS,
    &MIRROR_POPULAR,
    &MIRROR_NOTICES,
    &MIRROR_REPORTS,
    &MIRROR_REFRESH,
    &CHANNEL_OPEN,
    &CHANNEL_LIFETIME,
    &CHANNEL_IDLE,
    &CHANNEL_PER_KEY,
    &JANUS_SMTP,
    &JANUS_SMTP_USER,
    &JANUS_SMTP_PASSWORD_FILE,
    &JANUS_SMTP_ROOTS,
    &JANUS_FROM,
    &JANUS_FLOW,
    &JANUS_LIFE,
    &JANUS_ADDRESS_HOUR,
    &JANUS_ADDRESS_DAY,
    &JANUS_NETWORK_HOUR,
    &JANUS_OVERALL_HOUR,
    &JANUS_BELIEVE,
    &JANUS_BELIEVE_REFRESH,
    &ID_JANUS,
    &ID_MAILBOX,
];
