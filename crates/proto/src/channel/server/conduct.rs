//! How a key behaves: how often it comes, how often its channels are replaced early, what it violates, and its blocks.
//!
//! Only what a key's own signature or tag held for is counted here, or anybody could block a victim.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parallax_core::{KeyId, Timestamp};
use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::settings::ServerSettings;

/// The window in which violations are counted.
const HOUR: Duration = Duration::from_secs(3600);

/// A block, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// When it ends; `None` when only the operator ends it.
    pub until: Option<Timestamp>,
    /// How many there were in a row: each is twice as long as the one before.
    pub times: u32,
}

impl Block {
    /// How long it lasts from now; `None` when it does not hold (any more).
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        match self.until {
            None => Some(super::super::LONGEST_OBEYED),
            Some(until) => (now < until).then(|| until.since(now)),
        }
    }
}

/// Why a key may have no channel now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Blocked(Duration),
    /// Its bucket is empty.
    Often(Duration),
    /// Its channels are replaced too early, too often.
    Frequent(Duration),
}

#[derive(Debug, Default)]
struct Record {
    creations: Bucket,
    refused_in_a_row: u32,
    not_before: Timestamp,
    /// Early replacements, and when one of them is forgotten next.
    early: u32,
    calms_from: Timestamp,
    violations: VecDeque<Timestamp>,
    block: Option<Block>,
}

/// All keys that something is remembered of.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    keys: HashMap<KeyId, Record>,
    /// Blocks since they were last asked for.
    fresh: Vec<(KeyId, Block)>,
}

impl Conduct {
    /// How long a key is blocked.
    pub(super) fn blocked(&self, key: KeyId, now: Timestamp) -> Option<Duration> {
        self.keys.get(&key)?.block?.left(now)
    }

    /// Whether there is room for one more key; those at rest are forgotten first.
    pub(super) fn has_room(&mut self, settings: &ServerSettings, key: KeyId, now: Timestamp) -> bool {
        if self.keys.contains_key(&key) || self.keys.len() < settings.keys {
            return true;
        }
        self.shrink(settings, now);
        self.keys.len() < settings.keys
    }

    /// Whether a key may have a channel now; counts it.
    pub(super) fn admit(&mut self, settings: &ServerSettings, key: KeyId, now: Timestamp) -> Result<(), Denied> {
        if let Some(left) = self.blocked(key, now) {
            return Err(Denied::Blocked(left));
        }
        let record = self.keys.entry(key).or_default();
        record.calm(settings, now);
        if record.early >= settings.too_frequent {
            // Who asks on instead of waiting goes on being counted, up to the block.
            let wait = record.too_early(settings, now);
            return Err(match self.block_if_due(settings, key, now) {
                Some(left) => Denied::Blocked(left),
                None => Denied::Frequent(wait),
            });
        }
        record.take(settings, now).map_err(Denied::Often)
    }

    /// A channel was replaced: early when less than a tenth of its life had passed.
    pub(super) fn replaced(&mut self, settings: &ServerSettings, key: KeyId, early: bool, now: Timestamp) {
        if !early {
            return;
        }
        let record = self.keys.entry(key).or_default();
        record.calm(settings, now);
        record.too_early(settings, now);
        self.block_if_due(settings, key, now);
    }

    /// A message opened under a fresh counter and was nonsense.
    pub(super) fn violated(&mut self, settings: &ServerSettings, key: KeyId, now: Timestamp) {
        let record = self.keys.entry(key).or_default();
        record.violations.retain(|at| now.since(*at) < HOUR);
        record.violations.push_back(now);
        self.block_if_due(settings, key, now);
    }

    fn block_if_due(&mut self, settings: &ServerSettings, key: KeyId, now: Timestamp) -> Option<Duration> {
        let record = self.keys.get_mut(&key)?;
        if record.early < settings.blocked_at && record.violations.len() < settings.violations {
            return None;
        }
        let before = record.block.filter(|block| block.remembered(settings, now)).map_or(0, |block| block.times);
        let times = before.saturating_add(1);
        let length = settings.block.saturating_mul(1 << before.min(16)).min(settings.longest_block);
        let block = Block { until: Some(now.plus(length)), times };
        record.early = 0;
        record.violations.clear();
        record.block = Some(block);
        self.fresh.push((key, block));
        Some(length)
    }

    /// Sets a block: the operator's, or one that was kept. `None` lifts it.
    pub(super) fn set(&mut self, key: KeyId, block: Option<Block>) {
        match block {
            Some(_) => self.keys.entry(key).or_default().block = block,
            None => {
                if let Some(record) = self.keys.get_mut(&key) {
                    record.block = None;
                }
            }
        }
    }

    /// The blocks since this was last asked.
    pub(super) fn take_fresh(&mut self) -> Vec<(KeyId, Block)> {
        std::mem::take(&mut self.fresh)
    }

    /// Forgets the keys at rest.
    pub(super) fn shrink(&mut self, settings: &ServerSettings, now: Timestamp) {
        self.keys.retain(|_, record| !record.is_at_rest(settings, now));
    }
}

impl Block {
    fn remembered(&self, settings: &ServerSettings, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until.plus(settings.block_memory))
    }
}

impl Record {
    /// The bucket, with doubling waits for whoever does not wait.
    fn take(&mut self, settings: &ServerSettings, now: Timestamp) -> Result<(), Duration> {
        let rate = settings.key_creations;
        if now >= self.not_before && self.creations.take(rate, now).is_ok() {
            self.refused_in_a_row = 0;
            return Ok(());
        }
        let doubled = rate.every.saturating_mul(1 << self.refused_in_a_row.min(16));
        let wait = doubled.max(self.creations.wait(rate, now)).min(settings.longest_wait);
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        self.not_before = now.plus(wait);
        Err(wait)
    }

    fn calm(&mut self, settings: &ServerSettings, now: Timestamp) {
        let every = u64::try_from(settings.calms_every.as_millis()).unwrap_or(u64::MAX).max(1);
        let passed = u64::try_from(now.since(self.calms_from).as_millis()).unwrap_or(u64::MAX);
        let forgotten = u32::try_from(passed / every).unwrap_or(u32::MAX);
        self.early = self.early.saturating_sub(forgotten);
        self.calms_from = match self.early {
            0 => now,
            _ => self.calms_from.plus(settings.calms_every.saturating_mul(forgotten)),
        };
    }

    /// Counts one; how long until it is not too many any more.
    fn too_early(&mut self, settings: &ServerSettings, now: Timestamp) -> Duration {
        self.early = self.early.saturating_add(1);
        let above = self.early.saturating_sub(settings.too_frequent.saturating_sub(1));
        self.calms_from.plus(settings.calms_every.saturating_mul(above)).since(now)
    }

    fn is_at_rest(&self, settings: &ServerSettings, now: Timestamp) -> bool {
        let calm = settings.calms_every.saturating_mul(self.early);
        self.creations.is_full(now)
            && now >= self.not_before
            && now.since(self.calms_from) >= calm
            && self.violations.iter().all(|at| now.since(*at) >= HOUR)
            && self.block.is_none_or(|block| !block.remembered(settings, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyId = KeyId::from_bytes([7; 32]);
    const MINUTE: Duration = Duration::from_secs(60);

    fn start() -> Timestamp {
        Timestamp::from_unix_secs(1_700_000_000)
    }

    #[test]
    fn five_then_one_per_thirty_seconds_and_doubling_waits_for_the_impatient() {
        let (settings, mut conduct) = (ServerSettings::default(), Conduct::default());
        let mut admit = |secs| conduct.admit(&settings, KEY, start().plus(Duration::from_secs(secs)));
        for _ in 0..5 {
            assert_eq!(admit(0), Ok(()));
        }
        for wait in [30, 60, 120, 240] {
            assert_eq!(admit(0), Err(Denied::Often(Duration::from_secs(wait))));
        }
        assert_eq!(admit(239), Err(Denied::Often(Duration::from_secs(480))), "sooner than was said");
        assert_eq!(admit(239 + 480), Ok(()), "who waits is let in");
        for _ in 0..4 {
            assert_eq!(admit(719), Ok(()), "and the bucket has filled meanwhile");
        }
        assert_eq!(admit(719), Err(Denied::Often(Duration::from_secs(30))), "the waits begin anew");
        for _ in 0..20 {
            let _ = admit(719);
        }
        assert_eq!(admit(719), Err(Denied::Often(Duration::from_secs(3600))), "an hour at most");
    }

    #[test]
    fn early_replacements_slow_down_then_block_with_doubling_to_a_day() {
        let (settings, mut conduct) = (ServerSettings::default(), Conduct::default());
        let mut now = start();
        for expected in [1, 2, 4, 8, 16, 24, 24] {
            for _ in 0..10 {
                conduct.replaced(&settings, KEY, true, now);
                conduct.replaced(&settings, KEY, false, now);
            }
            assert_eq!(conduct.admit(&settings, KEY, now), Err(Denied::Frequent(20 * MINUTE)), "10 and this one");
            for _ in 0..18 {
                assert!(matches!(conduct.admit(&settings, KEY, now), Err(Denied::Frequent(_))));
            }
            let hours = HOUR * expected;
            assert_eq!(conduct.admit(&settings, KEY, now), Err(Denied::Blocked(hours)));
            assert_eq!(conduct.blocked(KEY, now.plus(hours - MINUTE)), Some(MINUTE));
            let fresh = conduct.take_fresh();
            assert_eq!(fresh.len(), 1);
            assert_eq!(fresh[0].1.until, Some(now.plus(hours)));
            now = now.plus(hours);
            assert_eq!(conduct.blocked(KEY, now), None);
        }
        assert_eq!(conduct.admit(&settings, KEY, now), Ok(()));
        now = now.plus(settings.block_memory);
        for _ in 0..30 {
            conduct.replaced(&settings, KEY, true, now);
        }
        assert_eq!(conduct.blocked(KEY, now), Some(HOUR), "after a good week it begins anew");
    }

    #[test]
    fn early_replacements_are_forgotten_one_per_ten_minutes() {
        let (settings, mut conduct) = (ServerSettings::default(), Conduct::default());
        for _ in 0..11 {
            conduct.replaced(&settings, KEY, true, start());
        }
        let almost = start().plus(20 * MINUTE - Duration::from_secs(1));
        assert!(matches!(conduct.admit(&settings, KEY, almost), Err(Denied::Frequent(_))));
        // That one counted too.
        assert_eq!(conduct.admit(&settings, KEY, start().plus(30 * MINUTE)), Ok(()));
        for hours in 0..100 {
            conduct.replaced(&settings, KEY, true, start().plus(HOUR * (hours + 1)));
        }
        assert_eq!(conduct.admit(&settings, KEY, start().plus(HOUR * 101)), Ok(()), "six are forgotten in an hour");
    }

    #[test]
    fn a_hundred_violations_within_an_hour_block() {
        let (settings, mut conduct) = (ServerSettings::default(), Conduct::default());
        for minute in 0..200 {
            conduct.violated(&settings, KEY, start().plus(MINUTE * minute));
        }
        assert!(conduct.take_fresh().is_empty(), "sixty an hour are borne");
        let now = start().plus(MINUTE * 300);
        for _ in 0..99 {
            conduct.violated(&settings, KEY, now);
        }
        assert_eq!(conduct.blocked(KEY, now), None);
        conduct.violated(&settings, KEY, now.plus(MINUTE * 59));
        assert_eq!(conduct.blocked(KEY, now.plus(MINUTE * 59)), Some(HOUR));
    }

    #[test]
    fn an_operators_block_has_no_end_and_keys_at_rest_are_forgotten() {
        let (settings, mut conduct) = (ServerSettings { keys: 2, ..Default::default() }, Conduct::default());
        conduct.set(KEY, Some(Block { until: None, times: 0 }));
        let late = start().plus(HOUR * 100_000);
        assert!(matches!(conduct.admit(&settings, KEY, late), Err(Denied::Blocked(_))));
        let other = |n| KeyId::from_bytes([n; 32]);
        conduct.admit(&settings, other(1), start()).unwrap();
        assert!(!conduct.has_room(&settings, other(2), start()));
        assert!(conduct.has_room(&settings, other(1), start()));
        assert!(conduct.has_room(&settings, other(2), start().plus(MINUTE)));
        conduct.set(KEY, None);
        assert_eq!(conduct.admit(&settings, KEY, late), Ok(()));
    }

    #[test]
    fn a_block_is_kept_as_it_was() {
        for block in [Block { until: Some(start()), times: 3 }, Block { until: None, times: 0 }] {
            let kept = serde_json::to_string(&block).unwrap();
            assert_eq!(serde_json::from_str::<Block>(&kept).unwrap(), block);
        }
    }
}
