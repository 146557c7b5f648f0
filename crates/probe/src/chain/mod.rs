//! What a chain of certificates says: pure, no network, no clock.

mod authorised;
mod facts;
mod parsed;
mod path;
mod public;

pub use authorised::{BadCaFile, CaCertificate, ca_certificates};
pub use facts::{BadChain, ChainFacts, judge_chain};
pub(crate) use parsed::Parsed;
