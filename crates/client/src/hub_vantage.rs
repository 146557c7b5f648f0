//! A hub behind its pin, and the loop of a peer that serves it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parallax_core::{ServiceId, VantageId};
use parallax_proto::channel::{OwnKey, Run};
use parallax_proto::hub::{Answer, Answers, Ask, Look, Seen};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};

use crate::check::random;
use crate::hub::HubPoint;
use crate::link::{Heard, Link};
use crate::node::NoPin;
use crate::peer::PeerEye;
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing};

/// How long a peer tries to connect.
const CONNECTING: Duration = Duration::from_secs(10);

/// The first pause before a peer comes again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A peer that was attached for so long begins with the first pause again.
const SETTLED: Duration = Duration::from_secs(30);

/// Looks that wait to be made.
const WAITING: usize = 256;

/// A hub to be asked. One connection serves all questions, and is opened at the first.
pub struct HubVantage {
    url: VantageUrl,
    id: VantageId,
    key: OwnKey,
    link: Mutex<Option<Arc<Link>>>,
}

impl HubVantage {
    /// A hub at `url`, whose pin says who it must be; `key` asks.
    pub fn new(url: VantageUrl, key: OwnKey) -> Result<Self, NoPin> {
        let id = url.pin().ok_or_else(|| NoPin(url.clone()))?;
        Ok(Self { url, id, key, link: Mutex::new(None) })
    }

    async fn link(&self, deadline: Deadline) -> Result<Arc<Link>, Missing> {
        let mut held = self.link.lock().await;
        if let Some(link) = held.as_ref().filter(|link| link.is_open()) {
            return Ok(Arc::clone(link));
        }
        // Who asks is sent nothing but answers.
        let (heard, _) = mpsc::channel(1);
        let link = Arc::new(Link::open(&self.url, self.key.clone(), heard, deadline).await?);
        *held = Some(Arc::clone(&link));
        Ok(link)
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

    fn ask(
        &self,
        ask: Ask,
        heard: mpsc::UnboundedSender<Answer>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Answers, Missing>> {
        Box::pin(async move {
            let link = self.link(deadline).await?;
            let (pushed, mut pushes) = mpsc::unbounded_channel();
            let asking = link.ask(run_of("ask", &ask)?, pushed);
            tokio::pin!(asking);
            let unreadable = |error: serde_json::Error| Missing::Protocol(error.to_string());
            let value = loop {
                tokio::select! {
                    biased;
                    Some(push) = pushes.recv() => pass_on(push, &heard),
                    value = &mut asking => break value?,
                }
            };
            while let Ok(push) = pushes.try_recv() {
                pass_on(push, &heard);
            }
            serde_json::from_value(value).map_err(unreadable)
        })
    }
}

/// What is no answer is passed over, as everything unknown is.
fn pass_on(push: Run, heard: &mpsc::UnboundedSender<Answer>) {
    if push.kind() == "answer"
        && let Ok(answer) = serde_json::from_value(push.into_value())
    {
        // Nobody may listen any more.
        let _ = heard.send(answer);
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
    key: OwnKey,
    eye: Arc<PeerEye>,
}

impl PeerLoop {
    /// A peer that looks with `eye` for the hub at `url`, under the key that the eye signs with.
    pub fn new(url: VantageUrl, key: OwnKey, eye: PeerEye) -> Result<Self, NoPin> {
        let url = url.pin().map(|_| url.clone()).ok_or(NoPin(url))?;
        Ok(Self { url, key, eye: Arc::new(eye) })
    }

    /// Serves until it is dropped; comes again when the connection ends, later each time.
    pub async fn run(self, news: impl Fn(PeerNews) + Send + Sync + 'static) {
        let news = Arc::new(news);
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = tokio::time::Instant::now();
            let Err(why) = self.serve(&news).await;
            if begun.elapsed() > SETTLED {
                pause = FIRST_PAUSE;
            }
            // Peers that lost the same hub do not come back in the same moment.
            let [jitter, _] = random::<2>();
            let wait = pause.mul_f64(0.75 + f64::from(jitter) / 512.0);
            news(PeerNews::Detached { why, pause: wait });
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn serve(
        &self,
        news: &Arc<impl Fn(PeerNews) + Send + Sync + 'static>,
    ) -> Result<std::convert::Infallible, Missing> {
        let (heard, mut hears) = mpsc::channel(WAITING);
        let link = Link::open(&self.url, self.key.clone(), heard, Deadline::within(CONNECTING)).await?;
        let link = Arc::new(link);
        self.attach(&link).await?;
        news(PeerNews::Attached);
        loop {
            match hears.recv().await {
                Some(Heard::Renewed) => self.attach(&link).await?,
                Some(Heard::Push(run)) if run.kind() == "look" => self.look(&link, run, news),
                Some(Heard::Push(_)) => {}
                None => return Err(Missing::Unreachable("the connection was closed".into())),
            }
        }
    }

    async fn attach(&self, link: &Link) -> Result<(), Missing> {
        let (pushed, _) = mpsc::unbounded_channel();
        let attaching = link.ask(run_of("attach", &self.eye.attach())?, pushed);
        tokio::time::timeout(CONNECTING, attaching).await.unwrap_or(Err(Missing::Timeout)).map(drop)
    }

    /// Looks in a task of its own; what can't be read is passed over.
    fn look(&self, link: &Arc<Link>, run: Run, news: &Arc<impl Fn(PeerNews) + Send + Sync + 'static>) {
        let Ok(look) = serde_json::from_value::<Look>(run.into_value()) else { return };
        let (eye, link, news) = (Arc::clone(&self.eye), Arc::clone(link), Arc::clone(news));
        tokio::spawn(async move {
            let service = look.service.clone();
            let seen: Seen = eye.look(look).await;
            if let Ok(run) = run_of("seen", &seen)
                && link.tell(run).await.is_ok()
            {
                news(PeerNews::Looked(service));
            }
        });
    }
}

/// A message as it stands in `run`.
fn run_of(kind: &str, message: &impl Serialize) -> Result<Run, Missing> {
    let unwritten = |error: String| Missing::Protocol(error);
    let mut run = serde_json::to_value(message).map_err(|error| unwritten(error.to_string()))?;
    if let Some(fields) = run.as_object_mut() {
        fields.insert("type".into(), Value::from(kind));
    }
    Run::new(run).map_err(|error| unwritten(error.to_string()))
}
