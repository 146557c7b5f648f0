//! The other hubs of the group, over the message queue: `parallax.hubs.<group>.all` is heard by all of them,
//! `parallax.hubs.<group>.<vantage id>` by one. What travels is sealed (`parallax_proto::hub::Group`), so whoever else may
//! write to the queue is not heard, and hears nothing.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt as _;
use parallax_core::VantageId;
use parallax_probe::SystemRandom;
use parallax_proto::hub::{Group, Listener, Speaker, Word};
use tokio::sync::{mpsc, watch};

use super::{HubRole, ToSibling};
use crate::bus::Bus;
use crate::error::NodeError;
use parallax_client::Chance;

/// Words that wait to be sent.
const WAITING: usize = 4_096;

/// A word that the queue does not take for so long is lost.
const SENDING: Duration = Duration::from_secs(1);

impl HubRole {
    /// Shares the peers of this hub with the others of the group, and theirs with this one.
    pub(crate) async fn share(self: &Arc<Self>, bus: Bus, group: &Group) -> Result<(), NodeError> {
        let shared = &self.tools.shared;
        let own = shared.identity.vantage();
        let subject = |of: String| format!("parallax.hubs.{}.{of}", group.name());
        let failed = |error: &dyn std::fmt::Display| NodeError::Bus(error.to_string());
        let all = bus.client.subscribe(subject("all".into())).await.map_err(|error| failed(&error))?;
        let mine = bus.client.subscribe(subject(own.to_string())).await.map_err(|error| failed(&error))?;
        bus.client.flush().await.map_err(|error| failed(&error))?;
        let mut random = SystemRandom::default();
        let speaker = group.speaker(own, shared.clock.now()?, &mut random).filter(|_| !random.has_failed());
        let speaker = speaker.ok_or(rustls::Error::FailedToGetRandomBytes)?;

        let (words, waiting) = mpsc::channel(WAITING);
        self.lock().words = Some(words);
        let saying = Saying { role: Arc::clone(self), bus: bus.clone(), prefix: subject(String::new()), speaker };
        let under_way = shared.lifecycle.enter();
        tokio::spawn(async move {
            saying.run(waiting).await;
            drop(under_way);
        });
        let hearing = Hearing { role: Arc::clone(self), listener: group.listener(own) };
        tokio::spawn(hearing.run(all, mine, bus.there));
        // A clock that stands wrong now is right at some later step; until then the others are not told.
        let _ = self.step(|hub, now| hub.share(own, now));
        self.moved.notify_one();
        tracing::info!(group = group.name(), "this hub shares its peers with the others of the group");
        Ok(())
    }
}

/// Sends what the hub says, in its order.
struct Saying {
    role: Arc<HubRole>,
    bus: Bus,
    /// What the subjects begin with.
    prefix: String,
    speaker: Speaker,
}

impl Saying {
    /// Until the hub has said goodbye.
    async fn run(mut self, mut waiting: mpsc::Receiver<ToSibling>) {
        let lifecycle = self.role.tools.shared.lifecycle.clone();
        loop {
            let word = tokio::select! {
                word = waiting.recv() => word,
                () = lifecycle.abandoned() => None,
            };
            let Some((to, word)) = word else { return };
            let outcome = if self.send(to, &word).await { "sent" } else { "lost" };
            self.role.tools.shared.metrics.hub_group_message(outcome);
            if *word == Word::Bye {
                let _ = tokio::time::timeout(SENDING, self.bus.client.flush()).await;
                return;
            }
        }
    }

    async fn send(&mut self, to: Option<VantageId>, word: &Word) -> bool {
        // What is said while nobody hears it would be heard late.
        if !*self.bus.there.borrow() {
            return false;
        }
        let Ok(now) = self.role.tools.shared.clock.now() else { return false };
        let Some(sealed) = self.speaker.seal(to, word, now) else { return false };
        let subject = format!("{}{}", self.prefix, to.map_or_else(|| "all".into(), |to| to.to_string()));
        let client: &Client = &self.bus.client;
        let sent = tokio::time::timeout(SENDING, client.publish(subject, sealed.into())).await;
        sent.is_ok_and(|sent| sent.is_ok())
    }
}

/// Hears what the others say.
struct Hearing {
    role: Arc<HubRole>,
    listener: Listener,
}

impl Hearing {
    /// Until the node stops.
    async fn run(mut self, mut all: Subscriber, mut mine: Subscriber, mut there: watch::Receiver<bool>) {
        let lifecycle = self.role.tools.shared.lifecycle.clone();
        loop {
            let (to_all, message) = tokio::select! {
                () = lifecycle.stopping() => return,
                changed = there.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if !*there.borrow() {
                        let _ = self.role.step(|hub, now| hub.alone(now, &mut Chance));
                    }
                    continue;
                }
                message = all.next() => (true, message),
                message = mine.next() => (false, message),
            };
            let Some(message) = message else { return };
            self.hear(to_all, &message.payload);
        }
    }

    fn hear(&mut self, to_all: bool, bytes: &[u8]) {
        let Ok(now) = self.role.tools.shared.clock.now() else { return };
        let metrics = &self.role.tools.shared.metrics;
        let Some(heard) = self.listener.open(to_all, bytes, now) else {
            return metrics.hub_group_message("refused");
        };
        metrics.hub_group_message("heard");
        let _ = self.role.step(|hub, now| hub.told(heard.from, heard.anew, heard.word, now, &mut Chance));
    }
}
