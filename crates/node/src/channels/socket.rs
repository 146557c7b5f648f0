//! Channels over a WebSocket (`GET /v1/peer`): each text frame is one message, either way.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use futures_util::SinkExt as _;
use parallax_proto::channel::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use super::{Back, Begun, Channels, is_creation};

/// The first frame has to come within this time, and has to open or continue a channel.
const FIRST: Duration = Duration::from_secs(10);

/// A frame that can't be sent for this long ends the connection.
const SENDING: Duration = Duration::from_secs(15);

/// Messages that are written together.
const TOGETHER: usize = 16;

/// Frames of one connection that are being worked on; further ones wait in the socket.
const AT_ONCE: usize = 64;

/// What a WebSocket gives; `None` when it has ended.
type Frame = Option<Result<Message, axum::Error>>;

/// What ends a connection.
enum End {
    /// The client has gone, or closed it.
    Gone,
    /// It is closed, for this reason.
    Close(u16, &'static str),
}

/// Serves one WebSocket to its end.
pub(super) async fn serve(channels: Arc<Channels>, mut socket: WebSocket, from: Option<IpAddr>) {
    let (connection, sender, receiver) = channels.connections.open();
    let talk = Talk { channels: &channels, connection, from, sender, places: Arc::new(Semaphore::new(AT_ONCE)) };
    let end = talk.run(&mut socket, receiver).await;
    if let End::Close(code, reason) = end {
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = timeout(SENDING, socket.send(Message::Close(Some(frame)))).await;
    }
    channels.disconnected(connection);
}

struct Talk<'a> {
    channels: &'a Arc<Channels>,
    connection: Connection,
    from: Option<IpAddr>,
    sender: mpsc::Sender<Bytes>,
    places: Arc<Semaphore>,
}

impl Talk<'_> {
    async fn run(&self, socket: &mut WebSocket, mut outgoing: mpsc::Receiver<Bytes>) -> End {
        if let Err(end) = self.first(socket).await {
            return end;
        }
        let idle = self.channels.idle();
        let mut last = Instant::now();
        loop {
            tokio::select! {
                (place, frame) = self.next(socket) => {
                    last = Instant::now();
                    match self.frame(place, frame) {
                        Ok(None) => {}
                        Ok(Some(bytes)) => if let Err(end) = send(socket, bytes).await {
                            return end;
                        },
                        Err(end) => return end,
                    }
                }
                Some(bytes) = outgoing.recv() => {
                    if let Err(end) = send_all(socket, bytes, &mut outgoing).await {
                        return end;
                    }
                }
                () = tokio::time::sleep_until(last + idle) => return End::Close(close_code::NORMAL, "idle"),
                () = self.channels.shared.lifecycle.stopping() => return End::Close(close_code::AWAY, "the node stops"),
            }
            if !self.channels.connections.is_open(self.connection) {
                return End::Close(close_code::POLICY, "what is sent is not read");
            }
        }
    }

    /// The first frame opens or continues a channel, or the connection ends.
    async fn first(&self, socket: &mut WebSocket) -> Result<(), End> {
        let late = End::Close(close_code::POLICY, "the first frame opens or continues a channel, within 10 s");
        let text = loop {
            match timeout(FIRST, socket.recv()).await {
                Err(_) => return Err(late),
                Ok(frame) => {
                    if let Some(text) = text(frame)? {
                        break text;
                    }
                }
            }
        };
        let back = self.channels.frame(self.from, self.connection, text.as_bytes()).await;
        let refused = matches!(back, Some(Back::Status { .. }) | None);
        if let Some(bytes) = back.and_then(Back::into_bytes) {
            send(socket, bytes).await?;
        }
        if refused { Err(End::Close(close_code::POLICY, "the first frame opened no channel")) } else { Ok(()) }
    }

    /// A frame is read when there is a place to work on it. Giving this up loses nothing.
    async fn next(&self, socket: &mut WebSocket) -> (Option<OwnedSemaphorePermit>, Frame) {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        (place, socket.recv().await)
    }

    /// What can be done at once is; the rest is worked on beside later frames, and what it comes to is sent when it is there.
    fn frame(&self, place: Option<OwnedSemaphorePermit>, frame: Frame) -> Result<Option<Bytes>, End> {
        let Some(text) = text(frame)? else { return Ok(None) };
        let (channels, connection, from) = (Arc::clone(self.channels), self.connection, self.from);
        let sender = self.sender.clone();
        if is_creation(text.as_bytes()) {
            tokio::spawn(async move {
                let back = channels.frame(from, connection, text.as_bytes()).await;
                answer(place, &sender, back).await;
            });
            return Ok(None);
        }
        match channels.begin(from, Some(connection), text.as_bytes()) {
            Ok(Begun::Done(back)) => Ok(back.into_bytes()),
            Ok(Begun::Later(later)) => {
                tokio::spawn(async move {
                    let back = later.finish(&channels).await;
                    answer(place, &sender, Some(back)).await;
                });
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }
}

/// An answer waits for its turn; it is lost with its connection.
async fn answer(place: Option<OwnedSemaphorePermit>, sender: &mpsc::Sender<Bytes>, back: Option<Back>) {
    if let Some(bytes) = back.and_then(Back::into_bytes) {
        let _ = sender.send(bytes).await;
    }
    drop(place);
}

/// The text of a frame; `None` for what the protocol answers by itself.
fn text(frame: Frame) -> Result<Option<axum::extract::ws::Utf8Bytes>, End> {
    match frame {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(End::Close(close_code::UNSUPPORTED, "messages are text frames")),
        Some(Ok(Message::Close(_))) | None => Err(End::Gone),
        Some(Err(_)) => Err(End::Close(close_code::SIZE, "a frame has at most 65536 bytes of text")),
    }
}

async fn send(socket: &mut WebSocket, bytes: Bytes) -> Result<(), End> {
    let text = axum::extract::ws::Utf8Bytes::try_from(bytes).map_err(|_| End::Gone)?;
    match timeout(SENDING, socket.send(Message::Text(text))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Gone),
    }
}

/// This and what else waits, in one go.
async fn send_all(socket: &mut WebSocket, first: Bytes, outgoing: &mut mpsc::Receiver<Bytes>) -> Result<(), End> {
    let sending = async {
        let mut next = Some(first);
        let mut left = TOGETHER;
        while let Some(bytes) = next {
            let text = axum::extract::ws::Utf8Bytes::try_from(bytes).map_err(|_| End::Gone)?;
            socket.feed(Message::Text(text)).await.map_err(|_| End::Gone)?;
            left -= 1;
            next = if left > 0 { outgoing.try_recv().ok() } else { None };
        }
        socket.flush().await.map_err(|_| End::Gone)
    };
    timeout(SENDING, sending).await.unwrap_or(Err(End::Gone))
}
