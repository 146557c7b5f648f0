//! The two signed bodies. Unknown fields are refused in both: what is signed is understood.

use std::time::Duration;

use parallax_core::{AeadKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::wire::{fixed, fixed_or_none};

/// The names of the ciphers on the wire.
pub(super) const CHACHA20_POLY1305: &str = "CHACHA20-POLY1305";
pub(super) const AES_256_GCM: &str = "AES-256-GCM";
/// The one key exchange.
pub(super) const X25519: &str = "X25519";

/// What a client may name in order of preference.
const MOST_TYPES: usize = 16;

pub(super) fn name_of(kind: AeadKind) -> &'static str {
    match kind {
        AeadKind::ChaCha20Poly1305 => CHACHA20_POLY1305,
        AeadKind::Aes256Gcm => AES_256_GCM,
    }
}

fn named(name: &str) -> Option<AeadKind> {
    match name {
        CHACHA20_POLY1305 => Some(AeadKind::ChaCha20Poly1305),
        AES_256_GCM => Some(AeadKind::Aes256Gcm),
        _ => None,
    }
}

/// What a client signs when it asks for a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    /// Ciphers in order of preference; unknown ones are ignored.
    pub channel_types: Vec<String>,
    /// 32 random bytes: no two requests are the same.
    #[serde(with = "fixed")]
    pub request_salt: [u8; 32],
    /// The ephemeral key that the answer is sealed to.
    pub kex: Kex,
    /// The URL meant, one of the descriptor's addresses byte for byte.
    pub source: String,
    /// SHA-256 of the statement key meant; absent only at first contact with an open server.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "fixed_or_none")]
    pub server: Option<[u8; 32]>,
    /// When it was signed, Unix milliseconds.
    pub time: i64,
    /// A channel of the same key that this one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<WireChannel>,
    /// The longest life that the client wants, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lifetime_secs: Option<u64>,
}

impl CreateBody {
    /// When it was signed.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.time)
    }

    /// The first cipher that is known here.
    pub(super) fn cipher(&self) -> Option<AeadKind> {
        self.channel_types.iter().take(MOST_TYPES).find_map(|name| named(name))
    }
}

/// An ephemeral public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kex {
    /// `X25519`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The key.
    #[serde(with = "fixed")]
    pub data: [u8; 32],
}

/// A channel id in a signed body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireChannel(#[serde(with = "fixed")] pub [u8; 16]);

/// What the server seals and signs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreatedBody {
    pub(super) channel: WireChannel,
    pub(super) key: CipherKey,
    pub(super) valid_until: Timestamp,
    pub(super) limits: ChannelLimits,
}

/// The cipher and its key material.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CipherKey {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(with = "fixed")]
    pub(super) data: [u8; 32],
}

impl CipherKey {
    pub(super) fn cipher(&self) -> Option<AeadKind> {
        named(&self.kind)
    }
}

/// What one channel may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelLimits {
    /// Requests in all. Default 2^32.
    pub messages: u64,
    /// Bytes of one message as it travels. Default 65536.
    pub bytes: u64,
    /// Seconds without a message that opened, after which the channel ends. Default 600.
    pub idle_secs: u64,
}

impl ChannelLimits {
    /// How long it may rest.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_secs)
    }
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self { messages: 1 << 32, bytes: super::LARGEST_MESSAGE as u64, idle_secs: 600 }
    }
}
