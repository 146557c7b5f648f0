//! Why something asked of janus came to nothing.

use parallax_core::KeyId;
use parallax_janus::{BadChain, Mailbox, NotAsked};

use super::identity::BadIdentity;
use crate::vantage::Missing;

/// Why something asked of janus came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JanusError {
    /// The node can't be reached, or does not prove to be the one that is meant.
    #[error("{0}")]
    Missing(#[from] Missing),
    /// It is no janus.
    #[error("the node certifies no mailboxes; it runs without --role janus, or is older than that")]
    NoJanus,
    /// The request is not taken.
    #[error("it takes no such request{}", told(.0))]
    Refused(Option<String>),
    /// Too many orders.
    #[error("it takes no more orders now{}", told(.0))]
    TooMany(Option<String>),
    /// It will not.
    #[error("it refuses{}", told(.0))]
    Forbidden(Option<String>),
    /// The answer does not fit.
    #[error("{}", .0.as_deref().unwrap_or("the answer does not fit the order"))]
    Wrong(Option<String>),
    /// The order is no more.
    #[error("{}", .0.as_deref().unwrap_or("the order has expired, or has ended after five wrong answers"))]
    Over(Option<String>),
    /// Who asks is not believed.
    #[error("it does not take the certificate that this client has{}", told(.0))]
    Unauthorised(Option<String>),
    /// What came back is nothing that it should be.
    #[error("its answer can't be read; the node may be of another version")]
    Answer,
    /// There is no request that could be sent.
    #[error("{0}")]
    NotAsked(#[from] NotAsked),
    /// The key could not sign.
    #[error("the key could not sign, or the system gives no random numbers")]
    Key,
    /// The certificate can't be read.
    #[error("{0}")]
    Identity(#[from] BadIdentity),
    /// The certificate does not hold.
    #[error("the certificate does not hold and was not kept: {0}")]
    Chain(#[from] BadChain),
    /// The deny list of the node does not hold, so nothing that it certified does.
    #[error("the certificate can't be judged and was not kept: {0}")]
    NoDenyList(String),
    /// It is somebody else's.
    #[error("the certificate is for {found}, not for {asked}; it was not kept")]
    OtherMailbox {
        /// Whom it was asked for.
        asked: Mailbox,
        /// Whom it names.
        found: Mailbox,
    },
    /// It is another key's.
    #[error("the certificate is of another key ({found}) than the one that asked ({asked}); it was not kept")]
    OtherKey {
        /// The one that asked.
        asked: KeyId,
        /// The one in the certificate.
        found: KeyId,
    },
}

fn told(detail: &Option<String>) -> String {
    detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default()
}

impl JanusError {
    /// From the status of an answer, as far as it means the same everywhere.
    pub(super) fn of(missing: Missing) -> Self {
        match missing {
            Missing::Refused { status: 400 | 413 | 415 | 422, detail } => Self::Refused(detail),
            Missing::Refused { status: 401, detail } => Self::Unauthorised(detail),
            Missing::Refused { status: 403, detail } => Self::Forbidden(detail),
            Missing::Refused { status: 410, detail } => Self::Over(detail),
            Missing::Refused { status: 429, detail } => Self::TooMany(detail),
            other => Self::Missing(other),
        }
    }
}
