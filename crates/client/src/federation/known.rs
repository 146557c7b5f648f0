//! The mirrors that a client knows: its list by consensus, how each is met and verified, and the key that its draws hang
//! on. The caller keeps it, in a file that only its owner can read.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Fingerprint, Host, Network, Timestamp, VantageId};
use parallax_proto::mirror::{Drawable, Kept, MasterList, NEAR, Pair, Peer};
use parallax_proto::{Signed, StatementKey};
use rand_core::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::federation::lists::{ListsTold, in_any_order};
use crate::node::Known;
use crate::url::VantageUrl;

/// `format` of the file.
pub const KNOWN_FORMAT: &str = "parallax-known-mirrors/1";

/// The largest file that is read, in bytes.
pub const LARGEST_KNOWN: usize = 16 * 1024 * 1024;

/// Mirrors that a client keeps: a list need not hold the whole federation.
pub const MOST_KNOWN: usize = 2_000;

/// Silent in so many checks in a row while others answered, a mirror counts as dead.
const DEAD_AFTER: u32 = 3;

/// A list with many dead mirrors is refreshed before its time, but no more often than this.
const SOONEST_REFRESH: Duration = Duration::from_secs(3_600);

/// Fewer mirrors than this make no list: three are asked.
pub const LEAST_KNOWN: usize = 3;

/// The mirrors that a client knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownMirrors {
    format: String,
    key: DrawKey,
    /// Whether the mirrors stand in a network of one's own: their addresses, and what is asked of them, may be private.
    allow_private: bool,
    refreshed_at: Timestamp,
    list: MasterList,
    mirrors: Vec<KnownMirror>,
}

/// One mirror. What its descriptor said was verified when it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownMirror {
    /// Who.
    pub vantage: VantageId,
    /// Where it is connected to, without DNS.
    pub address: SocketAddr,
    /// The networks of its addresses.
    pub networks: Vec<Network>,
    /// The region its operator claims.
    pub region: Option<String>,
    /// The registry of its address.
    pub rir: Option<String>,
    /// Who says to run it, in lower case.
    pub operator: Option<String>,
    statement_key: StatementKey,
    issued_at: Timestamp,
    valid_until: Timestamp,
    /// Its descriptor: it goes along with reports, to those who may not know it.
    descriptor: Signed,
    trip: Option<Trip>,
    /// Checks in a row in which it was silent while others answered.
    pub silent: u32,
}

/// The shortest round trip that was measured, and the day from which draws know of it: those of one day stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trip {
    micros: u64,
    from_day: i64,
}

/// What one check learnt of a mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// The shortest round trip.
    pub trip: Option<Duration>,
    /// Whether it answered; `None` where it was not waited for long enough to tell.
    pub answered: Option<bool>,
}

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BadKnownMirrors {
    /// It is too large.
    #[error("it has {0} bytes; at most {LARGEST_KNOWN} are read")]
    TooLarge(usize),
    /// It is no such file, or was cut.
    #[error("it can't be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("it has format \"{0}\", not \"{KNOWN_FORMAT}\"")]
    Format(String),
    /// Its parts do not belong together.
    #[error("it holds {listed} entries and {described} mirrors, at most {MOST_KNOWN} and as many of each")]
    Parts {
        /// Entries of the list.
        listed: usize,
        /// Mirrors that are described.
        described: usize,
    },
}

/// How a refresh changed the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Mirrors that came.
    pub came: usize,
    /// Mirrors that went.
    pub went: usize,
    /// Mirrors there are now.
    pub known: usize,
}

impl KnownMirrors {
    /// Nobody yet, under a new key.
    pub fn nobody(allow_private: bool, rng: &mut dyn Rng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self {
            format: KNOWN_FORMAT.into(),
            key: DrawKey(key),
            allow_private,
            refreshed_at: Timestamp::from_unix_ms(0),
            list: MasterList::default(),
            mirrors: Vec::new(),
        }
    }

    /// Reads what [`KnownMirrors::to_json`] wrote. Signatures are not checked again: the file is its owner's alone.
    pub fn read(bytes: &[u8]) -> Result<Self, BadKnownMirrors> {
        if bytes.len() > LARGEST_KNOWN {
            return Err(BadKnownMirrors::TooLarge(bytes.len()));
        }
        let known: Self = serde_json::from_slice(bytes)?;
        if known.format != KNOWN_FORMAT {
            return Err(BadKnownMirrors::Format(known.format.chars().take(40).collect()));
        }
        let (listed, described) = (known.list.entries().len(), known.mirrors.len());
        let belong = known.list.entries().iter().zip(&known.mirrors).all(|(kept, one)| kept.vantage == one.vantage);
        if listed != described || listed > MOST_KNOWN || !belong {
            return Err(BadKnownMirrors::Parts { listed, described });
        }
        Ok(known)
    }

    /// The content of the file. It holds the key that draws hang on: nobody else may read it.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The mirrors with what the list says of each, in the order of their ids.
    pub fn entries(&self) -> impl Iterator<Item = (&Kept, &KnownMirror)> {
        self.list.entries().iter().zip(&self.mirrors)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.mirrors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.mirrors.is_empty()
    }

    /// When lists were last asked for.
    pub fn refreshed_at(&self) -> Timestamp {
        self.refreshed_at
    }

    /// Whether the mirrors stand in a network of one's own.
    pub fn allows_private(&self) -> bool {
        self.allow_private
    }

    /// Whether lists should be asked for again: the list is older than `every`, or a third of it is dead.
    pub fn is_due(&self, every: Duration, now: Timestamp) -> bool {
        let age = now.since(self.refreshed_at);
        let dead = self.mirrors.iter().filter(|mirror| mirror.is_dead()).count();
        age >= every || age >= SOONEST_REFRESH.min(every) && dead > 0 && dead * 3 >= self.mirrors.len()
    }

    /// Whom a refresh asks for lists, the anchors first: what an attacker slipped in lately is asked last.
    pub fn to_ask(&self, rng: &mut dyn Rng) -> Vec<Pair> {
        let pair = |one: &KnownMirror| Pair { address: one.address, vantage: one.vantage };
        let anchors = self.entries().filter(|(kept, _)| kept.anchor).map(|(_, one)| pair(one));
        let others = self.entries().filter(|(kept, _)| !kept.anchor).map(|(_, one)| pair(one));
        let mut asked = in_any_order(anchors, rng);
        asked.extend(in_any_order(others, rng));
        asked
    }

    /// Takes what lists agree on: at most a third of the list changes on one day.
    pub fn take(&mut self, told: &ListsTold, now: Timestamp, rng: &mut dyn Rng) -> Changed {
        let before: Vec<VantageId> = self.mirrors.iter().map(|one| one.vantage).collect();
        let agreed = self.bounded(told);
        self.list.refresh(&agreed, now, rng);
        for one in self.mirrors.iter().filter(|one| one.is_dead() && !agreed.contains_key(&one.vantage)) {
            self.list.drop_dead(one.vantage);
        }
        let mut old: BTreeMap<VantageId, KnownMirror> =
            std::mem::take(&mut self.mirrors).into_iter().map(|one| (one.vantage, one)).collect();
        let day = day_of(now);
        let mut describe = |vantage: VantageId| {
            let old = old.remove(&vantage);
            let mut one = match (told.peers.get(&vantage), old) {
                (Some(peer), old) => Some(KnownMirror::of(peer, old)),
                (None, old) => old,
            }?;
            if let Some(trip) = told.trips.get(&vantage) {
                one.note_trip(*trip, if before.contains(&vantage) { day + 1 } else { day });
            }
            Some(one)
        };
        let mirrors: Vec<KnownMirror> =
            self.list.entries().iter().filter_map(|kept| describe(kept.vantage)).map(KnownMirror::alive).collect();
        self.mirrors = mirrors;
        self.refreshed_at = now;
        let went = before.iter().filter(|one| self.find(**one).is_none()).count();
        Changed { came: self.mirrors.len() + went - before.len(), went, known: self.mirrors.len() }
    }

    /// Notes what checks learnt; whether anything is worth keeping.
    pub fn note(&mut self, noted: &BTreeMap<VantageId, Noted>, now: Timestamp) -> bool {
        let day = day_of(now);
        let mut changed = false;
        for one in &mut self.mirrors {
            let Some(noted) = noted.get(&one.vantage) else { continue };
            let (trip, silent) = (one.trip, one.silent);
            if let Some(trip) = noted.trip {
                one.note_trip(trip, day + 1);
            }
            match noted.answered {
                Some(true) => one.silent = 0,
                Some(false) => one.silent = one.silent.saturating_add(1),
                None => {}
            }
            changed |= one.trip != trip || one.silent != silent;
        }
        changed
    }

    /// The mirror with this id.
    pub fn find(&self, vantage: VantageId) -> Option<&KnownMirror> {
        let at = self.mirrors.binary_search_by_key(&vantage, |one| one.vantage).ok()?;
        self.mirrors.get(at)
    }

    pub(crate) fn key(&self) -> [u8; 32] {
        self.key.0
    }

    /// What draws are made from today. The dead are among them: else somebody near me could silence one mirror after the
    /// other until those are drawn that are theirs.
    pub(crate) fn drawable(&self, now: Timestamp) -> Vec<Drawable> {
        let day = day_of(now);
        self.entries().map(|(kept, one)| one.drawable(kept.anchor, day)).collect()
    }

    /// What is agreed on and described, no more than a client keeps: whom it knows first, then the best supported.
    fn bounded(&self, told: &ListsTold) -> BTreeMap<VantageId, u32> {
        let described = |vantage: &VantageId| told.peers.contains_key(vantage) || self.find(*vantage).is_some();
        let mut agreed: Vec<(VantageId, u32)> =
            told.agreed.iter().filter(|(one, _)| described(one)).map(|(one, support)| (*one, *support)).collect();
        agreed.sort_by_key(|(one, support)| (self.find(*one).is_none(), std::cmp::Reverse(*support)));
        agreed.truncate(MOST_KNOWN);
        agreed.into_iter().collect()
    }
}

impl KnownMirror {
    fn of(peer: &Peer, old: Option<KnownMirror>) -> Self {
        let descriptor = peer.descriptor();
        // An older descriptor is a replay.
        if let Some(newer) = old.as_ref().filter(|old| old.issued_at >= descriptor.issued_at) {
            return newer.clone();
        }
        Self {
            vantage: peer.vantage(),
            address: peer.address(),
            networks: peer.networks().to_vec(),
            region: peer.region().map(|region| region.to_string()),
            rir: descriptor.rir.clone(),
            operator: peer.operator().map(|operator| operator.to_string()),
            statement_key: descriptor.statement_key,
            issued_at: descriptor.issued_at,
            valid_until: descriptor.valid_until,
            descriptor: peer.signed().clone(),
            trip: old.as_ref().and_then(|old| old.trip),
            silent: old.map_or(0, |old| old.silent),
        }
    }

    /// A refresh gives everybody another chance.
    fn alive(self) -> Self {
        Self { silent: 0, ..self }
    }

    /// Where it is asked, with its pin.
    pub fn url(&self) -> VantageUrl {
        VantageUrl::at(Host::Address(self.address.ip()), self.address.port(), self.vantage)
    }

    /// The shortest round trip that was measured from here.
    pub fn round_trip(&self) -> Option<Duration> {
        self.trip.map(|trip| Duration::from_micros(trip.micros))
    }

    /// Whether it was silent so often that a refresh is due for it. It is drawn all the same.
    pub fn is_dead(&self) -> bool {
        self.silent >= DEAD_AFTER
    }

    /// What saves a question when it is asked.
    pub fn known(&self) -> Known {
        Known {
            statement_key: self.statement_key,
            region: self.region.clone(),
            rir: self.rir.clone(),
            valid_until: self.valid_until,
        }
    }

    /// Its descriptor, as long as it counts.
    pub(crate) fn descriptor(&self, now: Timestamp) -> Option<&Signed> {
        (now < self.valid_until).then_some(&self.descriptor)
    }

    fn drawable(&self, anchor: bool, day: i64) -> Drawable {
        let known_today = self.trip.filter(|trip| trip.from_day <= day);
        Drawable {
            vantage: self.vantage,
            networks: self.networks.clone(),
            region: self.region.as_deref().map(Arc::from),
            operator: self.operator.as_deref().map(Arc::from),
            round_trip: known_today.map(|trip| Duration::from_micros(trip.micros)),
            anchor,
        }
    }

    /// A shorter trip counts. What it says of the region is new only where it first falls below the bound; a trip that is
    /// a little shorter is not worth a write.
    fn note_trip(&mut self, trip: Duration, from_day: i64) {
        let micros = u64::try_from(trip.as_micros()).unwrap_or(u64::MAX);
        let near = |micros: u64| Duration::from_micros(micros) <= NEAR;
        match &mut self.trip {
            Some(old) if near(micros) && !near(old.micros) => *old = Trip { micros, from_day },
            Some(old) if micros < old.micros / 5 * 4 => old.micros = micros,
            Some(_) => {}
            None => self.trip = Some(Trip { micros, from_day }),
        }
    }
}

pub(crate) fn day_of(now: Timestamp) -> i64 {
    now.unix_secs().div_euclid(86_400)
}

/// Told to nobody: whoever knows it can choose an id that is drawn often.
#[derive(Clone, PartialEq, Eq)]
struct DrawKey([u8; 32]);

impl fmt::Debug for DrawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawKey(…)")
    }
}

impl Serialize for DrawKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Fingerprint::from_bytes(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DrawKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(*Fingerprint::deserialize(deserializer)?.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
