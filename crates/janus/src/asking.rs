//! Making a request: what a client sends to be certified.

use parallax_core::{Signer, Suite};
use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SanType};

use crate::der::der_from_fixed;
use crate::key::{BadKey, KeyKind, SubjectKey};
use crate::mailbox::Mailbox;
use crate::request::{BadRequest, Request};

/// Why no request was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// The key is of a kind that is not certified.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// The signer belongs to another kind of key.
    #[error("the signer makes {found} signatures; for this key they must be {expected}")]
    Signer {
        /// The right JWS name.
        expected: &'static str,
        /// The signer's.
        found: &'static str,
    },
    /// It could not be written or signed.
    #[error("the request can't be made: {0}")]
    Making(String),
    /// What was made would be refused.
    #[error("the request would be refused: {0}")]
    Refused(#[from] BadRequest),
}

/// A request (PKCS #10 in DER) for a certificate of `mailbox` and the key whose SubjectPublicKeyInfo (DER) is `spki`. The
/// signer is the key's: `EdDSA`, `ES256`, or `RS256`, as X.509 has RSA with PKCS #1 v1.5.
pub fn make_request(
    suite: &dyn Suite,
    mailbox: &Mailbox,
    spki: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, NotAsked> {
    let key = SubjectKey::parse(suite, spki)?;
    let (expected, found) = (signed_with(key.kind()), signer.algorithm());
    if expected != found {
        return Err(NotAsked::Signer { expected, found });
    }
    let making = |error: rcgen::Error| NotAsked::Making(error.to_string());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::Rfc822Name(mailbox.as_str().try_into().map_err(making)?)];
    let request = params.serialize_request(&Asking { key, signer }).map_err(making)?.der().to_vec();
    // What its reader would refuse does not leave the house.
    Request::parse(suite, &request)?;
    Ok(request)
}

fn signed_with(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Ed25519 => "EdDSA",
        KeyKind::P256 => "ES256",
        KeyKind::Rsa => "RS256",
    }
}

struct Asking<'a> {
    key: SubjectKey,
    signer: &'a dyn Signer,
}

impl PublicKeyData for Asking<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl rcgen::SigningKey for Asking<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)?;
        match self.key.kind() {
            KeyKind::P256 => der_from_fixed(&signature).ok_or(rcgen::Error::RemoteKeyError),
            _ => Ok(signature),
        }
    }
}
