//! Lists that a user keeps in TOML files beside the configuration: read, and changed without losing anything.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use parallax_core::plainly;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A list that is kept in a file of its own.
pub(crate) trait Kept: Default + Serialize + DeserializeOwned {
    /// What stands above the list, ended by an empty line.
    const HEADER: &'static str;

    /// Why the list can't be used.
    type Error: From<KeptError>;

    /// What must hold of a list beyond its form.
    fn check(&self, file: &Path) -> Result<(), Self::Error>;

    /// Reads the list; one that is not there is empty.
    fn read(file: &Path) -> Result<Self, Self::Error> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(file, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(KeptError::Unreadable { file: file.into(), why }.into()),
        }
    }

    /// The list of a file's text.
    fn parse(file: &Path, text: &str) -> Result<Self, Self::Error> {
        let list: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            KeptError::Malformed { file: file.into(), line, why: error.message().replace('\n', ", ") }
        })?;
        list.check(file)?;
        Ok(list)
    }

    /// Changes the list under a lock, so that two commands at once lose nothing, and replaces the file in one step.
    fn change<T>(file: &Path, change: impl FnOnce(&mut Self) -> Result<T, Self::Error>) -> Result<T, Self::Error> {
        // A link stays one: what it points to is replaced.
        let file = &fs::canonicalize(file).unwrap_or_else(|_| file.into());
        let unwritable = |why| KeptError::Unwritable { file: file.clone(), why };
        let directory = lock_directory(file).map_err(unwritable)?;
        let mut list = Self::read(file)?;
        let done = change(&mut list)?;
        write(&list, file, &directory).map_err(unwritable)?;
        Ok(done)
    }
}

/// Why the file can't be used. One sentence each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    #[error("{} can't be read: {}", file.display(), plainly(why))]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("{} can't be written: {}", file.display(), plainly(why))]
    Unwritable { file: PathBuf, why: io::Error },
    #[error("{} line {line}: {why}", file.display())]
    Malformed { file: PathBuf, line: usize, why: String },
}

/// The directory of the file, made if need be and locked until it is dropped.
pub(crate) fn lock_directory(file: &Path) -> io::Result<File> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let directory = File::open(directory)?;
    directory.lock()?;
    Ok(directory)
}

fn write<L: Kept>(list: &L, file: &Path, directory: &File) -> io::Result<()> {
    let body = toml::to_string(list).map_err(io::Error::other)?;
    replace(file, directory, 0o644, &[L::HEADER.as_bytes(), body.as_bytes()].concat())
}

/// Replaces a file in one step: a reader, also one after a crash, finds the old content or the new.
pub(crate) fn replace(file: &Path, directory: &File, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = file.with_file_name(name);
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
    // One that a crash left has the mode it had.
    new.set_permissions(Permissions::from_mode(mode))?;
    new.write_all(content)?;
    new.sync_all()?;
    fs::rename(&beside, file)?;
    directory.sync_all()
}
