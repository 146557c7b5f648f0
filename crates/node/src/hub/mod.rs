//! The role `hub`: the state machine of `parallax_proto::hub` over channels (`docs/protocols/hub.md`).
//!
//! Whatever happens (a message, a connection that ends, a deadline) is a call to the machine, under one lock and without
//! waiting. Answers go to their asker's queue under that lock, so that none comes after the end; pushes and rows are seen
//! to outside of it.

mod asks;
mod handlers;
mod rows;
#[cfg(feature = "cluster")]
mod siblings;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use parallax_core::{Timestamp, VantageId};
use parallax_janus::Identity;
use parallax_probe::{AwsLc, Prober, TargetPolicy};
use parallax_proto::channel::{ChannelId, Connection, Control, RequestId, Run, RunText};
use parallax_proto::hub::{
    Action, Answer, AskId, Attach, Attaching, ConnectionId, Counts, Edge, Ended, Hub, HubSettings, Look, Refused, Seen,
    Stats, Word,
};
use parallax_store::Records;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use self::rows::Rows;
use crate::app::Shared;
use crate::channels::{Caller, Channels, failure};
use crate::trust::{NotChanged, Trust};
use crate::vouching::Vouching;
use parallax_client::Chance;

/// While the clock stands wrong, it is read again after this time.
const CLOCK_AGAIN: Duration = Duration::from_secs(1);

/// Where the secret is kept that makes the words for networks and edges.
const SECRET_NAMESPACE: &str = "hub";
const SECRET_KEY: &str = "secret";

/// What the hub works with.
pub(crate) struct Tools {
    pub(crate) shared: Shared,
    pub(crate) records: Arc<dyn Records>,
    /// Finds the networks of what is asked about.
    pub(crate) prober: Prober,
    pub(crate) targets: TargetPolicy,
    /// Who trusts whom, and whose certificates count; `None` where all are strangers.
    pub(crate) people: Option<KnownPeople>,
}

/// Who trusts whom, and whose certificates count.
#[derive(Clone)]
pub(crate) struct KnownPeople {
    pub(crate) trust: Arc<Trust>,
    pub(crate) vouching: Arc<Vouching>,
}

/// This node as a hub.
pub(crate) struct HubRole {
    tools: Tools,
    machine: Mutex<Machine>,
    moved: Notify,
    rows: Rows,
    channels: OnceLock<Weak<Channels>>,
}

struct Machine {
    hub: Hub,
    told: Stats,
    askers: HashMap<AskId, mpsc::UnboundedSender<ToAsker>>,
    channels: HashMap<ConnectionId, ChannelId>,
    connections: HashMap<ChannelId, Known>,
    next_connection: u64,
    /// What peers' channels come over.
    over: HashMap<Connection, Vec<ChannelId>>,
    /// Who asks over what: its questions end with it.
    asks_over: HashMap<Connection, HashSet<AskId>>,
    /// What other hubs of the group are told, in this order; `None` where peers are not shared.
    words: Option<mpsc::Sender<ToSibling>>,
}

/// A word for one sibling, or for all of them.
type ToSibling = (Option<VantageId>, Box<Word>);

/// A channel that is a peer's.
struct Known {
    id: ConnectionId,
    over: Connection,
}

/// What an asker is told.
enum ToAsker {
    Answer(Box<Answer>),
    End(Counts, Ended),
}

/// What is done outside of the lock.
enum Deed {
    Read { ask: AskId, service: parallax_core::ServiceId, since: Timestamp },
    Look(ChannelId, Box<Look>),
    Ping(ChannelId),
    Close(ChannelId),
    Store(Box<parallax_proto::hub::Row>),
}

impl HubRole {
    /// Takes up what an earlier run remembered.
    pub(crate) async fn open(settings: HubSettings, tools: Tools) -> Result<Arc<Self>, crate::NodeError> {
        let secret = secret(tools.records.as_ref()).await?;
        let rows = Rows::new(Arc::clone(&tools.records), settings.window);
        let hub = Hub::new(settings, Arc::new(AwsLc), secret);
        let machine = Machine {
            hub,
            told: Stats::default(),
            askers: HashMap::new(),
            channels: HashMap::new(),
            connections: HashMap::new(),
            next_connection: 0,
            over: HashMap::new(),
            asks_over: HashMap::new(),
            words: None,
        };
        let machine = Mutex::new(machine);
        Ok(Arc::new(Self { tools, machine, moved: Notify::new(), rows, channels: OnceLock::new() }))
    }

    /// Lives by its deadlines until the node stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let lifecycle = self.tools.shared.lifecycle.clone();
        let clock = Arc::clone(&self.tools.shared.clock);
        tokio::select! {
            () = lifecycle.stopping() => {}
            never = self.live() => match never {},
            () = self.rows.keep(clock) => {}
        }
        let _ = self.step(|hub, _| hub.stop());
    }

    async fn live(self: &Arc<Self>) -> std::convert::Infallible {
        loop {
            let deadline = self.lock().hub.next_deadline();
            let wait = match (deadline, self.tools.shared.clock.now()) {
                (Some(deadline), Ok(now)) => deadline.since(now).max(Duration::from_millis(1)),
                (None, Ok(_)) => Duration::from_secs(3_600),
                (_, Err(_)) => CLOCK_AGAIN,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => drop(self.step(|hub, now| hub.tick(now, &mut Chance))),
                () = self.moved.notified() => {}
            }
        }
    }

    /// A call to the machine, and what comes of it.
    fn step<T>(self: &Arc<Self>, work: impl FnOnce(&mut Hub, Timestamp) -> T) -> Result<T, Value> {
        let now = self.tools.shared.clock.now().map_err(|error| failure("unavailable", error.to_string()))?;
        let (done, deeds, is_sooner) = {
            let mut machine = self.lock();
            let before = machine.hub.next_deadline();
            let done = work(&mut machine.hub, now);
            let deeds = machine.sort(&self.tools.shared);
            (done, deeds, is_sooner(before, machine.hub.next_deadline()))
        };
        self.follow_up(deeds, is_sooner);
        Ok(done)
    }

    fn follow_up(self: &Arc<Self>, deeds: Vec<Deed>, is_sooner: bool) {
        if is_sooner {
            self.moved.notify_one();
        }
        self.carry_out(deeds);
    }

    fn carry_out(self: &Arc<Self>, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Look(channel, look) => self.reached(channel, self.push(channel, None, "look", &*look)),
                Deed::Ping(channel) => {
                    let ping = |channels: Arc<Channels>| channels.push_control(channel, Control::Ping).is_ok();
                    self.reached(channel, self.channels().is_some_and(ping));
                }
                Deed::Close(channel) => {
                    self.channels().into_iter().for_each(|channels| {
                        // Best effort: who is silent does not hear it.
                        let _ = channels.push_control(channel, Control::Close);
                        channels.end(channel);
                    });
                }
                Deed::Store(row) => self.rows.queue(*row),
                Deed::Read { ask, service, since } => self.read(ask, service, since),
            }
        }
    }

    /// Who is not reached has gone.
    fn reached(self: &Arc<Self>, channel: ChannelId, is_reached: bool) {
        if !is_reached {
            self.gone(channel);
        }
    }

    fn push(
        &self,
        channel: ChannelId,
        request_id: Option<&RequestId>,
        kind: &'static str,
        message: &impl Serialize,
    ) -> bool {
        let (Some(channels), Some(run)) = (self.channels(), RunText::of(kind, message)) else { return false };
        channels.push_text(channel, request_id, &run).is_ok()
    }

    fn channels(&self) -> Option<Arc<Channels>> {
        self.channels.get()?.upgrade()
    }

    fn read(self: &Arc<Self>, ask: AskId, service: parallax_core::ServiceId, since: Timestamp) {
        let role = Arc::clone(self);
        tokio::spawn(async move {
            // What can't be read is not remembered: peers are asked.
            let rows = role.rows.read(&service, since).await.unwrap_or_default();
            let _ = role.step(|hub, now| hub.rows(ask, rows, now, &mut Chance));
        });
    }

    /// `attach`: the channel is a peer's from now on. With a certificate it is visible to whom its advertisement reaches.
    async fn attach(self: &Arc<Self>, caller: &Caller, run: Run) -> Result<Value, Value> {
        let attach: Attach = read_run(run)?;
        let (Some(address), Some(over)) = (caller.from, caller.connection) else {
            let reason = "peers attach over a WebSocket (GET /v1/peer): looks are pushed to them";
            return Err(failure("bad-message", reason));
        };
        let (peer, spki) = (VantageId::from(caller.key.id()), Arc::from(caller.key.public().spki()));
        let (is_new, connection) = self.lock().connection_of(caller.channel, over);
        let attached = self.step(|hub, now| {
            let attaching = Attaching { peer, spki, address, connection, attach };
            hub.attach(attaching, now)
        })?;
        if attached.is_err() && is_new {
            self.lock().forget(caller.channel);
        }
        attached.map_err(|why| refused(&why))?;
        Ok(json!({ "attached": true, "advertised": self.advertise(caller).await }))
    }

    /// Whether a peer's advertisement goes out in a person's name.
    async fn advertise(&self, caller: &Caller) -> bool {
        let Some((people, identity)) = self.identity(caller) else { return false };
        let Ok(now) = self.tools.shared.clock.now() else { return false };
        match people.trust.advertise(&identity, now).await {
            Ok(()) => true,
            // An older key than the mailbox has now: a stranger.
            Err(NotChanged::Refused(_)) => false,
            Err(NotChanged::Store(error)) => {
                if self.tools.shared.store_warned.is_time() {
                    tracing::warn!(%error, "the key of a peer can't be kept; it is a stranger until it attaches again");
                }
                false
            }
        }
    }

    /// On whose behalf a caller acts, if it shows a certificate and that counts now.
    fn identity(&self, caller: &Caller) -> Option<(&KnownPeople, Identity)> {
        let people = self.tools.people.as_ref().filter(|_| !caller.key.chain().is_empty())?;
        people.vouching.judge(caller.key.chain()).ok().map(|identity| (people, identity))
    }

    /// The word by which the hub names an edge to an asker.
    pub(crate) fn edge_word(&self, asker: VantageId, edge: Edge) -> String {
        self.lock().hub.edge_word(asker, edge)
    }

    /// `seen`: a peer's reply to a look.
    fn seen(self: &Arc<Self>, caller: &Caller, run: Run) -> Result<Value, Value> {
        let seen: Seen = read_run(run)?;
        let connection = self.lock().connections.get(&caller.channel).map(|known| known.id);
        let connection = connection.ok_or_else(|| refused(&Refused::NotAttached))?;
        let taken = self.step(|hub, now| hub.seen(connection, seen, now, &mut Chance))?;
        taken.map(|()| json!({})).map_err(|why| refused(&why))
    }

    /// A channel said something, whatever it was.
    fn heard(&self, channel: ChannelId) {
        let mut machine = self.lock();
        if let (Some(connection), Ok(now)) =
            (machine.connections.get(&channel).map(|known| known.id), self.tools.shared.clock.now())
        {
            machine.hub.heard(connection, now);
        }
    }

    /// A channel has ended, or its connection has.
    fn gone(self: &Arc<Self>, channel: ChannelId) {
        let connection = self.lock().forget(channel);
        if let Some(connection) = connection {
            let _ = self.step(|hub, now| hub.gone(connection, now, &mut Chance));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine {
    /// Gives askers what is theirs, and the rest to be done outside.
    fn sort(&mut self, shared: &Shared) -> Vec<Deed> {
        let actions = self.hub.take_actions();
        let mut deeds = Vec::with_capacity(actions.len());
        for action in actions {
            match action {
                Action::Answer { ask, answer } => self.tell(ask, ToAsker::Answer(Box::new(answer))),
                Action::End { ask, counts, ended } => {
                    shared.metrics.hub_ask(ended.as_str());
                    self.tell(ask, ToAsker::End(counts, ended));
                    self.askers.remove(&ask);
                }
                Action::ReadRows { ask, service, since } => deeds.push(Deed::Read { ask, service, since }),
                Action::Store(row) => deeds.push(Deed::Store(row)),
                Action::Look { connection, look } => {
                    let channel = self.channels.get(&connection);
                    deeds.extend(channel.map(|channel| Deed::Look(*channel, Box::new(look))));
                }
                Action::Tell { to, word } => self.say(shared, (to, word)),
                Action::Ping { connection } => deeds.extend(self.channels.get(&connection).copied().map(Deed::Ping)),
                Action::Detach { connection, .. } => {
                    if let Some(channel) = self.channels.get(&connection).copied() {
                        self.forget(channel);
                        deeds.push(Deed::Close(channel));
                    }
                }
            }
        }
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        shared.metrics.hub_peers.set(count(self.hub.peers()));
        shared.metrics.hub_siblings.set(count(self.hub.siblings()));
        shared.metrics.hub_shared_peers.set(count(self.hub.shared_peers()));
        shared.metrics.hub_asks_open.set(count(self.hub.asks()));
        let stats = self.hub.stats();
        shared.metrics.hub_stats(&self.told, &stats);
        self.told = stats;
        deeds
    }

    /// What does not fit is lost, as it may be on the way: news are compared, looks are not waited for.
    fn say(&self, shared: &Shared, word: ToSibling) {
        if self.words.as_ref().is_some_and(|words| words.try_send(word).is_err()) {
            shared.metrics.hub_group_message("lost");
        }
    }

    /// Nobody may listen any more.
    fn tell(&self, ask: AskId, word: ToAsker) {
        if let Some(asker) = self.askers.get(&ask) {
            let _ = asker.send(word);
        }
    }

    /// The number of a peer's channel, and whether it is a new one. A channel may come over another connection.
    fn connection_of(&mut self, channel: ChannelId, over: Connection) -> (bool, ConnectionId) {
        let known = self.forget(channel);
        let id = known.unwrap_or(ConnectionId(self.next_connection));
        self.next_connection += u64::from(known.is_none());
        self.connections.insert(channel, Known { id, over });
        self.channels.insert(id, channel);
        self.over.entry(over).or_default().push(channel);
        (known.is_none(), id)
    }

    fn forget(&mut self, channel: ChannelId) -> Option<ConnectionId> {
        let Known { id, over } = self.connections.remove(&channel)?;
        self.channels.remove(&id);
        if let Some(channels) = self.over.get_mut(&over) {
            channels.retain(|known| *known != channel);
            if channels.is_empty() {
                self.over.remove(&over);
            }
        }
        Some(id)
    }
}

/// Whether the timer has to be set anew.
fn is_sooner(before: Option<Timestamp>, after: Option<Timestamp>) -> bool {
    after.is_some_and(|after| before.is_none_or(|before| after < before))
}

fn read_run<T: DeserializeOwned>(run: Run) -> Result<T, Value> {
    serde_json::from_value(run.into_value()).map_err(|error| failure("bad-message", error.to_string()))
}

fn refused(why: &Refused) -> Value {
    let kind = match why {
        Refused::TooMany(_) => "too-many-requests",
        Refused::Full | Refused::NetworkFull | Refused::Busy => "unavailable",
        Refused::NotAttached | Refused::OtherKey | Refused::Unasked | Refused::Malformed(_) => "bad-message",
    };
    let mut error = failure(kind, why.to_string());
    if let (Refused::TooMany(wait), Some(fields)) = (why, error.as_object_mut()) {
        fields.insert("retry_after".into(), wait.as_secs().max(1).into());
    }
    error
}

/// The secret of an earlier run, or a new one. Nodes that share a store share it.
async fn secret(records: &dyn Records) -> Result<[u8; 32], crate::NodeError> {
    let kept = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok();
    if let Some(secret) = records.get(SECRET_NAMESPACE, SECRET_KEY).await?.and_then(|record| kept(&record.bytes)) {
        return Ok(secret);
    }
    let mut new = [0; 32];
    aws_lc_rs::rand::fill(&mut new).map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
    // Another node may have been faster.
    let written = records.put(SECRET_NAMESPACE, SECRET_KEY, None, new.to_vec()).await;
    let first = records.get(SECRET_NAMESPACE, SECRET_KEY).await?.and_then(|record| kept(&record.bytes));
    written.map_or_else(|_| Ok(first.unwrap_or(new)), |_| Ok(new))
}
