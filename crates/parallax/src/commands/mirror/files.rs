//! Files that the user names.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::failure::Failure;
use crate::kept::KeptError;

/// At most `most` bytes and one more, so that a reader can tell what is too large.
pub(super) fn read_bounded(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|why| Failure::usage(unreadable(path, why)))?;
    Ok(bytes)
}

pub(super) fn unreadable(path: &Path, why: io::Error) -> KeptError {
    KeptError::Unreadable { file: path.into(), why }
}
