//! Requests for channels that were met, as long as they would count.

use std::collections::{BTreeSet, HashMap};

use parallax_core::{KeyId, Timestamp};

use super::face::Face;

/// Requests that are remembered; when there are more, none is let in until some are forgotten.
const MOST: usize = 1_000_000;

/// Marks, each the first half of a hash of key id and salt.
#[derive(Debug, Default)]
pub(super) struct Replays {
    until: HashMap<u128, Timestamp>,
    order: BTreeSet<(Timestamp, u128)>,
}

impl Replays {
    pub(super) fn has(&self, face: &Face, mark: (KeyId, [u8; 32]), now: Timestamp) -> bool {
        self.until.get(&short(face, mark)).is_some_and(|until| now <= *until)
    }

    /// Remembers one; `false` when it is there already, or when there is no room.
    pub(super) fn enter(&mut self, face: &Face, mark: (KeyId, [u8; 32]), until: Timestamp, now: Timestamp) -> bool {
        self.forget(now);
        let mark = short(face, mark);
        if self.until.len() >= MOST || self.until.contains_key(&mark) {
            return false;
        }
        self.until.insert(mark, until);
        self.order.insert((until, mark));
        true
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((until, mark)) = self.order.first().copied().filter(|(until, _)| *until < now) {
            self.order.remove(&(until, mark));
            self.until.remove(&mark);
        }
    }
}

fn short(face: &Face, (key, salt): (KeyId, [u8; 32])) -> u128 {
    let digest = face.sha256(&[&key.as_bytes()[..], &salt].concat());
    digest.iter().take(16).fold(0, |mark, byte| mark << 8 | u128::from(*byte))
}
