//! A node from start to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use moka::future::Cache;
use parallax_core::{ServiceId, VantageId};
use parallax_probe::{Admission, Prober};
use parallax_proto::Descriptor;
use parallax_store::{HistoryStore, Known, SqliteStore};
use tokio::net::TcpListener;

use crate::app::{App, Shared, health_holds};
use crate::chores;
use crate::clock::Clock;
use crate::data::{DATABASE, DataDir};
use crate::descriptor::{Description, Portrait};
use crate::dns::Dns;
use crate::error::NodeError;
use crate::identity::{Identity, IdentityError, ServerTerms};
use crate::lifecycle::Lifecycle;
use crate::limits::{Places, RateLimits};
use crate::listen::{Serving, accept_loop, affordable, tls_config};
use crate::looks::{Looks, Tools, admission};
use crate::metrics::Metrics;
use crate::router::router;
use crate::scan;
use crate::settings::{NodeLimits, NodeSettings};
use crate::single_flight::SingleFlight;
use crate::views::{Again, Views};

/// What is under way when a node stops gets this long; a look that takes longer is given up and was never told of.
const FINISHING: Duration = Duration::from_millis(3500);

/// What was given up gets this long to let go, and the store as long to close.
const LETTING_GO: Duration = Duration::from_millis(500);

/// A running node. Dropping it stops it in the background; [`Node::shutdown`] waits for a clean end.
pub struct Node {
    app: Arc<App>,
    data: Arc<DataDir>,
    router: Router,
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
}

/// A listener with its address.
type Bound = Option<(TcpListener, SocketAddr)>;

impl Node {
    /// Starts a node: locks the data directory, makes or loads the identity, opens the store, listens. When this returns
    /// the node answers.
    pub async fn start(settings: NodeSettings) -> Result<Self, NodeError> {
        settings.check()?;
        let path = settings.data.clone();
        let data = Arc::new(blocking(move || DataDir::open(&path)).await?);
        let clock = Arc::new(Clock::system(data.newest_stamp()?));
        let (http, https) = (bind(settings.listen).await?, bind(settings.listen_tls).await?);
        let (http_at, https_at) = (address(&http), address(&https));

        let terms = ServerTerms { names: settings.server_names(https_at), life: settings.server_certificate_life };
        let identity = open_identity(&data, &terms, &clock).await?;
        let database = data.path().join(DATABASE);
        let store = Arc::new(blocking(move || SqliteStore::open(&database)).await?);
        let app = Arc::new(build(&settings, identity, clock, store, [http_at, https_at])?);
        let router = router(Arc::clone(&app));

        let node = Self { app, data, router, http: http_at, https: https_at };
        node.serve(&settings.limits, http, https)?;
        let chores = chores::run(Arc::clone(&node.app), Arc::clone(&node.data), terms);
        let under_way = node.app.shared.lifecycle.enter();
        tokio::spawn(async move {
            chores.await;
            drop(under_way);
        });
        if let Some(every) = settings.scan_every {
            let scan = scan::run(Arc::clone(&node.app), every, settings.limits.looks_at_once);
            let under_way = node.app.shared.lifecycle.enter();
            tokio::spawn(async move {
                scan.await;
                drop(under_way);
            });
        }
        let [http, https] = [http_at, https_at].map(|at| at.map(tracing::field::display));
        tracing::info!(http, https, vantage = %node.vantage(), "the node answers");
        Ok(node)
    }

    fn serve(&self, limits: &NodeLimits, http: Bound, https: Bound) -> Result<(), NodeError> {
        let serving = Arc::new(Serving {
            router: self.router.clone(),
            limits: limits.clone(),
            metrics: Arc::clone(&self.app.shared.metrics),
            lifecycle: self.app.shared.lifecycle.clone(),
            places: Arc::new(Places::new(affordable(limits), limits.connections_per_source_network)),
            rates: Arc::clone(&self.app.limits),
        });
        if let Some((listener, _)) = http {
            tokio::spawn(accept_loop(Arc::clone(&serving), listener, None));
        }
        if let Some((listener, _)) = https {
            let tls = Arc::new(tls_config(Arc::clone(&self.app.shared.identity))?);
            tokio::spawn(accept_loop(serving, listener, Some(tls)));
        }
        Ok(())
    }

    /// Where HTTP is served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where HTTPS is served.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https
    }

    /// Who this node is.
    pub fn vantage(&self) -> VantageId {
        self.app.shared.identity.vantage()
    }

    /// The newest descriptor.
    pub fn descriptor(&self) -> Descriptor {
        self.app.description.descriptor()
    }

    /// The histories of this node.
    pub fn store(&self) -> Arc<dyn HistoryStore> {
        Arc::clone(&self.app.store) as _
    }

    /// The routes, to be called in process. Such calls count against no source.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Runs until `signal` resolves, then stops as [`Node::shutdown`] does.
    pub async fn run_until(self, signal: impl Future<Output = ()>) -> Result<(), NodeError> {
        signal.await;
        self.shutdown().await
    }

    /// Stops within five seconds: nothing new is taken on, what is under way is finished or given up, the store is
    /// written out and closed, the data directory is free again.
    pub async fn shutdown(self) -> Result<(), NodeError> {
        let lifecycle = &self.app.shared.lifecycle;
        lifecycle.stop();
        if tokio::time::timeout(FINISHING, lifecycle.idle()).await.is_err() {
            lifecycle.abandon();
            let _ = tokio::time::timeout(LETTING_GO, lifecycle.idle()).await;
        }
        chores::keep_stamp(&self.app, &self.data).await;
        let closed = tokio::time::timeout(LETTING_GO, self.app.store.shutdown()).await;
        tracing::info!("the node has stopped");
        closed.map_err(|_| NodeError::StoreLate)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.app.shared.lifecycle.abandon();
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("vantage", &self.vantage())
            .field("http", &self.http)
            .field("https", &self.https)
            .finish()
    }
}

async fn open_identity(data: &Arc<DataDir>, terms: &ServerTerms, clock: &Clock) -> Result<Arc<Identity>, NodeError> {
    let (data, terms, now) = (Arc::clone(data), terms.clone(), clock.now()?);
    Ok(Arc::new(blocking(move || Identity::open(data.path(), &terms, now)).await?))
}

/// Puts the parts together.
fn build(
    settings: &NodeSettings,
    identity: Arc<Identity>,
    clock: Arc<Clock>,
    store: Arc<SqliteStore>,
    own: [Option<SocketAddr>; 2],
) -> Result<App, NodeError> {
    let [_, https] = own;
    let limits = Arc::new(RateLimits::new(&settings.limits));
    let prober = prober(settings, own, &limits)?;
    let description = Description::new(portrait(settings, https), &identity, clock.now()?);
    let shared = Shared {
        identity,
        region: settings.region.clone(),
        clock,
        metrics: Arc::new(Metrics::new().with_store(Arc::clone(&store))),
        lifecycle: Lifecycle::new(),
        store_warned: Arc::default(),
        clock_warned: Arc::default(),
    };
    shared.metrics.server_certificate_end.set(shared.identity.server_not_after().unix_secs());
    Ok(App {
        store_health: Arc::new(SingleFlight::new(health_holds, 1)),
        description: description.map_err(IdentityError::from)?,
        views: views(&settings.limits, &shared, &store, &prober),
        dns: dns(&settings.limits, &shared, prober),
        body_bytes: settings.limits.body_bytes,
        shared,
        store,
        limits,
    })
}

fn portrait(settings: &NodeSettings, https: Option<SocketAddr>) -> Portrait {
    Portrait {
        addresses: settings.announced(https),
        region: settings.region.clone(),
        rir: settings.rir.clone(),
        domain: settings.domain.clone(),
        operator: settings.operator.clone(),
    }
}

fn views(limits: &NodeLimits, shared: &Shared, store: &Arc<SqliteStore>, prober: &Prober) -> Views {
    let memory = memory(limits.memory_bytes);
    let tools = Tools {
        prober: prober.clone(),
        store: Arc::clone(store) as _,
        memory: memory.clone(),
        clock: Arc::clone(&shared.clock),
        metrics: Arc::clone(&shared.metrics),
        lifecycle: shared.lifecycle.clone(),
    };
    let looks = Looks::new(tools, Places::new(limits.looks_at_once, limits.looks_at_once_per_source_network));
    Views { shared: shared.clone(), store: Arc::clone(store) as _, memory, looks, again: Again::new() }
}

fn dns(limits: &NodeLimits, shared: &Shared, prober: Prober) -> Dns {
    let places = Places::new(limits.dns_at_once, limits.dns_at_once_per_source_network);
    Dns::new(shared.clone(), prober, places)
}

/// A prober that looks neither at this node itself nor at anybody too often.
fn prober(
    settings: &NodeSettings,
    own: [Option<SocketAddr>; 2],
    limits: &Arc<RateLimits>,
) -> Result<Prober, NodeError> {
    let mut probe = settings.probe.clone();
    probe.targets = probe.targets.denied(own.into_iter().flatten());
    probe.admission = Some(Admission::new(admission(Arc::clone(limits))));
    Ok(Prober::new(probe)?)
}

fn memory(bytes: u64) -> Cache<ServiceId, Arc<Known>> {
    // A span or an authority entry takes some 400 bytes in memory.
    let weigh = |_: &ServiceId, known: &Arc<Known>| {
        u32::try_from(1000 + 400 * (known.history.spans.len() + known.history.authority.len())).unwrap_or(u32::MAX)
    };
    Cache::builder().max_capacity(bytes).weigher(weigh).build()
}

async fn bind(at: Option<SocketAddr>) -> Result<Bound, NodeError> {
    let Some(address) = at else { return Ok(None) };
    let failed = |source| NodeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok(Some((listener, bound)))
}

fn address(bound: &Bound) -> Option<SocketAddr> {
    bound.as_ref().map(|(_, address)| *address)
}

/// Disk work off the threads that serve.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, NodeError>
where
    T: Send + 'static,
    E: Send + 'static,
    NodeError: From<E>,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| NodeError::Interrupted)?.map_err(NodeError::from)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use parallax_core::{DnsAnswers, Look, Observation, Outcome};
    use tower::ServiceExt as _;

    use super::*;

    async fn status(node: &Node, path: &str) -> (u16, String) {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let (parts, body) = node.router().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn what_is_in_memory_answers_while_the_store_can_not() {
        let data = tempfile::tempdir().unwrap();
        let free = "127.0.0.1:0".parse().ok();
        let settings = NodeSettings { listen: free, listen_tls: None, ..NodeSettings::new(data.path()) };
        let node = Node::start(settings).await.unwrap();
        let service: ServiceId = "192.0.2.7:443".parse().unwrap();
        let at = node.app.shared.clock.now().unwrap();
        let now = Observation::failed(at, None, Outcome::Timeout);
        let look = Look { dns: DnsAnswers::default(), now };
        let known = node.store().record(&service, look).await.unwrap();
        let path = "/v1/view?service=192.0.2.7";

        node.app.store.shutdown().await;
        let (refused, text) = status(&node, path).await;
        assert_eq!(refused, 503, "{text}");
        node.app.views.memory.insert(service, known).await;
        // A failure answers for ten seconds only; a machine that was slower than that has nothing to show here.
        let (told, text) = status(&node, path).await;
        if node.app.shared.clock.now().unwrap().since(at) < Duration::from_secs(10) {
            assert_eq!(told, 200, "{text}");
            assert!(node.app.shared.metrics.encode().unwrap().contains("source=\"memory\"} 1"));
        }
        assert_eq!(status(&node, "/readyz").await.0, 503);
    }
}
