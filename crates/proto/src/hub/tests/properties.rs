//! What holds whatever peers and askers do.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Deed {
    Attach(u64),
    Leave(u64),
    Ask { asker: u64, replies: u16, max_age_secs: u32 },
    Withdraw(usize),
    Reply { look: usize, word: &'static str },
    ReplyAs { look: usize, peer: u64 },
    Refuse(usize),
    Pass(u64),
    Speak(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let seed = 1u64..12;
    let deed = prop_oneof![
        4 => seed.clone().prop_map(Deed::Attach),
        2 => seed.clone().prop_map(Deed::Leave),
        4 => (seed.clone(), 1u16..9, prop_oneof![Just(0u32), Just(300)])
            .prop_map(|(asker, replies, max_age_secs)| Deed::Ask { asker, replies, max_age_secs }),
        1 => (0usize..20).prop_map(Deed::Withdraw),
        12 => (0usize..20, prop_oneof![Just("yes"), Just("no")]).prop_map(|(look, word)| Deed::Reply { look, word }),
        2 => (0usize..20, seed.clone()).prop_map(|(look, peer)| Deed::ReplyAs { look, peer }),
        1 => (0usize..20).prop_map(Deed::Refuse),
        3 => (1u64..4_000).prop_map(Deed::Pass),
        2 => seed.prop_map(Deed::Speak),
    ];
    prop::collection::vec(deed, 1..150)
}

/// Every question that was taken up, with who asked and for how many.
type Asked = HashMap<AskId, (VantageId, u16)>;

fn do_it(world: &mut World, deed: Deed, asked: &mut Asked) {
    let connection_of = |world: &World, seed| {
        world.connections.iter().find(|(_, peer)| **peer == id(seed)).map(|(connection, _)| *connection)
    };
    let look = |world: &World, index: usize| world.looks.get(index % world.looks.len().max(1)).cloned();
    match deed {
        Deed::Attach(seed) => {
            let _ = world.attach_from(seed, IpAddr::from([10, 0, (seed / 3) as u8, seed as u8]), 20);
        }
        Deed::Leave(seed) => connection_of(world, seed).into_iter().for_each(|connection| world.gone(connection)),
        Deed::Ask { asker, replies, max_age_secs } => {
            let nonce = asked.len() as u8;
            let ask = Ask { max_age_secs, ..World::asking(replies, nonce) };
            if let Ok(ask) = world.ask_as(asker, ask) {
                asked.insert(ask, (id(asker), replies));
            }
        }
        Deed::Withdraw(index) => {
            let mut open: Vec<_> = asked.keys().copied().collect();
            open.sort_unstable();
            if let Some(ask) = open.get(index % open.len().max(1)) {
                world.hub.withdraw(*ask);
            }
        }
        Deed::Reply { look: index, word } => look(world, index).into_iter().for_each(|look| {
            let _ = world.reply(look, word);
        }),
        Deed::ReplyAs { look: index, peer } => {
            if let (Some((_, look)), Some(connection)) = (look(world, index), connection_of(world, peer)) {
                let _ = world.reply((connection, look), "forged");
            }
        }
        Deed::Refuse(index) => look(world, index).into_iter().for_each(|(connection, look)| {
            let _ = world.seen(connection, Seen { look_id: look.look_id, view: None, unseen: Some(Unseen::Failed) });
        }),
        Deed::Pass(ms) => world.pass(Duration::from_millis(ms)),
        Deed::Speak(seed) => {
            let now = world.now;
            connection_of(world, seed).into_iter().for_each(|connection| world.hub.heard(connection, now));
        }
    }
    world.act();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn votes_are_sound_and_every_question_ends(limited: bool, deeds in deeds()) {
        let settings = HubSettings { views_a_network: limited.then_some(2), ..HubSettings::default() };
        let mut world = World::new(settings);
        let mut asked = Asked::new();
        for deed in deeds {
            do_it(&mut world, deed, &mut asked);
        }
        world.pass(Duration::from_secs(120));
        prop_assert_eq!(world.hub.asks(), 0, "nothing is under way two minutes later");
        prop_assert_eq!(world.hub.next_deadline(), None);
        for (ask, (asker, replies)) in asked {
            let answers: Vec<_> = world.answers.iter().filter(|(one, _)| *one == ask).map(|(_, answer)| answer).collect();
            let peers: HashSet<_> = answers.iter().map(|answer| &answer.peer.0).collect();
            prop_assert_eq!(peers.len(), answers.len(), "one vote for each key");
            prop_assert!(answers.len() <= usize::from(replies), "never more than N");
            prop_assert!(!peers.contains(&asker.as_bytes().to_vec()), "never the asker itself");
            let mut networks: HashMap<&str, usize> = HashMap::new();
            answers.iter().for_each(|answer| *networks.entry(&answer.network).or_default() += 1);
            prop_assert!(!limited || networks.values().all(|views| *views <= 2), "two of a network");
            for answer in answers {
                let view: serde_json::Value = serde_json::from_str(&answer.view.body).unwrap();
                prop_assert_eq!(view["vantage"].as_str().unwrap().parse::<VantageId>().unwrap().as_bytes().to_vec(), answer.peer.0.clone());
            }
            let end = world.end_of(ask);
            if let Some((counts, ended)) = end {
                prop_assert!(counts.cached <= counts.answered && counts.asked + counts.cached == counts.answered + counts.failed);
                prop_assert_eq!(ended == Ended::Complete, counts.answered == u32::from(replies));
            }
        }
    }
}

#[test]
fn ten_thousand_peers_are_not_looked_through_for_a_question() {
    let mut world = World::open();
    for seed in 0..10_000 {
        world.attach(seed).unwrap();
    }
    world.all_reply(|_| "yes");
    let ask = world.ask_as(50_000, World::asking(100, 1)).unwrap();
    assert_eq!(world.looks.len(), 100);
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(ask), Some((counts(100, 100, 0, 0), Ended::Complete)));
}
