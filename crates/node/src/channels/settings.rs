//! What a node is told about channels.

use std::time::Duration;

use parallax_proto::channel::ServerSettings;

use crate::error::NodeError;

/// What a node is told about channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelSettings {
    /// What it grants and tolerates; closed by default: only keys of the key directory come.
    pub rules: ServerSettings,
}

impl ChannelSettings {
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        let bad = |field, why: &str| Err(NodeError::Setting { field, why: why.into() });
        let rules = &self.rules;
        if !(Duration::from_secs(60)..=Duration::from_secs(86_400)).contains(&rules.lifetime) {
            return bad("channel.lifetime", "between 60 s and one day");
        }
        if rules.limits.idle_secs == 0 || rules.limits.messages == 0 {
            return bad("channel.idle", "at least one second");
        }
        if rules.channels_per_key == 0 || rules.channels == 0 {
            return bad("channel.channels", "at least one");
        }
        Ok(())
    }
}
