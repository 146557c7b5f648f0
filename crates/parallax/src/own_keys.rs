//! The user's own keys in files: made at first use, for their owner alone.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use parallax_client::{new_key_file, read_key_file};
use parallax_core::plainly;
use parallax_proto::channel::OwnKey;

use crate::failure::Failure;
use crate::identities::Identities;
use crate::settings::Settings;

/// A key with four certificates takes 12 KiB.
const LARGEST: u64 = 64 * 1024;

/// The key of this file; a new one where there is no such file.
pub(crate) fn read_or_make(file: &Path) -> Result<OwnKey, Failure> {
    match read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(file)?,
        Err(error) => return Err(Failure::usage(format!("{}: {}", file.display(), plainly(&error)))),
        Ok(text) => return key_of(file, &text),
    }
    // Another command may have made it in the same moment; then that one counts.
    let text = read(file).map_err(|error| Failure::usage(format!("{}: {}", file.display(), plainly(&error))))?;
    key_of(file, &text)
}

/// The key that hubs are asked and peers attach under: of the mailbox that is acted for, else the user's own. What is
/// missing is for this machine to put right.
pub(crate) fn for_hubs(settings: &Settings) -> Result<OwnKey, Failure> {
    let Some(mailbox) = &settings.id_mailbox else { return read_or_make(&settings.key_file()) };
    let acting = Identities::of(settings).acting(Some(mailbox.as_str())).map_err(Failure::local)?;
    acting.identity.for_channels().map_err(Failure::usage)
}

fn key_of(file: &Path, text: &[u8]) -> Result<OwnKey, Failure> {
    check_mode(file)?;
    read_key_file(text).map_err(|why| Failure::usage(format!("{}: {why}", file.display())))
}

/// What is secret and stands in a file that others may read is no secret.
pub(crate) fn check_mode(file: &Path) -> Result<(), Failure> {
    let mode = fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        let why = format!("others may read it (mode {mode:03o}); a key file has mode 600");
        return Err(Failure::usage(format!("{}: {why}", file.display())));
    }
    Ok(())
}

/// A file of the user's own, as far as any of them goes.
pub(crate) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(file)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

fn make(file: &Path) -> Result<(), Failure> {
    let text = new_key_file().ok_or_else(|| Failure::not_done("this machine gives no random numbers for a new key"))?;
    let written = || {
        if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()
    };
    match written() {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => {
            Err(Failure::not_done(format!("{} can't be written: {}", file.display(), plainly(&why))))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_for_the_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("new/1.pem");
        let key = read_or_make(&file).unwrap();
        assert_eq!(read_or_make(&file).unwrap().id(), key.id());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_or_make(&file).unwrap_err().sentence().unwrap().contains("mode 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "no key").unwrap();
        assert!(read_or_make(&file).unwrap_err().sentence().unwrap().contains("no private key"));
    }
}
