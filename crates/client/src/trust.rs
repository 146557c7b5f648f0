//! Whom somebody trusts, at the node that keeps it (`docs/trust.md`).

use http::Method;
use parallax_janus::Mailbox;
use parallax_proto::trust::{LARGEST_TRUST_LIST, TrustList, trust_path};

use crate::http::Channel;
use crate::janus::OwnIdentity;
use crate::node::NoPin;
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing};

/// Why trust was not declared, withdrawn or told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrustError {
    /// The node can't be reached, or does not prove to be the one that is meant.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Its URL does not say who it must be.
    #[error(transparent)]
    NoPin(#[from] NoPin),
    /// It keeps none.
    #[error(
        "the node keeps no trust between people; it neither certifies mailboxes nor believes a node that does, or is older than that"
    )]
    None,
    /// The certificate does not count there.
    #[error("{0}")]
    Unauthorised(String),
    /// It is not done.
    #[error("{0}")]
    Refused(String),
    /// What came back is nothing that it should be.
    #[error("its answer can't be read; the node may be of another version")]
    Answer,
}

/// The node that keeps somebody's trust.
pub struct TrustNode {
    channel: Channel,
}

impl TrustNode {
    /// The node at `url`, whose pin says who it must be. It learns the mailbox of the identity.
    pub fn new(url: VantageUrl, identity: &OwnIdentity) -> Result<Self, TrustError> {
        url.pin().ok_or_else(|| NoPin(url.clone()))?;
        Ok(Self { channel: Channel::acting_as(url, Some(identity))? })
    }

    /// What the person has declared, and how it stands.
    pub async fn declared(&self, deadline: Deadline) -> Result<TrustList, TrustError> {
        let answer = self.channel.request((Method::GET, "/v1/trust"), None, LARGEST_TRUST_LIST, deadline).await;
        serde_json::from_str(&answer.map_err(TrustError::of)?).map_err(|_| TrustError::Answer)
    }

    /// Declares trust. Whether the other side is known is not told.
    pub async fn declare(&self, whom: &Mailbox, deadline: Deadline) -> Result<(), TrustError> {
        self.change(Method::PUT, whom, deadline).await
    }

    /// Withdraws it; whether there was any is not told.
    pub async fn withdraw(&self, whom: &Mailbox, deadline: Deadline) -> Result<(), TrustError> {
        self.change(Method::DELETE, whom, deadline).await
    }

    async fn change(&self, method: Method, whom: &Mailbox, deadline: Deadline) -> Result<(), TrustError> {
        let path = trust_path(whom.as_str());
        self.channel.request((method, &path), None, 0, deadline).await.map(drop).map_err(TrustError::of)
    }
}

impl TrustError {
    fn of(missing: Missing) -> Self {
        match missing {
            Missing::Refused { status: 404 | 405, .. } => Self::None,
            Missing::Refused { status: 401, detail: Some(detail) } => Self::Unauthorised(detail),
            Missing::Refused { status: 400 | 409, detail: Some(detail) } => Self::Refused(detail),
            other => Self::Missing(other),
        }
    }
}
