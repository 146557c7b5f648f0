//! A node in process and over real sockets, looking at real TLS servers on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod api;
mod channels;
mod dns;
mod docs;
mod janus;
mod legacy;
mod lifecycle;
mod limits;
mod logs;
mod mirror;
mod notices;
mod openapi;
mod scan;
mod sockets;
mod store;
mod support;
mod views;
