//! The data directory: one node at a time, and the newest stamp it has signed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use parallax_core::Timestamp;

use crate::error::NodeError;
use crate::identity::{IdentityError, make_private_dir, replace};

/// The name of the database in a node's data directory.
pub const DATABASE: &str = "parallax.sqlite";

const LOCK: &str = "lock";
const CLOCK: &str = "clock";

/// A data directory that this node alone uses.
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held open: the system drops the lock with the process, however it ends.
    _lock: File,
}

impl DataDir {
    /// Makes the directory when it is not there and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        make_private_dir(path)?;
        let failed = |source: io::Error| NodeError::Data { path: path.to_owned(), source };
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(NodeError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The newest stamp of an earlier run; `None` at the first one.
    pub(crate) fn newest_stamp(&self) -> Result<Option<Timestamp>, NodeError> {
        let path = self.path.join(CLOCK);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(NodeError::Data { path, source }),
        };
        let stamp = text.trim().parse();
        stamp.map(Some).map_err(|error| {
            let why = format!("{error}; remove the file if the clock of this machine is right");
            NodeError::Identity(IdentityError::Form { path, why })
        })
    }

    /// Keeps the newest stamp for the next run.
    pub(crate) fn keep_stamp(&self, stamp: Timestamp) -> Result<(), NodeError> {
        Ok(replace(&self.path.join(CLOCK), format!("{stamp}\n").as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(&dir.path().join("a/b")).unwrap();
        let error = DataDir::open(first.path()).err().unwrap().to_string();
        assert!(error.contains("another node runs"), "{error}");
        let path = first.path().to_owned();
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn the_newest_stamp_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        assert_eq!(data.newest_stamp().unwrap(), None);
        let stamp = Timestamp::from_unix_ms(1_793_500_000_123);
        data.keep_stamp(stamp).unwrap();
        data.keep_stamp(stamp).unwrap();
        assert_eq!(data.newest_stamp().unwrap(), Some(stamp));
        std::fs::write(dir.path().join(CLOCK), "noon").unwrap();
        assert!(data.newest_stamp().unwrap_err().to_string().contains("noon"));
    }
}
