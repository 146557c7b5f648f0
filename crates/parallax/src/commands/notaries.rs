//! Old notaries as the user names them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use parallax_client::{NOTARY_SCHEME, NotaryAddress, NotaryKey, OldNotary};
use parallax_core::plainly;

use crate::failure::Failure;

/// Bytes of the largest key file that is read.
const LARGEST_KEY: usize = 16 * 1024;

/// The notary with the key that the file holds.
pub(super) fn with_key(address: NotaryAddress, file: Option<&Path>) -> Result<OldNotary, Failure> {
    let Some(file) = file else {
        return Err(Failure::usage(format!(
            "the old notary {NOTARY_SCHEME}{address} has no key; add # and the file that holds its public key in PEM"
        )));
    };
    let key = NotaryKey::from_pem(&read(file, LARGEST_KEY)?);
    let key = key.map_err(|why| Failure::usage(format!("{}: {why}", file.display())))?;
    Ok(OldNotary::new(address, key))
}

/// A text file of at most so many bytes; of a longer one a byte more, so that its reader sees that it is too long.
pub(super) fn read(file: &Path, limit: usize) -> Result<String, Failure> {
    let mut text = String::new();
    File::open(file).and_then(|open| open.take(limit as u64 + 1).read_to_string(&mut text)).map_err(|error| {
        Failure::usage(format!(
            "{} can't be read: {}; name a file that this user may read",
            file.display(),
            plainly(&error)
        ))
    })?;
    Ok(text)
}
