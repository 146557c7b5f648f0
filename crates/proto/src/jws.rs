//! Detached JSON Web Signatures over exact bytes (RFC 7515 appendix F, RFC 7797).
//!
//! The signing input is `base64url(header as sent) ‖ "." ‖ body`. The key decides the algorithm; the header only has to
//! agree with it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parallax_core::{Signer, SigningFailed, Suite, VantageId};
use serde::{Deserialize, Serialize};

use crate::public_key::PublicKey;

/// The longest detached signature that is read: an `x5c` certificate fits, a flood does not.
pub(crate) const LONGEST_SIGNATURE: usize = 8 * 1024;

/// Why a signature does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// There is none.
    #[error("it is not signed")]
    Missing,
    /// It is no detached JWS with an unencoded payload.
    #[error("the signature is not a detached JWS (RFC 7515 appendix F, RFC 7797): {0}")]
    Form(&'static str),
    /// It names another signer.
    #[error("it is signed by {found}, not by {expected}")]
    Signer {
        /// Who was to sign.
        expected: VantageId,
        /// The `kid` of the header.
        found: String,
    },
    /// The header names another algorithm than the key's.
    #[error("the signature says \"{found}\" where the key is one for {expected}")]
    Algorithm {
        /// The key's.
        expected: &'static str,
        /// The header's.
        found: String,
    },
    /// It does not match these bytes.
    #[error("the signature does not match the content")]
    Mismatch,
}

/// The header as it is read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    b64: bool,
    crit: Vec<String>,
    kid: String,
    #[serde(default)]
    x5c: Option<Vec<String>>,
}

/// The same as it is written.
#[derive(Serialize)]
struct Written<'a> {
    alg: &'a str,
    b64: bool,
    crit: [&'a str; 1],
    kid: VantageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5c: Option<[String; 1]>,
}

/// Signs `body`; the result is `header..signature`.
pub(crate) fn sign(
    signer: &dyn Signer,
    kid: VantageId,
    certificate: Option<&[u8]>,
    body: &[u8],
) -> Result<String, SigningFailed> {
    let x5c = certificate.map(|der| [STANDARD.encode(der)]);
    let header = Written { alg: signer.algorithm(), b64: false, crit: ["b64"], kid, x5c };
    let header = serde_json::to_vec(&header).map_err(|_| SigningFailed)?;
    let header = URL_SAFE_NO_PAD.encode(header);
    let signature = signer.sign(&signing_input(&header, body))?;
    Ok(format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// A detached JWS taken apart; nothing of it is believed yet.
pub(crate) struct Parsed<'a> {
    encoded_header: &'a str,
    header: Header,
    signature: Vec<u8>,
}

impl<'a> Parsed<'a> {
    pub(crate) fn read(jws: &'a str) -> Result<Self, BadSignature> {
        if jws.len() > LONGEST_SIGNATURE {
            return Err(BadSignature::Form("it is too long"));
        }
        let mut parts = jws.split('.');
        let (Some(encoded_header), Some(""), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadSignature::Form("it is not header..signature"));
        };
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| BadSignature::Form("it is not base64url"));
        let header: Header = serde_json::from_slice(&decode(encoded_header)?)
            .map_err(|_| BadSignature::Form("its header is not the one that is used here"))?;
        if header.b64 || header.crit != ["b64"] {
            return Err(BadSignature::Form("its header must have b64 false and crit [\"b64\"]"));
        }
        Ok(Self { encoded_header, header, signature: decode(signature)? })
    }

    /// Whether the header names this signer; nothing is proved by that.
    pub(crate) fn names(&self, signer: VantageId) -> bool {
        self.header.kid == signer.to_string()
    }

    fn expect_signer(&self, expected: VantageId) -> Result<(), BadSignature> {
        if self.names(expected) {
            return Ok(());
        }
        Err(BadSignature::Signer { expected, found: self.header.kid.chars().take(64).collect() })
    }

    fn expect_algorithm(&self, names: &[&'static str]) -> Result<(), BadSignature> {
        if names.contains(&self.header.alg.as_str()) {
            return Ok(());
        }
        let expected = names.first().copied().unwrap_or_default();
        Err(BadSignature::Algorithm { expected, found: self.header.alg.chars().take(16).collect() })
    }

    /// The one certificate in `x5c`, DER.
    pub(crate) fn certificate(&self) -> Result<Vec<u8>, BadSignature> {
        match self.header.x5c.as_deref() {
            Some([one]) => STANDARD.decode(one).map_err(|_| BadSignature::Form("x5c is not base64")),
            _ => Err(BadSignature::Form("x5c must hold exactly one certificate")),
        }
    }

    /// Checks the signature of an Ed25519 statement key.
    pub(crate) fn verify_ed25519(
        &self,
        suite: &dyn Suite,
        key: &[u8; 32],
        signer: VantageId,
        body: &[u8],
    ) -> Result<(), BadSignature> {
        self.expect_signer(signer)?;
        // RFC 8037 says EdDSA; RFC 9864 gives the fully specified name.
        self.expect_algorithm(&["EdDSA", "Ed25519"])?;
        let input = signing_input(self.encoded_header, body);
        suite.verify_ed25519(key, &input, &self.signature).then_some(()).ok_or(BadSignature::Mismatch)
    }

    /// Checks the signature of a client's or peer's key, of whatever kind; the header must name the key's id.
    pub(crate) fn verify_by(&self, suite: &dyn Suite, key: &PublicKey, body: &[u8]) -> Result<(), BadSignature> {
        self.expect_signer(key.id().into())?;
        match key.algorithm() {
            "EdDSA" => self.expect_algorithm(&["EdDSA", "Ed25519"])?,
            other => self.expect_algorithm(&[other])?,
        }
        let input = signing_input(self.encoded_header, body);
        key.verify(suite, &input, &self.signature).then_some(()).ok_or(BadSignature::Mismatch)
    }

    /// Checks the signature of a P-256 key, an uncompressed point.
    pub(crate) fn verify_p256(
        &self,
        suite: &dyn Suite,
        point: &[u8],
        signer: VantageId,
        body: &[u8],
    ) -> Result<(), BadSignature> {
        self.expect_signer(signer)?;
        self.expect_algorithm(&["ES256"])?;
        let input = signing_input(self.encoded_header, body);
        suite.verify_p256(point, &input, &self.signature).then_some(()).ok_or(BadSignature::Mismatch)
    }
}

fn signing_input(encoded_header: &str, body: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(encoded_header.len() + 1 + body.len());
    input.extend_from_slice(encoded_header.as_bytes());
    input.push(b'.');
    input.extend_from_slice(body);
    input
}
