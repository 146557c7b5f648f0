//! What travels between a node of the role `janus` and those who want a certificate of it, or rely on one
//! (`docs/protocols/janus.md`). All of it over HTTPS. Byte strings in requests are base64url without padding, certificates in
//! answers PEM.

mod ca;
mod orders;
mod revocation;

pub use ca::{CA_FORMAT, CA_LIFE, CaList, LARGEST_CA_LIST, LARGEST_CERTIFICATE, MOST_DENIED, MOST_ISSUING, MOST_ROOTS};
pub use orders::{AnswerRequest, CertificateAnswer, OrderPlaced, OrderRequest, OrderStage, OrderState, StateRequest};
pub use revocation::{REVOCATION_SKEW, RevocationRequest, revocation_message};

/// The largest body of a request.
pub const LARGEST_JANUS_REQUEST: usize = 16 * 1024;

/// The largest answer but the list of `GET /v1/ca`.
pub const LARGEST_JANUS_ANSWER: usize = 64 * 1024;
