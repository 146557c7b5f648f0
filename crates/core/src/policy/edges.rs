//! How the peers of a hub count that was asked in a person's name (`docs/trust.md`).
//!
//! Only views that came over the person's own edges count, and every edge has an equal share: a thousand false identities
//! behind one edge are one voice, and those behind none have no voice at all. Each hub votes by itself, for only the hub
//! knows which of its words mean the same person.

use super::hubs::{judged, peers_of};
use super::{Counts, Share, plain_verdict};
use crate::edge_vote::{CastView, EdgeOutcome, EdgeVote, LEAST_EDGES, LEAST_NETWORKS};
use crate::evidence::{AskedHub, Evidence, PeerTestimony};
use crate::id::VantageId;
use crate::verdict::{Decision, Judged, Rule, Verdict, Word};

/// The vote of one hub's peers over the asker's edges.
#[derive(Clone, Debug, PartialEq)]
pub struct HubVote {
    /// The hub.
    pub hub: VantageId,
    /// The vote.
    pub vote: EdgeVote,
    /// What it comes to.
    pub outcome: EdgeOutcome,
    /// Views of strangers, which are shown and not counted.
    pub strangers: usize,
}

/// The votes of the hubs that were asked in a person's name.
pub(super) fn votes(evidence: &Evidence, threshold: Share) -> Vec<HubVote> {
    let asked = evidence.asked_hubs().iter().filter(|hub| hub.by_edges);
    asked.map(|hub| vote(evidence, hub, threshold)).collect()
}

fn vote(evidence: &Evidence, hub: &AskedHub, threshold: Share) -> HubVote {
    let mine = evidence.local().now.proved().map(|met| met.key);
    let of_edges = peers_of(evidence, hub.vantage).filter(|peer| peer.trusted);
    let views = of_edges.filter_map(|peer| {
        let met = peer.testimony.look.now.proved()?;
        let agrees = Some(met.key) == mine;
        Some(CastView { identity: peer.testimony.vantage, edge: Some(&peer.edge), network: &peer.network, agrees })
    });
    let vote = EdgeVote::count(views);
    let strangers = peers_of(evidence, hub.vantage).filter(|peer| !peer.trusted).count();
    HubVote { hub: hub.vantage, outcome: vote.outcome(threshold), vote, strangers }
}

/// Decides by the edges where they suffice, else as `without` them. `counted` is what counts beside.
pub(super) fn decide(
    evidence: &Evidence,
    counted: &Evidence,
    threshold: Share,
    without: impl Fn() -> Verdict,
) -> Verdict {
    let votes = votes(evidence, threshold);
    if votes.is_empty() || evidence.local().now.proved().is_none() {
        return without();
    }
    let told = votes.iter().flat_map(|vote| sentences(vote, threshold));
    let concluded = conclusion(&votes);
    let mut verdict = match concluded {
        Some((decision, rule)) => by_edges(evidence, counted, plain_verdict(counted, decision, rule, told.collect())),
        None => {
            let mut verdict = without();
            verdict.reasons.splice(0..0, told);
            verdict
        }
    };
    for peer in peers(evidence).filter(|peer| peer.trusted && concluded.is_some()) {
        add(&mut verdict, judged(evidence, peer));
    }
    // Whoever does not count is shown with how it compares.
    peers(evidence).for_each(|peer| add(&mut verdict, Judged { word: Word::Aside, ..judged(evidence, peer) }));
    verdict
}

/// The verdict of the edges: whoever else was asked is aside.
fn by_edges(evidence: &Evidence, counted: &Evidence, mut verdict: Verdict) -> Verdict {
    let others = counted.views().len() + counted.notaries().len();
    if others > 0 {
        let views = views_in_words(others);
        verdict.reasons.push(format!("{views} of others are shown aside: where your edges suffice, they decide."));
    }
    verdict.judged.iter_mut().for_each(|judged| judged.word = Word::Aside);
    let mine = evidence.local().now.proved().map(|met| met.key);
    let trusted: Vec<_> = peers(evidence).filter(|peer| peer.trusted).collect();
    let keys: Vec<_> = trusted.iter().filter_map(|peer| Some(peer.testimony.look.now.proved()?.key)).collect();
    let agree = keys.iter().filter(|key| Some(**key) == mine).count();
    let counts = Counts { asked: trusted.len(), answered: trusted.len(), agree, differ: keys.len() - agree };
    Verdict { counts, ..verdict }
}

/// The peers of all hubs that were asked in a person's name.
fn peers(evidence: &Evidence) -> impl Iterator<Item = &PeerTestimony> {
    let hubs = evidence.asked_hubs().iter().filter(|hub| hub.by_edges);
    hubs.flat_map(|hub| peers_of(evidence, hub.vantage))
}

fn add(verdict: &mut Verdict, judged: Judged) {
    if verdict.judged.iter().all(|known| known.vantage != judged.vantage) {
        verdict.judged.push(judged);
    }
}

/// Whether no answer of the `open` ones could change the decision.
pub(super) fn is_settled(
    evidence: &Evidence,
    threshold: Share,
    open: &[VantageId],
    without: impl Fn() -> bool,
) -> bool {
    let mut by_edges = evidence.asked_hubs().iter().filter(|hub| hub.by_edges);
    if evidence.local().now.proved().is_none() {
        return without();
    }
    if by_edges.any(|hub| open.contains(&hub.vantage)) {
        return false;
    }
    conclusion(&votes(evidence, threshold)).is_some() || without()
}

/// What the hubs whose edges suffice agree on; `None` where none does.
fn conclusion(votes: &[HubVote]) -> Option<(Decision, Rule)> {
    let has = |is: fn(&EdgeOutcome) -> bool| votes.iter().any(|vote| is(&vote.outcome));
    let trusted = has(|outcome| matches!(outcome, EdgeOutcome::Trusted { .. }));
    let outvoted = has(|outcome| matches!(outcome, EdgeOutcome::Outvoted { .. }));
    match (trusted, outvoted) {
        (true, false) => Some((Decision::Trusted, Rule::MajorityAgrees)),
        (false, true) => Some((Decision::Distrusted, Rule::MajorityDiffers)),
        (true, true) => Some((Decision::Undecided, Rule::Unexplained)),
        (false, false) => None,
    }
}

fn sentences(vote: &HubVote, threshold: Share) -> Vec<String> {
    let id = vote.hub.short();
    let mut said = match vote.outcome {
        EdgeOutcome::TooFew { edges, networks } => vec![format!(
            "The views behind the hub {id} came over {} of yours and from {}; a vote wants {LEAST_EDGES} edges and {LEAST_NETWORKS} networks. So only the vantage points that you configured count.",
            edges_in_words(edges),
            networks_in_words(networks),
        )],
        EdgeOutcome::Trusted { liars } | EdgeOutcome::Outvoted { liars } => {
            let percent = (vote.vote.agreement().unwrap_or_default() * 100.0).round();
            vec![
                format!(
                    "{} of yours, each with an equal share, brought {} through the hub {id}: {percent} % of them show the key that you see; the threshold is {threshold}.",
                    edges_in_words(vote.vote.edges()),
                    views_in_words(vote.vote.views()),
                ),
                liars_in_words(liars, vote.vote.edges()),
            ]
        }
    };
    if vote.strangers > 0 {
        let (views, are) = (views_in_words(vote.strangers), if vote.strangers == 1 { "is" } else { "are" });
        said.push(format!("{views} of strangers behind the hub {id} {are} shown and not counted."));
    }
    said
}

fn liars_in_words(liars: usize, edges: usize) -> String {
    match liars {
        more if more > edges => "Not even if all of your edges lied would the verdict be another.".into(),
        1 => "1 of your edges would have to lie for this to be wrong.".into(),
        several => format!("{several} of your edges would have to lie for this to be wrong."),
    }
}

fn edges_in_words(edges: usize) -> String {
    if edges == 1 { "1 edge".into() } else { format!("{edges} edges") }
}

fn networks_in_words(networks: usize) -> String {
    if networks == 1 { "1 network".into() } else { format!("{networks} networks") }
}

fn views_in_words(views: usize) -> String {
    if views == 1 { "1 view".into() } else { format!("{views} views") }
}

#[cfg(test)]
#[path = "edges_tests.rs"]
mod tests;
