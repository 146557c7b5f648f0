//! SMTP: greeting, EHLO, STARTTLS (RFC 5321 sections 3.1, 3.2 and 4.2, RFC 3207).

use super::lines::{self, LONGEST_REPLY};
use super::machine::{Dialogue, Step, Stop};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Greeting,
    Capabilities,
    GoAhead,
}

/// The client's side.
pub(super) struct Smtp {
    own_name: String,
    waiting: Waiting,
    /// Of the reply at hand: its code, once its first line is there.
    code: Option<u16>,
    offers: bool,
}

impl Smtp {
    pub(super) fn new(own_name: String) -> Self {
        Self { own_name, waiting: Waiting::Greeting, code: None, offers: false }
    }

    /// A whole reply has come.
    fn replied(&mut self, code: u16) -> Result<Step, Stop> {
        match (self.waiting, code) {
            // The service is closing the channel (RFC 5321 section 3.8).
            (_, 421) => Err(Stop::TurnedAway),
            (Waiting::Greeting, 220) => {
                self.waiting = Waiting::Capabilities;
                Ok(Step::Send(format!("EHLO {}\r\n", self.own_name).into_bytes()))
            }
            (Waiting::Capabilities, 250) if self.offers => {
                self.waiting = Waiting::GoAhead;
                Ok(Step::Ask(b"STARTTLS\r\n".to_vec()))
            }
            // Who does not know EHLO has no extensions (RFC 5321 section 3.2).
            (Waiting::Capabilities, 250 | 500 | 502) => Err(Stop::NotOffered),
            (Waiting::Greeting | Waiting::Capabilities, 400..=599) => Err(Stop::TurnedAway),
            (Waiting::GoAhead, 220) => Ok(Step::Go),
            (Waiting::GoAhead, 400..=599) => Err(Stop::Refused),
            _ => Err(Stop::Nonsense),
        }
    }
}

impl Dialogue for Smtp {
    fn length(&self, buffered: &[u8]) -> Result<Option<usize>, Stop> {
        lines::length(buffered, LONGEST_REPLY)
    }

    fn take(&mut self, message: &[u8]) -> Result<Step, Stop> {
        let (code, is_last, text) = reply_line(lines::text(message)?).ok_or(Stop::Nonsense)?;
        match self.code {
            Some(first) if first != code => return Err(Stop::Nonsense),
            // The first line of the answer to EHLO is the server's name and greeting.
            Some(_) => self.offers |= lines::word(text).0.eq_ignore_ascii_case(b"STARTTLS"),
            None => self.offers = false,
        }
        self.code = (!is_last).then_some(code);
        if is_last { self.replied(code) } else { Ok(Step::Read) }
    }
}

/// Code, whether it is the last line of its reply, and its text (RFC 5321 section 4.2.1).
fn reply_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code: u16 =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    let (is_last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return None,
    };
    (200..600).contains(&code).then_some((code, is_last, text))
}

#[cfg(test)]
mod tests {
    use parallax_core::Outcome::{Alert, Malformed, NotTls};
    use parallax_core::Starttls::{NotOffered, Offered, Refused};

    use super::*;
    use crate::starttls::machine::tests::{GO, ends, same_in_any_pieces, talk};

    fn smtp() -> Smtp {
        Smtp::new("[192.0.2.7]".into())
    }

    const GREETING: &[u8] = b"220 mx.example ESMTP\r\n";
    const OFFERS: &[u8] = b"250-mx.example at your service\r\n250-SIZE 35882577\r\n250-starttls\r\n250 8BITMIME\r\n";
    const READY: &[u8] = b"220 2.0.0 Ready to start TLS\r\n";

    /// The exchange of RFC 3207 section 5.
    #[test]
    fn the_way_to_tls() {
        let talk = talk(smtp(), &[GREETING, OFFERS, READY]);
        assert_eq!((talk.end, talk.learnt), (GO, Some(Offered)));
        assert_eq!(talk.said, b"EHLO [192.0.2.7]\r\nSTARTTLS\r\n");
        same_in_any_pieces(smtp, &[GREETING, OFFERS, READY]);
        same_in_any_pieces(smtp, &[b"220-mx.example\r\n220\r\n", b"250-x\n250 STARTTLS\n", b"220\n"]);
    }

    #[test]
    fn each_end_has_its_name() {
        for (pieces, outcome, learnt) in [
            (&[GREETING, b"250-mx\r\n250 8BITMIME\r\n"][..], NotTls, Some(NotOffered)),
            (&[GREETING, b"250 mx.example\r\n"], NotTls, Some(NotOffered)),
            (&[GREETING, b"250 STARTTLS\r\n"], NotTls, Some(NotOffered)), // a server of that name
            (&[GREETING, b"250-mx\r\n250 XXXXXXXA\r\n"], NotTls, Some(NotOffered)), // as middleboxes do
            (&[GREETING, b"502 5.5.2 what is EHLO?\r\n"], NotTls, Some(NotOffered)),
            (&[GREETING, OFFERS, b"454 4.7.0 TLS not available\r\n"], NotTls, Some(Refused)),
            (&[GREETING, OFFERS, b"502-no\r\n502 never\r\n"], NotTls, Some(Refused)),
            (&[GREETING, OFFERS, b"421 bye\r\n"], Alert, Some(Offered)),
            (&[b"554 5.7.1 no mail from dial-up addresses\r\n"], Alert, None),
            (&[b"421 too many connections\r\n"], Alert, None),
            (&[GREETING, b"550 your name?\r\n"], Alert, None),
            (&[b"HTTP/1.1 400 Bad Request\r\n"], NotTls, None),
            (&[b"SSH-2.0-OpenSSH_9.9\r\n"], NotTls, None),
            (&[b"* OK IMAP4rev1\r\n"], NotTls, None),
            (&[b"\0\0\0\n"], NotTls, None),
            (&[b"220 a\0b\r\n"], NotTls, None),
            (&[b"250 too early\r\n"], NotTls, None),
            (&[GREETING, b"250-mx\r\n251 STARTTLS\r\n"], Malformed, None),
            (&[GREETING, b"250_mx\r\n"], Malformed, None),
            (&[GREETING, b"250-mx\r\n250-\0STARTTLS\r\n"], Malformed, None),
            (&[GREETING, b"354 go on\r\n"], Malformed, None),
            (&[GREETING, OFFERS, b"250 OK\r\n"], Malformed, Some(Offered)),
            (&[GREETING, OFFERS, b"220 go\r\n250 AUTH PLAIN\r\n"], Malformed, Some(Offered)),
            (&[GREETING, OFFERS, b"220 go\r\n\x16\x03\x03"], Malformed, Some(Offered)),
        ] {
            assert_eq!(ends(smtp(), pieces), (Some(Err(outcome)), learnt), "{pieces:?}");
        }
    }

    #[test]
    fn bounds() {
        let line = |length: usize| [b"220 ".as_slice(), &vec![b'x'; length - 6], b"\r\n"].concat();
        assert_eq!(ends(smtp(), &[&line(512)]).0, None, "it goes on");
        assert_eq!(ends(smtp(), &[&line(513)]), (Some(Err(NotTls)), None));
        assert_eq!(ends(smtp(), &[GREETING, &line(513)]), (Some(Err(Malformed)), None));
        let endless = b"220-hello\r\n".repeat(64);
        assert_eq!(ends(smtp(), &[&endless]).0, None);
        assert_eq!(ends(smtp(), &[&endless, b"220-hello\r\n"]), (Some(Err(Malformed)), None));
        assert_eq!(ends(smtp(), &[&[b'2'; 511]]).0, None);
        assert_eq!(ends(smtp(), &[&[b'2'; 512]]).0, Some(Err(NotTls)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, cut: proptest::sample::Index) {
            let whole = [GREETING, OFFERS, &bytes].concat();
            let (one, other) = whole.split_at(cut.index(whole.len()));
            talk(smtp(), &[one, other]);
            talk(smtp(), &[&bytes]);
        }
    }
}
