//! The test vector of `docs/protocols/vectors/channel.json`: a recorded exchange with fixed keys and randomness. What is
//! built must reproduce it byte by byte; `interop` reads the same file in another language.

#[allow(clippy::duplicate_mod, clippy::duplicated_attributes)]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::sync::Arc;

use parallax_core::Timestamp;
use serde_json::{Value, json};

use self::support::{Count, PureRust, Statement};
use super::seal::{Seen, split_enc};
use super::wire::{encode, object, take_lp};
use super::{
    ChannelId, ClientChannel, ClientKey, Connection, Control, Face, Heard, KeyType, Opening, OpeningRequest, OwnKey,
    Registration, Run, Server, ServerSettings,
};
use crate::descriptor::StatementKey;

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocols/vectors/channel.json");
const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const SOURCE: &str = "https://192.0.2.7:8443";

fn statement() -> Statement {
    Statement(ed25519_dalek::SigningKey::from_bytes(&[0x22; 32]))
}

fn statement_key() -> StatementKey {
    StatementKey::from_bytes(statement().0.verifying_key().to_bytes())
}

fn own_key() -> OwnKey {
    let pair = ed25519_dalek::SigningKey::from_bytes(&[0x11; 32]);
    let shown = ClientKey::new(&PureRust, KeyType::Ed25519, pair.verifying_key().to_bytes().to_vec()).unwrap();
    OwnKey::new(shown, Arc::new(Statement(pair)))
}

fn server() -> Server {
    let settings = ServerSettings {
        key_creations: super::Rate { burst: 2, every: std::time::Duration::from_secs(30) },
        ..Default::default()
    };
    Server::new(Face::new(Arc::new(PureRust), statement_key(), Arc::new(statement()), vec![SOURCE.into()]), settings)
}

fn registered(_: &ClientKey) -> Registration {
    Registration::Registered { until: None }
}

fn text(bytes: &[u8]) -> Value {
    json!(String::from_utf8(bytes.to_vec()).unwrap())
}

fn ask(replaces: Option<ChannelId>, rng: &mut Count) -> (Vec<u8>, Opening) {
    let wanted = OpeningRequest { source: SOURCE.into(), server: Some(statement_key()), replaces, max_lifetime: None };
    Opening::new(Arc::new(PureRust), own_key(), wanted, NOW, rng).unwrap()
}

/// One creation, with what is inside of it.
fn creation(server: &mut Server, rng: &mut Count) -> (Value, ClientChannel) {
    let (create, opening) = ask(None, rng);
    let created = server.create(None, &create, &registered, NOW, rng).unwrap().bytes;
    let response = super::wire::binary(&object(&created).unwrap(), "response").unwrap();
    let request = super::wire::binary(&object(&create).unwrap(), "request").unwrap();
    let (enc, rest) = split_enc(&response).unwrap();
    let (shown, sealed) = take_lp(rest).unwrap();
    let key = own_key();
    let seen = Seen { key: key.shown(), request: &request, statement_key: shown.try_into().unwrap(), source: SOURCE };
    let (opened, transcript, exported) = opening.open_for_test(&seen, enc, sealed);
    let [of_request, of_answer, of_push] = exported.bytes();
    let value = json!({
        "client_ephemeral_secret": encode(&opening.secret()),
        "create": text(&create),
        "created": text(&created),
        "transcript": encode(&transcript),
        "opened_response": encode(&opened),
        "key_iv_request": encode(of_request),
        "key_iv_answer": encode(of_answer),
        "key_iv_push": encode(of_push),
    });
    (value, opening.created(&created, NOW).unwrap())
}

fn exchange(server: &mut Server, channel: &mut ClientChannel) -> Vec<Value> {
    let mut messages = Vec::new();
    let runs = [json!({"type": "health"}), json!({"type": "view", "service": "tls://example.com:443"})];
    for (id, run) in runs.into_iter().enumerate() {
        let run = Run::new(run).unwrap();
        let (_, request) = channel.request(Some(&format!("r{id}").parse().unwrap()), &run, NOW).unwrap();
        let Heard::Request { reply: Some(reply), run, .. } =
            server.message(None, Some(Connection(1)), &request, NOW).unwrap().heard
        else {
            panic!("a request")
        };
        let answer = server.answer(reply, Ok(json!({ "did": run.kind() })), NOW).unwrap();
        messages.push(json!({ "request": text(&request), "answer": text(&answer) }));
    }
    let (_, ping) = channel.control(Control::Ping, NOW).unwrap();
    let Heard::Answered(pong) = server.message(None, Some(Connection(1)), &ping, NOW).unwrap().heard else {
        panic!("a pong")
    };
    messages.push(json!({ "request": text(&ping), "answer": text(&pong) }));
    messages
}

fn recorded() -> Value {
    let (mut server, mut rng) = (server(), Count(42));
    let (created, mut channel) = creation(&mut server, &mut rng);
    let messages = exchange(&mut server, &mut channel);
    let look = Run::new(json!({"type": "look", "look_id": "AAAA"})).unwrap();
    let (_, push) = server.push(channel.id(), None, &look, NOW).unwrap();
    let (second, _) = ask(Some(channel.id()), &mut rng);
    server.create(None, &second, &registered, NOW, &mut rng).unwrap();
    let (third, _) = ask(None, &mut rng);
    let refusal = server.create(None, &third, &registered, NOW, &mut rng).unwrap_err();
    json!({
        "about": "A recorded exchange of docs/protocols/channel.md. Messages are texts, everything else base64url.",
        "now_unix_ms": NOW.unix_ms(),
        "client_key_seed": encode(&[0x11; 32]),
        "statement_key_seed": encode(&[0x22; 32]),
        "statement_key": statement_key().to_string(),
        "source": SOURCE,
        "key_id": own_key().id().to_string(),
        "creation": created,
        "messages": messages,
        "push": text(&push),
        "replacing": text(&second),
        "refused": text(&third),
        "status": text(&refusal.write(server.face())),
    })
}

#[test]
fn the_recorded_exchange_is_reproduced() {
    let recorded = recorded();
    if std::env::var_os("PARALLAX_RECORD_VECTORS").is_some() {
        std::fs::write(KEPT, format!("{}\n", serde_json::to_string_pretty(&recorded).unwrap())).unwrap();
    }
    let kept: HashMap<String, Value> = serde_json::from_str(&std::fs::read_to_string(KEPT).unwrap()).unwrap();
    for (name, value) in &kept {
        assert_eq!(recorded[name], *value, "{name}");
    }
    assert_eq!(kept.len(), recorded.as_object().unwrap().len());
}
