//! The logs that are known.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use parallax_core::{Fingerprint, Timestamp};

/// The logs of Certificate Transparency whose timestamps count; by default none. Made by [`CtLogs::from_json`]. Cheap to
/// clone.
#[derive(Clone, Default)]
pub struct CtLogs(pub(super) Arc<BTreeMap<Fingerprint, Log>>);

/// One log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) operator: Arc<str>,
    pub(super) key: ParsedPublicKey,
    /// Hash and signature that go with the key, as they stand in an SCT.
    pub(super) algorithm: [u8; 2],
    /// What it signed from then on does not count.
    pub(super) retired: Option<Timestamp>,
}

impl CtLogs {
    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn find(&self, id: &Fingerprint) -> Option<&Log> {
        self.0.get(id)
    }
}

impl fmt::Debug for CtLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CtLogs({})", self.0.len())
    }
}

/// A log's key from its SubjectPublicKeyInfo, with hash and signature that go with it: those of RFC 6962 section 2.1.4.
pub(super) fn read_key(spki: &[u8]) -> Option<(ParsedPublicKey, [u8; 2])> {
    let ecdsa = || Some((ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, spki).ok()?, [4, 3]));
    let rsa = || Some((ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki).ok()?, [4, 1]));
    ecdsa().or_else(rsa)
}
