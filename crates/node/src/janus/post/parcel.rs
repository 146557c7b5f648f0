//! A mail that has not gone out, as it lies on disk.

use std::time::Duration;

use parallax_core::Timestamp;
use parallax_janus::{Mailbox, Order, SmallNetwork, Token};
use serde::{Deserialize, Serialize};

/// How long a certificate is tried to be mailed.
const CERTIFICATE_WAITS: Duration = Duration::from_secs(24 * 3600);

/// A mail that has not gone out, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::janus) struct Parcel {
    pub(super) content: Content,
    pub(super) at: Timestamp,
    pub(super) until: Timestamp,
    /// Whether it leaves the house in the end.
    pub(super) goes_out: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// The first mail of an order.
    Confirmation {
        order: Token,
        /// From where it was asked for, as the mail tells it.
        network: String,
    },
    /// A certificate: no secret.
    Certificate {
        mailbox: Mailbox,
        /// DER, the client's first.
        chain: Vec<Vec<u8>>,
        not_after: Timestamp,
    },
}

impl Parcel {
    pub(in crate::janus) fn confirmation(order: &Order, network: SmallNetwork, goes_out: bool, at: Timestamp) -> Self {
        let content = Content::Confirmation { order: *order.id(), network: network.to_string() };
        Self { content, at, until: order.expires_at(), goes_out }
    }

    pub(in crate::janus) fn certificate(
        mailbox: &Mailbox,
        chain: &[Vec<u8>],
        not_after: Timestamp,
        goes_out: bool,
        at: Timestamp,
    ) -> Self {
        let content = Content::Certificate { mailbox: mailbox.clone(), chain: chain.to_vec(), not_after };
        Self { content, at, until: at.plus(CERTIFICATE_WAITS), goes_out }
    }

    pub(in crate::janus) fn until(&self) -> Timestamp {
        self.until
    }
}
