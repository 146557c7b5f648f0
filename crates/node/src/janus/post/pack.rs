//! A letter as a mail: MIME by lettre's typed builder, so that no text of a stranger becomes a header.

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox as Named, MultiPart, SinglePart};
use lettre::{Address, Message};
use parallax_core::Timestamp;
use parallax_janus::{Letter, Mailbox, Token};
use parallax_probe::SystemRandom;

/// A mail as it goes out.
pub(super) struct Mail {
    pub(super) from: Address,
    pub(super) to: Address,
    /// RFC 5322; lines end with CR LF.
    pub(super) bytes: Vec<u8>,
}

/// Packs letters.
pub(super) struct Packer {
    from: Address,
}

/// RFC 3834 section 5: nobody's holiday is to answer.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

impl Packer {
    /// Mails are from this address.
    pub(super) fn new(from: &str) -> Result<Self, String> {
        let from: Mailbox = from.parse().map_err(|why: parallax_janus::BadMailbox| why.to_string())?;
        Ok(Self { from: address(&from)? })
    }

    /// The domain that mails are from.
    pub(super) fn domain(&self) -> &str {
        self.from.domain()
    }

    /// A letter of this moment.
    pub(super) fn pack(&self, letter: &Letter, at: Timestamp) -> Result<Mail, String> {
        let to = address(&letter.to)?;
        let id = Token::draw(&mut SystemRandom::default());
        let builder = Message::builder()
            .from(Named::new(Some("Parallax".into()), self.from.clone()))
            .to(Named::new(None, to.clone()))
            .subject(letter.subject.as_str())
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.unix_secs()).unwrap_or_default()))
            .message_id(Some(format!("<{id}@{}>", self.from.domain())))
            .header(AutoSubmitted);
        let message = builder.multipart(parts(letter)?).map_err(|error| error.to_string())?;
        Ok(Mail { from: self.from.clone(), to, bytes: message.formatted() })
    }
}

fn parts(letter: &Letter) -> Result<MultiPart, String> {
    let text = MultiPart::alternative().singlepart(SinglePart::plain(letter.text.clone()));
    let text = text.singlepart(SinglePart::html(letter.html.clone()));
    let Some(attachment) = &letter.attachment else { return Ok(text) };
    let kind = ContentType::parse(attachment.media_type).map_err(|error| error.to_string())?;
    let attached = Attachment::new(attachment.name.into()).body(attachment.content.clone(), kind);
    Ok(MultiPart::mixed().multipart(text).singlepart(attached))
}

/// What lettre does not take as an address is not mailed to: two readers are stricter than one.
fn address(mailbox: &Mailbox) -> Result<Address, String> {
    Address::new(mailbox.local(), mailbox.domain()).map_err(|error| format!("the address is not one for mail: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(to: &str) -> Letter {
        let (subject, text) = ("Confirm".to_owned(), "Hello.\n\nhttp://localhost:15342/AddCert#a.b\n".to_owned());
        Letter { to: to.parse().unwrap(), subject, text, html: "<p>Hello.</p>\n".into(), attachment: None }
    }

    #[test]
    fn a_mail_has_one_recipient_and_the_headers_it_should() {
        let packer = Packer::new("janus@example.org").unwrap();
        let mail = packer.pack(&letter("ann+x@example.com"), Timestamp::from_unix_secs(1_793_541_600)).unwrap();
        let text = String::from_utf8(mail.bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = head.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
        for name in ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"] {
            assert_eq!(names.iter().filter(|found| **found == name).count(), 1, "{name} in {head}");
        }
        assert!(head.contains("To: ann+x@example.com") && head.contains("multipart/alternative"), "{head}");
        assert!(body.contains("\r\nhttp://localhost:15342/AddCert#a.b\r\n"), "{body}");
    }

    #[test]
    fn whoever_writes_an_odd_address_gets_a_mail_or_none_but_no_header() {
        let packer = Packer::new("janus@example.org").unwrap();
        let odd = ["a&b'=`{|}~!#$%*+-/?^_@example.com", "%0d%0abcc@example.com", "=?utf-8?q?x?=@example.com"];
        for to in odd {
            let Ok(mail) = packer.pack(&letter(to), Timestamp::default()) else { continue };
            let text = String::from_utf8(mail.bytes).unwrap();
            let head = text.split("\r\n\r\n").next().unwrap();
            assert_eq!(head.matches("\r\nTo: ").count() + usize::from(head.starts_with("To: ")), 1, "{head}");
            assert!(!head.to_ascii_lowercase().contains("\nbcc"), "{head}");
        }
    }
}
