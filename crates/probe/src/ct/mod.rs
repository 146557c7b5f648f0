//! Certificate Transparency (RFC 6962): what known logs say of a certificate. Pure: no network, no clock.
//!
//! A log that is asked to publish a certificate answers with a *signed certificate timestamp* (SCT). Those that come with a
//! certificate are judged here; that a log kept its promise is for others to watch.

mod entry;
mod error;
mod judge;
mod known;
mod list;
mod stapled;
mod wire;

pub use error::BadSct;
pub use judge::{Logged, count_scts, judge_scts};
pub use known::CtLogs;
pub use list::BadLogList;
