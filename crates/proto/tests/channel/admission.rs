//! Who gets a channel, and in which order that is found out.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::Timestamp;
use parallax_proto::PublicKey;
use parallax_proto::channel::{
    BadClientKey, Block, ClientKey, KeyType, Opening, OpeningError, OpeningRequest, OwnKey, Registration, Server,
    ServerSettings, Status, Why,
};
use serde_json::{Value, json};

use crate::support::{CaKey, Count, PureRust, RsaKey};
use crate::world::{
    START, URL, World, address, client, face, field, seconds, server_signs, sha256, signed_anew, signed_body,
    statement, with_field,
};

fn refused(world: &mut World, message: &[u8]) -> (Why, Status) {
    let refusal = world.create(None, message).unwrap_err();
    (refusal.why(), refusal.status())
}

fn creation(world: &mut World, key: &OwnKey) -> Vec<u8> {
    let wanted = world.wanted();
    world.ask(key, wanted).0
}

/// What becomes of a message.
type Change = Box<dyn Fn(&[u8]) -> Vec<u8>>;

#[test]
fn every_wrong_thing_has_its_name_and_strangers_get_one_answer() {
    let key = client(1);
    let body = |change: fn(&mut Value)| move |message: &[u8]| signed_anew(&client(1), message, change);
    let forms: [(&str, Change, Why); 16] = [
        ("another URL", Box::new(body(|body| body["source"] = json!("https://192.0.2.8:8443"))), Why::Server),
        ("almost the URL", Box::new(body(|body| body["source"] = json!(format!("{URL}/")))), Why::Server),
        ("another server", Box::new(body(|body| body["server"] = json!("A".repeat(43)))), Why::Server),
        ("no server", Box::new(body(|body| drop(body.as_object_mut().unwrap().remove("server")))), Why::Server),
        ("too old", Box::new(body(|body| body["time"] = json!(START.minus(seconds(121)).unix_ms()))), Why::Stale),
        ("too new", Box::new(body(|body| body["time"] = json!(START.plus(seconds(121)).unix_ms()))), Why::Stale),
        ("at the end of time", Box::new(body(|body| body["time"] = json!(i64::MAX))), Why::Stale),
        ("at its beginning", Box::new(body(|body| body["time"] = json!(i64::MIN))), Why::Stale),
        ("an unknown field", Box::new(body(|body| body["more"] = json!(1))), Why::Form),
        ("a short salt", Box::new(body(|body| body["request_salt"] = json!("AAAA"))), Why::Form),
        ("an unknown exchange", Box::new(body(|body| body["kex"]["type"] = json!("X448"))), Why::Form),
        ("an all-zero secret", Box::new(body(|body| body["kex"]["data"] = json!("A".repeat(43)))), Why::Form),
        ("a time that is none", Box::new(body(|body| body["time"] = json!("now"))), Why::Form),
        (
            "a name twice in the body",
            Box::new(|message: &[u8]| {
                let bytes = field(message, &["request"]);
                let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
                let text = String::from_utf8(bytes[4..4 + length].to_vec()).unwrap();
                let twice = text.replacen('{', "{\"time\":1,", 1);
                with_field(message, &["request"], |request| *request = signed_body(&client(1), twice.as_bytes()))
            }),
            Why::Form,
        ),
        ("another's signature", Box::new(|message: &[u8]| signed_anew(&client(2), message, |_| ())), Why::Signature),
        (
            "garbage signed by nobody",
            Box::new(|message: &[u8]| with_field(message, &["request"], |request| *request = vec![0; 100])),
            Why::Signature,
        ),
    ];
    for (what, change, why) in forms {
        let mut world = World::new();
        let message = creation(&mut world, &key);
        let message = change(&message);
        let refusal = world.create(None, &message).unwrap_err();
        assert_eq!(refusal.why(), why, "{what}");
        let status: Value = serde_json::from_slice(&refusal.write(world.server.face())).unwrap();
        if refusal.status() == Status::Unauthorised {
            assert_eq!(status["reason"], "no such channel, or the request does not count here and now", "{what}");
        }
        assert_eq!(status["signature"], Value::Null, "{what}");
        assert!(world.server.is_empty());
    }
}

#[test]
fn the_envelope_is_strict_where_it_matters() {
    let mut world = World::new();
    let message = creation(&mut world, &client(1));
    let change = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&message).unwrap();
        change(&mut value);
        value.to_string().into_bytes()
    };
    for (what, bad) in [
        ("no key", change(&|value| value["public_key"] = json!(null))),
        ("an unknown type", change(&|value| value["public_key"]["type"] = json!("DSA"))),
        ("another type", change(&|value| value["public_key"]["type"] = json!("RSA"))),
        ("padding", change(&|value| value["request"] = json!(format!("{}=", value["request"].as_str().unwrap())))),
        ("no request", change(&|value| value["request"] = json!(1))),
        ("too large", change(&|value| value["padding"] = json!("x".repeat(66_000)))),
        ("a name twice", String::from_utf8(message.clone()).unwrap().replacen('{', "{\"x\":1,\"x\":1,", 1).into()),
    ] {
        assert_eq!(refused(&mut world, &bad), (Why::Form, Status::BadMessage), "{what}");
    }
    let more = change(&|value| value["ignored"] = json!({"a": []}));
    world.create(None, &more).expect("unknown fields outside the signed bodies are ignored");
}

/// A stranger may learn from no answer whether a key is registered, blocked or busy.
#[test]
fn nothing_tells_about_a_key_before_its_signature_held() {
    let answers = |prepare: &dyn Fn(&mut World)| {
        let mut world = World::new();
        let message = creation(&mut world, &client(1));
        prepare(&mut world);
        let forged = with_field(&message, &["request"], |request| *request.last_mut().unwrap() ^= 1);
        let stale = signed_anew(&client(1), &message, |body| body["time"] = json!(1));
        let foreign = signed_anew(&client(1), &message, |body| body["source"] = json!("https://192.0.2.9"));
        [forged, stale, foreign].map(|message| {
            let status = world.create(None, &message).unwrap_err().write(world.server.face());
            let status: Value = serde_json::from_slice(&status).unwrap();
            (status["status"].clone(), status["reason"].clone(), status["retry_after"].clone())
        })
    };
    let plain = answers(&|_| ());
    let id = client(1).id();
    assert_eq!(plain, answers(&|world| assert!(world.registered.remove(&id))));
    assert_eq!(plain, answers(&|world| world.server.set_block(id, Some(Block { until: None, times: 0 }))));
    assert_eq!(
        plain,
        answers(&|world| {
            for _ in 0..6 {
                let message = creation(world, &client(1));
                let _ = world.create(None, &message);
            }
        })
    );
    assert!(plain.iter().all(|(status, ..)| status == "unauthorised"));
}

/// Failures that authenticate nobody leave a key's bucket and its channels alone.
#[test]
fn a_stranger_can_block_nobody() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let message = creation(&mut world, &client(1));
    for _ in 0..1000 {
        let forged = with_field(&message, &["request"], |request| *request.last_mut().unwrap() ^= 1);
        assert_eq!(refused(&mut world, &forged).0, Why::Signature);
        let garbage = json!({ "channel": channel.id().to_string(), "request": "A".repeat(64) }).to_string();
        assert_eq!(world.hear(garbage.as_bytes()).unwrap_err().why(), Why::Unopened);
    }
    world.create(None, &message).unwrap();
    world.echo(&mut channel, "1");
}

#[test]
fn a_request_counts_once() {
    let mut world = World::new();
    let message = creation(&mut world, &client(1));
    world.create(None, &message).unwrap();
    for after in [0, 60, 60] {
        world.wait(after);
        world.server.tick(world.now);
        assert_eq!(refused(&mut world, &message), (Why::Replayed, Status::Unauthorised));
    }
    world.wait(1);
    world.server.tick(world.now);
    assert_eq!(refused(&mut world, &message), (Why::Stale, Status::Unauthorised), "then it is too old");
    // Made ahead of the clock it counts, and is remembered, for longer.
    let mut world = World::new();
    let message = creation(&mut world, &client(1));
    world.now = START.minus(seconds(120));
    world.create(None, &message).unwrap();
    world.wait(240);
    world.server.tick(world.now);
    assert_eq!(refused(&mut world, &message).0, Why::Replayed);
}

#[test]
fn a_replay_that_only_the_shared_table_knows_is_no_different() {
    let mut world = World::new();
    let message = creation(&mut world, &client(1));
    let proved = world.server.examine(None, &message, world.now).unwrap().prove(world.server.face()).unwrap();
    let admitted = world.server.admit(proved, Registration::Registered { until: None }, world.now).unwrap();
    let (mark, until) = admitted.mark();
    assert!(mark.starts_with(&client(1).id().to_string()));
    assert_eq!(until, world.now.plus(seconds(120)));
    assert_eq!(admitted.replayed().status(), Status::Unauthorised);
    assert_eq!(refused(&mut world, &message).0, Why::Replayed, "this process knows it from now on");
}

#[test]
fn a_request_for_one_server_is_nothing_at_another() {
    let mut world = World::new();
    let message = creation(&mut world, &client(1));
    for (face, why) in [(face(101, URL), Why::Server), (face(100, "https://192.0.2.8:8443"), Why::Server)] {
        let mut other = World::new();
        other.server = Server::new(face, ServerSettings { open: true, ..Default::default() });
        assert_eq!(refused(&mut other, &message), (why, Status::Unauthorised));
    }
}

#[test]
fn a_closed_server_takes_registered_keys_only() {
    let mut world = World::new();
    let message = creation(&mut world, &client(20));
    assert_eq!(refused(&mut world, &message), (Why::NotRegistered, Status::Unauthorised));
    let message = creation(&mut world, &client(1));
    let denied = |_: &ClientKey| Registration::Refused;
    let refusal = world.server.create(None, &message, &denied, world.now, &mut world.rng).unwrap_err();
    assert_eq!(refusal.status(), Status::Unauthorised);
}

#[test]
fn an_open_server_takes_any_key_for_ten_minutes_and_is_pinned_at_first_contact() {
    let open = ServerSettings { open: true, open_lifetime: seconds(86_400), ..Default::default() };
    let mut world = World::with(open);
    let wanted = OpeningRequest { server: None, ..world.wanted() };
    let channel = world.try_open(&client(20), wanted).unwrap();
    assert_eq!(channel.statement_key(), statement(100).0);
    assert_eq!(channel.valid_until(), world.now.plus(seconds(600)));
    let registered = world.open(&client(1));
    assert_eq!(registered.valid_until(), world.now.plus(seconds(3600)));
    // A certificate that does not count is no better for being unknown.
    let message = creation(&mut world, &client(21));
    let denied = |_: &ClientKey| Registration::Refused;
    assert!(world.server.create(None, &message, &denied, world.now, &mut world.rng).is_err());
}

#[test]
fn an_open_server_counts_networks_too() {
    let mut world = World::with(ServerSettings { open: true, ..Default::default() });
    let mut admitted = 0;
    for seed in 0..200u8 {
        let message = creation(&mut world, &client(seed.wrapping_add(20)));
        // Ten addresses of one network, each below its own bound.
        if world.create(address(&format!("198.51.100.{}", seed % 10)), &message).is_ok() {
            admitted += 1;
        }
    }
    assert_eq!(admitted, 100);
    let message = creation(&mut world, &client(19));
    world.create(address("203.0.113.1"), &message).unwrap();
}

#[test]
fn one_address_asks_for_so_many_whatever_the_keys() {
    let mut world = World::new();
    let garbage = creation(&mut world, &client(20));
    let statuses: Vec<Status> =
        (0..60).map(|_| world.create(address("192.0.2.1"), &garbage).unwrap_err().status()).collect();
    assert!(statuses[..50].iter().all(|status| *status == Status::Unauthorised));
    assert!(statuses[50..].iter().all(|status| *status == Status::TooManyRequests));
    let message = creation(&mut world, &client(1));
    let refusal = world.create(address("192.0.2.1"), &message).unwrap_err();
    assert_eq!((refusal.why(), refusal.retry_after_secs()), (Why::Address, 1));
    world.create(address("192.0.2.2"), &message).unwrap();
}

#[test]
fn what_opens_nowhere_counts_against_its_address_and_no_channel() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let garbage = json!({ "channel": channel.id().to_string(), "request": "A".repeat(64) }).to_string();
    let from = |world: &mut World, text: &str, message: &[u8]| {
        world.server.message(address(text), None, message, world.now).err().map(|refusal| refusal.status())
    };
    for _ in 0..100 {
        assert_eq!(from(&mut world, "192.0.2.1", garbage.as_bytes()), Some(Status::Unauthorised));
    }
    let (_, ping) = channel.control(parallax_proto::channel::Control::Ping, world.now).unwrap();
    assert_eq!(from(&mut world, "192.0.2.1", &ping), Some(Status::TooManyRequests));
    assert_eq!(from(&mut world, "192.0.2.2", &ping), None, "the channel lives on");
}

#[test]
fn a_key_that_asks_too_often_is_told_so_by_signature() {
    let mut world = World::new();
    for _ in 0..5 {
        world.open(&client(1));
    }
    for wait in [30, 60, 120] {
        let wanted = world.wanted();
        let Err(OpeningError::Told(told)) = world.try_open(&client(1), wanted) else { panic!() };
        assert_eq!((told.status(), told.obeyed()), (Status::TooManyRequests, Some(seconds(wait))));
    }
    world.open(&client(2));
}

#[test]
fn a_status_is_obeyed_only_signed_for_ones_own_request_and_a_day_at_most() {
    let mut world = World::new();
    let wanted = world.wanted();
    let (message, opening) = world.ask(&client(1), wanted);
    let hash = sha256(&field(&message, &["request"]));
    let status = |status: &str, source: &str, retry_after: u64, hash: [u8; 32], signed: bool| {
        let lp = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
        let input = [
            b"parallax channel status 1\0".to_vec(),
            lp(source),
            lp(status),
            lp("because"),
            retry_after.to_be_bytes().to_vec(),
            hash.to_vec(),
        ]
        .concat();
        let encode = |bytes: &[u8]| {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
        };
        let body = json!({
            "source": source, "status": status, "reason": "because", "retry_after": retry_after,
            "request_hash": encode(&hash), "signature": signed.then(|| encode(&server_signs(&input))),
        });
        match opening.created(body.to_string().as_bytes(), START) {
            Err(OpeningError::Told(told)) => told.obeyed(),
            _ => panic!("{body}"),
        }
    };
    let day = Some(seconds(24 * 3600));
    assert_eq!(status("forbidden", URL, 3600, hash, true), Some(seconds(3600)));
    assert_eq!(status("forbidden", URL, u64::MAX, hash, true), day);
    assert_eq!(status("forbidden", URL, 0, hash, true), day);
    assert_eq!(status("too_many_requests", URL, 7, hash, true), Some(seconds(7)));
    assert_eq!(status("forbidden", URL, 3600, hash, false), None, "a hint");
    assert_eq!(status("forbidden", URL, 3600, [1; 32], true), None, "about another's request");
    assert_eq!(status("forbidden", "https://192.0.2.8:8443", 3600, hash, true), None, "from another URL");
    assert_eq!(status("unauthorised", URL, 3600, hash, true), None, "signed, and still no reason to stay away");
    assert_eq!(status("unavailable", URL, 3600, hash, true), None);
}

#[test]
fn the_client_refuses_another_key_and_another_url() {
    let mut world = World::new();
    let key = client(1);
    let wanted = OpeningRequest { server: Some(statement(101).0), ..world.wanted() };
    let (message, opening) = world.ask(&key, wanted);
    // The server would refuse; a forger answers all the same.
    let mut forger = World::with(ServerSettings { open: true, ..Default::default() });
    let forged = signed_anew(&key, &message, |body| body["server"] = json!(null));
    let forged = with_field(&forged, &["request"], |_| ());
    let refusal = forger.create(None, &message).unwrap_err();
    assert_eq!(refusal.why(), Why::Server);
    drop(forged);
    let wanted = world.wanted();
    let (other_message, other_opening) = world.ask(&key, wanted);
    let reply = world.reply(&other_message);
    let expected = OpeningError::OtherKey { expected: statement(101).0, found: statement(100).0 };
    assert_eq!(opening.created(&reply, world.now).err(), Some(expected));
    let moved = String::from_utf8(reply.clone()).unwrap().replace(URL, "https://192.0.2.8:8443");
    assert!(matches!(other_opening.created(moved.as_bytes(), world.now), Err(OpeningError::Source { .. })));
    assert!(matches!(
        other_opening.created(&reply, world.now.plus(Duration::from_secs(3600))),
        Err(OpeningError::Grant(_))
    ));
}

#[test]
fn keys_of_every_kind_and_what_is_none() {
    let rsa = |bits: usize| rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).unwrap();
    let spki = |key: &rsa::RsaPrivateKey| {
        use rsa::pkcs8::EncodePublicKey as _;
        key.to_public_key().to_public_key_der().unwrap().into_vec()
    };
    let strong = rsa(2048);
    let shown = ClientKey::new(&PureRust, KeyType::Rsa, spki(&strong)).unwrap();
    assert_eq!(shown.id().as_bytes(), &sha256(&spki(&strong)));
    let key = OwnKey::new(shown, Arc::new(RsaKey(strong.clone())));
    let mut world = World::new();
    world.registered.insert(key.id());
    let mut channel = world.open(&key);
    world.echo(&mut channel, "1");

    let weak = rsa(1024);
    let weak = ClientKey::new(&PureRust, KeyType::Rsa, spki(&weak)).unwrap_err().to_string();
    assert!(weak.contains("1024 bits"), "{weak}");
    let longer = [spki(&strong), vec![0]].concat();
    assert!(ClientKey::new(&PureRust, KeyType::Rsa, longer).is_err(), "something behind it");
    let ed25519 = PublicKey::ed25519(&PureRust, [7; 32]).spki().to_vec();
    assert_eq!(ClientKey::new(&PureRust, KeyType::Rsa, ed25519.clone()).unwrap_err(), BadClientKey::Type);
    assert_eq!(PublicKey::from_spki(&PureRust, &ed25519).unwrap(), PublicKey::ed25519(&PureRust, [7; 32]));
    assert!(ClientKey::new(&PureRust, KeyType::Ed25519, ed25519).is_err());
    for data in [vec![], vec![0; 31], vec![0; 33], vec![0; 4], vec![0xff; 64]] {
        for kind in [KeyType::Ed25519, KeyType::Rsa, KeyType::X509] {
            assert!(ClientKey::new(&PureRust, kind, data.clone()).is_err(), "{kind:?} {}", data.len());
        }
    }
}

#[test]
fn a_certificate_shows_the_key_in_it() {
    use p256::pkcs8::EncodePrivateKey as _;
    let signing = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let pkcs8 = signing.to_pkcs8_der().unwrap();
    let pair = rcgen::KeyPair::try_from(pkcs8.as_bytes()).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["x".into()]).unwrap().self_signed(&pair).unwrap();
    let der = certificate.der().to_vec();
    let shown = ClientKey::certified(&PureRust, &[der.clone(), der.clone()]).unwrap();
    assert_eq!(shown.chain(), [der.clone(), der.clone()]);
    assert_eq!(shown.public().algorithm(), "ES256");
    assert!(ClientKey::certified(&PureRust, &vec![der.clone(); 5]).is_err(), "four at most");
    assert!(ClientKey::certified(&PureRust, &[]).is_err());
    assert!(ClientKey::certified(&PureRust, &[[der, vec![0]].concat()]).is_err());
    let key = OwnKey::new(shown, Arc::new(CaKey(signing)));
    let mut world = World::new();
    world.registered.insert(key.id());
    let mut channel = world.open(&key);
    world.echo(&mut channel, "1");
    let peer = world.server.key_of(channel.id()).unwrap();
    assert_eq!(peer.id(), PublicKey::from_spki(&PureRust, peer.public().spki()).unwrap().id());
}

#[test]
fn no_two_requests_are_the_same() {
    let ask = |rng: &mut Count, now: Timestamp| {
        let wanted =
            OpeningRequest { source: URL.into(), server: Some(statement(100).0), replaces: None, max_lifetime: None };
        Opening::new(Arc::new(PureRust), client(1), wanted, now, rng).unwrap().0
    };
    let mut rng = Count(1);
    assert_ne!(ask(&mut rng, START), ask(&mut rng, START));
    assert_eq!(ask(&mut Count(1), START), ask(&mut Count(1), START), "fixed randomness, fixed message");
}
