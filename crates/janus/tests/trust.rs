//! Who trusts whom, who sees whom and through which edge, and who is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parallax_core::Fingerprint;
use parallax_janus::trust::{
    BadCircle, Candidate, Circle, Dealer, DeclareError, Graph, LONGEST_ROUTE, MAX_DECLARED, REACH, SavedDeclaration,
    SavedPerson, UserId, Visible,
};
use parallax_janus::{Mailbox, SmallNetwork};
use proptest::prelude::*;

use support::Counter;
use support::keys::PureRust;

fn user(index: u32) -> UserId {
    UserId::from_index(index)
}

fn graph(users: u32, edges: &[(u32, u32)]) -> Graph {
    let mut graph = Graph::new([7; 32]);
    graph.reserve(user(users - 1));
    for (one, other) in edges {
        graph.connect(&PureRust, user(*one), user(*other));
    }
    graph
}

/// Each user with ten neighbours or so.
fn many(users: u32) -> Graph {
    let edges: Vec<_> =
        (0..users).flat_map(|one| (1..=5).map(move |step| (one, (one + step * step * 7 + step) % users))).collect();
    graph(users, &edges)
}

/// What hops would carry, one by one, is what is seen by walking back.
fn both_ways_agree(graph: &Graph) {
    let mut sent: BTreeSet<(UserId, UserId, UserId)> = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for index in 0..graph.len() as u32 {
        let me = user(index);
        sent.extend(graph.reached_by(me).iter().map(|one| (me, one.peer, one.edge)));
        seen.extend(graph.visible_to(me).iter().map(|one| (one.peer, me, one.edge)));
        assert!(seen.iter().all(|(peer, to, _)| peer != to), "nobody sees themselves");
        assert!(graph.reached_by(me).len() <= REACH);
    }
    assert_eq!(sent, seen);
}

#[test]
fn an_advertisement_reaches_its_hundred() {
    let graph = many(2_000);
    both_ways_agree(&graph);
    for index in 0..2_000 {
        let visible = graph.visible_to(user(index));
        let peers: BTreeSet<_> = visible.iter().map(|one| one.peer).collect();
        assert!((60..=250).contains(&peers.len()), "{index} sees {}", peers.len());
        assert!(visible.iter().all(|one| graph.are_connected(user(index), one.edge) && one.hops <= LONGEST_ROUTE));
        let neighbours: BTreeSet<_> = graph.neighbours(user(index)).collect();
        let nearest: BTreeSet<_> = visible.iter().filter(|one| one.hops == 1).map(|one| one.peer).collect();
        assert_eq!(neighbours, nearest, "whom I trust I see");
    }
}

/// However many false identities hide behind an edge, and however they arrange themselves, they all arrive through it.
#[test]
fn a_crowd_behind_one_edge_comes_through_one_edge() {
    let honest = 50;
    let ring: Vec<(u32, u32)> =
        (0..honest).flat_map(|one| (1..=3).map(move |step| (one, (one + step) % honest))).collect();
    let chain: Vec<(u32, u32)> = (honest..honest + 1_000).map(|one| (one, one + 1)).collect();
    let star: Vec<(u32, u32)> = (honest + 1..honest + 1_000).map(|one| (honest, one)).collect();
    let mesh: Vec<(u32, u32)> = (honest..honest + 1_000)
        .flat_map(|one| (1..=8).map(move |step| (one, honest + (one + step * 31) % 1_000)))
        .collect();
    for crowd in [chain, star, mesh] {
        // One false identity befriended user 0.
        let graph = graph(honest + 1_001, &[ring.as_slice(), &crowd, &[(0, honest)]].concat());
        both_ways_agree(&graph);
        for index in 0..honest {
            let visible = graph.visible_to(user(index));
            let evil = visible.iter().filter(|one| one.peer.index() >= honest as usize);
            let edges: BTreeSet<_> = evil.map(|one| one.edge).collect();
            match index {
                0 => assert_eq!(edges, BTreeSet::from([user(honest)])),
                _ => assert!(edges.len() <= 1, "user {index}: {edges:?}"),
            }
        }
    }
}

#[test]
fn what_can_be_wrong_with_an_edge_changes_nothing() {
    let mut graph = graph(3, &[(0, 1)]);
    assert!(!graph.connect(&PureRust, user(0), user(1)), "twice");
    assert!(!graph.connect(&PureRust, user(0), user(0)), "with oneself");
    assert!(!graph.connect(&PureRust, user(0), user(3)), "with nobody");
    assert!(!graph.part(user(0), user(2)) && !graph.part(user(7), user(8)));
    assert_eq!(graph.visible_to(user(9)), []);
    assert_eq!(graph.visible_to(user(0)), [Visible { peer: user(1), edge: user(1), hops: 1 }]);
    assert!(graph.part(user(1), user(0)));
    assert_eq!(graph.visible_to(user(0)), []);
}

proptest! {
    #[test]
    fn walking_back_is_walking_forth(edges in proptest::collection::vec((0_u32..30, 0_u32..30), 0..200), parted in 0_usize..50) {
        let mut graph = graph(30, &edges);
        for (one, other) in edges.iter().take(parted) {
            graph.part(user(*one), user(*other));
        }
        both_ways_agree(&graph);
        for index in 0..30 {
            for neighbour in graph.neighbours(user(index)) {
                prop_assert!(graph.are_connected(neighbour, user(index)), "an edge has two ends");
            }
        }
    }
}

fn mailbox(name: &str) -> Mailbox {
    format!("{name}@example.com").parse().unwrap()
}

fn key(byte: u8) -> Fingerprint {
    Fingerprint::from_bytes([byte; 32])
}

struct People(Circle);

impl People {
    fn new() -> Self {
        let mut circle = Circle::new(Arc::new(PureRust), [7; 32]);
        for (name, byte) in [("ann", 1), ("bob", 2), ("eve", 3)] {
            circle.prove(&mailbox(name), key(byte)).unwrap();
        }
        Self(circle)
    }

    fn declare(&mut self, who: (&str, u8), whom: &str) {
        self.0.declare(&mailbox(who.0), key(who.1), &mailbox(whom)).unwrap();
    }

    fn withdraw(&mut self, who: (&str, u8), whom: &str) {
        self.0.withdraw(&mailbox(who.0), key(who.1), &mailbox(whom)).unwrap();
    }

    fn counts(&self, who: (&str, u8), whom: &str) -> bool {
        let user = self.0.user(&mailbox(who.0), key(who.1)).expect("the current key");
        self.0.edges(user).iter().any(|edge| edge.mailbox == mailbox(whom) && edge.counts)
    }

    fn load(&self) -> Self {
        let saved = (0..100).filter_map(|number| self.0.saved(user(number))).collect();
        Self(Circle::load(Arc::new(PureRust), [7; 32], saved).unwrap())
    }
}

const ANN: (&str, u8) = ("ann", 1);
const BOB: (&str, u8) = ("bob", 2);

#[test]
fn an_edge_counts_when_both_sides_declared_it() {
    let mut people = People::new();
    people.declare(ANN, "bob");
    assert!(!people.counts(ANN, "bob"));
    people.declare(BOB, "ann");
    assert!(people.counts(ANN, "bob") && people.counts(BOB, "ann"));
    people.declare(BOB, "ann");
    assert!(people.counts(ANN, "bob"), "twice is once");
    people.withdraw(ANN, "bob");
    assert!(!people.counts(BOB, "ann"), "one side ends it");
    people.declare(ANN, "bob");
    assert!(people.counts(BOB, "ann"));
}

#[test]
fn a_mailbox_that_may_have_changed_hands_waits_for_both() {
    let mut people = People::new();
    people.declare(ANN, "bob");
    people.declare(BOB, "ann");
    people.0.prove(&mailbox("bob"), key(2)).unwrap();
    assert!(people.counts(ANN, "bob"), "the same key changes nothing");
    people.0.prove(&mailbox("bob"), key(22)).unwrap();
    assert!(!people.counts(ANN, "bob"));
    let error = people.0.declare(&mailbox("bob"), key(2), &mailbox("ann")).unwrap_err();
    assert_eq!(error, DeclareError::OldKey);
    // Whoever holds the mailbox now sees the old declaration, and it does not count for them.
    people.declare(("bob", 22), "ann");
    assert!(!people.counts(ANN, "bob"), "ann has not said yes to the new key");
    people.declare(ANN, "bob");
    assert!(people.counts(ANN, "bob"));
    // The old key does not bring the old state back.
    people.0.prove(&mailbox("bob"), key(2)).unwrap();
    assert!(!people.counts(ANN, "bob"));
    let loaded = people.load();
    assert!(!loaded.counts(ANN, "bob"));
}

#[test]
fn whom_nobody_knows_can_be_declared_and_is_bound_when_they_answer() {
    let mut people = People::new();
    people.declare(ANN, "carl");
    let known = people.0.declare(&mailbox("ann"), key(1), &mailbox("bob"));
    let unknown = people.0.declare(&mailbox("ann"), key(1), &mailbox("dora"));
    assert!(known.is_ok() && unknown.is_ok(), "nothing tells");
    people.0.prove(&mailbox("carl"), key(4)).unwrap();
    assert!(!people.counts(ANN, "carl"));
    people = people.load();
    people.declare(("carl", 4), "ann");
    assert!(people.counts(ANN, "carl"));
    people.0.prove(&mailbox("carl"), key(5)).unwrap();
    people.declare(("carl", 5), "ann");
    assert!(!people.counts(ANN, "carl"), "bound to the first key");
}

#[test]
fn what_cannot_be_declared() {
    let mut people = People::new();
    let mut declare = |who: &str, byte, whom: &str| people.0.declare(&mailbox(who), key(byte), &mailbox(whom)).err();
    assert_eq!(declare("ann", 9, "bob"), Some(DeclareError::OldKey));
    assert_eq!(declare("nobody", 1, "bob"), Some(DeclareError::OldKey));
    assert_eq!(declare("ann", 1, "ann"), Some(DeclareError::Oneself));
    for number in 0..MAX_DECLARED {
        assert_eq!(declare("ann", 1, &format!("friend{number}")), None);
    }
    assert_eq!(declare("ann", 1, "bob"), Some(DeclareError::TooMany));
    assert_eq!(declare("ann", 1, "friend7"), None, "again is no more");
}

#[test]
fn naming_people_and_taking_it_back_fills_nothing() {
    let mut people = People::new();
    for number in 0..10_000 {
        let name = format!("nobody{number}");
        people.declare(ANN, &name);
        people.declare(("eve", 3), &name);
        people.withdraw(ANN, &name);
        people.withdraw(("eve", 3), &name);
    }
    assert!(people.0.graph().len() <= 5, "{}", people.0.graph().len());
    assert!(people.load().0.user(&mailbox("ann"), key(1)).is_some());
}

#[test]
fn what_was_kept_is_the_same_when_it_is_loaded() {
    let mut people = People::new();
    for number in 0..40_u8 {
        people.0.prove(&mailbox(&format!("p{number}")), key(100 + number)).unwrap();
    }
    for number in 0..40_u8 {
        for step in 1..6 {
            let other = (number + step * step) % 40;
            people.declare((&format!("p{number}"), 100 + number), &format!("p{other}"));
            people.declare((&format!("p{other}"), 100 + other), &format!("p{number}"));
        }
    }
    people.declare(ANN, "nobody");
    people.declare(ANN, "somebody");
    people.withdraw(ANN, "nobody");
    let loaded = people.load();
    for index in 0..people.0.graph().len() as u32 {
        assert_eq!(loaded.0.saved(user(index)), people.0.saved(user(index)));
        let neighbours = |people: &People| people.0.graph().neighbours(user(index)).collect::<Vec<_>>();
        assert_eq!(neighbours(&loaded), neighbours(&people), "the tables are the same");
        assert_eq!(loaded.0.graph().visible_to(user(index)), people.0.graph().visible_to(user(index)));
    }
}

#[test]
fn what_was_kept_and_cannot_be_is_refused() {
    let ann = || SavedPerson {
        number: 0,
        mailbox: mailbox("ann"),
        key: Some(key(1)),
        era: 1,
        issued: None,
        declared: vec![],
    };
    let bob = || SavedPerson {
        number: 1,
        mailbox: mailbox("bob"),
        key: Some(key(2)),
        era: 1,
        issued: None,
        declared: vec![],
    };
    let to = |to, own, other| SavedDeclaration { to, own, other };
    let with = |declared: Vec<SavedDeclaration>| vec![SavedPerson { declared, ..ann() }, bob()];
    let load = |saved| Circle::load(Arc::new(PureRust), [7; 32], saved).map(drop);
    assert!(load(with(vec![to(1, 1, 0)])).is_ok());
    for (what, saved, part) in [
        ("twice", vec![ann(), ann()], "twice"),
        ("out of order", vec![bob(), ann()], "out of order"),
        ("too high", vec![SavedPerson { number: u32::MAX, ..ann() }], "too high"),
        ("a mailbox twice", vec![ann(), SavedPerson { mailbox: mailbox("ann"), ..bob() }], "mailbox"),
        ("a key without an era", vec![SavedPerson { era: 0, ..ann() }], "era"),
        ("an era without a key", vec![SavedPerson { key: None, ..ann() }], "era"),
        ("in nobody", with(vec![to(2, 1, 1)]), "in nobody"),
        ("in oneself", with(vec![to(0, 1, 1)]), "in oneself"),
        ("twice declared", with(vec![to(1, 1, 1), to(1, 1, 0)]), "there twice"),
        ("of an era to come", with(vec![to(1, 2, 1)]), "never had"),
        ("of no era", with(vec![to(1, 0, 1)]), "never had"),
        ("for an era to come", with(vec![to(1, 1, 2)]), "the other side never had"),
        ("too many", with((0..501).map(|n| to(n + 2, 1, 0)).collect()), "500"),
    ] {
        let error: BadCircle = load(saved).expect_err(what);
        assert!(error.to_string().contains(part), "{what}: {error}");
    }
}

fn candidate(peer: u32, edge: u32, network: u32) -> Candidate<u32> {
    let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + (network << 8));
    Candidate { peer, edge: (edge > 0).then(|| user(edge)), network: SmallNetwork::of(address.into()) }
}

fn dealt(candidates: Vec<Candidate<u32>>, most: usize) -> Vec<Candidate<u32>> {
    let mut rng = Counter(3);
    let mut dealer = Dealer::new(candidates, false, &mut rng);
    (0..most).map_while(|_| dealer.deal(&mut rng)).collect()
}

fn by_edge(dealt: &[Candidate<u32>]) -> BTreeMap<Option<UserId>, usize> {
    dealt.iter().fold(BTreeMap::new(), |mut counts, one| {
        *counts.entry(one.edge).or_default() += 1;
        counts
    })
}

#[test]
fn every_edge_has_its_turn_whatever_stands_behind_it() {
    let crowd = (0..1_000).map(|peer| candidate(peer, 1, peer));
    let strangers = (1_000..9_000).map(|peer| candidate(peer, 0, peer));
    let few = (9_000..9_012).map(|peer| candidate(peer, 2 + peer % 3, peer));
    let dealt = dealt(crowd.chain(strangers).chain(few).collect(), 20);
    let counts = by_edge(&dealt);
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [4; 5], "{counts:?}");
    for turn in dealt.chunks(5) {
        assert_eq!(turn.iter().map(|one| one.edge).collect::<BTreeSet<_>>().len(), 5, "in turn");
    }
}

#[test]
fn one_identity_is_asked_once_and_two_of_a_network() {
    let twice = vec![candidate(1, 1, 1), candidate(1, 2, 1), candidate(1, 3, 1), candidate(1, 0, 1)];
    assert_eq!(dealt(twice, 20).len(), 1);
    let one_network = (0..50).map(|peer| candidate(peer, peer % 5, 9)).collect();
    assert_eq!(dealt(one_network, 20).len(), 2);
    assert_eq!(dealt(vec![], 20), []);
}

#[test]
fn who_fails_is_replaced_from_the_same_edge() {
    let mut rng = Counter(3);
    let candidates = vec![candidate(1, 1, 1), candidate(2, 1, 1), candidate(3, 1, 1), candidate(4, 2, 2)];
    let mut dealer = Dealer::new(candidates, false, &mut rng);
    let first = std::iter::from_fn(|| dealer.deal(&mut rng)).find(|one| one.edge == Some(user(1))).unwrap();
    dealer.failed(&first);
    let next = dealer.deal(&mut rng).unwrap();
    assert_eq!((next.edge, next.network), (first.edge, first.network));
    assert_ne!(next.peer, first.peer);
}

proptest! {
    /// The shares of two edges differ by more than one only where an edge has nobody left.
    #[test]
    fn shares_are_even(peers in proptest::collection::vec((0_u32..40, 0_u32..6, 0_u32..30), 0..120), wanted in 0_usize..40, seed: u64) {
        let candidates: Vec<_> = peers.iter().map(|(peer, edge, network)| candidate(*peer, *edge, *network)).collect();
        let mut rng = Counter(seed);
        let mut dealer = Dealer::new(candidates.clone(), false, &mut rng);
        let dealt: Vec<_> = (0..wanted).map_while(|_| dealer.deal(&mut rng)).collect();
        let identities: BTreeSet<_> = dealt.iter().map(|one| one.peer).collect();
        prop_assert_eq!(identities.len(), dealt.len());
        for one in &dealt {
            prop_assert!(dealt.iter().filter(|other| other.network == one.network).count() <= 2);
        }
        let counts = by_edge(&dealt);
        let most = counts.values().copied().max().unwrap_or(0);
        for one in candidates {
            let left = !identities.contains(&one.peer) && dealt.iter().filter(|other| other.network == one.network).count() < 2;
            if left {
                prop_assert!(counts.get(&one.edge).copied().unwrap_or(0) + 1 >= most, "{counts:?}, {one:?} was left");
            }
        }
    }
}
