//! The rules, in their order.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use parallax_core::Fingerprint;

use super::*;

// Rule 1: a peer's identity is its key.

#[test]
fn fifty_connections_of_one_key_are_one_peer_and_one_vote() {
    let mut world = World::open();
    for _ in 0..50 {
        world.attach(1).unwrap();
    }
    assert_eq!(world.hub.peers(), 1);
    assert_eq!(world.detached.len(), 49);
    assert!(world.detached.iter().all(|(_, why)| *why == Detached::Replaced));
    let ask = world.ask(20);
    world.all_reply(|_| "lie");
    assert_eq!(world.words(ask), ["lie"]);
    assert_eq!(world.end_of(ask), Some((counts(1, 1, 0, 0), Ended::NobodyLeft)));
}

#[test]
fn a_reconnect_takes_the_old_place_with_what_was_asked_and_spent() {
    let mut world = World::open();
    let old = world.attach_from(1, IpAddr::from([10, 0, 0, 1]), 2).unwrap();
    let ask = world.ask(1);
    let (_, look) = world.looks.pop().unwrap();
    let new = world.attach_from(1, IpAddr::from([10, 9, 9, 1]), 2).unwrap();
    assert_eq!(world.detached, [(old, Detached::Replaced)]);
    world.gone(old);
    world.reply((new, look), "yes").unwrap();
    assert_eq!(world.end_of(ask), Some((counts(1, 1, 0, 0), Ended::Complete)));
    // One look of its two a minute is spent, reconnected or not.
    let second = world.ask(1);
    world.all_reply(|_| "yes");
    let third = world.ask(1);
    assert_eq!(world.end_of(second).unwrap().1, Ended::Complete);
    assert_eq!(world.end_of(third), Some((counts(0, 0, 0, 0), Ended::NobodyLeft)));
}

#[test]
fn a_connection_is_one_peers() {
    let mut world = World::open();
    let connection = world.attach(1).unwrap();
    let attach = Attach { region: None, looks_per_minute: 60 };
    let spki = Arc::from([2].as_slice());
    let other = Attaching { peer: id(2), spki, address: IpAddr::from([10, 0, 0, 2]), connection, attach };
    assert_eq!(world.hub.attach(other, START), Err(Refused::OtherKey));
}

// Rule 2: what is remembered answers first.

fn remembered(max_age_secs: u32, replies: u16) -> Ask {
    Ask { max_age_secs, ..World::asking(replies, 2) }
}

#[test]
fn remembered_views_answer_first_and_count_against_n_exactly() {
    let mut world = World::open().with_peers(1..=10);
    world.ask_as(100, remembered(300, 4)).unwrap();
    world.all_reply(|_| "old");
    assert_eq!(world.rows.len(), 4, "one for each peer and service");
    world.pass(Duration::from_secs(1));
    let ask = world.ask_as(200, remembered(300, 6)).unwrap();
    assert_eq!(world.words(ask), ["old"; 4], "without anybody being asked");
    world.all_reply(|_| "new");
    assert_eq!(world.end_of(ask), Some((counts(2, 6, 4, 0), Ended::Complete)));
    let distinct: HashSet<_> = world.peers_of(ask).into_iter().collect();
    assert_eq!(distinct.len(), 6, "nobody is counted twice");
    let flags: Vec<_> = world.answers.iter().filter(|(one, _)| *one == ask).map(|(_, one)| one.cached).collect();
    assert_eq!(flags, [true, true, true, true, false, false]);
}

#[test]
fn the_window_is_five_minutes_or_what_the_asker_says() {
    let mut world = World::open().with_peers(1..=3);
    world.ask_as(100, remembered(300, 3)).unwrap();
    world.all_reply(|_| "old");
    world.hub.stop();
    world.act();
    for (after_secs, max_age_secs, cached) in [(10, 300, 3), (60, 59, 0), (60, 61, 3), (60, 0, 0), (301, 86_400, 0)] {
        let rows: Vec<Row> = world.rows.values().cloned().collect();
        let mut later = World::open();
        later.rows = rows.into_iter().map(|row| ((row.peer, row.service.clone()), row)).collect();
        later.now = START.plus(Duration::from_secs(after_secs));
        let ask = later.ask_as(200, remembered(max_age_secs, 3)).unwrap();
        let found = later.end_of(ask).unwrap().0.cached;
        assert_eq!(found, cached, "{after_secs} s old, at most {max_age_secs} s");
    }
}

#[test]
fn the_newest_view_of_a_peer_replaces_the_older_and_nobody_meets_his_own() {
    let mut world = World::open().with_peers([1]);
    world.ask_as(100, remembered(0, 1)).unwrap();
    world.all_reply(|_| "first");
    world.pass(Duration::from_secs(1));
    world.ask_as(100, remembered(0, 1)).unwrap();
    world.all_reply(|_| "second");
    assert_eq!(world.rows.len(), 1);
    let ask = world.ask_as(200, remembered(300, 1)).unwrap();
    assert_eq!(world.words(ask), ["second"]);
    let own = world.ask_as(1, remembered(300, 1)).unwrap();
    assert_eq!(world.end_of(own), Some((counts(0, 0, 0, 0), Ended::NobodyLeft)));
}

#[test]
fn a_view_that_counts_no_longer_is_not_given() {
    let mut world = World::open();
    let valid_until = START.plus(Duration::from_secs(10));
    let row = Row {
        peer: id(1),
        spki: PeerSpki(vec![1]),
        service: service(),
        network: IpAddr::from([10, 0, 0, 0]),
        at: START,
        valid_until,
        view: view(id(1), &service(), Nonce([0; 32]), "old", START),
    };
    world.rows.insert((id(1), service()), row);
    world.pass(Duration::from_secs(11));
    let ask = world.ask_as(200, remembered(300, 1)).unwrap();
    assert_eq!(world.end_of(ask), Some((counts(0, 0, 0, 0), Ended::NobodyLeft)));
}

// Rule 3: the rest are asked at random.

#[test]
fn at_most_two_of_a_network_and_no_limit_where_it_is_lifted() {
    for (settings, wanted) in
        [(HubSettings::default(), 2), (HubSettings { views_a_network: None, ..HubSettings::default() }, 8)]
    {
        for addresses in [
            (1..=8).map(|last| IpAddr::from([192, 0, 2, last])).collect::<Vec<_>>(),
            (1..=8).map(|last| IpAddr::from([0x2001, 0xdb8, 5, last, 0, 0, 0, 1])).collect(),
            (1..=8).map(|last| IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0200 + last])).collect(),
        ] {
            let mut world = World::new(settings.clone());
            for (seed, address) in addresses.iter().enumerate() {
                world.attach_from(seed as u64 + 1, *address, 60).unwrap();
            }
            let ask = world.ask(20);
            world.all_reply(|_| "yes");
            assert_eq!(world.end_of(ask), Some((counts(wanted, wanted, 0, 0), Ended::NobodyLeft)), "{addresses:?}");
            let networks: HashSet<_> = world.answers.iter().map(|(_, answer)| &answer.network).collect();
            assert_eq!(networks.len(), 1, "one network, one word");
        }
    }
}

#[test]
fn remembered_views_fill_their_network_too() {
    let mut world = World::new(HubSettings::default());
    for seed in 1..=4 {
        world.attach_from(seed, IpAddr::from([192, 0, 2, seed as u8]), 60).unwrap();
    }
    world.ask_as(100, remembered(300, 2)).unwrap();
    world.all_reply(|_| "yes");
    let ask = world.ask_as(200, remembered(300, 4)).unwrap();
    assert_eq!(world.end_of(ask), Some((counts(0, 2, 2, 0), Ended::NobodyLeft)));
}

#[test]
fn never_the_asker_itself() {
    let mut world = World::open().with_peers(1..=3);
    let ask = world.ask_as(2, World::asking(10, 1)).unwrap();
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(ask), Some((counts(2, 2, 0, 0), Ended::NobodyLeft)));
    assert!(!world.peers_of(ask).contains(&id(2).as_bytes().to_vec()));
}

#[test]
fn peers_are_chosen_by_chance() {
    let mut world = World::open().with_peers(1..=20);
    let mut met = BTreeMap::new();
    for nonce in 0..200 {
        let ask = world.ask_as(1_000 + u64::from(nonce), World::asking(5, nonce)).unwrap();
        world.all_reply(|_| "yes");
        world.peers_of(ask).into_iter().for_each(|peer| *met.entry(peer).or_insert(0) += 1);
    }
    assert_eq!(met.len(), 20);
    assert!(met.values().all(|times| (25..=80).contains(times)), "about 50 each: {met:?}");
}

#[test]
fn who_fails_or_goes_away_is_replaced_while_time_is_left() {
    let mut world = World::open().with_peers(1..=6);
    let ask = world.ask(3);
    let looks = std::mem::take(&mut world.looks);
    assert_eq!(looks.len(), 3);
    world.gone(looks[0].0);
    let (connection, look) = &looks[1];
    world.seen(*connection, Seen { look_id: look.look_id, view: None, unseen: Some(Unseen::Busy) }).unwrap();
    let garbage = Signed { body: "{}".into(), signature: String::new() };
    let seen = Seen { look_id: looks[2].1.look_id, view: Some(garbage), unseen: None };
    assert_eq!(world.seen(looks[2].0, seen), Err(Refused::Malformed("it is no view")));
    assert_eq!(world.looks.len(), 3, "three others were asked");
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(ask), Some((counts(6, 3, 0, 3), Ended::Complete)));
}

#[test]
fn who_is_slow_is_replaced_but_still_heard() {
    let mut world = World::open().with_peers(1..=2);
    let ask = world.ask(1);
    let slow = world.looks.pop().unwrap();
    world.pass(Duration::from_millis(2_500));
    assert_eq!(world.looks.len(), 1, "the other one was asked in its place");
    world.reply(slow, "late").unwrap();
    assert_eq!(world.end_of(ask), Some((counts(2, 1, 0, 1), Ended::Complete)));
    assert_eq!(world.words(ask), ["late"]);
    let other = world.looks.pop().unwrap();
    assert_eq!(world.reply(other, "too late"), Err(Refused::Unasked), "exactly N");
}

#[test]
fn it_ends_early_when_nobody_is_left() {
    let mut world = World::open().with_peers(1..=3);
    let ask = world.ask(20);
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(ask), Some((counts(3, 3, 0, 0), Ended::NobodyLeft)));
    assert_eq!(world.now, START, "no time has passed");
    let nobody = World::open().ask(5);
    assert_eq!(nobody, AskId(0));
}

#[test]
fn who_never_answers_is_given_up_before_the_deadline() {
    let mut world = World::open().with_peers(1..=2);
    let ask = world.ask(2);
    let (first, _silent) = (world.looks.pop().unwrap(), world.looks.pop().unwrap());
    world.reply(first, "yes").unwrap();
    world.pass(Duration::from_millis(4_999));
    assert_eq!(world.end_of(ask), None);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.end_of(ask), Some((counts(2, 1, 0, 1), Ended::NobodyLeft)));
}

#[test]
fn the_deadline_ends_it() {
    let mut world = World::open().with_peers(1..=2);
    let ask = world.ask_as(50, Ask { deadline_ms: 1_000, ..World::asking(2, 1) }).unwrap();
    let look = world.looks.pop().unwrap();
    assert_eq!(look.1.wait_ms, 1_000, "the peer knows how long it may take");
    world.reply(look, "yes").unwrap();
    world.pass(Duration::from_millis(1_000));
    assert_eq!(world.end_of(ask), Some((counts(2, 1, 0, 1), Ended::Deadline)));
}

fn edge(seed: u8) -> Edge {
    Edge(Fingerprint::from_bytes([seed; 32]))
}

/// How many views came over each edge, strangers under `None`.
fn shares(world: &World, ask: AskId, asker: u64) -> BTreeMap<Option<u8>, usize> {
    let mut shares = BTreeMap::new();
    for (_, answer) in world.answers.iter().filter(|(one, _)| *one == ask) {
        let found = (1..=9).find(|seed| world.hub.edge_word(id(asker), edge(*seed)) == answer.edge);
        assert_eq!(found.is_some(), answer.trusted, "{answer:?}");
        *shares.entry(found).or_insert(0) += 1;
    }
    shares
}

fn through(replies: u16, max_age_secs: u32, nonce: u8, piles: Vec<(Edge, Vec<VantageId>)>) -> Asking {
    let ask = Ask { max_age_secs, ..World::asking(replies, nonce) };
    Asking { asker: id(9_999), ask, target: None, sight: Sight::Through(piles) }
}

#[test]
fn whom_the_asker_may_see_is_dealt_over_the_edges() {
    let mut world = World::open().with_peers(1..=40);
    let piles = vec![
        (edge(1), (1..=30).map(id).collect()),
        (edge(2), vec![id(31), id(32)]),
        // Who is not there loses no turn for those who are.
        (edge(3), (900..=980).chain([33]).map(id).collect()),
    ];
    let ask = world.ask_with(through(5, 0, 1, piles)).unwrap();
    world.all_reply(|_| "yes");
    let shares = shares(&world, ask, 9_999);
    assert_eq!(shares[&Some(3)], 1);
    assert!([[2, 2]].contains(&[shares[&Some(1)], shares[&Some(2)]]), "thirty behind one edge: {shares:?}");
    assert_eq!(world.end_of(ask).unwrap().1, Ended::Complete);
}

#[test]
fn strangers_come_after_the_edges_and_are_one_edge() {
    let mut world = World::open().with_peers(1..=40);
    let piles = || vec![(edge(1), vec![id(1)]), (edge(2), vec![id(2), id(3)])];
    let ask = world.ask_with(through(3, 0, 1, piles())).unwrap();
    world.all_reply(|_| "yes");
    assert_eq!(shares(&world, ask, 9_999), BTreeMap::from([(Some(1), 1), (Some(2), 2)]), "no stranger is asked");
    let ask = world.ask_with(through(10, 0, 2, piles())).unwrap();
    world.all_reply(|_| "yes");
    assert_eq!(shares(&world, ask, 9_999), BTreeMap::from([(Some(1), 1), (Some(2), 2), (None, 7)]));
    let strangers: BTreeSet<_> =
        world.answers.iter().filter(|(_, one)| !one.trusted).map(|(_, one)| &one.edge).collect();
    assert_eq!(strangers.len(), 1);
}

#[test]
fn what_is_remembered_takes_its_turn_too() {
    let mut world = World::open().with_peers(1..=40);
    // Forty views are remembered: of thirty strangers, nine behind edge 1, and one behind edge 2.
    let first = world.ask_as(50, Ask { max_age_secs: 300, ..World::asking(40, 1) }).unwrap();
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(first).unwrap().0.answered, 40);
    world.attach(41).unwrap();
    let piles = vec![(edge(1), (1..=9).map(id).collect()), (edge(2), vec![id(10)]), (edge(3), vec![id(41)])];
    let ask = world.ask_with(through(4, 300, 2, piles.clone())).unwrap();
    world.all_reply(|_| "yes");
    assert_eq!(shares(&world, ask, 9_999), BTreeMap::from([(Some(1), 2), (Some(2), 1), (Some(3), 1)]));
    assert_eq!(world.end_of(ask), Some((counts(1, 4, 3, 0), Ended::Complete)), "who is not remembered is asked");
    let ask = world.ask_with(through(15, 300, 3, piles)).unwrap();
    assert_eq!(shares(&world, ask, 9_999), BTreeMap::from([(Some(1), 9), (Some(2), 1), (Some(3), 1), (None, 4)]));
    assert_eq!(world.end_of(ask), Some((counts(0, 15, 15, 0), Ended::Complete)));
}

#[test]
fn who_comes_through_two_edges_comes_through_one() {
    let mut world = World::open().with_peers(1..=2);
    let piles = vec![(edge(1), vec![id(1), id(2)]), (edge(2), vec![id(1), id(2)])];
    let ask = world.ask_with(through(9, 0, 1, piles)).unwrap();
    world.all_reply(|_| "yes");
    assert_eq!(world.peers_of(ask).len(), 2);
    assert_eq!(shares(&world, ask, 9_999).len(), 1, "both have their place at the first edge");
}

#[test]
fn a_failure_gives_its_edge_the_next_turn() {
    let mut world = World::open().with_peers(1..=5);
    let piles = vec![(edge(1), vec![id(1), id(2), id(3)]), (edge(2), vec![id(4), id(5)])];
    let ask = world.ask_with(through(2, 0, 1, piles)).unwrap();
    let of_two = |world: &World, (connection, _): &(ConnectionId, Look)| world.connections[connection] >= id(4);
    let at = world.looks.iter().position(|look| of_two(&world, look)).unwrap();
    let (connection, look) = world.looks.remove(at);
    world.seen(connection, Seen { look_id: look.look_id, view: None, unseen: Some(Unseen::Failed) }).unwrap();
    assert!(of_two(&world, world.looks.last().unwrap()));
    world.all_reply(|_| "yes");
    assert_eq!(shares(&world, ask, 9_999), BTreeMap::from([(Some(1), 1), (Some(2), 1)]));
}

// Rule 4: one answer per asked peer.

#[test]
fn one_answer_per_asked_peer() {
    let mut world = World::open().with_peers(1..=2);
    let ask = world.ask(2);
    let (one, other) = (world.looks.pop().unwrap(), world.looks.pop().unwrap());
    world.reply(one.clone(), "first").unwrap();
    assert_eq!(world.reply(one.clone(), "second"), Err(Refused::Unasked));
    // Nor may one answer for the other.
    assert_eq!(world.reply((one.0, other.1.clone()), "for another"), Err(Refused::Unasked));
    assert_eq!(world.words(ask), ["first"]);
    assert_eq!(world.hub.stats().unasked, 2);
    world.reply(other, "own").unwrap();
    assert_eq!(world.end_of(ask), Some((counts(2, 2, 0, 0), Ended::Complete)));
}

// Rule 5: idle and silent.

#[test]
fn idle_peers_are_pinged_and_silent_ones_detached() {
    let mut world = World::open().with_peers([1, 2]);
    world.pass(Duration::from_millis(4_999));
    assert!(world.pings.is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.pings.len(), 2);
    world.hub.heard(ConnectionId(0), world.now);
    world.pass(Duration::from_millis(9_999));
    assert_eq!((world.hub.peers(), world.pings.len()), (2, 3), "who answered is pinged again");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.detached, [(ConnectionId(1), Detached::Silent)]);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.hub.peers(), 0);
    assert_eq!(world.hub.next_deadline(), None, "a hub without peers sleeps");
}

#[test]
fn a_peer_that_goes_silent_with_a_look_is_replaced() {
    let settings = HubSettings { patience: Duration::from_secs(60), ..HubSettings::default() };
    let mut world = World::new(settings).with_peers([1, 2]);
    let ask = world.ask_as(100, Ask { deadline_ms: 20_000, ..World::asking(1, 1) }).unwrap();
    let (silent, _) = world.looks.pop().unwrap();
    let other = ConnectionId(1 - silent.0);
    for _ in 0..3 {
        world.pass(Duration::from_secs(5));
        world.hub.heard(other, world.now);
    }
    assert_eq!(world.detached, [(silent, Detached::Silent)]);
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(ask), Some((counts(2, 1, 0, 1), Ended::Complete)));
}

// Rule 6: an asker that leaves ends its question.

#[test]
fn an_asker_that_leaves_ends_its_question_and_leaves_nothing_behind() {
    let mut world = World::open().with_peers(1..=4);
    let ask = world.ask(4);
    world.hub.withdraw(ask);
    world.act();
    assert_eq!((world.hub.asks(), world.end_of(ask)), (0, None));
    for look in std::mem::take(&mut world.looks) {
        assert_eq!(world.reply(look, "yes"), Err(Refused::Unasked));
    }
    world.hub.withdraw(ask);
    assert!(world.answers.is_empty());
    let next = world.ask(4);
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(next).unwrap().1, Ended::Complete);
}

// Rule 7: bounds.

#[test]
fn a_peer_is_asked_no_more_than_it_offers() {
    let mut world = World::open();
    world.attach_from(1, IpAddr::from([10, 0, 0, 1]), 3).unwrap();
    let ends = (0..5).map(|nonce| {
        let ask = world.ask_as(100 + nonce, World::asking(1, nonce as u8)).unwrap();
        world.all_reply(|_| "yes");
        world.end_of(ask).unwrap().1
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends, [Ended::Complete, Ended::Complete, Ended::Complete, Ended::NobodyLeft, Ended::NobodyLeft]);
    world.hub.heard(ConnectionId(0), world.now);
    world.pass(Duration::from_secs(14));
    world.attach_from(1, IpAddr::from([10, 0, 0, 1]), 3).unwrap();
    world.pass(Duration::from_secs(6));
    let ask = world.ask(1);
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(ask).unwrap().1, Ended::Complete, "one more after twenty seconds");
}

#[test]
fn questions_of_one_key_are_bounded() {
    let mut world = World::new(HubSettings { asks_each_at_once: 2, ..HubSettings::default() }).with_peers([1]);
    world.ask(1);
    world.ask(1);
    assert_eq!(world.ask_as(9_999, World::asking(1, 1)), Err(Refused::TooMany(Duration::from_secs(1))));
    assert!(world.ask_as(8_888, World::asking(1, 1)).is_ok(), "another key has its own");
    let mut world = World::new(HubSettings::default());
    let looked_up = (0..30).filter(|_| world.hub.may_look_up(id(9_999), START).is_ok()).count();
    let asked = (0..30).filter(|_| world.ask_as(9_999, World::asking(1, 1)).is_ok()).count();
    assert_eq!((looked_up, asked), (20, 20), "nor may DNS be asked more often for it");
    world.pass(Duration::from_secs(1));
    assert!(world.ask_as(9_999, World::asking(1, 1)).is_ok());
}

#[test]
fn questions_and_peers_are_bounded_over_all() {
    let mut world = World::new(HubSettings { asks: 3, peers: 4, ..HubSettings::default() }).with_peers(1..=4);
    assert_eq!(world.attach(5), Err(Refused::Full));
    assert!(world.attach(4).is_ok(), "who is there may come again");
    assert!((100..103).all(|asker| world.ask_as(asker, World::asking(1, 1)).is_ok()));
    assert_eq!(world.ask_as(200, World::asking(1, 1)), Err(Refused::Busy));
    let mut crowded = World::new(HubSettings { peers_a_network: 2, ..HubSettings::default() });
    let from = |last| IpAddr::from([192, 0, 2, last]);
    crowded.attach_from(1, from(1), 60).unwrap();
    crowded.attach_from(2, from(2), 60).unwrap();
    assert_eq!(crowded.attach_from(3, from(3), 60), Err(Refused::NetworkFull));
    crowded.attach_from(4, IpAddr::from([198, 51, 100, 1]), 60).unwrap();
    assert_eq!(crowded.attach_from(4, from(4), 60), Err(Refused::NetworkFull), "nor by moving there");
    assert_eq!(crowded.hub.peers(), 3);
}

#[test]
fn looks_at_a_service_and_at_a_network_are_bounded_over_all_askers() {
    let few = PerMinute { rate: 6, burst: 6 };
    let plenty = PerMinute { rate: 1_000, burst: 1_000 };
    for (a_service, a_network, others_too) in [(few, plenty, false), (plenty, few, true)] {
        let settings = HubSettings { looks_a_service: a_service, looks_a_network: a_network, ..HubSettings::default() };
        let mut world = World::new(settings).with_peers(1..=10);
        let asking = |asker, name: &str, last| Asking {
            asker: id(asker),
            ask: Ask { service: name.parse().unwrap(), ..World::asking(4, 1) },
            target: Some(IpAddr::from([192, 0, 2, last])),
            sight: Sight::Everybody,
        };
        let first = world.ask_with(asking(100, "example.com", 1)).unwrap();
        world.all_reply(|_| "yes");
        let second = world.ask_with(asking(200, "example.com", 2)).unwrap();
        world.all_reply(|_| "yes");
        let third = world.ask_with(asking(300, "example.org", 3)).unwrap();
        world.all_reply(|_| "yes");
        assert_eq!(world.end_of(first).unwrap().1, Ended::Complete);
        assert_eq!(world.end_of(second), Some((counts(2, 2, 0, 0), Ended::Limited)));
        assert_eq!(world.end_of(third).unwrap().1 == Ended::Limited, others_too);
    }
}

// What askers are told of peers.

#[test]
fn words_for_networks_and_edges_are_constant_for_an_asker_and_differ_between_askers() {
    let mut world = World::open().with_peers(1..=2);
    let told = |asker, world: &mut World| {
        let ask = world.ask_as(asker, World::asking(2, 1)).unwrap();
        world.all_reply(|_| "yes");
        let of = world.answers.iter().filter(|(one, _)| *one == ask);
        let mut told: Vec<_> =
            of.map(|(_, answer)| (answer.peer.0.clone(), answer.network.clone(), answer.edge.clone())).collect();
        told.sort();
        told
    };
    let (first, again, other) = (told(100, &mut world), told(100, &mut world), told(200, &mut world));
    assert_eq!(first, again);
    assert_ne!(first[0].1, first[1].1, "two networks");
    assert_eq!(first[0].2, first[1].2, "all strangers are one edge");
    assert!(first.iter().zip(&other).all(|(one, other)| one.1 != other.1 && one.2 != other.2));
    assert!(!first[0].1.contains('.') && first[0].1.len() == 24);
}

#[test]
fn a_hub_that_stops_says_so() {
    let mut world = World::open().with_peers([1]);
    let ask = world.ask(1);
    world.hub.stop();
    world.act();
    assert_eq!(world.end_of(ask).unwrap().1, Ended::Stopping);
    assert_eq!(world.detached, [(ConnectionId(0), Detached::Stopping)]);
}
