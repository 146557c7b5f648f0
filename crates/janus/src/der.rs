//! Strict DER, and the two ways to write an ECDSA signature.

use x509_cert::der::asn1::Uint;
use x509_cert::der::{Decode, Encode};

/// Why bytes are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRead {
    /// They are not what they should be.
    Unreadable,
    /// They are, but there is another, right way to write it.
    NotCanonical,
}

/// Reads all of the bytes, and takes them only when writing what was read gives the same bytes: DER has one spelling for
/// everything, and two readers of any other may disagree on what it says.
pub(crate) fn read<T>(bytes: &[u8]) -> Result<T, NotRead>
where
    T: for<'a> Decode<'a> + Encode,
{
    let value = T::from_der(bytes).map_err(|_| NotRead::Unreadable)?;
    match value.to_der() {
        Ok(written) if written == bytes => Ok(value),
        _ => Err(NotRead::NotCanonical),
    }
}

/// An ECDSA P-256 signature as X.509 has it (RFC 3279 section 2.2.3) in 64 bytes, r ‖ s.
pub(crate) fn fixed_from_der(der: &[u8]) -> Option<[u8; 64]> {
    let numbers: Vec<Uint> = read(der).ok()?;
    let [r, s] = numbers.as_slice() else { return None };
    let mut fixed = [0; 64];
    for (half, number) in fixed.chunks_exact_mut(32).zip([r, s]) {
        let digits = number.as_bytes();
        let start = half.len().checked_sub(digits.len())?;
        half.get_mut(start..)?.copy_from_slice(digits);
    }
    Some(fixed)
}

/// The other way round; `None` when it is not 64 bytes long.
pub(crate) fn der_from_fixed(fixed: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = fixed.split_at_checked(32).filter(|(_, s)| s.len() == 32)?;
    let numbers = [r, s].map(|half| Uint::new(half).ok());
    let [Some(r), Some(s)] = numbers else { return None };
    vec![r, s].to_der().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_spellings_are_refused() {
        let good = der_from_fixed(&[[0; 31].as_slice(), &[1; 33]].concat()).unwrap();
        assert!(fixed_from_der(&good).is_some());
        let with = |bytes: &[u8]| fixed_from_der(bytes).is_some();
        assert!(!with(&[]));
        assert!(!with(&[good.as_slice(), &[0]].concat()), "a byte behind");
        assert!(!with(&[&[0x30, 0x81, good[1]], &good[2..]].concat()), "a long length");
        assert!(!with(&[0x30, 0x07, 2, 2, 0, 1, 2, 1, 1]), "a leading zero");
        assert!(!with(&[0x30, 0x06, 2, 1, 0x81, 2, 1, 1]), "a negative number");
        assert!(!with(&[0x30, 0x09, 2, 1, 1, 2, 1, 1, 2, 1, 1]), "three numbers");
        assert!(!with(&[&[0x30, 0x27, 2, 0x22, 1], [0; 33].as_slice(), &[2, 1, 1]].concat()), "too large a number");
        assert!(der_from_fixed(&[1; 63]).is_none() && der_from_fixed(&[1; 65]).is_none());
    }

    proptest! {
        #[test]
        fn both_ways(r in proptest::array::uniform32(any::<u8>()), s in proptest::array::uniform32(any::<u8>())) {
            let fixed = [r, s].concat();
            prop_assert_eq!(fixed_from_der(&der_from_fixed(&fixed).unwrap()).unwrap().to_vec(), fixed);
        }
    }
}
