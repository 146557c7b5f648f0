//! The questions to DNS.

mod answers;
mod asker;
mod present;
mod set;

pub(crate) use answers::{KeyRecords, Questions, literal};
pub(crate) use asker::Asker;
pub(crate) use set::dns_set;
