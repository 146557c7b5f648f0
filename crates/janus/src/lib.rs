//! Janus: a mailbox becomes a certificate, and trust between people decides whose views count.
//!
//! The pure half of a small certificate authority: what it reads, what it issues, how an order goes from a request to a
//! proof, and what whoever relies on a certificate checks; and [`trust`], the graph of who trusts whom. No I/O, no clock, no
//! randomness: bytes, moments and a generator go in. The rules are those of `docs/protocols/janus.md`.

mod allowance;
mod answer;
mod asking;
mod authority;
mod chain;
mod denied;
mod der;
mod desk;
mod key;
mod letter;
mod mailbox;
mod network;
mod order;
mod profile;
mod request;
mod secrets;
mod standing;
pub mod trust;

pub use allowance::{Allowances, Allowed, Limits};
pub use answer::{Answer, answer_message};
pub use asking::{NotAsked, make_request};
pub use authority::{
    Authority, AuthorityError, CaKey, ISSUING_LIFE, Issued, LONGEST_LIFE, OVERLAP, ROOT_LIFE, Rotation, SHORTEST_LIFE,
    make_issuing, make_root,
};
pub use chain::{BadChain, Fault, Identity, Judge, LONGEST_CHAIN, Place};
pub use denied::{DENY_LIFE, DENY_REFRESH, Denied, MAX_DENIED};
pub use desk::{Desk, Outcome, Refused};
pub use key::{BadKey, KeyKind, SubjectKey};
pub use letter::{Asker, Attachment, Letter, pem_of};
pub use mailbox::{BadMailbox, Mailbox};
pub use network::SmallNetwork;
pub use order::{Answered, Confirmation, MAX_WRONG, ORDER_LIFE, Order, OrderError, Phase, Placed};
pub use request::{BadRequest, LARGEST_REQUEST, Request};
pub use secrets::{BadToken, Code, Token, phrase};
pub use standing::{Certified, Grant, MAILBOX_PROOF_LIFE, NotRenewable};
