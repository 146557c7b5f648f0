//! What an operator may change about how a node takes part in the federation.

use std::time::Duration;

use parallax_core::ServiceId;
use parallax_proto::DEFAULT_MAX_AGE;
use parallax_proto::mirror::Settings;

use crate::error::NodeError;

/// What a quiz asks for while clients have asked for nothing: names that everybody visits.
const POPULAR: [&str; 8] = [
    "wikipedia.org",
    "debian.org",
    "rust-lang.org",
    "mozilla.org",
    "kernel.org",
    "letsencrypt.org",
    "ietf.org",
    "iana.org",
];

/// Most popular names.
const MOST_POPULAR: usize = 1_000;

/// How a node takes part in the federation.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorSettings {
    /// The rules by which it vets, rates and removes others.
    pub rules: Settings,
    /// What quizzes ask for besides the names that enough clients asked for.
    pub popular: Vec<ServiceId>,
    /// How old the look of a quizzed view may be. The default is what `parallax check` asks for, so that a quiz looks
    /// like any question.
    pub quiz_max_age: Duration,
    /// How long an answer of another mirror is waited for. Default 5 s, as `parallax check` waits.
    pub patience: Duration,
    /// Whether a mirror that falls in this node's list is told so, at its own pinned address. Default: no.
    pub notices: bool,
}

impl Default for MirrorSettings {
    fn default() -> Self {
        Self {
            rules: Settings::default(),
            popular: POPULAR.iter().filter_map(|name| name.parse().ok()).collect(),
            quiz_max_age: DEFAULT_MAX_AGE,
            patience: Duration::from_secs(5),
            notices: false,
        }
    }
}

impl MirrorSettings {
    /// Refuses what would make a mirror that never rests, or that nobody can wait for.
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        let bad = |field, why: &str| Err(NodeError::Setting { field, why: why.into() });
        if self.popular.len() > MOST_POPULAR {
            return bad("mirror.popular", "at most 1000 services");
        }
        if self.popular.iter().any(|service| service.host().name().is_none()) {
            return bad("mirror.popular", "services with DNS names, such as example.com");
        }
        if self.rules.day < Duration::from_millis(100) {
            return bad("mirror.day", "at least 100 ms");
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&self.patience) {
            return bad("mirror.patience", "100 ms to 60 s");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_what_can_not_be_is_named() {
        MirrorSettings::default().check().unwrap();
        assert_eq!(MirrorSettings::default().popular.len(), POPULAR.len());
        let rules = Settings { day: Duration::ZERO, ..Settings::default() };
        let address = vec!["192.0.2.7".parse().unwrap()];
        for (field, settings) in [
            ("mirror.day", MirrorSettings { rules, ..Default::default() }),
            ("mirror.popular", MirrorSettings { popular: address, ..Default::default() }),
            ("mirror.patience", MirrorSettings { patience: Duration::ZERO, ..Default::default() }),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(field), "{field}: {error}");
        }
    }
}
