//! One look on real sockets: honest servers, hostile ones, and a DNS server that says what the test wants.

// The tests of this binary are helpers too, and those may unwrap.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod chains;
mod dns;
mod dnssec;
mod hostile;
mod interop;
mod looks;
mod scts;
mod ssh;
mod starttls;
mod support;
