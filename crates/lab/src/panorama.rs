//! The walk of Panorama's README: a hub and ten peers, a request, ten liars that join, twenty replies at two thresholds.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::try_join_all;
use parallax_client::{Checker, Lie, PeerSettings, Report};
use parallax_core::{Decision, Policy, Rule, ServiceId, Share};

use crate::certificate::Validity;
use crate::error::LabError;
use crate::hub::LabPeer;
use crate::lab::Lab;
use crate::node::LabNode;
use crate::site::Site;
use crate::zone::Answer;

/// The network of the one who asks, of the site, and of the hub.
const MY_NETWORK: u8 = 20;
const SITE_NETWORK: u8 = 30;
const HUB_NETWORK: u8 = 40;

/// The network of the first peer; each has one of its own.
const PEER_NETWORK: u8 = 50;

/// Peers of each kind.
const GROUP: u8 = 10;

/// Where peers say that they are.
const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];

/// What the liars say of every server, as the original's did.
const LIE: &str = "BAD_CERTIFICATE_INFO";

/// Long enough for a loaded machine; nothing waits for it.
const TIMEOUT: Duration = Duration::from_secs(30);

const HOST: &str = "www.shop.example";

/// One request, and what must come of it.
#[derive(Debug)]
pub struct Act {
    /// Its heading.
    pub title: &'static str,
    /// What happens, in few words.
    pub sentence: &'static str,
    /// Whether the liars are there.
    pub with_liars: bool,
    /// How many replies are asked for.
    pub replies: usize,
    /// Which share of them must show my key.
    pub threshold: f64,
    /// The decision that must fall.
    pub decision: Decision,
    /// The rule that must fire.
    pub rule: Rule,
    /// How many must show my key.
    pub agree: usize,
    /// How many must show another.
    pub differ: usize,
}

/// All of them, in their order.
pub const ACTS: [Act; 3] = [
    Act {
        title: "Ten peers, five are asked",
        sentence: "Ten machines have attached to the hub and look for whoever asks. Everybody sees the same key.",
        with_liars: false,
        replies: 5,
        threshold: 0.5,
        decision: Decision::Trusted,
        rule: Rule::MajorityAgrees,
        agree: 5,
        differ: 0,
    },
    Act {
        title: "Ten liars join, all are asked",
        sentence: "Ten more attach and say of every server that it has their own bad key. Half of all see what you see, \
                   which is enough at 0.5.",
        with_liars: true,
        replies: 20,
        threshold: 0.5,
        decision: Decision::Trusted,
        rule: Rule::MajorityAgrees,
        agree: 10,
        differ: 10,
    },
    Act {
        title: "The same at 0.7",
        sentence: "Who wants more than half is not content with these.",
        with_liars: true,
        replies: 20,
        threshold: 0.7,
        decision: Decision::Distrusted,
        rule: Rule::MajorityDiffers,
        agree: 10,
        differ: 10,
    },
];

impl Act {
    /// What is typed into `parallax shell` for it.
    pub fn typed(&self, host: &str) -> String {
        match (self.replies, self.threshold) {
            (5, 0.5) => format!("request {host}"),
            (replies, 0.5) => format!("request {host} {replies}"),
            (replies, threshold) => format!("request {host} {replies} {threshold}"),
        }
    }

    fn policy(&self) -> Policy {
        Share::new(self.threshold)
            .map_or_else(|_| Policy::default(), |threshold| Policy::Majority { threshold, min_views: 3 })
    }

    /// Whether a request ended as it must.
    pub fn is_as_expected(&self, report: &Report) -> bool {
        let verdict = &report.verdict;
        let found = (verdict.decision, verdict.rule, verdict.counts.agree, verdict.counts.differ);
        found == (self.decision, self.rule, self.agree, self.differ)
    }
}

/// The network in which it plays.
pub struct Panorama {
    asker: Checker,
    peers: Vec<LabPeer>,
    hub: LabNode,
    service: ServiceId,
    lab: Lab,
    _site: Site,
}

impl Panorama {
    /// Starts the site, the hub and ten honest peers. Must be called within a tokio runtime with I/O and time.
    pub async fn open() -> Result<Self, LabError> {
        let lab = Lab::start().await?;
        let certificate = lab.public_ca("Example Trust")?.intermediate()?.issue(&[HOST], Validity::current())?;
        let address = lab.address(SITE_NETWORK, 10);
        let site = lab.site(address, &certificate).await?;
        lab.dns().set(HOST, Answer::a([address]))?;
        let hub = lab.hub(HUB_NETWORK, REGIONS[0]).await?;
        let asker = lab.checker(lab.address(MY_NETWORK, 1), [])?.hub(lab.hub_point(&hub)?);
        // In a lab everything is private, and the map is to be whole.
        let asker = asker.tell_private(true).wait_for_all(true).timeout(TIMEOUT).build();
        let service = lab.service(HOST)?;
        let mut network = Self { asker, peers: Vec::new(), hub, service, lab, _site: site };
        network.join(None).await?;
        Ok(network)
    }

    /// Plays a request; the liars join before it where they belong there and are not there yet.
    pub async fn play(&mut self, act: &Act) -> Result<Report, LabError> {
        if act.with_liars && self.peers.len() == usize::from(GROUP) {
            self.join(Some(Lie::Text(LIE.into()))).await?;
        }
        Ok(self.asker.under(act.policy(), Some(act.replies)).report(&self.service).await)
    }

    /// Where the hub answers.
    pub fn hub_label(&self) -> String {
        self.hub.url().authority()
    }

    /// How many peers are attached.
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// What is asked about, as it is typed.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.service.host(), self.service.port())
    }

    /// Stops the hub and returns once its files are closed.
    pub async fn shutdown(self) -> Result<(), LabError> {
        drop(self.peers);
        self.hub.shutdown().await
    }

    /// Ten more of a kind attach.
    async fn join(&mut self, lie: Option<Lie>) -> Result<(), LabError> {
        let first = PEER_NETWORK + u8::try_from(self.peers.len()).unwrap_or(GROUP);
        let joining = (0..GROUP).zip(REGIONS.into_iter().cycle()).map(|(number, region)| {
            let settings =
                PeerSettings { region: Some(region.to_owned()), lie: lie.clone(), ..PeerSettings::default() };
            self.lab.peer(&self.hub, self.source(first + number), settings)
        });
        let joined = try_join_all(joining).await?;
        self.peers.extend(joined);
        Ok(())
    }

    fn source(&self, network: u8) -> Ipv4Addr {
        self.lab.address(network, 1)
    }
}

impl fmt::Debug for Panorama {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panorama").field("hub", &self.hub).field("peers", &self.peers.len()).finish_non_exhaustive()
    }
}
