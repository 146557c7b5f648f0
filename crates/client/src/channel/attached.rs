//! A channel over a WebSocket or a message queue: calls beside each other, and what the server says unasked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parallax_proto::channel::{
    ChannelId, ClientChannel, Control, Incoming, Opening, OwnKey, RequestId, Run, Talk, Warning,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::Called;
use super::carrier::{Carrier, Link};
use super::error::CallError;
use super::opener::{Opener, fresh_id};
use super::url::ServerUrl;
use crate::clock::now;
use crate::vantage::Deadline;

/// Pushes that wait to be taken; while they do, nothing more is read.
const WAITING: usize = 64;
/// How often it is looked whether the channel has to be replaced.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a replacement may take.
const REPLACING: Duration = Duration::from_secs(10);

/// Said by the server unasked.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// The request that it belongs to, where it belongs to one.
    pub request_id: Option<RequestId>,
    /// What.
    pub run: Run,
}

/// What is to be sent.
enum Command {
    Call { id: RequestId, run: Run, answer: oneshot::Sender<Result<Called, CallError>> },
    Tell(Run),
    Close,
}

/// A channel over a WebSocket or a message queue. It is replaced before it ends, on the same connection; when that ends, so does this.
pub struct Attached {
    commands: mpsc::Sender<Command>,
    pushes: mpsc::Receiver<Pushed>,
    replaced: watch::Receiver<u64>,
}

impl Attached {
    /// Connects to the server at `url`, whose pin says who it must be, and opens a channel with this key.
    pub async fn open(url: ServerUrl, key: OwnKey, deadline: Deadline) -> Result<Self, CallError> {
        Self::open_from(url, key, None, deadline).await
    }

    /// The same from this local address.
    pub(crate) async fn open_from(
        url: ServerUrl,
        key: OwnKey,
        source: Option<IpAddr>,
        deadline: Deadline,
    ) -> Result<Self, CallError> {
        let carrier = Carrier::new(&url)?.looking_from(source);
        let mut opener = Opener::new(url, key)?;
        let connecting = async {
            let mut link = carrier.link(deadline).await?;
            let channel = first(&mut link, &mut opener, &carrier, deadline).await?;
            Ok::<_, CallError>((link, channel))
        };
        let opened = tokio::time::timeout_at(deadline.instant(), connecting).await;
        let (link, channel) = opened.map_err(|_| CallError::Timeout)??;
        let (commands, to_do) = mpsc::channel(WAITING);
        let (pushed, pushes) = mpsc::channel(WAITING);
        let (replacements, replaced) = watch::channel(0);
        let line = Line {
            link,
            carrier,
            opener,
            channel,
            old: None,
            asked: HashMap::new(),
            replacing: None,
            pushed,
            replacements,
        };
        tokio::spawn(line.run(to_do));
        Ok(Self { commands, pushes, replaced })
    }

    /// Asks for something and waits for the answer. `id` names the request, and what the server pushes for it.
    pub async fn call(&self, id: RequestId, run: Run, deadline: Deadline) -> Result<Called, CallError> {
        self.caller().call(id, run, deadline).await
    }

    /// Says something that wants no answer.
    pub async fn tell(&self, run: Run) -> Result<(), CallError> {
        self.caller().tell(run).await
    }

    /// What the server says next unasked; `None` when the connection has ended.
    pub async fn pushed(&mut self) -> Option<Pushed> {
        self.pushes.recv().await
    }

    /// Changes whenever the channel is replaced by a new one: what was said on the old one counts no longer.
    pub fn replaced(&self) -> watch::Receiver<u64> {
        self.replaced.clone()
    }

    /// Another hand on the same channel, for calls while somebody else waits for pushes.
    pub fn caller(&self) -> AttachedCaller {
        AttachedCaller { commands: self.commands.clone() }
    }

    /// Closes the channel and the connection.
    pub async fn close(self) {
        let _ = self.commands.send(Command::Close).await;
    }
}

/// Calls on an [`Attached`] channel.
#[derive(Clone)]
pub struct AttachedCaller {
    commands: mpsc::Sender<Command>,
}

impl AttachedCaller {
    /// As [`Attached::call`].
    pub async fn call(&self, id: RequestId, run: Run, deadline: Deadline) -> Result<Called, CallError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.commands.send(Command::Call { id, run, answer }).await.map_err(|_| CallError::Gone)?;
            answered.await.map_err(|_| CallError::Gone)?
        };
        tokio::time::timeout_at(deadline.instant(), asked).await.unwrap_or(Err(CallError::Timeout))
    }

    /// As [`Attached::tell`].
    pub async fn tell(&self, run: Run) -> Result<(), CallError> {
        self.commands.send(Command::Tell(run)).await.map_err(|_| CallError::Gone)
    }

    /// Closes the channel, so that its key has one fewer at the server, and the connection; resolves when that is done.
    pub async fn close(&self) {
        if self.commands.send(Command::Close).await.is_ok() {
            self.commands.closed().await;
        }
    }

    /// Whether the connection stands.
    pub fn is_open(&self) -> bool {
        !self.commands.is_closed()
    }

    /// A name for a request that no other has.
    pub fn fresh_id(&self) -> Result<RequestId, CallError> {
        fresh_id()
    }
}

async fn first(
    link: &mut Link,
    opener: &mut Opener,
    carrier: &Carrier,
    deadline: Deadline,
) -> Result<ClientChannel, CallError> {
    let (message, opening) = opener.begin(carrier, None, deadline).await?;
    link.send(message).await?;
    let answer = link.next().await.ok_or(CallError::Gone)?;
    // When another descriptor counts now (`None`), the server has closed: its first frame opened nothing.
    opener.finish(carrier, &opening, &answer, deadline).await.map_err(|error| error.unwrap_or(CallError::Gone))
}

type Waiting = oneshot::Sender<Result<Called, CallError>>;

/// The connection with its channel, in a task of its own.
struct Line {
    link: Link,
    carrier: Carrier,
    opener: Opener,
    channel: ClientChannel,
    /// The one that was replaced, while answers may still come on it.
    old: Option<ClientChannel>,
    asked: HashMap<(ChannelId, u64), Waiting>,
    replacing: Option<(Opening, tokio::time::Instant)>,
    pushed: mpsc::Sender<Pushed>,
    replacements: watch::Sender<u64>,
}

impl Line {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let done = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => self.command(Command::Close).await,
                },
                message = self.link.next() => match message {
                    Some(message) => self.frame(&message).await,
                    None => Err(CallError::Gone),
                },
                _ = look.tick() => self.look().await,
            };
            if done.is_err() {
                // Whoever waits learns it from the senders that are dropped here.
                return;
            }
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), CallError> {
        match command {
            Command::Call { id, run, answer } => match self.channel.request(Some(&id), &run, now()) {
                Ok((counter, message)) => {
                    self.asked.retain(|_, waiting| !waiting.is_closed());
                    self.asked.insert((self.channel.id(), counter), answer);
                    self.link.send(message).await
                }
                Err(error) => {
                    let _ = answer.send(Err(error.into()));
                    Ok(())
                }
            },
            Command::Tell(run) => match self.channel.request(None, &run, now()) {
                Ok((_, message)) => self.link.send(message).await,
                Err(_) => Ok(()),
            },
            Command::Close => {
                if let Ok((_, message)) = self.channel.control(Control::Close, now()) {
                    let _ = self.link.send(message).await;
                }
                self.link.close().await;
                Err(CallError::Gone)
            }
        }
    }

    async fn look(&mut self) -> Result<(), CallError> {
        if self.channel.has_ended(now()) {
            return Err(CallError::Gone);
        }
        self.replacing.take_if(|(_, until)| *until <= tokio::time::Instant::now());
        if !self.channel.is_due(now()) || self.replacing.is_some() {
            return Ok(());
        }
        let deadline = Deadline::within(REPLACING);
        // A refusal leaves the channel to its end.
        let Ok((message, opening)) = self.opener.begin(&self.carrier, Some(self.channel.id()), deadline).await else {
            return Ok(());
        };
        self.replacing = Some((opening, deadline.instant()));
        self.link.send(message).await
    }

    async fn frame(&mut self, text: &[u8]) -> Result<(), CallError> {
        let mut channel = self.channel.id();
        let mut incoming = self.channel.receive(text);
        if let (Err(_), Some(old)) = (&incoming, &mut self.old) {
            channel = old.id();
            incoming = old.receive(text);
        }
        match incoming {
            Ok(Incoming::Answer { counter, answer }) => {
                let expiring = answer.warnings.contains(&Warning::Expiring);
                self.answered((channel, counter), Ok(Called { outcome: answer.outcome, expiring }));
                Ok(())
            }
            Ok(Incoming::Push(Talk::Run { request_id, run })) => {
                // Who does not take what was pushed holds up the connection, not the memory.
                self.pushed.send(Pushed { request_id, run }).await.map_err(|_| CallError::Gone)
            }
            Ok(Incoming::Push(Talk::Control(control))) => self.control(control).await,
            Ok(Incoming::Pong { .. }) => Ok(()),
            Ok(Incoming::Told { counter: Some(counter), told }) => {
                self.opener.told(&told);
                self.answered((channel, counter), Err(CallError::Told(told)));
                Ok(())
            }
            Ok(Incoming::Told { counter: None, .. }) | Err(_) => {
                self.replaced(text).await;
                Ok(())
            }
        }
    }

    fn answered(&mut self, request: (ChannelId, u64), outcome: Result<Called, CallError>) {
        if let Some(waiting) = self.asked.remove(&request) {
            let _ = waiting.send(outcome);
        }
    }

    async fn control(&mut self, control: Control) -> Result<(), CallError> {
        match control {
            Control::Ping => match self.channel.control(Control::Pong, now()) {
                Ok((_, message)) => self.link.send(message).await,
                Err(_) => Err(CallError::Gone),
            },
            Control::Pong => Ok(()),
            Control::Close => Err(CallError::Gone),
        }
    }

    /// Perhaps the new channel.
    async fn replaced(&mut self, text: &[u8]) {
        let Some((opening, until)) = self.replacing.take() else { return };
        match self.opener.finish(&self.carrier, &opening, text, Deadline::within(REPLACING)).await {
            Ok(fresh) => {
                // Who still waits for an answer on the old one gets it: it goes on for a moment.
                self.old = Some(std::mem::replace(&mut self.channel, fresh));
                self.replacements.send_modify(|count| *count += 1);
            }
            // Not that: it may still come.
            Err(Some(CallError::Opening(error)))
                if !matches!(error, parallax_proto::channel::OpeningError::Told(_)) =>
            {
                self.replacing = Some((opening, until));
            }
            Err(_) => {}
        }
    }
}
