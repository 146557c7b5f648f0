//! How what runs learns that the node stops, and how the node learns that it has ended.

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by everything that runs.
#[derive(Clone)]
pub(crate) struct Lifecycle {
    phase: Arc<watch::Sender<Phase>>,
    under_way: Arc<watch::Sender<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Everything is taken on.
    Running,
    /// Nothing new is taken on; what is under way is finished.
    Stopping,
    /// What is under way is given up.
    Abandoning,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Self { phase: Arc::new(watch::Sender::new(Phase::Running)), under_way: Arc::new(watch::Sender::new(0)) }
    }

    /// Nothing new is taken on from now.
    pub(crate) fn stop(&self) {
        self.advance(Phase::Stopping);
    }

    /// What is under way is given up.
    pub(crate) fn abandon(&self) {
        self.advance(Phase::Abandoning);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.phase.borrow() >= Phase::Stopping
    }

    /// Resolves when the node begins to stop.
    pub(crate) async fn stopping(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Resolves when what is under way is given up.
    pub(crate) async fn abandoned(&self) {
        self.reached(Phase::Abandoning).await;
    }

    /// Counts as under way until the guard is dropped.
    pub(crate) fn enter(&self) -> UnderWay {
        self.under_way.send_modify(|count| *count += 1);
        UnderWay(Arc::clone(&self.under_way))
    }

    /// Resolves when nothing is under way.
    pub(crate) async fn idle(&self) {
        // The sender lives in `self`, so the wait can't fail.
        let _ = self.under_way.subscribe().wait_for(|count| *count == 0).await;
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = to > *phase;
            *phase = (*phase).max(to);
            later
        });
    }

    async fn reached(&self, wanted: Phase) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase >= wanted).await;
    }
}

/// Something is under way.
pub(crate) struct UnderWay(Arc<watch::Sender<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_go_forward_only_and_the_end_is_seen() {
        let lifecycle = Lifecycle::new();
        lifecycle.idle().await;
        let guard = lifecycle.enter();
        lifecycle.abandon();
        lifecycle.stop();
        lifecycle.stopping().await;
        lifecycle.abandoned().await;
        let waiting = tokio::spawn({
            let lifecycle = lifecycle.clone();
            async move { lifecycle.idle().await }
        });
        assert!(!waiting.is_finished());
        drop(guard);
        waiting.await.unwrap();
    }
}
