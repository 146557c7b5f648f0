//! An order that was placed and is to be answered.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parallax_core::{Fingerprint, KeyId, Suite as _, Timestamp, VantageId};
use parallax_janus::{Code, Mailbox, Token, answer_message, phrase};
use parallax_probe::AwsLc;
use serde::{Deserialize, Serialize};

use super::key::IdentityKey;
use crate::url::VantageUrl;

/// An order of this client's own. Whoever has it and the mail can answer, so it is kept where nobody else reads.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct PendingOrder {
    /// Names it.
    pub order: Token,
    /// The node that was asked, with its pin.
    pub janus: VantageUrl,
    /// The pin.
    pub janus_id: VantageId,
    /// Whose certificate it is about.
    pub mailbox: Mailbox,
    /// The key that asked.
    pub key: KeyId,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
    /// Whether the mailbox's other keys are denied once it is answered.
    pub deny_others: bool,
    pub(super) token2: Token,
    pub(super) request: Fingerprint,
}

impl PendingOrder {
    /// What the mail shows too: whoever compares the two knows that the mail is about this order.
    pub fn phrase(&self) -> String {
        phrase(&AwsLc, &self.order, &self.request)
    }

    /// The signature that goes with `proof`; `None` when the key can't sign.
    pub(super) fn sign(&self, key: &IdentityKey, proof: &str) -> Option<String> {
        let (order, token2) = (self.order.to_string(), self.token2.to_string());
        let message = answer_message(self.janus_id, &order, proof, &token2, &self.request);
        Some(URL_SAFE_NO_PAD.encode(key.signer().sign(&message).ok()?))
    }
}

/// Tokens are secrets: no log shows one by mistake.
impl fmt::Debug for PendingOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingOrder({}, {})", self.phrase(), self.mailbox)
    }
}

/// SHA-256 of a request.
pub(super) fn hash_of(request: &[u8]) -> Fingerprint {
    Fingerprint::from_bytes(AwsLc.sha256(request))
}

/// As it stands in a file.
#[derive(Serialize, Deserialize)]
struct Written {
    order: Token,
    janus: String,
    mailbox: Mailbox,
    key: KeyId,
    placed_at: Timestamp,
    expires_at: Timestamp,
    deny_others: bool,
    token2: Token,
    request: Fingerprint,
}

/// An order's file names a node that can't be asked.
#[derive(Debug, thiserror::Error)]
#[error("janus = {0:?} is no node with its pin; it should be https://HOST:PORT#VANTAGE-ID")]
struct BadJanus(String);

impl TryFrom<Written> for PendingOrder {
    type Error = BadJanus;

    fn try_from(written: Written) -> Result<Self, BadJanus> {
        let bad = || BadJanus(written.janus.clone());
        let janus: VantageUrl = written.janus.parse().map_err(|_| bad())?;
        let janus_id = janus.pin().ok_or_else(bad)?;
        let Written { order, mailbox, key, placed_at, expires_at, deny_others, token2, request, .. } = written;
        Ok(Self { order, janus, janus_id, mailbox, key, placed_at, expires_at, deny_others, token2, request })
    }
}

impl From<PendingOrder> for Written {
    fn from(pending: PendingOrder) -> Self {
        let PendingOrder { order, janus, mailbox, key, placed_at, expires_at, deny_others, token2, request, .. } =
            pending;
        Self { janus: janus.to_string(), order, mailbox, key, placed_at, expires_at, deny_others, token2, request }
    }
}

/// What proves a mailbox: it stands in the mail alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The code, as it was typed. It does not say which order it belongs to.
    Code(Code),
    /// Of the link.
    Link {
        /// The order it belongs to.
        order: Token,
        /// What proves.
        token1: Token,
    },
}

/// A text is neither a code nor a link of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// It looks like a code.
    #[error("a code is 8 of the letters A to Z and the digits 2 to 7, such as ABCD2345; it stands in the mail")]
    Code,
    /// It looks like a link.
    #[error("the link is not whole; it ends in # and two times 22 characters with a dot between them")]
    Link,
}

impl Proof {
    /// What travels.
    pub(super) fn text(&self) -> String {
        match self {
            Proof::Code(code) => code.to_string(),
            Proof::Link { token1, .. } => token1.to_string(),
        }
    }
}

impl FromStr for Proof {
    type Err = BadProof;

    /// A code as people type it, the link, or what stands behind its `#`.
    fn from_str(text: &str) -> Result<Self, BadProof> {
        let text = text.trim();
        let fragment = text.rsplit_once('#').map_or(text, |(_, fragment)| fragment);
        match fragment.split_once('.') {
            Some((order, token1)) => {
                let token = |text: &str| text.parse::<Token>().map_err(|_| BadProof::Link);
                Ok(Proof::Link { order: token(order)?, token1: token(token1)? })
            }
            None if text.contains("://") || text.contains('#') => Err(BadProof::Link),
            None => Code::from_typed(text).map(Proof::Code).map_err(|_| BadProof::Code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_links_are_told_apart() {
        let order = "AAECAwQFBgcICQoLDA0ODw";
        let link = format!("http://localhost:15342/AddCert#{order}.{order}");
        for text in [link.as_str(), &format!(" {order}.{order}\n"), &format!("#{order}.{order}")] {
            let proof: Proof = text.parse().unwrap();
            assert!(matches!(&proof, Proof::Link { .. }) && proof.text() == order, "{text}");
        }
        for text in ["ABCD2345", "abcd-2345", " a b c d 2 3 4 5 "] {
            assert_eq!(text.parse::<Proof>().unwrap().text(), "ABCD2345");
        }
        for (text, wanted) in [
            ("", BadProof::Code),
            ("ABCD234", BadProof::Code),
            ("http://localhost:15342/AddCert", BadProof::Link),
            ("http://localhost:15342/AddCert#", BadProof::Link),
            (link.get(..link.len() - 1).unwrap(), BadProof::Link),
            (&format!("{order}.ABCD2345"), BadProof::Link),
            (&"A.".repeat(100_000), BadProof::Link),
        ] {
            assert_eq!(text.parse::<Proof>(), Err(wanted), "{}", text.len());
        }
    }

    #[test]
    fn an_order_is_written_and_read_and_not_shown_by_mistake() {
        let pin = VantageId::from_bytes([7; 32]);
        let pending = PendingOrder {
            order: "AAECAwQFBgcICQoLDA0ODw".parse().unwrap(),
            janus: format!("https://192.0.2.7:8443#{pin}").parse().unwrap(),
            janus_id: pin,
            mailbox: "ann@example.com".parse().unwrap(),
            key: KeyId::from_bytes([1; 32]),
            placed_at: Timestamp::from_unix_secs(1),
            expires_at: Timestamp::from_unix_secs(3601),
            deny_others: false,
            token2: "__________________xxxw".parse().unwrap(),
            request: Fingerprint::from_bytes([2; 32]),
        };
        let text = serde_json::to_string(&pending).unwrap();
        assert_eq!(serde_json::from_str::<PendingOrder>(&text).unwrap(), pending);
        let shown = format!("{pending:?}");
        assert!(!shown.contains("___") && !shown.contains("AAEC"), "{shown}");
        let unpinned = text.replace(&format!("#{pin}"), "");
        assert!(serde_json::from_str::<PendingOrder>(&unpinned).unwrap_err().to_string().contains("VANTAGE-ID"));
    }
}
