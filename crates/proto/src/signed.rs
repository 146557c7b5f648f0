//! Content with its signature, before and after it was checked.

use serde::{Deserialize, Serialize};

/// Exact bytes and the detached JWS over them: how a signed body is kept and travels on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The body, byte by byte as it was signed.
    pub body: String,
    /// The detached JWS: what stands in the header `Parallax-Signature`.
    pub signature: String,
}

/// The HTTP header that carries the detached JWS.
pub const SIGNATURE_HEADER: &str = "parallax-signature";

/// Content whose signature and meaning were checked. Only the verifiers of this crate make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    content: T,
    signed: Signed,
}

impl<T> Verified<T> {
    pub(crate) fn new(content: T, signed: Signed) -> Self {
        Self { content, signed }
    }

    /// The content.
    pub fn content(&self) -> &T {
        &self.content
    }

    /// The bytes and the signature that prove it to others.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// The content alone.
    pub fn into_content(self) -> T {
        self.content
    }
}
