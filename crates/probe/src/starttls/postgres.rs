//! PostgreSQL: SSLRequest and one letter (PostgreSQL documentation, "Message Flow", "SSL Session Encryption").

use super::machine::{Dialogue, Step, Stop};

/// SSLRequest: its length, and 1234 and 5679 in 16 bits each.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The client's side.
pub(super) struct Postgres;

impl Dialogue for Postgres {
    fn opening(&self) -> Vec<u8> {
        SSL_REQUEST.to_vec()
    }

    fn length(&self, buffered: &[u8]) -> Result<Option<usize>, Stop> {
        Ok(buffered.first().map(|_| 1))
    }

    fn take(&mut self, message: &[u8]) -> Result<Step, Stop> {
        match message {
            b"S" => Ok(Step::Go),
            b"N" => Err(Stop::NotOffered),
            // An error message, of a server without room. Its text is in the clear and may be anybody's (CVE-2024-10977).
            b"E" => Err(Stop::TurnedAway),
            _ => Err(Stop::Nonsense),
        }
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::Outcome::{Alert, Malformed, NotTls};
    use parallax_core::Starttls::{NotOffered, Offered};

    use super::*;
    use crate::starttls::machine::tests::{GO, ends, talk};

    #[test]
    fn one_letter_decides() {
        let said = [8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat();
        assert_eq!(talk(Postgres, &[b"S"]).said, said);
        for (pieces, end, learnt) in [
            (&[b"S".as_slice()][..], GO, Some(Offered)),
            (&[b"N"], Some(Err(NotTls)), Some(NotOffered)),
            (&[b"E\0\0\0\x30SFATAL"], Some(Err(Alert)), None),
            (&[b"SR\0\0\0\x08"], Some(Err(Malformed)), Some(Offered)),
            (&[b"S\x16\x03"], Some(Err(Malformed)), Some(Offered)),
            (&[b"220 mx.example\r\n"], Some(Err(NotTls)), None),
            (&[b"s"], Some(Err(NotTls)), None),
            (&[b"\0"], Some(Err(NotTls)), None),
            (&[b"\xff"], Some(Err(NotTls)), None),
            (&[b""], None, None),
        ] {
            assert_eq!(ends(Postgres, pieces), (end, learnt), "{pieces:?}");
        }
    }
}
