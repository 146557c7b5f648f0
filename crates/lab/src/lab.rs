//! The lab itself: addresses, public roots, DNS, and whatever is opened in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use parallax_core::{Scheme, ServiceId, Tlsa};
use rustls_pki_types::CertificateDer;

use crate::certificate::{Ca, Certificate, now};
use crate::dns::Dns;
use crate::error::LabError;
use crate::node::LabNode;
use crate::past::Past;
use crate::site::{Behaviour, OnPath, Site};
use crate::sources::Prefix;
use crate::subnet::Subnet;
use crate::task::{Open, Spawner};
use crate::zone::Answer;

/// The network where the lab's own servers are.
const INFRASTRUCTURE: u8 = 0;
const DNS_HOST: u8 = 53;

/// The network of the sites that only an attacker on the path reaches.
const HIDDEN: u8 = 254;

/// A network on loopback. Everything opened in it ends with it, at the latest.
///
/// Addresses are `127.<network>.<lab>.<host>`; all sites listen on the same port.
#[derive(Debug)]
pub struct Lab {
    subnet: Arc<Subnet>,
    spawner: Spawner,
    public: Mutex<Vec<Ca>>,
    dns: Dns,
    _open: Open,
}

impl Lab {
    /// Claims addresses and starts the DNS server. Must be called within a tokio runtime with I/O and time.
    pub async fn start() -> Result<Self, LabError> {
        let subnet = Subnet::claim()?;
        let (spawner, open) = Spawner::new(Arc::clone(&subnet));
        let dns = Dns::open(subnet.address(INFRASTRUCTURE, DNS_HOST), &spawner).await?;
        Ok(Self { subnet, spawner, public: Mutex::default(), dns, _open: open })
    }

    /// An address. Networks 1 to 253 are for whoever takes part; 0 and 254 are the lab's own.
    pub fn address(&self, network: u8, host: u8) -> Ipv4Addr {
        self.subnet.address(network, host)
    }

    /// All addresses of one network.
    pub fn network(&self, network: u8) -> Prefix {
        Prefix::new(self.address(network, 0), 16)
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// The port on which all sites listen.
    pub fn port(&self) -> u16 {
        self.subnet.port()
    }

    /// The service with this host name or address at the port of the sites.
    pub fn service(&self, host: &str) -> Result<ServiceId, LabError> {
        self.service_of(Scheme::Tls, host)
    }

    /// The service of this scheme with this host name or address at the port of the sites.
    pub fn service_of(&self, scheme: Scheme, host: &str) -> Result<ServiceId, LabError> {
        Ok(ServiceId::new(scheme, host, self.port())?)
    }

    /// The DNS server.
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Makes a root in which the public believes. For a private one there is [`Ca::root`].
    pub fn public_ca(&self, organisation: &str) -> Result<Ca, LabError> {
        let ca = Ca::root(organisation)?;
        self.public.lock().unwrap_or_else(PoisonError::into_inner).push(ca.clone());
        Ok(ca)
    }

    /// The public roots, in the order in which they were made.
    pub fn public_roots(&self) -> Vec<Ca> {
        self.public.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The certificates of the public roots.
    pub fn root_certificates(&self) -> Vec<CertificateDer<'static>> {
        self.public_roots().iter().map(|ca| ca.der().clone()).collect()
    }

    /// The public roots as a PEM bundle.
    pub fn roots_pem(&self) -> String {
        self.public_roots().iter().map(Ca::pem).collect()
    }

    /// An empty past of somebody who believes in the public roots made so far.
    pub fn past(&self) -> Past {
        Past::new(now(), self.public_roots())
    }

    /// The same by the clock of this node.
    pub fn past_of(&self, node: &LabNode) -> Past {
        Past::new(node.now(), self.public_roots())
    }

    /// Opens a TLS site.
    pub async fn site(&self, address: Ipv4Addr, certificate: &Certificate) -> Result<Site, LabError> {
        self.open(address, Behaviour::tls(certificate)?).await
    }

    /// Opens an address that behaves in any other way.
    pub async fn open(&self, address: Ipv4Addr, behaviour: Behaviour) -> Result<Site, LabError> {
        Site::open(self.socket_address(address), behaviour, &self.spawner).await
    }

    /// Opens a TLS site that is reached only through an attacker ([`Lab::on_path`]).
    pub async fn hidden_site(&self, certificate: &Certificate) -> Result<Site, LabError> {
        self.hidden(Behaviour::tls(certificate)?).await
    }

    /// Opens something else that is reached only through an attacker.
    pub async fn hidden(&self, behaviour: Behaviour) -> Result<Site, LabError> {
        let address = SocketAddr::from((self.address(HIDDEN, 1), 0));
        Site::open(address, behaviour, &self.spawner).await
    }

    /// Puts an attacker on the path to a site: from now on it is what answers at `address`.
    pub async fn on_path(&self, address: Ipv4Addr, site: &Site) -> Result<OnPath, LabError> {
        OnPath::open(self.socket_address(address), site, &self.spawner).await
    }

    /// Publishes that these CAs, and no others, may vouch for the name: `_ca-auth`.
    pub fn authorise<'a>(&self, name: &str, cas: impl IntoIterator<Item = &'a Ca>) -> Result<(), LabError> {
        self.dns.set(&format!("_ca-auth.{name}"), Answer::ca_auth(cas.into_iter().map(Ca::key)))
    }

    /// Publishes TLSA records for the name at the port of the sites.
    pub fn publish_tlsa(&self, name: &str, records: impl IntoIterator<Item = Tlsa>) -> Result<(), LabError> {
        self.dns.set(&format!("_{}._tcp.{name}", self.port()), Answer::tlsa(records))
    }

    /// Keeps the lab's addresses from other labs for as long as it lives.
    pub(crate) fn subnet(&self) -> Arc<Subnet> {
        Arc::clone(&self.subnet)
    }

    fn socket_address(&self, address: Ipv4Addr) -> SocketAddr {
        (address, self.port()).into()
    }
}
