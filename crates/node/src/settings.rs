//! What a node is told.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use parallax_probe::ProbeSettings;
use parallax_proto::hub::HubSettings;
use parallax_proto::{RIRS, is_region};

use crate::bus::BusSettings;
use crate::channels::ChannelSettings;
use crate::error::NodeError;
use crate::janus::JanusSettings;
use crate::mirror::MirrorSettings;
use crate::vouching::BelieveSettings;

/// What a node is told. The default is safe to run on the open Internet: it listens on loopback alone and looks at
/// public addresses alone.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// The directory with identity and database; made when it is not there. One node at a time.
    pub data: PathBuf,
    /// Where HTTP is served; port 0 picks a free one. Default `127.0.0.1:8080`.
    pub listen: Option<SocketAddr>,
    /// Where HTTPS is served under the node's own CA; port 0 picks a free one. Default `127.0.0.1:8443`.
    pub listen_tls: Option<SocketAddr>,
    /// The URLs that the descriptor announces, such as `https://node.example:8443`, at most 8. Empty: the HTTPS
    /// listener's own, when that is one address.
    pub addresses: Vec<String>,
    /// The region this node claims, such as `eu-west`: lower-case letters, digits and hyphens, at most 32.
    pub region: Option<String>,
    /// The regional Internet registry of its address: `AFRINIC`, `APNIC`, `ARIN`, `LACNIC` or `RIPE`.
    pub rir: Option<String>,
    /// Who runs it, at most 200 characters.
    pub operator: Option<String>,
    /// Its domain, also a name of its server certificate.
    pub domain: Option<String>,
    /// How it looks. The node adds its own listeners to what is never looked at, and stamps all that it tells by the same
    /// clock.
    pub probe: ProbeSettings,
    /// Bounds on what others may have it do.
    pub limits: NodeLimits,
    /// Whether the Perspectives interface is served on the HTTP listener, with an RSA key of its own. Default `true`.
    pub legacy: bool,
    /// How often each service that is known is looked at again, at least one second; `None`: when somebody asks.
    pub scan_every: Option<Duration>,
    /// How it takes part in the federation.
    pub mirror: MirrorSettings,
    /// How it serves peers and those who ask them; `None`: it is no hub.
    pub hub: Option<HubSettings>,
    /// How it certifies mailboxes; `None`: it does not.
    pub janus: Option<JanusSettings>,
    /// Nodes whose certificates of mailboxes count here, besides this node's own.
    pub believe: BelieveSettings,
    /// The message queue that channels are served on too, and over which hubs share their peers. Needs the feature
    /// `cluster`.
    pub bus: Option<BusSettings>,
    /// Who gets a channel, and what it may carry.
    pub channel: ChannelSettings,
    /// How long a server certificate is valid; it is renewed when less than a third is left. Default 90 days.
    pub server_certificate_life: Duration,
}

impl NodeSettings {
    /// The default settings with another data directory.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// Refuses what would make a node that nobody believes.
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        let bad = |field, why: String| Err(NodeError::Setting { field, why });
        if self.listen.is_none() && self.listen_tls.is_none() {
            return bad("listen", "a node needs at least one listener, listen or listen_tls".into());
        }
        if let Some(region) = self.region.as_deref().filter(|region| !is_region(region)) {
            return bad("region", format!("{region:?} is not 1 to 32 lower-case letters, digits and hyphens"));
        }
        if let Some(rir) = self.rir.as_deref().filter(|rir| !RIRS.contains(rir)) {
            return bad("rir", format!("{rir:?} is not one of {}", RIRS.join(", ")));
        }
        if self.operator.as_deref().is_some_and(|text| text.chars().count() > 200 || text.contains(char::is_control)) {
            return bad("operator", "at most 200 characters, none of them control characters".into());
        }
        if let Some(domain) = self.domain.as_deref().filter(|domain| !is_domain(domain)) {
            return bad("domain", format!("{domain:?} is not a DNS name in A-labels"));
        }
        if self.addresses.len() > 8 || self.addresses.iter().any(|url| !is_address(url)) {
            return bad("addresses", "at most 8 URLs such as https://192.0.2.7:8443".into());
        }
        if self.scan_every.is_some_and(|every| every < Duration::from_secs(1)) {
            return bad("scan_every", "at least one second".into());
        }
        if self.server_certificate_life < Duration::from_secs(1) {
            return bad("server_certificate_life", "at least one second".into());
        }
        if let Some(bus) = &self.bus {
            bus.check()?;
            if bus.group.is_some() && self.hub.is_none() {
                return bad("hub_group", "only a hub has peers to share; add the role hub".into());
            }
        }
        if let Some(janus) = &self.janus {
            if self.listen_tls.is_none() {
                return bad("janus", "it is served over HTTPS only; name listen_tls".into());
            }
            janus.check()?;
        }
        self.believe.check()?;
        self.channel.check()?;
        self.mirror.check()
    }

    /// The names of the server certificate, for a listener at this address.
    pub(crate) fn server_names(&self, https: Option<SocketAddr>) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
        names.extend(https.map(|address| address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()));
        names.extend(self.domain.clone());
        names
    }

    /// The addresses that the descriptor announces.
    pub(crate) fn announced(&self, https: Option<SocketAddr>) -> Vec<String> {
        if !self.addresses.is_empty() {
            return self.addresses.clone();
        }
        https.filter(|address| !address.ip().is_unspecified()).map(|at| format!("https://{at}")).into_iter().collect()
    }
}

impl Default for NodeSettings {
    fn default() -> Self {
        let loopback = |port| Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        Self {
            data: PathBuf::from("parallax-data"),
            listen: loopback(8080),
            listen_tls: loopback(8443),
            addresses: Vec::new(),
            region: None,
            rir: None,
            operator: None,
            domain: None,
            probe: ProbeSettings::default(),
            limits: NodeLimits::default(),
            legacy: true,
            scan_every: None,
            mirror: MirrorSettings::default(),
            hub: None,
            believe: BelieveSettings::default(),
            janus: None,
            bus: None,
            channel: ChannelSettings::default(),
            server_certificate_life: Duration::from_secs(90 * 86_400),
        }
    }
}

fn is_domain(text: &str) -> bool {
    let service = parallax_core::ServiceId::new(parallax_core::Scheme::Tls, text, 443);
    service.is_ok_and(|service| service.host().name() == Some(text))
}

fn is_address(url: &str) -> bool {
    url.len() <= 300
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
}

/// How often something may happen: so many at once, then a steady rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Sustained, per second.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A rate; zero counts as one.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        const fn at_least_one(count: u32) -> NonZeroU32 {
            match NonZeroU32::new(count) {
                Some(count) => count,
                None => NonZeroU32::MIN,
            }
        }
        Self { per_second: at_least_one(per_second), burst: at_least_one(burst) }
    }
}

/// Bounds on what others may have a node do. Every one of them answers with 429 or 503 and `Retry-After`, or closes the
/// connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Looks under way. Default 128.
    pub looks_at_once: usize,
    /// Looks under way that one source network started: slow targets of one asker leave room for others. Default 32.
    pub looks_at_once_per_source_network: usize,
    /// Connections to one target address (IPv6: one /64), over all names that lead there. Default 1/s, burst 5.
    pub looks_per_target: Rate,
    /// Connections to one target network (IPv4 /24, IPv6 /48). Default 10/s, burst 50.
    pub looks_per_target_network: Rate,
    /// DNS questions of `/v1/dns` under way, each record type counted. Default 256.
    pub dns_at_once: usize,
    /// The same for one source network. Default 64.
    pub dns_at_once_per_source_network: usize,
    /// DNS questions of `/v1/dns` about one registrable domain that are put to the resolver, whoever asks: its name
    /// servers are somebody's. Default 20/s, burst 100.
    pub dns_per_domain: Rate,
    /// Requests from one source network (IPv4 /24, IPv6 /48), loopback included; and, counted apart, connections that it
    /// opens. Default 50/s, burst 200.
    pub questions_per_source_network: Rate,
    /// Open connections of both listeners together. Default 2048; less when the process may not open that many files.
    pub connections: usize,
    /// Open connections from one source network. Default 256.
    pub connections_per_source_network: usize,
    /// Time to send the header of a request, also the longest idle time between two, and the time for a TLS handshake.
    /// Default 5 s.
    pub header_timeout: Duration,
    /// Bytes of all header lines of a request, 8 KiB at least. Default 16 KiB.
    pub header_bytes: usize,
    /// Bytes of a request body. Default 64 KiB.
    pub body_bytes: usize,
    /// Requests on one connection before it is closed. Default 1000.
    pub requests_per_connection: usize,
    /// How long one connection may last. Default 10 minutes.
    pub connection_life: Duration,
    /// Memory for histories in front of the store. Default 64 MiB.
    pub memory_bytes: u64,
    /// Memory for finished Perspectives replies. Default 32 MiB.
    pub legacy_bytes: u64,
    /// Perspectives signatures that one source network may cause by spelling names in other ways. Default 1/s, burst 20.
    pub legacy_spellings_per_source_network: Rate,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self {
            looks_at_once: 128,
            looks_at_once_per_source_network: 32,
            looks_per_target: Rate::new(1, 5),
            looks_per_target_network: Rate::new(10, 50),
            dns_at_once: 256,
            dns_at_once_per_source_network: 64,
            dns_per_domain: Rate::new(20, 100),
            questions_per_source_network: Rate::new(50, 200),
            connections: 2048,
            connections_per_source_network: 256,
            header_timeout: Duration::from_secs(5),
            header_bytes: 16 * 1024,
            body_bytes: 64 * 1024,
            requests_per_connection: 1000,
            connection_life: Duration::from_secs(600),
            memory_bytes: 64 * 1024 * 1024,
            legacy_bytes: 32 * 1024 * 1024,
            legacy_spellings_per_source_network: Rate::new(1, 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_loopback_and_valid() {
        let settings = NodeSettings::default();
        settings.check().unwrap();
        for address in [settings.listen, settings.listen_tls].into_iter().flatten() {
            assert!(address.ip().is_loopback());
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let text = |text: &str| Some(text.to_owned());
        for (field, settings) in [
            ("listen", NodeSettings { listen: None, listen_tls: None, ..Default::default() }),
            ("region", NodeSettings { region: text("EU West"), ..Default::default() }),
            ("rir", NodeSettings { rir: text("ripe"), ..Default::default() }),
            ("operator", NodeSettings { operator: text("a\nb"), ..Default::default() }),
            ("domain", NodeSettings { domain: text("Example.com"), ..Default::default() }),
            ("domain", NodeSettings { domain: text("192.0.2.7"), ..Default::default() }),
            ("addresses", NodeSettings { addresses: vec!["http://192.0.2.7".into()], ..Default::default() }),
            ("addresses", NodeSettings { addresses: vec!["https://a b".into()], ..Default::default() }),
            ("server_certificate_life", NodeSettings { server_certificate_life: Duration::ZERO, ..Default::default() }),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(field), "{field}: {error}");
        }
    }

    #[test]
    fn an_unspecified_listener_is_not_announced() {
        let settings = NodeSettings::default();
        assert!(settings.announced("0.0.0.0:8443".parse().ok()).is_empty());
        assert_eq!(settings.announced("[::1]:8443".parse().ok()), ["https://[::1]:8443"]);
        assert!(settings.server_names("127.0.0.9:1".parse().ok()).contains("127.0.0.9"));
    }
}
