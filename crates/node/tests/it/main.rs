//! A node in process and over real sockets, looking at real TLS servers on loopback.

mod api;
mod dns;
mod lifecycle;
mod limits;
mod logs;
mod openapi;
mod sockets;
mod store;
mod support;
mod views;
