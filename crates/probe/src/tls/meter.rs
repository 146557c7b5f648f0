//! Counts what a server sends, and tells TLS from everything else by the record headers (RFC 8446 section 5.1).

use parallax_core::Outcome;

/// The largest record that any version allows (RFC 5246 section 6.2.3).
const LONGEST_RECORD: usize = (1 << 14) + 2048;

/// Follows the record headers of one connection.
#[derive(Debug)]
pub(super) struct RecordMeter {
    bytes_left: usize,
    records_left: usize,
    header: Vec<u8>,
    /// Of the record at hand.
    body_left: usize,
    any_record: bool,
    fresh: bool,
}

impl RecordMeter {
    pub(super) fn new(bytes: usize, records: usize) -> Self {
        let header = Vec::with_capacity(5);
        Self { bytes_left: bytes, records_left: records, header, body_left: 0, any_record: false, fresh: true }
    }

    /// Whether nothing has come yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Takes the next bytes: `NotTls` when the very first are no record, `Malformed` when later ones are none, or a bound
    /// is exceeded.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Outcome> {
        self.fresh &= bytes.is_empty();
        self.bytes_left = self.bytes_left.checked_sub(bytes.len()).ok_or(Outcome::Malformed)?;
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.body_left > 0 {
                let skipped = self.body_left.min(bytes.len());
                self.body_left -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
            } else {
                self.header.push(byte);
                self.check_header()?;
                bytes = rest;
            }
        }
        Ok(())
    }

    fn check_header(&mut self) -> Result<(), Outcome> {
        let stranger = if self.any_record { Outcome::Malformed } else { Outcome::NotTls };
        match self.header.as_slice() {
            [20..=24] | [20..=24, 3] | [20..=24, 3, _] | [20..=24, 3, _, _] => Ok(()),
            [20..=24, 3, _, high, low] => {
                self.body_left = usize::from(u16::from_be_bytes([*high, *low]));
                self.header.clear();
                self.any_record = true;
                self.records_left = self.records_left.checked_sub(1).ok_or(Outcome::Malformed)?;
                if self.body_left > LONGEST_RECORD { Err(Outcome::Malformed) } else { Ok(()) }
            }
            _ => Err(stranger),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(pieces: &[&[u8]]) -> Result<(), Outcome> {
        let mut meter = RecordMeter::new(1000, 10);
        pieces.iter().try_for_each(|piece| meter.feed(piece))
    }

    #[test]
    fn records_in_any_pieces() {
        let two = [22, 3, 3, 0, 2, 9, 9, 21, 3, 1, 0, 1, 0];
        assert_eq!(feed(&[&two]), Ok(()));
        assert_eq!(feed(&two.iter().map(std::slice::from_ref).collect::<Vec<_>>()), Ok(()));
    }

    #[test]
    fn what_is_no_record() {
        for other in [b"HTTP/1.1 400".as_slice(), b"SSH-2.0-x", b"220 mail", &[22, 4], &[25], &[0x80, 0x2e, 1]] {
            assert_eq!(feed(&[other]), Err(Outcome::NotTls), "{other:?}");
        }
        assert_eq!(feed(&[&[22, 3, 3, 0, 0], b"HTTP"]), Err(Outcome::Malformed));
        assert_eq!(feed(&[&[22, 3, 3, 0xff, 0xff]]), Err(Outcome::Malformed));
    }

    #[test]
    fn bounds() {
        assert_eq!(feed(&[&[22, 3, 3, 3, 0xe8], &[0; 1000]]), Err(Outcome::Malformed));
        assert_eq!(feed(&[[22, 3, 3, 0, 0].repeat(10).as_slice()]), Ok(()));
        assert_eq!(feed(&[[22, 3, 3, 0, 0].repeat(11).as_slice()]), Err(Outcome::Malformed));
    }

    proptest::proptest! {
        #[test]
        fn the_pieces_do_not_matter(bytes: Vec<u8>, cut: proptest::sample::Index) {
            let at = cut.index(bytes.len() + 1);
            proptest::prop_assert_eq!(feed(&[&bytes]), feed(&[&bytes[..at], &bytes[at..]]));
        }
    }
}
