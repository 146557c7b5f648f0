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
    match fs::metadata(file) {
        // Another command may make it in the same moment; then that one counts.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match make(file)? {
            Some(key) => Ok(key),
            None => read(file),
        },
        _ => read(file),
    }
}

/// The key that hubs are asked and peers attach under: of the mailbox that is acted for, else the user's own. What is
/// missing is for this machine to put right.
pub(crate) fn for_hubs(settings: &Settings) -> Result<OwnKey, Failure> {
    let Some(mailbox) = &settings.id_mailbox else { return read_or_make(&settings.key_file()) };
    let acting = Identities::of(settings).acting(Some(mailbox.as_str())).map_err(Failure::local)?;
    acting.identity.for_channels().map_err(Failure::usage)
}

/// The key of this file.
pub(crate) fn read(file: &Path) -> Result<OwnKey, Failure> {
    let named = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", file.display()));
    let text = bytes(file).map_err(|why| named(&format!("{}; `parallax key new` makes one", plainly(&why))))?;
    check_mode(file)?;
    read_key_file(&text).map_err(|why| named(&why))
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

/// What is in a file of the user's own: a key, its public half, a certificate.
pub(crate) fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(file)?.take(LARGEST + 1).read_to_end(&mut content)?;
    let fits = u64::try_from(content.len()).is_ok_and(|length| length <= LARGEST);
    if fits { Ok(content) } else { Err(io::Error::other("it is larger than 64 KiB")) }
}

/// Makes a new key in this file; `None` where the file is there already.
pub(crate) fn make(file: &Path) -> Result<Option<OwnKey>, Failure> {
    let text = new_key_file().ok_or_else(|| Failure::not_done("this machine gives no random numbers for a new key"))?;
    let key = read_key_file(text.as_bytes()).map_err(Failure::not_done)?;
    let written = || {
        if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()
    };
    match written() {
        Ok(()) => Ok(Some(key)),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(why) => Err(unwritten(file, &why)),
    }
}

/// Why nothing is written there.
pub(crate) fn unwritten(file: &Path, why: &io::Error) -> Failure {
    Failure::not_done(format!("{} can't be written: {}", file.display(), plainly(why)))
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
