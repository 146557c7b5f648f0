//! The answer to an order: what the client signs.

use parallax_core::{Fingerprint, VantageId};

/// What stands before everything that an answer signs.
const LABEL: &[u8] = b"parallax janus answer 1\0";

/// An answer as it came: texts, and a signature.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// `token1` of the mail's link, or the code.
    pub proof: &'a str,
    /// The token that the order itself was answered with.
    pub token2: &'a str,
    /// By the request's key, in the encodings of channels.
    pub signature: &'a [u8],
}

/// The exact bytes that the request's key signs: the label, then each part behind its length (4 bytes, big-endian). All are
/// texts but the last, the request's SHA-256 in 32 bytes.
pub fn answer_message(janus: VantageId, order: &str, proof: &str, token2: &str, request: &Fingerprint) -> Vec<u8> {
    let janus = janus.to_string();
    let parts = [janus.as_bytes(), order.as_bytes(), proof.as_bytes(), token2.as_bytes(), request.as_bytes()];
    let mut message = LABEL.to_vec();
    for part in parts {
        message.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        message.extend(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_these() {
        let message = answer_message(VantageId::from_bytes([0; 32]), "O", "P1", "T", &Fingerprint::from_bytes([7; 32]));
        let wanted = [
            b"parallax janus answer 1\0\0\0\0\x40".as_slice(),
            &[b'0'; 64],
            b"\0\0\0\x01O\0\0\0\x02P1\0\0\0\x01T\0\0\0\x20",
            &[7; 32],
        ];
        assert_eq!(message, wanted.concat());
    }
}
