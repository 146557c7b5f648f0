//! Checks on real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod attackers;
mod examples;
mod ground;
mod liars;
mod revocation;
mod rogue;
mod silence;
mod starttls;
