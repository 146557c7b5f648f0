//! `accepted.toml`: the user's own word, as it is kept.

use std::path::{Path, PathBuf};

use parallax_core::{Accepted, Fingerprint, HostPattern, OwnWord, ServiceId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::kept::{Kept, KeptError};

/// A longer list was not made by this program.
const MOST: usize = 10_000;

/// The list as it stands in the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedList {
    /// Keys, in the order in which they were accepted.
    #[serde(default, rename = "key", skip_serializing_if = "Vec::is_empty")]
    pub(crate) keys: Vec<AcceptedKey>,
    /// Hosts at which every key is right.
    #[serde(default, rename = "hosts", skip_serializing_if = "Vec::is_empty")]
    pub(crate) hosts: Vec<AcceptedHosts>,
}

/// At this service exactly this key is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedKey {
    /// Where.
    pub(crate) service: ServiceId,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub(crate) key: Fingerprint,
    /// When the user said so.
    pub(crate) since: Timestamp,
}

/// At these hosts every key is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedHosts {
    /// Where.
    pub(crate) pattern: HostPattern,
    /// When the user said so.
    pub(crate) since: Timestamp,
}

/// Why the list can't be used. One sentence each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcceptedError {
    #[error(transparent)]
    File(#[from] KeptError),
    #[error("{} names {what} twice; keep one of the entries", file.display())]
    Twice { file: PathBuf, what: String },
    #[error(
        "at {service} you accepted the key {accepted}, and this is {met}: either the key was changed, or somebody is in between; if its operator confirms the new one, run `parallax accept remove {service}` first"
    )]
    OtherKey { service: ServiceId, accepted: Fingerprint, met: Fingerprint },
    #[error("{0} entries are kept, and no list may be longer")]
    TooMany(usize),
}

impl Kept for AcceptedList {
    const HEADER: &'static str = "# The user's own word: keys and hosts that `parallax check` trusts because you say so.\n\
                                  # Kept by `parallax accept`, `accept list` and `accept remove`.\n\n";

    type Error = AcceptedError;

    fn check(&self, file: &Path) -> Result<(), AcceptedError> {
        if self.len() > MOST {
            return Err(AcceptedError::TooMany(self.len()));
        }
        let mut seen = std::collections::BTreeSet::new();
        let services = self.keys.iter().map(|entry| entry.service.to_string());
        let patterns = self.hosts.iter().map(|entry| entry.pattern.to_string());
        match services.chain(patterns).find(|name| !seen.insert(name.clone())) {
            Some(what) => Err(AcceptedError::Twice { file: file.into(), what }),
            None => Ok(()),
        }
    }
}

/// What came of accepting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is new.
    New,
    /// It was accepted since then.
    Known(Timestamp),
}

impl AcceptedList {
    /// How much there is.
    fn len(&self) -> usize {
        self.keys.len() + self.hosts.len()
    }

    /// Whether nothing is accepted.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For the check.
    pub(crate) fn own_word(&self) -> OwnWord {
        let keys = self.keys.iter().map(|AcceptedKey { service, key, since }| Accepted::Key {
            service: service.clone(),
            key: *key,
            since: *since,
        });
        let hosts = self
            .hosts
            .iter()
            .map(|AcceptedHosts { pattern, since }| Accepted::AnyKey { hosts: pattern.clone(), since: *since });
        OwnWord::new(keys.chain(hosts))
    }

    /// Takes a key. A service whose accepted key is another keeps that one: a change is what an attacker would want.
    pub(crate) fn accept_key(&mut self, entry: AcceptedKey) -> Result<Taken, AcceptedError> {
        match self.keys.iter().find(|known| known.service == entry.service) {
            Some(known) if known.key == entry.key => Ok(Taken::Known(known.since)),
            Some(known) => Err(AcceptedError::OtherKey { service: entry.service, accepted: known.key, met: entry.key }),
            None => self.room().map(|()| {
                self.keys.push(entry);
                Taken::New
            }),
        }
    }

    /// Takes hosts.
    pub(crate) fn accept_hosts(&mut self, entry: AcceptedHosts) -> Result<Taken, AcceptedError> {
        match self.hosts.iter().find(|known| known.pattern == entry.pattern) {
            Some(known) => Ok(Taken::Known(known.since)),
            None => self.room().map(|()| {
                self.hosts.push(entry);
                Taken::New
            }),
        }
    }

    fn room(&self) -> Result<(), AcceptedError> {
        if self.len() < MOST { Ok(()) } else { Err(AcceptedError::TooMany(MOST)) }
    }

    /// Takes the word about this service back; whether there was one.
    pub(crate) fn remove_key(&mut self, service: &ServiceId) -> bool {
        self.keys.extract_if(.., |entry| entry.service == *service).count() > 0
    }

    /// Takes the word about these hosts back; whether there was one.
    pub(crate) fn remove_hosts(&mut self, pattern: &HostPattern) -> bool {
        self.hosts.extract_if(.., |entry| entry.pattern == *pattern).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Timestamp = Timestamp::from_unix_secs(1_700_000_000);

    fn key(service: &str, n: u8) -> AcceptedKey {
        AcceptedKey { service: service.parse().unwrap(), key: Fingerprint::from_bytes([n; 32]), since: SINCE }
    }

    fn hosts(pattern: &str) -> AcceptedHosts {
        AcceptedHosts { pattern: pattern.parse().unwrap(), since: SINCE }
    }

    #[test]
    fn what_is_accepted_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("accepted.toml");
        assert!(AcceptedList::read(&file).unwrap().is_empty());
        AcceptedList::change(&file, |list| list.accept_key(key("nas.example:5001", 1))).unwrap();
        AcceptedList::change(&file, |list| list.accept_hosts(hosts("*.corp.example"))).unwrap();
        let list = AcceptedList::read(&file).unwrap();
        assert_eq!(
            (&list.keys[..], &list.hosts[..]),
            (&[key("nas.example:5001", 1)][..], &[hosts("*.corp.example")][..])
        );
    }

    #[test]
    fn an_accepted_key_is_never_exchanged_in_passing() {
        let mut list = AcceptedList::default();
        assert_eq!(list.accept_key(key("nas.example", 1)).unwrap(), Taken::New);
        let again = AcceptedKey { since: Timestamp::from_unix_secs(1_800_000_000), ..key("nas.example", 1) };
        assert_eq!(list.accept_key(again).unwrap(), Taken::Known(SINCE));
        let error = list.accept_key(key("nas.example", 2)).unwrap_err().to_string();
        assert!(error.contains("you accepted the key 0101") && error.contains("this is 0202"), "{error}");
        assert!(list.remove_key(&"https://NAS.example".parse().unwrap()));
        assert!(!list.remove_key(&"nas.example".parse().unwrap()));
        assert_eq!(list.accept_key(key("nas.example", 2)).unwrap(), Taken::New);
    }

    #[test]
    fn what_was_edited_wrongly_is_named() {
        let good = AcceptedList { keys: vec![key("nas.example", 1)], hosts: vec![hosts("*.corp.example")] };
        let good = toml::to_string(&good).unwrap();
        for (text, part) in [
            (good.replace("nas.example", "nas..example"), "a.toml line 2: "),
            (good.replace("*.corp", "*.*"), "a.toml line 7: a pattern is a host"),
            (good.replace("0101", "01"), "a.toml line 3: "),
            (good.replacen("since", "sinse", 1), "a.toml line 4: unknown field"),
            (
                format!("{good}{good}").replacen(
                    "[[hosts]]\npattern = \"*.corp.example\"",
                    "[[hosts]]\npattern = \"b.example\"",
                    1,
                ),
                "names tls://nas.example:443 twice",
            ),
        ] {
            let error = AcceptedList::parse(Path::new("a.toml"), &text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{part}: {error}");
        }
    }
}
