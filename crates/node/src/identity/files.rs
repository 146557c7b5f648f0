//! Files that hold secrets: written whole or not at all, readable by their owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::IdentityError;

/// The largest file that is read: a key and two certificates take 3 KiB.
const LARGEST: u64 = 64 * 1024;

/// Every permission of group and others.
const OTHERS: u32 = 0o077;

/// Makes a directory that only its owner can enter.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), IdentityError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| io_error(path, source))
}

/// Writes a new file, mode 0600, and waits until it is on disk.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| io_error(path, source))
}

/// Replaces a file: a reader, also one after a crash, finds the old content or the new, never half of one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    remove_leftover(&fresh, |path| fs::remove_file(path))?;
    write_new(&fresh, bytes)?;
    rename(&fresh, path)
}

/// Makes a directory with these files in one step: until all of them are on disk, nothing has its name.
pub(crate) fn create_dir_with(path: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), IdentityError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    // The caller holds the lock of the data directory: what lies here is left from a start that was cut short.
    remove_leftover(&fresh, |path| fs::remove_dir_all(path))?;
    make_private_dir(&fresh)?;
    for (name, bytes) in files {
        write_new(&fresh.join(name), bytes)?;
    }
    sync_dir(&fresh)?;
    rename(&fresh, path)
}

/// Reads a file that must be its owner's alone.
pub(crate) fn read_private(path: &Path) -> Result<Vec<u8>, IdentityError> {
    check_private(path)?;
    read(path)
}

/// Reads a file that is no secret.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let metadata = fs::metadata(path).map_err(|source| io_error(path, source))?;
    if metadata.size() > LARGEST {
        return Err(IdentityError::Form { path: path.to_owned(), why: "it is larger than 64 KiB".into() });
    }
    fs::read(path).map_err(|source| io_error(path, source))
}

/// Refuses what group or others may touch, as ssh does: a warning would be read by nobody.
pub(crate) fn check_private(path: &Path) -> Result<(), IdentityError> {
    let mode = fs::metadata(path).map_err(|source| io_error(path, source))?.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(IdentityError::Permissions { path: path.to_owned(), mode, wanted: mode & 0o700 })
}

fn remove_leftover(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> Result<(), IdentityError> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path, error)),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), IdentityError> {
    fs::rename(from, to).map_err(|source| io_error(to, source))?;
    sync_dir(to.parent().unwrap_or(Path::new(".")))
}

/// A rename is on disk when its directory is.
fn sync_dir(path: &Path) -> Result<(), IdentityError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|source| io_error(path, source))
}

fn io_error(path: &Path, source: io::Error) -> IdentityError {
    IdentityError::Io { path: PathBuf::from(path), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_written_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read_private(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn leftovers_of_a_crash_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret.new"), b"half").unwrap();
        replace(&dir.path().join("secret"), b"whole").unwrap();
        assert_eq!(read(&dir.path().join("secret")).unwrap(), b"whole");

        fs::create_dir(dir.path().join("identity.new")).unwrap();
        fs::write(dir.path().join("identity.new/ca.pem"), b"half").unwrap();
        create_dir_with(&dir.path().join("identity"), &[("ca.pem", b"whole".to_vec())]).unwrap();
        assert_eq!(read(&dir.path().join("identity/ca.pem")).unwrap(), b"whole");
        assert!(!dir.path().join("identity.new").exists());
        assert_eq!(fs::metadata(dir.path().join("identity")).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_new(&path, b"x").unwrap();
        for mode in [0o640, 0o604, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read_private(&path).unwrap_err().to_string();
            assert!(error.contains("chmod"), "{error}");
        }
    }
}
