//! Tasks that end with their handle or their lab, whichever goes first.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::subnet::Subnet;

/// What every task of a lab is spawned through.
#[derive(Clone, Debug)]
pub(crate) struct Spawner {
    subnet: Arc<Subnet>,
    open: watch::Receiver<()>,
}

/// The lab's end: once dropped, every task of the lab ends.
pub(crate) type Open = watch::Sender<()>;

impl Spawner {
    pub(crate) fn new(subnet: Arc<Subnet>) -> (Self, Open) {
        let (sender, open) = watch::channel(());
        (Self { subnet, open }, sender)
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Task {
        let Self { subnet, mut open } = self.clone();
        Task(tokio::spawn(async move {
            tokio::select! {
                _ = open.changed() => {}
                () = work => {}
            }
            // Only now may another lab have the addresses.
            drop(subnet);
        }))
    }
}

/// A running task; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    /// Ends it and waits until its sockets are closed.
    pub(crate) async fn end(mut self) {
        self.0.abort();
        let _cancelled = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
