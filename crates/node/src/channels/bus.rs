//! Channels over NATS: the same messages as over HTTP, on subjects of the node's own.
//!
//! `parallax.<vantage id>.channels` and `.messages` take what the two routes take and answer once; `.vantage` gives the
//! descriptor. `.peer` takes both as a WebSocket does: answers, and what is said unasked, go to the reply subject of the
//! newest message, so a client's inbox is its connection.

use std::sync::Arc;

use async_nats::{Client, Message, Subject};
use bytes::Bytes;
use futures_util::StreamExt as _;
use moka::notification::RemovalCause;
use moka::sync::Cache;
use parallax_proto::Signed;
use parallax_proto::channel::{Connection, LARGEST_MESSAGE};
use tokio::sync::Semaphore;

use super::{Back, Channels};
use crate::error::NodeError;

/// Messages that are worked on at once; further ones wait in the queue's buffers.
const AT_ONCE: usize = 256;

/// Inboxes that are remembered.
const INBOXES: u64 = 65_536;

/// Channels on a message queue.
pub(crate) struct OnBus {
    channels: Arc<Channels>,
    client: Client,
    prefix: String,
    describe: Box<dyn Fn() -> Signed + Send + Sync>,
    inboxes: Cache<String, Connection>,
    places: Arc<Semaphore>,
}

impl OnBus {
    /// Over this connection. `describe` gives the descriptor as it is signed now.
    pub(crate) fn new(
        client: Client,
        channels: Arc<Channels>,
        describe: Box<dyn Fn() -> Signed + Send + Sync>,
    ) -> Self {
        let prefix = format!("parallax.{}", channels.shared.identity.vantage());
        let forgetting = Arc::clone(&channels);
        let idle = channels.idle();
        let inboxes = Cache::builder()
            .max_capacity(INBOXES)
            .time_to_idle(idle)
            .eviction_listener(move |_: Arc<String>, connection, cause| {
                if cause != RemovalCause::Replaced {
                    forgetting.disconnected(connection);
                }
            })
            .build();
        Self { channels, client, prefix, describe, inboxes, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Serves until the node stops.
    pub(crate) async fn run(self) -> Result<(), NodeError> {
        let subject = format!("{}.*", self.prefix);
        let subscribed = self.client.subscribe(subject).await;
        let mut messages = subscribed.map_err(|error| NodeError::Bus(error.to_string()))?;
        let flushed = self.client.flush().await;
        flushed.map_err(|error| NodeError::Bus(error.to_string()))?;
        let bus = Arc::new(self);
        tokio::spawn(async move {
            let lifecycle = bus.channels.shared.lifecycle.clone();
            loop {
                let next = async {
                    let place = Arc::clone(&bus.places).acquire_owned().await;
                    (place, messages.next().await)
                };
                let (place, message) = tokio::select! {
                    () = lifecycle.stopping() => return,
                    next = next => next,
                };
                let Some(message) = message else { return };
                let bus = Arc::clone(&bus);
                tokio::spawn(async move {
                    let _place = place;
                    bus.answer(message).await;
                });
            }
        });
        Ok(())
    }

    async fn answer(&self, message: Message) {
        // Nobody could be told anything.
        let Some(reply) = message.reply else { return };
        let kind = message.subject.strip_prefix(&self.prefix).unwrap_or_default();
        let back = match kind {
            ".vantage" => serde_json::to_vec(&(self.describe)()).ok().map(Bytes::from),
            ".channels" if fits(&message.payload) => self.back(self.channels.create(None, &message.payload).await),
            ".messages" if fits(&message.payload) => {
                self.back(self.channels.message(None, None, &message.payload).await)
            }
            ".peer" if fits(&message.payload) => {
                let connection = self.connection(&reply);
                self.channels.frame(None, connection, &message.payload).await.and_then(Back::into_bytes)
            }
            _ => None,
        };
        // An empty answer ends the wait of who asked for none.
        let _ = self.client.publish(reply, back.unwrap_or_default()).await;
    }

    fn back(&self, back: Result<Back, crate::clock::ClockBehind>) -> Option<Bytes> {
        back.ok().and_then(Back::into_bytes)
    }

    /// The connection that an inbox is; what is said on it is published there.
    fn connection(&self, inbox: &Subject) -> Connection {
        self.inboxes.get_with(inbox.to_string(), || {
            let (connection, _, mut outgoing) = self.channels.connections.open();
            let (client, inbox) = (self.client.clone(), inbox.clone());
            tokio::spawn(async move {
                while let Some(bytes) = outgoing.recv().await {
                    let _ = client.publish(inbox.clone(), bytes).await;
                }
            });
            connection
        })
    }
}

fn fits(payload: &Bytes) -> bool {
    payload.len() <= LARGEST_MESSAGE
}
