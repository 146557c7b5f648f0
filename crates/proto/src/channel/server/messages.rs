//! What is heard on channels, and what is said.

use std::net::IpAddr;

use parallax_core::{KeyId, Timestamp};
use serde_json::{Value, json};

use super::super::talk::{Answer, Control, RequestId, Run, RunText, Talk};
use super::super::wire::{self, BadForm};
use super::super::{ChannelId, LARGEST_MESSAGE};
use super::answers::Standing;
use super::bucket::by_address;
use super::refusal::{Refusal, Why};
use super::room::{ChannelEnd, Connection, Room};
use super::{Server, room};

/// What base64url and the envelope add to a message, with room for the longest source.
const ENVELOPE: usize = 4096;

/// A message that opened.
#[derive(Debug)]
pub struct Handled {
    /// The channel.
    pub channel: ChannelId,
    /// The key behind it.
    pub key: KeyId,
    /// What was said.
    pub heard: Heard,
}

/// What was said.
#[derive(Debug)]
pub enum Heard {
    /// Something to be done.
    Request {
        /// What the client calls it.
        request_id: Option<RequestId>,
        /// Where the answer goes; `None` when none is wanted.
        reply: Option<Reply>,
        /// What.
        run: Run,
    },
    /// The same as is being done: when that is answered, [`Server::again`] has the answer for this one.
    Again(Reply),
    /// Answered already: a pong, or an answer that was kept. To be sent back as it is.
    Answered(Vec<u8>),
    /// Nothing is to be sent back.
    Quiet(Control),
}

/// Where an answer goes: under the counter of its request, once.
#[derive(Debug)]
pub struct Reply {
    channel: ChannelId,
    counter: u64,
    request_hash: [u8; 32],
    request_id: RequestId,
}

impl Reply {
    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// What the client calls its request.
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// What the client is told when its channel has ended before the answer was there.
    pub fn gone(&self) -> Refusal {
        Refusal::new(Why::NoChannel, self.request_hash)
    }
}

/// Why a push did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushFailed {
    /// There is no such channel (any more).
    #[error("the channel has ended")]
    NoChannel,
    /// Nothing was heard over a connection that can carry it.
    #[error("the channel has no connection that a push could go to")]
    NoConnection,
    /// It is too large.
    #[error("a message has at most {LARGEST_MESSAGE} bytes")]
    TooLarge,
}

/// A message of a client as it travels.
struct Envelope {
    channel: ChannelId,
    request: Vec<u8>,
}

impl Envelope {
    fn read(bytes: &[u8]) -> Result<Self, BadForm> {
        let map = wire::object(bytes)?;
        let channel = ChannelId::from_bytes(wire::exactly(&map, "channel")?);
        Ok(Self { channel, request: wire::binary(&map, "request")? })
    }
}

impl Server {
    /// A message from a client. `from` is its source address (`None`: this process itself, not counted), `connection` a
    /// way that pushes can take.
    pub fn message(
        &mut self,
        from: Option<IpAddr>,
        connection: Option<Connection>,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Handled, Refusal> {
        let from = from.map(by_address);
        if let Some(wait) = from.map(|from| self.failures.wait(&from, now)).filter(|wait| !wait.is_zero()) {
            return Err(Refusal::new(Why::Address, self.face.sha256(&[])).after(wait));
        }
        let envelope = Envelope::read(bytes).map_err(|error| {
            self.count_failure(from, now);
            Refusal::new(Why::Form, self.face.sha256(&[])).because(error.to_string())
        })?;
        let hash = self.face.sha256(&envelope.request);
        let opened = self.open(&envelope, connection, now);
        let opened = opened.map_err(|why| {
            self.count_failure(from, now);
            Refusal::new(why, hash)
        })?;
        let heard = self.hear(envelope.channel, opened, hash, now)?;
        Ok(Handled { channel: envelope.channel, key: heard.0, heard: heard.1 })
    }

    fn count_failure(&mut self, from: Option<IpAddr>, now: Timestamp) {
        if let Some(from) = from {
            // What is left shows at the next message.
            let _ = self.failures.take(from, now);
        }
    }

    fn open(
        &mut self,
        envelope: &Envelope,
        connection: Option<Connection>,
        now: Timestamp,
    ) -> Result<room::Heard, Why> {
        let room = self.channels.get_mut(&envelope.channel).ok_or(Why::NoChannel)?;
        if let Some(why) = room.ended(now) {
            self.close(envelope.channel, why);
            return Err(Why::NoChannel);
        }
        if room.is_exhausted() {
            return Err(Why::NoChannel);
        }
        room.open(&envelope.request, connection, now).ok_or(Why::Unopened)
    }

    /// What opened counts for the key behind the channel.
    fn hear(
        &mut self,
        channel: ChannelId,
        heard: room::Heard,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<(KeyId, Heard), Refusal> {
        let Some(room) = self.channels.get_mut(&channel) else { return Err(Refusal::new(Why::NoChannel, hash)) };
        let (key, source) = (room.key(), room.source.clone());
        let refuse = |why| Refusal::new(why, hash).from(&source).signed();
        if let Some(left) = self.conduct.blocked(key, now) {
            return Err(refuse(Why::Blocked).after(left));
        }
        let talk = Talk::read(&heard.plaintext).map_err(|error| {
            self.conduct.violated(&self.settings, key, now);
            refuse(Why::Violation).because(error.to_string())
        })?;
        let heard = match talk {
            Talk::Control(control) => self.control(channel, control, heard.counter, &hash),
            Talk::Run { request_id: None, run } => Heard::Request { request_id: None, reply: None, run },
            Talk::Run { request_id: Some(request_id), run } => {
                let reply = Reply { channel, counter: heard.counter, request_hash: hash, request_id };
                self.request(key, reply, run, now).map_err(|(why, reason)| refuse(why).because(reason))?
            }
        };
        Ok((key, heard))
    }

    fn control(&mut self, channel: ChannelId, control: Control, counter: u64, hash: &[u8; 32]) -> Heard {
        let pong = Control::Pong.write();
        match (control, self.channels.get(&channel)) {
            (Control::Ping, Some(room)) => match room.seal_answer(counter, hash, &pong) {
                Some(response) => Heard::Answered(answer_message(room, channel, &response)),
                None => Heard::Quiet(control),
            },
            (Control::Close, _) => {
                self.close(channel, ChannelEnd::Closed);
                Heard::Quiet(control)
            }
            _ => Heard::Quiet(control),
        }
    }

    fn request(&mut self, key: KeyId, reply: Reply, run: Run, now: Timestamp) -> Result<Heard, (Why, &'static str)> {
        let digest = self.face.sha256(run.value().to_string().as_bytes());
        let Some(room) = self.channels.get_mut(&reply.channel) else { return Err((Why::NoChannel, "")) };
        match room.answers.standing(&self.settings, &reply.request_id, &digest, now) {
            Standing::New if room.answers.begin(&self.settings, reply.request_id.clone(), digest) => {
                Ok(Heard::Request { request_id: Some(reply.request_id.clone()), reply: Some(reply), run })
            }
            Standing::New => Err((Why::Busy, "too many requests of this channel are under way")),
            Standing::UnderWay => Ok(Heard::Again(reply)),
            Standing::Done(kept) => {
                let plaintext = kept.unwrap_or_else(|| not_kept(room, &reply.request_id, now));
                let response = room.seal_answer(reply.counter, &reply.request_hash, &plaintext);
                let response = response.ok_or((Why::Failed, "the answer can't be sealed"))?;
                Ok(Heard::Answered(answer_message(room, reply.channel, &response)))
            }
            Standing::Other => {
                self.conduct.violated(&self.settings, key, now);
                Err((Why::Violation, "this request_id stands for another request"))
            }
        }
    }

    /// Answers a request; `None` when its channel has ended meanwhile. One too large becomes an error that says so.
    pub fn answer(&mut self, reply: Reply, outcome: Result<Value, Value>, now: Timestamp) -> Option<Vec<u8>> {
        let Reply { channel, counter, request_hash, request_id } = reply;
        let room = self.channels.get_mut(&channel).filter(|room| room.ended(now).is_none())?;
        let answer = |outcome| Answer {
            request_id: request_id.clone(),
            outcome,
            valid_until: room.valid_until,
            warnings: room.warnings(now),
        };
        let mut plaintext = answer(outcome).write();
        if plaintext.len() > largest_plaintext() {
            plaintext =
                answer(Err(json!({ "type": "too-large", "reason": "the answer fits into no message" }))).write();
        }
        let response = room.seal_answer(counter, &request_hash, &plaintext)?;
        room.answers.finish(&self.settings, request_id, plaintext, now);
        Some(answer_message(room, channel, &response))
    }

    /// The answer for a request that was asked again while it was being worked on: `Err` gives the place back while it
    /// still is; `Ok(None)` when nothing will come any more.
    pub fn again(&mut self, reply: Reply, now: Timestamp) -> Result<Option<Vec<u8>>, Reply> {
        let Some(room) = self.channels.get_mut(&reply.channel).filter(|room| room.ended(now).is_none()) else {
            return Ok(None);
        };
        match room.answers.of(&reply.request_id) {
            Standing::UnderWay => Err(reply),
            Standing::Done(kept) => {
                let plaintext = kept.unwrap_or_else(|| not_kept(room, &reply.request_id, now));
                let response = room.seal_answer(reply.counter, &reply.request_hash, &plaintext);
                Ok(response.map(|response| answer_message(room, reply.channel, &response)))
            }
            _ => Ok(None),
        }
    }

    /// Nobody works on a request any more: asked again, it is done anew.
    pub fn abandon(&mut self, reply: &Reply) {
        if let Some(room) = self.channels.get_mut(&reply.channel) {
            room.answers.abandon(&reply.request_id);
        }
    }

    /// Says something unasked: to the connection of the newest message that opened.
    pub fn push(
        &mut self,
        channel: ChannelId,
        request_id: Option<&RequestId>,
        run: &Run,
        now: Timestamp,
    ) -> Result<(Connection, Vec<u8>), PushFailed> {
        self.say(channel, &Talk::write(request_id, run), now)
    }

    /// The same with what was written already.
    pub fn push_text(
        &mut self,
        channel: ChannelId,
        request_id: Option<&RequestId>,
        run: &RunText,
        now: Timestamp,
    ) -> Result<(Connection, Vec<u8>), PushFailed> {
        self.say(channel, &run.write(request_id), now)
    }

    /// Control, unasked.
    pub fn push_control(
        &mut self,
        channel: ChannelId,
        control: Control,
        now: Timestamp,
    ) -> Result<(Connection, Vec<u8>), PushFailed> {
        self.say(channel, &control.write(), now)
    }

    fn say(
        &mut self,
        channel: ChannelId,
        plaintext: &[u8],
        now: Timestamp,
    ) -> Result<(Connection, Vec<u8>), PushFailed> {
        let room = self.channels.get_mut(&channel).filter(|room| room.ended(now).is_none());
        let room = room.ok_or(PushFailed::NoChannel)?;
        let connection = room.connection().ok_or(PushFailed::NoConnection)?;
        if plaintext.len() > largest_plaintext() {
            return Err(PushFailed::TooLarge);
        }
        let push = room.seal_push(plaintext).ok_or(PushFailed::NoChannel)?;
        Ok((connection, envelope(room, channel, "push", &push)))
    }
}

/// What fits into a message when it is sealed and encoded.
const fn largest_plaintext() -> usize {
    (LARGEST_MESSAGE - ENVELOPE) / 4 * 3
}

fn answer_message(room: &Room, channel: ChannelId, response: &[u8]) -> Vec<u8> {
    envelope(room, channel, "response", response)
}

/// Written in one go: what is sealed is the most of it.
fn envelope(room: &Room, channel: ChannelId, name: &str, sealed: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(sealed.len() / 3 * 4 + room.source.len() + 128);
    text.push_str("{\"channel\":\"");
    wire::encode_to(channel.as_bytes(), &mut text);
    text.push_str("\",\"");
    text.push_str(name);
    text.push_str("\":\"");
    wire::encode_to(sealed, &mut text);
    text.push_str("\",\"source\":");
    text.push_str(&Value::from(room.source.as_str()).to_string());
    text.push('}');
    text.into_bytes()
}

fn not_kept(room: &Room, request_id: &RequestId, now: Timestamp) -> Vec<u8> {
    let reason = "it was done and answered; the answer was too large to be kept";
    let answer = Answer {
        request_id: request_id.clone(),
        outcome: Err(json!({ "type": "not-kept", "reason": reason })),
        valid_until: room.valid_until,
        warnings: room.warnings(now),
    };
    answer.write()
}
