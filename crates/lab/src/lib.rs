//! A network on loopback with real sockets: certificate authorities, sites, DNS, attackers, nodes, users.
//!
//! Every lab claims a set of 127.x.y.z addresses of its own, so that any number of them runs side by side on one machine.
//! Nothing here leaves that machine. Whoever takes part has an address of its own, and the second octet stands for
//! the network it is in ([`parallax_core::Network`]).

mod certificate;
mod clear;
mod ct;
mod dns;
mod error;
mod far;
mod front;
mod hub;
mod lab;
mod node;
mod panorama;
mod past;
mod scenes;
mod signing;
mod site;
mod sources;
mod subnet;
mod task;
mod user;
mod zone;

pub use certificate::{Ca, Certificate, Validity};
pub use ct::CtLog;
pub use dns::Dns;
pub use error::LabError;
pub use front::{Front, Unheard};
pub use hub::{LabPeer, new_key};
pub use lab::Lab;
pub use node::LabNode;
pub use panorama::{ACTS, Act, Panorama};
pub use past::Past;
pub use scenes::{SCENES, Scene, Stage, Staged};
pub use signing::Signatures;
pub use site::{Behaviour, OnPath, Site};
pub use sources::Prefix;
pub use zone::{Answer, Failure};
