//! Who is there for the whole run: the lab, its CAs, its nodes, and the user's files.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use parallax_lab::{Ca as LabCa, Lab, LabNode};
use parallax_node::NodeSettings;
use parallax_probe::{Validation, WallClock};
use parallax_sim::worlds::{Ca, Scenario, Vantage};

use crate::faketime;
use crate::sample::Drawn;
use crate::support::{Home, Run};

/// The network of the first node.
const NODES: u8 = 100;

/// Public CAs; as many as the worlds have at most.
const PUBLIC: usize = 40;

/// The network of the users, that of what stands before nodes, and that of the URLs behind which nobody is.
const USERS: u8 = 10;
const FRONTS: u8 = 98;
const NOWHERE: u8 = 99;

/// How long a node looks. Whoever is kept silent learns of it after this time.
const LOOK: Duration = Duration::from_secs(6);

/// Fronts of one visit at most.
const MOST_FRONTS: u8 = 16;

/// The key that signs the records, in the user's home.
const ANCHOR: &str = "anchor.zone";

/// Where a node stands, and by how many seconds its clock is ahead.
type Post = (String, i32);

/// Everybody who stays.
pub(crate) struct Cast {
    pub(crate) lab: Lab,
    pub(crate) home: Home,
    public: Vec<LabCa>,
    made: Mutex<BTreeMap<(Ca, u8), LabCa>>,
    nodes: BTreeMap<Post, Vec<LabNode>>,
}

impl Cast {
    /// Starts as many nodes as the largest of the visits asks in each region, with clocks that are right or as wrong as that
    /// visit says, and lists them for the user. All validate signatures, the user too.
    pub(crate) async fn for_visits(drawn: &[Drawn]) -> Self {
        let lab = Lab::start().await.unwrap();
        let public = (0..PUBLIC).map(|number| lab.public_ca(&format!("T{number:02}")).unwrap()).collect();
        let mut nodes = BTreeMap::<Post, Vec<LabNode>>::new();
        let mut network = NODES;
        for ((post, rir), count) in wanted(drawn) {
            for _ in 0..count {
                let terms = |settings: &mut NodeSettings| {
                    settings.probe.limits.look = LOOK;
                    settings.probe.dnssec = Validation::anchors(&lab.dns().anchor()).unwrap();
                    settings.probe.clock = WallClock::ahead_by(post.1.into());
                };
                let node = lab.node_with(network, &post.0, &rir, terms).await.unwrap();
                nodes.entry(post.clone()).or_default().push(node);
                network = network.checked_add(1).filter(|network| *network < 254).expect("no network is left");
            }
        }
        let home = Home::new().with("PARALLAX_DNSSEC", ANCHOR);
        home.write("roots.pem", &lab.roots_pem());
        home.write(ANCHOR, &lab.dns().anchor());
        let cast = Self { lab, home, public, made: Mutex::default(), nodes };
        for ((_, ahead), nodes) in &cast.nodes {
            nodes.iter().for_each(|node| cast.list(node, *ahead));
        }
        cast
    }

    /// Lists a node for the user. A clock that was wrong then would have kept the two from meeting, so the user's is as wrong.
    fn list(&self, node: &LabNode, ahead: i32) {
        let url = node.url().to_string();
        let command = faketime::command(&self.home, ahead, &["vantage", "add", "--timeout", "60s", &url]);
        let run = tokio::task::block_in_place(|| Run::of_command(command, b""));
        assert_eq!(run.status, 0, "{run:?}");
    }

    /// The nodes that stand for the vantage points of a visit, in their order.
    pub(crate) fn nodes_for(&self, scenario: &Scenario) -> Vec<&LabNode> {
        let mut used = BTreeMap::<Post, usize>::new();
        let mut next = |post: Post| {
            let place = used.entry(post.clone()).or_default();
            *place += 1;
            &self.nodes[&post][*place - 1]
        };
        scenario.vantages.iter().map(|vantage| next(post(scenario, vantage))).collect()
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

    /// What stands before a vantage point of a visit at a place of the stage.
    pub(crate) fn front(&self, place: u8, vantage: usize) -> Ipv4Addr {
        let vantage = u8::try_from(vantage).ok().filter(|vantage| *vantage < MOST_FRONTS).unwrap();
        self.lab.address(FRONTS, place * MOST_FRONTS + vantage)
    }

    /// Where nobody answers.
    pub(crate) fn nowhere(&self) -> SocketAddr {
        (self.lab.address(NOWHERE, 1), self.lab.port()).into()
    }
}

/// Nobody hears what the clock of a silent one says.
fn post(scenario: &Scenario, vantage: &Vantage) -> Post {
    let ahead = if vantage.silent { 0 } else { vantage.party.clock_ahead };
    (scenario.regions[usize::from(vantage.party.region)].name.clone(), ahead)
}

/// The posts with their registries, and how many vantage points one visit asks there at most.
fn wanted(drawn: &[Drawn]) -> BTreeMap<(Post, String), usize> {
    let mut wanted = BTreeMap::new();
    for Drawn { scenario, .. } in drawn {
        let mut here = BTreeMap::<(Post, String), usize>::new();
        for vantage in &scenario.vantages {
            let rir = scenario.regions[usize::from(vantage.party.region)].rir.clone();
            *here.entry((post(scenario, vantage), rir)).or_default() += 1;
        }
        for (post, count) in here {
            let most = wanted.entry(post).or_default();
            *most = count.max(*most);
        }
    }
    wanted
}
