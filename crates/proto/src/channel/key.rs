//! The key that a client shows, and its own key with what signs for it.

use std::sync::Arc;

use parallax_core::{KeyId, Signer, Suite};
use serde_json::{Map, Value, json};

use super::wire::{self, BadForm, put_lp, take_lp};
use crate::public_key::{BadPublicKey, PublicKey};

/// Certificates in a chain.
pub const MAX_CHAIN: usize = 4;

/// How a client shows its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// The 32 bytes of an Ed25519 key.
    Ed25519,
    /// An RSA key of 2048 to 4096 bits as SubjectPublicKeyInfo (DER).
    Rsa,
    /// A chain of at most 4 certificates (DER), leaf first, each with its length.
    X509,
}

impl KeyType {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyType::Ed25519 => "Ed25519",
            KeyType::Rsa => "RSA",
            KeyType::X509 => "X509",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [KeyType::Ed25519, KeyType::Rsa, KeyType::X509].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Why a client's key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadClientKey {
    /// It is no key of its type.
    #[error("the key can't be used: {0}")]
    Key(#[from] BadPublicKey),
    /// Its type is another.
    #[error("the key is of another kind than its type says")]
    Type,
    /// It is no chain.
    #[error("a chain is 1 to {MAX_CHAIN} certificates, each with its length")]
    Chain,
}

/// The key that a client shows: how it is written, and the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey {
    kind: KeyType,
    data: Vec<u8>,
    key: PublicKey,
    chain: Vec<Vec<u8>>,
}

impl ClientKey {
    /// From type and data as they travel.
    pub fn new(suite: &dyn Suite, kind: KeyType, data: Vec<u8>) -> Result<Self, BadClientKey> {
        let (key, chain) = match kind {
            KeyType::Ed25519 => {
                let bytes = data.as_slice().try_into().map_err(|_| BadClientKey::Type)?;
                (PublicKey::ed25519(suite, bytes), Vec::new())
            }
            KeyType::Rsa => (PublicKey::from_spki(suite, &data)?, Vec::new()),
            KeyType::X509 => {
                let chain = chain(&data).ok_or(BadClientKey::Chain)?;
                let leaf = chain.first().ok_or(BadClientKey::Chain)?;
                (PublicKey::of_certificate(suite, leaf)?, chain)
            }
        };
        if kind == KeyType::Rsa && !key.is_rsa() {
            return Err(BadClientKey::Type);
        }
        Ok(Self { kind, data, key, chain })
    }

    /// A bare key (Ed25519 or RSA); P-256 comes in a certificate only.
    pub fn bare(suite: &dyn Suite, key: &PublicKey) -> Result<Self, BadClientKey> {
        match key.as_ed25519() {
            Some(bytes) => Self::new(suite, KeyType::Ed25519, bytes.to_vec()),
            None => Self::new(suite, KeyType::Rsa, key.spki().to_vec()),
        }
    }

    /// A key with its certificates, leaf first.
    pub fn certified(suite: &dyn Suite, chain: &[Vec<u8>]) -> Result<Self, BadClientKey> {
        let mut data = Vec::new();
        chain.iter().for_each(|certificate| put_lp(&mut data, certificate));
        Self::new(suite, KeyType::X509, data)
    }

    pub(super) fn read(suite: &dyn Suite, map: &Map<String, Value>) -> Result<Self, BadForm> {
        let bad = |field, wanted| BadForm::Field { field, wanted };
        let kind = KeyType::parse(wire::text(map, "type")?);
        let kind = kind.ok_or(bad("public_key.type", "one of Ed25519, RSA and X509"))?;
        let wanted = match kind {
            KeyType::Ed25519 => "the 32 bytes of the key",
            KeyType::Rsa => "the SubjectPublicKeyInfo of an RSA key of 2048 to 4096 bits",
            KeyType::X509 => "1 to 4 certificates, each with its length, of an Ed25519, P-256 or RSA key",
        };
        Self::new(suite, kind, wire::binary(map, "data")?).map_err(|_| bad("public_key.data", wanted))
    }

    pub(super) fn write(&self) -> Value {
        json!({ "type": self.kind.as_str(), "data": wire::encode(&self.data) })
    }

    /// How it is written.
    pub fn kind(&self) -> KeyType {
        self.kind
    }

    /// What stands in `public_key.data`, decoded.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The key itself.
    pub fn public(&self) -> &PublicKey {
        &self.key
    }

    /// What it is known by, whatever its type.
    pub fn id(&self) -> KeyId {
        self.key.id()
    }

    /// The certificates (DER), leaf first; empty for a bare key. Nothing about them was checked but their form.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }
}

fn chain(mut data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut chain = Vec::new();
    while !data.is_empty() {
        let (certificate, rest) = take_lp(data)?;
        if chain.len() == MAX_CHAIN {
            return None;
        }
        chain.push(certificate.to_vec());
        data = rest;
    }
    (!chain.is_empty()).then_some(chain)
}

/// A client's own key: what it shows, and what signs for it.
#[derive(Clone)]
pub struct OwnKey {
    shown: ClientKey,
    signer: Arc<dyn Signer>,
}

impl OwnKey {
    /// From the two; whether they belong together shows when the server checks the first signature.
    pub fn new(shown: ClientKey, signer: Arc<dyn Signer>) -> Self {
        Self { shown, signer }
    }

    /// What it shows.
    pub fn shown(&self) -> &ClientKey {
        &self.shown
    }

    /// What signs.
    pub fn signer(&self) -> &dyn Signer {
        self.signer.as_ref()
    }

    /// What it is known by.
    pub fn id(&self) -> KeyId {
        self.shown.id()
    }
}

impl std::fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnKey({})", self.id())
    }
}
