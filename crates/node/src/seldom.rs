//! Log lines that strangers could cause by the thousand are written now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(10);

/// Says when it is time for the next line of one kind.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// `true` at the first call, and then once in ten seconds.
    pub(crate) fn is_time(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let time = last.is_none_or(|last| last.elapsed() >= EVERY);
        if time {
            *last = Some(Instant::now());
        }
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_and_not_again_at_once() {
        let seldom = Seldom::default();
        let started = Instant::now();
        let lines = (0..1000).filter(|_| seldom.is_time()).count();
        assert!(lines == 1 || started.elapsed() >= EVERY, "{lines}");
    }
}
