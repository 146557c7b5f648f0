//! What the writer knows of the services that were written last, so that it need not read before each write.

use std::collections::HashMap;
use std::sync::Arc;

use crate::traits::Known;

/// Services kept per generation; at most two generations are kept.
const GENERATION: usize = 1024;

/// Least recently written services go first, a generation at a time: two maps in place of a list of uses.
#[derive(Debug, Default)]
pub(super) struct Cache {
    young: HashMap<String, Arc<Known>>,
    old: HashMap<String, Arc<Known>>,
    /// `PRAGMA data_version`: another value means that another program has written.
    data_version: i64,
}

impl Cache {
    /// Forgets everything if the database is no longer the one that this writer left.
    pub(super) fn check(&mut self, data_version: i64) {
        if self.data_version != data_version {
            *self = Self { data_version, ..Self::default() };
        }
    }

    pub(super) fn known(&self, service: &str) -> Option<Arc<Known>> {
        self.young.get(service).or_else(|| self.old.get(service)).cloned()
    }

    /// Takes over what was committed; `None` forgets.
    pub(super) fn learn(&mut self, service: String, known: Option<Arc<Known>>) {
        self.old.remove(&service);
        match known {
            None => _ = self.young.remove(&service),
            Some(known) => _ = self.young.insert(service, known),
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Option<Arc<Known>> {
        Some(Arc::new(Known { history: Default::default(), latest: None }))
    }

    #[test]
    fn keeps_the_newest_and_a_bounded_number() {
        let mut cache = Cache::default();
        for number in 0..10 * GENERATION {
            cache.learn(number.to_string(), known());
            assert!(cache.known(&number.to_string()).is_some());
            assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
        }
        assert!(cache.known("0").is_none());
        cache.learn("9".into(), None);
        assert!(cache.known("9").is_none());
    }

    #[test]
    fn another_writer_empties_it() {
        let mut cache = Cache::default();
        cache.check(1);
        cache.learn("a".into(), known());
        cache.check(1);
        assert!(cache.known("a").is_some());
        cache.check(2);
        assert!(cache.known("a").is_none());
    }
}
