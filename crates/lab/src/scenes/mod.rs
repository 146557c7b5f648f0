//! The scenes of `parallax demo`: one network with five nodes in three regions, and eight things that can happen in it.

mod catalogue;

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::{BoxFuture, try_join_all};
use parallax_client::{Checker, CheckerBuilder, NodeVantage, Report, VantageUrl};
use parallax_core::{Decision, Rule, ServiceId};

use crate::certificate::Ca;
use crate::error::LabError;
use crate::lab::Lab;
use crate::node::LabNode;
use crate::site::{OnPath, Site};

pub use catalogue::SCENES;

/// The network of the user who checks.
const MY_NETWORK: u8 = 20;

/// Networks, regions and registries of the nodes.
const NODES: [(u8, &str, &str); 5] = [
    (21, "eu-west", "RIPE"),
    (22, "eu-west", "RIPE"),
    (23, "us-east", "ARIN"),
    (24, "us-east", "ARIN"),
    (25, "ap-south", "APNIC"),
];

/// Long enough for a loaded machine; nothing waits for it unless a scene says so.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One thing that can happen, and what a check must make of it.
pub struct Scene {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is staged, in one sentence.
    pub sentence: &'static str,
    /// The past that was written into the nodes for it; `None` when they remember nothing.
    pub past: Option<&'static str>,
    /// The decision that must fall.
    pub decision: Decision,
    /// The rule that must fire.
    pub rule: Rule,
    set_up: for<'a> fn(&'a Stage, &'static Scene) -> BoxFuture<'a, Result<Staged, LabError>>,
}

impl Scene {
    /// The scene of that name.
    pub fn named(name: &str) -> Option<&'static Scene> {
        SCENES.iter().find(|scene| scene.name == name)
    }

    /// Whether a check ended as it must.
    pub fn is_as_expected(&self, report: &Report) -> bool {
        (report.verdict.decision, report.verdict.rule) == (self.decision, self.rule)
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The network in which all scenes play: two public CAs, DNS, five nodes. Each scene has names and addresses of its own,
/// so any number of them can stand side by side.
#[derive(Debug)]
pub struct Stage {
    nodes: Vec<LabNode>,
    public: Ca,
    other_public: Ca,
    lab: Lab,
}

impl Stage {
    /// Starts the network. Must be called within a tokio runtime with I/O and time.
    pub async fn open() -> Result<Self, LabError> {
        let lab = Lab::start().await?;
        let public = lab.public_ca("Example Trust")?.intermediate()?;
        let other_public = lab.public_ca("Other Trust")?.intermediate()?;
        let nodes = try_join_all(NODES.map(|(network, region, rir)| lab.node(network, region, rir))).await?;
        Ok(Self { nodes, public, other_public, lab })
    }

    /// The lab below it.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The nodes, two in `eu-west`, two in `us-east`, one in `ap-south`.
    pub fn nodes(&self) -> &[LabNode] {
        &self.nodes
    }

    /// The address of the user who checks, alone in a network.
    pub fn me(&self) -> Ipv4Addr {
        self.lab.address(MY_NETWORK, 1)
    }

    /// The CA that vouches for honest sites: an intermediate under a public root.
    pub fn public_ca(&self) -> &Ca {
        &self.public
    }

    /// Another public CA.
    pub fn other_public_ca(&self) -> &Ca {
        &self.other_public
    }

    /// The checker of a user at an address who asks all nodes.
    pub fn checker(&self, source: Ipv4Addr) -> Result<CheckerBuilder, LabError> {
        Ok(self.lab.checker(source, &self.nodes)?.timeout(TIMEOUT))
    }

    /// Stages a scene; it stands for as long as what is returned lives.
    pub async fn set_up(&self, scene: &'static Scene) -> Result<Staged, LabError> {
        (scene.set_up)(self, scene).await
    }

    /// Stops the nodes and returns once their files are closed.
    pub async fn shutdown(self) -> Result<(), LabError> {
        try_join_all(self.nodes.into_iter().map(LabNode::shutdown)).await?;
        Ok(())
    }
}

/// A scene that stands.
pub struct Staged {
    scene: &'static Scene,
    service: ServiceId,
    source: Ipv4Addr,
    vantages: Vec<VantageUrl>,
    checker: Checker,
    _open: Vec<Opened>,
}

impl Staged {
    /// A user at my address asks all nodes.
    fn new(
        stage: &Stage,
        scene: &'static Scene,
        host: &str,
        open: impl IntoIterator<Item = Opened>,
    ) -> Result<Self, LabError> {
        let vantages = stage.nodes().iter().map(|node| node.url().clone()).collect();
        Self::asking(stage, scene, host, (vantages, TIMEOUT), open)
    }

    /// A user at my address asks these, for so long.
    fn asking(
        stage: &Stage,
        scene: &'static Scene,
        host: &str,
        (vantages, timeout): (Vec<VantageUrl>, Duration),
        open: impl IntoIterator<Item = Opened>,
    ) -> Result<Self, LabError> {
        let (service, source) = (stage.lab().service(host)?, stage.me());
        let mut builder = stage.lab().checker(source, [])?.timeout(timeout).wait_for_all(true);
        for url in &vantages {
            builder = builder.vantage(std::sync::Arc::new(NodeVantage::new(url.clone(), None)?));
        }
        Ok(Self { scene, service, source, vantages, checker: builder.build(), _open: open.into_iter().collect() })
    }

    /// What is staged.
    pub fn scene(&self) -> &'static Scene {
        self.scene
    }

    /// What is checked.
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// The address of the user who checks.
    pub fn source(&self) -> Ipv4Addr {
        self.source
    }

    /// Whom the user asks.
    pub fn vantages(&self) -> &[VantageUrl] {
        &self.vantages
    }

    /// Looks, asks, decides. Waits for everybody, so that the table is whole.
    pub async fn check(&self) -> Report {
        self.checker.report(&self.service).await
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged")
            .field("scene", &self.scene.name)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// What a scene keeps open.
#[derive(Debug)]
enum Opened {
    Site { _site: Site },
    OnPath { _attacker: OnPath },
}

impl From<Site> for Opened {
    fn from(site: Site) -> Self {
        Opened::Site { _site: site }
    }
}

impl From<OnPath> for Opened {
    fn from(attacker: OnPath) -> Self {
        Opened::OnPath { _attacker: attacker }
    }
}
