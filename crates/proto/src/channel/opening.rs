//! The client's side of a creation.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{SigningFailed, Suite, Timestamp};
use rand_core::CryptoRng;
use serde_json::json;

use super::bodies::{AES_256_GCM, CHACHA20_POLY1305, CreateBody, CreatedBody, Kex, WireChannel, X25519};
use super::client::ClientChannel;
use super::key::OwnKey;
use super::seal::{Ciphers, Ephemeral, Seen, create_input, created_input, split_enc};
use super::status::Told;
use super::wire::{self, BadForm, put_lp, take_lp};
use super::{ChannelId, LARGEST_MESSAGE};
use crate::descriptor::StatementKey;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct OpeningRequest {
    /// The URL meant: one of the descriptor's `addresses`, byte for byte.
    pub source: String,
    /// The server's statement key, from the descriptor of the vantage id that the client knows. `None` only at first
    /// contact with an open server: then whoever answers is believed, once.
    pub server: Option<StatementKey>,
    /// A channel of the same key whose place it takes.
    pub replaces: Option<ChannelId>,
    /// The longest life that is wanted.
    pub max_lifetime: Option<Duration>,
}

/// Why no channel came of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// The answer can't be read.
    #[error("the server's answer can't be read: {0}")]
    Form(#[from] BadForm),
    /// The server refuses; how far that is believed stands in it.
    #[error("the server says {word}: {reason}", word = .0.status().as_str(), reason = .0.reason())]
    Told(Told),
    /// It answers for another URL.
    #[error("the answer comes from \"{found}\", not from \"{expected}\"")]
    Source {
        /// The one meant.
        expected: String,
        /// The one it says.
        found: String,
    },
    /// Another statement key: the descriptor may have changed, so it is to be fetched afresh.
    #[error("the server shows the statement key {found}, known is {expected}; its descriptor says which holds")]
    OtherKey {
        /// The known one.
        expected: StatementKey,
        /// The one that was shown.
        found: StatementKey,
    },
    /// It was not sealed to this client, or changed on the way.
    #[error("the answer does not open: it is for another request, or was changed on the way")]
    Unopened,
    /// It was not signed by the key it shows.
    #[error("the answer is not signed by the statement key it shows")]
    Signature,
    /// It grants what was not asked for.
    #[error("the server grants what was not asked for: {0}")]
    Grant(&'static str),
}

/// A creation under way. Its ephemeral key is wiped when it is dropped.
pub struct Opening {
    suite: Arc<dyn Suite>,
    key: OwnKey,
    request: Vec<u8>,
    request_hash: [u8; 32],
    source: String,
    server: Option<StatementKey>,
    ephemeral: Ephemeral,
}

impl Opening {
    /// The message that asks for a channel, and what its answer is opened with.
    pub fn new(
        suite: Arc<dyn Suite>,
        key: OwnKey,
        wanted: OpeningRequest,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Self), SigningFailed> {
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        let (ephemeral, public) = Ephemeral::new(rng);
        let body = CreateBody {
            channel_types: vec![CHACHA20_POLY1305.into(), AES_256_GCM.into()],
            request_salt: salt,
            kex: Kex { kind: X25519.into(), data: public },
            source: wanted.source.clone(),
            server: wanted.server.map(|key| suite.sha256(key.as_bytes())),
            time: now.unix_ms(),
            replaces: wanted.replaces.map(|channel| WireChannel(*channel.as_bytes())),
            max_lifetime_secs: wanted.max_lifetime.map(|life| life.as_secs()),
        };
        let request = sign(&key, &body)?;
        let message = json!({ "public_key": key.shown().write(), "request": wire::encode(&request) });
        let request_hash = suite.sha256(&request);
        let opening =
            Self { suite, key, request, request_hash, source: wanted.source, server: wanted.server, ephemeral };
        Ok((message.to_string().into_bytes(), opening))
    }

    /// Opens the server's answer. What does not belong to this creation changes nothing: the true answer may still come.
    pub fn created(&self, answer: &[u8], now: Timestamp) -> Result<ClientChannel, OpeningError> {
        let map = wire::object(answer)?;
        if map.contains_key("status") {
            let told = Told::read(self.suite.as_ref(), &map, &self.source, self.server)?;
            let own = *told.request_hash() == self.request_hash;
            return Err(OpeningError::Told(if own { told } else { told.into_hint() }));
        }
        let found = wire::text(&map, "source")?;
        if found != self.source {
            let found = found.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(OpeningError::Source { expected: self.source.clone(), found });
        }
        self.open(&wire::binary(&map, "response")?, now)
    }

    fn open(&self, response: &[u8], now: Timestamp) -> Result<ClientChannel, OpeningError> {
        let wanted = BadForm::Field { field: "response", wanted: "enc, the statement key and what is sealed" };
        let (enc, rest) = split_enc(response).ok_or(wanted.clone())?;
        let (shown, sealed) = take_lp(rest).ok_or(wanted.clone())?;
        let shown = StatementKey::from_bytes(shown.try_into().map_err(|_| wanted)?);
        if let Some(expected) = self.server.filter(|known| *known != shown) {
            return Err(OpeningError::OtherKey { expected, found: shown });
        }
        let seen = Seen {
            key: self.key.shown(),
            request: &self.request,
            statement_key: shown.as_bytes(),
            source: &self.source,
        };
        let opened = self.ephemeral.open(self.suite.as_ref(), &seen, enc, sealed);
        let (opened, transcript, exported) = opened.ok_or(OpeningError::Unopened)?;
        let (body, signature) = take_lp(&opened).ok_or(OpeningError::Unopened)?;
        if !self.suite.verify_ed25519(shown.as_bytes(), &created_input(&transcript, body), signature) {
            return Err(OpeningError::Signature);
        }
        let body = granted(body, now)?;
        let cipher = body.key.cipher().ok_or(OpeningError::Grant("a cipher that is not known here"))?;
        let ciphers = Ciphers::new(self.suite.as_ref(), cipher, body.channel.0, &exported);
        let ciphers = ciphers.ok_or(OpeningError::Grant("a cipher that is not known here"))?;
        Ok(ClientChannel::new(Arc::clone(&self.suite), self.source.clone(), shown, &body, ciphers, now))
    }

    #[cfg(test)]
    pub(super) fn secret(&self) -> [u8; 32] {
        self.ephemeral.secret()
    }

    #[cfg(test)]
    pub(super) fn open_for_test(
        &self,
        seen: &Seen<'_>,
        enc: &[u8],
        sealed: &[u8],
    ) -> (Vec<u8>, [u8; 32], super::seal::Exported) {
        self.ephemeral.open(self.suite.as_ref(), seen, enc, sealed).unwrap()
    }
}

fn sign(key: &OwnKey, body: &CreateBody) -> Result<Vec<u8>, SigningFailed> {
    let body = serde_json::to_vec(body).map_err(|_| SigningFailed)?;
    let signature = key.signer().sign(&create_input(key.shown(), &body))?;
    let mut request = Vec::with_capacity(4 + body.len() + signature.len());
    put_lp(&mut request, &body);
    request.extend_from_slice(&signature);
    Ok(request)
}

fn granted(body: &[u8], now: Timestamp) -> Result<CreatedBody, OpeningError> {
    wire::object(body)?;
    let body: CreatedBody = serde_json::from_slice(body).map_err(|error| BadForm::Json(error.to_string()))?;
    if body.valid_until <= now {
        return Err(OpeningError::Grant("a channel that has ended already"));
    }
    let most = LARGEST_MESSAGE as u64;
    if body.limits.messages == 0 || body.limits.bytes == 0 || body.limits.bytes > most {
        return Err(OpeningError::Grant("limits under which nothing can be said"));
    }
    Ok(body)
}
