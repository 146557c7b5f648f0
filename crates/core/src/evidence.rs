//! What a policy decides from.

use crate::dns::DnsAnswers;
use crate::history::History;
use crate::host_key::HostKeyKind;
use crate::id::VantageId;
use crate::notary::NotaryTestimony;
use crate::observation::{Look, Met, Observation};
use crate::service::ServiceId;
use crate::time::Timestamp;

/// A vantage point that was asked, whether it answered or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub vantage: VantageId,
    /// The region its operator claims, such as `eu-west`; `None` when not known.
    pub region: Option<String>,
    /// The regional Internet registry its address belongs to, such as `RIPE`; `None` when not known.
    pub rir: Option<String>,
}

/// What one vantage point testifies. The client makes it from verified views only; simulations make it directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testimony {
    /// Who.
    pub vantage: VantageId,
    /// When its (newest) view was signed, by its own clock.
    pub issued_at: Timestamp,
    /// Its newest look by its own DNS, and what that DNS said.
    pub look: Look,
    /// A look at my address, asked for.
    pub there: Option<Observation>,
    /// What it remembers.
    pub history: History,
}

/// A hub that was asked for its peers' views (`docs/protocols/hub.md`). It sees nothing itself, and its peers may be all its
/// own invention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedHub {
    /// The node that is the hub.
    pub vantage: VantageId,
    /// How many peers' views it was asked for.
    pub replies: usize,
    /// It was asked in a person's name: only views that came over that person's edges of trust count of it.
    pub by_edges: bool,
}

/// What a peer testifies, and through whom it was heard. The client makes it from verified views only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTestimony {
    /// The hub in whose answer it came.
    pub hub: VantageId,
    /// What it saw; its `vantage` is the id of the peer's key.
    pub testimony: Testimony,
    /// The peer's network as the hub tells it: an opaque word, constant for this asker, the same for peers of one network.
    pub network: String,
    /// The trust relationship through which the peer came, likewise; all strangers together are one.
    pub edge: String,
    /// Whether that is one of the asker's own edges, and not that of all strangers.
    pub trusted: bool,
}

/// The local look plus the views: everything a policy may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    service: ServiceId,
    local: Look,
    started: Timestamp,
    public_roots: bool,
    asked: Vec<Asked>,
    views: Vec<Testimony>,
    asked_notaries: Vec<VantageId>,
    notaries: Vec<NotaryTestimony>,
    asked_hubs: Vec<AskedHub>,
    peers: Vec<PeerTestimony>,
}

impl Evidence {
    /// Evidence without views. `started` is when this check began: what a vantage point saw from then on is not memory.
    pub fn new(service: ServiceId, local: Look, started: Timestamp) -> Self {
        Self {
            service,
            local,
            started,
            public_roots: true,
            asked: Vec::new(),
            views: Vec::new(),
            asked_notaries: Vec::new(),
            notaries: Vec::new(),
            asked_hubs: Vec::new(),
            peers: Vec::new(),
        }
    }

    /// Begins another check of the same service where this one stands: `fill` finds the local look, the asked and the
    /// views of before, and makes those of now of them. So their memory is used again: simulations make millions. What
    /// notaries and hubs said is gone.
    pub fn refill(&mut self, started: Timestamp, fill: impl FnOnce(&mut Look, &mut Vec<Asked>, &mut Vec<Testimony>)) {
        self.asked_notaries.clear();
        self.notaries.clear();
        self.asked_hubs.clear();
        self.peers.clear();
        self.started = started;
        fill(&mut self.local, &mut self.asked, &mut self.views);
        if !self.names_each_once() {
            let (asked, views) = (std::mem::take(&mut self.asked), std::mem::take(&mut self.views));
            asked.into_iter().for_each(|one| self.ask(one));
            views.into_iter().for_each(|view| self.add(view));
        }
    }

    /// Whether nobody was asked twice, and the views are of some of the asked, in their order.
    fn names_each_once(&self) -> bool {
        let mut before = self.asked.iter();
        let once =
            |(place, one): (usize, &Asked)| self.asked.iter().take(place).all(|earlier| earlier.vantage != one.vantage);
        self.asked.iter().enumerate().all(once)
            && self.views.iter().all(|view| before.any(|asked| asked.vantage == view.vantage))
    }

    /// Nobody is public (`roots = none`): only the network decides.
    pub fn without_public_roots(mut self) -> Self {
        self.public_roots = false;
        self
    }

    /// Notes that a vantage point was asked; asking one twice is asking it once.
    pub fn ask(&mut self, asked: Asked) {
        match self.asked.iter_mut().find(|known| known.vantage == asked.vantage) {
            Some(known) => {
                known.region = known.region.take().or(asked.region);
                known.rir = known.rir.take().or(asked.rir);
            }
            None => self.asked.push(asked),
        }
    }

    /// Adds what a vantage point testifies, in the order of arrival; a later testimony of the same one replaces the
    /// earlier. One that was not asked counts as asked.
    pub fn add(&mut self, testimony: Testimony) {
        self.ask(Asked { vantage: testimony.vantage, region: None, rir: None });
        match self.views.iter_mut().find(|known| known.vantage == testimony.vantage) {
            Some(known) => *known = testimony,
            None => {
                // Most of the asked answer, and testimonies are large: room for all is made once.
                self.views.reserve(self.asked.len() - self.views.len());
                self.views.push(testimony);
            }
        }
    }

    /// Notes that an old notary was asked. It is not among [`Evidence::asked`]: there only those count who can vouch
    /// for a key.
    pub fn ask_notary(&mut self, vantage: VantageId) {
        if !self.asked_notaries.contains(&vantage) {
            self.asked_notaries.push(vantage);
        }
    }

    /// Adds what an old notary testifies; a later testimony of the same one replaces the earlier.
    pub fn add_notary(&mut self, testimony: NotaryTestimony) {
        self.ask_notary(testimony.vantage);
        self.notaries.retain(|known| known.vantage != testimony.vantage);
        self.notaries.push(testimony);
    }

    /// Notes that a hub was asked for this many views. It is not among [`Evidence::asked`]: how it counts, and how its
    /// peers do, is the policy's affair.
    pub fn ask_hub(&mut self, hub: AskedHub) {
        match self.asked_hubs.iter_mut().find(|known| known.vantage == hub.vantage) {
            Some(known) => {
                known.replies = known.replies.max(hub.replies);
                known.by_edges |= hub.by_edges;
            }
            None => self.asked_hubs.push(hub),
        }
    }

    /// Adds what a peer testifies, in the order of arrival; a later testimony of the same key through the same hub
    /// replaces the earlier. A hub that was not asked counts as asked.
    pub fn add_peer(&mut self, peer: PeerTestimony) {
        self.ask_hub(AskedHub { vantage: peer.hub, replies: 1, by_edges: false });
        let same =
            |known: &&mut PeerTestimony| known.hub == peer.hub && known.testimony.vantage == peer.testimony.vantage;
        match self.peers.iter_mut().find(same) {
            Some(known) => *known = peer,
            None => self.peers.push(peer),
        }
    }

    /// Removes a testimony; the vantage point stays among the asked.
    pub fn drop_view(&mut self, vantage: VantageId) {
        self.views.retain(|view| view.vantage != vantage);
    }

    /// The same evidence with my host key of this kind as *my key*: what a verdict about that key is decided from. `None`
    /// when I met no such key.
    pub fn about_host_key(&self, kind: HostKeyKind) -> Option<Self> {
        let mine = self.local.now.proved()?;
        let met = mine.by_host_key(mine.host_keys.iter().find(|key| key.kind == kind)?);
        let mut about = self.clone();
        about.local.now.met = Some(met);
        Some(about)
    }

    /// The same evidence with every look of a view changed.
    pub(crate) fn with_looks(&self, change: impl Fn(&mut Met)) -> Self {
        let mut changed = self.clone();
        let peers = changed.peers.iter_mut().map(|peer| &mut peer.testimony);
        for view in changed.views.iter_mut().chain(peers) {
            let there = view.there.as_mut().and_then(|there| there.met.as_mut());
            view.look.now.met.iter_mut().chain(there).for_each(&change);
        }
        changed
    }

    /// The service.
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// My own look.
    pub fn local(&self) -> &Look {
        &self.local
    }

    /// What my own DNS said.
    pub fn local_dns(&self) -> &DnsAnswers {
        &self.local.dns
    }

    /// When the check began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Whether public roots are believed.
    pub fn public_roots(&self) -> bool {
        self.public_roots
    }

    /// The asked, each once, the own machine not among them.
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// The testimonies, one for each vantage point at most, in order of arrival.
    pub fn views(&self) -> &[Testimony] {
        &self.views
    }

    /// The old notaries that were asked, each once.
    pub fn asked_notaries(&self) -> &[VantageId] {
        &self.asked_notaries
    }

    /// What the old notaries testify, one for each at most.
    pub fn notaries(&self) -> &[NotaryTestimony] {
        &self.notaries
    }

    /// The hubs that were asked, each once.
    pub fn asked_hubs(&self) -> &[AskedHub] {
        &self.asked_hubs
    }

    /// What the peers of hubs testify, one for each hub and key at most, in order of arrival.
    pub fn peers(&self) -> &[PeerTestimony] {
        &self.peers
    }
}
