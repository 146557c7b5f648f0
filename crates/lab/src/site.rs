//! What stands at an address: a site, something that is no site, or an attacker on the path to one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parallax_core::{Scheme, Starttls};
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::certificate::Certificate;
use crate::clear::ClearServer;
use crate::error::LabError;
use crate::far;
use crate::front::Front;
use crate::sources::{BySource, Prefix};
use crate::task::{Spawner, Task};

/// Connections that one site holds at once; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 256;

/// Source addresses that are counted apart.
const MAX_COUNTED: usize = 4096;

/// How long a connection may last: longer than any look, shorter than a forgotten test.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);

const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What is said to whoever sends a request after the handshake.
const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 25\r\nconnection: close\r\n\r\na site of a parallax lab\n";

/// What happens to a connection.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// TLS; after the handshake, one small page.
    Tls(TlsServer),
    /// A protocol that begins in the clear, with or without TLS after its upgrade.
    Clear(ClearServer),
    /// Every byte is passed on to another address, and back.
    Forward(SocketAddr),
    /// The same, but each byte takes this long on its way there, and as long on its way back.
    Far(SocketAddr, Duration),
    /// A node hears questions through it, save those that it keeps ([`crate::LabNode::front`]).
    Front(Front),
    /// It is accepted, and nothing is ever said.
    Silent,
    /// The first bytes, whatever they are, are answered with these: a server of another protocol.
    Speak(&'static [u8]),
    /// It is reset at once.
    Cut,
}

impl Behaviour {
    /// TLS 1.3 and 1.2 with this certificate.
    pub fn tls(certificate: &Certificate) -> Result<Self, LabError> {
        TlsServer::new(certificate, rustls::ALL_VERSIONS).map(Behaviour::Tls)
    }

    /// TLS 1.2 alone with this certificate.
    pub fn tls12(certificate: &Certificate) -> Result<Self, LabError> {
        TlsServer::new(certificate, &[&rustls::version::TLS12]).map(Behaviour::Tls)
    }

    /// A server of this scheme that begins in the clear and shows this certificate after the upgrade to TLS.
    pub fn starttls(scheme: Scheme, certificate: &Certificate) -> Result<Self, LabError> {
        let tls = TlsServer::new(certificate, rustls::ALL_VERSIONS)?;
        Ok(Behaviour::Clear(ClearServer::with_tls(scheme, tls)))
    }

    /// A server of this scheme that offers no upgrade, or refuses the one that it offers.
    pub fn without_starttls(scheme: Scheme, offer: Starttls) -> Self {
        Behaviour::Clear(ClearServer::without_tls(scheme, offer))
    }

    /// A web server that does not speak TLS, as it greets one who does.
    pub fn plain_http() -> Self {
        Behaviour::Speak(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    }
}

/// A TLS server's settings: versions and one certificate.
#[derive(Clone)]
pub struct TlsServer(Arc<ServerConfig>);

impl TlsServer {
    fn new(certificate: &Certificate, versions: &[&'static SupportedProtocolVersion]) -> Result<Self, LabError> {
        let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_single_cert(certificate.chain().to_vec(), certificate.private_key())?;
        // A resumed session shows no certificate.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

/// An address with something behind it; dropping it closes the address.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    behaviour: watch::Sender<BySource<Behaviour>>,
    counts: Arc<Counts>,
    task: Task,
}

impl Site {
    pub(crate) async fn open(address: SocketAddr, behaviour: Behaviour, spawner: &Spawner) -> Result<Self, LabError> {
        let failed = |source| LabError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (behaviour, current) = watch::channel(BySource::new(behaviour));
        let counts = Arc::new(Counts::default());
        let task = spawner.spawn(serve(listener, current, Arc::clone(&counts), address.ip()));
        Ok(Self { address, behaviour, counts, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows everybody this certificate from now on, save those for whom there is a rule.
    pub fn set_certificate(&self, certificate: &Certificate) -> Result<(), LabError> {
        self.behave(Behaviour::tls(certificate)?);
        Ok(())
    }

    /// Shows these sources another certificate: a CDN's site, whose front ends each have their own.
    pub fn set_certificate_towards(&self, sources: impl Into<Prefix>, shown: &Certificate) -> Result<(), LabError> {
        self.behave_towards(sources, Behaviour::tls(shown)?);
        Ok(())
    }

    /// Does this with everybody from now on, save those for whom there is a rule.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_modify(|table| table.set(behaviour));
    }

    /// Does this with connections from these sources from now on; the rule set last wins.
    pub fn behave_towards(&self, sources: impl Into<Prefix>, behaviour: Behaviour) {
        self.behaviour.send_modify(|table| table.set_towards(sources.into(), behaviour));
    }

    /// Lifts every rule for some sources.
    pub fn treat_alike(&self) {
        self.behaviour.send_modify(BySource::treat_alike);
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.counts.total()
    }

    /// Connections accepted so far from one address.
    pub fn connections_from(&self, source: Ipv4Addr) -> u64 {
        self.counts.from(source.into())
    }

    /// Closes the address and returns once it is free for another.
    pub async fn close(self) {
        self.task.end().await;
    }
}

/// An attacker on the path to a site: it has the site's address, passes connections through byte by byte, and meddles
/// with those from the sources it is after.
#[derive(Debug)]
pub struct OnPath(Site);

impl OnPath {
    pub(crate) async fn open(address: SocketAddr, site: &Site, spawner: &Spawner) -> Result<Self, LabError> {
        Site::open(address, Behaviour::Forward(site.address()), spawner).await.map(Self)
    }

    /// The address it has taken.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Shows this certificate to connections from these sources.
    pub fn attack<P: Into<Prefix>>(
        &self,
        sources: impl IntoIterator<Item = P>,
        certificate: &Certificate,
    ) -> Result<(), LabError> {
        let behaviour = Behaviour::tls(certificate)?;
        sources.into_iter().for_each(|prefix| self.0.behave_towards(prefix, behaviour.clone()));
        Ok(())
    }

    /// Meddles with connections from these sources in another way: keeps them silent, cuts them.
    pub fn meddle<P: Into<Prefix>>(&self, sources: impl IntoIterator<Item = P>, behaviour: &Behaviour) {
        sources.into_iter().for_each(|prefix| self.0.behave_towards(prefix, behaviour.clone()));
    }

    /// Passes everything through again.
    pub fn relent(&self) {
        self.0.treat_alike();
    }

    /// Connections so far from one address, passed through or not.
    pub fn connections_from(&self, source: Ipv4Addr) -> u64 {
        self.0.connections_from(source)
    }

    /// Gives the address up and returns once it is free.
    pub async fn close(self) {
        self.0.close().await;
    }
}

#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<IpAddr, u64>>);

impl Counts {
    fn note(&self, source: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < MAX_COUNTED || counts.contains_key(&source) {
            *counts.entry(source).or_default() += 1;
        }
    }

    fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    fn from(&self, source: IpAddr) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&source).copied().unwrap_or(0)
    }
}

async fn serve(
    listener: TcpListener,
    behaviour: watch::Receiver<BySource<Behaviour>>,
    counts: Arc<Counts>,
    own: IpAddr,
) {
    // Connections live in this set, so they end with the site.
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => {
                    counts.note(source.ip());
                    let behaviour = behaviour.borrow().towards(source.ip()).clone();
                    connections.spawn(tokio::time::timeout(LONGEST_CONNECTION, handle(stream, behaviour, own)));
                }
                // Out of descriptors: that does not get better by asking at once again.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// However a connection ends, the peer knows; nobody here needs to.
async fn handle(stream: TcpStream, behaviour: Behaviour, own: IpAddr) {
    let _ended = match behaviour {
        Behaviour::Tls(server) => serve_tls(stream, server).await,
        Behaviour::Clear(server) => serve_clear(stream, server).await,
        Behaviour::Forward(target) => forward(stream, target, own).await,
        Behaviour::Far(target, one_way) => far::pass_on(stream, target, own, one_way).await,
        Behaviour::Front(front) => front.serve(stream).await,
        Behaviour::Silent => read_to_end(stream).await,
        Behaviour::Speak(words) => speak(stream, words).await,
        Behaviour::Cut => stream.set_zero_linger(),
    };
}

async fn serve_tls(stream: TcpStream, server: TlsServer) -> std::io::Result<()> {
    let mut stream = TlsAcceptor::from(server.0).accept(stream).await?;
    if stream.read(&mut [0; 1024]).await? > 0 {
        stream.write_all(PAGE).await?;
    }
    stream.shutdown().await
}

async fn serve_clear(stream: TcpStream, server: ClearServer) -> std::io::Result<()> {
    let Some((stream, tls)) = server.talk(stream).await? else { return Ok(()) };
    let stream = TlsAcceptor::from(tls.0).accept(stream).await?;
    read_to_end(stream).await
}

/// The onward connection comes from the address that is impersonated: in a lab everybody has an address of its own.
async fn forward(mut stream: TcpStream, target: SocketAddr, own: IpAddr) -> std::io::Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(own, 0))?;
    let mut onward = socket.connect(target).await?;
    copy_bidirectional(&mut stream, &mut onward).await.map(drop)
}

async fn speak(mut stream: TcpStream, words: &[u8]) -> std::io::Result<()> {
    if stream.read(&mut [0; 1024]).await? > 0 {
        stream.write_all(words).await?;
        stream.shutdown().await?;
    }
    // Closing with bytes unread would reset the connection and could take the words back.
    read_to_end(stream).await
}

async fn read_to_end(mut stream: impl AsyncRead + Unpin) -> std::io::Result<()> {
    while stream.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}
