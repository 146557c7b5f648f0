//! What the routes of a node share.

use std::sync::Arc;

use parallax_store::SqliteStore;

use crate::clock::Clock;
use crate::descriptor::Description;
use crate::dns::Dns;
use crate::identity::Identity;
use crate::lifecycle::Lifecycle;
use crate::limits::RateLimits;
use crate::metrics::Metrics;
use crate::views::Views;

/// What everything that makes statements needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) identity: Arc<Identity>,
    pub(crate) region: Option<String>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lifecycle: Lifecycle,
}

/// What the routes of a node share.
pub(crate) struct App {
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) description: Arc<Description>,
    pub(crate) views: Views,
    pub(crate) dns: Dns,
    pub(crate) limits: Arc<RateLimits>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lifecycle: Lifecycle,
    /// Bytes of a request body at most.
    pub(crate) body_bytes: usize,
}

impl App {
    /// Whether this node can do its work; else why not, in a sentence for the operator that names nothing of strangers.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        if self.lifecycle.is_stopping() {
            return Err("the node stops".into());
        }
        let now = self.clock.now().map_err(|error| error.to_string())?;
        if self.identity.server_not_after() < now {
            return Err("the server certificate has expired and could not be renewed; the log says why".into());
        }
        if self.description.descriptor().valid_until < now {
            return Err("the descriptor has expired and could not be signed again; the log says why".into());
        }
        // What the engine says names files of this machine; the log has it.
        self.store.health().await.map_err(|_| "the store is not available; the log says why".into())
    }
}
