//! A running node: a vantage point that looks for whoever asks, remembers, and signs what it tells.
//!
//! ```no_run
//! # async fn run() -> Result<(), parallax_node::NodeError> {
//! use parallax_node::{Node, NodeSettings};
//!
//! let node = Node::start(NodeSettings::new("/var/lib/parallax")).await?;
//! println!("https={:?} vantage={}", node.https(), node.vantage());
//! node.shutdown().await
//! # }
//! ```

mod app;
mod bootstrap;
mod bus;
mod channels;
mod chores;
mod clock;
mod data;
mod descriptor;
mod dns;
mod error;
mod histories;
mod hub;
mod identity;
mod janus;
mod legacy;
mod lifecycle;
mod limits;
mod listen;
mod looks;
pub mod metrics;
mod mirror;
mod node;
mod operator;
mod pages;
mod problem;
mod query;
mod router;
mod scan;
mod seldom;
mod settings;
mod single_flight;
mod trust;
mod views;
mod vouching;
mod weight;

pub use bootstrap::BOOTSTRAP;
pub use bus::BusSettings;
pub use channels::{Caller, ChannelSettings, Channels, Handler, Judge, KeyDirectories, NotPushed, Watcher, failure};
pub use clock::ClockBehind;
pub use data::DATABASE;
pub use error::NodeError;
pub use identity::{IdentityError, Publisher};
pub use janus::{
    AuthorityFiles, BadRoute, ClientChain, Flow, JanusSettings, MadeAuthority, MailRoute, Secret, Security, SmtpRoute,
};
pub use legacy::forget_legacy_signature;
pub use limits::target_network;
pub use mirror::MirrorSettings;
pub use node::Node;
pub use operator::{MirrorWish, NotAsked, OPERATOR_SOCKET, ask_operator};
pub use parallax_janus::Limits as JanusLimits;
pub use settings::{NodeLimits, NodeSettings, Rate};
pub use vouching::BelieveSettings;
