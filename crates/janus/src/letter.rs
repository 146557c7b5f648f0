//! What the mails say: in plain text that stands alone, and the same in HTML.
//!
//! Only the address, the times and the network of whoever asked vary, besides the secrets: nothing that a stranger wrote
//! stands in a mail. Lines have at most 76 characters, links aside, and all is ASCII.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_core::Timestamp;

use crate::mailbox::Mailbox;
use crate::network::SmallNetwork;
use crate::order::Confirmation;

/// Where the local helper takes a certificate in a link, as LEP 008 has it.
const IMPORT_LINK: &str = "http://localhost:15342/AddCert/";

/// A mail before it is packed: its recipient, its subject, and its content in two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// To whom, and to nobody else.
    pub to: Mailbox,
    /// One line.
    pub subject: String,
    /// Plain text; lines end with a line feed.
    pub text: String,
    /// The same in HTML, without scripts, pictures or anything that is fetched.
    pub html: String,
    /// The certificate.
    pub attachment: Option<Attachment>,
}

/// A file that comes with a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: &'static str,
    /// Its media type (RFC 8555 section 9.1).
    pub media_type: &'static str,
    /// PEM, the client's certificate first.
    pub content: String,
}

/// Who asked for an order, as far as the recipient is told.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// When.
    pub at: Timestamp,
    /// From which network.
    pub network: SmallNetwork,
    /// The node that was asked, as its users know it.
    pub janus: &'a str,
}

impl Letter {
    /// The first mail: confirm that the mailbox is yours.
    pub fn confirmation(confirmation: &Confirmation, asker: &Asker<'_>, expires_at: Timestamp) -> Self {
        let Confirmation { mailbox, link, code, phrase } = confirmation;
        let parts = [
            Part::Text(format!("Somebody asked for a Parallax certificate for {mailbox}.")),
            Part::Text(asked(asker)),
            Part::Text(
                "If that was you, compare this phrase with the one that your program shows. Go on only if they are the same:"
                    .into(),
            ),
            Part::Shown(phrase.clone()),
            Part::Text("Then open this link on the machine that asked, and press the button:".into()),
            Part::Link(link.clone()),
            Part::Text("Or type this code there (parallax id confirm CODE):".into()),
            Part::Shown(code.to_string()),
            Part::Text(format!("Both work until {}, once.", moment(expires_at))),
            Part::Text(
                "Give the code and the link to nobody: whoever has them, and got you to confirm, acts under your address. \
                 If you did not ask, do nothing; no certificate is made."
                    .into(),
            ),
        ];
        Self::of(mailbox, "Confirm your address for Parallax", &parts, None)
    }

    /// The second mail, and the only one of the classic flow: the certificate, attached and as a link. `chain` is DER, the
    /// client's certificate first.
    pub fn certificate(mailbox: &Mailbox, chain: &[Vec<u8>], not_after: Timestamp) -> Self {
        let pem = pem_of(chain);
        let link = chain.first().map(|leaf| format!("{IMPORT_LINK}{}", in_a_path(&pem_of([leaf])))).unwrap_or_default();
        let parts = [
            Part::Text(format!("Here is the Parallax certificate for {mailbox}, valid until {}.", moment(not_after))),
            Part::Text(
                "A program that was running has it already. If yours was not, open this link on its machine:".into(),
            ),
            Part::Link(link),
            Part::Text("Or save the attached file and import it (parallax id import parallax-certificate.pem).".into()),
            Part::Text("The certificate is no secret: without the key on your machine nobody can use it.".into()),
        ];
        let attachment = Attachment {
            name: "parallax-certificate.pem",
            media_type: "application/pem-certificate-chain",
            content: pem,
        };
        Self::of(mailbox, "Your Parallax certificate", &parts, Some(attachment))
    }

    fn of(to: &Mailbox, subject: &str, parts: &[Part], attachment: Option<Attachment>) -> Self {
        let text: Vec<String> = parts.iter().map(Part::text).collect();
        let html: String = parts.iter().map(Part::html).collect();
        let head = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{subject}</title></head><body>\n"
        );
        Self {
            to: to.clone(),
            subject: subject.into(),
            text: text.join("\n"),
            html: format!("{head}{html}</body></html>\n"),
            attachment,
        }
    }
}

enum Part {
    Text(String),
    /// To be compared or typed.
    Shown(String),
    Link(String),
}

impl Part {
    fn text(&self) -> String {
        match self {
            Part::Text(text) => wrapped(text),
            Part::Shown(text) => format!("    {text}\n"),
            // On a line of its own, whole and without indent: text clients find its end there.
            Part::Link(link) => format!("{link}\n"),
        }
    }

    fn html(&self) -> String {
        match self {
            Part::Text(text) => format!("<p>{}</p>\n", escaped(text)),
            Part::Shown(text) => format!("<p><strong><code>{}</code></strong></p>\n", escaped(text)),
            Part::Link(link) => {
                let link = escaped(link);
                let shown: String = link.chars().take(60).collect();
                let more = if shown.len() < link.len() { "..." } else { "" };
                format!("<p><a href=\"{link}\">{shown}{more}</a></p>\n")
            }
        }
    }
}

fn asked(asker: &Asker<'_>) -> String {
    let Asker { at, network, janus } = asker;
    format!("It was asked at {} from the network {network}, of the server {janus}.", moment(*at))
}

/// To the minute; whoever reads a mail wants no milliseconds.
fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    let minute: String = time.chars().take(5).collect();
    format!("{date} {minute} UTC")
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= 76 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Certificates in PEM (RFC 7468), one behind the other.
pub fn pem_of<C: AsRef<[u8]>>(chain: impl IntoIterator<Item = C>) -> String {
    let mut out = String::new();
    for der in chain {
        out.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(der).as_bytes().chunks(64) {
            out.extend(line.iter().map(|byte| char::from(*byte)));
            out.push('\n');
        }
        out.push_str("-----END CERTIFICATE-----\n");
    }
    out
}

/// Percent-encoded where RFC 3986 does not allow it in a segment of a path.
fn in_a_path(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Code;

    fn confirmation(address: &str) -> Letter {
        let confirmation = Confirmation {
            mailbox: address.parse().unwrap(),
            link: "http://localhost:15342/AddCert#AAECAwQFBgcICQoLDA0ODw.AAECAwQFBgcICQoLDA0ODw".into(),
            code: Code::from_typed("ABCD2345").unwrap(),
            phrase: "lusab-babad".into(),
        };
        let at: Timestamp = "2026-11-25T18:00:07.250Z".parse().unwrap();
        let network = SmallNetwork::of("192.0.2.7".parse().unwrap());
        let asker = Asker { at, network, janus: "https://janus.example:8443" };
        Letter::confirmation(&confirmation, &asker, "2026-11-25T19:00:07Z".parse().unwrap())
    }

    #[test]
    fn the_first_mail_reads_well_as_plain_text() {
        let letter = confirmation("ann@example.com");
        assert_eq!(
            letter.text,
            "\
Somebody asked for a Parallax certificate for ann@example.com.

It was asked at 2026-11-25 18:00 UTC from the network 192.0.2.0/24, of the
server https://janus.example:8443.

If that was you, compare this phrase with the one that your program shows.
Go on only if they are the same:

    lusab-babad

Then open this link on the machine that asked, and press the button:

http://localhost:15342/AddCert#AAECAwQFBgcICQoLDA0ODw.AAECAwQFBgcICQoLDA0ODw

Or type this code there (parallax id confirm CODE):

    ABCD2345

Both work until 2026-11-25 19:00 UTC, once.

Give the code and the link to nobody: whoever has them, and got you to
confirm, acts under your address. If you did not ask, do nothing; no
certificate is made.
"
        );
        assert_eq!(letter.subject, "Confirm your address for Parallax");
    }

    #[test]
    fn the_second_mail_carries_the_certificate_twice() {
        let chain = [vec![0xfb; 700], vec![1; 600]];
        let mailbox = "ann@example.com".parse().unwrap();
        let letter = Letter::certificate(&mailbox, &chain, "2026-12-02T18:00:00Z".parse().unwrap());
        let attached = letter.attachment.unwrap();
        let certificates: Vec<Vec<u8>> = attached
            .content
            .split("-----END CERTIFICATE-----\n")
            .filter(|one| !one.is_empty())
            .map(|one| {
                let body: String = one.lines().skip(1).collect();
                STANDARD.decode(body).unwrap()
            })
            .collect();
        assert_eq!(certificates, chain);
        assert!(attached.content.lines().all(|line| line.len() <= 64));
        let link = letter.text.lines().find(|line| line.starts_with(IMPORT_LINK)).unwrap();
        assert!(link.starts_with("http://localhost:15342/AddCert/-----BEGIN%20CERTIFICATE-----%0A%2B%2Fv7"), "{link}");
        assert!(!link.contains(char::is_whitespace) && link.ends_with("-----END%20CERTIFICATE-----%0A"));
        assert!(letter.html.contains(&format!("href=\"{link}\"")));
    }

    #[test]
    fn whatever_the_address_holds_a_mail_stays_what_it_is() {
        for address in ["a&b'=`{|}~!#$%*+-/?^_@example.com", &format!("{}@example.com", "a".repeat(64)), "%0d%0abcc:x"]
        {
            let Ok(_) = address.parse::<Mailbox>() else { continue };
            let letter = confirmation(address);
            assert!(letter.text.is_ascii() && letter.html.is_ascii());
            assert!(letter.text.lines().filter(|line| !line.starts_with("http")).all(|line| line.len() <= 78));
            assert!(!letter.text.contains('\r') && !letter.subject.contains(char::is_control));
            assert!(!letter.html.contains("b'=") && !letter.html.contains("a&b"), "{}", letter.html);
            for fetched in ["src=", "<script", "<img", "url("] {
                assert!(!letter.html.contains(fetched));
            }
        }
    }
}
