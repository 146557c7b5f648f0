//! Janus as its users see it (`docs/protocols/janus.md`): keys, what is asked of the node that certifies mailboxes, and the
//! identity that comes of it.

mod error;
mod identity;
mod key;
mod node;
mod order;

pub use self::error::JanusError;
pub use self::identity::{BadIdentity, Claims, OwnIdentity, certificates_pem, read_certificates};
pub use self::key::{IdentityKey, NewKey};
pub use self::node::{JanusNode, Placement};
pub use self::order::{BadProof, PendingOrder, Proof};
