//! Who is there for the whole run: the lab, its CAs, its nodes, and the user's files.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use parallax_lab::{Ca as LabCa, Lab, LabNode};
use parallax_sim::worlds::{Ca, Scenario};

use crate::sample::Drawn;
use crate::support::Home;

/// The network of the first node.
const NODES: u8 = 100;

/// Public CAs; as many as the worlds have at most.
const PUBLIC: usize = 40;

/// The network of the users, and that of the URLs behind which nobody is.
const USERS: u8 = 10;
const NOWHERE: u8 = 99;

/// How long a node looks. Whoever is kept silent learns of it after this time.
const LOOK: Duration = Duration::from_secs(4);

/// Everybody who stays.
pub(crate) struct Cast {
    pub(crate) lab: Lab,
    pub(crate) home: Home,
    public: Vec<LabCa>,
    made: Mutex<BTreeMap<(Ca, u8), LabCa>>,
    nodes: BTreeMap<String, Vec<LabNode>>,
}

impl Cast {
    /// Starts as many nodes as the largest of the visits asks in each region, and lists them for the user.
    pub(crate) async fn for_visits(drawn: &[Drawn]) -> Self {
        let lab = Lab::start().await.unwrap();
        let public = (0..PUBLIC).map(|number| lab.public_ca(&format!("T{number:02}")).unwrap()).collect();
        let mut nodes = BTreeMap::<String, Vec<LabNode>>::new();
        let mut network = NODES;
        for ((region, rir), count) in wanted(drawn) {
            for _ in 0..count {
                let quick = |settings: &mut parallax_node::NodeSettings| settings.probe.limits.look = LOOK;
                let node = lab.node_with(network, &region, &rir, quick).await.unwrap();
                nodes.entry(region.clone()).or_default().push(node);
                network += 1;
            }
        }
        let home = Home::new();
        home.write("roots.pem", &lab.roots_pem());
        let cast = Self { lab, home, public, made: Mutex::default(), nodes };
        cast.nodes.values().flatten().for_each(|node| cast.list(node));
        cast
    }

    fn list(&self, node: &LabNode) {
        let url = node.url().to_string();
        let run = tokio::task::block_in_place(|| self.home.run(&["vantage", "add", "--timeout", "60s", &url]));
        assert_eq!(run.status, 0, "{run:?}");
    }

    /// The nodes that stand for the vantage points of a visit, in their order.
    pub(crate) fn nodes_for(&self, scenario: &Scenario) -> Vec<&LabNode> {
        let mut used = BTreeMap::<u8, usize>::new();
        let mut next = |region: u8| {
            let place = used.entry(region).or_default();
            *place += 1;
            &self.nodes[&scenario.regions[usize::from(region)].name][*place - 1]
        };
        scenario.vantages.iter().map(|vantage| next(vantage.party.region)).collect()
    }

    pub(crate) fn node_count(&self) -> usize {
        self.nodes.values().map(Vec::len).sum()
    }

    /// The CA that signs leaves: an intermediate of a public one, or a private root.
    pub(crate) fn issuer(&self, ca: Ca, intermediate: u8) -> LabCa {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match ca {
            Ca::Public(_) => (ca, intermediate),
            Ca::Private(_) => (ca, 0),
        };
        let make = || match ca {
            Ca::Public(number) => self.public[usize::from(number)].intermediate().unwrap(),
            Ca::Private(number) => LabCa::root(&format!("private {number}")).unwrap(),
        };
        made.entry(key).or_insert_with(make).clone()
    }

    /// The root of a CA, whose key records name.
    pub(crate) fn root(&self, ca: Ca) -> LabCa {
        self.issuer(ca, 0).top().clone()
    }

    /// The user of a place on the stage.
    pub(crate) fn user(&self, place: u8) -> Ipv4Addr {
        self.lab.address(USERS, place + 1)
    }

    /// Where nobody answers.
    pub(crate) fn nowhere(&self) -> SocketAddr {
        (self.lab.address(NOWHERE, 1), self.lab.port()).into()
    }
}

/// The regions, and how many vantage points one visit asks there at most.
fn wanted(drawn: &[Drawn]) -> BTreeMap<(String, String), usize> {
    let mut wanted = BTreeMap::new();
    for Drawn { scenario, .. } in drawn {
        for (place, region) in scenario.regions.iter().enumerate() {
            let here = scenario.vantages.iter().filter(|vantage| usize::from(vantage.party.region) == place).count();
            let most = wanted.entry((region.name.clone(), region.rir.clone())).or_default();
            *most = here.max(*most);
        }
    }
    wanted
}
