//! The deny list: keys that count no more, whatever certificate they show.

use std::collections::BTreeSet;
use std::time::Duration;

use parallax_core::{Fingerprint, Timestamp};

/// How long a deny list is valid.
pub const DENY_LIFE: Duration = Duration::from_secs(3600);

/// How often whoever relies on certificates fetches it.
pub const DENY_REFRESH: Duration = Duration::from_secs(300);

/// The most keys on one list. A key can leave it when its last certificate has ended, so what stands there is what was
/// revoked within a week.
pub const MAX_DENIED: usize = 100_000;

/// How far in the future a list may have been issued: clocks differ.
const SKEW: Duration = Duration::from_secs(120);

/// The deny list in force. There is none until one was taken in, and then no certificate counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denied {
    keys: BTreeSet<Fingerprint>,
    term: Option<(Timestamp, Timestamp)>,
}

/// Without a valid deny list no certificate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDenyList {
    /// None was ever taken in.
    #[error("no deny list is known yet; without one no certificate counts")]
    None,
    /// The one there is is not valid now.
    #[error(
        "the deny list is valid from {from} to {to}, and it is {now} now; without a valid one no certificate counts"
    )]
    NotCurrent {
        /// When it was issued.
        from: Timestamp,
        /// When it ends.
        to: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// It is older than the one in force.
    #[error("the deny list was issued at {found}, before the one in force ({known})")]
    Older {
        /// When it was issued.
        found: Timestamp,
        /// When the one in force was.
        known: Timestamp,
    },
    /// It would be valid for too long, or end before it begins.
    #[error("a deny list is valid for one hour at most; this one is for {} s", .0.as_secs())]
    Term(Duration),
    /// Too many keys.
    #[error("the deny list has {0} keys; 100,000 are the most")]
    TooLong(usize),
}

impl Denied {
    /// A list whose signature the caller checked; `keys` in any order.
    pub fn new(
        keys: impl IntoIterator<Item = Fingerprint>,
        issued_at: Timestamp,
        valid_until: Timestamp,
    ) -> Result<Self, NoDenyList> {
        let keys: BTreeSet<_> = keys.into_iter().take(MAX_DENIED + 1).collect();
        if keys.len() > MAX_DENIED {
            return Err(NoDenyList::TooLong(keys.len()));
        }
        let life = valid_until.since(issued_at);
        if life.is_zero() || life > DENY_LIFE {
            return Err(NoDenyList::Term(life));
        }
        Ok(Self { keys, term: Some((issued_at, valid_until)) })
    }

    /// Puts a newer list into force. An older one could be replayed by whoever holds a revoked key.
    pub fn replace(&mut self, newer: Denied, now: Timestamp) -> Result<(), NoDenyList> {
        newer.check_current(now)?;
        if let (Some((known, _)), Some((found, _))) = (self.term, newer.term)
            && found < known
        {
            return Err(NoDenyList::Older { found, known });
        }
        *self = newer;
        Ok(())
    }

    /// Whether a key is on it.
    pub fn contains(&self, key: &Fingerprint) -> bool {
        self.keys.contains(key)
    }

    pub(crate) fn check(&self, key: &Fingerprint) -> Result<(), ()> {
        if self.contains(key) { Err(()) } else { Ok(()) }
    }

    /// Whether it is valid now.
    pub fn check_current(&self, now: Timestamp) -> Result<(), NoDenyList> {
        let (from, to) = self.term.ok_or(NoDenyList::None)?;
        if (from.minus(SKEW)..=to).contains(&now) { Ok(()) } else { Err(NoDenyList::NotCurrent { from, to, now }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_unix_secs(1_764_000_000 + secs)
    }

    fn key(byte: u8) -> Fingerprint {
        Fingerprint::from_bytes([byte; 32])
    }

    #[test]
    fn a_list_is_in_force_for_its_hour_only() {
        let list = Denied::new([key(1)], at(0), at(3600)).unwrap();
        for (now, good) in [(-121, false), (-120, true), (0, true), (3600, true), (3601, false)] {
            assert_eq!(list.check_current(at(now)).is_ok(), good, "{now}");
        }
        assert_eq!(Denied::default().check_current(at(0)), Err(NoDenyList::None));
        assert!(matches!(Denied::new([], at(0), at(3601)), Err(NoDenyList::Term(_))));
        assert!(matches!(Denied::new([], at(0), at(0)), Err(NoDenyList::Term(_))));
        assert!(matches!(Denied::new([], at(9), at(0)), Err(NoDenyList::Term(_))));
    }

    #[test]
    fn an_older_list_does_not_come_back() {
        let mut denied = Denied::default();
        denied.replace(Denied::new([key(1)], at(300), at(3900)).unwrap(), at(300)).unwrap();
        let old = Denied::new([], at(0), at(3600)).unwrap();
        assert!(matches!(denied.replace(old, at(301)), Err(NoDenyList::Older { .. })));
        assert!(denied.contains(&key(1)) && !denied.contains(&key(2)));
        let late = Denied::new([], at(400), at(4000)).unwrap();
        assert!(matches!(denied.replace(late.clone(), at(9000)), Err(NoDenyList::NotCurrent { .. })));
        denied.replace(late, at(400)).unwrap();
        assert!(!denied.contains(&key(1)));
    }

    #[test]
    fn a_list_is_bounded() {
        let keys = |count: u32| {
            (0..count).map(|n| {
                let mut bytes = [0; 32];
                bytes[..4].copy_from_slice(&n.to_be_bytes());
                Fingerprint::from_bytes(bytes)
            })
        };
        assert!(Denied::new(keys(MAX_DENIED as u32), at(0), at(60)).is_ok());
        assert!(matches!(Denied::new(keys(MAX_DENIED as u32 + 1), at(0), at(60)), Err(NoDenyList::TooLong(_))));
    }
}
