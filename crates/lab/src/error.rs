//! What can go wrong in setting a lab up.

use std::net::{Ipv4Addr, SocketAddr};

/// Why a lab, or something in it, could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Every set of loopback addresses is in use by another lab, or this system has only 127.0.0.1.
    #[error(
        "no set of loopback addresses is free, the last tried was {last}: {source}; a lab needs all of 127.0.0.0/8, as on Linux"
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
    #[error("can't listen on {address}: {source}")]
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
    /// The text is no host that a service can have.
    #[error(transparent)]
    Service(#[from] parallax_core::BadService),
}
