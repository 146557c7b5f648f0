//! What ended or fooled the original's server, each by name, against the real binary: strangers' frames, requests that are
//! none, askers that leave, liars in every form (`docs/protocols/hub.md`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/raw.rs"]
mod raw;
#[path = "support/served.rs"]
mod served;
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use raw::{Raw, allow, frame, id, socket};
use serde_json::{Value, json};
use served::Served;
use support::Home;
use tokio_tungstenite::tungstenite::Message;

/// The peers and the askers of these tests, by the numbers of their keys.
const LIAR: u8 = 66;
const ASKER: u8 = 100;
const OTHER_ASKER: u8 = 101;

const SITE: &str = "tls://127.0.0.1:4433";
const BANK: &str = "tls://127.0.0.1:4434";

/// A hub of its own for each test.
struct World {
    hub: Served,
    _home: Home,
}

impl World {
    fn start() -> Self {
        let home = Home::new();
        allow(&home.path().join("hub"), 0..=ASKER + 10);
        let hub = Served::start(&home, "hub", &["--role", "hub"]);
        Self { hub, _home: home }
    }

    async fn peers<const N: usize>(&self) -> [Raw; N] {
        let mut peers = Vec::new();
        for number in 0..N {
            peers.push(Raw::peer(&self.hub, u8::try_from(number).unwrap()).await);
        }
        peers.try_into().unwrap_or_else(|_| unreachable!())
    }

    async fn asker(&self, number: u8) -> Raw {
        Raw::open(&self.hub, number).await
    }

    /// The node goes on, and a question of somebody else is answered by the peers that are there.
    fn still_serves(&self) {
        assert!(self.hub.get("/healthz").starts_with("HTTP/1.1 200"), "it ended");
    }
}

fn ask(service: &str, replies: u32, max_age_secs: u32) -> Value {
    // A nonce of 32 bytes; the askers of these tests need no better one.
    let nonce = "A".repeat(43);
    json!({
        "type": "ask", "service": service, "replies": replies, "deadline_ms": 20_000, "max_age_secs": max_age_secs,
        "nonce": nonce,
    })
}

/// The keys that answers show, and how often.
fn keys(answers: &[Value]) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for answer in answers {
        let body: Value = serde_json::from_str(answer["view"]["body"].as_str().unwrap()).unwrap();
        *keys.entry(body["now"]["key"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    keys
}

fn counts(ended: &Value) -> (&str, u64) {
    (ended["ended"].as_str().unwrap(), ended["counts"]["answered"].as_u64().unwrap())
}

#[tokio::test]
async fn a_ping_before_the_hello() {
    let world = World::start();
    let early = [
        Message::text("ping"),
        Message::text("{\"control\":\"ping\"}"),
        Message::text("{\"channel\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"request\":\"AAAA\"}"),
        Message::text(""),
        Message::text("x".repeat(70_000)),
        Message::binary(vec![0_u8; 64]),
    ];
    for message in early {
        let mut socket = socket(&world.hub).await;
        // A WebSocket's own ping is nobody's hello either.
        socket.send(Message::Ping(vec![1].into())).await.unwrap();
        let _ = socket.send(message).await;
        // A status at most, and then the end.
        while frame(&mut socket).await.is_some() {}
    }
    world.still_serves();
    let [mut peer] = world.peers().await;
    let mut asker = world.asker(ASKER).await;
    asker.send(Some("1"), ask(SITE, 1, 0)).await;
    let look = peer.look().await;
    peer.lies(&look, "a key").await.unwrap();
    assert_eq!(counts(&asker.answer_to("1").await.unwrap()), ("complete", 1));
}

#[tokio::test]
async fn a_short_or_non_numeric_request() {
    let world = World::start();
    let mut asker = world.asker(ASKER).await;
    let good = ask(SITE, 5, 0);
    let with = |field: &str, value: Value| {
        let mut wrong = good.clone();
        wrong[field] = value;
        wrong
    };
    let wrong = [
        json!({ "type": "ask" }),
        json!({ "type": "ask", "service": SITE }),
        json!({ "type": "ask", "service": SITE, "replies": 5 }),
        with("replies", json!("ten")),
        with("replies", json!(0)),
        with("replies", json!(-1)),
        with("replies", json!(101)),
        with("replies", json!(1e30)),
        with("replies", json!([5])),
        with("deadline_ms", json!("soon")),
        with("deadline_ms", json!(0)),
        with("nonce", json!("short")),
        with("service", json!("")),
        with("service", json!("a..b")),
        with("service", Value::Null),
    ];
    for (number, run) in wrong.into_iter().enumerate() {
        let error = asker.asks(&format!("wrong {number}"), run.clone()).await.expect_err("an error");
        assert!(error["reason"].as_str().is_some_and(|why| !why.is_empty()), "{run}: {error}");
    }
    for run in [json!({ "type": "attach" }), json!({ "type": "seen", "look_id": 7 }), json!({ "type": "nonsense" })] {
        asker.asks(&run["type"].to_string(), run.clone()).await.expect_err("an error");
    }
    // The same connection goes on; with no peer at all it is over at once.
    assert_eq!(counts(&asker.asks("good", good).await.unwrap()), ("nobody-left", 0));
    world.still_serves();
}

#[tokio::test]
async fn a_requester_that_leaves() {
    let world = World::start();
    let [mut one, mut two] = world.peers().await;
    let mut leaving = world.asker(ASKER).await;
    leaving.send(Some("1"), ask(SITE, 2, 0)).await;
    let (of_one, of_two) = (one.look().await, two.look().await);
    drop(leaving);
    let mut staying = world.asker(OTHER_ASKER).await;
    staying.send(Some("1"), ask(SITE, 2, 0)).await;
    let (for_staying_one, for_staying_two) = (one.look().await, two.look().await);
    // Replies to nobody are errors at most.
    let _ = one.lies(&of_one, "for nobody").await;
    let _ = two.lies(&of_two, "for nobody").await;
    one.lies(&for_staying_one, "a key").await.unwrap();
    two.lies(&for_staying_two, "a key").await.unwrap();
    assert_eq!(counts(&staying.answer_to("1").await.unwrap()), ("complete", 2));
    assert_eq!(keys(&staying.pushed()).into_values().collect::<Vec<_>>(), [2]);
    world.still_serves();
}

#[tokio::test]
async fn two_requests_that_finish_out_of_order() {
    let world = World::start();
    let [mut peer] = world.peers().await;
    let mut asker = world.asker(ASKER).await;
    asker.send(Some("first"), ask(SITE, 1, 0)).await;
    let first = peer.look().await;
    asker.send(Some("second"), ask(BANK, 1, 0)).await;
    let second = peer.look().await;
    peer.lies(&second, "second").await.unwrap();
    assert_eq!(counts(&asker.answer_to("second").await.unwrap()), ("complete", 1));
    peer.lies(&first, "first").await.unwrap();
    assert_eq!(counts(&asker.answer_to("first").await.unwrap()), ("complete", 1));
    assert_eq!(keys(&asker.pushed()).len(), 2);
    world.still_serves();
}

#[tokio::test]
async fn one_peer_can_not_fill_all_votes() {
    let world = World::start();
    let [mut one, mut two] = world.peers().await;
    let mut liar = Raw::peer(&world.hub, LIAR).await;
    let mut asker = world.asker(ASKER).await;
    asker.send(Some("1"), ask(SITE, 3, 0)).await;
    let (of_one, of_two, of_liar) = (one.look().await, two.look().await, liar.look().await);
    liar.lies(&of_liar, "lie").await.unwrap();
    for look in [&of_liar, &of_one, &of_two] {
        for _ in 0..3 {
            liar.lies(look, "lie").await.expect_err("an unasked reply");
        }
    }
    one.lies(&of_one, "truth").await.unwrap();
    two.lies(&of_two, "truth").await.unwrap();
    assert_eq!(counts(&asker.answer_to("1").await.unwrap()), ("complete", 3));
    let mut votes: Vec<_> = keys(&asker.pushed()).into_values().collect();
    votes.sort_unstable();
    assert_eq!(votes, [1, 2]);
}

#[tokio::test]
async fn one_key_on_many_connections_can_not_fill_all_votes() {
    let world = World::start();
    let [mut one, mut two] = world.peers().await;
    let mut liars = Vec::new();
    for _ in 0..4 {
        liars.push(Raw::peer(&world.hub, LIAR).await);
    }
    let mut asker = world.asker(ASKER).await;
    asker.send(Some("1"), ask(SITE, 20, 0)).await;
    let (of_one, of_two) = (one.look().await, two.look().await);
    // The newest connection has the key's place.
    let of_liar = liars.last_mut().unwrap().look().await;
    let mut taken = 0;
    for liar in &mut liars {
        for _ in 0..2 {
            taken += usize::from(liar.lies(&of_liar, "lie").await.is_ok());
        }
    }
    assert_eq!(taken, 1);
    one.lies(&of_one, "truth").await.unwrap();
    two.lies(&of_two, "truth").await.unwrap();
    assert_eq!(counts(&asker.answer_to("1").await.unwrap()), ("nobody-left", 3));
    let mut votes: Vec<_> = keys(&asker.pushed()).into_values().collect();
    votes.sort_unstable();
    assert_eq!(votes, [1, 2]);
}

#[tokio::test]
async fn a_reply_for_another_name_poisons_nothing() {
    let world = World::start();
    let mut liar = Raw::peer(&world.hub, LIAR).await;
    let mut asker = world.asker(ASKER).await;
    asker.send(Some("1"), ask(SITE, 1, 300)).await;
    let look = liar.look().await;
    // Signed and all, but of the bank.
    let of_bank = parallax_proto::hub::Look { service: BANK.parse().unwrap(), ..look.clone() };
    let poison = liar.seen(&of_bank, "poison").await;
    liar.replies(poison).await.expect_err("it is about another service");
    assert_eq!(counts(&asker.answer_to("1").await.unwrap()), ("nobody-left", 0));
    // Nothing of the bank is remembered: somebody has to look.
    asker.send(Some("2"), ask(BANK, 1, 300)).await;
    let look = liar.look().await;
    assert_eq!(look.service.to_string(), BANK);
    liar.lies(&look, "another key").await.unwrap();
    let ended = asker.answer_to("2").await.unwrap();
    assert_eq!((counts(&ended), &ended["counts"]["cached"]), (("complete", 1), &json!(0)));
}

#[tokio::test]
async fn remembered_views_do_not_go_beyond_the_number_asked_for() {
    let world = World::start();
    let mut peers: [Raw; 6] = world.peers().await;
    let mut asker = world.asker(ASKER).await;
    asker.send(Some("1"), ask(SITE, 6, 300)).await;
    for peer in &mut peers {
        let look = peer.look().await;
        peer.lies(&look, "a key").await.unwrap();
    }
    assert_eq!(counts(&asker.answer_to("1").await.unwrap()), ("complete", 6));
    // Views are remembered once they are written, which nobody is told of. Peers that are asked meanwhile are silent.
    let mut other = world.asker(OTHER_ASKER).await;
    for attempt in 0..20 {
        let mut run = ask(SITE, 4, 300);
        run["deadline_ms"] = 300.into();
        let ended = other.asks(&format!("attempt {attempt}"), run).await.unwrap();
        let answers = other.pushed().len();
        assert!(answers <= 4, "{answers} answers where 4 were wanted");
        if ended["counts"]["cached"] == 4 {
            assert_eq!((counts(&ended), answers), (("complete", 4), 4));
            return;
        }
    }
    panic!("what six peers saw is not remembered");
}

#[tokio::test]
async fn too_few_peers_do_not_make_it_wait_out_the_clock() {
    let world = World::start();
    let [mut one, mut two] = world.peers().await;
    let mut asker = world.asker(ASKER).await;
    let begun = Instant::now();
    asker.send(Some("1"), ask(SITE, 20, 0)).await;
    let (of_one, of_two) = (one.look().await, two.look().await);
    one.lies(&of_one, "a key").await.unwrap();
    two.lies(&of_two, "a key").await.unwrap();
    assert_eq!(counts(&asker.answer_to("1").await.unwrap()), ("nobody-left", 2));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?} of 20 s", begun.elapsed());
}

#[tokio::test]
async fn the_askers_view_is_not_sent_to_peers() {
    let world = World::start();
    let [mut peer] = world.peers().await;
    let mut asker = world.asker(ASKER).await;
    let mut run = ask(SITE, 1, 0);
    run["view"] = json!({ "body": "my own view", "signature": "x" });
    run["now"] = json!({ "key": "my own key" });
    asker.send(Some("1"), run).await;
    let push = peer.push().await;
    let mut fields: Vec<_> = push.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["look_id", "nonce", "service", "type", "wait_ms"], "{push}");
    assert!(!push.to_string().contains(&id(ASKER).to_string()), "nor who asks: {push}");
}
