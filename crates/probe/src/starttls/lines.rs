//! Protocols that speak in lines.

use super::machine::Stop;

/// The longest reply line of SMTP, with its end (RFC 5321 section 4.5.3.1.5); that of POP3 is as long (RFC 1939 section 3).
pub(super) const LONGEST_REPLY: usize = 512;

/// The length of the first line with its end; `None` while that is not there. What can't become a line of text is told
/// from one as soon as it comes.
pub(super) fn length(buffered: &[u8], longest: usize) -> Result<Option<usize>, Stop> {
    match buffered.iter().position(|byte| *byte == b'\n') {
        Some(end) if end < longest => Ok(Some(end + 1)),
        None if buffered.len() < longest => text(buffered).map(|_| None),
        _ => Err(Stop::Nonsense),
    }
}

/// A line without its end. Control characters are in none: two programs would not read such a line alike. Letters beyond
/// ASCII are passed over, as no keyword has any.
pub(super) fn text(line: &[u8]) -> Result<&[u8], Stop> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') { Err(Stop::Nonsense) } else { Ok(line) }
}

/// The first word, and what follows it.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (word, rest.strip_prefix(b" ").unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_time_or_not_at_all() {
        assert_eq!(length(b"", 8), Ok(None));
        assert_eq!(length(b"220 a\r\nmore", 8), Ok(Some(7)));
        assert_eq!(length(b"220 ab\r\n", 8), Ok(Some(8)));
        assert_eq!(length(b"220 abc\r\n", 8), Err(Stop::Nonsense));
        assert_eq!(length(b"220 abc", 8), Ok(None));
        assert_eq!(length(b"220 abcd", 8), Err(Stop::Nonsense));
        assert_eq!(length(b"220 a\r", 8), Ok(None));
        assert_eq!(length(b"\x15\x03", 8), Err(Stop::Nonsense));
    }

    #[test]
    fn ends_and_control_characters() {
        assert_eq!(text(b"220 a\r\n"), Ok(&b"220 a"[..]));
        assert_eq!(text(b"220 a\n"), Ok(&b"220 a"[..]));
        assert_eq!(text("220 gr\u{fc}\u{df} gott\t\r\n".as_bytes()), Ok("220 gr\u{fc}\u{df} gott\t".as_bytes()));
        for bad in [&b"220\0a\r\n"[..], b"220 a\r\r\n", b"220 \x1b[2J\r\n", b"220 a\x7f\r\n"] {
            assert_eq!(text(bad), Err(Stop::Nonsense), "{bad:?}");
        }
    }

    #[test]
    fn words() {
        assert_eq!(word(b"STARTTLS"), (&b"STARTTLS"[..], &b""[..]));
        assert_eq!(word(b"SIZE 100 x"), (&b"SIZE"[..], &b"100 x"[..]));
        assert_eq!(word(b""), (&b""[..], &b""[..]));
        assert_eq!(word(b" x"), (&b""[..], &b"x"[..]));
    }
}
