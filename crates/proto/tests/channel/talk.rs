//! What is said on a channel: requests, answers, pushes, control.

use parallax_proto::channel::{
    Connection, Control, Heard, Incoming, PushFailed, ReceiveError, SendError, ServerSettings, Status, Talk, Warning,
    Why,
};
use serde_json::json;

use crate::world::{World, client, field, run, seconds, with_field};

#[test]
fn a_key_pair_is_all_a_client_needs() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    for id in ["a", "b", "c"] {
        let answer = world.echo(&mut channel, id);
        assert_eq!(answer.outcome, Ok(json!({ "type": "echo", "said": id })));
        assert_eq!((answer.valid_until, answer.warnings), (channel.valid_until(), vec![]));
    }
    assert_eq!(channel.valid_until(), world.now.plus(seconds(3600)));
    assert_eq!(channel.limits().messages, 1 << 32);
    assert_eq!(channel.limits().idle_secs, 600);
}

#[test]
fn both_ciphers_and_the_clients_preference() {
    let key = client(1);
    for (types, good) in [
        (json!(["CHACHA20-POLY1305"]), true),
        (json!(["AES-256-GCM"]), true),
        (json!(["DES", "ROT13", "AES-256-GCM", "CHACHA20-POLY1305"]), true),
        (json!(["DES"]), false),
        (json!([]), false),
    ] {
        let mut world = World::new();
        let wanted = world.wanted();
        let (message, _) = world.ask(&key, wanted);
        let message = crate::world::signed_anew(&key, &message, |body| body["channel_types"] = types.clone());
        let refused = world.create(None, &message).err().map(|refusal| (refusal.why(), refusal.status()));
        assert_eq!(refused, (!good).then_some((Why::Form, Status::BadMessage)), "{types}");
    }
}

#[test]
fn without_an_id_there_is_no_answer() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let (_, message) = channel.request(None, &run("note", json!({})), world.now).unwrap();
    let Heard::Request { reply: None, run, .. } = world.hear(&message).unwrap().heard else { panic!() };
    assert_eq!(run.kind(), "note");
}

#[test]
fn control_is_answered_by_the_server_itself() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let (counter, ping) = channel.control(Control::Ping, world.now).unwrap();
    let Heard::Answered(pong) = world.hear(&ping).unwrap().heard else { panic!() };
    assert_eq!(channel.receive(&pong), Ok(Incoming::Pong { counter }));
    assert_eq!(channel.receive(&pong), Err(ReceiveError::Unopened), "at most one answer");
    let (_, close) = channel.control(Control::Close, world.now).unwrap();
    assert!(matches!(world.hear(&close).unwrap().heard, Heard::Quiet(Control::Close)));
    assert!(world.server.is_empty() && channel.has_ended(world.now));
    assert_eq!(channel.control(Control::Ping, world.now), Err(SendError::Ended));
}

#[test]
fn a_lost_answer_is_asked_for_again_and_nothing_is_done_twice() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let id = "7".parse().unwrap();
    let ask = |channel: &mut parallax_proto::channel::ClientChannel, now| {
        channel.request(Some(&id), &run("count", json!({})), now).unwrap().1
    };
    let (first, second, third) =
        (ask(&mut channel, world.now), ask(&mut channel, world.now), ask(&mut channel, world.now));
    let Heard::Request { reply: Some(reply), .. } = world.hear(&first).unwrap().heard else { panic!() };
    let Heard::Again(again) = world.hear(&second).unwrap().heard else { panic!("it is being worked on") };
    let again = world.server.again(again, world.now).unwrap_err();
    world.server.answer(reply, Ok(json!(1)), world.now).unwrap();
    let repeated = world.server.again(again, world.now).unwrap().unwrap();
    assert!(matches!(channel.receive(&repeated), Ok(Incoming::Answer { counter: 1, .. })));
    let Heard::Answered(kept) = world.hear(&third).unwrap().heard else { panic!("it was answered") };
    let Ok(Incoming::Answer { answer, .. }) = channel.receive(&kept) else { panic!() };
    assert_eq!(answer.outcome, Ok(json!(1)));

    world.wait(60);
    assert!(matches!(world.hear(&ask(&mut channel, world.now)).unwrap().heard, Heard::Answered(_)), "kept 60 s");
    world.wait(1);
    assert!(matches!(world.hear(&ask(&mut channel, world.now)).unwrap().heard, Heard::Request { .. }), "and no longer");
}

#[test]
fn the_last_sixty_four_answers_are_kept() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    for id in 0..65 {
        world.echo(&mut channel, &id.to_string());
    }
    let mut ask = |id: &str| {
        let run = run("echo", json!({ "said": id }));
        let (_, message) = channel.request(Some(&id.parse().unwrap()), &run, world.now).unwrap();
        world.hear(&message).unwrap().heard
    };
    assert!(matches!(ask("1"), Heard::Answered(_)));
    assert!(matches!(ask("0"), Heard::Request { .. }));
}

#[test]
fn the_same_id_with_another_run_is_a_bad_message() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    world.echo(&mut channel, "7");
    let (_, message) = channel.request(Some(&"7".parse().unwrap()), &run("other", json!({})), world.now).unwrap();
    let refusal = world.hear(&message).unwrap_err();
    assert_eq!((refusal.why(), refusal.status()), (Why::Violation, Status::BadMessage));
    let Ok(Incoming::Told { counter: Some(1), told }) = channel.receive(&refusal.write(world.server.face())) else {
        panic!()
    };
    assert!(told.is_proved() && told.obeyed().is_none());
}

#[test]
fn nonsense_under_a_fresh_counter_is_a_violation_and_a_hundred_block() {
    let mut world = World::new();
    let key = client(1);
    let mut channel = world.open(&key);
    world.echo(&mut channel, "7");
    for count in 1..=100 {
        let (_, message) = channel.request(Some(&"7".parse().unwrap()), &run("other", json!({})), world.now).unwrap();
        assert_eq!(world.hear(&message).unwrap_err().why(), Why::Violation, "{count}");
        assert_eq!(world.hear(&message).unwrap_err().why(), Why::Unopened, "anyone can replay; it counts for nobody");
    }
    assert_eq!(world.server.blocked(key.id(), world.now), Some(seconds(3600)));
    let (counter, message) = channel.control(Control::Ping, world.now).unwrap();
    let refusal = world.hear(&message).unwrap_err();
    assert_eq!(refusal.status(), Status::Forbidden);
    let Ok(Incoming::Told { counter: about, told }) = channel.receive(&refusal.write(world.server.face())) else {
        panic!()
    };
    assert_eq!((about, told.obeyed()), (Some(counter), Some(seconds(3600))));
}

#[test]
fn pushes_go_to_the_connection_of_the_newest_message_that_opened() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let push = |world: &mut World, id| world.server.push(id, None, &run("look", json!({})), world.now);
    assert_eq!(push(&mut world, channel.id()), Err(PushFailed::NoConnection));
    let mut pings: Vec<Vec<u8>> = (0..4).map(|_| channel.control(Control::Ping, world.now).unwrap().1).collect();
    let hear = |world: &mut World, message: &[u8], connection| {
        let _ = world.server.message(None, Some(Connection(connection)), message, world.now);
        push(world, channel.id()).map(|(connection, _)| connection.0)
    };
    assert_eq!(hear(&mut world, &pings[1], 1), Ok(1));
    assert_eq!(hear(&mut world, &pings[0], 2), Ok(1), "an older one that was held back moves nothing");
    assert_eq!(hear(&mut world, &pings[1], 3), Ok(1), "a replayed one neither");
    let last = pings[3].len() - 4;
    pings[3][last] ^= 1;
    assert_eq!(hear(&mut world, &pings[3], 4), Ok(1), "nor what does not open");
    assert_eq!(hear(&mut world, &pings[2], 5), Ok(5));
    world.server.message(None, None, &channel.control(Control::Ping, world.now).unwrap().1, world.now).unwrap();
    let (connection, bytes) = push(&mut world, channel.id()).unwrap();
    assert_eq!(connection, Connection(5), "HTTP can't carry one");
    assert!(matches!(channel.receive(&bytes), Ok(Incoming::Push(Talk::Run { request_id: None, .. }))));
    assert_eq!(channel.receive(&bytes), Err(ReceiveError::Unopened), "a push is taken once");
}

#[test]
fn pushes_count_on_their_own_and_carry_the_id_of_what_they_belong_to() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let ping = channel.control(Control::Ping, world.now).unwrap().1;
    world.server.message(None, Some(Connection(1)), &ping, world.now).unwrap();
    let id = "ask-1".parse().unwrap();
    for counter in 0..3u64 {
        let (_, bytes) = world.server.push(channel.id(), Some(&id), &run("answer", json!({})), world.now).unwrap();
        assert_eq!(field(&bytes, &["push"])[..8], counter.to_be_bytes());
        let Ok(Incoming::Push(Talk::Run { request_id, .. })) = channel.receive(&bytes) else { panic!() };
        assert_eq!(request_id.as_ref(), Some(&id));
    }
    let (_, close) = world.server.push_control(channel.id(), Control::Close, world.now).unwrap();
    assert_eq!(channel.receive(&close), Ok(Incoming::Push(Talk::Control(Control::Close))));
    assert!(channel.has_ended(world.now));
}

#[test]
fn reordered_is_fine_replayed_reflected_and_crossed_is_not() {
    let mut world = World::new();
    let (mut one, mut two) = (world.open(&client(1)), world.open(&client(2)));
    let ask = |channel: &mut parallax_proto::channel::ClientChannel, id: &str, now| {
        channel.request(Some(&id.parse().unwrap()), &run("echo", json!({})), now).unwrap().1
    };
    let messages: Vec<Vec<u8>> = (0..5).map(|id| ask(&mut one, &id.to_string(), world.now)).collect();
    let mut answers: Vec<Vec<u8>> = messages.iter().rev().map(|message| world.answered(message)).collect();
    for message in &messages {
        assert_eq!(world.hear(message).unwrap_err().why(), Why::Unopened, "replayed");
    }
    let unopened = Err(ReceiveError::Unopened);
    assert_eq!(two.receive(&answers[0]), unopened, "another's answer");
    // Under the other channel's id, as an attacker on the way could write it.
    let crossed = with_field(&messages[0], &["channel"], |id| *id = two.id().as_bytes().to_vec());
    assert_eq!(world.hear(&crossed).unwrap_err().status(), Status::Unauthorised);
    let reflected = with_field(&answers[0], &["response"], |response| *response = field(&messages[4], &["request"]));
    assert_eq!(one.receive(&reflected), unopened);
    let as_request = json!({
        "channel": one.id().to_string(),
        "request": serde_json::from_slice::<serde_json::Value>(&answers[0]).unwrap()["response"],
    });
    assert_eq!(world.hear(as_request.to_string().as_bytes()).unwrap_err().status(), Status::Unauthorised);
    // An answer under another request's counter.
    let moved = with_field(&answers[0], &["response"], |response| response[7] = 0);
    assert_eq!(one.receive(&moved), unopened);
    answers.swap(0, 3);
    for answer in &answers {
        assert!(matches!(one.receive(answer), Ok(Incoming::Answer { .. })));
        assert_eq!(one.receive(answer), unopened, "at most one answer");
    }
}

#[test]
fn a_thousand_and_twenty_four_may_come_late() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let messages: Vec<Vec<u8>> = (0..=1024).map(|_| channel.control(Control::Ping, world.now).unwrap().1).collect();
    world.hear(&messages[1024]).unwrap();
    assert_eq!(world.hear(&messages[0]).unwrap_err().why(), Why::Unopened);
    world.hear(&messages[1]).unwrap();
    // What does not open moves nothing: a forged counter far ahead leaves the others alone.
    let far = with_field(&messages[2], &["request"], |request| request[..8].copy_from_slice(&[0x7f; 8]));
    assert_eq!(world.hear(&far).unwrap_err().why(), Why::Unopened);
    world.hear(&messages[2]).unwrap();
}

#[test]
fn too_much_at_once_is_refused_and_what_is_too_large_says_so() {
    let mut world = World::with(ServerSettings { requests_at_once: 2, ..Default::default() });
    let mut channel = world.open(&client(1));
    let mut ask = |world: &mut World, id: &str| {
        let message = channel.request(Some(&id.parse().unwrap()), &run("slow", json!({})), world.now).unwrap().1;
        world.hear(&message)
    };
    let Heard::Request { reply: Some(first), .. } = ask(&mut world, "1").unwrap().heard else { panic!() };
    ask(&mut world, "2").unwrap();
    let refusal = ask(&mut world, "3").unwrap_err();
    assert_eq!((refusal.why(), refusal.status()), (Why::Busy, Status::Unavailable));
    let answer = world.server.answer(first, Ok(json!("x".repeat(100_000))), world.now).unwrap();
    let Ok(Incoming::Answer { answer, .. }) = channel.receive(&answer) else { panic!() };
    assert_eq!(answer.outcome.unwrap_err()["type"], "too-large");
    let large = run("large", json!({ "x": "x".repeat(60_000) }));
    assert!(matches!(channel.request(None, &large, world.now), Err(SendError::TooLarge { most: 65_536, .. })));
    let fits = run("large", json!({ "x": "x".repeat(45_000) }));
    let (_, message) = channel.request(None, &fits, world.now).unwrap();
    assert!(message.len() <= 65_536);
    world.hear(&message).unwrap();
}

#[test]
fn a_request_that_nobody_works_on_any_more_is_done_anew() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let mut ask = |world: &mut World| {
        let message = channel.request(Some(&"1".parse().unwrap()), &run("slow", json!({})), world.now).unwrap().1;
        world.hear(&message).unwrap().heard
    };
    let Heard::Request { reply: Some(first), .. } = ask(&mut world) else { panic!() };
    let Heard::Again(second) = ask(&mut world) else { panic!() };
    world.server.abandon(&first);
    assert!(matches!(world.server.again(second, world.now), Ok(None)));
    assert!(matches!(ask(&mut world), Heard::Request { .. }));
}

#[test]
fn the_warning_comes_with_every_answer_when_little_is_left() {
    for (life, quiet, warned) in [(3600, 3240, 3241), (300, 240, 241), (120, 60, 61)] {
        let mut world = World::with(ServerSettings { lifetime: seconds(life), ..Default::default() });
        world.server = parallax_proto::channel::Server::new(
            world.server.face().clone(),
            ServerSettings {
                lifetime: seconds(life),
                limits: parallax_proto::channel::ChannelLimits { idle_secs: 3600, ..Default::default() },
                ..Default::default()
            },
        );
        let mut channel = world.open(&client(1));
        world.wait(quiet);
        assert_eq!(world.echo(&mut channel, "1").warnings, vec![], "{life}");
        assert!(!channel.is_due(world.now), "{life}");
        world.wait(warned - quiet);
        for id in ["2", "3"] {
            assert_eq!(world.echo(&mut channel, id).warnings, vec![Warning::Expiring], "{life}");
        }
        assert!(channel.is_due(world.now));
    }
}
