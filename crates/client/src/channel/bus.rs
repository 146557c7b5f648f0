//! Messages over NATS, on subjects of the node's own: `channels`, `messages` and `vantage` answer once; over `peer` answers,
//! and what is said unasked, come to an inbox of the client's own.

use bytes::Bytes;
use futures_util::StreamExt as _;
use parallax_proto::{LARGEST_DESCRIPTOR, Signed};
use tokio::sync::OnceCell;

use super::carrier::Kind;
use super::error::CallError;
use super::url::ServerUrl;
use crate::queue::{QueueAccess, QueueError, QueueUrl};
use crate::vantage::{Deadline, Missing};

/// A connection to the queue, made when it is needed.
pub(super) struct Bus {
    queue: QueueUrl,
    access: QueueAccess,
    /// What the subjects begin with.
    prefix: String,
    client: OnceCell<async_nats::Client>,
}

impl Bus {
    pub(super) fn new(url: &ServerUrl, queue: &QueueUrl, access: &QueueAccess) -> Result<Self, CallError> {
        let pin = url.vantage().pin().ok_or_else(|| CallError::NoPin(url.clone()))?;
        let (queue, access) = (queue.clone(), access.clone());
        Ok(Self { queue, access, prefix: format!("parallax.{pin}"), client: OnceCell::new() })
    }

    async fn client(&self) -> Result<&async_nats::Client, Missing> {
        let connect = || async {
            let failed = |error: QueueError| Missing::Unreachable(error.to_string());
            let options = self.queue.options(&self.access).map_err(failed)?;
            self.queue.connect(options).await.map_err(failed)
        };
        self.client.get_or_try_init(connect).await
    }

    fn subject(&self, kind: Kind) -> String {
        let name = match kind {
            Kind::Create => "channels",
            Kind::Message => "messages",
        };
        format!("{}.{name}", self.prefix)
    }

    async fn ask(&self, subject: String, payload: Bytes, deadline: Deadline) -> Result<Bytes, Missing> {
        let exchange = async {
            let answer = self.client().await?.request(subject, payload).await;
            answer.map(|message| message.payload).map_err(|error| Missing::Unreachable(error.to_string()))
        };
        tokio::time::timeout_at(deadline.instant(), exchange).await.unwrap_or(Err(Missing::Timeout))
    }

    pub(super) async fn describe(&self, deadline: Deadline) -> Result<Signed, Missing> {
        let answer = self.ask(format!("{}.vantage", self.prefix), Bytes::new(), deadline).await?;
        if answer.len() > 2 * LARGEST_DESCRIPTOR {
            return Err(Missing::TooLarge(2 * LARGEST_DESCRIPTOR));
        }
        serde_json::from_slice(&answer).map_err(|error| Missing::Protocol(error.to_string()))
    }

    pub(super) async fn exchange(&self, kind: Kind, message: Vec<u8>, deadline: Deadline) -> Result<Bytes, Missing> {
        self.ask(self.subject(kind), message.into(), deadline).await
    }

    pub(super) async fn link(&self, deadline: Deadline) -> Result<BusLink, CallError> {
        let open = async {
            let client = self.client().await?.clone();
            let inbox = client.new_inbox();
            let subscriber = client.subscribe(inbox.clone()).await;
            let subscriber = subscriber.map_err(|error| Missing::Unreachable(error.to_string()))?;
            Ok(BusLink { client, inbox, subject: format!("{}.peer", self.prefix), subscriber })
        };
        tokio::time::timeout_at(deadline.instant(), open).await.unwrap_or(Err(CallError::Timeout))
    }
}

/// An inbox, and where to write to.
pub(super) struct BusLink {
    client: async_nats::Client,
    inbox: String,
    subject: String,
    subscriber: async_nats::Subscriber,
}

impl BusLink {
    pub(super) async fn send(&mut self, message: Vec<u8>) -> Result<(), CallError> {
        let sent = self.client.publish_with_reply(self.subject.clone(), self.inbox.clone(), message.into()).await;
        sent.map_err(|_| CallError::Gone)
    }

    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let message = self.subscriber.next().await?;
            // The queue itself says so: nobody listens there.
            if message.status.is_some_and(|status| status == async_nats::StatusCode::NO_RESPONDERS) {
                return None;
            }
            if !message.payload.is_empty() {
                return Some(message.payload);
            }
        }
    }

    pub(super) async fn close(&mut self) {
        let _ = self.client.flush().await;
        let _ = self.subscriber.unsubscribe().await;
    }
}
