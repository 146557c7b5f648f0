//! A judge for the policies: honest and attacked worlds are drawn by chance, the product's own [`parallax_core::Policy`]
//! decides on the [`parallax_core::Evidence`] that its client would have gathered in them, and figures come out.
//!
//! A [`World`] is a TOML text of assumptions. A [`Generator`] makes its visits, each a [`Scenario`]: what everybody is
//! shown and remembers. Policies see the evidence alone; whose key the user really met ([`Truth`]) only the counts see.
//!
//! What a visit leaves out: IPv6, names other than the one that is checked, certificates whose chain is sent incompletely,
//! and hijacks of one of several places that announce one address. Every vantage point looks at its own times and evenly;
//! nobody else's checks make it look. No two visits share a site, so that intervals may be computed as if they were
//! independent; they share the topology and its pairs of victim and hijacker.

mod ablate;
mod atlas;
mod attackers;
mod build;
mod draw;
mod events;
mod evidence;
mod fill;
mod generate;
mod names;
mod past;
mod reality;
mod report;
mod results;
mod run;
mod scenario;
#[cfg(test)]
mod tests;
mod world;

pub use atlas::Atlas;
pub use evidence::{Gathered, Questions};
pub use generate::{Generator, MAX_ASKED};
pub use names::{Attack, Cell, Chain, EventKind, Helped, Placement, SiteClass, Threshold, VisitId};
pub use report::{BadDocument, Cell as TableCell, Part, Report, Table, fill_in, headline, thousands};
pub use results::{Ablation, BadAblation, Kind, Results, Row, Tally};
pub use run::{Plan, run};
pub use scenario::{
    Address, Ago, Answer, Ca, Certificate, KeyRecord, Party, Places, RecordSpan, Scenario, Shown, Sight, Span, Truth,
    Vantage,
};
pub use world::{
    Attackers, Chains, Classes, Events, Kinds, Region, Renewal, Sites, Users, Vantages, World, WorldError,
};
