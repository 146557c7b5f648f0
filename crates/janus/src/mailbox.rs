//! A mailbox address in its one spelling.

use std::fmt;
use std::str::FromStr;

use idna::domain_to_unicode;
use parallax_core::DnsName;
use unicode_security::MixedScript as _;

/// The longest address (RFC 5321 section 4.5.3.1.3: a path of 256 octets with its two brackets).
const LONGEST: usize = 254;

/// The longest local part (RFC 5321 section 4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;

/// A mailbox: `local@domain`, an addr-spec (RFC 5322 section 3.4.1) without quotes, comments and white space, in ASCII.
///
/// The local part is what its server says it is, so it is kept byte by byte; the domain is lower-case A-labels, at least
/// two of them. What was parsed is printed as it was: there is one spelling.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    text: Box<str>,
    at: usize,
}

/// Why a text is no mailbox here, and what would be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMailbox {
    /// Nothing.
    #[error("no address was given; write one such as ann@example.com")]
    Empty,
    /// Too long.
    #[error("the address has {0} octets; 254 are the most (RFC 5321)")]
    TooLong(usize),
    /// A line break, NUL or another control character: it would end up in the header of a mail.
    #[error("the address has a control character ({}); write one such as ann@example.com", .0.escape_unicode())]
    Control(char),
    /// White space.
    #[error("the address has white space; write one such as ann@example.com")]
    Space,
    /// Beyond ASCII.
    #[error("the address has the character \"{}\"; only ASCII is taken, a domain as its A-labels (xn--)", .0.escape_unicode())]
    NotAscii(char),
    /// No at sign.
    #[error("the address has no @; write one such as ann@example.com")]
    NoAt,
    /// More than one.
    #[error("the address has more than one @; write a single one, such as ann@example.com")]
    ManyAts,
    /// A quoted local part.
    #[error("the address has quotes or a backslash; quoted local parts are not taken")]
    Quoted,
    /// A comment.
    #[error("the address has parentheses; comments are not taken")]
    Comment,
    /// A name before the address, a list, or a group.
    #[error("the address has \"{0}\"; write the bare address alone, without a name, brackets or a second one")]
    NotBare(char),
    /// Nothing before or behind the at sign.
    #[error("the address has nothing {0} its @; write one such as ann@example.com")]
    HalfMissing(&'static str),
    /// Too long before the at sign.
    #[error("the local part has {0} octets; 64 are the most (RFC 5321)")]
    LocalTooLong(usize),
    /// Dots at the wrong place.
    #[error("the local part begins or ends with a dot, or has two in a row")]
    LocalDots,
    /// The domain is an address.
    #[error("the domain is an IP address; a mailbox is at a domain name, such as ann@example.com")]
    AddressLiteral,
    /// The domain has capitals.
    #[error("the domain has capital letters; write it in lower case: {0}")]
    DomainCase(String),
    /// The domain ends in a dot.
    #[error("the domain ends with a dot; write it without")]
    DomainDot,
    /// The domain is a single label.
    #[error("the domain has a single label; write a full domain, such as example.com")]
    SingleLabel,
    /// An underscore.
    #[error("the domain has an underscore; domains of mail have letters, digits and hyphens")]
    Underscore,
    /// Letters of more than one script in one label.
    #[error("a label of the domain mixes scripts ({0}); it could be mistaken for another domain")]
    MixedScripts(String),
    /// Anything else that a domain can't be.
    #[error("the domain is no domain: {0}")]
    Domain(String),
}

impl Mailbox {
    /// What stands before the at sign.
    pub fn local(&self) -> &str {
        self.text.split_at(self.at).0
    }

    /// The domain, lower-case A-labels.
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What a person typed: white space around it is dropped, and the domain is folded into its one spelling.
    pub fn from_typed(text: &str) -> Result<Self, BadMailbox> {
        let text = text.trim();
        // What stands beside a bare address is named as that, not as a strange domain.
        text.chars().filter(char::is_ascii).try_for_each(check_character)?;
        match text.rsplit_once('@') {
            Some((local, domain)) if !domain.is_empty() && !domain.starts_with('[') => {
                let domain: DnsName = domain.parse().map_err(|error| domain_error(domain, &error))?;
                format!("{local}@{domain}").parse()
            }
            _ => text.parse(),
        }
    }

    /// What limits count by: whoever wants to flood a mailbox would otherwise write it in a thousand ways. Most servers
    /// ignore case, and what follows a plus sign.
    pub(crate) fn folded(&self) -> String {
        let local = self.local().split('+').next().unwrap_or_default();
        format!("{}@{}", local.to_ascii_lowercase(), self.domain())
    }
}

impl FromStr for Mailbox {
    type Err = BadMailbox;

    /// The strict spelling alone; nothing is folded.
    fn from_str(text: &str) -> Result<Self, BadMailbox> {
        if text.is_empty() {
            return Err(BadMailbox::Empty);
        }
        if text.len() > LONGEST {
            return Err(BadMailbox::TooLong(text.len()));
        }
        text.chars().try_for_each(check_character)?;
        let (local, domain) = text.split_once('@').ok_or(BadMailbox::NoAt)?;
        check_local(local)?;
        check_domain(domain)?;
        Ok(Self { text: text.into(), at: local.len() })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.text)
    }
}

impl serde::Serialize for Mailbox {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Mailbox {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What is wrong anywhere in an address. The rest are the characters of an atom (RFC 5322 section 3.2.3), dots and the
/// at sign.
fn check_character(character: char) -> Result<(), BadMailbox> {
    match character {
        ' ' => Err(BadMailbox::Space),
        c if c.is_control() => Err(BadMailbox::Control(c)),
        c if !c.is_ascii() => Err(BadMailbox::NotAscii(c)),
        '"' | '\\' => Err(BadMailbox::Quoted),
        '(' | ')' => Err(BadMailbox::Comment),
        c @ ('<' | '>' | ',' | ';' | ':') => Err(BadMailbox::NotBare(c)),
        _ => Ok(()),
    }
}

fn check_local(local: &str) -> Result<(), BadMailbox> {
    if local.is_empty() {
        return Err(BadMailbox::HalfMissing("before"));
    }
    if local.len() > LONGEST_LOCAL {
        return Err(BadMailbox::LocalTooLong(local.len()));
    }
    if let Some(bracket) = local.chars().find(|c| matches!(c, '[' | ']')) {
        return Err(BadMailbox::NotBare(bracket));
    }
    if local.split('.').any(str::is_empty) {
        return Err(BadMailbox::LocalDots);
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<(), BadMailbox> {
    match domain {
        "" => return Err(BadMailbox::HalfMissing("behind")),
        _ if domain.contains('@') => return Err(BadMailbox::ManyAts),
        _ if domain.starts_with('[') => return Err(BadMailbox::AddressLiteral),
        _ if domain.ends_with('.') => return Err(BadMailbox::DomainDot),
        _ if domain.contains('_') => return Err(BadMailbox::Underscore),
        _ => {}
    }
    let name: DnsName = domain.parse().map_err(|error| domain_error(domain, &error))?;
    if domain.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(BadMailbox::DomainCase(name.to_string()));
    }
    if name.as_str() != domain {
        return Err(BadMailbox::Domain(format!("it is spelt {name}")));
    }
    if !domain.contains('.') {
        return Err(BadMailbox::SingleLabel);
    }
    domain.split('.').try_for_each(check_scripts)
}

fn domain_error(domain: &str, error: &parallax_core::BadDnsName) -> BadMailbox {
    match error {
        parallax_core::BadDnsName::Address(_) => BadMailbox::AddressLiteral,
        _ if domain.contains('@') => BadMailbox::ManyAts,
        error => BadMailbox::Domain(error.to_string()),
    }
}

/// UTS 39 section 5.1: the letters of one label are of one script, or of those that one language writes together.
fn check_scripts(label: &str) -> Result<(), BadMailbox> {
    let (shown, read) = domain_to_unicode(label);
    if read.is_err() {
        return Err(BadMailbox::Domain(format!("{label} is no A-label")));
    }
    if !shown.as_str().is_single_script() {
        return Err(BadMailbox::MixedScripts(shown.escape_default().to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_taken_is_kept_byte_by_byte() {
        for text in [
            "ann@example.com",
            "Ann.O'Neil+tag@example.com",
            "a@b.c",
            "!#$%&'*+-/=?^_`{|}~@example.com",
            "x@xn--bcher-kva.example",
            // Japanese writes three scripts together.
            "x@xn--eckwd4c7cu47r2wf.jp",
            "1@1.example",
            &format!("{}@example.com", "a".repeat(64)),
        ] {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!(mailbox.as_str(), text);
            assert_eq!(format!("{}@{}", mailbox.local(), mailbox.domain()), text);
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        let long = format!("{}@{}.example", "a".repeat(64), "b.".repeat(95) + "b");
        for (text, part) in [
            ("", "no address"),
            ("ann", "no @"),
            ("@example.com", "nothing before"),
            ("ann@", "nothing behind"),
            ("ann@b@example.com", "more than one @"),
            ("ann@example.com\r\nBcc: x@y.example", "control character"),
            ("ann\0@example.com", "control character"),
            ("ann\u{7f}@example.com", "control character"),
            ("ann@example.com\n", "control character"),
            ("ann\t@example.com", "control character"),
            ("an n@example.com", "white space"),
            (" ann@example.com", "white space"),
            ("ann@example.com ", "white space"),
            ("änn@example.com", "only ASCII"),
            ("ann@bücher.example", "only ASCII"),
            ("ann\u{202e}@example.com", "only ASCII"),
            ("аnn@example.com", "only ASCII"),
            ("\"ann\"@example.com", "quote"),
            ("\"a\\\"b\"@example.com", "quote"),
            ("a\\@b@example.com", "quote"),
            ("ann(work)@example.com", "comments"),
            ("ann@(here)example.com", "comments"),
            ("<ann@example.com>", "bare address"),
            ("Ann<ann@example.com>", "bare address"),
            ("ann@example.com,bob@example.com", "bare address"),
            ("friends:ann@example.com;", "bare address"),
            ("a[b]@example.com", "bare address"),
            (".ann@example.com", "dot"),
            ("ann.@example.com", "dot"),
            ("a..b@example.com", "dot"),
            (&format!("{}@example.com", "a".repeat(65)), "64 are the most"),
            (&long, "254 are the most"),
            ("ann@[192.0.2.7]", "IP address"),
            ("ann@192.0.2.7", "IP address"),
            ("ann@0x7f.1", "IP address"),
            ("ann@EXAMPLE.com", "lower case: example.com"),
            ("ann@example.com.", "ends with a dot"),
            ("ann@localhost", "single label"),
            ("ann@a_b.example", "underscore"),
            ("ann@-a.example", "no domain"),
            ("ann@a..example", "no domain"),
            ("ann@example!.com", "no domain"),
            ("ann@example.com/x", "no domain"),
            ("ann@%65xample.com", "no domain"),
            ("ann@xn--.example", "no domain"),
            ("ann@xn--zzzzzzzz99999999.example", "no domain"),
            // "аpple" with a Cyrillic а.
            ("ann@xn--pple-43d.com", "mixes scripts"),
        ] {
            let error = text.parse::<Mailbox>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains(char::is_control) && error.is_ascii(), "{error}");
        }
    }

    #[test]
    fn what_people_type_is_folded() {
        for (typed, wanted) in [
            (" ann@Example.COM ", "ann@example.com"),
            ("Ann@bücher.example", "Ann@xn--bcher-kva.example"),
            ("ann@example.com.", "ann@example.com"),
        ] {
            assert_eq!(Mailbox::from_typed(typed).unwrap().as_str(), wanted);
        }
        assert_eq!(Mailbox::from_typed("Ann <ann@example.com>"), Err(BadMailbox::Space));
        assert_eq!(Mailbox::from_typed("<ann@example.com>"), Err(BadMailbox::NotBare('<')));
        for typed in ["", "ann", "ann@", "@b.example", "ann @b.example", "a@b@c.example", "ann@[::1]", "ann@127.1"] {
            assert!(Mailbox::from_typed(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn many_spellings_of_one_mailbox_share_a_limit() {
        let folded = |text: &str| text.parse::<Mailbox>().unwrap().folded();
        assert_eq!(folded("Ann+1@example.com"), folded("ann+x+y@example.com"));
        assert_ne!(folded("ann@example.com"), folded("bob@example.com"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_taken_can_end_a_header(text in "\\PC{0,40}", cut in "[\\r\\n\\x00 <>,\"()]", at in 0_usize..40) {
            let mut dirty: Vec<char> = text.chars().collect();
            dirty.insert(at.min(dirty.len()), cut.chars().next().unwrap());
            prop_assert!(dirty.iter().collect::<String>().parse::<Mailbox>().is_err());
            if let Ok(mailbox) = text.parse::<Mailbox>() {
                prop_assert_eq!(mailbox.as_str(), text.as_str());
                prop_assert!(text.is_ascii() && text.matches('@').count() == 1);
            }
        }
    }
}
