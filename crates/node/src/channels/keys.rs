//! The key directories: which keys are allowed, which are blocked for good. A file's name is the id of the key; what is in
//! it is a note for people. They are read again every second, so `parallax key allow` takes effect at once.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use parallax_core::KeyId;

/// Below the data directory.
const DIRECTORY: &str = "keys";

/// Keys of one directory that are read.
const MOST: usize = 100_000;

/// Where the key directories of a node are.
#[derive(Clone, Debug)]
pub struct KeyDirectories {
    root: PathBuf,
}

impl KeyDirectories {
    /// Those below a node's data directory.
    pub fn of(data: &Path) -> Self {
        Self { root: data.join(DIRECTORY) }
    }

    /// Registered keys.
    pub fn allowed(&self) -> PathBuf {
        self.root.join("allowed")
    }

    /// Keys that may not come, whoever else may.
    pub fn blocked(&self) -> PathBuf {
        self.root.join("blocked")
    }

    /// Keys whose blocks are to be lifted, those that they earned: a node does that and takes the key out again.
    pub fn unblocked(&self) -> PathBuf {
        self.root.join("unblocked")
    }

    /// Reads all. A directory that is not there has no keys.
    pub(super) fn read(&self) -> io::Result<Keys> {
        let [allowed, blocked, unblocked] =
            [self.allowed(), self.blocked(), self.unblocked()].map(|directory| read(&directory));
        Ok(Keys { allowed: allowed?, blocked: blocked?, unblocked: unblocked? })
    }

    /// A block was lifted; it is not to be lifted again, should the key earn another one.
    pub(super) fn has_unblocked(&self, key: KeyId) -> io::Result<()> {
        std::fs::remove_file(self.unblocked().join(key.to_string()))
    }
}

fn read(path: &Path) -> io::Result<HashSet<KeyId>> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        entries => entries?,
    };
    let mut keys = HashSet::new();
    for entry in entries.take(MOST) {
        if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            keys.insert(id);
        }
    }
    Ok(keys)
}

/// What the directories held when they were last read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) allowed: HashSet<KeyId>,
    pub(super) blocked: HashSet<KeyId>,
    pub(super) unblocked: HashSet<KeyId>,
}

/// What changed between two readings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) no_longer_allowed: Vec<KeyId>,
    pub(super) blocked: Vec<KeyId>,
    pub(super) no_longer_blocked: Vec<KeyId>,
    /// What they earned is lifted.
    pub(super) unblocked: Vec<KeyId>,
}

/// The keys as they stand.
#[derive(Debug, Default)]
pub(super) struct Register {
    keys: RwLock<Keys>,
}

impl Register {
    pub(super) fn allows(&self, key: KeyId) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).allowed.contains(&key)
    }

    pub(super) fn blocks(&self, key: KeyId) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).blocked.contains(&key)
    }

    /// Takes what was read; what it changes.
    pub(super) fn replace(&self, fresh: Keys) -> Changed {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let without = |from: &HashSet<KeyId>, what: &HashSet<KeyId>| from.difference(what).copied().collect();
        let changed = Changed {
            no_longer_allowed: without(&keys.allowed, &fresh.allowed),
            blocked: without(&fresh.blocked, &keys.blocked),
            no_longer_blocked: without(&keys.blocked, &fresh.blocked),
            // As long as it stands there, whatever stood there before.
            unblocked: fresh.unblocked.iter().copied().collect(),
        };
        *keys = fresh;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_key_and_nothing_else_is() {
        let data = tempfile::tempdir().unwrap();
        let directories = KeyDirectories::of(data.path());
        assert_eq!(directories.read().unwrap(), Keys::default());
        std::fs::create_dir_all(directories.allowed()).unwrap();
        let ids = ["aa", "bb"].map(|pair| pair.repeat(32));
        for name in [&ids[0], &ids[1], "README", &"AA".repeat(32)] {
            std::fs::write(directories.allowed().join(name), "").unwrap();
        }
        let keys = directories.read().unwrap();
        assert_eq!((keys.allowed.len(), keys.blocked.len()), (2, 0));
        let register = Register::default();
        assert_eq!(register.replace(keys.clone()), Changed::default());
        let id: KeyId = ids[0].parse().unwrap();
        assert!(register.allows(id));
        let fresh = Keys { blocked: HashSet::from([id]), ..Keys::default() };
        let changed = register.replace(fresh);
        assert_eq!((changed.no_longer_allowed.len(), changed.blocked), (2, vec![id]));
        assert!(!register.allows(id));
        assert_eq!(register.replace(keys).no_longer_blocked, [id]);
    }
}
