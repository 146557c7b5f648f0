//! The operator's end of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use tokio::net::UnixStream;

use super::OPERATOR_SOCKET;

/// The largest answer that is read.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Why an operator was not served.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// The socket is not there: the node does not run, or keeps its data elsewhere.
    #[error("no node runs with the data directory {}; start it, or name its directory with --data", .0.display())]
    NotRunning(PathBuf),
    /// It belongs to somebody else.
    #[error("{} is the operator's alone: {source}; run this as the user that runs the node", path.display())]
    NotYours {
        /// Which socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node did not answer.
    #[error("the node does not answer at {}: {why}", path.display())]
    Failed {
        /// Which socket.
        path: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// It refused, and said why.
    #[error("{0}")]
    Refused(String),
}

/// Asks the node that runs with this data directory for something that only its operator may: `POST` to a path of its
/// socket. The answer is JSON.
pub async fn ask_operator(
    data: &Path,
    path: &str,
    request: &impl Serialize,
    timeout: Duration,
) -> Result<Value, NotAsked> {
    let socket = data.join(OPERATOR_SOCKET);
    let failed = |why: String| NotAsked::Failed { path: socket.clone(), why };
    let stream = UnixStream::connect(&socket).await.map_err(|error| unreached(data, &socket, error))?;
    let body = serde_json::to_vec(request).map_err(|error| failed(error.to_string()))?;
    match tokio::time::timeout(timeout, exchange(stream, path, body)).await {
        Ok(Ok((true, value))) => Ok(value),
        Ok(Ok((false, problem))) => {
            Err(NotAsked::Refused(problem.get("detail").and_then(Value::as_str).unwrap_or("it refused").to_owned()))
        }
        Ok(Err(why)) => Err(failed(why)),
        Err(_) => Err(failed("it took too long".into())),
    }
}

fn unreached(data: &Path, socket: &Path, error: io::Error) -> NotAsked {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => NotAsked::NotRunning(data.to_owned()),
        io::ErrorKind::PermissionDenied => NotAsked::NotYours { path: socket.to_owned(), source: error },
        _ => NotAsked::Failed { path: socket.to_owned(), why: error.to_string() },
    }
}

/// Whether it was done, and what was said.
async fn exchange(stream: UnixStream, path: &str, body: Vec<u8>) -> Result<(bool, Value), String> {
    let said = |error: hyper::Error| match error.is_incomplete_message() || error.is_closed() {
        true => "it hung up; are you its operator?".to_owned(),
        false => error.to_string(),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    let driver = tokio::spawn(connection);
    let request: Request<Full<Bytes>> = Request::post(path)
        .header(header::HOST, "operator")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::<bytes::Bytes>::from(body))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(said)?;
    let done = response.status().is_success();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
    driver.abort();
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok((done, serde_json::from_slice(&body).map_err(|error| format!("it answered what can't be read: {error}"))?))
}
