//! The known failures of the original: each ended its server, or its votes.

use super::*;

#[test]
fn a_ping_before_the_hello() {
    let mut world = World::open().with_peers([1]);
    let stranger = ConnectionId(77);
    world.hub.heard(stranger, world.now);
    let seen = Seen { look_id: LookId([0; 16]), view: None, unseen: None };
    assert_eq!(world.seen(stranger, seen), Err(Refused::NotAttached));
    world.gone(stranger);
    let ask = world.ask(1);
    world.all_reply(|_| "yes");
    assert_eq!(world.end_of(ask).unwrap().1, Ended::Complete, "everybody else goes on");
}

#[test]
fn short_and_non_numeric_requests_say_what_would_be_right() {
    let nonce = Nonce([1; 32]);
    let ask = |change: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
        let mut ask = serde_json::json!({
            "type": "ask", "service": "example.com", "replies": 5, "deadline_ms": 1000, "max_age_secs": 300,
            "nonce": nonce,
        });
        change(ask.as_object_mut().unwrap());
        serde_json::from_value::<Ask>(ask).map_err(|error| error.to_string())
    };
    assert_eq!(ask(&|_| ()).unwrap().replies, 5);
    assert_eq!(ask(&|ask| drop(ask.remove("max_age_secs"))).unwrap().max_age_secs, 0);
    for (field, value, part) in [
        ("replies", serde_json::json!(0), "replies must be 1 to 100, not 0"),
        ("replies", serde_json::json!(101), "replies must be 1 to 100, not 101"),
        ("replies", serde_json::json!(-1), "invalid value"),
        ("replies", serde_json::json!("twenty"), "invalid type"),
        ("replies", serde_json::json!(1e300), "invalid"),
        ("deadline_ms", serde_json::json!(99), "deadline_ms must be 100 to 20000, not 99"),
        ("deadline_ms", serde_json::json!(20_001), "deadline_ms must be 100 to 20000"),
        ("nonce", serde_json::json!("AAAA"), "a nonce is 32 bytes in base64url without padding, not 3 bytes"),
        ("nonce", serde_json::json!("not base64!"), "not base64url"),
        ("service", serde_json::json!("no service"), "no service"),
    ] {
        let error = ask(&|ask| drop(ask.insert(field.into(), value.clone()))).expect_err(field);
        assert!(error.contains(part), "{field}={value}: {error}");
    }
    for field in ["service", "replies", "deadline_ms", "nonce"] {
        let error = ask(&|ask| drop(ask.remove(field))).expect_err(field);
        assert!(error.contains("missing field"), "{field}: {error}");
    }
    for text in [r#"{"looks_per_minute":0}"#, r#"{"region":"Nowhere!","looks_per_minute":1}"#, "{}"] {
        assert!(serde_json::from_str::<Attach>(text).is_err(), "{text}");
    }
}

#[test]
fn a_requester_that_leaves() {
    let mut world = World::open().with_peers(1..=3);
    let leaving = world.ask(3);
    let looks = std::mem::take(&mut world.looks);
    world.hub.withdraw(leaving);
    let staying = world.ask(3);
    for look in looks {
        assert_eq!(world.reply(look, "for nobody"), Err(Refused::Unasked));
    }
    world.all_reply(|_| "yes");
    assert_eq!(world.words(staying), ["yes"; 3]);
    assert!(world.words(leaving).is_empty());
}

#[test]
fn two_requests_that_finish_out_of_order() {
    let mut world = World::open().with_peers(1..=2);
    let first = world.ask_as(100, World::asking(2, 1)).unwrap();
    let of_first = std::mem::take(&mut world.looks);
    let second = world.ask_as(200, World::asking(2, 2)).unwrap();
    world.all_reply(|_| "second");
    assert_eq!((world.end_of(first), world.words(second)), (None, vec!["second".to_owned(); 2]));
    for look in of_first {
        world.reply(look, "first").unwrap();
    }
    assert_eq!(world.words(first), ["first"; 2]);
    assert_eq!(world.ends.iter().map(|(ask, ..)| *ask).collect::<Vec<_>>(), [second, first]);
}

#[test]
fn one_peer_can_not_fill_all_votes() {
    let mut world = World::open().with_peers(1..=3);
    let ask = world.ask(3);
    let looks = std::mem::take(&mut world.looks);
    let liar = looks[0].0;
    for (_, look) in &looks {
        for _ in 0..5 {
            let _ = world.reply((liar, look.clone()), "lie");
        }
    }
    assert_eq!(world.words(ask), ["lie"]);
    for look in looks.into_iter().skip(1) {
        world.reply(look, "truth").unwrap();
    }
    assert_eq!(world.words(ask), ["lie", "truth", "truth"]);
}

#[test]
fn one_key_on_many_connections_can_not_fill_all_votes() {
    let mut world = World::open().with_peers(1..=2);
    let connections: Vec<_> = (0..20).map(|_| world.attach(666).unwrap()).collect();
    let ask = world.ask(22);
    let looks = std::mem::take(&mut world.looks);
    assert_eq!(looks.len(), 3);
    for (_, look) in &looks {
        for connection in &connections {
            let _ = world.reply((*connection, look.clone()), "lie");
        }
    }
    for look in looks {
        let _ = world.reply(look, "truth");
    }
    let mut words = world.words(ask);
    words.sort();
    assert_eq!(words, ["lie", "truth", "truth"]);
}

#[test]
fn a_reply_for_another_name_poisons_nothing() {
    let mut world = World::open().with_peers([1]);
    let bank: ServiceId = "bank.example".parse().unwrap();
    let ask = world.ask_as(100, Ask { max_age_secs: 300, ..World::asking(1, 1) }).unwrap();
    let (connection, look) = world.looks.pop().unwrap();
    let lie = view(id(1), &bank, look.nonce, "poison", world.now);
    let seen = Seen { look_id: look.look_id, view: Some(lie), unseen: None };
    assert_eq!(world.seen(connection, seen), Err(Refused::Malformed("it is about another service")));
    assert!(world.rows.is_empty());
    assert_eq!(world.end_of(ask), Some((counts(1, 0, 0, 1), Ended::NobodyLeft)));
    let of_bank = Ask { service: bank, max_age_secs: 300, ..World::asking(1, 2) };
    let ask = world.ask_as(200, of_bank).unwrap();
    world.all_reply(|_| "truth");
    assert_eq!(world.words(ask), ["truth"]);
    // Nor does an old view, or another's, under the right name.
    for (peer, nonce, why) in
        [(id(1), Nonce([9; 32]), "it does not echo the nonce"), (id(5), Nonce([3; 32]), "it is another peer's")]
    {
        world.ask_as(300, World::asking(1, 3)).unwrap();
        let (connection, look) = world.looks.pop().unwrap();
        let wrong = view(peer, &service(), nonce, "old", world.now);
        let seen = Seen { look_id: look.look_id, view: Some(wrong), unseen: None };
        assert_eq!(world.seen(connection, seen), Err(Refused::Malformed(why)));
    }
}

#[test]
fn remembered_rows_do_not_go_beyond_n() {
    let mut world = World::open().with_peers(1..=30);
    world.ask_as(100, Ask { max_age_secs: 300, ..World::asking(30, 1) }).unwrap();
    world.all_reply(|_| "yes");
    assert_eq!(world.rows.len(), 30);
    let ask = world.ask_as(200, Ask { max_age_secs: 300, ..World::asking(5, 2) }).unwrap();
    assert_eq!(world.end_of(ask), Some((counts(0, 5, 5, 0), Ended::Complete)));
    assert_eq!(world.words(ask).len(), 5);
    assert!(world.looks.is_empty());
}

#[test]
fn too_few_peers_do_not_make_it_wait_out_the_clock() {
    let mut world = World::open().with_peers(1..=4);
    let ask = world.ask(20);
    world.all_reply(|_| "yes");
    assert_eq!(world.now, START);
    assert_eq!(world.end_of(ask), Some((counts(4, 4, 0, 0), Ended::NobodyLeft)));
}

#[test]
fn the_askers_view_is_not_sent_to_peers() {
    let mut world = World::open().with_peers([1]);
    let with_view = serde_json::json!({
        "type": "ask", "service": "example.com", "replies": 1, "deadline_ms": 1000, "nonce": Nonce([1; 32]),
        "view": { "body": "my own view", "signature": "x" }, "now": { "key": "my key" },
    });
    world.ask_as(100, serde_json::from_value(with_view).unwrap()).unwrap();
    let (_, look) = world.looks.pop().unwrap();
    let sent = serde_json::to_value(&look).unwrap();
    let mut fields: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["look_id", "nonce", "service", "wait_ms"]);
}
