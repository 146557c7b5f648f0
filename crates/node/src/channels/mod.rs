//! Channels on real transports (`docs/protocols/channel.md`): the state machine of `parallax_proto::channel` behind one
//! lock, with what its operator keeps (key directories, the replay table, blocks) and what can be asked for on it.

mod api;
#[cfg(feature = "cluster")]
pub(crate) mod bus;
mod connections;
mod handler;
mod kept;
mod keys;
mod service;
mod settings;
mod socket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use parallax_core::{KeyId, Signer, SigningFailed, Timestamp};
use parallax_probe::AwsLc;
use parallax_proto::channel::{Block, ChannelId, ClientKey, Connection, Control, Event, Face, Registration, Server};
use parallax_store::SqliteStore;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::api::is_creation;
pub(crate) use self::api::{create, message, peer};
use self::connections::Connections;
use self::handler::Handlers;
pub use self::handler::{Caller, Handler, Watcher, failure};
pub(crate) use self::handler::{Health, View};
use self::kept::Kept;
pub use self::keys::KeyDirectories;
use self::keys::{Changed, Register};
pub(crate) use self::service::Back;
use self::service::Begun;
pub use self::service::NotPushed;
pub use self::settings::ChannelSettings;
use crate::app::Shared;
use crate::identity::Identity;

/// How often the key directories are read, and what has ended is ended.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// How often requests that are too old anyway are dropped from the replay table.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Judges the certificates that a client shows.
pub trait Judge: Send + Sync {
    /// What is known of the key by its certificates.
    fn judge(&self, key: &ClientKey) -> Registration;
}

/// All channels of a node. Programs that embed one add requests of their own with [`Channels::register`].
pub struct Channels {
    shared: Shared,
    server: Mutex<Server>,
    face: Face,
    directories: KeyDirectories,
    register: Register,
    /// Blocks that keys earned, beside those of the operator.
    earned: Mutex<HashMap<KeyId, Block>>,
    kept: Kept,
    handlers: Handlers,
    watchers: RwLock<Vec<Arc<dyn Watcher>>>,
    judge: OnceLock<Arc<dyn Judge>>,
    connections: Connections,
    answered: Notify,
}

impl Channels {
    /// Takes up what an earlier run kept. `addresses` are the URLs that clients may mean.
    pub(crate) async fn open(
        settings: &ChannelSettings,
        shared: Shared,
        store: Arc<SqliteStore>,
        directories: KeyDirectories,
        addresses: Vec<String>,
    ) -> Result<Arc<Self>, crate::NodeError> {
        let signer = Arc::new(StatementOf(Arc::clone(&shared.identity)));
        let face = Face::new(Arc::new(AwsLc), shared.identity.statement_key(), signer, addresses);
        let channels = Arc::new(Self {
            server: Mutex::new(Server::new(face.clone(), settings.rules.clone())),
            face,
            directories,
            register: Register::default(),
            earned: Mutex::default(),
            kept: Kept::new(store),
            handlers: Handlers::default(),
            watchers: RwLock::default(),
            judge: OnceLock::new(),
            connections: Connections::default(),
            answered: Notify::new(),
            shared,
        });
        channels.restore().await?;
        Ok(channels)
    }

    async fn restore(&self) -> Result<(), crate::NodeError> {
        for (key, block) in self.kept.blocks().await? {
            self.lock().set_block(key, Some(block));
            lock(&self.earned).insert(key, block);
        }
        self.read_keys().await;
        Ok(())
    }

    /// Has `run.type` answered by a handler.
    pub fn register(&self, kind: &'static str, handler: Arc<dyn Handler>) {
        self.handlers.register(kind, handler);
    }

    /// Tells a watcher of what ends.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.watchers.write().unwrap_or_else(PoisonError::into_inner).push(watcher);
    }

    /// Has certificates judged; without a judge none counts. `false` when there is one already.
    pub fn judged_by(&self, judge: Arc<dyn Judge>) -> bool {
        self.judge.set(judge).is_ok()
    }

    /// Judges the certificates of all open channels again: what no longer counts ends at once.
    pub fn judge_again(&self) {
        let Some(judge) = self.judge.get() else { return };
        let certified: Vec<_> = self.lock().keys().filter(|key| !key.chain().is_empty()).cloned().collect();
        for key in certified.iter().filter(|key| !matches!(judge.judge(key), Registration::Registered { .. })) {
            // Best effort: whoever is not told finds out when it speaks.
            let channels = self.lock().channels_of(key.id());
            channels.into_iter().for_each(|channel| drop(self.push_control(channel, Control::Close)));
            self.lock().end_key(key.id());
        }
        self.settle();
    }

    /// Lives until the node stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let [mut tick, mut forget] = [TICK_EVERY, FORGET_EVERY].map(|every| {
            let mut ticks = interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            tokio::select! {
                () = self.shared.lifecycle.stopping() => return,
                _ = tick.tick() => self.tick().await,
                _ = forget.tick() => self.forget().await,
            }
        }
    }

    async fn tick(self: &Arc<Self>) {
        self.read_keys().await;
        if let Ok(now) = self.shared.clock.now() {
            self.lock().tick(now);
        }
        self.settle();
        let open = self.lock().len();
        self.shared.metrics.channels_open.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    async fn forget(&self) {
        let Ok(now) = self.shared.clock.now() else { return };
        if let Err(error) = self.kept.forget_replays(now).await
            && self.shared.store_warned.is_time()
        {
            tracing::warn!(%error, "requests for channels that are too old can't be forgotten");
        }
    }

    async fn read_keys(&self) {
        let directories = self.directories.clone();
        match tokio::task::spawn_blocking(move || directories.read()).await {
            Ok(Ok(keys)) => {
                let changed = self.register.replace(keys);
                let unblocked = changed.unblocked.clone();
                self.apply(changed);
                for key in unblocked {
                    self.forget_block(key).await;
                }
            }
            Ok(Err(error)) => {
                if self.shared.store_warned.is_time() {
                    tracing::warn!(%error, "the key directories can't be read; the keys stay as they are");
                }
            }
            Err(_) => {}
        }
    }

    /// A block that was lifted does not come back with a restart.
    async fn forget_block(&self, key: KeyId) {
        if let Err(error) = self.kept.forget_block(key).await {
            if self.shared.store_warned.is_time() {
                tracing::warn!(%error, "a block that was lifted can't be forgotten; it is tried again");
            }
            return;
        }
        let directories = self.directories.clone();
        match tokio::task::spawn_blocking(move || directories.has_unblocked(key)).await {
            Ok(Ok(())) => tracing::info!("the operator lifted a key's block"),
            Ok(Err(error)) if self.shared.store_warned.is_time() => {
                tracing::warn!(%error, "a key can't be taken out of the directory of those that are unblocked");
            }
            _ => {}
        }
    }

    fn apply(&self, changed: Changed) {
        let mut server = self.lock();
        for key in changed.unblocked {
            lock(&self.earned).remove(&key);
            // One that the operator blocks stays blocked.
            if !self.register.blocks(key) {
                server.set_block(key, None);
            }
        }
        // On an open server it may come all the same, for less time.
        changed.no_longer_allowed.into_iter().for_each(|key| server.end_key(key));
        for key in changed.blocked {
            server.set_block(key, Some(Block { until: None, times: 0 }));
        }
        for key in changed.no_longer_blocked {
            server.set_block(key, lock(&self.earned).get(&key).copied());
        }
    }

    /// Acts on what happened.
    fn settle(&self) {
        let events = self.lock().take_events();
        for event in events {
            match event {
                Event::Ended { channel, .. } => self.tell(|watcher| watcher.ended(channel)),
                Event::Blocked { key, block } => self.keep_block(key, block),
            }
        }
    }

    fn keep_block(&self, key: KeyId, block: Block) {
        lock(&self.earned).insert(key, block);
        let kept = self.kept.clone();
        tokio::spawn(async move {
            if let Err(error) = kept.keep_block(key, &block).await {
                tracing::warn!(%error, "a block can't be kept; after a restart it will not hold");
            }
        });
    }

    fn tell(&self, what: impl Fn(&dyn Watcher)) {
        let watchers = self.watchers.read().unwrap_or_else(PoisonError::into_inner);
        watchers.iter().for_each(|watcher| what(watcher.as_ref()));
    }

    fn disconnected(&self, connection: Connection) {
        self.connections.close(connection);
        self.tell(|watcher| watcher.disconnected(connection));
    }

    /// How long a connection may rest.
    fn idle(&self) -> Duration {
        self.lock().settings().limits.idle()
    }

    /// The key behind a channel.
    pub fn key_of(&self, channel: ChannelId) -> Option<Arc<ClientKey>> {
        self.lock().key_of(channel)
    }

    /// Ends a channel.
    pub fn end(&self, channel: ChannelId) {
        self.lock().end(channel);
        self.settle();
    }

    /// How long a key is blocked from now on.
    pub fn blocked(&self, key: KeyId, now: Timestamp) -> Option<Duration> {
        self.lock().blocked(key, now)
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        lock(&self.server)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The statement key, as the channels sign with it.
struct StatementOf(Arc<Identity>);

impl Signer for StatementOf {
    fn algorithm(&self) -> &'static str {
        self.0.statement().algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.0.statement().sign(message)
    }
}
