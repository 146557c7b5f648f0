//! A server and its clients, under one clock.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parallax_core::{KeyId, Signer as _, Suite as _, Timestamp};
use parallax_proto::StatementKey;
use parallax_proto::channel::{
    Answer, ClientChannel, ClientKey, Face, Handled, Heard, Incoming, Installed, KeyType, Opening, OpeningError,
    OpeningRequest, OwnKey, Refusal, Registration, Run, Server, ServerSettings,
};
use serde_json::{Value, json};

use crate::support::{Count, PureRust, Statement};

pub(crate) const URL: &str = "https://192.0.2.7:8443";
pub(crate) const START: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

pub(crate) fn statement(seed: u8) -> (StatementKey, Statement) {
    let pair = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    (StatementKey::from_bytes(pair.verifying_key().to_bytes()), Statement(pair))
}

pub(crate) fn face(seed: u8, url: &str) -> Face {
    let (key, signer) = statement(seed);
    Face::new(Arc::new(PureRust), key, Arc::new(signer), vec![url.into(), format!("{url}/second")])
}

/// An Ed25519 client.
pub(crate) fn client(seed: u8) -> OwnKey {
    let pair = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let shown = ClientKey::new(&PureRust, KeyType::Ed25519, pair.verifying_key().to_bytes().to_vec()).unwrap();
    OwnKey::new(shown, Arc::new(Statement(pair)))
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) registered: HashSet<KeyId>,
    pub(crate) now: Timestamp,
    pub(crate) rng: Count,
}

impl World {
    /// A closed server that knows clients 1 to 9.
    pub(crate) fn new() -> Self {
        Self::with(ServerSettings::default())
    }

    pub(crate) fn with(settings: ServerSettings) -> Self {
        let registered = (1..10).map(|seed| client(seed).id()).collect();
        Self { server: Server::new(face(100, URL), settings), registered, now: START, rng: Count(7) }
    }

    pub(crate) fn wanted(&self) -> OpeningRequest {
        OpeningRequest { source: URL.into(), server: Some(statement(100).0), replaces: None, max_lifetime: None }
    }

    pub(crate) fn ask(&mut self, key: &OwnKey, wanted: OpeningRequest) -> (Vec<u8>, Opening) {
        Opening::new(Arc::new(PureRust), key.clone(), wanted, self.now, &mut self.rng).unwrap()
    }

    pub(crate) fn create(&mut self, from: Option<IpAddr>, message: &[u8]) -> Result<Installed, Refusal> {
        let registered = self.registered.clone();
        let lookup = move |key: &ClientKey| match registered.contains(&key.id()) {
            true => Registration::Registered { until: None },
            false => Registration::Unknown,
        };
        self.server.create(from, message, &lookup, self.now, &mut self.rng)
    }

    /// What the server sends back, a status too.
    pub(crate) fn reply(&mut self, message: &[u8]) -> Vec<u8> {
        match self.create(None, message) {
            Ok(installed) => installed.bytes,
            Err(refusal) => refusal.write(self.server.face()),
        }
    }

    pub(crate) fn try_open(&mut self, key: &OwnKey, wanted: OpeningRequest) -> Result<ClientChannel, OpeningError> {
        let (message, opening) = self.ask(key, wanted);
        let reply = self.reply(&message);
        opening.created(&reply, self.now)
    }

    pub(crate) fn open(&mut self, key: &OwnKey) -> ClientChannel {
        let wanted = self.wanted();
        self.try_open(key, wanted).unwrap()
    }

    pub(crate) fn hear(&mut self, message: &[u8]) -> Result<Handled, Refusal> {
        self.server.message(None, None, message, self.now)
    }

    /// A request and its answer: what was asked comes back.
    pub(crate) fn echo(&mut self, channel: &mut ClientChannel, id: &str) -> Answer {
        let run = run("echo", json!({ "said": id }));
        let (_, message) = channel.request(Some(&id.parse().unwrap()), &run, self.now).unwrap();
        let answer = self.answered(&message);
        match channel.receive(&answer).unwrap() {
            Incoming::Answer { answer, .. } => answer,
            other => panic!("{other:?}"),
        }
    }

    /// The server's answer to an `echo`.
    pub(crate) fn answered(&mut self, message: &[u8]) -> Vec<u8> {
        match self.hear(message).unwrap().heard {
            Heard::Request { reply: Some(reply), run, .. } => {
                self.server.answer(reply, Ok(run.into_value()), self.now).unwrap()
            }
            Heard::Answered(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }
}

pub(crate) fn run(kind: &str, mut value: Value) -> Run {
    value["type"] = json!(kind);
    Run::new(value).unwrap()
}

/// A message with one of its binary fields changed.
pub(crate) fn with_field(message: &[u8], path: &[&str], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(message).unwrap();
    let field = path.iter().fold(&mut value, |value, name| &mut value[*name]);
    let mut bytes = decode(field.as_str().unwrap());
    change(&mut bytes);
    *field = json!(URL_SAFE_NO_PAD.encode(bytes));
    value.to_string().into_bytes()
}

pub(crate) fn field(message: &[u8], path: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    with_field(message, path, |field| bytes = field.clone());
    bytes
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A creation whose body was changed and signed anew by its own key.
pub(crate) fn signed_anew(key: &OwnKey, message: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    with_field(message, &["request"], |request| {
        let length = u32::from_be_bytes(request[..4].try_into().unwrap()) as usize;
        let mut body: Value = serde_json::from_slice(&request[4..4 + length]).unwrap();
        change(&mut body);
        *request = signed_body(key, body.to_string().as_bytes());
    })
}

pub(crate) fn signed_body(key: &OwnKey, body: &[u8]) -> Vec<u8> {
    let lp = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let shown = key.shown();
    let input =
        [b"parallax channel create 1\0".to_vec(), lp(shown.kind().as_str().as_bytes()), lp(shown.data()), lp(body)]
            .concat();
    [lp(body), key.signer().sign(&input).unwrap()].concat()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    PureRust.sha256(bytes)
}

/// The server's statement signer.
pub(crate) fn server_signs(message: &[u8]) -> Vec<u8> {
    statement(100).1.sign(message).unwrap()
}
