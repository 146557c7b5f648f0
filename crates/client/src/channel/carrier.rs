//! What carries messages to a server: HTTP, with a WebSocket for what is said unasked, or a message queue.

use std::net::IpAddr;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use parallax_proto::channel::LARGEST_MESSAGE;
use parallax_proto::{LARGEST_DESCRIPTOR, Signed};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

#[cfg(feature = "cluster")]
use super::bus::{Bus, BusLink};
use super::error::CallError;
use super::url::{ServerUrl, Way};
use crate::http::{Channel as Http, Stream};
use crate::vantage::{Deadline, Missing};

/// Buffers of a WebSocket: the defaults take 128 KiB.
const BUFFER: usize = 4 * 1024;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request for a channel.
    Create,
    /// A message on one.
    Message,
}

/// One question, one answer.
pub(super) enum Carrier {
    Http(Box<Http>),
    #[cfg(feature = "cluster")]
    Bus(Box<Bus>),
}

impl Carrier {
    pub(super) fn new(url: &ServerUrl) -> Result<Self, CallError> {
        let at = url.vantage().clone();
        Ok(match url.way() {
            Way::Tls => Self::Http(Box::new(Http::new(at)?)),
            Way::Plain => Self::Http(Box::new(Http::plain(at)?)),
            #[cfg(feature = "cluster")]
            Way::Queue(queue) => Self::Bus(Box::new(Bus::new(url, &queue.0, &queue.1)?)),
        })
    }

    /// Connects from this local address; a message queue has its own.
    pub(super) fn looking_from(self, source: Option<IpAddr>) -> Self {
        match self {
            Self::Http(http) => Self::Http(Box::new(http.looking_from(source))),
            #[cfg(feature = "cluster")]
            queue @ Self::Bus(_) => queue,
        }
    }

    /// The server's descriptor, not verified yet.
    pub(super) async fn describe(&self, deadline: Deadline) -> Result<Signed, Missing> {
        match self {
            Self::Http(http) => http.get("/v1/vantage", LARGEST_DESCRIPTOR, deadline).await,
            #[cfg(feature = "cluster")]
            Self::Bus(bus) => bus.describe(deadline).await,
        }
    }

    /// Sends a message; what comes back is an answer or a status. Empty where nothing comes.
    pub(super) async fn exchange(&self, kind: Kind, message: Vec<u8>, deadline: Deadline) -> Result<Bytes, Missing> {
        match self {
            Self::Http(http) => {
                let path = match kind {
                    Kind::Create => "/v1/channels",
                    Kind::Message => "/v1/messages",
                };
                Ok(http.post_any(path, message.into(), LARGEST_MESSAGE, deadline).await?.1)
            }
            #[cfg(feature = "cluster")]
            Self::Bus(bus) => bus.exchange(kind, message, deadline).await,
        }
    }

    /// A way that carries what the server says unasked, too.
    pub(super) async fn link(&self, deadline: Deadline) -> Result<Link, CallError> {
        match self {
            Self::Http(http) => websocket(http, deadline).await.map(|socket| Link::WebSocket(Box::new(socket))),
            #[cfg(feature = "cluster")]
            Self::Bus(bus) => bus.link(deadline).await.map(|link| Link::Bus(Box::new(link))),
        }
    }
}

type Socket = WebSocketStream<Box<dyn Stream>>;

/// Messages both ways.
pub(super) enum Link {
    WebSocket(Box<Socket>),
    #[cfg(feature = "cluster")]
    Bus(Box<BusLink>),
}

impl Link {
    pub(super) async fn send(&mut self, message: Vec<u8>) -> Result<(), CallError> {
        match self {
            Self::WebSocket(socket) => {
                let text = Utf8Bytes::try_from(Bytes::from(message)).map_err(|_| CallError::Gone)?;
                socket.send(Message::Text(text)).await.map_err(|_| CallError::Gone)
            }
            #[cfg(feature = "cluster")]
            Self::Bus(link) => link.send(message).await,
        }
    }

    /// The next message; `None` when there is none any more. Giving this up loses nothing.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::WebSocket(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => return Some(text.into()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            },
            #[cfg(feature = "cluster")]
            Self::Bus(link) => link.next().await,
        }
    }

    pub(super) async fn close(&mut self) {
        match self {
            Self::WebSocket(socket) => drop(socket.as_mut().close(None).await),
            #[cfg(feature = "cluster")]
            Self::Bus(link) => link.close().await,
        }
    }
}

async fn websocket(http: &Http, deadline: Deadline) -> Result<Socket, CallError> {
    let stream = tokio::time::timeout_at(deadline.instant(), http.stream()).await;
    let stream = stream.map_err(|_| CallError::Timeout)??;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(4 * LARGEST_MESSAGE)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    // The scheme is only what the handshake wants to see; TLS was made, or not, below.
    let request = format!("ws://{}/v1/peer", http.authority());
    let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config))
        .await
        .map_err(|error| not_upgraded(&error))?;
    Ok(socket)
}

/// What the system said, without its numbers; or what the server did not do.
fn not_upgraded(error: &tungstenite::Error) -> Missing {
    match error {
        tungstenite::Error::Io(error) => Missing::Unreachable(parallax_core::plainly(error)),
        other => Missing::Protocol(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_no_number_of_the_system() {
        let broken = tungstenite::Error::Io(std::io::Error::from_raw_os_error(32));
        assert!(matches!(not_upgraded(&broken), Missing::Unreachable(why) if why == "the connection was cut"));
        let refused = tungstenite::Error::ConnectionClosed;
        assert!(matches!(not_upgraded(&refused), Missing::Protocol(_)));
    }
}
