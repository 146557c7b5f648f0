//! One look on real sockets: honest servers, hostile ones, and a DNS server that says what the test wants.

mod chains;
mod dns;
mod dnssec;
mod hostile;
mod interop;
mod looks;
mod support;
