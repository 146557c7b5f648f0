//! LDAP: the StartTLS operation (RFC 4511 sections 4.1.1, 4.12 and 4.14; BER as in its section 5.1).

use super::machine::{Dialogue, Step, Stop};

/// `1.3.6.1.4.1.1466.20037` in an ExtendedRequest (`[APPLICATION 23]`, the name as `[0]`), in the message number 1.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Tags.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
/// `[APPLICATION 24]`.
const EXTENDED_RESPONSE: u8 = 0x78;

/// resultCode `success`.
const SUCCESS: &[u8] = &[0];
/// resultCode `protocolError`: the server does not know the operation (RFC 4511 section 4.12).
const PROTOCOL_ERROR: &[u8] = &[2];

/// The largest answer that is read: a code and some words.
const LARGEST: usize = 4096;

/// The client's side.
pub(super) struct Ldap;

impl Dialogue for Ldap {
    fn opening(&self) -> Vec<u8> {
        START_TLS.to_vec()
    }

    fn length(&self, buffered: &[u8]) -> Result<Option<usize>, Stop> {
        match header(buffered) {
            _ if buffered.first().is_some_and(|tag| *tag != SEQUENCE) => Err(Stop::Nonsense),
            Header::Whole { start, length, .. } if start + length > LARGEST => Err(Stop::Nonsense),
            Header::Whole { start, length, .. } => Ok((buffered.len() >= start + length).then_some(start + length)),
            Header::Short => Ok(None),
            Header::Bad => Err(Stop::Nonsense),
        }
    }

    fn take(&mut self, message: &[u8]) -> Result<Step, Stop> {
        let (_, body, _) = element(message).ok_or(Stop::Nonsense)?;
        let (number, rest) = expect(INTEGER, body).ok_or(Stop::Nonsense)?;
        let (response, _) = expect(EXTENDED_RESPONSE, rest).ok_or(Stop::Broken)?;
        let (code, _) = expect(ENUMERATED, response).ok_or(Stop::Broken)?;
        match (number, code) {
            // An unsolicited notification: the server hangs up (RFC 4511 section 4.4.1).
            ([0], _) => Err(Stop::TurnedAway),
            ([1], SUCCESS) => Ok(Step::Go),
            ([1], PROTOCOL_ERROR) => Err(Stop::NotOffered),
            ([1], [_]) => Err(Stop::Refused),
            _ => Err(Stop::Broken),
        }
    }
}

/// What the first octets of an element say.
enum Header {
    Whole { tag: u8, start: usize, length: usize },
    Short,
    Bad,
}

/// Tag and length, definite as LDAP demands; some servers write every length in five octets.
fn header(bytes: &[u8]) -> Header {
    let (tag, first, rest) = match bytes {
        [tag, first, rest @ ..] => (*tag, *first, rest),
        _ => return Header::Short,
    };
    let octets = match first {
        0..=0x7f => return Header::Whole { tag, start: 2, length: usize::from(first) },
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Header::Bad,
    };
    let Some(octets) = rest.get(..octets) else { return Header::Short };
    let length = octets.iter().fold(0_u32, |length, octet| (length << 8) | u32::from(*octet));
    match usize::try_from(length) {
        Ok(length) if length <= LARGEST => Header::Whole { tag, start: 2 + octets.len(), length },
        _ => Header::Bad,
    }
}

/// The first element: its tag, its contents, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let Header::Whole { tag, start, length } = header(bytes) else { return None };
    let (contents, rest) = bytes.get(start..)?.split_at_checked(length)?;
    Some((tag, contents, rest))
}

fn expect(wanted: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    element(bytes).filter(|(tag, ..)| *tag == wanted).map(|(_, contents, rest)| (contents, rest))
}

#[cfg(test)]
mod tests {
    use parallax_core::Outcome::{Alert, Malformed, NotTls};
    use parallax_core::Starttls::{NotOffered, Offered, Refused};

    use super::*;
    use crate::starttls::machine::tests::{GO, ends, same_in_any_pieces, talk};

    fn element_of(tag: u8, contents: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat()
    }

    fn answer(number: u8, code: u8, words: &str) -> Vec<u8> {
        let result = [element_of(ENUMERATED, &[code]), element_of(4, b""), element_of(4, words.as_bytes())].concat();
        element_of(SEQUENCE, &[element_of(INTEGER, &[number]), element_of(EXTENDED_RESPONSE, &result)].concat())
    }

    /// As Active Directory writes it: every length in five octets.
    const LONG_FORM: &[u8] =
        b"\x30\x84\0\0\0\x28\x02\x01\x01\x78\x84\0\0\0\x1f\x0a\x01\0\x04\0\x04\0\x8a\x161.3.6.1.4.1.1466.20037";

    #[test]
    fn the_way_to_tls() {
        let talk = talk(Ldap, &[&answer(1, 0, "")]);
        assert_eq!((talk.end, talk.learnt), (GO, Some(Offered)));
        assert_eq!(talk.said, START_TLS);
        assert_eq!(START_TLS.len(), 31);
        same_in_any_pieces(|| Ldap, &[&answer(1, 0, "welcome")]);
        assert_eq!(ends(Ldap, &[LONG_FORM]), (GO, Some(Offered)));
        same_in_any_pieces(|| Ldap, &[LONG_FORM]);
    }

    #[test]
    fn each_end_has_its_name() {
        let (after, notice) = ([answer(1, 0, ""), answer(2, 0, "")].concat(), answer(0, 52, "bye"));
        for (bytes, outcome, learnt) in [
            (&answer(1, 2, "unsupported extended operation")[..], NotTls, Some(NotOffered)),
            (&answer(1, 52, "no certificate"), NotTls, Some(Refused)),
            (&answer(1, 1, ""), NotTls, Some(Refused)),
            (&answer(1, 10, "elsewhere"), NotTls, Some(Refused)),
            (&notice, Alert, None),
            (&answer(2, 0, ""), Malformed, None),
            (&element_of(SEQUENCE, &element_of(INTEGER, &[1])), Malformed, None),
            (
                &element_of(SEQUENCE, &[element_of(INTEGER, &[1]), element_of(0x61, &[0x0a, 1, 0])].concat()),
                Malformed,
                None,
            ),
            (&element_of(SEQUENCE, b"\x04\x01x"), NotTls, None),
            (&after, Malformed, Some(Offered)),
            (b"220 mx.example ESMTP\r\n", NotTls, None),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", NotTls, None),
            // Begins as a SEQUENCE of 32 octets does.
            (b"0 OK, and some more words that make up its length\r\n", NotTls, None),
            (b"\x30\x80\0\0", NotTls, None),
            (b"\x30\x85\0\0\0\0\x01x", NotTls, None),
            (b"\x30\x84\xff\xff\xff\xff", NotTls, None),
            (b"\x30\x82\x10\x01", NotTls, None),
            (b"\0\0\0", NotTls, None),
        ] {
            assert_eq!(ends(Ldap, &[bytes]), (Some(Err(outcome)), learnt), "{bytes:x?}");
        }
    }

    #[test]
    fn lengths_that_lie_within() {
        for inner in
            [&b"\x02\x05\x01"[..], b"\x02\x01\x01\x78\x7f\x0a\x01\0", b"\x02\x01\x01\x78\x03\x0a\x05\0", b"\x02\x84"]
        {
            let end = ends(Ldap, &[&element_of(SEQUENCE, inner)]).0;
            assert!(matches!(end, Some(Err(NotTls | Malformed))), "{inner:x?}: {end:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, at: proptest::sample::Index, by: u8) {
            talk(Ldap, &[&bytes]);
            let mut damaged = LONG_FORM.to_vec();
            let place = at.index(damaged.len());
            damaged[place] ^= by;
            talk(Ldap, &[&damaged, &bytes]);
        }
    }
}
