//! The federation of mirrors, simulated: thousands of the state machines of `proto::mirror` under one clock, with latency,
//! loss, outages, Sybils, liars, false removers and forgers of reports. The machines are those that nodes run; only
//! signatures and hashes are cheap stand-ins ([`Cheap`]).
//!
//! Invariants, checked at every action (`watch`):
//!
//! 1. No mirror sends more messages a day than its budget.
//! 2. A status changes only along its arrows: candidate → active or inactive; active → inactive or gone; inactive →
//!    active or gone; gone → candidate.
//! 3. Nobody talks to itself.
//! 4. A machine that was told the time has nothing left to do at that time: it never spins.
//!
//! And at every draw and refresh of a client (`clients`):
//!
//! 5. No two mirrors of one network or operator are drawn together.
//! 6. More than half of the networks asked stand behind every entry of a list that any of them supports.

mod clients;
mod engine;
mod evil;
mod plan;
mod quick;
mod run;
mod sites;
mod suite;
mod svg;
mod watch;

#[cfg(test)]
mod tests;

pub use engine::START;
pub use plan::{BadPlan, Day, Evil, Fate, Plan, Results};
pub use run::run;
pub use suite::{Cheap, CheapKey, Identity, Portrait};
pub use svg::render as render_svg;
