//! A view signed by a peer's own key, and the one place where such views are believed. Peers have no descriptor: the key
//! that came with the view is the identity, and one key is one vote.

use std::time::Duration;

use parallax_core::{DnsAnswers, History, Look, ServiceId, Suite, Testimony, Timestamp, VantageId};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::wire::{Answer, Nonce};
use crate::CLOCK_SKEW;
use crate::jws::Parsed;
use crate::signed::{Signed, Verified};
use crate::view::{VIEW_FORMAT, View, ViewError};

/// The largest view of a peer that is read, in bytes: it holds one look and no history.
pub const LARGEST_PEER_VIEW: usize = 32 * 1024;

/// A public key that may be a peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerKey {
    id: VantageId,
    spki: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Ed25519([u8; 32]),
    P256(Vec<u8>),
}

/// Why a key is no peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPeerKey {
    /// It can't be read.
    #[error("the peer's key is not a SubjectPublicKeyInfo in DER")]
    Form,
    /// It is of a kind that is not used here.
    #[error("the peer's key is not Ed25519 or ECDSA P-256")]
    Kind,
}

impl PeerKey {
    /// Reads a SubjectPublicKeyInfo (DER): Ed25519 (RFC 8410) or an uncompressed P-256 point (RFC 5480).
    pub fn from_spki(suite: &dyn Suite, spki: &[u8]) -> Result<Self, BadPeerKey> {
        let (rest, parsed) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| BadPeerKey::Form)?;
        if !rest.is_empty() {
            return Err(BadPeerKey::Form);
        }
        let key = &*parsed.subject_public_key.data;
        let kind = match parsed.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => Kind::Ed25519(key.try_into().map_err(|_| BadPeerKey::Form)?),
            "1.2.840.10045.2.1" if key.len() == 65 && key.first() == Some(&4) => Kind::P256(key.to_vec()),
            _ => return Err(BadPeerKey::Kind),
        };
        Ok(Self { id: VantageId::from_bytes(suite.sha256(spki)), spki: spki.to_vec(), kind })
    }

    /// The SHA-256 of its SubjectPublicKeyInfo: the peer's identity, and the `vantage` of its views.
    pub fn id(&self) -> VantageId {
        self.id
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

/// What an asker knows before it reads an answer.
#[derive(Clone, Debug)]
pub struct ExpectedPeer<'a> {
    /// What was asked about.
    pub service: &'a ServiceId,
    /// The nonce of this question.
    pub nonce: Nonce,
    /// How old a cached view may be.
    pub max_age: Duration,
    /// Now.
    pub now: Timestamp,
}

/// A peer's view that was verified: what its key says it saw. What it tells of a past is not believed; other peers answer
/// the next question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    peer: VantageId,
    view: View,
}

impl PeerView {
    /// Believes an answer only if the signature is the peer's own, service and nonce are those that were asked for (or it
    /// is marked as cached, and still counts), and the view does not contradict itself.
    pub fn verify(
        suite: &dyn Suite,
        expected: &ExpectedPeer<'_>,
        answer: Answer,
    ) -> Result<Verified<PeerView>, ViewError> {
        let malformed = |why: &str| ViewError::Malformed(why.into());
        let Answer { view: signed, peer, cached, .. } = answer;
        if signed.body.len() > LARGEST_PEER_VIEW {
            return Err(malformed("it is larger than 32 KiB"));
        }
        let key = PeerKey::from_spki(suite, &peer.0).map_err(|why| ViewError::Malformed(why.to_string()))?;
        verify_signature(suite, &key, &signed)?;
        let view: View = serde_json::from_str(&signed.body).map_err(|error| ViewError::Malformed(error.to_string()))?;
        view.answers_as_peer(&key, expected, cached)?;
        view.is_coherent().map_err(malformed)?;
        view.has_sound_host_keys(suite).map_err(malformed)?;
        Ok(Verified::new(PeerView { peer: key.id, view }, signed))
    }

    /// The id of the peer's key.
    pub fn peer(&self) -> VantageId {
        self.peer
    }

    /// The view as it was signed.
    pub fn view(&self) -> &View {
        &self.view
    }
}

impl Verified<PeerView> {
    /// What it testifies.
    pub fn testimony(&self) -> Testimony {
        let PeerView { peer, view } = self.content();
        Testimony {
            vantage: *peer,
            issued_at: view.issued_at,
            look: Look { dns: DnsAnswers::clone(&view.dns), now: view.now.clone() },
            there: None,
            history: History::default(),
        }
    }
}

fn verify_signature(suite: &dyn Suite, key: &PeerKey, signed: &Signed) -> Result<(), ViewError> {
    let jws = Parsed::read(&signed.signature)?;
    let body = signed.body.as_bytes();
    match &key.kind {
        Kind::Ed25519(bytes) => jws.verify_ed25519(suite, bytes, key.id, body)?,
        Kind::P256(point) => jws.verify_p256(suite, point, key.id, body)?,
    }
    Ok(())
}

impl View {
    fn answers_as_peer(&self, key: &PeerKey, expected: &ExpectedPeer<'_>, cached: bool) -> Result<(), ViewError> {
        if self.format != VIEW_FORMAT {
            return Err(ViewError::Format(self.format.chars().take(40).collect()));
        }
        if self.vantage != key.id {
            return Err(ViewError::Vantage { expected: key.id, found: self.vantage });
        }
        if self.service != *expected.service {
            return Err(ViewError::Service { expected: expected.service.clone(), found: self.service.clone() });
        }
        self.is_current(expected.now)?;
        let now_asked = self.nonce.as_deref() == Some(expected.nonce.to_string().as_str());
        if !now_asked && !cached {
            return Err(ViewError::Nonce);
        }
        let age = expected.now.since(self.issued_at);
        if !now_asked && (expected.max_age.is_zero() || age > expected.max_age.saturating_add(CLOCK_SKEW)) {
            return Err(ViewError::Stale { at: self.now.at, max_age_secs: expected.max_age.as_secs() });
        }
        self.is_fresh(expected.max_age)
    }
}
