//! Simulations: the product's own decisions and state machines, by the thousand, under one clock, with attackers.
//!
//! Nothing here opens a socket or reads a clock: parameters and a seed go in, figures come out, the same ones every time.

pub mod mirrors;
