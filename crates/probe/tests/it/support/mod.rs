//! Servers and certificates for the tests.

mod ct;
mod dns_server;
mod issue;
mod servers;

pub(crate) use ct::{CtLog, Entry, base64, known, log_list, ocsp, octets, sct_list, sized};
pub(crate) use dns_server::{DnsServer, Say, records_of, zone};
pub(crate) use issue::{Ca, ca_params, key, leaf_params, roots_of};
pub(crate) use servers::{Server, tls_config, tls_config_stapled, tls_server, tls_server_at};

use std::net::SocketAddr;
use std::time::Duration;

use parallax_core::{Look, Observation, Outcome, ServiceId};
use parallax_probe::{Limits, ProbeSettings, Prober, TargetPolicy};

/// Settings that look anywhere and believe nobody, with the bounds of one look short enough for a test that waits for
/// them and long enough for a loaded machine that does not.
pub(crate) fn settings() -> ProbeSettings {
    let limits = Limits { look: Duration::from_secs(20), first_byte: Duration::from_secs(15), ..Limits::default() };
    ProbeSettings { targets: TargetPolicy::any(), limits, ..ProbeSettings::default() }
}

/// Settings for tests that wait until a bound is reached.
pub(crate) fn impatient() -> ProbeSettings {
    let limits = Limits { look: Duration::from_secs(1), ..Limits::default() };
    ProbeSettings { limits, ..settings() }
}

pub(crate) fn service(text: &str) -> ServiceId {
    text.parse().unwrap()
}

/// Looks at a server of this test by its name, at its address.
pub(crate) async fn look_at(settings: ProbeSettings, name: &str, server: SocketAddr) -> Observation {
    let nowhere = DnsServer::silent_nothing().await;
    let settings = ProbeSettings { resolver: settings.resolver.or(Some(nowhere.address)), ..settings };
    let prober = Prober::new(settings).unwrap();
    prober.look_at(&service(&format!("{name}:{}", server.port())), server.ip()).await.now
}

pub(crate) async fn outcome_at(settings: ProbeSettings, server: &Server) -> Outcome {
    let now = look_at(settings, "site.test", server.address).await;
    assert_eq!(now.met.is_some(), now.outcome == Outcome::Seen);
    now.outcome
}

pub(crate) async fn look(settings: ProbeSettings, text: &str) -> Look {
    Prober::new(settings).unwrap().look(&service(text)).await
}
