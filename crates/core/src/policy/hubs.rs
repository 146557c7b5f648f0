//! How the peers of a hub count (`docs/protocols/hub.md`).
//!
//! A hub can invent peers, so its peers are one operator. `majority` counts each of them and its verdict names the hub that
//! it rests on. Everybody else hears the hub as one vantage point: it shows the key that more than half of its peers'
//! looks show, and nothing where none has more than half. It has no memory, for other peers answer the next question, and
//! without one it can't tell a record of long standing from one that was written an hour ago: its peers' records are shown,
//! not counted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::compare;
use crate::dns::DnsAnswers;
use crate::evidence::{Asked, AskedHub, Evidence, PeerTestimony, Testimony};
use crate::history::History;
use crate::id::{Fingerprint, VantageId};
use crate::observation::Look;
use crate::verdict::{Agreement, Judged, Verdict, Word};

/// The evidence with its peers among the views, each by itself or as their hub. What an `open` hub has not yet said in full
/// is not its word.
pub(super) fn counted<'a>(evidence: &'a Evidence, each: bool, open: &[VantageId]) -> Cow<'a, Evidence> {
    if evidence.asked_hubs().is_empty() {
        return Cow::Borrowed(evidence);
    }
    let mut counted = evidence.clone();
    for hub in evidence.asked_hubs() {
        // In somebody's name: the edges decide how these count (`super::edges`).
        if each && hub.by_edges {
            continue;
        }
        let said = peers_of(evidence, hub.vantage);
        if each && said.clone().next().is_some() {
            said.for_each(|peer| add_once(&mut counted, peer));
            continue;
        }
        counted.ask(Asked { vantage: hub.vantage, region: None, rir: None });
        let word = if open.contains(&hub.vantage) { None } else { word_of(hub, said) };
        word.into_iter().for_each(|testimony| counted.add(testimony));
    }
    Cow::Owned(counted)
}

/// One key, one vote: whoever is heard through two hubs, or asked as a vantage point too, counts as first heard.
fn add_once(counted: &mut Evidence, peer: &PeerTestimony) {
    if counted.views().iter().all(|view| view.vantage != peer.testimony.vantage) {
        counted.add(Testimony { history: History::default(), ..peer.testimony.clone() });
    }
}

/// How many more looks the open ones may bring.
pub(super) fn still_open(evidence: &Evidence, each: bool, open: &[VantageId]) -> usize {
    let looks = |vantage: &VantageId| {
        let hub = evidence.asked_hubs().iter().find(|hub| each && hub.vantage == *vantage);
        if hub.is_some_and(|hub| hub.by_edges) {
            return 0;
        }
        hub.map_or(1, |hub| hub.replies.saturating_sub(peers_of(evidence, hub.vantage).count()))
    };
    open.iter().map(looks).sum()
}

pub(super) fn peers_of(evidence: &Evidence, hub: VantageId) -> impl Iterator<Item = &PeerTestimony> + Clone {
    evidence.peers().iter().filter(move |peer| peer.hub == hub)
}

/// What a hub's peers say together. Where every look failed, the newest failure.
fn word_of<'a>(hub: &AskedHub, peers: impl Iterator<Item = &'a PeerTestimony>) -> Option<Testimony> {
    let said: Vec<&Testimony> = peers.map(|peer| &peer.testimony).collect();
    let mut groups: BTreeMap<Fingerprint, Vec<&Testimony>> = BTreeMap::new();
    for testimony in &said {
        if let Some(met) = testimony.look.now.proved() {
            groups.entry(met.key).or_default().push(testimony);
        }
    }
    let looks: usize = groups.values().map(Vec::len).sum();
    let speaking = if looks == 0 { said } else { groups.into_values().find(|group| group.len() * 2 > looks)? };
    let newest = speaking.into_iter().max_by_key(|testimony| testimony.issued_at)?;
    let dns = DnsAnswers { a: newest.look.dns.a.clone(), aaaa: newest.look.dns.aaaa.clone(), ..DnsAnswers::default() };
    Some(Testimony {
        vantage: hub.vantage,
        issued_at: newest.issued_at,
        look: Look { dns, now: newest.look.now.clone() },
        there: None,
        history: History::default(),
    })
}

/// Puts the peers into the verdict: how each compares, and what rests on whom.
pub(super) fn tell(evidence: &Evidence, each: bool, verdict: &mut Verdict) {
    if !each {
        verdict.judged.extend(evidence.peers().iter().map(|peer| judged(evidence, peer)));
    }
    for hub in evidence.asked_hubs().iter().filter(|hub| !(each && hub.by_edges)) {
        verdict.reasons.extend(reason(evidence, hub, each));
    }
}

pub(super) fn judged(evidence: &Evidence, peer: &PeerTestimony) -> Judged {
    let agrees = compare(&evidence.local().now, &peer.testimony.look.now);
    let word = match agrees {
        Agreement::SameLeaf | Agreement::SameKey => Word::For,
        Agreement::SameCa | Agreement::Differs => Word::Against,
        Agreement::NothingSeen => Word::Aside,
    };
    Judged { vantage: peer.testimony.vantage, agrees, word }
}

fn reason(evidence: &Evidence, hub: &AskedHub, each: bool) -> Option<String> {
    let id = hub.vantage.short();
    let mine = evidence.local().now.proved()?.key;
    let keys: Vec<_> =
        peers_of(evidence, hub.vantage).filter_map(|peer| Some(peer.testimony.look.now.proved()?.key)).collect();
    let (looks, agree) = (keys.len(), keys.iter().filter(|key| **key == mine).count());
    let networks: BTreeSet<_> = peers_of(evidence, hub.vantage).map(|peer| &peer.network).collect();
    if looks == 0 {
        return None;
    }
    let split = word_of(hub, peers_of(evidence, hub.vantage)).is_none();
    Some(match each {
        true => format!(
            "{looks} of the looks are of peers in {} behind the hub {id}: this rests on its operator, who could have made them all up.",
            match networks.len() {
                1 => "1 network".into(),
                several => format!("{several} networks"),
            }
        ),
        false if split => format!(
            "The peers of the hub {id} see different keys, none of them more than half of {looks}: together they say nothing."
        ),
        false => format!(
            "The {looks} looks of peers behind the hub {id} count as one vantage point; {agree} of them show the key that you see."
        ),
    })
}

#[cfg(test)]
#[path = "hubs_tests.rs"]
mod tests;
