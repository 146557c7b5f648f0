//! The data types of RFC 4251 section 5.

/// Bytes with their length in four octets before them, and what follows.
pub(super) fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// The magnitude of a positive integer without leading zeros, and what follows. A negative one is none.
pub(super) fn mpint(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (number, rest) = string(bytes)?;
    match number {
        [first, ..] if *first >= 0x80 => None,
        _ => Some((without_zeros(number), rest)),
    }
}

/// Appends a string.
pub(super) fn push_string(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend_from_slice(bytes);
}

/// Appends a positive integer given by its magnitude.
pub(super) fn push_mpint(into: &mut Vec<u8>, magnitude: &[u8]) {
    let magnitude = without_zeros(magnitude);
    let sign: &[u8] = if magnitude.first().is_some_and(|first| *first >= 0x80) { &[0] } else { &[] };
    push_string(into, &[sign, magnitude].concat());
}

fn without_zeros(magnitude: &[u8]) -> &[u8] {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    magnitude.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4251 section 5.
    #[test]
    fn integers() {
        for (magnitude, wanted) in [
            (&[][..], &[0, 0, 0, 0][..]),
            (&[0, 0], &[0, 0, 0, 0]),
            (
                &[9, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
                &[0, 0, 0, 8, 9, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
            ),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
            (&[0, 0, 0x7f], &[0, 0, 0, 1, 0x7f]),
        ] {
            let mut written = Vec::new();
            push_mpint(&mut written, magnitude);
            assert_eq!(written, wanted);
            assert_eq!(mpint(&written), Some((without_zeros(magnitude), &[][..])));
        }
        assert_eq!(mpint(&[0, 0, 0, 1, 0x80]), None, "a negative number");
    }

    #[test]
    fn lengths_that_lie() {
        for bytes in [&[][..], &[0, 0, 0], &[0, 0, 0, 1], &[0xff, 0xff, 0xff, 0xff, 1]] {
            assert_eq!(string(bytes), None);
        }
        assert_eq!(string(&[0, 0, 0, 1, 7, 8]), Some((&[7][..], &[8][..])));
    }
}
