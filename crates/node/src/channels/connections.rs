//! Ways to clients that can carry what is said unasked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parallax_proto::channel::Connection;
use tokio::sync::mpsc;

/// Messages that wait for one connection. Whoever reads more slowly loses it. A hundred answers may come at once, where a
/// hub remembers all of them.
const WAITING: usize = 256;

/// All of them.
#[derive(Default)]
pub(super) struct Connections {
    next: AtomicU64,
    open: Mutex<HashMap<Connection, mpsc::Sender<Bytes>>>,
}

impl Connections {
    /// A new one, and what is to be sent on it.
    pub(super) fn open(&self) -> (Connection, mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
        let connection = Connection(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = mpsc::channel(WAITING);
        self.lock().insert(connection, sender.clone());
        (connection, sender, receiver)
    }

    pub(super) fn close(&self, connection: Connection) {
        self.lock().remove(&connection);
    }

    /// `false` when it has gone, or is full: then it is closed.
    pub(super) fn send(&self, connection: Connection, bytes: Bytes) -> bool {
        let mut open = self.lock();
        let sent = open.get(&connection).is_some_and(|sender| sender.try_send(bytes).is_ok());
        if !sent {
            open.remove(&connection);
        }
        sent
    }

    /// Whether it is still wanted.
    pub(super) fn is_open(&self, connection: Connection) -> bool {
        self.lock().contains_key(&connection)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Connection, mpsc::Sender<Bytes>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
