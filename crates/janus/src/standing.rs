//! What entitles somebody to a certificate, and what is remembered of it.

use std::time::Duration;

use parallax_core::{Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};

use crate::authority::{LONGEST_LIFE, SHORTEST_LIFE};
use crate::chain::Identity;
use crate::key::SubjectKey;
use crate::mailbox::Mailbox;
use crate::request::Request;

/// How long a proof of a mailbox is good for renewals.
pub const MAILBOX_PROOF_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// A mailbox and a key that may be certified together. It comes from an answered order, from a renewal, or from the
/// classic flow, where the secrecy of the mail is the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    mailbox: Mailbox,
    key: SubjectKey,
    proved_at: Timestamp,
    classic: bool,
}

/// What is remembered of a mailbox's certified key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    /// Whose.
    pub mailbox: Mailbox,
    /// The key's id.
    pub key: Fingerprint,
    /// When the mailbox was last proved with this key; a renewal does not move it.
    pub proved_at: Timestamp,
    /// When the last certificate ends. After that, a denied key can leave the deny list.
    pub not_after: Timestamp,
}

/// Why a certificate is not renewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewable {
    /// It is another key's or mailbox's record.
    #[error("a certificate is renewed for the same key and address only; order a new one")]
    Another,
    /// The proof is too old.
    #[error("the mailbox was proved at {0}, 90 days ago or more; order a new certificate")]
    TooOld(Timestamp),
}

impl Grant {
    /// For [`crate::Order::answer`] alone.
    pub(crate) fn proved(mailbox: Mailbox, key: SubjectKey, at: Timestamp) -> Self {
        Self { mailbox, key, proved_at: at, classic: false }
    }

    /// The classic flow of LEP 008: it is issued first, and whoever reads the mail has it. Off unless the operator says
    /// otherwise; such certificates live for 24 h.
    pub fn classic(request: &Request, now: Timestamp) -> Self {
        let (mailbox, key) = (request.mailbox().clone(), request.key().clone());
        Self { mailbox, key, proved_at: now, classic: true }
    }

    /// A renewal, for the key and mailbox of a certificate that was judged and stands in a handshake.
    pub fn renewal(identity: &Identity, certified: &Certified, now: Timestamp) -> Result<Self, NotRenewable> {
        if certified.key != identity.key().id() || certified.mailbox != *identity.mailbox() {
            return Err(NotRenewable::Another);
        }
        let proved_at = certified.proved_at;
        if now >= proved_at.plus(MAILBOX_PROOF_LIFE) {
            return Err(NotRenewable::TooOld(proved_at));
        }
        let (mailbox, key) = (identity.mailbox().clone(), identity.key().clone());
        Ok(Self { mailbox, key, proved_at, classic: false })
    }

    /// Whose.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Which key.
    pub fn key(&self) -> &SubjectKey {
        &self.key
    }

    /// What to remember once it is issued. A classic certificate proves no mailbox: it is not renewed.
    pub fn certified(&self, not_after: Timestamp) -> Certified {
        let proved_at = if self.classic { Timestamp::from_unix_ms(0) } else { self.proved_at };
        Certified { mailbox: self.mailbox.clone(), key: self.key.id(), proved_at, not_after }
    }

    pub(crate) fn longest_life(&self) -> Duration {
        if self.classic { SHORTEST_LIFE } else { LONGEST_LIFE }
    }
}
