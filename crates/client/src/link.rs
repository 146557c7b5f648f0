//! A channel over a WebSocket (`GET /v1/peer`): how peers and askers talk to a hub.
//!
//! One task holds the connection and the channel. It answers pings, replaces the channel before it ends, and passes on
//! what is pushed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use parallax_core::Timestamp;
use parallax_probe::{AwsLc, SystemRandom};
use parallax_proto::StatementKey;
use parallax_proto::channel::{
    ClientChannel, Control, Incoming, LARGEST_MESSAGE, Opening, OpeningRequest, OwnKey, RequestId, Run, Talk,
};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::clock::now;
use crate::http::Channel as Https;
use crate::node::NodeVantage;
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing};

/// Where peers and askers connect.
const PATH: &str = "/v1/peer";

/// Buffers of a connection: the defaults take 128 KiB for each that rests.
const BUFFER: usize = 4 * 1024;

/// Requests that wait to be sent.
const QUEUE: usize = 64;

/// How often it is looked whether the channel is due to be replaced.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A replacement that is not answered is asked for again after this time.
const REPLACING: Duration = Duration::from_secs(30);

/// What a link passes on.
pub(crate) enum Heard {
    /// The server says something unasked.
    Push(Run),
    /// The channel was replaced: what was said on the old one counts no longer.
    Renewed,
}

enum Command {
    Ask { run: Run, pushed: mpsc::UnboundedSender<Run>, done: oneshot::Sender<Result<Value, Missing>> },
    Tell(Run),
}

/// A channel over a WebSocket. It ends when it is dropped.
pub(crate) struct Link {
    commands: mpsc::Sender<Command>,
}

impl Link {
    /// Meets the server behind its pin, connects and opens a channel.
    pub(crate) async fn open(
        url: &VantageUrl,
        key: OwnKey,
        heard: mpsc::Sender<Heard>,
        deadline: Deadline,
    ) -> Result<Self, Missing> {
        let descriptor = NodeVantage::discover(url, deadline).await?.into_content();
        let meant = format!("https://{}", url.authority());
        let source = descriptor.addresses.iter().find(|address| **address == meant);
        let source = source.or(descriptor.addresses.first()).cloned().unwrap_or(meant);
        let open = async {
            let stream = Https::new(url.clone())?.stream().await?;
            let config = WebSocketConfig::default()
                .read_buffer_size(BUFFER)
                .write_buffer_size(BUFFER)
                .max_message_size(Some(LARGEST_MESSAGE))
                .max_frame_size(Some(LARGEST_MESSAGE));
            let target = format!("ws://{}{PATH}", url.authority());
            let shaken = tokio_tungstenite::client_async_with_config(target, stream, Some(config)).await;
            let (socket, _) = shaken.map_err(|error| Missing::Protocol(error.to_string()))?;
            Held::open(socket, key, source, descriptor.statement_key, heard).await
        };
        let held = tokio::time::timeout_at(deadline.instant(), open).await.unwrap_or(Err(Missing::Timeout))?;
        let (commands, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(held.run(waiting));
        Ok(Self { commands })
    }

    /// Whether the connection stands.
    pub(crate) fn is_open(&self) -> bool {
        !self.commands.is_closed()
    }

    /// A request and its answer. What is pushed under its id goes to `pushed`.
    pub(crate) async fn ask(&self, run: Run, pushed: mpsc::UnboundedSender<Run>) -> Result<Value, Missing> {
        let (done, answer) = oneshot::channel();
        let sent = self.commands.send(Command::Ask { run, pushed, done }).await;
        sent.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Says something that has no answer.
    pub(crate) async fn tell(&self, run: Run) -> Result<(), Missing> {
        self.commands.send(Command::Tell(run)).await.map_err(|_| gone())
    }
}

fn gone() -> Missing {
    Missing::Unreachable("the connection was closed".into())
}

/// A request that is not answered yet.
struct Pending {
    request_id: RequestId,
    done: oneshot::Sender<Result<Value, Missing>>,
}

/// The connection and the channel on it.
struct Held<S> {
    socket: WebSocketStream<S>,
    key: OwnKey,
    source: String,
    server: StatementKey,
    channel: ClientChannel,
    /// The channel before, whose last answers may still come.
    old: Option<ClientChannel>,
    replacing: Option<(Opening, Timestamp)>,
    heard: mpsc::Sender<Heard>,
    pending: HashMap<u64, Pending>,
    pushed: HashMap<RequestId, mpsc::UnboundedSender<Run>>,
    next_request: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Held<S> {
    async fn open(
        mut socket: WebSocketStream<S>,
        key: OwnKey,
        source: String,
        server: StatementKey,
        heard: mpsc::Sender<Heard>,
    ) -> Result<Self, Missing> {
        let (request, opening) = ask_for_channel(&key, &source, server, None)?;
        send(&mut socket, request).await?;
        let answer = loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => break text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return Err(gone()),
            }
        };
        let channel = opening.created(answer.as_bytes(), now()).map_err(|why| Missing::Channel(why.to_string()))?;
        let (pending, pushed) = (HashMap::new(), HashMap::new());
        Ok(Self {
            socket,
            key,
            source,
            server,
            channel,
            old: None,
            replacing: None,
            heard,
            pending,
            pushed,
            next_request: 0,
        })
    }

    /// Until either side has had enough. Whoever waits for an answer learns of the end by its sender.
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            let done = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => {
                        let _ = self.control(Control::Close).await;
                        return;
                    }
                },
                frame = self.socket.next() => match frame {
                    Some(Ok(Message::Text(text))) => self.frame(text.as_bytes()).await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    _ => return,
                },
                _ = looks.tick() => self.replace_when_due().await,
            };
            if done.is_err() {
                return;
            }
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), Missing> {
        match command {
            Command::Tell(run) => {
                let sealed = self.channel.request(None, &run, now());
                // What is too large is not said; the peer's look counts as failed.
                let Ok((_, message)) = sealed else { return Ok(()) };
                send(&mut self.socket, message).await
            }
            Command::Ask { run, pushed, done } => {
                self.next_request += 1;
                let request_id: RequestId = self.next_request.to_string().parse().map_err(|_| gone())?;
                match self.channel.request(Some(&request_id), &run, now()) {
                    Ok((counter, message)) => {
                        self.pushed.insert(request_id.clone(), pushed);
                        self.pending.insert(counter, Pending { request_id, done });
                        send(&mut self.socket, message).await
                    }
                    Err(why) => {
                        let _ = done.send(Err(Missing::Channel(why.to_string())));
                        Err(gone())
                    }
                }
            }
        }
    }

    async fn control(&mut self, control: Control) -> Result<(), Missing> {
        let (_, message) = self.channel.control(control, now()).map_err(|_| gone())?;
        send(&mut self.socket, message).await
    }

    async fn frame(&mut self, bytes: &[u8]) -> Result<(), Missing> {
        if let Ok(incoming) = self.channel.receive(bytes) {
            return self.incoming(incoming).await;
        }
        if let Some((opening, _)) = &self.replacing
            && let Ok(channel) = opening.created(bytes, now())
        {
            self.replacing = None;
            self.old = Some(std::mem::replace(&mut self.channel, channel));
            return self.heard.send(Heard::Renewed).await.map_err(|_| gone());
        }
        match self.old.as_mut().and_then(|old| old.receive(bytes).ok()) {
            // The server ends the old channel; that is no news.
            Some(Incoming::Push(Talk::Control(_))) | None => Ok(()),
            Some(incoming) => self.incoming(incoming).await,
        }
    }

    async fn incoming(&mut self, incoming: Incoming) -> Result<(), Missing> {
        match incoming {
            Incoming::Answer { counter, answer } => {
                if let Some(pending) = self.pending.remove(&counter) {
                    self.pushed.remove(&pending.request_id);
                    let outcome = answer.outcome.map_err(|error| Missing::Declined(reason_of(&error)));
                    // Nobody may wait any more.
                    let _ = pending.done.send(outcome);
                }
                Ok(())
            }
            Incoming::Told { counter, told } => {
                let why = format!("{}: {}", told.status().as_str(), told.reason());
                let pending = counter.and_then(|counter| self.pending.remove(&counter));
                pending.into_iter().for_each(|pending| drop(pending.done.send(Err(Missing::Channel(why.clone())))));
                // A hint that names no request of ours may be anybody's.
                if counter.is_some() { Err(gone()) } else { Ok(()) }
            }
            Incoming::Pong { .. } => Ok(()),
            Incoming::Push(Talk::Control(Control::Ping)) => self.control(Control::Pong).await,
            Incoming::Push(Talk::Control(Control::Pong)) => Ok(()),
            Incoming::Push(Talk::Control(Control::Close)) => Err(gone()),
            Incoming::Push(Talk::Run { request_id: Some(id), run }) => {
                self.pushed.get(&id).into_iter().for_each(|pushed| drop(pushed.send(run.clone())));
                Ok(())
            }
            // Whoever does not keep up misses looks; the hub asks somebody else.
            Incoming::Push(Talk::Run { request_id: None, run }) => {
                let _ = self.heard.try_send(Heard::Push(run));
                Ok(())
            }
        }
    }

    /// A channel is replaced before it ends; the old one goes on for a while.
    async fn replace_when_due(&mut self) -> Result<(), Missing> {
        if self.channel.has_ended(now()) {
            return Err(gone());
        }
        let is_under_way = self.replacing.as_ref().is_some_and(|(_, since)| now().since(*since) < REPLACING);
        if !self.channel.is_due(now()) || is_under_way {
            return Ok(());
        }
        let (request, opening) = ask_for_channel(&self.key, &self.source, self.server, Some(self.channel.id()))?;
        self.replacing = Some((opening, now()));
        send(&mut self.socket, request).await
    }
}

fn ask_for_channel(
    key: &OwnKey,
    source: &str,
    server: StatementKey,
    replaces: Option<parallax_proto::channel::ChannelId>,
) -> Result<(Vec<u8>, Opening), Missing> {
    let wanted = OpeningRequest { source: source.to_owned(), server: Some(server), replaces, max_lifetime: None };
    let mut random = SystemRandom::default();
    let opening = Opening::new(Arc::new(AwsLc), key.clone(), wanted, now(), &mut random);
    if random.has_failed() {
        return Err(Missing::Channel("this machine gives no randomness".into()));
    }
    opening.map_err(|why| Missing::Channel(why.to_string()))
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    message: Vec<u8>,
) -> Result<(), Missing> {
    let text = String::from_utf8(message).map_err(|_| gone())?;
    socket.send(Message::Text(text.into())).await.map_err(|_| gone())
}

/// A stranger's text, shortened and without control characters.
fn reason_of(error: &Value) -> String {
    let reason = error.get("reason").and_then(Value::as_str).unwrap_or("it gives no reason");
    reason.chars().filter(|c| !c.is_control()).take(200).collect()
}
