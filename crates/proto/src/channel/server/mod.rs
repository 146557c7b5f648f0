//! The server: who gets a channel, what is heard on it, and how it ends.
//!
//! A creation goes through [`Server::examine`], [`Examined::prove`], [`Server::admit`], [`Admitted::open`] and
//! [`Server::install`]; the second and the fourth are the expensive ones and need no state, so whoever holds the server
//! behind a lock does them outside. [`Server::create`] does all of it where one process is the whole service.

mod admission;
mod answers;
mod bucket;
mod conduct;
mod face;
mod messages;
mod refusal;
mod replays;
mod room;
mod settings;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{KeyId, Timestamp};
use rand_core::CryptoRng;

pub use admission::{Admitted, Examined, Opened, Proved, Registration};
pub use conduct::Block;
pub use face::Face;
pub use messages::{Handled, Heard, PushFailed, Reply};
pub use refusal::{Refusal, Why};
pub use room::{ChannelEnd, Connection};
pub use settings::{Rate, ServerSettings};

use self::bucket::{Buckets, by_address, by_network};
use self::conduct::{Conduct, Denied};
use self::replays::Replays;
use self::room::Room;
use super::ChannelId;
use super::key::ClientKey;

/// Who is authenticated by nothing but a first contact has no channel for longer.
const LONGEST_OPEN: Duration = Duration::from_secs(600);

/// What happened that the caller has to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key was blocked: to be kept, so that it survives a restart.
    Blocked {
        /// Which.
        key: KeyId,
        /// How.
        block: Block,
    },
    /// A channel ended.
    Ended {
        /// Which.
        channel: ChannelId,
        /// Whose.
        key: KeyId,
        /// Why.
        why: ChannelEnd,
    },
}

/// A channel that stands.
#[derive(Debug)]
pub struct Installed {
    /// Its id.
    pub channel: ChannelId,
    /// The key that asked for it.
    pub key: KeyId,
    /// The message to send back.
    pub bytes: Vec<u8>,
}

/// All channels of one process.
pub struct Server {
    face: Face,
    settings: ServerSettings,
    channels: HashMap<ChannelId, Room>,
    by_key: HashMap<KeyId, Vec<ChannelId>>,
    conduct: Conduct,
    replays: Replays,
    addresses: Buckets<IpAddr>,
    networks: Buckets<IpAddr>,
    failures: Buckets<IpAddr>,
    ended: Vec<Event>,
}

impl Server {
    /// With no channel yet.
    pub fn new(face: Face, settings: ServerSettings) -> Self {
        Self {
            addresses: Buckets::new(settings.address_creations),
            networks: Buckets::new(settings.network_creations),
            failures: Buckets::new(settings.address_failures),
            face,
            settings,
            channels: HashMap::new(),
            by_key: HashMap::new(),
            conduct: Conduct::default(),
            replays: Replays::default(),
            ended: Vec::new(),
        }
    }

    /// Who it is.
    pub fn face(&self) -> &Face {
        &self.face
    }

    /// What it grants.
    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Another set of addresses or another key from now on.
    pub fn set_face(&mut self, face: Face) {
        self.face = face;
    }

    /// The whole way of a creation, where this process is the whole service. `registration` looks a key up.
    pub fn create(
        &mut self,
        from: Option<IpAddr>,
        bytes: &[u8],
        registration: &dyn Fn(&ClientKey) -> Registration,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Installed, Refusal> {
        let proved = self.examine(from, bytes, now)?.prove(&self.face)?;
        let registration = registration(proved.key());
        let opened = self.admit(proved, registration, now)?.open(&self.face, rng, now)?;
        Ok(self.install(opened, now))
    }

    /// First step: size, form, the bucket of the source address (`None`: this process itself, not counted), source and
    /// server, time, replay. Nothing so far tells or records anything about a key.
    pub fn examine(&mut self, from: Option<IpAddr>, bytes: &[u8], now: Timestamp) -> Result<Examined, Refusal> {
        let examined = Examined::read(&self.face, from, bytes)?;
        if let Some(address) = from {
            let taken = self.addresses.take(by_address(address), now);
            taken.map_err(|wait| examined.refuse(Why::Address).after(wait))?;
        }
        examined.check(&self.face, &self.settings, now)?;
        if examined.mark().is_some_and(|mark| self.replays.has(&self.face, mark, now)) {
            return Err(examined.refuse(Why::Replayed));
        }
        Ok(examined)
    }

    /// Third step: the key is registered, not blocked, and its bucket has one more; from here on the request is a replay.
    pub fn admit(&mut self, proved: Proved, registration: Registration, now: Timestamp) -> Result<Admitted, Refusal> {
        let (until, life) = match registration {
            Registration::Registered { until } => (until, self.settings.lifetime),
            Registration::Unknown if self.settings.open => (None, self.settings.open_lifetime.min(LONGEST_OPEN)),
            _ => return Err(proved.refuse(Why::NotRegistered)),
        };
        let key = proved.key().id();
        if !self.conduct.has_room(&self.settings, key, now) || self.channels.len() >= self.settings.channels {
            return Err(proved.refuse(Why::Busy));
        }
        if registration == Registration::Unknown {
            self.admit_network(&proved, now)?;
        }
        self.conduct.admit(&self.settings, key, now).map_err(|denied| denial(&proved, denied))?;
        if let Some(replaced) = proved.body.replaces {
            let replaced = self.channels.get(&ChannelId::from_bytes(replaced.0));
            let own = replaced.is_some_and(|room| room.key() == key && room.ended(now).is_none());
            own.then_some(()).ok_or_else(|| proved.refuse(Why::NotRegistered))?;
        }
        let until_mark = proved.body.at().plus(super::REQUEST_LIFE);
        let mark = (key, proved.body.request_salt);
        if !self.replays.enter(&self.face, mark, until_mark, now) {
            return Err(proved.refuse(Why::Replayed));
        }
        Ok(proved.admitted(until, life, self.settings.limits))
    }

    /// Limits of an open server for whole networks: keys cost nothing.
    fn admit_network(&mut self, proved: &Proved, now: Timestamp) -> Result<(), Refusal> {
        let Some(address) = proved.examined.from else { return Ok(()) };
        let taken = self.networks.take(by_network(address), now);
        taken.map_err(|wait| proved.refuse(Why::Address).after(wait))
    }

    /// Last step: the channel stands. The one it replaces goes on for a moment; the oldest of too many goes.
    pub fn install(&mut self, opened: Opened, now: Timestamp) -> Installed {
        let Opened { channel, room, replaces, bytes } = opened;
        let key = room.key();
        if let Some(replaced) = replaces.and_then(|id| self.channels.get_mut(&id)).filter(|old| old.key() == key) {
            let early = !replaced.replaced && replaced.is_young(now);
            replaced.replace(self.settings.overlap, now);
            self.conduct.replaced(&self.settings, key, early, now);
        }
        self.make_room(key, now);
        self.by_key.entry(key).or_default().push(channel);
        self.channels.insert(channel, room);
        Installed { channel, key, bytes }
    }

    fn make_room(&mut self, key: KeyId, now: Timestamp) {
        let own = self.by_key.get(&key).cloned().unwrap_or_default();
        if own.len() < self.settings.channels_per_key.max(1) {
            return;
        }
        // What was replaced goes first, then the oldest.
        let order = |id: &ChannelId| self.channels.get(id).map(|room| (!room.replaced, room.opened_at));
        let Some(oldest) = own.iter().copied().min_by_key(order) else { return };
        if let Some(room) = self.channels.get(&oldest) {
            let early = !room.replaced && room.is_young(now);
            self.conduct.replaced(&self.settings, key, early, now);
        }
        self.close(oldest, ChannelEnd::Crowded);
    }

    /// Ends what has ended, and says when to come again.
    pub fn tick(&mut self, now: Timestamp) -> Option<Timestamp> {
        let over = self.channels.iter().filter_map(|(id, room)| Some((*id, room.ended(now)?)));
        for (id, why) in over.collect::<Vec<_>>() {
            self.close(id, why);
        }
        self.replays.forget(now);
        self.conduct.shrink(&self.settings, now);
        [&mut self.addresses, &mut self.networks, &mut self.failures].into_iter().for_each(|all| all.shrink(now));
        self.channels.values().map(Room::deadline).min()
    }

    /// What happened since this was last asked.
    pub fn take_events(&mut self) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.ended);
        let blocked = self.conduct.take_fresh().into_iter().map(|(key, block)| Event::Blocked { key, block });
        events.extend(blocked);
        events
    }

    /// Sets or lifts a block: the operator's, or one that was kept over a restart. Its channels are told when they speak.
    pub fn set_block(&mut self, key: KeyId, block: Option<Block>) {
        self.conduct.set(key, block);
    }

    /// How long a key is blocked from now on.
    pub fn blocked(&self, key: KeyId, now: Timestamp) -> Option<Duration> {
        self.conduct.blocked(key, now)
    }

    /// Ends one channel.
    pub fn end(&mut self, channel: ChannelId) {
        self.close(channel, ChannelEnd::Closed);
    }

    /// Ends all channels of a key that may not come any more.
    pub fn end_key(&mut self, key: KeyId) {
        for channel in self.by_key.get(&key).cloned().unwrap_or_default() {
            self.close(channel, ChannelEnd::Denied);
        }
    }

    /// The channels of a key.
    pub fn channels_of(&self, key: KeyId) -> Vec<ChannelId> {
        self.by_key.get(&key).cloned().unwrap_or_default()
    }

    /// Keys that have channels: for each channel how its key was shown. One key may be shown bare and with certificates.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<ClientKey>> {
        self.channels.values().map(|room| &room.shown)
    }

    /// The key behind a channel.
    pub fn key_of(&self, channel: ChannelId) -> Option<Arc<ClientKey>> {
        self.channels.get(&channel).map(|room| Arc::clone(&room.shown))
    }

    /// Channels that stand.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    fn close(&mut self, channel: ChannelId, why: ChannelEnd) {
        let Some(room) = self.channels.remove(&channel) else { return };
        let key = room.key();
        if let Some(own) = self.by_key.get_mut(&key) {
            own.retain(|id| *id != channel);
            if own.is_empty() {
                self.by_key.remove(&key);
            }
        }
        self.ended.push(Event::Ended { channel, key, why });
    }
}

fn denial(proved: &Proved, denied: Denied) -> Refusal {
    let (why, wait) = match denied {
        Denied::Blocked(wait) => (Why::Blocked, wait),
        Denied::Often(wait) => (Why::KeyRate, wait),
        Denied::Frequent(wait) => (Why::Frequent, wait),
    };
    proved.refuse(why).after(wait).signed()
}
