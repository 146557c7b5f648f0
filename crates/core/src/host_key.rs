//! The host keys of an SSH server (`docs/protocols/ssh.md`).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{Fingerprint, Md5Fingerprint};
use crate::observation::{CaId, Met, PublicCa};
use crate::time::Timestamp;

/// The longest key blob, in bytes: an RSA key of 8192 bits takes about 1 KiB.
pub const LONGEST_HOST_KEY: usize = 2048;

/// A kind of host key, by its name in known_hosts. They are ordered as OpenSSH prefers them; a server has at most one
/// key of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostKeyKind {
    /// `ssh-ed25519` (RFC 8709).
    Ed25519,
    /// `ecdsa-sha2-nistp256` (RFC 5656).
    EcdsaP256,
    /// `ecdsa-sha2-nistp384` (RFC 5656).
    EcdsaP384,
    /// `ecdsa-sha2-nistp521` (RFC 5656).
    EcdsaP521,
    /// `ssh-rsa` (RFC 4253 section 6.6); the key is one, whichever hash its signatures use (RFC 8332).
    Rsa,
}

impl HostKeyKind {
    /// All, the preferred first.
    pub const ALL: [HostKeyKind; 5] = [Self::Ed25519, Self::EcdsaP256, Self::EcdsaP384, Self::EcdsaP521, Self::Rsa];

    /// As it stands in known_hosts and at the head of the key blob.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
        }
    }
}

impl fmt::Display for HostKeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind of host key that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a kind of host key; kinds are ssh-ed25519, ecdsa-sha2-nistp256, -384, -521 and ssh-rsa")]
pub struct BadHostKeyKind(String);

impl FromStr for HostKeyKind {
    type Err = BadHostKeyKind;

    fn from_str(text: &str) -> Result<Self, BadHostKeyKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| BadHostKeyKind(text.chars().take(40).collect()))
    }
}

serde_as_text!(HostKeyKind);

/// A host key that a server proved to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKey {
    /// Its kind.
    pub kind: HostKeyKind,
    /// SHA-256 of the key blob.
    pub key: Fingerprint,
    /// MD5 of the key blob, for old notaries.
    pub md5: Md5Fingerprint,
    /// The key blob (RFC 4253 section 6.6), at most [`LONGEST_HOST_KEY`] bytes; base64 in JSON.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub blob: Vec<u8>,
}

impl HostKey {
    /// The fingerprint as OpenSSH writes it: `SHA256:` and base64 without padding.
    pub fn openssh_fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(self.key.as_bytes()))
    }

    /// The line of a known_hosts file (sshd(8)), without a newline; `host` is `name`, or `[name]:port`.
    pub fn known_hosts_line(&self, host: &str) -> String {
        format!("{host} {} {}", self.kind, STANDARD.encode(&self.blob))
    }

    /// Whether the blob says that it is of this kind, and is no longer than any may be.
    pub fn is_coherent(&self) -> bool {
        let name = self.kind.as_str();
        let head = self
            .blob
            .split_first_chunk::<4>()
            .filter(|(length, _)| usize::try_from(u32::from_be_bytes(**length)) == Ok(name.len()));
        self.blob.len() <= LONGEST_HOST_KEY && head.is_some_and(|(_, rest)| rest.starts_with(name.as_bytes()))
    }
}

fn to_base64<S: Serializer>(blob: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(blob))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)
}

impl Met {
    /// What a look tells of host keys that were proved, the preferred first; `None` when there are none.
    pub fn of_host_keys(host_keys: Vec<HostKey>) -> Option<Met> {
        let first = host_keys.first()?.clone();
        let met = Met {
            protocol: "SSH-2.0".into(),
            proved: true,
            leaf: first.key,
            leaf_md5: None,
            key: first.key,
            issuer_key: None,
            chain: Vec::new(),
            path: Vec::new(),
            names: Vec::new(),
            // A host key has no term; these are the first and the last moment that can be written.
            not_before: Timestamp::from_unix_ms(i64::MIN),
            not_after: Timestamp::from_unix_ms(i64::MAX),
            ca_id: CaId::Key(first.key),
            public_ca: PublicCa::UnknownIssuer,
            host_keys,
            scts: None,
        };
        Some(met.by_host_key(&first))
    }

    /// This look with one of its host keys as *the* key: what leaf, key, CA and chain say is that key.
    pub fn by_host_key(&self, host_key: &HostKey) -> Met {
        let key = host_key.key;
        Met {
            leaf: key,
            leaf_md5: Some(host_key.md5),
            key,
            issuer_key: None,
            chain: vec![key],
            path: vec![key],
            ca_id: CaId::Key(key),
            ..self.clone()
        }
    }

    /// The host key that stands as the key of this look; none where it is a certificate.
    pub fn host_key(&self) -> Option<&HostKey> {
        self.host_keys.iter().find(|host_key| host_key.key == self.key)
    }

    /// Whether the server proved this key, as its first or as another host key.
    pub fn shows(&self, key: Fingerprint) -> bool {
        self.key == key || self.host_keys.iter().any(|host_key| host_key.key == key)
    }

    /// Whether host keys are there as a look leaves them: each kind at most once, the preferred first, and that one is
    /// the key of the look.
    pub fn has_coherent_host_keys(&self) -> bool {
        let ascending = self.host_keys.windows(2).all(|pair| matches!(pair, [a, b] if a.kind < b.kind));
        let first = self
            .host_keys
            .first()
            .is_none_or(|first| self.key == first.key && self.leaf == first.key && self.ca_id == CaId::Key(first.key));
        ascending && first && self.host_keys.iter().all(HostKey::is_coherent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: HostKeyKind, rest: &[u8]) -> Vec<u8> {
        let name = kind.as_str().as_bytes();
        [&u32::try_from(name.len()).unwrap().to_be_bytes(), name, rest].concat()
    }

    fn host_key(kind: HostKeyKind, blob: Vec<u8>) -> HostKey {
        HostKey { kind, key: Fingerprint::from_bytes([7; 32]), md5: Md5Fingerprint::from_bytes([7; 16]), blob }
    }

    #[test]
    fn names_round_trip() {
        for kind in HostKeyKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("ssh-dss".parse::<HostKeyKind>().is_err());
    }

    #[test]
    fn a_line_of_known_hosts() {
        let key = host_key(HostKeyKind::Ed25519, blob(HostKeyKind::Ed25519, &[0, 0, 0, 1, 9]));
        assert_eq!(
            key.known_hosts_line("[host.example]:2222"),
            "[host.example]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAQk="
        );
        assert_eq!(key.openssh_fingerprint(), format!("SHA256:{}", "BwcH".repeat(10) + "Bwc"));
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<HostKey>(&json).unwrap(), key);
    }

    #[test]
    fn a_blob_of_another_kind_or_size_is_seen() {
        let good = |rest: usize| host_key(HostKeyKind::Rsa, blob(HostKeyKind::Rsa, &vec![0; rest]));
        assert!(good(100).is_coherent());
        assert!(!good(LONGEST_HOST_KEY).is_coherent());
        assert!(!host_key(HostKeyKind::Rsa, blob(HostKeyKind::Ed25519, &[])).is_coherent());
        for short in [&[][..], &[0, 0, 0], &[0, 0, 0, 7], b"\0\0\0\x08ssh-rsa"] {
            assert!(!host_key(HostKeyKind::Rsa, short.to_vec()).is_coherent(), "{short:?}");
        }
    }
}
