//! The connection and what is shown over it.

mod capture;
mod connect;
mod handshake;
mod hello;
mod meter;
mod sighting;
mod wire;

pub(crate) use connect::connect;
pub(crate) use handshake::{Handshaker, Unseen};
pub(crate) use sighting::sight;

use rustls_pki_types::CertificateDer;

/// A chain that a server showed, and how.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Leaf first, within the bounds.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The OCSP response that was stapled to it, empty when none was. Nothing in it is checked.
    pub(crate) ocsp: Vec<u8>,
    /// `TLSv1.3` and so on.
    pub(crate) protocol: &'static str,
    /// Whether the server proved possession of the leaf's key.
    pub(crate) proved: bool,
}
