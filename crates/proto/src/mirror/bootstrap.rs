//! The bootstrap file: about a hundred pairs of address and vantage id, signed by one or more publishers. It is fetched
//! or copied once; from then on lists are made by consensus.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use parallax_core::{Network, Signer, SigningFailed, Suite, Timestamp, VantageId};
use serde::{Deserialize, Serialize};

use super::bounded::at_most;
use super::statement::{StatementError, is_current, malformed};
use super::wire::verify_wrapped;
use crate::jws::{self, BadSignature, Parsed};
use crate::signed::Signed;

/// `format` of a bootstrap file's body.
pub const BOOTSTRAP_FORMAT: &str = "parallax-bootstrap/1";
/// The pairs in one file.
pub const MOST_PAIRS: usize = 500;
/// The publishers of one file.
pub const MOST_PUBLISHERS: usize = 16;
/// The largest file.
pub const LARGEST_BOOTSTRAP: usize = 1024 * 1024;
/// How long a file may count: it travels on installation media.
pub const BOOTSTRAP_LIFE: Duration = Duration::from_secs(366 * 86_400);
/// A file of fewer networks is refused: who owns one network would be all that a client meets.
pub const LEAST_NETWORKS: usize = 3;

/// Where a mirror is, and who must answer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Connected to by this very address, without DNS.
    pub address: SocketAddr,
    /// The hash of its CA's key.
    pub vantage: VantageId,
}

/// What publishers sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// [`BOOTSTRAP_FORMAT`].
    pub format: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Until when it counts, at most [`BOOTSTRAP_LIFE`] later.
    pub valid_until: Timestamp,
    /// At most [`MOST_PAIRS`].
    #[serde(deserialize_with = "at_most::<MOST_PAIRS, _, _>")]
    pub mirrors: Vec<Pair>,
}

/// A bootstrap file as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapFile {
    /// A [`Bootstrap`], byte by byte as it was signed.
    pub body: String,
    /// A detached JWS of each publisher.
    #[serde(deserialize_with = "at_most::<MOST_PUBLISHERS, _, _>")]
    pub signatures: Vec<String>,
    /// The descriptor of each publisher: it names the key that signed.
    #[serde(deserialize_with = "at_most::<MOST_PUBLISHERS, _, _>")]
    pub descriptors: Vec<Signed>,
}

/// Why a bootstrap file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// It can't be read, is too large, or not valid now.
    #[error("the bootstrap file is refused: {0}")]
    Content(#[from] StatementError),
    /// Nothing in it shows that the named publisher signed it.
    #[error("the bootstrap file is not signed by {publisher}: {why}")]
    Publisher {
        /// Whose signature was asked for.
        publisher: VantageId,
        /// What is wrong with it.
        why: String,
    },
    /// Its mirrors are too few to be of different hands.
    #[error(
        "the bootstrap file names mirrors of {found} networks; at least {LEAST_NETWORKS} are needed (IPv4 /16, IPv6 /32)"
    )]
    Networks {
        /// How many.
        found: usize,
    },
}

impl BootstrapFile {
    /// A file without signatures.
    pub fn new(content: &Bootstrap) -> Result<Self, SigningFailed> {
        let body = serde_json::to_string(content).map_err(|_| SigningFailed)?;
        Ok(Self { body, signatures: Vec::new(), descriptors: Vec::new() })
    }

    /// Adds a publisher's signature. One that signed before signs anew.
    pub fn add_publisher(
        &mut self,
        publisher: VantageId,
        descriptor: Signed,
        statement_key: &dyn Signer,
    ) -> Result<(), SigningFailed> {
        let signature = jws::sign(statement_key, publisher, None, self.body.as_bytes())?;
        let before = self.signatures.iter().position(|old| Parsed::read(old).is_ok_and(|jws| jws.names(publisher)));
        match before.and_then(|place| self.signatures.get_mut(place).zip(self.descriptors.get_mut(place))) {
            Some((old, described)) => (*old, *described) = (signature, descriptor),
            None => {
                self.signatures.push(signature);
                self.descriptors.push(descriptor);
            }
        }
        Ok(())
    }

    /// Reads a file that `publisher`, whose vantage id the reader has from elsewhere, must have signed.
    pub fn read(
        suite: &dyn Suite,
        publisher: VantageId,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Bootstrap, BootstrapError> {
        if bytes.len() > LARGEST_BOOTSTRAP {
            return Err(StatementError::TooLarge { found: bytes.len(), most: LARGEST_BOOTSTRAP }.into());
        }
        let file: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        let content: Bootstrap = serde_json::from_str(&file.body).map_err(malformed)?;
        content.check(now)?;
        file.verify(suite, publisher, content.issued_at).map_err(|why| BootstrapError::Publisher { publisher, why })?;
        Ok(content)
    }

    /// The file outlives the publisher's descriptor, which counts for 30 days: it must have been valid when it signed.
    fn verify(&self, suite: &dyn Suite, publisher: VantageId, signed_at: Timestamp) -> Result<(), String> {
        let mut why = String::from("there is no descriptor of that publisher in it");
        for descriptor in &self.descriptors {
            match verify_wrapped(suite, descriptor.clone(), signed_at) {
                Ok(found) if found.content().vantage == publisher => {
                    let key = found.content().statement_key;
                    return self.has_signature(suite, publisher, key.as_bytes()).map_err(|bad| bad.to_string());
                }
                Ok(_) => {}
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    fn has_signature(&self, suite: &dyn Suite, publisher: VantageId, key: &[u8; 32]) -> Result<(), BadSignature> {
        let mut result = Err(BadSignature::Missing);
        for signature in &self.signatures {
            let jws = Parsed::read(signature)?;
            if jws.names(publisher) {
                result = jws.verify_ed25519(suite, key, publisher, self.body.as_bytes());
            }
        }
        result
    }
}

impl Bootstrap {
    fn check(&self, now: Timestamp) -> Result<(), BootstrapError> {
        if self.format != BOOTSTRAP_FORMAT {
            let found = self.format.chars().take(40).collect();
            return Err(StatementError::Format { expected: BOOTSTRAP_FORMAT, found }.into());
        }
        is_current(self.issued_at, self.valid_until, BOOTSTRAP_LIFE, now)?;
        let networks: BTreeSet<Network> = self.mirrors.iter().map(|pair| Network::of(pair.address.ip())).collect();
        match networks.len() < LEAST_NETWORKS {
            true => Err(BootstrapError::Networks { found: networks.len() }),
            false => Ok(()),
        }
    }
}
