//! Who trusts whom, who may see whom, and through which edge a view came.
//!
//! | Part | Does |
//! | --- | --- |
//! | [`Circle`] | what people declared, for the keys they had then; from it the edges that count |
//! | [`Graph`] | the edges, each user's cycle table, and who is visible to whom ("Limited advertisement", Kaleidoscope, Sherr et al., TR-2008-918) |
//! | [`Adverts`] | whose advertisement is younger than 24 hours |
//! | [`Dealer`] | whom to ask next, so that every edge gets its turn |
//!
//! The vote over the views is [`parallax_core::EdgeVote`]: the client counts, and knows no mailboxes.

mod adverts;
mod circle;
mod cycle;
mod dealer;
mod graph;
mod routes;

pub use adverts::{ADVERT_LIFE, Adverts};
pub use circle::{
    BadCircle, Circle, DeclareError, Edge, EdgeStanding, LoadedCircle, MAX_DECLARED, MAX_PEOPLE, SavedDeclaration,
    SavedPerson,
};
pub use dealer::{Candidate, Dealer, Dealt};
pub use graph::{Graph, UserId, Visible};
pub use routes::{LONGEST_ROUTE, REACH, Routes, SHORTEST_ROUTE};
