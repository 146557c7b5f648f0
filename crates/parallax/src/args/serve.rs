//! `serve`: a node.

use clap::{Args, ValueHint};

use super::{LookArgs, flags};
use crate::settings::{self, Flag};

const AFTER_SERVE: &str = "\
When the node is ready it prints one line on standard output:
  ready http=ADDR https=ADDR vantage=ID
It stops within 5 seconds of SIGTERM or SIGINT. PARALLAX_LOG says what is logged
to standard error, as in RUST_LOG: error, warn, info (the default), debug.

Examples:
  parallax serve --region eu-west
  parallax serve --role hub
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

    /// Be this too, besides a notary and a mirror: hub, janus (repeatable)
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,

    /// Look at every known service once in this time, such as 12h [default: never]
    #[arg(long, value_name = "TIME")]
    scan_every: Option<String>,

    /// Serve channels on this message queue too, such as nats://127.0.0.1:4222,
    /// tls://USER:PASSWORD@HOST:PORT (others see flags: better a variable or the file)
    #[arg(long, value_name = "URL")]
    bus: Option<String>,

    /// Open the queue with this credentials file of NATS
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    bus_credentials: Option<String>,

    /// Trust these authorities (PEM) for the queue's TLS, besides the system's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    bus_ca: Option<String>,

    /// Share peers, over the queue, with the hubs that know the secret in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    hub_group: Option<String>,

    #[command(flatten)]
    look: LookArgs,
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
            (&settings::ROLES, &(!self.role.is_empty()).then(|| self.role.join(","))),
            (&settings::SCAN_EVERY, &self.scan_every),
            (&settings::BUS, &self.bus),
            (&settings::BUS_CREDENTIALS, &self.bus_credentials),
            (&settings::BUS_CA, &self.bus_ca),
            (&settings::HUB_GROUP, &self.hub_group),
        ]);
        [own, self.look.flags()].concat()
    }
}
