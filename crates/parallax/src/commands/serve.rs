//! `parallax serve`: run a node until it is told to stop.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use parallax_core::plainly;
use parallax_node::{JanusSettings, MailRoute, Node, NodeError, NodeSettings, Secret};
use parallax_probe::{ProbeSettings, TargetPolicy};
use parallax_proto::hub::HubSettings;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{looking, settings};
use crate::args::ServeArgs;
use crate::failure::{DONE, Failure};
use crate::settings::{JANUS_SMTP_PASSWORD_VARIABLE, JanusChoices, Ports, ServeSettings, Settings};
use crate::{logs, output};

/// A node stops within this time, or is left to end with the process.
const STOPPING: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) fn run(args: &ServeArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    logs::start("info")?;
    let node = node_settings(&settings)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::not_done(format!("this machine gives no runtime: {}", plainly(&error))))?;
    let done = runtime.block_on(serve(node));
    // What still holds a thread, a name lookup say, is not waited for.
    runtime.shutdown_background();
    done
}

async fn serve(settings: NodeSettings) -> Result<u8, Failure> {
    let unheard = |error: io::Error| Failure::not_done(format!("signals can't be heard: {}", plainly(&error)));
    let mut stops = Stops::listen().map_err(unheard)?;
    let node = tokio::select! {
        node = Node::start(settings) => node.map_err(not_started)?,
        () = stops.next() => return Ok(DONE),
    };
    announce(&node);
    stops.next().await;
    tracing::info!("stopping; a second signal ends it at once");
    tokio::select! {
        stopped = tokio::time::timeout(STOPPING, node.shutdown()) => match stopped {
            Ok(Ok(())) => Ok(DONE),
            Ok(Err(error)) => Err(Failure::not_done(error)),
            Err(_) => Err(Failure::not_done("the node did not stop within 5 s; it was left behind")),
        },
        () = stops.next() => Err(Failure::not_done("stopped at once by a second signal")),
    }
}

/// The line that scripts wait for. A node whose reader has gone serves on.
fn announce(node: &Node) {
    let address = |at: Option<std::net::SocketAddr>| at.map_or_else(|| "off".to_owned(), |at| at.to_string());
    let (http, https) = (address(node.http()), address(node.https()));
    if output::print_raw(format!("ready http={http} https={https} vantage={}\n", node.vantage()).as_bytes()).is_err() {
        tracing::warn!("nobody reads standard output");
    }
}

fn not_started(error: NodeError) -> Failure {
    match error {
        NodeError::Setting { .. } | NodeError::Probe(_) => Failure::usage(error),
        error => Failure::not_done(error),
    }
}

/// SIGTERM and SIGINT.
pub(super) struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn node_settings(settings: &Settings) -> Result<NodeSettings, Failure> {
    let serve = &settings.serve;
    let probe = looking::probe_settings(&settings.look)?;
    Ok(NodeSettings {
        listen: Some(serve.listen),
        listen_tls: Some(serve.listen_tls),
        addresses: serve.addresses.clone(),
        region: serve.region.clone(),
        rir: serve.rir.map(str::to_owned),
        operator: serve.operator.clone(),
        domain: serve.domain.clone(),
        legacy: serve.legacy,
        believe: settings.believe.clone(),
        scan_every: serve.scan_every,
        bus: serve.bus.clone(),
        mirror: settings.mirror.clone(),
        hub: serve.roles.hub.then(|| hub_settings(serve)),
        janus: serve.roles.janus.then(|| janus_settings(&settings.janus)).transpose()?,
        channel: settings.channel.clone(),
        probe: ProbeSettings { targets: targets(serve, &settings.look.ports), ..probe },
        ..NodeSettings::new(serve.data.clone())
    })
}

/// In a lab all peers are of one network.
fn hub_settings(serve: &ServeSettings) -> HubSettings {
    let default = HubSettings::default();
    HubSettings { views_a_network: default.views_a_network.filter(|_| !serve.allow_private), ..default }
}

/// What the configuration says, with the password.
fn janus_settings(choices: &JanusChoices) -> Result<JanusSettings, Failure> {
    let missing = "--role janus has to know where mails go; name it with janus.smtp in the configuration or \
                   PARALLAX_JANUS_SMTP, such as smtp://mail.example.com, or maildir:DIR to try it out";
    let mut node = choices.node.clone().ok_or_else(|| Failure::usage(missing))?;
    if let MailRoute::Smtp(smtp) = &mut node.mail {
        if !choices.from_is_named {
            let missing = "--role janus has to know whom mails are from; name an address with janus.from in the \
                           configuration or PARALLAX_JANUS_FROM";
            return Err(Failure::usage(missing));
        }
        smtp.password = password(choices)?;
    }
    Ok(node)
}

/// From the variable, else from its file.
fn password(choices: &JanusChoices) -> Result<Option<Secret>, Failure> {
    if let Some(password) = std::env::var_os(JANUS_SMTP_PASSWORD_VARIABLE).filter(|text| !text.is_empty()) {
        let bad = |_| Failure::usage(format!("{JANUS_SMTP_PASSWORD_VARIABLE} is not text in UTF-8"));
        return password.into_string().map(|password| Some(Secret::new(password))).map_err(bad);
    }
    let Some(file) = &choices.password_file else { return Ok(None) };
    let named = |why: String| Failure::usage(format!("janus.smtp_password_file {}: {why}", file.display()));
    let mode = std::fs::metadata(file).map_err(|error| named(plainly(&error)))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(named(format!("others may read it (mode {:04o}); chmod 0600", mode & 0o7777)));
    }
    let text = std::fs::read_to_string(file).map_err(|error| named(plainly(&error)))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(named("it is empty; it holds the password on one line".into())),
        password if password.contains('\n') => {
            Err(named("it has more than one line; it holds the password alone".into()))
        }
        password => Ok(Some(Secret::new(password))),
    }
}

/// `--allow-private` lifts both bounds; ports that were listed stay a bound all the same.
pub(super) fn targets(serve: &ServeSettings, ports: &Ports) -> TargetPolicy {
    let base = if serve.allow_private { TargetPolicy::any() } else { TargetPolicy::public() };
    match ports {
        Ports::Home => base,
        Ports::Any => base.with_any_port(),
        Ports::Listed(ports) => base.with_ports(ports.iter().copied()),
    }
}
