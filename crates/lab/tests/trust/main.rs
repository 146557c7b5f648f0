//! Trust between people, on real sockets: certificates, edges, peers and checks through them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod raw;
mod refused;
mod town;

use std::collections::BTreeMap;

use parallax_client::{Lie, OwnIdentity, PeerSettings, Report};
use parallax_core::{Decision, EdgeOutcome, Rule};
use parallax_proto::trust::TrustState;

use town::{Town, soon};

/// Ann with four friends, whose peers see the site as it is.
async fn ann_and_friends(town: &Town) -> (OwnIdentity, Vec<OwnIdentity>, Vec<parallax_lab::LabPeer>) {
    let ann = town.person("ann").await;
    let (mut friends, mut peers) = (Vec::new(), Vec::new());
    for (number, name) in ["bob", "carl", "dora", "emil"].into_iter().enumerate() {
        let friend = town.person(name).await;
        town.befriend(&ann, &friend).await;
        peers.push(town.peer(&friend, 50 + number as u8, None).await);
        friends.push(friend);
    }
    (ann, friends, peers)
}

/// How many views came over each of somebody's edges; strangers under "".
async fn through(town: &Town, who: &OwnIdentity, report: &Report) -> BTreeMap<String, usize> {
    let list = town.trust_of(who).declared(soon()).await.unwrap();
    let mut counts = BTreeMap::new();
    for peer in &report.peers {
        let edge = list.edges.iter().find(|edge| edge.edge.as_deref() == Some(&peer.edge));
        assert_eq!(edge.is_some(), peer.trusted);
        *counts.entry(edge.map_or(String::new(), |edge| edge.mailbox.clone())).or_insert(0) += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_check_a_site_through_each_other_and_a_crowd_of_liars_changes_nothing() {
    let town = Town::start().await;
    let (ann, friends, _peers) = ann_and_friends(&town).await;
    let report = town.report(&ann, 20, 0.7).await;
    assert_eq!((report.verdict.decision, report.verdict.rule), (Decision::Trusted, Rule::MajorityAgrees));
    assert_eq!(report.votes[0].outcome, EdgeOutcome::Trusted { liars: 2 }, "{:?}", report.verdict.reasons);
    let names = ["bob", "carl", "dora", "emil"].map(|name| (format!("{name}@example.com"), 1));
    assert_eq!(through(&town, &ann, &report).await, BTreeMap::from(names));

    let mut liars = Vec::new();
    for number in 0..30 {
        let settings = PeerSettings { lie: Some(Lie::Text("BAD".into())), ..PeerSettings::default() };
        liars.push(town.lab.peer(&town.hub, town.lab.address(100 + number, 1), settings).await.unwrap());
    }
    for threshold in [0.5, 0.7, 1.0] {
        let again = town.report(&ann, 20, threshold).await;
        assert_eq!((again.verdict.decision, again.verdict.rule), (report.verdict.decision, report.verdict.rule));
        assert_eq!(again.verdict.counts, report.verdict.counts);
        assert_eq!((again.peers.len(), again.votes[0].strangers), (20, 16), "strangers fill up");
    }
    // What the hub told of them names nobody.
    let told = format!("{:?} {}", report.peers, report.to_json());
    assert!(!told.contains('@'), "{told}");

    // Bob has one edge, and is told that this is too few.
    let report = town.report(&friends[0], 20, 0.7).await;
    assert_eq!((report.verdict.decision, report.verdict.rule), (Decision::Undecided, Rule::NotEnough));
    assert!(matches!(report.votes[0].outcome, EdgeOutcome::TooFew { .. }), "{:?}", report.verdict.reasons);
}

/// As many liars as issue and README say, or as files may be open here.
fn crowd() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    // Both ends are in this process.
    let files: usize = line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX);
    let crowd = (files.saturating_sub(600) / 3).min(1_000);
    if crowd < 1_000 {
        tracing::warn!(crowd, "fewer liars: no more files may be open; raise the limit (ulimit -n)");
    }
    crowd
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_liars_without_an_edge_change_nothing() {
    let town = Town::start().await;
    let (ann, _friends, _peers) = ann_and_friends(&town).await;
    let before = town.report(&ann, 100, 0.7).await;
    assert_eq!(before.verdict.decision, Decision::Trusted);
    let (crowd, mut liars) = (crowd(), Vec::new());
    for begin in (0..crowd).step_by(20) {
        let attaching = (begin..crowd.min(begin + 20)).map(|number| {
            let source = town.lab.address(100 + (number % 100) as u8, 1 + (number / 100) as u8);
            let settings = PeerSettings { lie: Some(Lie::Text("BAD".into())), ..PeerSettings::default() };
            town.lab.peer(&town.hub, source, settings)
        });
        liars.extend(futures_util::future::try_join_all(attaching).await.unwrap());
    }
    assert_eq!(liars.len(), crowd);
    let after = town.report(&ann, 100, 0.7).await;
    assert_eq!((after.peers.len(), after.votes[0].strangers), (100, 96), "{:?}", after.hubs);
    assert_eq!((after.verdict.decision, after.verdict.rule), (before.verdict.decision, before.verdict.rule));
    assert_eq!((after.verdict.counts, &after.votes[0].vote), (before.verdict.counts, &before.votes[0].vote));
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_of_friends_come_through_the_friend_and_one_liar_has_one_share() {
    let town = Town::start().await;
    let (ann, friends, _peers) = ann_and_friends(&town).await;
    // Emil has befriended a crowd, which lies; and so does he, for Ann.
    let mut crowd = Vec::new();
    for number in 0..6 {
        let eve = town.person(&format!("eve{number}")).await;
        town.befriend(&friends[3], &eve).await;
        crowd.push(town.peer(&eve, 70 + number, Some(Lie::Text("BAD".into()))).await);
    }
    let report = town.report(&ann, 20, 0.7).await;
    let through = through(&town, &ann, &report).await;
    assert_eq!(through.keys().len(), 4, "{through:?}");
    assert!(through["emil@example.com"] > 1, "the crowd comes through Emil: {through:?}");
    assert_eq!(report.verdict.decision, Decision::Trusted, "{:?}", report.verdict.reasons);
    let EdgeOutcome::Trusted { .. } = report.votes[0].outcome else { panic!("{:?}", report.votes) };
    assert_eq!(report.votes[0].vote.edges(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_ends_at_once_when_one_side_takes_it_back() {
    let town = Town::start().await;
    let (ann, friends, _peers) = ann_and_friends(&town).await;
    assert_eq!(town.report(&ann, 5, 0.7).await.votes[0].vote.edges(), 4);
    for friend in &friends[..2] {
        town.trust_of(friend).withdraw(ann.mailbox(), soon()).await.unwrap();
    }
    let report = town.report(&ann, 5, 0.7).await;
    assert_eq!(report.votes[0].vote.edges(), 2, "{:?}", report.verdict.reasons);
    assert_eq!(report.verdict.rule, Rule::NotEnough);
    let list = town.trust_of(&ann).declared(soon()).await.unwrap();
    let states: Vec<_> = list.edges.iter().map(|edge| edge.state).collect();
    use TrustState::{Declared, Mutual};
    assert_eq!(states, [Declared, Declared, Mutual, Mutual]);
}
