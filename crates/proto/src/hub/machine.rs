//! The hub's state machine: who is attached, what is asked, who looks. It does no I/O and reads no clock: calls with `now`
//! in, [`Action`]s and the next deadline out.

mod lent;
mod looks;
mod peers;
mod siblings;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{ServiceId, Suite, Timestamp, VantageId};
use rand_core::Rng;

use self::lent::LentLooks;
use self::siblings::Siblings;
use super::asks::{Asking, Edge, Question, Row, Sighted};
use super::budget::Buckets;
use super::pool::{Pool, Slot};
use super::settings::HubSettings;
use super::siblings::Word;
use super::wire::{Answer, Attach, Counts, Ended, Look, LookId, PeerSpki};
use crate::signed::Signed;

/// Rows that are read for one question at most.
pub const MOST_ROWS: usize = 256;

/// A connection of a peer, as its driver numbers it. No number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A question under way, as the hub numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// Who attaches, as its channel proved it.
#[derive(Clone, Debug)]
pub struct Attaching {
    /// The id of its key.
    pub peer: VantageId,
    /// The key, DER.
    pub spki: Arc<[u8]>,
    /// The address that the hub sees.
    pub address: IpAddr,
    /// Over which connection.
    pub connection: ConnectionId,
    /// What it says.
    pub attach: Attach,
}

/// What the driver does for the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read what is remembered of a service, the newest first, at most [`MOST_ROWS`], and call [`Hub::rows`].
    ReadRows {
        /// For whom.
        ask: AskId,
        /// Of what.
        service: ServiceId,
        /// Nothing older.
        since: Timestamp,
    },
    /// Push this to a peer.
    Look {
        /// Over its connection.
        connection: ConnectionId,
        /// The look.
        look: Look,
    },
    /// Give this to the asker.
    Answer {
        /// Of which question.
        ask: AskId,
        /// The answer.
        answer: Answer,
    },
    /// The question has ended; nothing more comes of it.
    End {
        /// Which.
        ask: AskId,
        /// How many.
        counts: Counts,
        /// Why.
        ended: Ended,
    },
    /// Remember this, in the place of what is remembered of the same peer and service.
    Store(Box<Row>),
    /// Ping a peer.
    Ping {
        /// Over its connection.
        connection: ConnectionId,
    },
    /// The connection is no peer's any more; close it.
    Detach {
        /// Which.
        connection: ConnectionId,
        /// Why.
        why: Detached,
    },
    /// Tell this to a sibling, or to all of them.
    Tell {
        /// To whom.
        to: Option<VantageId>,
        /// What.
        word: Box<Word>,
    },
}

/// Why a connection is no peer's any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detached {
    /// It was silent for too long.
    Silent,
    /// The same key attached anew, here or at a sibling.
    Replaced,
    /// The hub stops.
    Stopping,
}

/// Why the hub does not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only peers may say this.
    #[error("this connection is not attached: send attach first")]
    NotAttached,
    /// The connection is another peer's.
    #[error("this connection is attached under another key already")]
    OtherKey,
    /// There is no place for more peers.
    #[error("the hub has no place for more peers now")]
    Full,
    /// There is no place for more peers of this network.
    #[error("the hub has no place for more peers of this network now")]
    NetworkFull,
    /// There is no place for more questions.
    #[error("the hub has no place for more questions now")]
    Busy,
    /// This key asks too much.
    #[error("this key asks too often; wait {} s", .0.as_secs().max(1))]
    TooMany(Duration),
    /// The look was not asked of this peer, or its question has ended.
    #[error("this look was not asked of you, or is over")]
    Unasked,
    /// The view does not answer the look.
    #[error("the view does not answer the look: {0}")]
    Malformed(&'static str),
}

/// What a hub counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Looks that were asked for.
    pub looks: u64,
    /// Views that peers sent and that were passed on.
    pub routed: u64,
    /// Views that were given from memory.
    pub cached: u64,
    /// Looks that failed, were given up, or whose peer went away.
    pub failed: u64,
    /// Looks that took so long that another peer was asked in their place.
    pub replaced: u64,
    /// Replies that were not asked for, or came too late.
    pub unasked: u64,
    /// Views that did not answer their look.
    pub malformed: u64,
    /// Peers that were detached because they were silent.
    pub silent: u64,
    /// Looks that peers of this hub were asked for by siblings.
    pub lent: u64,
}

/// A look that a reply is hoped for.
#[derive(Debug)]
struct Hoped {
    ask: AskId,
    slot: Slot,
    peer: VantageId,
    network: IpAddr,
    /// The sibling that the look went to.
    there: Option<VantageId>,
    replaced: bool,
}

/// The hub.
pub struct Hub {
    settings: HubSettings,
    suite: Arc<dyn Suite>,
    secret: [u8; 32],
    pool: Pool,
    questions: HashMap<AskId, Question>,
    asks_of: HashMap<VantageId, usize>,
    hoped: HashMap<LookId, Hoped>,
    asks_each: Buckets<VantageId>,
    lookups_each: Buckets<VantageId>,
    looks_a_service: Buckets<ServiceId>,
    looks_a_network: Buckets<IpAddr>,
    next_ask: u64,
    deadlines: BinaryHeap<Reverse<(Timestamp, AskId)>>,
    heartbeats: BinaryHeap<Reverse<(Timestamp, Slot, VantageId)>>,
    /// Looks to be replaced, and those to be given up, the earliest first.
    impatience: VecDeque<(Timestamp, LookId)>,
    despair: VecDeque<(Timestamp, LookId)>,
    siblings: Siblings,
    lent: LentLooks,
    actions: Vec<Action>,
    stats: Stats,
}

impl Hub {
    /// A hub without peers. `secret` makes the words by which askers are told networks and edges apart: 32 random bytes,
    /// the same as long as the words are to stay the same.
    pub fn new(settings: HubSettings, suite: Arc<dyn Suite>, secret: [u8; 32]) -> Self {
        Self {
            suite,
            secret,
            pool: Pool::new(settings.views_a_network),
            questions: HashMap::new(),
            asks_of: HashMap::new(),
            hoped: HashMap::new(),
            asks_each: Buckets::new(settings.asks_each),
            lookups_each: Buckets::new(settings.asks_each),
            looks_a_service: Buckets::new(settings.looks_a_service),
            looks_a_network: Buckets::new(settings.looks_a_network),
            next_ask: 0,
            deadlines: BinaryHeap::new(),
            heartbeats: BinaryHeap::new(),
            impatience: VecDeque::new(),
            despair: VecDeque::new(),
            siblings: Siblings::default(),
            lent: LentLooks::default(),
            actions: Vec::new(),
            stats: Stats::default(),
            settings,
        }
    }

    /// Whether the driver may look up where a service lies before this key asks about it: as often as the key may ask.
    pub fn may_look_up(&mut self, asker: VantageId, now: Timestamp) -> Result<(), Refused> {
        self.lookups_each.take(&asker, now).map_err(Refused::TooMany)
    }

    /// Takes up a question. What comes of it are actions under the id.
    pub fn ask(&mut self, asking: Asking, now: Timestamp, rng: &mut dyn Rng) -> Result<AskId, Refused> {
        if self.questions.len() >= self.settings.asks {
            return Err(Refused::Busy);
        }
        if self.asks_of.get(&asking.asker).is_some_and(|at_once| *at_once >= self.settings.asks_each_at_once) {
            return Err(Refused::TooMany(Duration::from_secs(1)));
        }
        self.asks_each.take(&asking.asker, now).map_err(Refused::TooMany)?;
        self.siblings.spent_ask(asking.asker, now);
        let id = AskId(self.next_ask);
        self.next_ask += 1;
        *self.asks_of.entry(asking.asker).or_default() += 1;
        let until = now.plus(Duration::from_millis(asking.ask.deadline_ms.into()));
        let window = self.settings.window.min(Duration::from_secs(asking.ask.max_age_secs.into()));
        let mut question = Question::new(asking, until, rng);
        if !window.is_zero() {
            question.reading = true;
            let service = question.ask.service.clone();
            self.actions.push(Action::ReadRows { ask: id, service, since: now.minus(window) });
        }
        self.deadlines.push(Reverse((until, id)));
        self.questions.insert(id, question);
        self.fill(id, now, rng);
        Ok(id)
    }

    /// What is remembered, as an answer to [`Action::ReadRows`]; nothing when it can't be read.
    pub fn rows(&mut self, id: AskId, mut rows: Vec<Row>, now: Timestamp, rng: &mut dyn Rng) {
        let window = self.settings.window;
        let Some(question) = self.questions.get_mut(&id) else { return };
        if !std::mem::take(&mut question.reading) {
            return;
        }
        let oldest = now.minus(window.min(Duration::from_secs(question.ask.max_age_secs.into())));
        rows.truncate(MOST_ROWS);
        rows.retain(|row| row.service == question.ask.service && row.at >= oldest && row.valid_until > now);
        crate::mirror::random::shuffle(rng, &mut rows);
        if let Sighted::Through(turns) = &question.sight {
            let (known, strangers): (Vec<_>, _) = rows.into_iter().partition(|row| turns.knows(row.peer));
            question.rows = known.into_iter().map(|row| (row.peer, row)).collect();
            question.rows_of_strangers = strangers;
            return self.fill(id, now, rng);
        }
        for row in rows {
            self.give_row(id, row);
        }
        self.fill(id, now, rng);
    }

    fn give_row(&mut self, id: AskId, row: Row) {
        let a_network = self.settings.views_a_network;
        let Some(question) = self.questions.get_mut(&id) else { return };
        if question.is_complete() || !question.may_meet(row.peer, row.network, a_network) {
            return;
        }
        question.meet(row.peer, row.network);
        question.counts.answered += 1;
        question.counts.cached += 1;
        self.stats.cached += 1;
        let (asker, edge) = (question.asker, question.sight.edge(row.peer));
        self.answer(id, asker, (row.spki, row.network, edge), row.view, true);
    }

    fn answer(&mut self, ask: AskId, asker: VantageId, of: (PeerSpki, IpAddr, Edge), view: Signed, cached: bool) {
        let (peer, network, edge) = of;
        let answer = Answer {
            network: self.word(b"network", asker, &address_bytes(network)),
            edge: self.edge_word(asker, edge),
            trusted: edge != Edge::STRANGERS,
            view,
            peer,
            cached,
        };
        self.actions.push(Action::Answer { ask, answer });
    }

    /// The word by which an asker is told this edge.
    pub fn edge_word(&self, asker: VantageId, edge: Edge) -> String {
        self.word(b"edge", asker, edge.0.as_bytes())
    }

    /// A word that stands for something, always the same for this asker and another for every other: nobody learns from
    /// two answers what they have in common.
    fn word(&self, kind: &[u8], asker: VantageId, what: &[u8]) -> String {
        let input = [b"parallax hub word 1\0", self.secret.as_slice(), asker.as_bytes(), kind, b"\0", what].concat();
        self.suite.sha256(&input).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The asker has left: its question ends without an answer.
    pub fn withdraw(&mut self, id: AskId) {
        self.close(id);
    }

    /// Ends a question and forgets what was still hoped for.
    fn close(&mut self, id: AskId) -> Option<Question> {
        let mut question = self.questions.remove(&id)?;
        if let Some(at_once) = self.asks_of.get_mut(&question.asker) {
            *at_once -= 1;
            if *at_once == 0 {
                self.asks_of.remove(&question.asker);
            }
        }
        let mut there: HashMap<VantageId, Vec<LookId>> = HashMap::new();
        for look in std::mem::take(&mut question.looks) {
            question.counts.failed += 1;
            if let Some(hoped) = self.hoped.remove(&look) {
                hoped.there.into_iter().for_each(|sibling| there.entry(sibling).or_default().push(look));
                self.pool.peer_mut(hoped.slot).into_iter().for_each(|peer| peer.under_way.retain(|one| *one != look));
            }
        }
        self.forget_there(there);
        Some(question)
    }

    fn end(&mut self, ask: AskId, ended: Ended) {
        if let Some(question) = self.close(ask) {
            self.actions.push(Action::End { ask, counts: question.counts, ended });
        }
    }

    /// Does what is due by now.
    pub fn tick(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        while let Some(Reverse((_, id))) = self.deadlines.peek().copied().filter(|Reverse((due, _))| *due <= now) {
            self.deadlines.pop();
            self.end(id, Ended::Deadline);
        }
        self.replace_the_slow(now, rng);
        self.see_to_the_silent(now, rng);
        self.see_to_siblings(now, rng);
    }

    /// When [`Hub::tick`] is to be called at the latest.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let looks = [self.impatience.front(), self.despair.front()].into_iter().flatten().map(|(due, _)| *due);
        let heartbeat = self.heartbeats.peek().map(|Reverse((due, ..))| *due);
        let deadline = self.deadlines.peek().map(|Reverse((due, _))| *due);
        looks.chain(heartbeat).chain(deadline).chain(self.siblings.deadline()).chain(self.lent.deadline()).min()
    }

    /// Ends every question and detaches every peer.
    pub fn stop(&mut self) {
        let open: Vec<AskId> = self.questions.keys().copied().collect();
        open.into_iter().for_each(|id| self.end(id, Ended::Stopping));
        let stopping = |connection| Action::Detach { connection, why: Detached::Stopping };
        self.actions.extend(self.pool.connections().map(stopping));
        self.leave_siblings();
    }

    /// What is to be done, in order. To be called after every other call.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Peers that are attached at this hub.
    pub fn peers(&self) -> usize {
        self.pool.here()
    }

    /// Questions under way.
    pub fn asks(&self) -> usize {
        self.questions.len()
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}

fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The network by which peers and targets are counted: IPv4 /24, IPv6 /48. A mapped address counts as the IPv4 in it.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).into(),
    }
}
