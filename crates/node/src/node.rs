//! A node from start to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use parallax_core::VantageId;
use parallax_probe::{Admission, ProbeSettings, Prober};
use parallax_proto::Descriptor;
use parallax_store::{HistoryStore, SqliteStore};
use tokio::net::TcpListener;

use crate::app::{App, Shared, health_holds};
use crate::bootstrap::BootstrapFiles;
use crate::channels::{Channels, Health, KeyDirectories, View};
use crate::chores;
use crate::clock::Clock;
use crate::data::{DATABASE, DataDir};
use crate::descriptor::{Description, Portrait};
use crate::dns::Dns;
use crate::error::NodeError;
use crate::histories::Histories;
use crate::hub::{HubRole, KnownPeople, Tools as HubTools};
use crate::identity::{Identity, IdentityError, ServerTerms};
use crate::janus::{Office, Tools as OfficeTools};
use crate::legacy::{Legacy, LegacyKeeper, Tools as LegacyTools};
use crate::lifecycle::Lifecycle;
use crate::limits::{Places, RateLimits};
use crate::listen::{Serving, accept_loop, affordable, tls_config};
use crate::looks::{Looks, Tools, admission};
use crate::metrics::Metrics;
use crate::mirror::{Mirrors, Tools as MirrorTools};
use crate::operator::{OPERATOR_SOCKET, OperatorSocket};
use crate::router::router;
use crate::scan;
use crate::settings::{NodeLimits, NodeSettings};
use crate::single_flight::SingleFlight;
use crate::trust::Trust;
use crate::views::{Again, Views};
use crate::vouching::Vouching;

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
        let clock = Arc::new(Clock::of(settings.probe.clock, data.newest_stamp()?));
        let (http, https) = (bind(settings.listen).await?, bind(settings.listen_tls).await?);
        let (http_at, https_at) = (address(&http), address(&https));

        let terms = ServerTerms { names: settings.server_names(https_at), life: settings.server_certificate_life };
        let identity = open_identity(&data, &terms, &clock).await?;
        let database = data.path().join(DATABASE);
        let store = Arc::new(blocking(move || SqliteStore::open(&database)).await?);
        let key = open_legacy_key(&settings, &data).await?;
        let parts = Parts { identity, clock, store, key };
        let app = Arc::new(build(&settings, parts, [http_at, https_at], data.path()).await?);
        app.channels.register("health", Arc::new(Health(Arc::downgrade(&app))));
        app.channels.register("view", Arc::new(View(Arc::clone(&app.views))));
        let router = router(Arc::clone(&app));

        let node = Self { app, data, router, http: http_at, https: https_at };
        node.serve(&settings.limits, http, https)?;
        let chores = chores::run(Arc::clone(&node.app), Arc::clone(&node.data), terms);
        let under_way = node.app.shared.lifecycle.enter();
        tokio::spawn(async move {
            chores.await;
            drop(under_way);
        });
        let mirrors = Arc::clone(&node.app.mirrors).run();
        let under_way = node.app.shared.lifecycle.enter();
        tokio::spawn(async move {
            mirrors.await;
            drop(under_way);
        });
        #[cfg(feature = "cluster")]
        node.join_bus(&settings).await?;
        if let Some(hub) = node.app.hub.clone() {
            let under_way = node.app.shared.lifecycle.enter();
            tokio::spawn(async move {
                hub.run().await;
                drop(under_way);
            });
        }
        if let Some(office) = node.app.office.clone() {
            let under_way = node.app.shared.lifecycle.enter();
            tokio::spawn(async move {
                office.run().await;
                drop(under_way);
            });
        }
        if let Some(vouching) = node.app.vouching.clone() {
            let vouching = vouching.run(Arc::clone(&node.app.channels));
            let under_way = node.app.shared.lifecycle.enter();
            tokio::spawn(async move {
                vouching.await;
                drop(under_way);
            });
        }
        let channels = Arc::clone(&node.app.channels).run();
        let under_way = node.app.shared.lifecycle.enter();
        tokio::spawn(async move {
            channels.await;
            drop(under_way);
        });
        node.serve_operator();
        let app = Arc::clone(&node.app);
        tokio::spawn(async move {
            if let Some(legacy) = &app.legacy {
                legacy.make_key().await;
            }
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
            let asks = self.app.vouching.is_some();
            let tls = Arc::new(tls_config(Arc::clone(&self.app.shared.identity), asks)?);
            tokio::spawn(accept_loop(serving, listener, Some(tls)));
        }
        Ok(())
    }

    /// Serves channels on the queue, and shares the hub's peers over it.
    #[cfg(feature = "cluster")]
    async fn join_bus(&self, settings: &NodeSettings) -> Result<(), NodeError> {
        let Some(wanted) = &settings.bus else { return Ok(()) };
        let group = wanted.group.as_deref().map(crate::bus::read_group).transpose()?;
        let bus = crate::bus::Bus::connect(wanted, Arc::clone(&self.app.shared.metrics)).await?;
        // It is set once: a node starts once.
        let _ = self.app.bus.set(bus.there.clone());
        let app = Arc::clone(&self.app);
        let describe = Box::new(move || app.description.signed());
        let channels = Arc::clone(&self.app.channels);
        crate::channels::bus::OnBus::new(bus.client.clone(), channels, describe).run().await?;
        match (&self.app.hub, group) {
            (Some(hub), Some(group)) => hub.share(bus, &group).await,
            _ => Ok(()),
        }
    }

    /// A node works without: nothing but its operator's commands needs it.
    fn serve_operator(&self) {
        match OperatorSocket::open(self.data.path()) {
            Ok(socket) => drop(tokio::spawn(socket.serve(Arc::clone(&self.app)))),
            Err(error) => {
                let path = self.data.path().join(OPERATOR_SOCKET);
                tracing::warn!(%error, path = %path.display(), "no socket for the operator's commands");
            }
        }
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

    /// The histories of this node, through its memory. Writes have to be called within the Tokio runtime.
    pub fn store(&self) -> Arc<dyn HistoryStore> {
        Arc::clone(&self.app.histories) as _
    }

    /// Its channels: what is asked for on them, and what is said unasked.
    pub fn channels(&self) -> Arc<Channels> {
        Arc::clone(&self.app.channels)
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

/// The key of the Perspectives interface, where that is served.
async fn open_legacy_key(settings: &NodeSettings, data: &Arc<DataDir>) -> Result<Option<Arc<LegacyKeeper>>, NodeError> {
    if !settings.legacy || settings.listen.is_none() {
        return Ok(None);
    }
    let data = Arc::clone(data);
    Ok(Some(Arc::new(blocking(move || LegacyKeeper::open(data.path())).await?)))
}

/// What was opened at the start.
struct Parts {
    identity: Arc<Identity>,
    clock: Arc<Clock>,
    store: Arc<SqliteStore>,
    key: Option<Arc<LegacyKeeper>>,
}

/// Puts the parts together.
async fn build(
    settings: &NodeSettings,
    parts: Parts,
    own: [Option<SocketAddr>; 2],
    data: &Path,
) -> Result<App, NodeError> {
    let Parts { identity, clock, store, key } = parts;
    let [http, https] = own;
    let limits = Arc::new(RateLimits::new(&settings.limits));
    let probe = probe_settings(settings, own, &limits);
    let targets = probe.targets.clone();
    let prober = Prober::new(probe)?;
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
    let metrics = Arc::clone(&shared.metrics);
    let histories = Arc::new(Histories::new(Arc::clone(&store), metrics, settings.limits.memory_bytes));
    histories.begin(shared.clock.now()?).await?;
    let looks = Arc::new(looks(&settings.limits, &shared, &histories, &prober));
    let again = Again::new();
    let views =
        Arc::new(Views { shared: shared.clone(), histories: Arc::clone(&histories), looks: Arc::clone(&looks), again });
    let mirrors = MirrorTools {
        shared: shared.clone(),
        views: Arc::clone(&views),
        records: Arc::clone(&store),
        limits: Arc::clone(&limits),
        targets: targets.clone(),
    };
    let mirrors = Mirrors::open(settings.mirror.clone(), mirrors).await?;
    let office = match settings.janus.clone() {
        Some(janus) => {
            let address = settings.announced(https).into_iter().next();
            let address = address.unwrap_or_else(|| shared.identity.vantage().to_string());
            let tools = OfficeTools { shared: shared.clone(), records: Arc::clone(&store) as _, address };
            Some(Office::open(janus, data, tools).await?)
        }
        None => None,
    };
    let vouching = Vouching::new(office.as_ref().map(|office| office.believed()), &settings.believe, shared.clone());
    let trust = match &vouching {
        Some(_) => Some(Arc::new(Trust::open(data, Arc::clone(&store) as _).await?)),
        None => None,
    };
    let people = trust.clone().zip(vouching.clone()).map(|(trust, vouching)| KnownPeople { trust, vouching });
    let hub = match settings.hub.clone() {
        Some(settings) => {
            let records = Arc::clone(&store) as _;
            let (prober, targets) = (prober.clone(), targets.clone());
            let tools = HubTools { shared: shared.clone(), records, prober, targets, people };
            Some(HubRole::open(settings, tools).await?)
        }
        None => None,
    };
    let channels = Channels::open(
        &settings.channel,
        shared.clone(),
        Arc::clone(&store),
        KeyDirectories::of(data),
        meant(settings, http, https),
    );
    let channels = channels.await?;
    hub.iter().for_each(|hub: &Arc<HubRole>| hub.serve(&channels));
    if let Some(vouching) = vouching.clone() {
        channels.judged_by(vouching);
    }
    let legacy = key.map(|key| {
        let (shared, looks, limits) = (shared.clone(), Arc::clone(&looks), Arc::clone(&limits));
        let (histories, records) = (Arc::clone(&histories), Arc::clone(&store));
        let tools = LegacyTools { shared, key, histories, records, looks, limits, targets };
        Legacy::new(tools, settings.limits.legacy_bytes)
    });
    Ok(App {
        store_health: Arc::new(SingleFlight::new(health_holds, 1)),
        description: description.map_err(IdentityError::from)?,
        bootstrap: BootstrapFiles::new(&settings.data),
        views,
        mirrors,
        hub,
        office,
        vouching,
        trust,
        channels,
        dns: dns(&settings.limits, &shared, prober, &limits),
        legacy,
        body_bytes: settings.limits.body_bytes,
        shared,
        histories,
        store,
        limits,
        bus: std::sync::OnceLock::new(),
    })
}

/// The URLs that a client of a channel may mean: those announced, or where there is none the plain listener's own.
fn meant(settings: &NodeSettings, http: Option<SocketAddr>, https: Option<SocketAddr>) -> Vec<String> {
    let announced = settings.announced(https);
    if !announced.is_empty() {
        return announced;
    }
    http.map(|at| format!("http://{at}")).into_iter().collect()
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

fn looks(limits: &NodeLimits, shared: &Shared, histories: &Arc<Histories>, prober: &Prober) -> Looks {
    let tools = Tools {
        prober: prober.clone(),
        store: Arc::clone(histories) as _,
        clock: Arc::clone(&shared.clock),
        metrics: Arc::clone(&shared.metrics),
        lifecycle: shared.lifecycle.clone(),
    };
    Looks::new(tools, Places::new(limits.looks_at_once, limits.looks_at_once_per_source_network))
}

fn dns(limits: &NodeLimits, shared: &Shared, prober: Prober, rates: &Arc<RateLimits>) -> Dns {
    let places = Places::new(limits.dns_at_once, limits.dns_at_once_per_source_network);
    Dns::new(shared.clone(), prober, Arc::clone(rates), places)
}

/// It looks neither at this node itself nor at anybody too often.
fn probe_settings(settings: &NodeSettings, own: [Option<SocketAddr>; 2], limits: &Arc<RateLimits>) -> ProbeSettings {
    let mut probe = settings.probe.clone();
    probe.targets = probe.targets.denied(own.into_iter().flatten());
    probe.admission = Some(Admission::new(admission(Arc::clone(limits))));
    probe
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
    use parallax_core::{
        CaId, DnsAnswers, Fingerprint, History, Look, Md5Fingerprint, Observation, Outcome, ServiceId, Timespan,
        Timestamp,
    };
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
        let settings = NodeSettings { listen: free, listen_tls: None, legacy: false, ..NodeSettings::new(data.path()) };
        let node = Node::start(settings).await.unwrap();
        let [known, other]: [ServiceId; 2] = ["192.0.2.7:443", "192.0.2.8:443"].map(|text| text.parse().unwrap());
        let at = node.app.shared.clock.now().unwrap();
        let now = Observation::failed(at, None, Outcome::Timeout);
        let look = Look { dns: DnsAnswers::default(), now };
        node.store().record(&known, look.clone()).await.unwrap();
        // Beside the memory, as another program would.
        node.app.store.record(&other, look).await.unwrap();

        node.app.store.shutdown().await;
        let (refused, text) = status(&node, "/v1/view?service=192.0.2.8").await;
        assert_eq!(refused, 503, "{text}");
        // A failure answers for ten seconds only; a machine that was slower than that has nothing to show here.
        let (told, text) = status(&node, "/v1/view?service=192.0.2.7").await;
        if node.app.shared.clock.now().unwrap().since(at) < Duration::from_secs(10) {
            assert_eq!(told, 200, "{text}");
        }
        assert_eq!(status(&node, "/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn finished_replies_go_on_while_the_store_is_gone_and_others_get_503() {
        let data = tempfile::tempdir().unwrap();
        let free = "127.0.0.1:0".parse().ok();
        let settings = NodeSettings { listen: free, listen_tls: None, ..NodeSettings::new(data.path()) };
        let node = Node::start(settings).await.unwrap();
        for name in ["known.example", "other.example"] {
            let print = Fingerprint::from_bytes([7; 32]);
            let at = Timestamp::from_unix_secs(1000);
            let span = Timespan {
                key: print,
                leaf: print,
                leaf_md5: Some(Md5Fingerprint::from_bytes([7; 16])),
                issuer_key: None,
                ca_id: CaId::Key(print),
                networks: vec![],
                proved: true,
                first_seen: at,
                last_seen: at,
            };
            let history = History { spans: vec![span], ..History::default() };
            node.store().import(&name.parse().unwrap(), history).await.unwrap();
        }
        let told = status(&node, "/?host=known.example").await;
        assert_eq!(told.0, 200, "{}", told.1);
        node.app.store.shutdown().await;
        assert_eq!(status(&node, "/?host=known.example").await, told);
        for path in ["/?host=other.example", "/?host=unknown.example"] {
            assert_eq!(status(&node, path).await.0, 503, "{path}");
        }
        assert_eq!(status(&node, "/").await.0, 200, "the node keeps running");
    }
}
