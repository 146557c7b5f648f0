//! Every bit of a recorded exchange flipped once: what is authenticated gives one uniform answer, and nothing else is ever
//! taken for what was said.

use parallax_proto::channel::{Incoming, OpeningError, ReceiveError, ServerSettings, Status};
use serde_json::{Value, json};

use crate::world::{World, client, run, seconds, with_field};

/// Every message with one bit of one of its binary fields flipped.
fn flips<'a>(message: &'a [u8], path: &'a [&'a str]) -> impl Iterator<Item = Vec<u8>> + 'a {
    let bits = crate::world::field(message, path).len() * 8;
    (0..bits).map(move |bit| with_field(message, path, |field| field[bit / 8] ^= 1 << (bit % 8)))
}

/// Every message with one bit of its text flipped.
fn text_flips(message: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..message.len() * 8).map(|bit| {
        let mut flipped = message.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// A status without what is a hash of the message itself.
fn said(status: &[u8]) -> Value {
    let mut status: Value = serde_json::from_slice(status).unwrap();
    status["request_hash"] = json!(null);
    status
}

#[test]
fn of_a_creation() {
    let mut world = World::new();
    let wanted = world.wanted();
    let (message, opening) = world.ask(&client(1), wanted);
    let mut uniform = None;
    for path in [&["request"][..], &["public_key", "data"]] {
        for flipped in flips(&message, path) {
            let refusal = world.create(None, &flipped).unwrap_err();
            // The length of the body is form; what follows it is not.
            if refusal.status() == Status::BadMessage {
                assert_eq!(flipped.len(), message.len());
                assert!(refusal.reason().contains("a body with its length"), "{}", refusal.reason());
                continue;
            }
            let told = said(&refusal.write(world.server.face()));
            assert_eq!(told["signature"], Value::Null, "nobody is authenticated");
            let first = uniform.get_or_insert_with(|| told.clone());
            assert_eq!(told["reason"], first["reason"]);
            assert_eq!(told["status"], "unauthorised");
        }
    }
    for flipped in text_flips(&message) {
        let status = world.create(None, &flipped).unwrap_err().status();
        assert!(matches!(status, Status::BadMessage | Status::Unauthorised), "{}", String::from_utf8_lossy(&flipped));
    }
    assert!(world.server.is_empty());
    let reply = world.reply(&message);
    opening.created(&reply, world.now).expect("none of that spoilt the true one");
}

#[test]
fn of_what_was_created() {
    let mut world = World::new();
    let wanted = world.wanted();
    let (message, opening) = world.ask(&client(1), wanted);
    let reply = world.reply(&message);
    for (at, flipped) in flips(&reply, &["response"]).enumerate() {
        let error = opening.created(&flipped, world.now).err().unwrap();
        let byte = at / 8;
        match error {
            OpeningError::Unopened => assert!(!(32..68).contains(&byte), "{byte}"),
            OpeningError::OtherKey { .. } => assert!((36..68).contains(&byte), "{byte}"),
            OpeningError::Form(_) => assert!((32..36).contains(&byte), "{byte}"),
            other => panic!("{other}"),
        }
    }
    for flipped in text_flips(&reply) {
        assert!(opening.created(&flipped, world.now).is_err(), "{}", String::from_utf8_lossy(&flipped));
    }
    opening.created(&reply, world.now).expect("the true one still opens");
}

#[test]
fn of_a_message_and_its_answer() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let (_, message) = channel.request(Some(&"1".parse().unwrap()), &run("echo", json!({})), world.now).unwrap();
    for path in [&["request"][..], &["channel"]] {
        for flipped in flips(&message, path) {
            let refusal = world.hear(&flipped).unwrap_err();
            let told = said(&refusal.write(world.server.face()));
            assert_eq!(told["status"], "unauthorised");
            assert_eq!(told["reason"], "no such channel, or the request does not count here and now");
            assert_eq!((told["retry_after"].clone(), told["signature"].clone()), (json!(0), json!(null)));
        }
    }
    for flipped in text_flips(&message) {
        let status = world.hear(&flipped).unwrap_err().status();
        assert!(matches!(status, Status::BadMessage | Status::Unauthorised), "{}", String::from_utf8_lossy(&flipped));
    }
    let answer = world.answered(&message);
    for path in [&["response"][..], &["channel"]] {
        for flipped in flips(&answer, path) {
            assert_eq!(channel.receive(&flipped), Err(ReceiveError::Unopened));
        }
    }
    for flipped in text_flips(&answer) {
        assert!(channel.receive(&flipped).is_err(), "{}", String::from_utf8_lossy(&flipped));
    }
    assert!(matches!(channel.receive(&answer), Ok(Incoming::Answer { .. })), "the true one still opens");
}

#[test]
fn of_a_signed_status() {
    let settings = ServerSettings {
        key_creations: parallax_proto::channel::Rate { burst: 1, every: seconds(30) },
        ..Default::default()
    };
    let mut world = World::with(settings);
    world.open(&client(1));
    let wanted = world.wanted();
    let (message, opening) = world.ask(&client(1), wanted);
    let status = world.reply(&message);
    let read = |status: &[u8]| match opening.created(status, world.now) {
        Err(OpeningError::Told(told)) => told.obeyed(),
        Err(_) => None,
        Ok(_) => panic!("a status is no channel"),
    };
    assert_eq!(read(&status), Some(seconds(30)));
    for flipped in text_flips(&status) {
        assert_eq!(read(&flipped), None, "{}", String::from_utf8_lossy(&flipped));
    }
}

#[test]
fn truncated_and_extended_at_every_byte() {
    let mut world = World::new();
    let wanted = world.wanted();
    let (message, opening) = world.ask(&client(1), wanted);
    for cut in 0..message.len() {
        assert!(world.create(None, &message[..cut]).is_err(), "{cut}");
    }
    let mut cut_fields = Vec::new();
    for length in 0..crate::world::field(&message, &["request"]).len() {
        cut_fields.push(with_field(&message, &["request"], |request| request.truncate(length)));
    }
    cut_fields.push(with_field(&message, &["request"], |request| request.push(0)));
    for cut in cut_fields {
        assert!(matches!(world.create(None, &cut).unwrap_err().status(), Status::BadMessage | Status::Unauthorised));
    }
    let reply = world.reply(&message);
    for length in 0..crate::world::field(&reply, &["response"]).len() {
        let cut = with_field(&reply, &["response"], |response| response.truncate(length));
        assert!(opening.created(&cut, world.now).is_err(), "{length}");
    }
    let mut channel = opening.created(&reply, world.now).unwrap();
    let (_, message) = channel.control(parallax_proto::channel::Control::Ping, world.now).unwrap();
    for length in 0..crate::world::field(&message, &["request"]).len() {
        let cut = with_field(&message, &["request"], |request| request.truncate(length));
        assert_eq!(world.hear(&cut).unwrap_err().status(), Status::Unauthorised, "{length}");
    }
    let longer = with_field(&message, &["request"], |request| request.push(0));
    assert_eq!(world.hear(&longer).unwrap_err().status(), Status::Unauthorised);
    world.hear(&message).unwrap();
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_and_nothing_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let mut world = World::new();
        let wanted = world.wanted();
        let (_, opening) = world.ask(&client(1), wanted);
        proptest::prop_assert!(world.create(None, &bytes).is_err());
        proptest::prop_assert!(world.hear(&bytes).is_err());
        proptest::prop_assert!(opening.created(&bytes, world.now).is_err());
    }
}
