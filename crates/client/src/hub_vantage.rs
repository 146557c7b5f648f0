//! A hub behind its pin, asked over a channel on a WebSocket; and the loop of a peer that serves it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parallax_core::{ServiceId, VantageId};
use parallax_proto::channel::{OpeningError, OwnKey, RequestId, Run, Status};
use parallax_proto::hub::{Answer, Answers, Ask, Look, Seen};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use crate::channel::{Attached, AttachedCaller, CallError, Pushed};
use crate::check::random;
use crate::hub::HubPoint;
use crate::node::NoPin;
use crate::peer::PeerEye;
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing};

/// How long answers are waited for that were sent before the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long a peer tries to connect.
const CONNECTING: Duration = Duration::from_secs(10);

/// The first pause before a peer comes again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A peer that was attached for so long begins with the first pause again.
const SETTLED: Duration = Duration::from_secs(30);

/// A hub to be asked. One connection serves all questions, and is opened at the first.
pub struct HubVantage {
    url: VantageUrl,
    id: VantageId,
    key: OwnKey,
    line: tokio::sync::Mutex<Option<Arc<Line>>>,
}

/// A connection with those who wait for what is pushed under their question.
struct Line {
    caller: AttachedCaller,
    askers: Arc<Askers>,
}

type Askers = Mutex<HashMap<RequestId, mpsc::UnboundedSender<Answer>>>;

impl HubVantage {
    /// A hub at `url`, whose pin says who it must be; `key` asks.
    pub fn new(url: VantageUrl, key: OwnKey) -> Result<Self, NoPin> {
        let id = url.pin().ok_or_else(|| NoPin(url.clone()))?;
        Ok(Self { url, id, key, line: tokio::sync::Mutex::new(None) })
    }

    async fn line(&self, deadline: Deadline) -> Result<Arc<Line>, Missing> {
        let mut held = self.line.lock().await;
        if let Some(line) = held.as_ref().filter(|line| line.caller.is_open()) {
            return Ok(Arc::clone(line));
        }
        let attached = Attached::open(self.url.clone().into(), self.key.clone(), deadline).await.map_err(missing)?;
        let askers = Arc::new(Askers::default());
        let line = Arc::new(Line { caller: attached.caller(), askers: Arc::clone(&askers) });
        tokio::spawn(pass_on(attached, askers));
        *held = Some(Arc::clone(&line));
        Ok(line)
    }
}

/// Gives each answer to whoever asked; what is no answer is passed over, as everything unknown is.
async fn pass_on(mut attached: Attached, askers: Arc<Askers>) {
    while let Some(pushed) = attached.pushed().await {
        let Pushed { request_id: Some(id), run } = pushed else { continue };
        if run.kind() == "answer"
            && let Ok(answer) = serde_json::from_value(run.into_value())
        {
            let askers = askers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(asker) = askers.get(&id) {
                // Nobody may listen any more.
                let _ = asker.send(answer);
            }
        }
    }
}

impl HubPoint for HubVantage {
    fn id(&self) -> VantageId {
        self.id
    }

    fn label(&self) -> String {
        self.url.authority()
    }

    fn own_key(&self) -> VantageId {
        self.key.id().into()
    }

    fn by_edges(&self) -> bool {
        !self.key.shown().chain().is_empty()
    }

    fn ask(
        &self,
        ask: Ask,
        heard: mpsc::UnboundedSender<Answer>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Answers, Missing>> {
        Box::pin(async move {
            let line = self.line(deadline).await?;
            let id = line.caller.fresh_id().map_err(missing)?;
            let (pushed, mut pushes) = mpsc::unbounded_channel();
            line.askers.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), pushed);
            let _listening = Listening { askers: &line.askers, id: id.clone() };
            let calling = line.caller.call(id, run_of("ask", &ask)?, deadline);
            tokio::pin!(calling);
            let mut passed = 0;
            let called = loop {
                tokio::select! {
                    biased;
                    Some(answer) = pushes.recv() => {
                        passed += 1;
                        // Nobody may listen any more.
                        let _ = heard.send(answer);
                    }
                    called = &mut calling => break called.map_err(missing)?,
                }
            };
            let value = called.outcome.map_err(|error| Missing::Declined(reason_of(&error)))?;
            let all: Answers = serde_json::from_value(value).map_err(|error| Missing::Protocol(error.to_string()))?;
            // The last answers were pushed before the end; they may still be on their way through this process.
            while passed < all.counts.answered {
                let Ok(Some(answer)) = tokio::time::timeout(LAST_ANSWERS, pushes.recv()).await else { break };
                passed += 1;
                let _ = heard.send(answer);
            }
            Ok(all)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let line = self.line.lock().await.take();
            if let Some(line) = line {
                line.caller.close().await;
            }
        })
    }
}

/// Listens for answers until it is dropped.
struct Listening<'a> {
    askers: &'a Askers,
    id: RequestId,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// What a peer has to tell of itself.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerNews {
    /// The hub takes it as a peer now.
    Attached,
    /// It is none any more; it tries again after the pause.
    Detached {
        /// Why.
        why: Missing,
        /// How long it waits.
        pause: Duration,
    },
    /// It was asked to look, and has answered.
    Looked(ServiceId),
}

/// A peer of one hub.
pub struct PeerLoop {
    url: VantageUrl,
    eye: Arc<PeerEye>,
    door: Arc<Semaphore>,
    source: Option<IpAddr>,
    renewed: Option<Renewed>,
}

/// The key of a peer with the certificates that it has by now; `None` where that is no other than before.
type Renewed = Arc<dyn Fn() -> Option<OwnKey> + Send + Sync>;

/// Who is told what happens to a peer.
type Tell = Arc<dyn Fn(PeerNews) + Send + Sync>;

impl PeerLoop {
    /// A peer that looks with `eye` for the hub at `url`, whose pin says who it must be.
    pub fn new(url: VantageUrl, eye: PeerEye) -> Result<Self, NoPin> {
        match url.pin() {
            Some(_) => {
                let door = Arc::new(Semaphore::new(1));
                Ok(Self { url, eye: Arc::new(eye), door, source: None, renewed: None })
            }
            None => Err(NoPin(url)),
        }
    }

    /// Connects only with a permit of this: many peers of one process would else all shake hands at once, each too slowly.
    pub fn through(self, door: Arc<Semaphore>) -> Self {
        Self { door, ..self }
    }

    /// Connects from this local address: the hub counts the peer to the network that it comes from.
    pub fn looking_from(self, source: Option<IpAddr>) -> Self {
        Self { source, ..self }
    }

    /// Asks for its certificates before each connection: they may have been renewed since. The key stays the same.
    pub fn renewed_by(self, renewed: impl Fn() -> Option<OwnKey> + Send + Sync + 'static) -> Self {
        Self { renewed: Some(Arc::new(renewed)), ..self }
    }

    fn key(&self) -> OwnKey {
        let renewed = self.renewed.as_ref().and_then(|renewed| renewed());
        renewed.filter(|key| key.id() == self.eye.key().id()).unwrap_or_else(|| self.eye.key().clone())
    }

    /// Serves until it is dropped; comes again when the connection ends, later each time.
    pub async fn run(self, tell: impl Fn(PeerNews) + Send + Sync + 'static) -> std::convert::Infallible {
        let tell: Tell = Arc::new(tell);
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = tokio::time::Instant::now();
            let Err(why) = self.serve(&tell).await;
            if begun.elapsed() > SETTLED {
                pause = FIRST_PAUSE;
            }
            // Peers that lost the same hub do not come back in the same moment.
            let [jitter] = random::<1>();
            let wait = pause.mul_f64(0.75 + f64::from(jitter) / 512.0);
            tell(PeerNews::Detached { why, pause: wait });
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn serve(&self, tell: &Tell) -> Result<std::convert::Infallible, Missing> {
        // The door is never closed.
        let place = self.door.acquire().await;
        let (url, deadline) = (self.url.clone().into(), Deadline::within(CONNECTING));
        let connecting = Attached::open_from(url, self.key(), self.source, deadline);
        let mut attached = connecting.await.map_err(missing)?;
        let caller = attached.caller();
        self.attach(&caller).await?;
        drop(place);
        tell(PeerNews::Attached);
        let mut replaced = attached.replaced();
        loop {
            tokio::select! {
                pushed = attached.pushed() => match pushed {
                    Some(Pushed { run, .. }) if run.kind() == "look" => self.look(&caller, run, tell),
                    Some(_) => {}
                    None => return Err(Missing::Unreachable("the connection was closed".into())),
                },
                // The new channel is this peer's from now on.
                Ok(()) = replaced.changed() => self.attach(&caller).await?,
            }
        }
    }

    async fn attach(&self, caller: &AttachedCaller) -> Result<(), Missing> {
        let id = caller.fresh_id().map_err(missing)?;
        let run = run_of("attach", &self.eye.attach())?;
        let called = caller.call(id, run, Deadline::within(CONNECTING)).await.map_err(missing)?;
        called.outcome.map(drop).map_err(|error| Missing::Declined(reason_of(&error)))
    }

    /// Looks in a task of its own; what can't be read is passed over.
    fn look(&self, caller: &AttachedCaller, run: Run, tell: &Tell) {
        let Ok(look) = serde_json::from_value::<Look>(run.into_value()) else { return };
        let (eye, caller, tell) = (Arc::clone(&self.eye), caller.clone(), Arc::clone(tell));
        tokio::spawn(async move {
            let service = look.service.clone();
            let seen: Seen = eye.look(look).await;
            if let Ok(run) = run_of("seen", &seen)
                && caller.tell(run).await.is_ok()
            {
                tell(PeerNews::Looked(service));
            }
        });
    }
}

/// A message as it stands in `run`.
fn run_of(kind: &str, message: &impl Serialize) -> Result<Run, Missing> {
    let unwritten = |error: &dyn std::fmt::Display| Missing::Protocol(error.to_string());
    let mut run = serde_json::to_value(message).map_err(|error| unwritten(&error))?;
    if let Some(fields) = run.as_object_mut() {
        fields.insert("type".into(), Value::from(kind));
    }
    Run::new(run).map_err(|error| unwritten(&error))
}

fn missing(error: CallError) -> Missing {
    match error {
        CallError::Missing(missing) => missing,
        CallError::Timeout => Missing::Timeout,
        CallError::Opening(OpeningError::Told(told)) if told.status() == Status::TooManyRequests => {
            let wait = told.obeyed().unwrap_or(FIRST_PAUSE).as_secs().max(1);
            let reason = told.reason();
            Missing::Channel(format!(
                "{reason}; each run of a program opens one, so ask about many services in one run, or wait {wait} s"
            ))
        }
        other => Missing::Channel(other.to_string()),
    }
}

/// A stranger's text, shortened and without control characters.
fn reason_of(error: &Value) -> String {
    let reason = error.get("reason").and_then(Value::as_str).unwrap_or("it gives no reason");
    reason.chars().filter(|c| !c.is_control()).take(200).collect()
}
