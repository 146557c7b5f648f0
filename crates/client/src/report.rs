//! A verdict with all that led to it.

use std::time::Duration;

use parallax_core::{
    Accepted, EdgeOutcome, Evidence, HostKey, HubVote, NotaryTestimony, ServiceId, Touched, VantageId, Verdict,
};
use parallax_proto::hub::{Counts, Ended, PeerView};
use parallax_proto::{Contradiction, NotaryReply, Verified, View};
use serde_json::{Value, json};

use crate::hub::ended_in_words;
use crate::vantage::Missing;

/// What a check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The policy that decided.
    pub policy: &'static str,
    /// The verdict: the policy's own, or the user's word where that holds.
    pub verdict: Verdict,
    /// How the user's own word bore on it, where the user gave one.
    pub own_word: Option<Touched>,
    /// Which mirrors of the federation were asked, where there was one to ask.
    pub mirrors: Option<AskedMirrors>,
    /// How the views counted that came over the asker's own edges of trust, for each hub that was asked in their name.
    pub votes: Vec<HubVote>,
    /// How long it took.
    pub elapsed: Duration,
    /// What it was decided from, the own look included.
    pub evidence: Evidence,
    /// The views that count, in order of arrival.
    pub views: Vec<ReportedView>,
    /// What old notaries told, in order of arrival.
    pub notaries: Vec<ReportedNotary>,
    /// What the peers of hubs see, in order of arrival.
    pub peers: Vec<ReportedPeer>,
    /// The hubs that answered.
    pub hubs: Vec<ReportedHub>,
    /// Who answered, but nothing that may count.
    pub dropped: Vec<Dropped>,
    /// Who did not answer.
    pub missing: Vec<MissingView>,
    /// Pairs of signed views that prove a vantage point's lie.
    pub proofs: Vec<Contradiction>,
}

/// The federation's part in a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedMirrors {
    /// The mirrors that were asked, in the order of asking.
    pub asked: Vec<VantageId>,
    /// Whether their answers disagreed, so that all that were drawn were asked.
    pub disagreed: bool,
    /// Nobody was asked: the name or address is not the public's, and strangers need not know it.
    pub is_private: bool,
}

/// A host key of an SSH server, judged by itself.
#[derive(Clone, Debug)]
pub struct JudgedHostKey {
    /// Which.
    pub key: HostKey,
    /// The verdict about it alone.
    pub verdict: Verdict,
    /// Whether it is trusted by the user's own word.
    pub accepted: bool,
}

/// A view that counts.
#[derive(Clone, Debug)]
pub struct ReportedView {
    /// Whose.
    pub vantage: VantageId,
    /// Where it answers.
    pub label: String,
    /// The region its operator claims.
    pub region: Option<String>,
    /// The view.
    pub view: Verified<View>,
    /// Its look at my address, where one was asked for.
    pub there: Option<Verified<View>>,
}

/// What an old notary told.
#[derive(Clone, Debug)]
pub struct ReportedNotary {
    /// Where it answers.
    pub label: String,
    /// Its id and its timespans.
    pub testimony: NotaryTestimony,
    /// The reply with its signature.
    pub reply: Verified<NotaryReply>,
}

/// What a peer behind a hub sees.
#[derive(Clone, Debug)]
pub struct ReportedPeer {
    /// The hub in whose answer it came.
    pub hub: VantageId,
    /// The id of its key.
    pub peer: VantageId,
    /// The region that it claims.
    pub region: Option<String>,
    /// The hub's word for its network: the same for peers of one network.
    pub network: String,
    /// The hub's word for the trust relationship through which it came.
    pub edge: String,
    /// Whether that is one of the asker's own edges; strangers' views are shown and not counted.
    pub trusted: bool,
    /// The hub remembered it; nobody looked for this check.
    pub cached: bool,
    /// The view.
    pub view: Verified<PeerView>,
}

/// A hub that answered.
#[derive(Clone, Debug)]
pub struct ReportedHub {
    /// The node that is the hub.
    pub hub: VantageId,
    /// Where it answers.
    pub label: String,
    /// What it says it did.
    pub counts: Counts,
    /// Why it ended.
    pub ended: Ended,
}

impl ReportedHub {
    /// Why it ended, in words for people.
    pub fn ended_in_words(&self) -> &'static str {
        ended_in_words(self.ended)
    }
}

/// An answer that does not count.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// Whose.
    pub vantage: VantageId,
    /// Where it answers.
    pub label: String,
    /// Why not.
    pub why: Missing,
}

/// A vantage point that did not answer.
#[derive(Clone, Debug)]
pub struct MissingView {
    /// Which.
    pub vantage: VantageId,
    /// Where it should answer.
    pub label: String,
    /// Why not.
    pub why: Missing,
}

impl Report {
    /// The service.
    pub fn service(&self) -> &ServiceId {
        self.evidence.service()
    }

    /// What `parallax check --json` prints.
    pub fn to_json(&self) -> Value {
        let mut report = json!({
            "service": self.service(),
            "verdict": self.verdict.decision,
            "rule": self.verdict.rule,
            "reasons": self.verdict.reasons,
            "policy": self.policy,
            "local": self.evidence.local(),
            "views": self.views.iter().map(|view| self.view_to_json(view)).collect::<Vec<_>>(),
            "dropped": self.dropped.iter().map(|one| failure_to_json(&one.vantage, &one.why)).collect::<Vec<_>>(),
            "missing": self.missing.iter().map(|one| failure_to_json(&one.vantage, &one.why)).collect::<Vec<_>>(),
            "counts": self.verdict.counts,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        if let (Some(report), false) = (report.as_object_mut(), self.proofs.is_empty()) {
            report.insert("proofs".into(), self.proofs.iter().map(proof_to_json).collect());
        }
        if let (Some(report), false) = (report.as_object_mut(), self.notaries.is_empty()) {
            report.insert("notaries".into(), self.notaries.iter().map(|notary| self.notary_to_json(notary)).collect());
        }
        if let (Some(report), Some(mirrors)) = (report.as_object_mut(), &self.mirrors) {
            let AskedMirrors { asked, disagreed, is_private } = mirrors;
            let shown = json!({ "asked": asked, "disagreed": disagreed, "private": is_private });
            report.insert("mirrors".into(), shown);
        }
        if let (Some(report), false) = (report.as_object_mut(), self.peers.is_empty() && self.hubs.is_empty()) {
            report.insert("peers".into(), self.peers.iter().map(|peer| self.peer_to_json(peer)).collect());
            report.insert("hubs".into(), self.hubs.iter().map(|hub| self.hub_to_json(hub)).collect());
        }
        if let (Some(report), false) = (report.as_object_mut(), self.votes.is_empty()) {
            report.insert("trust".into(), self.votes.iter().map(vote_to_json).collect());
        }
        if let (Some(report), Some(touched)) = (report.as_object_mut(), &self.own_word) {
            report.insert("accepted".into(), own_word_to_json(touched));
        }
        report
    }

    fn notary_to_json(&self, notary: &ReportedNotary) -> Value {
        let judged = self.verdict.judged.iter().find(|judged| judged.vantage == notary.testimony.vantage);
        json!({
            "vantage": notary.testimony.vantage,
            "address": notary.label,
            "agrees": judged.map(|judged| judged.agrees),
            "word": judged.map(|judged| judged.word),
            "spans": notary.testimony.spans,
        })
    }

    /// `word` and `agrees` are those of its peers together, where they count as one vantage point.
    fn hub_to_json(&self, hub: &ReportedHub) -> Value {
        let judged = self.verdict.judged.iter().find(|judged| judged.vantage == hub.hub);
        json!({
            "vantage": hub.hub,
            "address": hub.label,
            "counts": hub.counts,
            "ended": hub.ended,
            "agrees": judged.map(|judged| judged.agrees),
            "word": judged.map(|judged| judged.word),
        })
    }

    fn peer_to_json(&self, peer: &ReportedPeer) -> Value {
        let judged = self.verdict.judged.iter().find(|judged| judged.vantage == peer.peer);
        json!({
            "peer": peer.peer,
            "hub": peer.hub,
            "region": peer.region,
            "network": peer.network,
            "edge": peer.edge,
            "trusted": peer.trusted,
            "cached": peer.cached,
            "agrees": judged.map(|judged| judged.agrees),
            "word": judged.map(|judged| judged.word),
            "view": peer.view.content().view(),
        })
    }

    fn view_to_json(&self, view: &ReportedView) -> Value {
        let judged = self.verdict.judged.iter().find(|judged| judged.vantage == view.vantage);
        let mut shown = json!({
            "vantage": view.vantage,
            "region": view.region,
            "agrees": judged.map(|judged| judged.agrees),
            "word": judged.map(|judged| judged.word),
            "view": view.view.content(),
        });
        if let (Some(shown), Some(there)) = (shown.as_object_mut(), &view.there) {
            shown.insert("there".into(), json!(there.content().now));
        }
        shown
    }
}

pub(crate) fn failure_to_json(vantage: &VantageId, why: &Missing) -> Value {
    json!({ "vantage": vantage, "why": why.to_string() })
}

/// `liars`: how many edges would have to lie to turn the outcome; null where it says nothing, or no lie could.
fn vote_to_json(vote: &HubVote) -> Value {
    let (outcome, liars) = match vote.outcome {
        EdgeOutcome::Trusted { liars } => ("trusted", Some(liars)),
        EdgeOutcome::Outvoted { liars } => ("outvoted", Some(liars)),
        EdgeOutcome::TooFew { .. } => ("too-few", None),
    };
    json!({
        "hub": vote.hub,
        "outcome": outcome,
        "edges": vote.vote.edges(),
        "networks": vote.vote.networks(),
        "views": vote.vote.views(),
        "agreement": vote.vote.agreement(),
        "liars": liars.filter(|liars| *liars <= vote.vote.edges()),
        "strangers": vote.strangers,
    })
}

fn own_word_to_json(touched: &Touched) -> Value {
    let (service, key, hosts) = match &touched.accepted {
        Accepted::Key { service, key, .. } => (Some(service), Some(key), None),
        Accepted::AnyKey { hosts, .. } => (None, None, Some(hosts)),
    };
    json!({
        "service": service,
        "key": key,
        "hosts": hosts,
        "since": touched.accepted.since(),
        "holds": touched.holds,
        "without": { "verdict": touched.without.decision, "rule": touched.without.rule },
    })
}

fn proof_to_json(proof: &Contradiction) -> Value {
    json!({ "what": proof.what, "earlier": proof.earlier, "later": proof.later })
}
