//! Why a node does not start or stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use parallax_core::plainly;
use parallax_probe::ProbeError;
use parallax_store::StoreError;

use crate::identity::IdentityError;

/// Why a node does not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A setting can't be.
    #[error("{field}: {why}")]
    Setting {
        /// Which, by its name in [`crate::NodeSettings`].
        field: &'static str,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The data directory can't be used.
    #[error("the data directory {} can't be used: {}; make it one that this user may write to, or name another one", path.display(), plainly(source))]
    Data {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another node runs there.
    #[error("another node runs with the data directory {}; name another one, or stop it", .0.display())]
    Locked(PathBuf),
    /// Keys or certificates can't be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Nothing can be served there.
    #[error("can't listen on {address}: {}; {}", plainly(source), other_address(source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// TLS can't be set up.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The message queue can't be used.
    #[error("the message queue can't be used: {0}")]
    Bus(String),
    /// It can't look.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// It can't remember.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not close in time; what was acknowledged is on disk all the same.
    #[error("the store did not close in time; what was acknowledged is on disk all the same")]
    StoreLate,
    /// The runtime ended while the node started.
    #[error("the runtime ended while the node started")]
    Interrupted,
    /// The clock is wrong.
    #[error(transparent)]
    Clock(#[from] crate::clock::ClockBehind),
}

/// What would be right where nothing can be served.
fn other_address(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege, so take another port or grant it",
        _ => "name another address or port, or end what holds this one",
    }
}
