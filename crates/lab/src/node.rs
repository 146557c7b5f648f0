//! Nodes of a lab: real ones, in this process, each with an address and a memory of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parallax_client::{NodeVantage, VantagePoint, VantageUrl};
use parallax_core::{DnsAnswers, Look, Observation, ServiceId, Timestamp, VantageId};
use parallax_node::{Node, NodeLimits, NodeSettings, Rate};
use parallax_probe::{Roots, WallClock, judge_chain};
use parallax_proto::Descriptor;
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::error::LabError;
use crate::front::{Front, Unheard};
use crate::lab::Lab;
use crate::past::Past;
use crate::site::{Behaviour, Site};
use crate::subnet::Subnet;

/// In a lab everybody asks from 127.0.0.1, and everything is on the same few addresses.
const PLENTY: Rate = Rate::new(10_000, 10_000);

/// The host part of a node's address in its network.
const NODE_HOST: u8 = 1;

/// Where a node that is far away is reached.
const FAR_HOST: u8 = 2;

impl Lab {
    /// Starts a node in a network: it looks from that network's address 1, through the lab's DNS, at any address; it
    /// believes in the public roots made so far. `rir` is one of [`parallax_proto::RIRS`].
    pub async fn node(&self, network: u8, region: &str, rir: &str) -> Result<LabNode, LabError> {
        self.node_with(network, region, rir, |_| {}).await
    }

    /// Starts a node of which something is changed before.
    pub async fn node_with(
        &self,
        network: u8,
        region: &str,
        rir: &str,
        change: impl FnOnce(&mut NodeSettings),
    ) -> Result<LabNode, LabError> {
        let data = tempfile::tempdir().map_err(LabError::Data)?;
        let address = self.address(network, NODE_HOST);
        let mut settings = NodeSettings {
            listen: Some((address, 0).into()),
            listen_tls: Some((address, 0).into()),
            region: Some(region.to_owned()),
            rir: Some(rir.to_owned()),
            operator: Some("a parallax lab".to_owned()),
            probe: self.probe_settings(address)?,
            limits: limits(),
            // Finding primes for every node of every scene would take its time.
            legacy: false,
            ..NodeSettings::new(data.path())
        };
        change(&mut settings);
        let (roots, clock) = (settings.probe.roots.clone(), settings.probe.clock);
        let node = Node::start(settings).await?;
        let url = node.descriptor().addresses.first().map(String::as_str).unwrap_or_default().parse::<VantageUrl>()?;
        let url = url.with_pin(node.vantage());
        Ok(LabNode { node, url, address, roots, clock, data, _subnet: self.subnet() })
    }
}

impl Lab {
    /// Starts a node that everybody reaches over this round trip: what stands at the address that it announces passes
    /// everything on late. The second value is that place: it can be made silent, or cut.
    pub async fn far_node(
        &self,
        network: u8,
        region: &str,
        rir: &str,
        round_trip: Duration,
        change: impl FnOnce(&mut NodeSettings),
    ) -> Result<(LabNode, Site), LabError> {
        let place = self.open(self.address(network, FAR_HOST), Behaviour::Silent).await?;
        let announced = format!("https://{}", place.address());
        let node = self.node_with(network, region, rir, |settings| {
            settings.addresses = vec![announced];
            change(settings);
        });
        let node = node.await?;
        if let Some(far) = node.far_behaviour(round_trip) {
            place.behave(far);
        }
        Ok((node, place))
    }
}

fn limits() -> NodeLimits {
    NodeLimits {
        looks_per_target: PLENTY,
        looks_per_target_network: PLENTY,
        questions_per_source_network: PLENTY,
        dns_per_domain: PLENTY,
        connections_per_source_network: 2048,
        ..NodeLimits::default()
    }
}

/// A node of a lab. Dropping it stops it in the background; [`LabNode::shutdown`] waits for a clean end.
#[derive(Debug)]
pub struct LabNode {
    node: Node,
    url: VantageUrl,
    address: Ipv4Addr,
    roots: Roots,
    clock: WallClock,
    // The fields below are let go after the node: nobody else may have its files or addresses before.
    data: TempDir,
    _subnet: Arc<Subnet>,
}

impl LabNode {
    /// Where it is asked, with its pin.
    pub fn url(&self) -> &VantageUrl {
        &self.url
    }

    /// Who it is.
    pub fn vantage(&self) -> VantageId {
        self.node.vantage()
    }

    /// The address that it looks from.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// What its clock says.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where it serves plain HTTP.
    pub fn http(&self) -> Option<SocketAddr> {
        self.node.http()
    }

    /// What it says of itself.
    pub fn descriptor(&self) -> Descriptor {
        self.node.descriptor()
    }

    /// What stands in for it at another address, over this round trip.
    pub fn far_behaviour(&self, round_trip: Duration) -> Option<Behaviour> {
        self.node.https().map(|https| Behaviour::Far(https, round_trip / 2))
    }

    /// What stands in for it at another address, and keeps some questions from it. It serves nothing that a node serves
    /// over TLS alone.
    pub fn front(&self, unheard: Unheard) -> Result<Behaviour, LabError> {
        let missing = || LabError::Identity(std::io::Error::other("it serves no plain HTTP"));
        let http = self.node.http().ok_or_else(missing)?;
        Ok(Behaviour::Front(Front::before(http, self.data.path(), unheard)?))
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// It as somebody to ask, reached at its own address.
    pub fn vantage_point(&self) -> Result<Arc<dyn VantagePoint>, LabError> {
        Ok(Arc::new(NodeVantage::new(self.url.clone(), None)?))
    }

    /// It under another address: what somebody knows whose way to the node leads elsewhere.
    pub fn url_at(&self, address: SocketAddr) -> Result<VantageUrl, LabError> {
        Ok(format!("https://{address}").parse::<VantageUrl>()?.with_pin(self.vantage()))
    }

    /// Gives it a past ([`Lab::past_of`]), through the store's own import.
    pub async fn remember(&self, service: &ServiceId, past: Past) -> Result<(), LabError> {
        Ok(self.node.store().import(service, past.history()).await?)
    }

    /// Has it have looked so long ago, with nothing in DNS but the address: its newest look is this one until it looks
    /// again.
    pub async fn looked(
        &self,
        service: &ServiceId,
        certificate: &Certificate,
        at: SocketAddr,
        ago: Duration,
    ) -> Result<(), LabError> {
        self.looked_by(service, certificate, at, bare_dns(at), ago).await
    }

    /// The same, with these answers of DNS.
    pub async fn looked_by(
        &self,
        service: &ServiceId,
        certificate: &Certificate,
        at: SocketAddr,
        dns: DnsAnswers,
        ago: Duration,
    ) -> Result<(), LabError> {
        let moment = self.now().minus(ago);
        let met = judge_chain(certificate.chain(), service, &self.roots, moment)?.met("TLSv1.3", true);
        let look = Look { dns, now: Observation::seen(moment, Some(at), met) };
        self.node.store().record(service, look).await?;
        Ok(())
    }

    /// Stops it and returns once its files are closed.
    pub async fn shutdown(self) -> Result<(), LabError> {
        Ok(self.node.shutdown().await?)
    }
}

fn bare_dns(at: SocketAddr) -> DnsAnswers {
    let a = match at {
        SocketAddr::V4(at) => vec![*at.ip()],
        SocketAddr::V6(_) => vec![],
    };
    DnsAnswers {
        a: Some(a),
        aaaa: Some(vec![]),
        ca: Some(vec![]),
        tlsa: Some(vec![]),
        caa: Some(vec![]),
        ..DnsAnswers::default()
    }
}
