//! The real `parallax` against programs that nobody here wrote, each on its own addresses of 127.0.0.0/8.
//!
//! A test whose program is not on this machine ends with a sentence that says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests and their helpers; a skip is said on stderr"
)]

mod api;
mod browser;
mod ct;
mod hostile;
mod janus;
mod lifecycle;
mod panorama;
mod readme;
mod signatures;
mod starttls;
mod support;
mod tls;
mod walk;
