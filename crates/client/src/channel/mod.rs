//! Channels to a node (`docs/protocols/channel.md`): [`Channel`] with one request and one answer at a time, over HTTP or a
//! message queue; [`Attached`] with what the server says unasked, over a WebSocket or the queue.

mod attached;
#[cfg(feature = "cluster")]
mod bus;
mod carrier;
mod error;
mod key_file;
mod opener;
mod url;

use parallax_proto::channel::{ClientChannel, Control, Incoming, OwnKey, Run, Warning};
use serde_json::Value;
use tokio::sync::Mutex;

pub use self::attached::{Attached, AttachedCaller, Pushed};
use self::carrier::{Carrier, Kind};
pub use self::error::CallError;
pub use self::key_file::{BadKeyFile, new_key_file, public_key_pem, read_key_file, read_public_key};
pub(crate) use self::key_file::{pem, signer};
use self::opener::{Opener, fresh_id};
pub use self::url::ServerUrl;
use crate::clock::now;
use crate::vantage::{Deadline, Missing};

/// How often a request is sent whose answer did not come.
const TRIES: usize = 3;

/// What was called answered: with its `return`, or its `error`.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// What it says.
    pub outcome: Result<Value, Value>,
    /// Whether the channel ends soon; it is replaced before the next call.
    pub expiring: bool,
}

/// A channel with one request at a time. It is opened at the first call, replaced before it ends, and opened anew when the server has
/// forgotten it.
pub struct Channel {
    carrier: Carrier,
    state: Mutex<State>,
}

struct State {
    opener: Opener,
    channel: Option<ClientChannel>,
}

impl Channel {
    /// To the server at `url`, whose pin says who it must be, with this key.
    pub fn new(url: ServerUrl, key: OwnKey) -> Result<Self, CallError> {
        let carrier = Carrier::new(&url)?;
        Ok(Self { carrier, state: Mutex::new(State { opener: Opener::new(url, key)?, channel: None }) })
    }

    /// Asks for something and waits for the answer. An answer that is lost is asked for again; nothing is done twice.
    pub async fn call(&self, run: &Run, deadline: Deadline) -> Result<Called, CallError> {
        // One at a time: the channel's counters and its replacement have one owner.
        let mut state = self.state.lock().await;
        let id = fresh_id()?;
        let mut last = CallError::Timeout;
        for _ in 0..TRIES {
            state.ensure(&self.carrier, deadline).await?;
            match state.ask(&self.carrier, &id, run, deadline).await {
                Err(CallError::Missing(missing @ (Missing::Protocol(_) | Missing::Unreachable(_)))) => {
                    last = CallError::Missing(missing);
                }
                done => return done,
            }
        }
        Err(last)
    }

    /// Tells the server that the channel is not needed any more.
    pub async fn close(&self, deadline: Deadline) {
        let mut state = self.state.lock().await;
        let Some(mut channel) = state.channel.take() else { return };
        if let Ok((_, message)) = channel.control(Control::Close, now()) {
            // Unheard, it ends by itself.
            let _ = self.carrier.exchange(Kind::Message, message, deadline).await;
        }
    }
}

impl State {
    async fn ensure(&mut self, carrier: &Carrier, deadline: Deadline) -> Result<(), CallError> {
        let usable = self.channel.as_ref().filter(|channel| !channel.has_ended(now()));
        if usable.is_some_and(|channel| !channel.is_due(now())) {
            return Ok(());
        }
        let replaces = usable.map(ClientChannel::id);
        let opened = open(&mut self.opener, carrier, replaces, deadline).await;
        match opened {
            Ok(channel) => self.channel = Some(channel),
            // What is still open is used to its end.
            Err(_) if replaces.is_some() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        carrier: &Carrier,
        id: &parallax_proto::channel::RequestId,
        run: &Run,
        deadline: Deadline,
    ) -> Result<Called, CallError> {
        let Some(channel) = &mut self.channel else { return Err(CallError::Gone) };
        let (counter, message) = channel.request(Some(id), run, now())?;
        let body = carrier.exchange(Kind::Message, message, deadline).await?;
        match channel.receive(&body)? {
            Incoming::Answer { counter: about, answer } if about == counter => {
                let expiring = answer.warnings.contains(&Warning::Expiring);
                Ok(Called { outcome: answer.outcome, expiring })
            }
            Incoming::Told { told, .. } => {
                if told.status() == parallax_proto::channel::Status::Unauthorised {
                    // The server may have been restarted, or a forger says so: a new one, but not at once.
                    self.channel = None;
                }
                self.opener.told(&told);
                Err(CallError::Told(told))
            }
            _ => Err(CallError::Receive(parallax_proto::channel::ReceiveError::Unopened)),
        }
    }
}

async fn open(
    opener: &mut Opener,
    carrier: &Carrier,
    replaces: Option<parallax_proto::channel::ChannelId>,
    deadline: Deadline,
) -> Result<ClientChannel, CallError> {
    for _ in 0..2 {
        let (message, opening) = opener.begin(carrier, replaces, deadline).await?;
        let answer = carrier.exchange(Kind::Create, message, deadline).await?;
        match opener.finish(carrier, &opening, &answer, deadline).await {
            Ok(channel) => return Ok(channel),
            Err(Some(error)) => return Err(error),
            // The descriptor is newer than the one that was known: once more.
            Err(None) => {}
        }
    }
    Err(CallError::Timeout)
}
