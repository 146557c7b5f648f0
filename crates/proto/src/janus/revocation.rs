//! A key says of itself that it counts no more.

use std::time::Duration;

use parallax_core::{Fingerprint, Timestamp, VantageId};
use serde::{Deserialize, Serialize};

/// How far from now a revocation may have been signed.
pub const REVOCATION_SKEW: Duration = Duration::from_secs(600);

/// What stands before everything that a revocation signs.
const LABEL: &[u8] = b"parallax janus revoke 1\0";

/// `POST /v1/revocations`, answered with 204.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationRequest {
    /// The key's SubjectPublicKeyInfo in DER, base64url.
    pub key: String,
    /// When it was signed, at most ten minutes from now.
    pub at: Timestamp,
    /// By the key, over [`revocation_message`], in the encodings of channels; base64url.
    pub signature: String,
}

/// The exact bytes that a key signs to revoke itself at a janus: the label, then each part behind its length (4 bytes,
/// big-endian), all of them texts as they are shown.
pub fn revocation_message(janus: VantageId, key: &Fingerprint, at: Timestamp) -> Vec<u8> {
    let mut message = LABEL.to_vec();
    for part in [janus.to_string(), key.to_string(), at.to_string()] {
        message.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        message.extend(part.as_bytes());
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_these() {
        let at: Timestamp = "2026-11-25T18:00:07.250Z".parse().unwrap();
        let message = revocation_message(VantageId::from_bytes([0; 32]), &Fingerprint::from_bytes([1; 32]), at);
        let key = "01".repeat(32);
        let wanted = [
            b"parallax janus revoke 1\0\0\0\0\x40".as_slice(),
            &[b'0'; 64],
            b"\0\0\0\x40",
            key.as_bytes(),
            b"\0\0\0\x18",
            b"2026-11-25T18:00:07.250Z",
        ];
        assert_eq!(message, wanted.concat());
    }
}
