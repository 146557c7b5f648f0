//! How the hubs of one operator know each other on a message queue that others may write to as well: by a secret that they
//! share (`docs/protocols/hub.md`, several hubs). Each message is sealed, bound to who says it in which run and to whom,
//! numbered and dated: what is forged, changed, replayed or sent elsewhere does not open.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{AeadKey, AeadKind, Suite, Timestamp, VantageId};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::siblings::Word;

/// The longest message that is read.
pub const LARGEST_WORD: usize = 512 * 1024;

/// The shortest secret, in characters.
pub const SHORTEST_SECRET: usize = 32;

/// How far the clocks of two hubs may differ.
const SKEW: Duration = Duration::from_secs(60);
/// Hubs that are remembered; those that were silent longest are forgotten first.
const MOST_HEARD: usize = 256;

/// Who says it, in which run, and under which number.
const HEAD: usize = 32 + 16 + 8;

/// Which run of a hub: when it began, and eight random bytes. A later one ends an earlier one.
type Session = [u8; 16];

/// A secret that hubs share.
#[derive(Clone)]
pub struct Group {
    suite: Arc<dyn Suite>,
    secret: [u8; 32],
}

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of a group of hubs has at least {SHORTEST_SECRET} characters; `openssl rand -hex 32` makes one")]
pub struct BadSecret;

impl Group {
    /// From the secret as it stands in a file; white space around it does not count.
    pub fn new(suite: Arc<dyn Suite>, secret: &str) -> Result<Self, BadSecret> {
        let secret = secret.trim();
        if secret.chars().count() < SHORTEST_SECRET {
            return Err(BadSecret);
        }
        let secret = suite.sha256(&[b"parallax hub group 1\0", secret.as_bytes()].concat());
        Ok(Self { suite, secret })
    }

    /// A word that tells groups apart on one queue, and nothing of the secret.
    pub fn name(&self) -> String {
        let digest = self.suite.sha256(&[b"parallax hub group name 1\0", self.secret.as_slice()].concat());
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the hub `own` says in this run.
    pub fn speaker(&self, own: VantageId, now: Timestamp, rng: &mut dyn CryptoRng) -> Option<Speaker> {
        let mut session = [0; 16];
        let (began, random) = session.split_at_mut(8);
        began.copy_from_slice(&now.unix_ms().to_be_bytes());
        rng.fill_bytes(random);
        Some(Speaker { own, session, key: self.key(own, &session)?, next: 0 })
    }

    /// What the hub `own` hears.
    pub fn listener(&self, own: VantageId) -> Listener {
        Listener { group: self.clone(), own, heard: HashMap::new() }
    }

    /// Each run of each hub has a key of its own, under which it counts from 0: no nonce comes twice.
    fn key(&self, from: VantageId, session: &Session) -> Option<Box<dyn AeadKey>> {
        let parts = [b"parallax hub group key 1\0", self.secret.as_slice(), from.as_bytes(), session.as_slice()];
        self.suite.aead(AeadKind::ChaCha20Poly1305, &self.suite.sha256(&parts.concat()))
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({})", self.name())
    }
}

/// What is sealed.
#[derive(Serialize)]
struct Said<'a> {
    at: Timestamp,
    word: &'a Word,
}

#[derive(Deserialize)]
struct ReadSaid {
    at: Timestamp,
    word: Word,
}

/// One hub as it speaks.
pub struct Speaker {
    own: VantageId,
    session: Session,
    key: Box<dyn AeadKey>,
    next: u64,
}

impl Speaker {
    /// Seals a word to a sibling, or to all of them.
    pub fn seal(&mut self, to: Option<VantageId>, word: &Word, now: Timestamp) -> Option<Vec<u8>> {
        let count = self.next;
        self.next = count.checked_add(1)?;
        let head = [self.own.as_bytes().as_slice(), &self.session, &count.to_be_bytes()].concat();
        let text = serde_json::to_vec(&Said { at: now, word }).ok()?;
        let sealed = self.key.seal(nonce(count), &bound(&head, to), &text)?;
        Some([head, sealed].concat())
    }
}

/// What was heard of a sibling.
#[derive(Debug)]
pub struct Heard {
    /// Who says it.
    pub from: VantageId,
    /// Whether this is the first that is heard of this run of it.
    pub anew: bool,
    /// What.
    pub word: Word,
}

struct Run {
    session: Session,
    key: Box<dyn AeadKey>,
    /// The newest number of what was said to all, and to this hub.
    newest: [Option<u64>; 2],
    at: Timestamp,
}

/// One hub as it listens.
pub struct Listener {
    group: Group,
    own: VantageId,
    heard: HashMap<VantageId, Run>,
}

impl Listener {
    /// Opens what came on the subject of all (`to_all`), or on this hub's own. `None`: it is this hub's own, or nothing that
    /// a sibling said now and for the first time.
    pub fn open(&mut self, to_all: bool, bytes: &[u8], now: Timestamp) -> Option<Heard> {
        if bytes.len() > LARGEST_WORD {
            return None;
        }
        let (head, sealed) = bytes.split_at_checked(HEAD)?;
        let (from, rest) = head.split_first_chunk::<32>()?;
        let (session, count) = rest.split_first_chunk::<16>()?;
        let (from, count) = (VantageId::from_bytes(*from), u64::from_be_bytes(count.try_into().ok()?));
        if from == self.own {
            return None;
        }
        let known = self.heard.get(&from).filter(|run| run.session == *session);
        let place = usize::from(to_all);
        if known.is_some_and(|run| run.newest.get(place).copied().flatten().is_some_and(|newest| count <= newest)) {
            return None;
        }
        // An earlier run says nothing any more, or who recorded it could end the later one. After a silence nothing that was
        // recorded is young enough: then it is a clock that was set back.
        if self.heard.get(&from).is_some_and(|run| *session < run.session && now.since(run.at) <= SKEW * 2) {
            return None;
        }
        let fresh = if known.is_none() { Some(self.group.key(from, session)?) } else { None };
        let key = fresh.as_ref().or_else(|| known.map(|run| &run.key))?;
        let to = (!to_all).then_some(self.own);
        let text = key.open(nonce(count), &bound(head, to), sealed)?;
        let said: ReadSaid = serde_json::from_slice(&text).ok()?;
        if said.at.since(now).max(now.since(said.at)) > SKEW {
            return None;
        }
        let anew = fresh.is_some();
        if let Some(key) = fresh {
            self.make_room(from);
            self.heard.insert(from, Run { session: *session, key, newest: [None; 2], at: now });
        }
        let run = self.heard.get_mut(&from)?;
        run.at = now;
        run.newest.get_mut(place).into_iter().for_each(|newest| *newest = Some(count));
        Some(Heard { from, anew, word: said.word })
    }

    fn make_room(&mut self, from: VantageId) {
        if self.heard.len() < MOST_HEARD || self.heard.contains_key(&from) {
            return;
        }
        let oldest = self.heard.iter().min_by_key(|(_, run)| run.at).map(|(id, _)| *id);
        oldest.into_iter().for_each(|oldest| drop(self.heard.remove(&oldest)));
    }
}

/// What a message is bound to: who says it, when in its run, and to whom.
fn bound(head: &[u8], to: Option<VantageId>) -> Vec<u8> {
    let to = to.map_or([0; 32], |to| *to.as_bytes());
    [b"parallax hub group message 1\0", head, &to].concat()
}

fn nonce(count: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.iter_mut().skip(4).zip(count.to_be_bytes()).for_each(|(byte, count)| *byte = count);
    nonce
}
