//! Trust between people, simulated: honest users who know one another, an attacker with as many false identities as it
//! likes, and a few edges between the two. The graph, the routes, the dealing and the vote are those of `janus::trust` and
//! `core::EdgeVote`; only the hash that draws places in tables is a cheap stand-in.
//!
//! Three ways to choose and count 20 views are compared: at random among all peers; at random among those whose
//! advertisement reaches the user; dealt over the user's edges, each with an equal share.
//!
//! Invariants, checked for every user that asks:
//!
//! 1. All views that came through one edge of the user together move the agreement by that edge's share at most.
//! 2. No identity is asked twice, and nobody asks themselves.
//! 3. False identities reach a user through no more edges than there are attack edges.

mod plan;
mod run;
mod society;

pub use plan::{BadPlan, Befriended, Plan, Results, Row, Scheme};
pub use run::run;
