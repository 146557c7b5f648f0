//! Notary list files: `host:port`, then the key of that notary in PEM; lines that begin with `#` are comments.

use std::collections::BTreeMap;

use crate::notary::{BadNotaryKey, NotaryAddress, NotaryKey, OldNotary};

/// Bytes of the largest list that is read.
pub const LARGEST_NOTARY_LIST: usize = 1024 * 1024;

/// Why a list can't be used, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNotaryList {
    /// It is longer than any list may be.
    #[error("the list is larger than {LARGEST_NOTARY_LIST} bytes")]
    TooLarge,
    /// A line that should name a notary.
    #[error("line {line}: host:port of a notary was expected: {why}")]
    Address {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A notary without a key below it.
    #[error("line {line}: the notary's public key in PEM must follow")]
    NoKey {
        /// The line of the notary, counted from 1.
        line: usize,
    },
    /// A key that is none.
    #[error("line {line}: the key is wrong: {why}")]
    Key {
        /// The first line of the key, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: BadNotaryKey,
    },
    /// One address with two keys.
    #[error("line {line}: {address} has another key than on line {first}; one of the two is wrong")]
    TwoKeys {
        /// The line of the second, counted from 1.
        line: usize,
        /// The notary.
        address: NotaryAddress,
        /// The line of the first.
        first: usize,
    },
    /// It names nobody.
    #[error("the list names no notary")]
    Empty,
}

/// The notaries of a list in its order; one that is named twice with the same key is there once.
pub fn parse_notary_list(text: &str) -> Result<Vec<OldNotary>, BadNotaryList> {
    if text.len() > LARGEST_NOTARY_LIST {
        return Err(BadNotaryList::TooLarge);
    }
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut known: BTreeMap<NotaryAddress, (usize, NotaryKey)> = BTreeMap::new();
    let mut notaries = Vec::new();
    while let Some((line, text)) = lines.next() {
        let address: NotaryAddress = text
            .parse()
            .map_err(|why: parallax_core::BadService| BadNotaryList::Address { line, why: why.to_string() })?;
        let key = read_key(&mut lines).ok_or(BadNotaryList::NoKey { line })??;
        match known.get(&address) {
            Some((_, other)) if *other == key => {}
            Some((first, _)) => return Err(BadNotaryList::TwoKeys { line, address, first: *first }),
            None => {
                known.insert(address.clone(), (line, key.clone()));
                notaries.push(OldNotary::new(address, key));
            }
        }
    }
    if notaries.is_empty() { Err(BadNotaryList::Empty) } else { Ok(notaries) }
}

/// The PEM block that comes next; `None` where none begins or it does not end.
fn read_key<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Option<Result<NotaryKey, BadNotaryList>> {
    let (line, begin) = lines.next().filter(|(_, text)| text.starts_with("-----BEGIN "))?;
    let mut pem = format!("{begin}\n");
    loop {
        let (_, text) = lines.next()?;
        pem.push_str(text);
        pem.push('\n');
        if text.starts_with("-----END ") {
            return Some(NotaryKey::from_pem(&pem).map_err(|why| BadNotaryList::Key { line, why }));
        }
    }
}
