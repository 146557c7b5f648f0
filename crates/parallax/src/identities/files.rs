//! The directory of one mailbox: its name, and what is read and written in it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use parallax_client::Mailbox;
use parallax_core::{Suite as _, plainly};
use parallax_probe::AwsLc;

use crate::failure::Failure;
use crate::kept;
use crate::own_keys::{bytes, check_mode};

/// Mailboxes of one user.
const MOST: usize = 1000;

/// A longer name of a directory than this is one made of the address's hash: file systems end at 255.
const LONGEST_NAME: usize = 200;

/// The directory of one mailbox, there or not.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(super) fn of(root: &Path, mailbox: &Mailbox) -> Self {
        Self { path: root.join(name_of(mailbox)) }
    }

    /// Where orders wait. No mailbox has this name: each has an @ in its own.
    pub(super) fn of_orders(root: &Path) -> Self {
        Self { path: root.join("orders") }
    }

    /// All that are there, by name.
    pub(super) fn all(root: &Path) -> Result<Vec<Self>, Failure> {
        let entries = match fs::read_dir(root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::usage(format!("{}: {}", root.display(), plainly(&error)))),
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut all: Vec<_> = paths.map(|path| Self { path }).filter(Self::exists).take(MOST).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn exists(&self) -> bool {
        self.file("identity.toml").exists()
    }

    /// Whether this is where the mailbox belongs.
    pub(super) fn is_of(&self, mailbox: &Mailbox) -> bool {
        self.path.file_name().is_some_and(|name| *name == *name_of(mailbox))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Does something while no other command does anything here.
    pub(super) fn locked<T>(&self, work: impl FnOnce(&Locked<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let lock = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
            kept::lock_directory(&self.file("key.pem"))
        };
        let lock = lock().map_err(|why| unwritten(&self.path, &why))?;
        work(&Locked { directory: self, lock })
    }

    /// A file's content; `None` where it is not there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let file = self.file(name);
        match bytes(&file) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::usage(format!("{}: {}", file.display(), plainly(&error)))),
        }
    }

    /// The same of a file that nobody else may read.
    pub(super) fn read_secret(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let content = self.read(name)?;
        if content.is_some() {
            check_mode(&self.file(name))?;
        }
        Ok(content)
    }
}

/// A directory that is being changed.
pub(super) struct Locked<'a> {
    directory: &'a Directory,
    lock: File,
}

impl std::ops::Deref for Locked<'_> {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        self.directory
    }
}

impl Locked<'_> {
    /// Replaces a file in one step, for its owner alone.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let file = self.file(name);
        kept::replace(&file, &self.lock, 0o600, content).map_err(|why| unwritten(&file, &why))
    }

    /// Puts one file into another's place.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        let renamed = fs::rename(self.file(from), self.file(to)).and_then(|()| self.lock.sync_all());
        renamed.map_err(|why| unwritten(&self.file(to), &why))
    }

    /// Takes a file away, there or not.
    pub(super) fn remove(&self, name: &str) -> Result<(), Failure> {
        let file = self.file(name);
        match fs::remove_file(&file).and_then(|()| self.lock.sync_all()) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(unwritten(&file, &why)),
            _ => Ok(()),
        }
    }
}

pub(super) fn unwritten(file: &Path, why: &io::Error) -> Failure {
    Failure::not_done(format!("{} can't be written: {}", file.display(), plainly(why)))
}

/// The address, where it can be the name of a directory. A local part may have a slash; what stands for it starts with a
/// per cent sign, so that is written as one of three characters too.
fn name_of(mailbox: &Mailbox) -> String {
    let name = mailbox.as_str().replace('%', "%25").replace('/', "%2F");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let hash: String = AwsLc.sha256(mailbox.as_str().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}@{}", mailbox.domain().chars().take(100).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_mailbox_has_a_name_of_its_own_within_its_directory() {
        let long = |c: &str| format!("{}@{}.example", c.repeat(64), "b.".repeat(85) + "c");
        let mailboxes =
            ["ann@example.com", "a/b@example.com", "a%2Fb@example.com", "a%252Fb@example.com", "/@example.com"];
        let mailboxes = mailboxes.map(str::to_owned).into_iter().chain([long("a"), long("/"), long("%")]);
        let names: Vec<_> = mailboxes.map(|address| name_of(&address.parse().unwrap())).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        for name in &names {
            assert!(name.len() < 250 && !name.contains('/') && !name.starts_with('.') && name.contains('@'), "{name}");
        }
        assert_eq!(names[0], "ann@example.com");
    }
}
