//! The message queue that an operator's nodes share: channels are served on it, and hubs share their peers over it.

#[cfg(feature = "cluster")]
mod connected;

use std::path::PathBuf;

use parallax_client::{QueueAccess, QueueUrl};

#[cfg(feature = "cluster")]
pub(crate) use self::connected::{Bus, read_group};
use crate::error::NodeError;

/// Which queue, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusSettings {
    /// Where it is.
    pub url: QueueUrl,
    /// What else opens it.
    pub access: QueueAccess,
    /// The file with the secret of the operator's hubs: those that know it share their peers. `None`: this hub's peers are
    /// its own.
    pub group: Option<PathBuf>,
}

impl BusSettings {
    /// A queue that needs nothing else, and no group.
    pub fn new(url: QueueUrl) -> Self {
        Self { url, access: QueueAccess::default(), group: None }
    }

    #[cfg(feature = "cluster")]
    #[allow(clippy::unused_self, reason = "without the feature it has something to say")]
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        Ok(())
    }

    #[cfg(not(feature = "cluster"))]
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        let why = "this program was built without message queues; build it with --features cluster".into();
        Err(NodeError::Setting { field: "bus", why })
    }
}
