//! POP3: greeting, CAPA, STLS (RFC 1939 section 3, RFC 2449 section 5, RFC 2595 section 4).

use super::lines::{self, LONGEST_REPLY};
use super::machine::{Dialogue, Step, Stop};

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waiting {
    #[default]
    Greeting,
    Capabilities,
    EndOfCapabilities,
    GoAhead,
}

/// The client's side.
#[derive(Default)]
pub(super) struct Pop3 {
    waiting: Waiting,
    offers: bool,
}

impl Pop3 {
    fn capability(&mut self, line: &[u8]) -> Result<Step, Stop> {
        if line != b"." {
            self.offers |= lines::word(line).0.eq_ignore_ascii_case(b"STLS");
            return Ok(Step::Read);
        }
        self.waiting = Waiting::GoAhead;
        if self.offers { Ok(Step::Ask(b"STLS\r\n".to_vec())) } else { Err(Stop::NotOffered) }
    }
}

impl Dialogue for Pop3 {
    fn length(&self, buffered: &[u8]) -> Result<Option<usize>, Stop> {
        lines::length(buffered, LONGEST_REPLY)
    }

    fn take(&mut self, message: &[u8]) -> Result<Step, Stop> {
        let line = lines::text(message)?;
        match (self.waiting, lines::word(line).0) {
            (Waiting::EndOfCapabilities, _) => self.capability(line),
            (Waiting::Greeting, b"+OK") => {
                self.waiting = Waiting::Capabilities;
                Ok(Step::Send(b"CAPA\r\n".to_vec()))
            }
            (Waiting::Greeting, b"-ERR") => Err(Stop::TurnedAway),
            (Waiting::Capabilities, b"+OK") => {
                self.waiting = Waiting::EndOfCapabilities;
                Ok(Step::Read)
            }
            (Waiting::Capabilities, b"-ERR") => Err(Stop::NotOffered),
            (Waiting::GoAhead, b"+OK") => Ok(Step::Go),
            (Waiting::GoAhead, b"-ERR") => Err(Stop::Refused),
            _ => Err(Stop::Nonsense),
        }
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::Outcome::{Alert, Malformed, NotTls};
    use parallax_core::Starttls::{NotOffered, Offered, Refused};

    use super::*;
    use crate::starttls::machine::tests::{GO, ends, same_in_any_pieces, talk};

    const GREETING: &[u8] = b"+OK ready <1896.697170952@pop.example>\r\n";
    const OFFERS: &[u8] = b"+OK Capability list follows\r\nTOP\r\nUIDL\r\nSTLS\r\nSASL PLAIN\r\n.\r\n";

    /// The exchange of RFC 2595 section 4.
    #[test]
    fn the_way_to_tls() {
        let talk = talk(Pop3::default(), &[GREETING, OFFERS, b"+OK Begin TLS negotiation\r\n"]);
        assert_eq!((talk.end, talk.learnt), (GO, Some(Offered)));
        assert_eq!(talk.said, b"CAPA\r\nSTLS\r\n");
        same_in_any_pieces(Pop3::default, &[GREETING, OFFERS, b"+OK\r\n"]);
    }

    #[test]
    fn each_end_has_its_name() {
        for (pieces, outcome, learnt) in [
            (&[GREETING, b"+OK\r\nTOP\r\n.\r\n"][..], NotTls, Some(NotOffered)),
            (&[GREETING, b"+OK STLS\r\n.\r\n"], NotTls, Some(NotOffered)),
            (&[GREETING, b"-ERR unknown command\r\n"], NotTls, Some(NotOffered)),
            (&[GREETING, OFFERS, b"-ERR not now\r\n"], NotTls, Some(Refused)),
            (&[b"-ERR too many connections\r\n"], Alert, None),
            (&[b"* OK IMAP\r\n"], NotTls, None),
            (&[b"+OKAY\r\n"], NotTls, None),
            (&[b"+OK \0\r\n"], NotTls, None),
            (&[GREETING, b"OK\r\n"], Malformed, None),
            (&[GREETING, b"+OK\r\nST\0LS\r\n"], Malformed, None),
            (&[GREETING, OFFERS, b"220 go\r\n"], Malformed, Some(Offered)),
            (&[GREETING, OFFERS, b"+OK go\r\n+OK logged in\r\n"], Malformed, Some(Offered)),
        ] {
            assert_eq!(ends(Pop3::default(), pieces), (Some(Err(outcome)), learnt), "{pieces:?}");
        }
    }

    #[test]
    fn bounds() {
        let long = [b"+OK ".as_slice(), &[b'x'; 600]].concat();
        assert_eq!(ends(Pop3::default(), &[&long]), (Some(Err(NotTls)), None));
        let endless = b"X\r\n".repeat(62);
        assert_eq!(ends(Pop3::default(), &[GREETING, b"+OK\r\n", &endless]).0, None);
        assert_eq!(ends(Pop3::default(), &[GREETING, b"+OK\r\n", &endless, b"X\r\n"]).0, Some(Err(Malformed)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            talk(Pop3::default(), &[GREETING, OFFERS, &bytes]);
            talk(Pop3::default(), &[&bytes]);
        }
    }
}
