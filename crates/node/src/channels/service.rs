//! One message in, at most one message out, whatever carried it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parallax_core::Timestamp;
use parallax_probe::SystemRandom;
use parallax_proto::channel::{
    Connection, Handled, Heard, Installed, Refusal, Registration, Reply, RequestId, Run, RunText, Status,
};
use serde_json::Value;

use super::Channels;
use super::handler::{Caller, failure};
use crate::clock::ClockBehind;

/// Nothing that is asked for takes longer; a look takes 15 s at most.
const LONGEST: Duration = Duration::from_secs(25);

/// What goes back.
#[derive(Debug)]
pub(crate) enum Back {
    /// A message.
    Message(Bytes),
    /// Nothing.
    Nothing,
    /// A status instead of an answer.
    Status {
        /// Which.
        status: Status,
        /// In whole seconds; 0 for none.
        retry_after: u64,
        /// The status body.
        body: Bytes,
    },
}

impl Back {
    /// What is sent, if anything is.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        match self {
            Back::Message(bytes) | Back::Status { body: bytes, .. } => Some(bytes),
            Back::Nothing => None,
        }
    }
}

/// What became of a message so far.
pub(super) enum Begun {
    /// All of it.
    Done(Back),
    /// It takes its time.
    Later(Later),
}

/// What takes its time.
pub(super) enum Later {
    /// The same is being done already.
    Again(Reply),
    /// A request.
    Work(Box<(Caller, Option<Reply>, Run)>),
}

impl Later {
    /// What is asked for is done in a task of its own: whoever asked may have gone when it is done, and asks again.
    pub(super) async fn finish(self, channels: &Arc<Channels>) -> Back {
        match self {
            Later::Again(reply) => channels.again(reply).await,
            Later::Work(work) => {
                let (caller, reply, run) = *work;
                let work = tokio::spawn(Arc::clone(channels).work(caller, reply, run));
                work.await.unwrap_or(Back::Nothing)
            }
        }
    }
}

impl Channels {
    /// A request for a channel.
    pub(crate) async fn create(&self, from: Option<IpAddr>, bytes: &[u8]) -> Result<Back, ClockBehind> {
        let now = self.shared.clock.now()?;
        let made = self.try_create(from, bytes, now).await;
        self.settle();
        let outcome = made.as_ref().map_or_else(|refusal| refusal.why().as_str(), |_| "created");
        self.shared.metrics.channel_creation(outcome);
        Ok(match made {
            Ok(installed) => Back::Message(installed.bytes.into()),
            Err(refusal) => self.refused(&refusal),
        })
    }

    async fn try_create(&self, from: Option<IpAddr>, bytes: &[u8], now: Timestamp) -> Result<Installed, Refusal> {
        let examined = self.lock().examine(from, bytes, now)?;
        // Signatures and key exchanges are computed outside of the lock.
        let proved = examined.prove(&self.face)?;
        let registration = self.registration(proved.key());
        let admitted = self.lock().admit(proved, registration, now)?;
        let (mark, until) = admitted.mark();
        match self.kept.enter(&mark, until).await {
            Ok(true) => {}
            Ok(false) => return Err(admitted.replayed()),
            Err(error) => {
                if self.shared.store_warned.is_time() {
                    tracing::warn!(%error, "no channel is opened while the store can't tell which requests were met");
                }
                return Err(admitted.unavailable());
            }
        }
        let mut random = SystemRandom::default();
        let unavailable = admitted.unavailable();
        let opened = admitted.open(&self.face, &mut random, now)?;
        if random.has_failed() {
            return Err(unavailable);
        }
        self.shared.metrics.signatures.inc();
        Ok(self.lock().install(opened, now))
    }

    /// Looks up a key: in the key directory, or by its certificates.
    fn registration(&self, key: &parallax_proto::channel::ClientKey) -> Registration {
        if !key.chain().is_empty() {
            return self.judge.get().map_or(Registration::Refused, |judge| judge.judge(key));
        }
        match self.register.allows(key.id()) {
            true => Registration::Registered { until: None },
            false => Registration::Unknown,
        }
    }

    /// A message on a channel, to its end.
    pub(crate) async fn message(
        self: &Arc<Self>,
        from: Option<IpAddr>,
        connection: Option<Connection>,
        bytes: &[u8],
    ) -> Result<Back, ClockBehind> {
        Ok(match self.begin(from, connection, bytes)? {
            Begun::Done(back) => back,
            Begun::Later(later) => later.finish(self).await,
        })
    }

    /// What can be done of a message at once.
    pub(super) fn begin(
        self: &Arc<Self>,
        from: Option<IpAddr>,
        connection: Option<Connection>,
        bytes: &[u8],
    ) -> Result<Begun, ClockBehind> {
        let now = self.shared.clock.now()?;
        let handled = self.lock().message(from, connection, bytes, now);
        self.settle();
        if let Ok(handled) = &handled {
            self.tell(|watcher| watcher.heard(handled.channel));
        }
        let outcome = handled.as_ref().map_or_else(|refusal| refusal.why().as_str(), |_| "opened");
        self.shared.metrics.channel_message(outcome);
        Ok(match handled {
            Ok(handled) => self.hear(handled, from, connection),
            Err(refusal) => Begun::Done(self.refused(&refusal)),
        })
    }

    fn hear(self: &Arc<Self>, handled: Handled, from: Option<IpAddr>, connection: Option<Connection>) -> Begun {
        match handled.heard {
            Heard::Answered(bytes) => Begun::Done(Back::Message(bytes.into())),
            Heard::Quiet(_) => Begun::Done(Back::Nothing),
            Heard::Again(reply) => Begun::Later(Later::Again(reply)),
            Heard::Request { request_id, reply, run } => {
                let Some(key) = self.lock().key_of(handled.channel) else { return Begun::Done(Back::Nothing) };
                let caller = Caller { key, channel: handled.channel, connection, from, request_id };
                match self.at_once(&caller, run) {
                    Ok(outcome) => Begun::Done(reply.map_or(Back::Nothing, |reply| self.answer(reply, outcome))),
                    Err(run) => Begun::Later(Later::Work(Box::new((caller, reply, run)))),
                }
            }
        }
    }

    fn at_once(&self, caller: &Caller, run: Run) -> Result<Result<Value, Value>, Run> {
        match self.handlers.find(run.kind()) {
            Ok(handler) => handler.at_once(caller, run),
            Err(unknown) => Ok(Err(unknown)),
        }
    }

    async fn work(self: Arc<Self>, caller: Caller, reply: Option<Reply>, run: Run) -> Back {
        let _under_way = self.shared.lifecycle.enter();
        // Should the work be cut short, the place is free again.
        let mut place = Place { channels: &self, reply };
        let outcome = match self.handlers.find(run.kind()) {
            Ok(handler) => {
                let work = tokio::time::timeout(LONGEST, handler.handle(caller, run));
                work.await.unwrap_or_else(|_| Err(failure("too-slow", "it takes too long; ask again")))
            }
            Err(unknown) => Err(unknown),
        };
        let Some(reply) = place.reply.take() else { return Back::Nothing };
        drop(place);
        self.answer(reply, outcome)
    }

    fn answer(&self, reply: Reply, outcome: Result<Value, Value>) -> Back {
        let Ok(now) = self.shared.clock.now() else { return Back::Nothing };
        let gone = reply.gone();
        let answer = self.lock().answer(reply, outcome, now);
        self.answered.notify_waiters();
        match answer {
            Some(bytes) => Back::Message(bytes.into()),
            None => self.refused(&gone),
        }
    }

    async fn again(&self, mut reply: Reply) -> Back {
        let deadline = tokio::time::Instant::now() + LONGEST;
        loop {
            let answered = self.answered.notified();
            let Ok(now) = self.shared.clock.now() else { return Back::Nothing };
            let again = self.lock().again(reply, now);
            match again {
                Ok(Some(bytes)) => return Back::Message(bytes.into()),
                Ok(None) => return Back::Nothing,
                Err(still) => reply = still,
            }
            if tokio::time::timeout_at(deadline, answered).await.is_err() {
                return Back::Nothing;
            }
        }
    }

    fn refused(&self, refusal: &Refusal) -> Back {
        Back::Status {
            status: refusal.status(),
            retry_after: refusal.retry_after_secs(),
            body: refusal.write(&self.face).into(),
        }
    }

    /// Says something on a channel unasked.
    pub fn push(
        &self,
        channel: parallax_proto::channel::ChannelId,
        request_id: Option<&RequestId>,
        run: &Run,
    ) -> Result<(), NotPushed> {
        let now = self.shared.clock.now()?;
        let (connection, bytes) = self.lock().push(channel, request_id, run, now)?;
        self.send(connection, bytes.into())
    }

    /// The same with what was written already.
    pub(crate) fn push_text(
        &self,
        channel: parallax_proto::channel::ChannelId,
        request_id: Option<&RequestId>,
        run: &RunText,
    ) -> Result<(), NotPushed> {
        let now = self.shared.clock.now()?;
        let (connection, bytes) = self.lock().push_text(channel, request_id, run, now)?;
        self.send(connection, bytes.into())
    }

    /// Control, unasked.
    pub fn push_control(
        &self,
        channel: parallax_proto::channel::ChannelId,
        control: parallax_proto::channel::Control,
    ) -> Result<(), NotPushed> {
        let now = self.shared.clock.now()?;
        let (connection, bytes) = self.lock().push_control(channel, control, now)?;
        self.send(connection, bytes.into())
    }

    fn send(&self, connection: Connection, bytes: Bytes) -> Result<(), NotPushed> {
        let sent = self.connections.send(connection, bytes);
        self.shared.metrics.channel_push(if sent { "sent" } else { "lost" });
        if sent { Ok(()) } else { Err(NotPushed::Gone) }
    }
}

/// Why a push did not go out.
#[derive(Debug, thiserror::Error)]
pub enum NotPushed {
    /// The channel can't carry it.
    #[error(transparent)]
    Failed(#[from] parallax_proto::channel::PushFailed),
    /// The clock stands wrong.
    #[error(transparent)]
    Clock(#[from] ClockBehind),
    /// The connection has gone, or takes nothing more.
    #[error("the client's connection has gone, or it does not read what it is sent")]
    Gone,
}

/// The place of a request among those under way.
struct Place<'a> {
    channels: &'a Channels,
    reply: Option<Reply>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            self.channels.lock().abandon(&reply);
            self.channels.answered.notify_waiters();
        }
    }
}
