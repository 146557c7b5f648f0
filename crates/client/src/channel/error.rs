//! Why a call came to nothing.

use std::time::Duration;

use parallax_proto::channel::{OpeningError, ReceiveError, SendError, Told};

use super::url::ServerUrl;
use crate::vantage::Missing;

/// Why a call came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The URL names no server.
    #[error("{0} has no pin; add #VANTAGE-ID, which the node prints when it starts")]
    NoPin(ServerUrl),
    /// The server can't be reached, or does not prove to be the one that is meant.
    #[error("{0}")]
    Missing(#[from] Missing),
    /// The server opens no channel.
    #[error("{0}")]
    Opening(OpeningError),
    /// The server refuses a message.
    #[error("the server says {word}: {reason}", word = .0.status().as_str(), reason = .0.reason())]
    Told(Told),
    /// It is too early to try again.
    #[error("the server is not asked for another {} s: {why}", .left.as_secs().max(1))]
    TooEarly {
        /// How long it still is.
        left: Duration,
        /// What happened.
        why: String,
    },
    /// The message could not be made.
    #[error("{0}")]
    Send(#[from] SendError),
    /// What came back is not the answer.
    #[error("{0}")]
    Receive(#[from] ReceiveError),
    /// The key could not sign, or the system gives no random numbers.
    #[error("the key could not sign, or the system gives no random numbers")]
    Key,
    /// The connection ended first.
    #[error("the connection ended before the answer")]
    Gone,
    /// There was no answer in time.
    #[error("no answer in time")]
    Timeout,
}
