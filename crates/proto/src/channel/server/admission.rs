//! The steps of a creation, each a type that only the step before makes: examined, proved, admitted, opened.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{AeadKind, KeyId, Timestamp};
use rand_core::CryptoRng;
use serde_json::json;

use super::super::bodies::{CipherKey, CreateBody, CreatedBody, WireChannel, X25519, name_of};
use super::super::key::ClientKey;
use super::super::seal::{Ciphers, SealedTo, Seen, create_input, created_input, seal_to};
use super::super::wire::{self, BadForm, put_lp, take_lp};
use super::super::{ChannelId, ChannelLimits, REQUEST_LIFE};
use super::face::Face;
use super::refusal::{Refusal, Why};
use super::room::Room;
use super::settings::ServerSettings;

/// A request for a channel that was read.
#[derive(Debug)]
pub struct Examined {
    pub(super) from: Option<IpAddr>,
    key: ClientKey,
    request: Vec<u8>,
    pub(super) request_hash: [u8; 32],
    body: Result<CreateBody, BadForm>,
}

impl Examined {
    pub(super) fn read(face: &Face, from: Option<IpAddr>, bytes: &[u8]) -> Result<Self, Refusal> {
        let bad = |error: BadForm| Refusal::new(Why::Form, face.sha256(&[])).because(error.to_string());
        let map = wire::object(bytes).map_err(bad)?;
        let wanted = BadForm::Field { field: "public_key", wanted: "an object" };
        let key = map.get("public_key").and_then(serde_json::Value::as_object).ok_or(wanted).map_err(bad)?;
        let key = ClientKey::read(face.suite(), key).map_err(bad)?;
        let request = wire::binary(&map, "request").map_err(bad)?;
        let wanted = BadForm::Field { field: "request", wanted: "a body with its length, and a signature" };
        let (body, _) = take_lp(&request).ok_or(wanted).map_err(bad)?;
        let body = read_body(body);
        Ok(Self { from, key, request_hash: face.sha256(&request), request, body })
    }

    /// What makes this request one of its kind.
    pub(super) fn mark(&self) -> Option<(KeyId, [u8; 32])> {
        Some((self.key.id(), self.body.as_ref().ok()?.request_salt))
    }

    /// Source, server and time, as far as they can be read.
    pub(super) fn check(&self, face: &Face, settings: &ServerSettings, now: Timestamp) -> Result<(), Refusal> {
        let Ok(body) = &self.body else { return Ok(()) };
        if !face.has(&body.source) || !face.is_meant(body.server.as_ref(), settings.open) {
            return Err(self.refuse(Why::Server));
        }
        let at = body.at();
        if at.since(now).max(now.since(at)) > REQUEST_LIFE {
            return Err(self.refuse(Why::Stale));
        }
        Ok(())
    }

    pub(super) fn refuse(&self, why: Why) -> Refusal {
        let refusal = Refusal::new(why, self.request_hash);
        match &self.body {
            Ok(body) if !matches!(why, Why::Server) => refusal.from(&body.source),
            _ => refusal,
        }
    }

    /// Checks the signature. It needs nothing but the face, so nobody waits for it.
    pub fn prove(self, face: &Face) -> Result<Proved, Refusal> {
        let (body, signature) = take_lp(&self.request).unwrap_or_default();
        if !self.key.public().verify(face.suite(), &create_input(&self.key, body), signature) {
            return Err(self.refuse(Why::Signature));
        }
        let form = |error: String| self.refuse(Why::Form).because(error);
        let body = self.body.clone().map_err(|error| form(format!("in the signed body: {error}")))?;
        let cipher = body.cipher().ok_or_else(|| {
            form("none of channel_types is known here; known are CHACHA20-POLY1305 and AES-256-GCM".into())
        })?;
        if body.kex.kind != X25519 {
            return Err(form("kex.type must be X25519".into()));
        }
        Ok(Proved { examined: self, body, cipher })
    }
}

fn read_body(bytes: &[u8]) -> Result<CreateBody, BadForm> {
    wire::object(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| BadForm::Json(error.to_string()))
}

/// A request whose signature holds. Now the key may be looked up.
#[derive(Debug)]
pub struct Proved {
    pub(super) examined: Examined,
    pub(super) body: CreateBody,
    cipher: AeadKind,
}

impl Proved {
    /// The key that signed.
    pub fn key(&self) -> &ClientKey {
        &self.examined.key
    }

    pub(super) fn refuse(&self, why: Why) -> Refusal {
        self.examined.refuse(why)
    }

    pub(super) fn admitted(self, until: Option<Timestamp>, life: Duration, limits: ChannelLimits) -> Admitted {
        Admitted { proved: self, until, life, limits }
    }
}

/// What the caller knows of a key: from its key directory, or from its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It may not come, whoever else may: denied, or with a certificate that does not count.
    Refused,
    /// Nothing is known. An open server takes it.
    Unknown,
    /// It is registered.
    Registered {
        /// When that ends: with the certificate.
        until: Option<Timestamp>,
    },
}

/// A request that may have its channel. The caller enters [`Admitted::mark`] in the table that the operator's nodes share,
/// and goes on only when it was not there.
#[derive(Debug)]
pub struct Admitted {
    proved: Proved,
    until: Option<Timestamp>,
    life: Duration,
    limits: ChannelLimits,
}

impl Admitted {
    /// What makes this request one of its kind (key id and salt), and until when that has to be remembered.
    pub fn mark(&self) -> (String, Timestamp) {
        let body = &self.proved.body;
        let mark = format!("{}.{}", self.proved.key().id(), wire::encode(&body.request_salt));
        (mark, body.at().plus(REQUEST_LIFE))
    }

    /// The mark was in the shared table already.
    pub fn replayed(&self) -> Refusal {
        self.proved.refuse(Why::Replayed)
    }

    /// The shared table can't be reached.
    pub fn unavailable(&self) -> Refusal {
        self.proved.refuse(Why::Failed)
    }

    /// Computes: keys, the sealed answer, both ends' ciphers. It needs nothing but the face, so nobody waits for it.
    pub fn open(self, face: &Face, rng: &mut dyn CryptoRng, now: Timestamp) -> Result<Opened, Refusal> {
        let wanted = self.proved.body.max_lifetime_secs.map_or(self.life, |secs| Duration::from_secs(secs.max(1)));
        let life_end = now.plus(self.life.min(wanted));
        let valid_until = self.until.map_or(life_end, |until| until.min(life_end));
        if valid_until <= now {
            return Err(self.proved.refuse(Why::NotRegistered));
        }
        let mut random = [[0; 16]; 3];
        random.iter_mut().for_each(|bytes| rng.fill_bytes(bytes));
        let [channel, first, second] = random;
        let mut data = [0; 32];
        data.iter_mut().zip(first.into_iter().chain(second)).for_each(|(to, from)| *to = from);
        let key = CipherKey { kind: name_of(self.proved.cipher).into(), data };
        let body = CreatedBody { channel: WireChannel(channel), key, valid_until, limits: self.limits };
        let sealed = self.seal(face, rng, &body)?;
        let ciphers = Ciphers::new(face.suite(), self.proved.cipher, channel, &sealed.exported);
        let ciphers = ciphers.ok_or_else(|| self.proved.refuse(Why::Failed))?;
        Ok(self.opened(face, sealed, (ChannelId::from_bytes(channel), ciphers), valid_until, now))
    }

    fn seal(&self, face: &Face, rng: &mut dyn CryptoRng, body: &CreatedBody) -> Result<SealedTo, Refusal> {
        let examined = &self.proved.examined;
        let seen = Seen {
            key: &examined.key,
            request: &examined.request,
            statement_key: face.key().as_bytes(),
            source: &self.proved.body.source,
        };
        let mut failed = None;
        let sealed = seal_to(face.suite(), rng, &self.proved.body.kex.data, &seen, |transcript| {
            let made = sign(face, transcript, body);
            failed = made.is_none().then_some(Why::Failed);
            made
        });
        sealed.ok_or_else(|| match failed {
            Some(why) => self.proved.refuse(why),
            None => self.proved.refuse(Why::Form).because("kex.data is no key that a secret can be made with"),
        })
    }

    fn opened(
        self,
        face: &Face,
        sealed: SealedTo,
        (channel, ciphers): (ChannelId, Ciphers),
        valid_until: Timestamp,
        now: Timestamp,
    ) -> Opened {
        let mut response = sealed.enc.to_vec();
        put_lp(&mut response, face.key().as_bytes());
        response.extend_from_slice(&sealed.sealed);
        let source = self.proved.body.source.clone();
        let message = json!({ "source": source, "response": wire::encode(&response) });
        let replaces = self.proved.body.replaces.map(|channel| ChannelId::from_bytes(channel.0));
        let room = Room::new(Arc::new(self.proved.examined.key), source, ciphers, (now, valid_until), self.limits);
        Opened { channel, room, replaces, bytes: message.to_string().into_bytes() }
    }
}

fn sign(face: &Face, transcript: &[u8; 32], body: &CreatedBody) -> Option<Vec<u8>> {
    let body = serde_json::to_vec(body).ok()?;
    let signature = face.signer().sign(&created_input(transcript, &body)).ok()?;
    let mut response = Vec::with_capacity(4 + body.len() + signature.len());
    put_lp(&mut response, &body);
    response.extend_from_slice(&signature);
    Some(response)
}

/// A channel that only has to be put in its place.
pub struct Opened {
    pub(super) channel: ChannelId,
    pub(super) room: Room,
    pub(super) replaces: Option<ChannelId>,
    pub(super) bytes: Vec<u8>,
}
