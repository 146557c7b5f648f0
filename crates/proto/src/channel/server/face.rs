//! Who the server is.

use std::sync::Arc;

use parallax_core::{Signer, Suite};

use crate::descriptor::StatementKey;

/// Who the server is: its statement key and the URLs it answers by. What it computes needs no state, and so no lock.
#[derive(Clone)]
pub struct Face {
    suite: Arc<dyn Suite>,
    signer: Arc<dyn Signer>,
    key: StatementKey,
    key_hash: [u8; 32],
    addresses: Vec<String>,
}

impl Face {
    /// From the statement key, what signs with it, and the descriptor's addresses.
    pub fn new(suite: Arc<dyn Suite>, key: StatementKey, signer: Arc<dyn Signer>, addresses: Vec<String>) -> Self {
        let key_hash = suite.sha256(key.as_bytes());
        Self { suite, signer, key, key_hash, addresses }
    }

    pub(super) fn suite(&self) -> &dyn Suite {
        self.suite.as_ref()
    }

    pub(super) fn signer(&self) -> &dyn Signer {
        self.signer.as_ref()
    }

    pub(super) fn key(&self) -> &StatementKey {
        &self.key
    }

    /// Whether a client means this server: by no name (`None`), which only open servers take, or by this one.
    pub(super) fn is_meant(&self, server: Option<&[u8; 32]>, open: bool) -> bool {
        server.map_or(open, |server| *server == self.key_hash)
    }

    pub(super) fn has(&self, source: &str) -> bool {
        self.addresses.iter().any(|address| address == source)
    }

    /// The first URL: what stands on a status when the client's own is not known.
    pub(super) fn address(&self) -> &str {
        self.addresses.first().map(String::as_str).unwrap_or_default()
    }

    pub(super) fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        self.suite.sha256(bytes)
    }
}
