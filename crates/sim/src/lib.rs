//! Simulations: the product's own decisions and state machines, by the thousand, under one clock, with attackers.
//!
//! Nothing here opens a socket or reads a clock: parameters and a seed go in, figures come out, the same ones every time.

mod worlds;

pub use worlds::{
    Ablation, Address, Ago, Answer, Atlas, Attack, Attackers, Ca, Cell, Certificate, Chain, Chains, Classes, EventKind,
    Events, Gathered, Generator, Helped, KeyRecord, Kind, Kinds, MAX_ASKED, Party, Placement, Places, Plan, Questions,
    RecordSpan, Region, Renewal, Results, Row, Scenario, Shown, Sight, SiteClass, Sites, Span, Tally, Truth, Users,
    Vantage, Vantages, VisitId, World, WorldError, run,
};
