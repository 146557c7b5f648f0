//! The routes: `POST /v1/channels`, `POST /v1/messages`, `GET /v1/peer`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::WebSocketUpgrade;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use parallax_proto::channel::{Connection, LARGEST_MESSAGE};

use super::{Back, Channels, socket};
use crate::clock::ClockBehind;
use crate::listen::Kept;
use crate::problem::Problem;

/// Read and write buffers of a WebSocket: the defaults take 128 KiB for each that rests.
const BUFFER: usize = 4 * 1024;

/// Answers that come at the same moment go in one write; the buffer is there only while they do.
const WRITTEN: usize = 32 * 1024;

/// `POST /v1/channels`.
pub(crate) async fn create(channels: &Channels, from: Option<IpAddr>, body: &[u8]) -> Result<Response, Problem> {
    channels.create(from, body).await.map(response).map_err(clock)
}

/// `POST /v1/messages`.
pub(crate) async fn message(channels: &Arc<Channels>, from: Option<IpAddr>, body: &[u8]) -> Result<Response, Problem> {
    channels.message(from, None, body).await.map(response).map_err(clock)
}

/// `GET /v1/peer`. The connection's place among all is kept until the WebSocket ends.
pub(crate) fn peer(
    channels: &Arc<Channels>,
    from: Option<IpAddr>,
    kept: Option<Kept>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let channels = Arc::clone(channels);
    upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(WRITTEN)
        .max_write_buffer_size(4 * LARGEST_MESSAGE)
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        .on_upgrade(move |socket| async move {
            let _kept = kept;
            socket::serve(channels, socket, from).await;
        })
}

impl Channels {
    /// One frame: a request for a channel, or a message. `None` when nothing comes of it.
    pub(super) async fn frame(
        self: &Arc<Self>,
        from: Option<IpAddr>,
        connection: Connection,
        text: &[u8],
    ) -> Option<Back> {
        let back = match is_creation(text) {
            true => self.create(from, text).await,
            false => self.message(from, Some(connection), text).await,
        };
        back.ok()
    }
}

/// Whether it is a request for a channel. What is sealed has no quotes, so this is a name of the envelope, or of nothing that
/// opens.
pub(super) fn is_creation(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"\"public_key\"").is_some()
}

fn response(back: Back) -> Response {
    let (status, retry_after, body) = match back {
        Back::Message(bytes) => (StatusCode::OK, 0, bytes),
        Back::Nothing => return StatusCode::NO_CONTENT.into_response(),
        Back::Status { status, retry_after, body } => {
            let code = StatusCode::from_u16(status.http()).unwrap_or(StatusCode::BAD_REQUEST);
            // A server that is busy says nothing about when; a client has its own back-off.
            (code, retry_after, body)
        }
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if retry_after > 0 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
    }
    response
}

fn clock(error: ClockBehind) -> Problem {
    Problem::unavailable("clock", error.to_string(), std::time::Duration::from_secs(5))
}
