//! A view signed by a peer's own key, and the one place where such views are believed. Peers have no descriptor: the key
//! that came with the view is the identity, and one key is one vote.

use std::time::Duration;

use parallax_core::{DnsAnswers, History, Look, ServiceId, Suite, Testimony, Timestamp, VantageId};

use super::wire::{Answer, Nonce};
use crate::CLOCK_SKEW;
use crate::jws::Parsed;
use crate::public_key::PublicKey;
use crate::signed::Verified;
use crate::view::{VIEW_FORMAT, View, ViewError};

/// The largest view of a peer that is read, in bytes: it holds one look and no history.
pub const LARGEST_PEER_VIEW: usize = 32 * 1024;

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
        let key = PublicKey::from_spki(suite, &peer.0);
        let key = key.map_err(|why| ViewError::Malformed(format!("the peer's key does not count: {why}")))?;
        Parsed::read(&signed.signature)?.verify_by(suite, &key, signed.body.as_bytes())?;
        let view: View = serde_json::from_str(&signed.body).map_err(|error| ViewError::Malformed(error.to_string()))?;
        let peer = VantageId::from(key.id());
        view.answers_as_peer(peer, expected, cached)?;
        view.is_coherent().map_err(malformed)?;
        view.has_sound_host_keys(suite).map_err(malformed)?;
        Ok(Verified::new(PeerView { peer, view }, signed))
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

impl View {
    fn answers_as_peer(&self, peer: VantageId, expected: &ExpectedPeer<'_>, cached: bool) -> Result<(), ViewError> {
        if self.format != VIEW_FORMAT {
            return Err(ViewError::Format(self.format.chars().take(40).collect()));
        }
        if self.vantage != peer {
            return Err(ViewError::Vantage { expected: peer, found: self.vantage });
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
