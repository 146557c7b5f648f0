//! The questions to DNS.

mod answers;
mod asker;
mod present;

pub(crate) use answers::{KeyRecords, Questions, literal};
pub(crate) use asker::Asker;
pub use present::UnknownType;
pub(crate) use present::{dns_set, parse_kind};
