//! What only the operator may ask of a running node: over a Unix socket in the data directory, which nobody else may open.
//!
//! Neither listener knows these routes. Whoever can open the socket can read the node's keys as well, so it takes no
//! password: the directory is mode 0700, the socket 0600, and the other end must be of the same user (or root).

mod ask;

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parallax_core::VantageId;
use parallax_proto::mirror::Wish;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

pub use self::ask::{NotAsked, ask_operator};
use crate::app::App;
use crate::janus::{Office, Page, Revoke};
use crate::problem::Problem;

/// The name of the socket in a node's data directory.
pub const OPERATOR_SOCKET: &str = "operator.sock";

/// The largest body of a request.
const LARGEST_BODY: usize = 4 * 1024;

/// Connections at once.
const CONNECTIONS: usize = 8;

/// Nobody takes longer than that.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pause after the system refused to accept.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// `POST /mirrors`: what is to become of a mirror in this node's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorWish {
    /// Which mirror.
    pub vantage: VantageId,
    /// What.
    pub wish: Wish,
}

/// The socket, removed with the node.
pub(crate) struct OperatorSocket {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl OperatorSocket {
    /// Opens it. What an earlier run left is removed: the lock of the data directory says that nobody uses it.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        let path = data.join(OPERATOR_SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let owner = std::fs::symlink_metadata(&path)?.uid();
        Ok(Self { listener, path, owner })
    }

    /// Serves until the node stops.
    pub(crate) async fn serve(self, app: Arc<App>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let lifecycle = app.shared.lifecycle.clone();
        let router = routes(app);
        loop {
            let accepted = tokio::select! {
                () = lifecycle.stopping() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(AFTER_REFUSAL).await;
                continue;
            };
            if !self.is_operator(&stream) {
                continue;
            }
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let router = router.clone();
            tokio::spawn(async move {
                let _place = place;
                let service = TowerToHyperService::new(router);
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), service);
                drop(tokio::time::timeout(PATIENCE, connection).await);
            });
        }
    }

    /// Modes of files may be loosened by accident; who is at the other end may not.
    fn is_operator(&self, stream: &UnixStream) -> bool {
        let who = stream.peer_cred().map(|peer| peer.uid());
        who.is_ok_and(|uid| uid == self.owner || uid == 0)
    }
}

impl Drop for OperatorSocket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/mirrors", post(mirrors))
        .route("/ca/list", post(ca_list))
        .route("/ca/revoke", post(ca_revoke))
        .route("/ca/reload", post(ca_reload))
        .layer(tower_http::limit::RequestBodyLimitLayer::new(LARGEST_BODY))
        .with_state(app)
}

async fn mirrors(State(app): State<Arc<App>>, body: Bytes) -> Response {
    let told = read(&body).and_then(|MirrorWish { vantage, wish }| app.mirrors.wished(vantage, wish));
    shown(told)
}

async fn ca_list(State(app): State<Arc<App>>, body: Bytes) -> Response {
    let told = async { office(&app)?.account(&read::<Page>(&body)?).await };
    shown(told.await)
}

async fn ca_revoke(State(app): State<Arc<App>>, body: Bytes) -> Response {
    let told = async { office(&app)?.revoke_for_operator(&read::<Revoke>(&body)?).await };
    shown(told.await)
}

async fn ca_reload(State(app): State<Arc<App>>) -> Response {
    let told = async { Arc::clone(office(&app)?).reload_for_operator().await };
    shown(told.await)
}

fn office(app: &App) -> Result<&Arc<Office>, Problem> {
    app.office.as_ref().ok_or_else(|| {
        let detail = "this node certifies no mailboxes; start it with --role janus";
        Problem::new(http::StatusCode::NOT_FOUND, "not-found", detail)
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let bad =
        |error: serde_json::Error| Problem::new(http::StatusCode::BAD_REQUEST, "bad-statement", error.to_string());
    serde_json::from_slice(body).map_err(bad)
}

fn shown(told: Result<Value, Problem>) -> Response {
    told.map_or_else(|problem| problem.into_response(), |account| Json(account).into_response())
}
