//! IMAP: greeting, CAPABILITY, STARTTLS (RFC 9051 sections 6.1.1, 6.2.1 and 7.1).

use super::lines;
use super::machine::{Dialogue, Step, Stop};

/// The longest line, with its end (RFC 7162 section 4): lists of capabilities are long.
const LONGEST_LINE: usize = 8192;

const ASK_CAPABILITY: &[u8] = b"p1 CAPABILITY\r\n";
const ASK_STARTTLS: &[u8] = b"p2 STARTTLS\r\n";

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waiting {
    #[default]
    Greeting,
    Capabilities,
    GoAhead,
}

/// The client's side.
#[derive(Default)]
pub(super) struct Imap {
    waiting: Waiting,
    offers: bool,
}

impl Imap {
    fn greeted(&mut self, word: &[u8]) -> Result<Step, Stop> {
        match word {
            _ if word.eq_ignore_ascii_case(b"OK") => {
                // What the greeting says of capabilities is not relied upon: the question is one line.
                self.waiting = Waiting::Capabilities;
                Ok(Step::Send(ASK_CAPABILITY.to_vec()))
            }
            // Whoever is logged in already can begin TLS no more (RFC 9051 section 6.2.1).
            _ if word.eq_ignore_ascii_case(b"PREAUTH") => Err(Stop::NotOffered),
            _ if word.eq_ignore_ascii_case(b"BYE") => Err(Stop::TurnedAway),
            _ => Err(Stop::Nonsense),
        }
    }

    fn untagged(&mut self, text: &[u8]) -> Result<Step, Stop> {
        let (word, rest) = lines::word(text);
        if self.waiting == Waiting::Greeting {
            return self.greeted(word);
        }
        if word.eq_ignore_ascii_case(b"BYE") {
            return Err(Stop::TurnedAway);
        }
        if word.eq_ignore_ascii_case(b"CAPABILITY") && self.waiting == Waiting::Capabilities {
            self.offers = rest.split(|byte| *byte == b' ').any(|one| one.eq_ignore_ascii_case(b"STARTTLS"));
        }
        Ok(Step::Read)
    }

    fn tagged(&mut self, tag: &[u8], status: &[u8]) -> Result<Step, Stop> {
        let done = status.eq_ignore_ascii_case(b"OK");
        let denied = status.eq_ignore_ascii_case(b"NO") || status.eq_ignore_ascii_case(b"BAD");
        match (self.waiting, tag) {
            (Waiting::Capabilities, b"p1") if done && self.offers => {
                self.waiting = Waiting::GoAhead;
                Ok(Step::Ask(ASK_STARTTLS.to_vec()))
            }
            (Waiting::Capabilities, b"p1") if done || denied => Err(Stop::NotOffered),
            (Waiting::GoAhead, b"p2") if done => Ok(Step::Go),
            (Waiting::GoAhead, b"p2") if denied => Err(Stop::Refused),
            _ => Err(Stop::Nonsense),
        }
    }
}

impl Dialogue for Imap {
    fn length(&self, buffered: &[u8]) -> Result<Option<usize>, Stop> {
        lines::length(buffered, LONGEST_LINE)
    }

    fn take(&mut self, message: &[u8]) -> Result<Step, Stop> {
        let (first, rest) = lines::word(lines::text(message)?);
        match first {
            b"*" => self.untagged(rest),
            tag => self.tagged(tag, lines::word(rest).0),
        }
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::Outcome::{Alert, Malformed, NotTls};
    use parallax_core::Starttls::{NotOffered, Offered, Refused};

    use super::*;
    use crate::starttls::machine::tests::{GO, ends, same_in_any_pieces, talk};

    const GREETING: &[u8] = b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready\r\n";
    const OFFERS: &[u8] = b"* CAPABILITY IMAP4rev2 StartTLS LOGINDISABLED\r\np1 OK done\r\n";

    /// The exchange of RFC 9051 section 6.2.1.
    #[test]
    fn the_way_to_tls() {
        let talk = talk(Imap::default(), &[GREETING, OFFERS, b"p2 OK Begin TLS negotiation now\r\n"]);
        assert_eq!((talk.end, talk.learnt), (GO, Some(Offered)));
        assert_eq!(talk.said, b"p1 CAPABILITY\r\np2 STARTTLS\r\n");
        same_in_any_pieces(Imap::default, &[GREETING, OFFERS, b"p2 OK\r\n"]);
        let chatty = [GREETING, b"* NOTICE hello\r\n", OFFERS, b"* OK still there\r\n", b"p2 ok\r\n"];
        assert_eq!(ends(Imap::default(), &chatty), (GO, Some(Offered)));
    }

    #[test]
    fn each_end_has_its_name() {
        for (pieces, outcome, learnt) in [
            (&[GREETING, b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\np1 OK\r\n"][..], NotTls, Some(NotOffered)),
            (&[GREETING, b"* CAPABILITY IMAP4rev1 XSTARTTLS\r\np1 OK\r\n"], NotTls, Some(NotOffered)),
            // The capability must be that of the answer, not of the greeting.
            (&[b"* OK [CAPABILITY STARTTLS] x\r\n", b"p1 OK\r\n"], NotTls, Some(NotOffered)),
            (&[GREETING, b"p1 BAD what?\r\n"], NotTls, Some(NotOffered)),
            // A known way to strip it: who is logged in already has no use for TLS.
            (&[b"* PREAUTH welcome back\r\n"], NotTls, Some(NotOffered)),
            (&[GREETING, OFFERS, b"p2 NO not today\r\n"], NotTls, Some(Refused)),
            (&[GREETING, OFFERS, b"p2 BAD unknown command\r\n"], NotTls, Some(Refused)),
            (&[b"* BYE overloaded\r\n"], Alert, None),
            (&[GREETING, OFFERS, b"* BYE shutting down\r\n"], Alert, Some(Offered)),
            (&[b"220 mx.example ESMTP\r\n"], NotTls, None),
            (&[b"+OK POP3\r\n"], NotTls, None),
            (&[b"* LIST x\r\n"], NotTls, None),
            (&[b"\xff\xfe\r\n"], NotTls, None),
            (&[GREETING, b"p2 OK\r\n"], Malformed, None),
            (&[GREETING, b"+ go on\r\n"], Malformed, None),
            (&[GREETING, OFFERS, b"p1 OK\r\n"], Malformed, Some(Offered)),
            (&[GREETING, OFFERS, b"P2 OK\r\n"], Malformed, Some(Offered)),
            (&[GREETING, OFFERS, b"p2 PREAUTH\r\n"], Malformed, Some(Offered)),
            (&[GREETING, OFFERS, b"p2 OK\0\r\n"], Malformed, Some(Offered)),
            (&[GREETING, OFFERS, b"p2 OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"], Malformed, Some(Offered)),
        ] {
            assert_eq!(ends(Imap::default(), pieces), (Some(Err(outcome)), learnt), "{pieces:?}");
        }
    }

    #[test]
    fn bounds() {
        let line = |length: usize| [b"* OK ".as_slice(), &vec![b'x'; length - 7], b"\r\n"].concat();
        assert_eq!(ends(Imap::default(), &[&line(8192)]).0, None);
        assert_eq!(ends(Imap::default(), &[&line(8193)]), (Some(Err(NotTls)), None));
        let endless = b"* OK more\r\n".repeat(63);
        assert_eq!(ends(Imap::default(), &[GREETING, &endless]).0, None);
        assert_eq!(ends(Imap::default(), &[GREETING, &endless, b"* OK more\r\n"]), (Some(Err(Malformed)), None));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            talk(Imap::default(), &[GREETING, OFFERS, &bytes]);
            talk(Imap::default(), &[&bytes]);
        }
    }
}
