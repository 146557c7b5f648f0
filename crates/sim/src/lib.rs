//! Simulations: the product's own decisions and state machines, by the thousand, under one clock, with attackers.
//!
//! Nothing here opens a socket or reads a clock: parameters and a seed go in, figures come out, the same ones every time.

mod chart;
pub mod mirrors;
mod statistics;
pub mod topology;
pub mod trust;
pub mod worlds;

pub use chart::{Chart, Curve, Panel, Point};
pub use statistics::Proportion;
