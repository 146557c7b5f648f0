//! Every rule and every known failure of `docs/protocols/hub.md`, without a socket.

mod failures;
mod properties;
mod rules;
mod siblings;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{AeadKey, AeadKind, ServiceId, Suite, Timestamp, VantageId};

use super::*;
use crate::mirror::random::tests::Counter;
use crate::signed::Signed;

const START: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

/// SHA-256 is all that a hub needs of a suite.
struct OnlyHashes;

impl Suite for OnlyHashes {
    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        use sha2::Digest as _;
        sha2::Sha256::digest(bytes).into()
    }

    fn verify_ed25519(&self, _: &[u8; 32], _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn verify_p256(&self, _: &[u8], _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn verify_rsa_pss(&self, _: &[u8], _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn aead(&self, _: AeadKind, _: &[u8; 32]) -> Option<Box<dyn AeadKey>> {
        None
    }
}

fn id(seed: u64) -> VantageId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    VantageId::from_bytes(bytes)
}

fn service() -> ServiceId {
    "example.com".parse().unwrap()
}

/// A view as the hub reads it, which says `word`.
fn view(peer: VantageId, service: &ServiceId, nonce: Nonce, word: &str, at: Timestamp) -> Signed {
    let body = serde_json::json!({
        "format": "parallax-view/1", "vantage": peer, "service": service, "nonce": nonce,
        "valid_until": at.plus(Duration::from_secs(300)), "says": word,
    });
    Signed { body: body.to_string(), signature: "e30..e30".into() }
}

/// A hub with its driver: rows are kept in a map, and what is pushed is kept for the test.
struct World {
    hub: Hub,
    rng: Counter,
    now: Timestamp,
    rows: HashMap<(VantageId, ServiceId), Row>,
    connections: HashMap<ConnectionId, VantageId>,
    next_connection: u64,
    looks: Vec<(ConnectionId, Look)>,
    answers: Vec<(AskId, Answer)>,
    ends: Vec<(AskId, Counts, Ended)>,
    pings: Vec<ConnectionId>,
    detached: Vec<(ConnectionId, Detached)>,
    told: Vec<(Option<VantageId>, Word)>,
}

impl World {
    fn new(settings: HubSettings) -> Self {
        Self {
            hub: Hub::new(settings, Arc::new(OnlyHashes), [7; 32]),
            rng: Counter::default(),
            now: START,
            rows: HashMap::new(),
            connections: HashMap::new(),
            next_connection: 0,
            looks: Vec::new(),
            answers: Vec::new(),
            ends: Vec::new(),
            pings: Vec::new(),
            detached: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Networks do not count and nobody is held back by a limit.
    fn open() -> Self {
        let plenty = PerMinute { rate: 1_000_000, burst: 1_000_000 };
        Self::new(HubSettings {
            views_a_network: None,
            asks_each: plenty,
            looks_a_service: plenty,
            looks_a_network: plenty,
            ..HubSettings::default()
        })
    }

    fn with_peers(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        for seed in seeds {
            self.attach(seed).unwrap();
        }
        self
    }

    fn attach(&mut self, seed: u64) -> Result<ConnectionId, Refused> {
        let [.., third, fourth] = seed.to_be_bytes();
        self.attach_from(seed, IpAddr::from([10, third, fourth, 1]), 600)
    }

    fn attach_from(&mut self, seed: u64, address: IpAddr, looks_per_minute: u32) -> Result<ConnectionId, Refused> {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let attach = Attach { region: None, looks_per_minute };
        let spki = Arc::from(id(seed).as_bytes().as_slice());
        let attaching = Attaching { peer: id(seed), spki, address, connection, attach };
        self.hub.attach(attaching, self.now)?;
        self.connections.insert(connection, id(seed));
        self.act();
        Ok(connection)
    }

    fn asking(replies: u16, nonce: u8) -> Ask {
        Ask { service: service(), replies, deadline_ms: 10_000, max_age_secs: 0, nonce: Nonce([nonce; 32]) }
    }

    fn ask(&mut self, replies: u16) -> AskId {
        self.ask_as(9_999, Self::asking(replies, 1)).unwrap()
    }

    fn ask_as(&mut self, asker: u64, ask: Ask) -> Result<AskId, Refused> {
        self.ask_with(Asking { asker: id(asker), ask, target: None, sight: Sight::Everybody })
    }

    fn ask_with(&mut self, asking: Asking) -> Result<AskId, Refused> {
        let asked = self.hub.ask(asking, self.now, &mut self.rng)?;
        self.act();
        Ok(asked)
    }

    /// Does what the hub wants.
    fn act(&mut self) {
        loop {
            let actions = self.hub.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.one(action);
            }
        }
    }

    fn one(&mut self, action: Action) {
        match action {
            Action::ReadRows { ask, service, since } => {
                let fits = |row: &&Row| row.service == service && row.at >= since;
                let rows = self.rows.values().filter(fits).cloned().collect();
                self.hub.rows(ask, rows, self.now, &mut self.rng);
            }
            Action::Look { connection, look } => self.looks.push((connection, look)),
            Action::Answer { ask, answer } => self.answers.push((ask, answer)),
            Action::End { ask, counts, ended } => self.ends.push((ask, counts, ended)),
            Action::Store(row) => drop(self.rows.insert((row.peer, row.service.clone()), *row)),
            Action::Ping { connection } => self.pings.push(connection),
            Action::Detach { connection, why } => {
                self.connections.remove(&connection);
                self.detached.push((connection, why));
            }
            Action::Tell { to, word } => self.told.push((to, *word)),
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while let Some(next) = self.hub.next_deadline().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.hub.tick(self.now, &mut self.rng);
            self.act();
        }
        self.now = until;
        self.hub.tick(self.now, &mut self.rng);
        self.act();
    }

    fn seen(&mut self, connection: ConnectionId, seen: Seen) -> Result<(), Refused> {
        let done = self.hub.seen(connection, seen, self.now, &mut self.rng);
        self.act();
        done
    }

    /// The peer of a look answers it as `word`.
    fn reply(&mut self, (connection, look): (ConnectionId, Look), word: &str) -> Result<(), Refused> {
        let peer = self.connections.get(&connection).copied().unwrap_or(id(0));
        let view = view(peer, &look.service, look.nonce, word, self.now);
        self.seen(connection, Seen { look_id: look.look_id, view: Some(view), unseen: None })
    }

    /// Every look that was asked for is answered, until none is left.
    fn all_reply(&mut self, word: impl Fn(VantageId) -> &'static str) {
        while !self.looks.is_empty() {
            for (connection, look) in std::mem::take(&mut self.looks) {
                let word = word(self.connections[&connection]);
                let _ = self.reply((connection, look), word);
            }
        }
    }

    fn gone(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.hub.gone(connection, self.now, &mut self.rng);
        self.act();
    }

    fn words(&self, ask: AskId) -> Vec<String> {
        let of = self.answers.iter().filter(|(one, _)| *one == ask);
        of.map(|(_, answer)| {
            let view: serde_json::Value = serde_json::from_str(&answer.view.body).unwrap();
            view["says"].as_str().unwrap().to_owned()
        })
        .collect()
    }

    fn peers_of(&self, ask: AskId) -> Vec<Vec<u8>> {
        self.answers.iter().filter(|(one, _)| *one == ask).map(|(_, answer)| answer.peer.0.clone()).collect()
    }

    fn end_of(&self, ask: AskId) -> Option<(Counts, Ended)> {
        let ends: Vec<_> = self.ends.iter().filter(|(one, ..)| *one == ask).collect();
        assert!(ends.len() <= 1, "a question ends once: {ends:?}");
        ends.first().map(|(_, counts, ended)| (*counts, *ended))
    }
}

fn counts(asked: u32, answered: u32, cached: u32, failed: u32) -> Counts {
    Counts { asked, answered, cached, failed }
}
