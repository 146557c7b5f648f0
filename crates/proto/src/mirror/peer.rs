//! A mirror as others know it: its verified descriptor, and where that says it stands.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parallax_core::{Network, Suite, Timestamp, VantageId};
use serde::Deserialize;

use super::statement::Signatory;
use super::wire::verify_wrapped;
use crate::descriptor::{Descriptor, DescriptorError};
use crate::signed::{Signed, Verified};

/// The addresses that one descriptor may name.
pub const MOST_ADDRESSES: usize = 8;

/// The longest text of a descriptor that people are shown, in bytes.
const LONGEST_TEXT: usize = 253;

/// A mirror whose descriptor was verified and names an address that can be connected to without DNS.
#[derive(Clone, Debug)]
pub struct Peer {
    descriptor: Verified<Descriptor>,
    address: SocketAddr,
    networks: Vec<Network>,
    region: Option<Arc<str>>,
    operator: Option<Arc<str>>,
}

/// Why a descriptor makes no mirror.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPeer {
    /// It is not believed.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// It names no address that can be connected to without DNS.
    #[error("the descriptor names no address such as https://192.0.2.7:8443: mirrors are met by address, without DNS")]
    Address,
    /// It names too many.
    #[error("the descriptor names {found} addresses; at most {MOST_ADDRESSES} are read")]
    Addresses {
        /// How many.
        found: usize,
    },
    /// A text in it is too long or holds what belongs in no text.
    #[error("\"{field}\" of the descriptor must be at most {LONGEST_TEXT} bytes without control characters")]
    Text {
        /// Which.
        field: &'static str,
    },
}

impl Peer {
    /// A mirror, from a descriptor that was verified.
    pub fn new(descriptor: Verified<Descriptor>) -> Result<Self, BadPeer> {
        let content = descriptor.content();
        for (field, text) in [
            ("domain", content.domain.as_deref()),
            ("operator", content.operator.as_deref()),
            ("version", Some(content.version.as_str())),
        ] {
            if text.is_some_and(|text| text.len() > LONGEST_TEXT || text.chars().any(char::is_control)) {
                return Err(BadPeer::Text { field });
            }
        }
        let found = content.addresses.len();
        if found > MOST_ADDRESSES {
            return Err(BadPeer::Addresses { found });
        }
        let addresses: Vec<SocketAddr> = content.addresses.iter().filter_map(|url| literal(url)).collect();
        let address = *addresses.first().ok_or(BadPeer::Address)?;
        let mut networks: Vec<Network> = addresses.iter().map(|address| Network::of(address.ip())).collect();
        networks.sort_unstable();
        networks.dedup();
        let region = content.region.as_deref().map(Arc::from);
        let operator = operator_of(content);
        Ok(Self { descriptor, address, networks, region, operator })
    }

    /// Verifies a descriptor that names its vantage point itself, and makes a mirror of it.
    pub fn verify(suite: &dyn Suite, signed: Signed, now: Timestamp) -> Result<Self, BadPeer> {
        Self::new(verify_wrapped(suite, signed, now)?)
    }

    /// A mirror from one's own records, whose descriptor may have expired since.
    pub fn restore(suite: &dyn Suite, signed: Signed) -> Result<Self, BadPeer> {
        #[derive(Deserialize)]
        struct Claim {
            issued_at: Timestamp,
        }
        let claim: Claim =
            serde_json::from_str(&signed.body).map_err(|error| DescriptorError::Malformed(error.to_string()))?;
        Self::verify(suite, signed, claim.issued_at)
    }

    /// Who.
    pub fn vantage(&self) -> VantageId {
        self.descriptor.content().vantage
    }

    /// Where it is connected to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The networks of its addresses, each once.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The network of the address that is connected to.
    pub fn network(&self) -> Network {
        Network::of(self.address.ip())
    }

    /// The region its operator claims.
    pub fn region(&self) -> Option<&Arc<str>> {
        self.region.as_ref()
    }

    /// Who says to run it, in lower case; its domain where it names nobody.
    pub fn operator(&self) -> Option<&Arc<str>> {
        self.operator.as_ref()
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        self.descriptor.content()
    }

    /// Its descriptor as it travels.
    pub fn signed(&self) -> &Signed {
        self.descriptor.signed()
    }

    /// With which key its statements are verified.
    pub fn signatory(&self) -> Signatory {
        let descriptor = self.descriptor();
        Signatory { vantage: descriptor.vantage, statement_key: descriptor.statement_key }
    }
}

fn operator_of(descriptor: &Descriptor) -> Option<Arc<str>> {
    let named = descriptor.operator.as_deref().map(str::trim).filter(|name| !name.is_empty());
    named.or(descriptor.domain.as_deref()).map(|name| Arc::from(name.to_lowercase()))
}

/// `https://192.0.2.7:8443` or `https://[2001:db8::7]`, with or without a path.
fn literal(url: &str) -> Option<SocketAddr> {
    let host = url.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.parse().ok().or_else(|| bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 443)))
}
