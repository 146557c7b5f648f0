//! What a prober is told: where it may look, whom it asks, what it believes, how long it waits.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::dnssec::{TrustAnchors, Verifier as _};
use hickory_proto::serialize::txt::trust_anchor::{self, Entry};

use crate::clock::WallClock;
use crate::ct::CtLogs;
use crate::roots::Roots;
use crate::target::TargetPolicy;

/// What a prober is told. The default is the blueprint's safety defaults with the system's resolver.
#[derive(Clone, Debug, Default)]
pub struct ProbeSettings {
    /// The DNS resolver to ask, over UDP and TCP; `None` asks the system's, and honours its hosts file.
    pub resolver: Option<SocketAddr>,
    /// The local address that connections and DNS questions leave from. Targets of the other family can't be reached.
    pub source: Option<IpAddr>,
    /// Which addresses and ports may be looked at.
    pub targets: TargetPolicy,
    /// Asked before each connection to an address that `targets` allows; `None` admits all.
    pub admission: Option<Admission>,
    /// The roots that count as public.
    pub roots: Roots,
    /// The logs of Certificate Transparency whose timestamps count.
    pub ct_logs: CtLogs,
    /// Whether answers that authorise keys are validated.
    pub dnssec: Validation,
    /// Bounds of one look.
    pub limits: Limits,
    /// When looks happen, and when certificates are judged. Signatures of DNSSEC are judged by the system's clock.
    pub clock: WallClock,
}

/// A budget of the caller's: asked before each TCP connection, in the task of the look (at SSH services before the first
/// at an address only: the server decides by what it offers how many there are, five at most); what it refuses is
/// [`Outcome::NotAllowed`](parallax_core::Outcome::NotAllowed), and the next address is tried.
#[derive(Clone)]
pub struct Admission(Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>);

impl Admission {
    /// A budget that admits what `admits` says.
    pub fn new(admits: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(admits))
    }

    pub(crate) fn admits(&self, target: SocketAddr) -> bool {
        (self.0)(target)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission(…)")
    }
}

/// Bounds of one look. Nothing that a server or resolver sends makes a look longer or larger than this.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The whole look: DNS, connections, handshakes. Default 10 s.
    pub look: Duration,
    /// One TCP connection. Default 3 s.
    pub connect: Duration,
    /// From our first bytes to the first byte that comes back. Default 5 s.
    pub first_byte: Duration,
    /// One DNS question with its retries and aliases. Default 5 s.
    pub dns: Duration,
    /// Bytes read in one handshake. Default 256 KiB.
    pub handshake_bytes: usize,
    /// TLS records or SSH packets read in one handshake, empty ones included. Default 2000.
    pub records: usize,
    /// Certificates in a chain. Default 32.
    pub chain: usize,
    /// Bytes of one certificate. Default 100 KiB; rustls itself takes at most 64 KiB for a whole chain.
    pub certificate_bytes: usize,
    /// CNAMEs followed for one question. Default 8.
    pub cnames: usize,
    /// Addresses kept of one answer. Default 64.
    pub dns_records: usize,
    /// Names asked on the way up to the registrable domain; a name deeper than this has no record that can be found.
    /// Default 16.
    pub climb: usize,
    /// Addresses tried one after the other. Default 8.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(10),
            connect: Duration::from_secs(3),
            first_byte: Duration::from_secs(5),
            dns: Duration::from_secs(5),
            handshake_bytes: 256 * 1024,
            records: 2000,
            chain: 32,
            certificate_bytes: 100 * 1024,
            cnames: 8,
            dns_records: 64,
            climb: 16,
            addresses: 8,
        }
    }
}

/// Whether DNSSEC signatures are validated here (RFC 4035 section 5). The resolver must pass signatures on.
#[derive(Clone, Default)]
pub enum Validation {
    /// No: states are `unchecked`.
    #[default]
    Off,
    /// Up to the keys of the DNS root, as IANA publishes them.
    Root,
    /// Up to these keys, for a lab or a private root.
    Anchors(Arc<TrustAnchors>),
}

impl Validation {
    /// Trust anchors from DNSKEY records in zone file form, such as `example. 3600 IN DNSKEY 257 3 13 …`.
    pub fn anchors(text: &str) -> Result<Self, ProbeError> {
        let bad = |error: &dyn fmt::Display| ProbeError::Anchors(error.to_string());
        let entries = trust_anchor::Parser::new(text).parse().map_err(|error| bad(&error))?;
        if entries.is_empty() {
            return Err(bad(&"there is no DNSKEY record in it"));
        }
        let mut anchors = TrustAnchors::empty();
        for entry in entries {
            let Entry::DNSKEY(record) = entry else { return Err(bad(&"there is a record in it that is no DNSKEY")) };
            let key = record.data().key().map_err(|error| bad(&error))?;
            anchors.insert_with_name(&*key, record.name().into());
        }
        Ok(Self::Anchors(Arc::new(anchors)))
    }

    pub(crate) fn trust_anchors(&self) -> Option<Arc<TrustAnchors>> {
        match self {
            Self::Off => None,
            Self::Root => Some(Arc::new(TrustAnchors::default())),
            Self::Anchors(anchors) => Some(Arc::clone(anchors)),
        }
    }
}

impl fmt::Debug for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Root => "Root",
            Self::Anchors(_) => "Anchors(…)",
        })
    }
}

/// Why a prober can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The resolver can't be set up.
    #[error("questions to DNS can't be set up: {0}")]
    Dns(String),
    /// The file of roots holds no certificate that could be one.
    #[error("the CA file can't be used: {0}")]
    Roots(String),
    /// The trust anchors are no DNSKEY records.
    #[error("the DNSSEC trust anchors can't be read: {0}")]
    Anchors(String),
    /// TLS can't be set up with the parameters compiled in.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
}
