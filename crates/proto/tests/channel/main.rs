//! Channels from end to end in memory: every sentence of `docs/protocols/channel.md`, and what an attacker on the way, a
//! stranger or a registered client could try.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod bits;
mod life;
mod talk;
mod world;
