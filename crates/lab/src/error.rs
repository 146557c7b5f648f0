//! What can go wrong in setting a lab up.

use std::net::{Ipv4Addr, SocketAddr};

use parallax_core::plainly;

/// Why a lab, or something in it, could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Every set of loopback addresses is in use by another lab, or this system has only 127.0.0.1.
    #[error(
        "no set of loopback addresses is free, the last tried was {last}: {}; a lab needs all of 127.0.0.0/8, as on Linux",
        plainly(source)
    )]
    NoSubnet {
        /// The last one tried.
        last: Ipv4Addr,
        /// Why it could not be had.
        source: std::io::Error,
    },
    /// No TCP port is free on all of the lab's addresses.
    #[error("no TCP port from {first} to {last} is free on {address}")]
    NoPort {
        /// Where it was tried.
        address: Ipv4Addr,
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
    /// An address could not be listened on.
    #[error("can't listen on {address}: {}", plainly(source))]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("can't make a certificate for {what}: {source}")]
    Certificate {
        /// For whom.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
    /// A certificate could not be served.
    #[error("can't serve the certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// The text is no DNS name.
    #[error("\"{name}\" is not a DNS name: {source}")]
    Name {
        /// The text.
        name: String,
        /// Why.
        source: hickory_proto::ProtoError,
    },
    /// The lab's DNS has no key to sign with.
    #[error("the lab's DNS has no key to sign with: {0}")]
    Signing(#[from] hickory_proto::dnssec::DnsSecError),
    /// The text is no host that a service can have.
    #[error(transparent)]
    Service(#[from] parallax_core::BadService),
    /// A node of the lab did not start or stop.
    #[error("a node of the lab can't run: {0}")]
    Node(#[from] parallax_node::NodeError),
    /// A node of the lab could not be given a past.
    #[error("a node of the lab can't be given a past: {0}")]
    Store(#[from] parallax_store::StoreError),
    /// The identity of a node of the lab can't be read.
    #[error("the identity of a node of the lab can't be read: {}", plainly(.0))]
    Identity(std::io::Error),
    /// A node of the lab has no place for its data.
    #[error("a node of the lab has no place for its data: {}", plainly(.0))]
    Data(std::io::Error),
    /// A user or node of the lab can't look.
    #[error("nobody can look from here: {0}")]
    Probe(#[from] parallax_probe::ProbeError),
    /// A certificate can't have been seen.
    #[error("the certificate of a past look: {0}")]
    Chain(#[from] parallax_probe::BadChain),
    /// A node of the lab has no URL to be asked at.
    #[error("a node of the lab can't be named: {0}")]
    Url(#[from] parallax_client::BadVantageUrl),
    /// A peer did not attach to its hub.
    #[error("a peer of the lab did not attach: {0}")]
    NotAttached(String),
    /// A client or peer of the lab has no key.
    #[error("a client or peer of the lab has no key: {0}")]
    Key(#[from] parallax_client::BadKeyFile),
    /// A vantage point is not pinned.
    #[error(transparent)]
    NoPin(#[from] parallax_client::NoPin),
    /// A node of the lab was not met.
    #[error("a node of the lab was not met: {0}")]
    Missing(#[from] parallax_client::Missing),
    /// A node of the lab can't be a mirror.
    #[error("a node of the lab can't be a mirror: {0}")]
    Peer(#[from] parallax_proto::mirror::BadPeer),
}
