//! Listeners: connections are taken on up to a bound, served, and closed when they idle, last too long, or the node stops.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::identity::Identity;
use crate::janus::ClientChain;
use crate::lifecycle::Lifecycle;
use crate::limits::{Full, Place, Places, RateLimits};
use crate::metrics::Metrics;
use crate::router::{ClientAddress, Listener};
use crate::seldom::Seldom;
use crate::settings::NodeLimits;
use crate::vouching::{AnyCertificate, chain_of};

/// What is under way on a connection that is being closed gets at most this long: the longest wait for a look, and the
/// way back.
const CLOSING: Duration = Duration::from_secs(20);

/// A pause after the system refused to accept: it has no file descriptor or memory left, and retrying at once would spin.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// HTTP/2 streams of one connection at a time; HTTP/1.1 has one.
const STREAMS: u32 = 32;

/// For those who are turned away at the door over plain HTTP.
const CROWDED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A connection's place among all, and its part of what the node waits for when it stops: kept until the last of those who
/// serve it, a WebSocket say, lets go.
#[derive(Clone)]
pub(crate) struct Kept(
    #[expect(dead_code, reason = "what counts is that it is not dropped")] Arc<(Place, crate::lifecycle::UnderWay)>,
);

/// Who is at the other end of a connection.
#[derive(Clone)]
struct Met {
    peer: SocketAddr,
    listener: Listener,
    /// The certificates that it showed; judged for each request.
    chain: Option<ClientChain>,
}

/// What serves connections of both listeners.
pub(crate) struct Serving {
    pub(crate) router: Router,
    pub(crate) limits: NodeLimits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) places: Arc<Places>,
    pub(crate) rates: Arc<RateLimits>,
}

/// Files that a node needs besides connections and looks: database, log, listeners, resolver.
const OTHER_FILES: usize = 64;

/// How many connections may be open: as many as the settings say, or as the process may open files for.
pub(crate) fn affordable(limits: &NodeLimits) -> usize {
    // A look holds at most one connection and two sockets of the resolver at a time.
    let others = OTHER_FILES.saturating_add(limits.looks_at_once.saturating_mul(3));
    let Some(files) = open_files() else { return limits.connections };
    let affordable = files.saturating_sub(others).max(OTHER_FILES);
    if affordable < limits.connections {
        let wanted = limits.connections.saturating_add(others);
        tracing::warn!(
            files,
            affordable,
            wanted,
            "few open files are allowed, so fewer connections are; raise the limit"
        );
    }
    limits.connections.min(affordable)
}

/// The soft limit on open files, where the system tells it.
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// TLS 1.3 and 1.2 under the node's own CA, HTTP/2 and HTTP/1.1. Where certificates of people count the client is asked for
/// its own; one that shows none is served as ever.
pub(crate) fn tls_config(identity: Arc<Identity>, asks: bool) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match asks {
        true => builder.with_client_cert_verifier(AnyCertificate::new(provider)),
        false => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(identity);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Accepts until the node stops.
pub(crate) async fn accept_loop(serving: Arc<Serving>, listener: TcpListener, tls: Option<Arc<ServerConfig>>) {
    let acceptor = tls.map(TlsAcceptor::from);
    let warned = Seldom::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = serving.lifecycle.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => serving.take_on(stream, peer, acceptor.clone()),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                serving.metrics.connection_refused("accept");
                if warned.is_time() {
                    tracing::warn!(%error, "no connection can be accepted now");
                }
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
}

/// The peer went away before it was accepted; the listener is fine.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset | Interrupted)
}

impl Serving {
    fn take_on(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, acceptor: Option<TlsAcceptor>) {
        let place = match self.admit(peer.ip()) {
            Ok(place) => place,
            Err(reason) => {
                self.metrics.connection_refused(reason);
                if acceptor.is_none() {
                    let _ = stream.try_write(CROWDED);
                }
                return;
            }
        };
        let serving = Arc::clone(self);
        let kept = Kept(Arc::new((place, self.lifecycle.enter())));
        tokio::spawn(async move {
            let gauge = serving.metrics.connections(if acceptor.is_some() { "https" } else { "http" });
            gauge.inc();
            tokio::select! {
                () = serving.serve(stream, peer, acceptor, kept) => {}
                () = serving.lifecycle.abandoned() => {}
            }
            gauge.dec();
        });
    }

    fn admit(&self, peer: IpAddr) -> Result<Place, &'static str> {
        let place = self.places.take(Some(peer)).map_err(|full| match full {
            Full::All => "crowded",
            Full::OfNetwork => "source",
        })?;
        // A handshake costs more than most questions.
        self.rates.admit_connection(peer).map_err(|_| "source")?;
        Ok(place)
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr, acceptor: Option<TlsAcceptor>, kept: Kept) {
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = acceptor else {
            let met = Met { peer, listener: Listener::Plain, chain: None };
            return self.serve_http1(stream, met, kept).await;
        };
        match tokio::time::timeout(self.limits.header_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let met = Met { peer, listener: Listener::Tls, chain: chain_of(stream.get_ref().1) };
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => self.serve_http2(stream, met, kept).await,
                    _ => self.serve_http1(stream, met, kept).await,
                }
            }
            Ok(Err(_)) | Err(_) => self.metrics.connection_refused("handshake"),
        }
    }

    async fn serve_http1(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, met: Met, kept: Kept) {
        let activity = Arc::new(Activity::default());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            // hyper panics below 8 KiB.
            .max_buf_size(self.limits.header_bytes.max(8 * 1024))
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.service(met, &activity, kept)))
            .with_upgrades();
        self.drive(pin!(connection), &activity).await;
    }

    async fn serve_http2(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, met: Met, kept: Kept) {
        let activity = Arc::new(Activity::default());
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(self.limits.header_bytes).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.service(met, &activity, kept)));
        self.drive(pin!(connection), &activity).await;
    }

    /// The router for one connection: knows the peer and is counted.
    fn service(
        &self,
        met: Met,
        activity: &Arc<Activity>,
        kept: Kept,
    ) -> impl tower::Service<
        Request<Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static {
        let (router, activity, most) = (self.router.clone(), Arc::clone(activity), self.limits.requests_per_connection);
        tower::service_fn(move |request: Request<Incoming>| {
            let (router, busy) = (router.clone(), Busy::new(&activity, most));
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ClientAddress(met.peer.ip()));
            request.extensions_mut().insert(met.listener);
            if let Some(chain) = met.chain.clone() {
                request.extensions_mut().insert(chain);
            }
            request.extensions_mut().insert(kept.clone());
            async move {
                let _busy = busy;
                router.oneshot(request).await
            }
        })
    }

    /// Runs a connection to its end.
    async fn drive<C: Graceful>(&self, mut connection: Pin<&mut C>, activity: &Activity) {
        tokio::select! {
            () = connection.as_mut().finished() => return,
            () = activity.idle(self.limits.header_timeout) => {}
            () = activity.full.notified() => {}
            () = tokio::time::sleep(self.limits.connection_life) => {}
            () = self.lifecycle.stopping() => {}
        }
        connection.as_mut().close();
        // The peer may never say goodbye; the bytes on their way to it get as long as it would have for its header.
        let last_bytes = async {
            tokio::time::sleep(self.limits.header_timeout).await;
            activity.idle(self.limits.header_timeout).await;
        };
        tokio::select! {
            () = connection.finished() => {}
            () = last_bytes => {}
            () = tokio::time::sleep(CLOSING) => {}
        }
    }
}

/// A connection that can be told to end after what is under way.
trait Graceful {
    fn finished(self: Pin<&mut Self>) -> impl Future<Output = ()> + Send;
    fn close(self: Pin<&mut Self>);
}

impl<I, S> Graceful for http1::UpgradeableConnection<I, S>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    S: hyper::service::HttpService<Incoming, ResBody = Body, Future: Send> + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn finished(self: Pin<&mut Self>) {
        // How a stranger's connection ended is nobody's business.
        let _ = self.await;
    }

    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Graceful for http2::Connection<I, S, TokioExecutor>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send,
    S: hyper::service::HttpService<Incoming, ResBody = Body, Future: Send + 'static> + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn finished(self: Pin<&mut Self>) {
        let _ = self.await;
    }

    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// What happens on one connection.
struct Activity {
    under_way: AtomicUsize,
    served: AtomicUsize,
    last: Mutex<Instant>,
    full: Notify,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            full: Notify::new(),
        }
    }
}

impl Activity {
    /// Resolves when nothing was asked for `limit`. HTTP/2 has no header timeout of its own that would do this.
    async fn idle(&self, limit: Duration) {
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if self.under_way.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(limit).await;
            } else if last.elapsed() >= limit {
                return;
            } else {
                tokio::time::sleep_until(last + limit).await;
            }
        }
    }
}

/// One request under way.
struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: &Arc<Activity>, most: usize) -> Self {
        activity.under_way.fetch_add(1, Ordering::AcqRel);
        if activity.served.fetch_add(1, Ordering::AcqRel) + 1 >= most {
            activity.full.notify_one();
        }
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_connections_than_files() {
        let limits = NodeLimits { connections: usize::MAX, looks_at_once: 10, ..Default::default() };
        let files = open_files().expect("this system has /proc");
        assert_eq!(affordable(&limits), files.saturating_sub(OTHER_FILES + 30).max(OTHER_FILES));
        assert_eq!(affordable(&NodeLimits { connections: 7, ..limits }), 7);
    }
}
