//! Why SCTs say nothing.

use parallax_core::{Fingerprint, Timestamp};

/// Why an SCT, or a whole list of them, says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSct {
    /// The certificate has the extension twice.
    #[error("the certificate has two lists of SCTs; it may have one")]
    TwoLists,
    /// The extension holds no octet string.
    #[error("the extension for SCTs holds something else")]
    NoList,
    /// A length of the list is not that of its content.
    #[error("the list of SCTs is shorter or longer than it says")]
    ListLength,
    /// There is none in the list.
    #[error("the list of SCTs is empty")]
    EmptyList,
    /// There are more in the list than are read.
    #[error("the list holds more than {most} SCTs")]
    TooMany {
        /// How many are read.
        most: usize,
    },
    /// A length of the SCT is not that of its content.
    #[error("an SCT is shorter or longer than it says")]
    Length,
    /// The certificate around the list can't be taken apart.
    #[error("the certificate is not in DER, so that nobody knows what a log signed")]
    NotDer,
    /// It is of another version.
    #[error("an SCT is of version {found}, not v1 (0)")]
    Version {
        /// Its version.
        found: u8,
    },
    /// Its log is not known.
    #[error("the log {log} is not known")]
    UnknownLog {
        /// The log's id.
        log: Fingerprint,
    },
    /// The certificate's issuer is not known.
    #[error("the key of the certificate's issuer is not known")]
    NoIssuer,
    /// Its moment is yet to come.
    #[error("an SCT of the log {log} is of {signed_at}; it is {now}")]
    Future {
        /// The log's id.
        log: Fingerprint,
        /// What it says.
        signed_at: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// Its log was no longer to be believed then.
    #[error("an SCT of the log {log} is of {signed_at}; the log was retired at {retired}")]
    Retired {
        /// The log's id.
        log: Fingerprint,
        /// What it says.
        signed_at: Timestamp,
        /// When the log was retired.
        retired: Timestamp,
    },
    /// The signature is of another kind than the log's key.
    #[error("an SCT of the log {log} is signed by the algorithms {found:?}, not {wanted:?} of the log's key")]
    Algorithm {
        /// The log's id.
        log: Fingerprint,
        /// Hash and signature in the SCT (RFC 5246 section 7.4.1.4.1).
        found: [u8; 2],
        /// Those of the log's key.
        wanted: [u8; 2],
    },
    /// The log did not sign this for this certificate.
    #[error("an SCT of the log {log} has a signature that is not the log's for this certificate")]
    Signature {
        /// The log's id.
        log: Fingerprint,
    },
}

impl BadSct {
    /// Whether it may hold for somebody who knows more.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Version { .. } | Self::UnknownLog { .. } | Self::NoIssuer)
    }
}
