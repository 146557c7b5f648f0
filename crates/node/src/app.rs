//! What the routes of a node share.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parallax_store::SqliteStore;
use tokio::sync::watch;

use crate::bootstrap::BootstrapFiles;
use crate::channels::Channels;
use crate::clock::Clock;
use crate::descriptor::Description;
use crate::dns::Dns;
use crate::histories::Histories;
use crate::hub::HubRole;
use crate::identity::Identity;
use crate::janus::Office;
use crate::legacy::Legacy;
use crate::lifecycle::Lifecycle;
use crate::limits::RateLimits;
use crate::metrics::Metrics;
use crate::mirror::Mirrors;
use crate::seldom::Seldom;
use crate::single_flight::{Joined, SingleFlight};
use crate::trust::Trust;
use crate::views::Views;
use crate::vouching::Vouching;

/// What everything that makes statements needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) identity: Arc<Identity>,
    pub(crate) region: Option<String>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) store_warned: Arc<Seldom>,
    pub(crate) clock_warned: Arc<Seldom>,
}

/// What the routes of a node share.
pub(crate) struct App {
    pub(crate) shared: Shared,
    pub(crate) store: Arc<SqliteStore>,
    /// Whether the store is well: asked of it once for all who want to know.
    pub(crate) store_health: Arc<SingleFlight<(), bool>>,
    pub(crate) description: Description,
    pub(crate) bootstrap: BootstrapFiles,
    pub(crate) views: Arc<Views>,
    pub(crate) mirrors: Arc<Mirrors>,
    /// `None` where this node is no hub.
    pub(crate) hub: Option<Arc<HubRole>>,
    /// `None` where this node certifies no mailboxes.
    pub(crate) office: Option<Arc<Office>>,
    /// Whose certificates count; `None` where nobody's do.
    pub(crate) vouching: Option<Arc<Vouching>>,
    /// Who trusts whom; there where certificates count.
    pub(crate) trust: Option<Arc<Trust>>,
    pub(crate) dns: Dns,
    pub(crate) channels: Arc<Channels>,
    /// `None` when it is off, or there is no HTTP listener.
    pub(crate) legacy: Option<Legacy>,
    pub(crate) histories: Arc<Histories>,
    pub(crate) limits: Arc<RateLimits>,
    /// Bytes of a request body at most.
    pub(crate) body_bytes: usize,
    /// Whether the message queue is there; not set where there is none.
    pub(crate) bus: OnceLock<watch::Receiver<bool>>,
}

/// How long a good answer of the store holds; a bad one is not remembered, so that recovery is seen at once.
pub(crate) fn health_holds(well: &bool) -> Duration {
    if *well { Duration::from_secs(1) } else { Duration::ZERO }
}

impl App {
    /// Whether this node can do its work; else why not, in a sentence for the operator that names nothing of strangers.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        if self.shared.lifecycle.is_stopping() {
            return Err("the node stops".into());
        }
        let now = self.shared.clock.now().map_err(|error| error.to_string())?;
        if self.shared.identity.server_not_after() < now {
            return Err("the server certificate has expired and could not be renewed; the log says why".into());
        }
        if self.description.descriptor().valid_until < now {
            return Err("the descriptor has expired and could not be signed again; the log says why".into());
        }
        // What the engine says names files of this machine; the log has it.
        if self.store_is_well().await { Ok(()) } else { Err("the store is not available; the log says why".into()) }
    }

    /// What its operator should know although it can do its work.
    pub(crate) fn lacks(&self) -> Option<&'static str> {
        let away = self.bus.get().is_some_and(|there| !*there.borrow());
        away.then_some("the message queue is away: channels are served over HTTP alone, and a hub serves its own peers")
    }

    async fn store_is_well(&self) -> bool {
        let joined = self.store_health.join((), || {
            let store = Arc::clone(&self.store);
            Some(async move { store.health().await.is_ok() })
        });
        match joined {
            Joined::Done(well) => well,
            Joined::Waiting(waiting) => waiting.result().await.unwrap_or(false),
            Joined::NotStarted => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use parallax_core::Timestamp;

    use crate::identity::ServerTerms;

    /// What a node shares, under a clock of the test's own.
    pub(crate) fn shared_at(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Shared {
        let data = tempfile::tempdir().unwrap();
        let terms = ServerTerms { names: ["localhost".to_owned()].into(), life: Duration::from_secs(86_400) };
        let identity = Arc::new(Identity::open(data.path(), &terms, wall()).unwrap());
        Shared {
            identity,
            region: None,
            clock: Arc::new(Clock::new(Box::new(wall), None)),
            metrics: Arc::new(Metrics::new()),
            lifecycle: Lifecycle::new(),
            store_warned: Arc::default(),
            clock_warned: Arc::default(),
        }
    }
}
