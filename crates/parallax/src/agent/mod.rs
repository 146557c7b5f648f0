//! The local helper: the page that the link in janus' mail opens, on loopback alone.
//!
//! What it guards against is a browser that others have told what to ask: see [`guards`]. Programs of other users of this
//! machine can ask too; they learn the phrases of orders that wait, and no address, key or token.

mod guards;
mod handlers;
mod html;
mod pages;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parallax_client::Token;
use parallax_core::plainly;
use parallax_probe::SystemRandom;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::identities::Identities;
use guards::Guards;

/// Connections at a time. A browser opens six.
const CONNECTIONS: usize = 32;

/// For the head of a request.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// For a whole connection: longer than an answer of janus is waited for.
const CONNECTION_TIME: Duration = Duration::from_secs(30);

/// What is under way when it stops gets this long.
const STOPPING: Duration = Duration::from_secs(5);

/// A pause after the system refused to accept; retrying at once would spin.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// The head of a request: a chain of certificates in a link takes 10 KiB.
const LARGEST_HEAD: usize = 32 * 1024;

/// What is posted: a file with a chain.
const LARGEST_BODY: usize = 64 * 1024;

/// What every request shares.
pub(crate) struct Helper {
    ours: Identities,
    /// Only pages of this process know it.
    token: Token,
    /// One answer or import at a time.
    one: Mutex<()>,
}

/// The helper, bound and not yet answering.
pub(crate) struct Agent {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
    router: Router,
}

impl Agent {
    /// Binds `listen`: 127.0.0.1 or `[::1]`. Browsers take either for `localhost`, so where 127.0.0.1 is asked for, the same
    /// port of `[::1]` is taken too if it can be had: nobody else shall answer there.
    pub(crate) async fn bind(ours: Identities, listen: SocketAddr) -> Result<Self, Failure> {
        let is_local = listen.ip() == Ipv4Addr::LOCALHOST || listen.ip() == Ipv6Addr::LOCALHOST;
        if !is_local {
            return Err(Failure::usage(format!(
                "--listen {listen}: the helper is for this machine alone; it listens on 127.0.0.1 or [::1]"
            )));
        }
        let first = TcpListener::bind(listen).await.map_err(|why| not_bound(listen, &why))?;
        let address = first.local_addr().map_err(|why| not_bound(listen, &why))?;
        let mut listeners = vec![first];
        if address.is_ipv4() {
            listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, address.port())).await.ok());
        }
        Ok(Self { listeners, address, router: router(ours, own_token()?, address.port()) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then lets what is under way end.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            accepting.spawn(accept(listener, self.router.clone(), Arc::clone(&places)));
        }
        stop.await;
        accepting.shutdown().await;
        // All places are free when nobody is served any more.
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(STOPPING, places.acquire_many(all)).await;
    }
}

fn not_bound(listen: SocketAddr, why: &std::io::Error) -> Failure {
    Failure::not_done(format!("{listen} can't be listened on: {}; is `parallax agent` running already?", plainly(why)))
}

/// What only the pages of this process know.
fn own_token() -> Result<Token, Failure> {
    let mut random = SystemRandom::default();
    let token = Token::draw(&mut random);
    if random.has_failed() { Err(Failure::not_done("this machine gives no random numbers")) } else { Ok(token) }
}

fn router(ours: Identities, token: Token, port: u16) -> Router {
    let helper = Arc::new(Helper { ours, token, one: Mutex::new(()) });
    Router::new()
        .route("/", get(handlers::start))
        .route("/AddCert", get(handlers::start))
        .route("/AddCert/{*pem}", get(handlers::preview))
        .route("/order", post(handlers::order))
        .route("/answer", post(handlers::answer))
        .route("/import", post(handlers::import))
        .route("/upload", post(handlers::upload))
        .fallback(handlers::nothing)
        .method_not_allowed_fallback(handlers::not_so)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(Guards::new(port), guards::guard))
        .with_state(helper)
}

async fn accept(listener: TcpListener, router: Router, places: Arc<Semaphore>) {
    loop {
        // Whoever comes when all places are taken waits in the system's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = serve(stream, router.clone());
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_TIME, served).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(AFTER_REFUSAL).await,
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // How a connection ended is nobody's business.
    let _ = connection.await;
}

#[cfg(test)]
mod tests;
