//! The node as a mirror of the federation: the state machine of `parallax_proto::mirror` on real sockets
//! (`docs/protocols/mirrors.md`).
//!
//! Whatever happens (a request, an answer, a deadline) is an event for the machine, under one lock and without waiting;
//! what it asks for is done in tasks of their own, whose ends are events again.

mod api;
mod deeds;
mod names;
mod notices;
mod records;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use parallax_client::{Chance, NodeVantage};
use parallax_core::{Fingerprint, ServiceId, Timestamp, VantageId};
use parallax_probe::{AwsLc, TargetPolicy};
use parallax_proto::Signed;
use parallax_proto::mirror::{Action, Event, Federation, Peer, Popular, Refused, Signatory, Status};
use parallax_store::{SqliteStore, StoreError};
use tokio::sync::{Notify, Semaphore};

pub(crate) use self::api::ListQuestion;
use self::names::{Names, domain_of};
use self::notices::Notices;
use self::records::MirrorRecords;
pub use self::settings::MirrorSettings;
use crate::app::Shared;
use crate::limits::RateLimits;
use crate::views::{SignedBytes, Views};

/// Messages under way at once; further ones wait.
const AT_ONCE: usize = 64;

/// Mirrors whose connections are kept for the next message.
const CONNECTED: u64 = 64;
const CONNECTED_FOR: Duration = Duration::from_secs(60);

/// Votes that are kept for those who asked.
const MOST_VOTES: usize = 8_192;

/// A signed page of the list is given out again for this long.
const PAGES_LIVE: Duration = Duration::from_secs(2);
const PAGES: u64 = 32;

/// While the clock stands wrong, it is read again after this time.
const CLOCK_AGAIN: Duration = Duration::from_secs(1);

/// A store that could not write is tried again after this time.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// What a mirror works with.
pub(crate) struct Tools {
    pub(crate) shared: Shared,
    pub(crate) views: Arc<Views>,
    pub(crate) records: Arc<SqliteStore>,
    pub(crate) limits: Arc<RateLimits>,
    /// Which addresses may be connected to: those of descriptors are strangers' too.
    pub(crate) targets: TargetPolicy,
}

/// This node's part in the federation.
pub(crate) struct Mirrors {
    settings: MirrorSettings,
    tools: Tools,
    machine: Mutex<Federation>,
    moved: Notify,
    records: MirrorRecords,
    names: Names,
    notices: Notices,
    votes: Mutex<BTreeMap<Fingerprint, (Signed, Timestamp)>>,
    connected: Cache<(VantageId, Timestamp), Arc<NodeVantage>>,
    pages: Cache<api::ListQuestion, SignedBytes>,
    places: Semaphore,
    /// How long my own newest looks took: what a mirror's answer may have taken for the target's sake.
    looks_took: Cache<ServiceId, Duration>,
}

impl Mirrors {
    /// Takes up what an earlier run kept.
    pub(crate) async fn open(settings: MirrorSettings, tools: Tools) -> Result<Arc<Self>, crate::NodeError> {
        let identity = &tools.shared.identity;
        let me = Signatory { vantage: identity.vantage(), statement_key: identity.statement_key() };
        let now = tools.shared.clock.now()?;
        let popular = settings
            .popular
            .iter()
            .map(|service| Popular { service: service.clone(), domain: domain_of(service).unwrap_or_default() });
        let machine = Federation::new(me, settings.rules.clone(), popular.collect(), Arc::new(AwsLc), now);
        let mirrors = Arc::new(Self {
            machine: Mutex::new(machine),
            moved: Notify::new(),
            records: MirrorRecords::new(Arc::clone(&tools.records)),
            names: Names::new(settings.rules.day),
            notices: Notices::new(settings.rules.day),
            votes: Mutex::default(),
            connected: Cache::builder().max_capacity(CONNECTED).time_to_idle(CONNECTED_FOR).build(),
            pages: Cache::builder().max_capacity(PAGES).time_to_live(PAGES_LIVE).build(),
            places: Semaphore::new(AT_ONCE),
            looks_took: Cache::builder().max_capacity(1_024).time_to_live(CONNECTED_FOR).build(),
            settings,
            tools,
        });
        mirrors.restore(now).await?;
        Ok(mirrors)
    }

    async fn restore(self: &Arc<Self>, now: Timestamp) -> Result<(), StoreError> {
        let mut actions = Vec::new();
        for saved in self.records.load().await? {
            if let Err(error) = self.lock().restore(saved, now, &mut Chance, &mut actions) {
                tracing::warn!(%error, "a mirror that was known can't be taken up again");
            }
        }
        self.carry_out(actions);
        Ok(())
    }

    /// Lives by its deadlines until the node stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let lifecycle = self.tools.shared.lifecycle.clone();
        tokio::select! {
            () = lifecycle.stopping() => {}
            never = self.live() => match never {},
            never = self.keep() => match never {},
        }
        // What changed last is written before the store closes.
        if let Err(error) = self.write_records().await {
            tracing::warn!(%error, "what is known of mirrors can't be kept");
        }
    }

    async fn live(self: &Arc<Self>) -> std::convert::Infallible {
        loop {
            let deadline = self.lock().deadline();
            let wait = match (deadline, self.tools.shared.clock.now()) {
                (Some(deadline), Ok(now)) => deadline.since(now),
                _ => CLOCK_AGAIN,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {
                    drop(self.handle(Event::Tick));
                    self.count();
                }
                () = self.moved.notified() => {}
            }
        }
    }

    fn count(&self) {
        let counts = self.counts();
        for status in [Status::Candidate, Status::Active, Status::Inactive, Status::Gone] {
            self.tools.shared.metrics.mirrors(status.as_str(), counts.get(&status).copied().unwrap_or(0));
        }
    }

    async fn keep(self: &Arc<Self>) -> std::convert::Infallible {
        loop {
            self.records.changed().await;
            if let Err(error) = self.write_records().await {
                if self.tools.shared.store_warned.is_time() {
                    tracing::warn!(%error, "what is known of mirrors can't be kept; it is tried again");
                }
                tokio::time::sleep(STORE_AGAIN).await;
            }
        }
    }

    async fn write_records(&self) -> Result<(), StoreError> {
        self.records.write(|vantage| self.lock().saved(vantage)).await
    }

    /// Tells the machine what happened and has done what it asks for.
    fn handle(self: &Arc<Self>, event: Event) -> Result<(), Unhandled> {
        let now = self.tools.shared.clock.now().map_err(Unhandled::Clock)?;
        let mut actions = Vec::new();
        let (result, is_sooner) = {
            let mut machine = self.lock();
            let before = machine.deadline();
            let result = machine.handle(event, now, &mut Chance, &mut actions);
            (result, machine.deadline() < before)
        };
        self.carry_out(actions);
        if is_sooner {
            self.moved.notify_one();
        }
        Ok(result?)
    }

    fn carry_out(self: &Arc<Self>, actions: Vec<Action>) {
        for action in actions {
            self.tools.shared.metrics.mirror_action(deeds::kind(&action));
            match action {
                Action::Persist(vantage) => self.records.note(vantage),
                Action::Notify { vantage, status, reason } => {
                    tracing::info!(%vantage, status = status.as_str(), why = reason.sentence(), "a mirror's status");
                    self.give_notice(vantage, status, reason);
                }
                Action::Vote { removal, body, until } => self.keep_vote(removal, body, until),
                action => self.spawn(action),
            }
        }
    }

    fn spawn(self: &Arc<Self>, action: Action) {
        let mirrors = Arc::clone(self);
        self.spawn_deed(async move { mirrors.perform(action).await });
    }

    /// One of those that are under way at once; it ends with the node.
    fn spawn_deed(self: &Arc<Self>, deed: impl Future<Output = ()> + Send + 'static) {
        let mirrors = Arc::clone(self);
        tokio::spawn(async move {
            let lifecycle = mirrors.tools.shared.lifecycle.clone();
            let deed = async {
                let Ok(_place) = mirrors.places.acquire().await else { return };
                deed.await;
            };
            tokio::select! {
                () = lifecycle.stopping() => {}
                () = deed => {}
            }
        });
    }

    fn keep_vote(&self, removal: Fingerprint, body: String, until: Timestamp) {
        let Some(signed) = self.sign(body) else { return };
        let mut votes = self.votes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(now) = self.tools.shared.clock.now() {
            votes.retain(|_, (_, until)| *until >= now);
        }
        if votes.len() < MOST_VOTES {
            votes.insert(removal, (signed, until));
        }
    }

    fn sign(&self, body: String) -> Option<Signed> {
        let identity = &self.tools.shared.identity;
        self.tools.shared.metrics.signatures.inc();
        parallax_proto::mirror::sign_body(identity.statement(), identity.vantage(), body).ok()
    }

    fn peer(&self, vantage: VantageId) -> Option<Arc<Peer>> {
        self.lock().standing(vantage).map(|standing| standing.peer)
    }

    fn lock(&self) -> MutexGuard<'_, Federation> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an event came to nothing.
#[derive(Debug, thiserror::Error)]
enum Unhandled {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Clock(crate::clock::ClockBehind),
}
