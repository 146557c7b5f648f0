//! A stranger's client of a hub: text frames over a WebSocket, with nothing of this program's own client but the cipher.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use parallax_client::{Lie, PeerEye, PeerSettings};
use parallax_core::{KeyId, Signer, SigningFailed, Timestamp};
use parallax_probe::{AwsLc, ProbeSettings, Prober, SystemRandom};
use parallax_proto::PublicKey;
use parallax_proto::channel::{ClientChannel, ClientKey, Incoming, Opening, OpeningRequest, OwnKey, Run, Talk};
use parallax_proto::hub::Look;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::served::Served;

/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_ms(since.as_millis().try_into().unwrap())
}

/// A key of a stranger's, by its number.
struct Key(SigningKey);

impl Signer for Key {
    fn algorithm(&self) -> &'static str {
        "EdDSA"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }
}

fn key(number: u8) -> OwnKey {
    let key = SigningKey::from_bytes(&[number; 32]);
    let public = PublicKey::ed25519(&AwsLc, key.verifying_key().to_bytes());
    OwnKey::new(ClientKey::bare(&AwsLc, &public).unwrap(), Arc::new(Key(key)))
}

/// What a key is known by.
pub(crate) fn id(number: u8) -> KeyId {
    key(number).id()
}

/// Registers keys with a node, before it starts.
pub(crate) fn allow(data: &Path, numbers: impl IntoIterator<Item = u8>) {
    let directory = data.join("keys/allowed");
    std::fs::create_dir_all(&directory).unwrap();
    numbers.into_iter().for_each(|number| std::fs::write(directory.join(id(number).to_string()), "").unwrap());
}

type Socket = WebSocketStream<TcpStream>;

/// A WebSocket on which nothing was said yet.
pub(crate) async fn socket(hub: &Served) -> Socket {
    let stream = TcpStream::connect(&hub.http).await.unwrap();
    client_async(format!("ws://{}/v1/peer", hub.http), stream).await.unwrap().0
}

/// The next text frame; `None` when the connection has ended.
pub(crate) async fn frame(socket: &mut Socket) -> Option<String> {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("a frame in time") {
            Some(Ok(Message::Text(text))) => return Some(text.to_string()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

/// A client or peer on a channel of its own.
pub(crate) struct Raw {
    socket: Socket,
    channel: ClientChannel,
    number: u8,
    replied: u32,
    /// The hub has ended the channel or the connection.
    has_ended: bool,
    /// What came while something else was waited for.
    pushes: VecDeque<Value>,
    answers: Vec<(String, Result<Value, Value>)>,
}

impl Raw {
    pub(crate) async fn open(hub: &Served, number: u8) -> Self {
        let answer = hub.get("/v1/vantage");
        let descriptor: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let wanted = OpeningRequest {
            source: descriptor["addresses"][0].as_str().unwrap().to_owned(),
            server: Some(serde_json::from_value(descriptor["statement_key"].clone()).unwrap()),
            replaces: None,
            max_lifetime: None,
        };
        let mut random = SystemRandom::default();
        let (bytes, opening) = Opening::new(Arc::new(AwsLc), key(number), wanted, now(), &mut random).unwrap();
        let mut socket = socket(hub).await;
        socket.send(Message::text(String::from_utf8(bytes).unwrap())).await.unwrap();
        let created = frame(&mut socket).await.expect("a channel");
        let channel = opening.created(created.as_bytes(), now()).unwrap();
        Self { socket, channel, number, replied: 0, has_ended: false, pushes: VecDeque::new(), answers: Vec::new() }
    }

    /// One that has attached.
    pub(crate) async fn peer(hub: &Served, number: u8) -> Self {
        let mut peer = Self::open(hub, number).await;
        let answer = peer.asks("attach", json!({ "type": "attach", "looks_per_minute": 600 })).await;
        assert!(answer.is_ok(), "{answer:?}");
        peer
    }

    /// Sends a request; with an id it will be answered.
    pub(crate) async fn send(&mut self, request_id: Option<&str>, run: Value) {
        let request_id = request_id.map(|text| text.parse().unwrap());
        let Ok((_, bytes)) = self.channel.request(request_id.as_ref(), &Run::new(run).unwrap(), now()) else {
            self.has_ended = true;
            return;
        };
        // Whether it is still there shows when the answer is waited for.
        let _ = self.socket.send(Message::text(String::from_utf8(bytes).unwrap())).await;
    }

    /// Sends a request and waits for its answer: `return` or `error`.
    pub(crate) async fn asks(&mut self, request_id: &str, run: Value) -> Result<Value, Value> {
        self.send(Some(request_id), run).await;
        self.answer_to(request_id).await
    }

    /// The answer to a request that was sent.
    pub(crate) async fn answer_to(&mut self, request_id: &str) -> Result<Value, Value> {
        loop {
            if let Some(at) = self.answers.iter().position(|(id, _)| id == request_id) {
                return self.answers.remove(at).1;
            }
            if self.has_ended {
                return Err("the hub has ended the channel".into());
            }
            self.listen().await;
        }
    }

    /// The next push.
    pub(crate) async fn push(&mut self) -> Value {
        while self.pushes.is_empty() {
            assert!(!self.has_ended, "the hub has ended the channel");
            self.listen().await;
        }
        self.pushes.pop_front().unwrap()
    }

    /// The next look that it is asked for.
    pub(crate) async fn look(&mut self) -> Look {
        let push = self.push().await;
        assert_eq!(push["type"], "look", "{push}");
        serde_json::from_value(push).unwrap()
    }

    /// The answers that were pushed, in the order in which they came.
    pub(crate) fn pushed(&mut self) -> Vec<Value> {
        self.pushes.drain(..).filter(|push| push["type"] == "answer").collect()
    }

    /// Replies to a look with this lie.
    pub(crate) async fn lies(&mut self, look: &Look, lie: &str) -> Result<Value, Value> {
        let seen = self.seen(look, lie).await;
        self.replies(seen).await
    }

    /// Sends a reply as it is. Each is a request of its own.
    pub(crate) async fn replies(&mut self, seen: Value) -> Result<Value, Value> {
        self.replied += 1;
        let request_id = format!("reply {}", self.replied);
        self.asks(&request_id, seen).await
    }

    /// What a reply to a look would be, as a run.
    pub(crate) async fn seen(&self, look: &Look, lie: &str) -> Value {
        let settings = PeerSettings { looks_per_minute: 10_000, lie: Some(Lie::Text(lie.into())), region: None };
        let prober = Prober::new(ProbeSettings::default()).unwrap();
        let eye = PeerEye::new(key(self.number), prober, settings);
        let mut seen = serde_json::to_value(eye.look(look.clone()).await).unwrap();
        seen["type"] = "seen".into();
        seen
    }

    async fn listen(&mut self) {
        let Some(text) = frame(&mut self.socket).await else {
            self.has_ended = true;
            return;
        };
        match self.channel.receive(text.as_bytes()).unwrap() {
            Incoming::Answer { answer, .. } => self.answers.push((answer.request_id.to_string(), answer.outcome)),
            Incoming::Push(Talk::Run { run, .. }) => self.pushes.push_back(run.into_value()),
            Incoming::Push(_) | Incoming::Pong { .. } => {}
            Incoming::Told { .. } => self.has_ended = true,
        }
    }
}
