//! SCTs as they travel (RFC 6962 sections 3.2 and 3.3, in the notation of RFC 8446 section 3).

use super::error::BadSct;

/// SCTs read of one list. Certificates carry two to five.
const MOST: usize = 16;

/// `v1` of Version.
pub(super) const V1: u8 = 0;

/// One SCT of version 1, not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sct<'a> {
    pub(super) log: [u8; 32],
    /// Milliseconds since 1970.
    pub(super) timestamp: u64,
    /// With their length before them, as they are signed.
    pub(super) extensions: &'a [u8],
    /// HashAlgorithm and SignatureAlgorithm (RFC 5246 section 7.4.1.4.1).
    pub(super) algorithm: [u8; 2],
    pub(super) signature: &'a [u8],
}

/// Reads a SignedCertificateTimestampList. Each SCT has its own length, so that one that can't be read hides no other.
pub(super) fn read_list(bytes: &[u8]) -> Result<Vec<Result<Sct<'_>, BadSct>>, BadSct> {
    let (mut list, rest) = sized(bytes).ok_or(BadSct::ListLength)?;
    if !rest.is_empty() {
        return Err(BadSct::ListLength);
    }
    let mut found = Vec::new();
    while !list.is_empty() {
        if found.len() == MOST {
            return Err(BadSct::TooMany { most: MOST });
        }
        let (one, rest) = sized(list).ok_or(BadSct::ListLength)?;
        found.push(read(one));
        list = rest;
    }
    if found.is_empty() { Err(BadSct::EmptyList) } else { Ok(found) }
}

fn read(bytes: &[u8]) -> Result<Sct<'_>, BadSct> {
    match bytes.split_first() {
        Some((&V1, v1)) => read_v1(v1).ok_or(BadSct::Length),
        Some((version, _)) => Err(BadSct::Version { found: *version }),
        None => Err(BadSct::Length),
    }
}

fn read_v1(bytes: &[u8]) -> Option<Sct<'_>> {
    let (log, rest) = bytes.split_first_chunk::<32>()?;
    let (timestamp, rest) = rest.split_first_chunk::<8>()?;
    let (_, after) = sized(rest)?;
    let (extensions, rest) = rest.split_at_checked(rest.len() - after.len())?;
    let (algorithm, rest) = rest.split_first_chunk::<2>()?;
    let (signature, rest) = sized(rest)?;
    let timestamp = u64::from_be_bytes(*timestamp);
    rest.is_empty().then_some(Sct { log: *log, timestamp, extensions, algorithm: *algorithm, signature })
}

/// `opaque<0..2^16-1>` at the beginning, and what follows it.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
