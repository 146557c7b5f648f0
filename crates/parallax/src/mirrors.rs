//! `mirrors.json`: the mirrors of the federation that `check` draws from. It holds the key that the draws hang on, so it is
//! its owner's alone.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use parallax_client::{BadKnownMirrors, KnownMirrors, LARGEST_KNOWN};

use crate::kept::{KeptError, lock_directory, replace};

/// Every permission of group and others.
const OTHERS: u32 = 0o077;

/// Why the file can't be used. One sentence each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MirrorsError {
    #[error(transparent)]
    File(#[from] KeptError),
    #[error("{} may be touched by others (mode {mode:04o}); it holds a key: chmod 0600 {}", file.display(), file.display())]
    Permissions { file: PathBuf, mode: u32 },
    #[error("{}: {why}; remove the file and run `parallax mirror bootstrap` again", file.display())]
    Content { file: PathBuf, why: BadKnownMirrors },
}

/// Reads the mirrors; `None` where there is no file.
pub(crate) fn read(file: &Path) -> Result<Option<KnownMirrors>, MirrorsError> {
    let unreadable = |why| KeptError::Unreadable { file: file.into(), why };
    let opened = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    let mode = opened.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(MirrorsError::Permissions { file: file.into(), mode });
    }
    let mut bytes = Vec::new();
    opened.take(LARGEST_KNOWN as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    KnownMirrors::read(&bytes).map(Some).map_err(|why| MirrorsError::Content { file: file.into(), why })
}

/// Changes the mirrors under a lock, so that two commands at once lose nothing, and replaces the file in one step. Nothing
/// is written where `change` gives no mirrors back.
pub(crate) fn change<T, E: From<MirrorsError>>(
    file: &Path,
    change: impl FnOnce(Option<KnownMirrors>) -> Result<(Option<KnownMirrors>, T), E>,
) -> Result<T, E> {
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.into());
    let unwritable = |why| MirrorsError::File(KeptError::Unwritable { file: file.clone(), why });
    let directory = lock_directory(file).map_err(unwritable)?;
    let (changed, done) = change(read(file)?)?;
    if let Some(known) = changed {
        let content = known.to_json().map_err(|why| unwritable(io::Error::other(why)))?;
        replace(file, &directory, 0o600, &content).map_err(unwritable)?;
    }
    Ok(done)
}

/// Holds this place while lists are asked for; `None` while another command does. The system lets it go with the process.
pub(crate) fn hold(file: &Path) -> io::Result<Option<File>> {
    let held = File::open(file)?;
    match held.try_lock() {
        Ok(()) => Ok(Some(held)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(why)) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use parallax_client::Chance;

    use super::*;

    fn write(file: &Path) -> KnownMirrors {
        let known = KnownMirrors::nobody(false, &mut Chance);
        change::<_, MirrorsError>(file, |_| Ok((Some(known.clone()), ()))).unwrap();
        known
    }

    #[test]
    fn what_is_written_is_read_again_and_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("new/mirrors.json");
        assert!(read(&file).unwrap().is_none());
        let known = write(&file);
        assert_eq!(read(&file).unwrap(), Some(known.clone()));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        assert_ne!(write(&file), known, "another key");
    }

    #[test]
    fn what_is_no_such_file_is_refused_in_a_sentence() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mirrors.json");
        write(&file);
        let good = fs::read_to_string(&file).unwrap();
        let cut: String = good.chars().take(good.len() / 2).collect();
        for (content, part) in [
            (cut, "it can't be read: EOF"),
            (good.replace("known-mirrors/1", "known-mirrors/2"), "it has format \"parallax-known-mirrors/2\""),
            (good.replace("\"mirrors\":[]", "\"mirrors\":[],\"more\":1"), "unknown field `more`"),
            (" ".repeat(LARGEST_KNOWN + 1), "at most 16777216 are read"),
        ] {
            fs::write(&file, content).unwrap();
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("mirror bootstrap") && !error.contains('\n'), "{error}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("chmod 0600"));
    }

    #[test]
    fn one_refreshes_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mirrors.json");
        write(&file);
        let held = hold(&file).unwrap();
        assert!(held.is_some() && hold(&file).unwrap().is_none());
        drop(held);
        assert!(hold(&file).unwrap().is_some());
    }
}
