//! One question: asked, its aliases followed, its answer cut down to what was asked for.
//!
//! There is no cache here: a look is what DNS says now, and the resolver that is asked caches as the TTLs allow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::StreamExt;
use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::{DnsHandle, RetryDnsHandle};
use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::Proof;
use hickory_proto::op::{DnsRequestOptions, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::{Hosts, NameServerPool, PoolContext, TlsConfig, system_conf};
use parallax_core::Dnssec;

use crate::settings::{Limits, ProbeError, ProbeSettings};

/// Retries of a question after an answer that is none, such as SERVFAIL.
const RETRIES: usize = 1;

type Pool = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

#[derive(Clone)]
enum Handle {
    Plain(Pool),
    Validating(DnssecDnsHandle<Pool>),
}

/// Asks the resolver.
pub(crate) struct Asker {
    handle: Handle,
    /// The system's hosts file; only where the system's resolver is asked.
    hosts: Option<Hosts>,
    limits: Limits,
}

/// What was answered: the records of the asked type at the end of the aliases; none is an answer too.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) rcode: ResponseCode,
    pub(crate) records: Vec<RData>,
    /// The smallest time to live among the records and the aliases that led to them, in seconds.
    pub(crate) min_ttl: Option<u32>,
    pub(crate) dnssec: Dnssec,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookupFailed {
    /// Nobody answered in time, or nobody could be reached.
    Timeout,
    /// The resolver said so.
    Code(ResponseCode),
    /// More names in a row than are asked: aliases, a loop of them, or parents.
    TooFar,
    /// Signatures are there and wrong, or missing where the zone is signed.
    Bogus,
    /// More than is read; what is left out might decide.
    TooLarge,
}

impl Asker {
    pub(crate) fn new(settings: &ProbeSettings) -> Result<Self, ProbeError> {
        let (config, hosts) = match settings.resolver {
            Some(resolver) => (name_server(resolver), None),
            None => (system_config(), Hosts::from_system().ok()),
        };
        let options = options(settings);
        let servers = config.name_servers.into_iter().map(|server| leave_from(server, settings.source));
        let tls = TlsConfig::new().map_err(|error| ProbeError::Dns(error.to_string()))?;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
        let pool = RetryDnsHandle::new(pool, RETRIES);
        let handle = match settings.dnssec.trust_anchors() {
            None => Handle::Plain(pool),
            Some(anchors) => Handle::Validating(DnssecDnsHandle::with_trust_anchor(pool, anchors)),
        };
        Ok(Self { handle, hosts, limits: settings.limits.clone() })
    }

    /// Asks, within the time for one question; this machine's hosts file first.
    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Answer, LookupFailed> {
        match self.answer_of_hosts_file(name, kind) {
            Some(answer) => Ok(answer),
            None => self.ask_dns(name, kind).await,
        }
    }

    /// Asks DNS alone, within the time for one question.
    pub(crate) async fn ask_dns(&self, name: &Name, kind: RecordType) -> Result<Answer, LookupFailed> {
        if is_localhost(name) {
            return Ok(localhost(kind));
        }
        let asked = tokio::time::timeout(self.limits.dns, self.follow(name, kind)).await;
        let answer = asked.unwrap_or(Err(LookupFailed::Timeout));
        if let Err(why) = &answer {
            tracing::debug!(?kind, ?why, "a question has no answer");
        }
        answer
    }

    /// The bounds of a look.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn answer_of_hosts_file(&self, name: &Name, kind: RecordType) -> Option<Answer> {
        if is_localhost(name) {
            return None;
        }
        let found = self.hosts.as_ref()?.lookup_static_host(&Query::query(name.clone(), kind))?;
        let records = found.answers().iter().map(|record| record.data.clone()).collect();
        Some(Answer { rcode: ResponseCode::NoError, records, min_ttl: Some(0), dnssec: Dnssec::Unchecked })
    }

    async fn follow(&self, name: &Name, kind: RecordType) -> Result<Answer, LookupFailed> {
        let mut walk = Walk::new(name.clone(), kind, self.limits.cnames);
        loop {
            let reply = self.send(walk.at.clone(), kind).await?;
            let asked_at = walk.at.clone();
            walk.take(&reply)?;
            if walk.at == asked_at || !walk.records.is_empty() || reply.rcode == ResponseCode::NXDomain {
                return Ok(walk.finish(reply.rcode));
            }
        }
    }

    async fn send(&self, name: Name, kind: RecordType) -> Result<Reply, LookupFailed> {
        let query = Query::query(name, kind);
        let mut options = DnsRequestOptions::default();
        // Besides a random port and number, the case of the letters must come back (draft-vixie-dnsext-dns0x20).
        options.case_randomization = true;
        let answered = match &self.handle {
            Handle::Plain(pool) => pool.lookup(query, options).next().await,
            Handle::Validating(validator) => {
                options.edns_set_dnssec_ok = true;
                validator.lookup(query, options).next().await
            }
        };
        let validating = matches!(self.handle, Handle::Validating(_));
        Reply::from_hickory(answered.unwrap_or(Err(NetError::NoConnections)), validating)
    }
}

/// One message: the answer section, in the order sent.
struct Reply {
    rcode: ResponseCode,
    answers: Vec<Record>,
    validating: bool,
    /// What is said of there being no such record; `Secure` when proved.
    denial: Dnssec,
}

impl Reply {
    fn from_hickory(
        answered: Result<hickory_proto::op::DnsResponse, NetError>,
        validating: bool,
    ) -> Result<Self, LookupFailed> {
        let nothing = |rcode, denial| Ok(Self { rcode, answers: Vec::new(), validating, denial });
        let unproved = if validating { Dnssec::Insecure } else { Dnssec::Unchecked };
        match answered {
            Ok(response) => {
                let rcode = response.response_code;
                if !matches!(rcode, ResponseCode::NoError | ResponseCode::NXDomain) {
                    return Err(LookupFailed::Code(rcode));
                }
                let mut denials = response.authorities.iter().map(|record| record.proof);
                let proved = validating && !response.authorities.is_empty() && denials.all(|proof| proof.is_secure());
                let denial = if proved { Dnssec::Secure } else { unproved };
                Ok(Self { rcode, answers: response.into_message().answers, validating, denial })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => nothing(none.response_code, unproved),
            Err(NetError::Dns(DnsError::Nsec { proof: Proof::Insecure, response, .. })) => {
                nothing(response.response_code, Dnssec::Insecure)
            }
            Err(NetError::Dns(DnsError::Nsec { .. } | DnsError::DnssecBogus)) => Err(LookupFailed::Bogus),
            Err(NetError::Dns(DnsError::ResponseCode(code))) => Err(LookupFailed::Code(code)),
            // The resolver answered with something that is no DNS message, or not to this question.
            Err(NetError::Proto(_) | NetError::ForeignClassRecord { .. } | NetError::QueryCaseMismatch) => {
                Err(LookupFailed::Code(ResponseCode::FormErr))
            }
            Err(_) => Err(LookupFailed::Timeout),
        }
    }

    fn state_of(&self, record: &Record) -> Result<Dnssec, LookupFailed> {
        match record.proof {
            _ if !self.validating => Ok(Dnssec::Unchecked),
            Proof::Secure => Ok(Dnssec::Secure),
            Proof::Insecure => Ok(Dnssec::Insecure),
            Proof::Bogus | Proof::Indeterminate => Err(LookupFailed::Bogus),
        }
    }
}

/// The walk from the asked name along its aliases (RFC 1034 section 3.6.2). Only records that lie on it are looked at:
/// a resolver may add others, and they were not asked for.
struct Walk {
    at: Name,
    kind: RecordType,
    aliases_left: usize,
    records: Vec<RData>,
    min_ttl: Option<u32>,
    dnssec: Option<Dnssec>,
}

impl Walk {
    fn new(at: Name, kind: RecordType, aliases_left: usize) -> Self {
        Self { at, kind, aliases_left, records: Vec::new(), min_ttl: None, dnssec: None }
    }

    fn take(&mut self, reply: &Reply) -> Result<(), LookupFailed> {
        loop {
            let (at, kind) = (self.at.clone(), self.kind);
            for record in reply.answers.iter().filter(|record| record.record_type() == kind && record.name == at) {
                self.note(record.ttl, reply.state_of(record)?);
                self.records.push(record.data.clone());
            }
            let alias = reply.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(to) if kind != RecordType::CNAME && record.name == at => Some((record, &to.0)),
                _ => None,
            });
            match alias {
                Some((record, to)) if self.records.is_empty() => {
                    self.aliases_left = self.aliases_left.checked_sub(1).ok_or(LookupFailed::TooFar)?;
                    self.note(record.ttl, reply.state_of(record)?);
                    self.at = to.clone();
                }
                _ => break,
            }
        }
        if self.records.is_empty() {
            self.dnssec = Some(weaker(self.dnssec, reply.denial));
        }
        Ok(())
    }

    fn note(&mut self, ttl: u32, dnssec: Dnssec) {
        self.min_ttl = Some(self.min_ttl.map_or(ttl, |least| least.min(ttl)));
        self.dnssec = Some(weaker(self.dnssec, dnssec));
    }

    fn finish(self, rcode: ResponseCode) -> Answer {
        let rcode = if self.records.is_empty() { rcode } else { ResponseCode::NoError };
        let min_ttl = self.min_ttl.filter(|_| !self.records.is_empty());
        Answer { rcode, records: self.records, min_ttl, dnssec: self.dnssec.unwrap_or_default() }
    }
}

/// A chain of answers is as good as its weakest.
pub(super) fn weaker(so_far: Option<Dnssec>, next: Dnssec) -> Dnssec {
    let rank = |state| match state {
        Dnssec::Secure => 3,
        Dnssec::Insecure => 2,
        Dnssec::Unchecked => 1,
        Dnssec::Bogus => 0,
    };
    so_far.map_or(next, |so_far| if rank(so_far) <= rank(next) { so_far } else { next })
}

fn options(settings: &ProbeSettings) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = settings.limits.dns;
    options.case_randomization = true;
    options.validate = settings.dnssec.trust_anchors().is_some();
    options
}

fn name_server(address: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].into_iter().map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.collect());
    ResolverConfig::from_name_servers(vec![server])
}

/// A system that names no resolver has one of its own (resolv.conf(5)); where it has not, every lookup fails and says so.
fn system_config() -> ResolverConfig {
    match system_conf::read_system_conf() {
        Ok((config, _)) => config,
        Err(error) => {
            tracing::warn!(%error, "the system names no DNS resolver; asking 127.0.0.1");
            name_server((Ipv4Addr::LOCALHOST, 53).into())
        }
    }
}

fn leave_from(mut server: NameServerConfig, source: Option<IpAddr>) -> NameServerConfig {
    // Port 0: a random one for each question.
    let bind = source.filter(|source| source.is_ipv4() == server.ip.is_ipv4()).map(|source| SocketAddr::new(source, 0));
    for connection in &mut server.connections {
        connection.bind_addr = bind;
    }
    server
}

fn is_localhost(name: &Name) -> bool {
    name.iter().next_back().is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
}

/// Names under `localhost` never leave this machine (RFC 6761 section 6.3).
fn localhost(kind: RecordType) -> Answer {
    let records = match kind {
        RecordType::A => vec![RData::A(Ipv4Addr::LOCALHOST.into())],
        RecordType::AAAA => vec![RData::AAAA(Ipv6Addr::LOCALHOST.into())],
        _ => Vec::new(),
    };
    let min_ttl = (!records.is_empty()).then_some(0);
    Answer { rcode: ResponseCode::NoError, records, min_ttl, dnssec: Dnssec::Unchecked }
}
