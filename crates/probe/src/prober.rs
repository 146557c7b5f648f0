//! One look: the questions to DNS, the connection, what is shown.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt as _;
use parallax_core::{
    DnsAnswers, DnsName, DnsSet, Fingerprint, Host, HostKey, Look, Met, Observation, Outcome, RecordKind, Scheme, Scts,
    ServiceId, Starttls, Timestamp,
};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::chain::judge_chain;
use crate::ct::{CtLogs, count_scts, judge_scts};
use crate::dns::{Asker, KeyRecords, Questions, dns_set, literal};
use crate::settings::{ProbeError, ProbeSettings};
use crate::ssh;
use crate::starttls;
use crate::tls::{Handshaker, Shown, Unseen, connect, sight};

/// Looks. Cheap to clone; all clones share one resolver and one TLS configuration.
#[derive(Clone)]
pub struct Prober {
    inner: Arc<Inner>,
}

struct Inner {
    settings: ProbeSettings,
    asker: Asker,
    handshaker: Handshaker,
}

impl Prober {
    /// A prober with these settings. Reads the system's resolver configuration when none is named.
    pub fn new(settings: ProbeSettings) -> Result<Self, ProbeError> {
        let asker = Asker::new(&settings)?;
        let handshaker = Handshaker::new(&settings.limits)?;
        Ok(Self { inner: Arc::new(Inner { settings, asker, handshaker }) })
    }

    /// Looks at a service where DNS leads. Never fails: a failure is an outcome.
    pub async fn look(&self, service: &ServiceId) -> Look {
        self.inner.look(service, None).await
    }

    /// Looks at a service at a dictated address: the same questions to DNS, and the service's name for SNI. The address is
    /// judged by the target policy like any other.
    pub async fn look_at(&self, service: &ServiceId, address: IpAddr) -> Look {
        self.inner.look(service, Some(address)).await
    }

    /// The addresses of a service in the order in which they would be tried; `None` when both lookups failed.
    pub async fn addresses(&self, service: &ServiceId) -> Option<Vec<IpAddr>> {
        match service.host() {
            Host::Address(address) => Some(vec![*address]),
            Host::Name(name) => {
                let questions = Questions::new(&self.inner.asker, name, service.port());
                let (a, aaaa) = tokio::join!(questions.a(), questions.aaaa());
                let both = a.is_some() || aaaa.is_some();
                let v4 = a.into_iter().flatten().map(IpAddr::V4);
                both.then(|| v4.chain(aaaa.into_iter().flatten().map(IpAddr::V6)).collect())
            }
        }
    }

    /// What DNS authorises for a name and port, and nothing else: no address is asked for, nobody is connected to.
    pub async fn authorised(&self, name: &DnsName, port: u16) -> DnsAnswers {
        let questions = Questions::new(&self.inner.asker, name.as_str(), port);
        let asked = tokio::time::timeout(self.inner.settings.limits.look, questions.key_records()).await;
        asked.unwrap_or_else(|_| KeyRecords::unknown()).with_addresses(None, None)
    }

    /// Whether the target policy lets strangers ask DNS about this name.
    pub fn allows_name(&self, name: &DnsName) -> bool {
        self.inner.settings.targets.allows_name(name)
    }

    /// What DNS says of one name and record type: the resolver, not this machine's hosts file. Failures are response codes.
    pub async fn dns(&self, name: &DnsName, kind: RecordKind) -> DnsSet {
        dns_set(&self.inner.asker, name, kind).await
    }
}

impl Inner {
    async fn look(&self, service: &ServiceId, dictated: Option<IpAddr>) -> Look {
        let deadline = Instant::now() + self.settings.limits.look;
        match service.host() {
            Host::Address(address) => {
                let to = std::future::ready(vec![dictated.unwrap_or(*address)]);
                Look { dns: literal(*address), now: self.observe(service, [to], deadline).await }
            }
            Host::Name(name) => self.look_by_name(service, name, dictated, deadline).await,
        }
    }

    /// The connection waits for the addresses only, and for those of the second family only when the first is of no use.
    async fn look_by_name(&self, service: &ServiceId, name: &str, dictated: Option<IpAddr>, deadline: Instant) -> Look {
        let questions = Questions::new(&self.asker, name, service.port());
        let a = timeout_at(deadline, questions.a()).map(|a| a.ok().flatten()).shared();
        let aaaa = timeout_at(deadline, questions.aaaa()).map(|aaaa| aaaa.ok().flatten()).shared();
        let records = async {
            let records = match service.scheme() {
                // These records speak of certificates.
                Scheme::Ssh => KeyRecords::unknown(),
                _ => timeout_at(deadline, questions.key_records()).await.unwrap_or_else(|_| KeyRecords::unknown()),
            };
            (records, Instant::now())
        };
        let observing = async {
            match dictated {
                Some(address) => self.observe(service, [std::future::ready(vec![address])], deadline).await,
                None => {
                    let v4 = a.clone().map(|a| addresses(a, Ipv4Addr::into)).left_future();
                    let v6 = aaaa.clone().map(|aaaa| addresses(aaaa, Ipv6Addr::into)).right_future();
                    self.observe(service, [v4, v6], deadline).await
                }
            }
        };
        let (a, aaaa, (records, read), now) = tokio::join!(a.clone(), aaaa.clone(), records, observing);
        Look { dns: records.aged(read.elapsed()).with_addresses(a, aaaa), now }
    }

    /// Tries the addresses as they come, until one can be connected to.
    async fn observe(
        &self,
        service: &ServiceId,
        sources: impl IntoIterator<Item = impl Future<Output = Vec<IpAddr>>>,
        deadline: Instant,
    ) -> Observation {
        let mut failed = Visit::nowhere();
        let mut tries = self.settings.limits.addresses;
        for source in sources {
            for address in source.await.into_iter().take(tries) {
                tries -= 1;
                let to = SocketAddr::new(address.to_canonical(), service.port());
                let visit = self.visit(service, to, deadline).await;
                if visit.connected {
                    return conclude(service, visit, &self.settings);
                }
                failed = failed.or(visit);
            }
        }
        conclude(service, failed, &self.settings)
    }

    async fn visit(&self, service: &ServiceId, to: SocketAddr, deadline: Instant) -> Visit {
        let mut learnt = None;
        let visiting = async {
            match self.open(to).await {
                Err(outcome) => Visit::unconnected(to, outcome),
                Ok(stream) => match timeout_at(deadline, self.meet(service, to, stream, deadline, &mut learnt)).await {
                    Ok(shown) => Visit::connected(to, shown),
                    Err(_) => Visit::connected(to, Err(Outcome::Timeout)),
                },
            }
        };
        // Both limits end the connection by dropping it.
        let visit = timeout_at(deadline, visiting).await.unwrap_or_else(|_| Visit::unconnected(to, Outcome::Timeout));
        Visit { starttls: learnt, ..visit }
    }

    /// The one place that connects: the address is judged and connected to in one breath.
    async fn open(&self, to: SocketAddr) -> Result<TcpStream, Outcome> {
        let admitted = |to| self.settings.admission.as_ref().is_none_or(|admission| admission.admits(to));
        if !self.settings.targets.allows(to) || !admitted(to) {
            return Err(Outcome::NotAllowed);
        }
        connect(to, self.settings.source, self.settings.limits.connect).await
    }

    async fn meet(
        &self,
        service: &ServiceId,
        to: SocketAddr,
        stream: TcpStream,
        deadline: Instant,
        learnt: &mut Option<Starttls>,
    ) -> Result<Seen, Outcome> {
        let limits = &self.settings.limits;
        match service.scheme() {
            Scheme::Ssh => {
                // The address was judged and admitted for this look.
                let again = || connect(to, self.settings.source, limits.connect);
                ssh::meet(stream, again, limits, deadline).await.map(Seen::Ssh)
            }
            _ => self.meet_tls(service, to, stream, learnt).await.map(Seen::Tls),
        }
    }

    /// By rustls; where that can't be, the old way on a second connection to the same address.
    async fn meet_tls(
        &self,
        service: &ServiceId,
        to: SocketAddr,
        mut stream: TcpStream,
        learnt: &mut Option<Starttls>,
    ) -> Result<Shown, Outcome> {
        let limits = &self.settings.limits;
        starttls::upgrade(&mut stream, service.scheme(), learnt).await?;
        let unseen = match self.handshaker.shake(&mut stream, service, to.ip(), limits).await {
            Ok(shown) => return Ok(shown),
            // After a go-ahead only TLS may come, and it makes no difference whether it is late by a packet.
            Err(Unseen { outcome: Outcome::NotTls, .. }) if learnt.is_some() => return Err(Outcome::Malformed),
            Err(Unseen { outcome, try_old: false }) => return Err(outcome),
            Err(unseen) => unseen,
        };
        drop(stream);
        // Only what was seen counts; why it was not seen is what the better client met.
        self.sight(service, to).await.map_err(|_| unseen.outcome)
    }

    async fn sight(&self, service: &ServiceId, to: SocketAddr) -> Result<Shown, Outcome> {
        let mut stream = self.open(to).await?;
        starttls::upgrade(&mut stream, service.scheme(), &mut None).await?;
        sight(&mut stream, service, &self.settings.limits).await
    }
}

/// What a server showed.
enum Seen {
    Tls(Shown),
    Ssh(Vec<HostKey>),
}

impl Seen {
    fn met(self, service: &ServiceId, settings: &ProbeSettings, at: Timestamp) -> Option<Met> {
        match self {
            Seen::Tls(Shown { chain, ocsp, protocol, proved }) => {
                let facts = judge_chain(&chain, service, &settings.roots, at).ok()?;
                let scts = scts(chain.first()?, facts.signer(), &ocsp, &settings.ct_logs, at);
                Some(Met { scts, ..facts.met(protocol, proved) })
            }
            Seen::Ssh(host_keys) => Met::of_host_keys(host_keys),
        }
    }
}

/// Nothing is told of SCTs where no log is known: that would look as if the certificate came without.
fn scts(
    leaf: &CertificateDer<'_>,
    signer: Option<Fingerprint>,
    ocsp: &[u8],
    logs: &CtLogs,
    at: Timestamp,
) -> Option<Scts> {
    if logs.is_empty() {
        return None;
    }
    let judged = judge_scts(leaf, signer, ocsp, logs, at);
    for bad in judged.iter().filter_map(|one| one.as_ref().err()) {
        tracing::debug!(%bad, "an SCT does not count");
    }
    Some(count_scts(&judged))
}

/// What came of one address.
struct Visit {
    address: Option<SocketAddr>,
    connected: bool,
    starttls: Option<Starttls>,
    shown: Result<Seen, Outcome>,
}

impl Visit {
    fn nowhere() -> Self {
        Self { address: None, connected: false, starttls: None, shown: Err(Outcome::NoAddress) }
    }

    fn unconnected(to: SocketAddr, outcome: Outcome) -> Self {
        let address = (outcome != Outcome::NotAllowed).then_some(to);
        Self { address, connected: false, starttls: None, shown: Err(outcome) }
    }

    fn connected(to: SocketAddr, shown: Result<Seen, Outcome>) -> Self {
        Self { address: Some(to), connected: true, starttls: None, shown }
    }

    /// Of several failures the first at an address that was tried is told; else that none was allowed.
    fn or(self, next: Visit) -> Visit {
        if self.address.is_some() { self } else { next }
    }
}

fn conclude(service: &ServiceId, visit: Visit, settings: &ProbeSettings) -> Observation {
    let Visit { address, starttls, shown, .. } = visit;
    let at = settings.clock.now();
    let observation = match shown.and_then(|seen| seen.met(service, settings, at).ok_or(Outcome::Malformed)) {
        Ok(met) => Observation::seen(at, address, met),
        Err(outcome) => Observation::failed(at, address, outcome),
    };
    observation.with_starttls(starttls)
}

fn addresses<T>(found: Option<Vec<T>>, address: impl Fn(T) -> IpAddr) -> Vec<IpAddr> {
    found.into_iter().flatten().map(address).collect()
}
