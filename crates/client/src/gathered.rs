//! Who is asked in a check, and what has come in so far.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Asked, AskedHub, Evidence, Testimony, VantageId, Verdict};
use parallax_proto::{Contradiction, NotaryReply, Verified, View};

use crate::hub::{HubHeard, HubPoint};
use crate::notary::OldNotary;
use crate::report::{Dropped, MissingView, Report, ReportedHub, ReportedNotary, ReportedPeer, ReportedView};
use crate::vantage::{Deadline, Missing, VantagePoint};

/// Whoever can be asked.
#[derive(Clone)]
pub(crate) enum Source {
    /// It signs views.
    Viewing(Arc<dyn VantagePoint>),
    /// It signs what it remembers.
    Notary(Arc<OldNotary>),
}

impl Source {
    pub(crate) fn id(&self) -> VantageId {
        match self {
            Source::Viewing(vantage) => vantage.id(),
            Source::Notary(notary) => notary.id(),
        }
    }

    pub(crate) fn label(&self) -> String {
        match self {
            Source::Viewing(vantage) => vantage.label(),
            Source::Notary(notary) => notary.address().to_string(),
        }
    }

    pub(crate) fn region(&self) -> Option<String> {
        match self {
            Source::Viewing(vantage) => vantage.region(),
            Source::Notary(_) => None,
        }
    }
}

/// What came of asking a vantage point that signs views.
pub(crate) struct Answer {
    pub(crate) testimony: Testimony,
    pub(crate) view: Verified<View>,
    pub(crate) there: Option<Verified<View>>,
}

/// What was heard of either kind.
pub(crate) enum Heard {
    View(Arc<dyn VantagePoint>, Box<Answer>),
    Notary(Verified<NotaryReply>),
}

/// Why nothing counts of it.
pub(crate) enum Failure {
    Missing(Missing),
    Lying(Box<Contradiction>),
}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Self {
        Failure::Missing(missing)
    }
}

/// What has come in so far.
pub(crate) struct Gathered {
    pub(crate) evidence: Evidence,
    vantages: Vec<Source>,
    heard: Vec<bool>,
    views: Vec<ReportedView>,
    notaries: Vec<ReportedNotary>,
    /// The hubs that are asked, and whether each has ended.
    asked_hubs: Vec<(Arc<dyn HubPoint>, bool)>,
    peers: Vec<ReportedPeer>,
    hubs: Vec<ReportedHub>,
    dropped: Vec<Dropped>,
    missing: Vec<MissingView>,
    proofs: Vec<Contradiction>,
}

impl Gathered {
    pub(crate) fn new(evidence: Evidence) -> Self {
        Self {
            evidence,
            vantages: Vec::new(),
            heard: Vec::new(),
            views: Vec::new(),
            notaries: Vec::new(),
            asked_hubs: Vec::new(),
            peers: Vec::new(),
            hubs: Vec::new(),
            dropped: Vec::new(),
            missing: Vec::new(),
            proofs: Vec::new(),
        }
    }

    /// One more is asked; its answer is taken under the number of those before.
    pub(crate) fn ask(&mut self, source: &Source) {
        match source {
            Source::Viewing(vantage) => {
                self.evidence.ask(Asked { vantage: vantage.id(), region: vantage.region(), rir: vantage.rir() });
            }
            Source::Notary(notary) => self.evidence.ask_notary(notary.id()),
        }
        self.vantages.push(source.clone());
        self.heard.push(false);
    }

    /// Notes that a hub is asked for so many views; returns its index.
    pub(crate) fn ask_hub(&mut self, hub: Arc<dyn HubPoint>, replies: u16) -> usize {
        let (vantage, by_edges) = (hub.id(), hub.by_edges());
        self.evidence.ask_hub(AskedHub { vantage, replies: replies.into(), by_edges });
        self.asked_hubs.push((hub, false));
        self.asked_hubs.len() - 1
    }

    /// Notes that a hub is not asked, and why. It does not count as asked.
    pub(crate) fn spare_hub(&mut self, hub: &dyn HubPoint, why: Missing) {
        self.missing.push(MissingView { vantage: hub.id(), label: hub.label(), why });
    }

    pub(crate) fn take_heard(&mut self, index: usize, heard: HubHeard) {
        let Some((hub, ended)) = self.asked_hubs.get_mut(index) else { return };
        let (vantage, label) = (hub.id(), hub.label());
        match heard {
            HubHeard::Peer(peer) => {
                self.evidence.add_peer(peer.testimony());
                self.peers.push(*peer);
            }
            HubHeard::Dropped(why) => {
                self.dropped.push(Dropped { vantage, label: format!("a peer behind {label}"), why });
            }
            HubHeard::Ended(hub) => {
                *ended = true;
                self.hubs.push(hub);
            }
            HubHeard::Failed(why) => {
                *ended = true;
                self.failed(vantage, label, why);
            }
        }
    }

    pub(crate) fn open(&self) -> Vec<VantageId> {
        let unheard = self.vantages.iter().zip(&self.heard).filter(|(_, heard)| !**heard);
        let hubs = self.asked_hubs.iter().filter(|(_, ended)| !ended).map(|(hub, _)| hub.id());
        unheard.map(|(vantage, _)| vantage.id()).chain(hubs).collect()
    }

    pub(crate) fn take(&mut self, index: usize, answer: Result<Heard, Failure>) {
        let Some(source) = self.vantages.get(index).cloned() else { return };
        if let Some(heard) = self.heard.get_mut(index) {
            *heard = true;
        }
        match answer {
            Ok(Heard::View(vantage, answer)) => self.take_view(vantage.as_ref(), *answer),
            Ok(Heard::Notary(reply)) => self.take_reply(&source, reply),
            Err(Failure::Missing(why)) => self.take_failure(&source, why),
            Err(Failure::Lying(proof)) => {
                self.take_failure(&source, Missing::Lying(proof.what));
                self.proofs.push(*proof);
            }
        }
    }

    fn take_view(&mut self, vantage: &dyn VantagePoint, answer: Answer) {
        let region = vantage.region().or_else(|| answer.view.content().region.clone());
        self.evidence.ask(Asked { vantage: vantage.id(), region: region.clone(), rir: vantage.rir() });
        self.evidence.add(answer.testimony);
        self.views.push(ReportedView {
            vantage: vantage.id(),
            label: vantage.label(),
            region,
            view: answer.view,
            there: answer.there,
        });
    }

    fn take_reply(&mut self, source: &Source, reply: Verified<NotaryReply>) {
        let testimony = reply.content().testimony(source.id());
        self.evidence.add_notary(testimony.clone());
        self.notaries.push(ReportedNotary { label: source.label(), testimony, reply });
    }

    fn take_failure(&mut self, source: &Source, why: Missing) {
        self.failed(source.id(), source.label(), why);
    }

    fn failed(&mut self, vantage: VantageId, label: String, why: Missing) {
        if why.is_dropped() {
            self.dropped.push(Dropped { vantage, label, why });
        } else {
            self.missing.push(MissingView { vantage, label, why });
        }
    }

    /// Those not heard when the decision fell.
    pub(crate) fn close(&mut self, deadline: Deadline) {
        let why = if deadline.left().is_zero() { Missing::Timeout } else { Missing::NotNeeded };
        for index in 0..self.vantages.len() {
            if self.heard.get(index) == Some(&false) {
                self.take(index, Err(Failure::Missing(why.clone())));
            }
        }
        for (hub, _) in self.asked_hubs.extract_if(.., |(_, ended)| !*ended) {
            self.missing.push(MissingView { vantage: hub.id(), label: hub.label(), why: why.clone() });
        }
    }

    /// The views that count, in order of arrival.
    pub(crate) fn views(&self) -> &[ReportedView] {
        &self.views
    }

    /// Why nothing of this one counts.
    pub(crate) fn failure(&self, vantage: VantageId) -> Option<&Missing> {
        let dropped = self.dropped.iter().find(|one| one.vantage == vantage).map(|one| &one.why);
        dropped.or_else(|| self.missing.iter().find(|one| one.vantage == vantage).map(|one| &one.why))
    }

    /// Whether this one has answered, or failed to, before the end.
    pub(crate) fn has_heard(&self, index: usize) -> bool {
        self.heard.get(index) == Some(&true)
    }

    pub(crate) fn into_report(self, policy: &'static str, verdict: Verdict, elapsed: Duration) -> Report {
        Report {
            policy,
            verdict,
            own_word: None,
            mirrors: None,
            votes: Vec::new(),
            elapsed,
            evidence: self.evidence,
            views: self.views,
            notaries: self.notaries,
            peers: self.peers,
            hubs: self.hubs,
            dropped: self.dropped,
            missing: self.missing,
            proofs: self.proofs,
        }
    }
}
