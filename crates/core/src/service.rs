//! What is looked at: scheme, host and port, in one canonical spelling.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::scheme::Scheme;

/// A host: a DNS name in A-labels (lower case, no trailing dot) or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name of at most 253 octets, labels of at most 63 (RFC 1035 section 2.3.4), letters, digits, hyphens and
    /// underscores.
    Name(String),
    /// An address; an IPv4-mapped IPv6 address is the IPv4 address it holds.
    Address(IpAddr),
}

impl Host {
    /// The DNS name, if it is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::Address(address) => Some(*address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(f),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A service. Two spellings of one service parse to the same value, and [`fmt::Display`] writes the canonical one:
/// `tls://example.com:443`.
///
/// ```
/// # use parallax_core::ServiceId;
/// let service: ServiceId = "https://BÜCHER.example./login".parse()?;
/// assert_eq!(service.to_string(), "tls://xn--bcher-kva.example:443");
/// # Ok::<(), parallax_core::BadService>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// Why a text names no service, and what would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadService {
    /// Nothing was given.
    #[error("no service was named; write a host such as example.com, or example.com:8443")]
    Empty,
    /// A scheme that nothing here looks at.
    #[error(
        "\"{0}://\" is not a scheme that can be looked at; use tls://, https://, ssh://, smtp://, submission://, imap://, pop3://, ldap:// or postgres://, or leave it out"
    )]
    Scheme(String),
    /// A legacy service type other than 1 (SSH) and 2 (TLS), or one that contradicts the scheme.
    #[error("service type \"{0}\" can't be looked at; the old spelling host:port,2 names TLS, host:port,1 SSH")]
    Type(String),
    /// The port is not 1 to 65535.
    #[error("\"{0}\" is not a port; ports are 1 to 65535")]
    Port(String),
    /// The name is longer than DNS can carry.
    #[error("the host name has {0} octets; DNS names have at most 253 (RFC 1035)")]
    TooLong(usize),
    /// The name is no host name.
    #[error("\"{0}\" is not a host name; {1}")]
    Name(String, &'static str),
    /// Brackets without an IPv6 address.
    #[error("\"{0}\" is not an IPv6 address; write one in brackets, such as [2001:db8::1]:443")]
    Ipv6(String),
    /// Something that looks like an address, but is not four decimal numbers.
    #[error("\"{0}\" looks like an IPv4 address in an unusual spelling; write four decimal numbers, such as 192.0.2.7")]
    Ipv4(String),
    /// Characters that belong to no service name.
    #[error("a service has no user name, query or white space: \"{0}\"; write a host such as example.com")]
    Extra(String),
}

/// The longest text that is looked at at all: a URL may have a path, which is ignored.
const LONGEST_INPUT: usize = 2048;

impl ServiceId {
    /// A service from its parts. The host is parsed as in [`ServiceId::from_str`].
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Result<Self, BadService> {
        if port == 0 {
            return Err(BadService::Port("0".into()));
        }
        Ok(Self { scheme, host: parse_host(host)?, port })
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

impl FromStr for ServiceId {
    type Err = BadService;

    /// Accepts `host`, `host:port`, `https://host[:port]/…`, `tls://host[:port]` and so on for each [`Scheme`], `[v6]`,
    /// `[v6]:port`, a bare IPv6 address, the spellings `imaps://`, `pop3s://`, `submissions://` and `ldaps://` for TLS at
    /// their ports, and the Perspectives spellings `host:port,2` and, for SSH, `host:port,1`.
    fn from_str(text: &str) -> Result<Self, BadService> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadService::Empty);
        }
        if text.len() > LONGEST_INPUT {
            return Err(BadService::TooLong(text.len()));
        }
        let (named, rest) = match text.split_once("://") {
            Some((scheme, rest)) => {
                (Some(parse_scheme(scheme)?), rest.split(['/', '?', '#']).next().unwrap_or_default())
            }
            None => (None, text.strip_suffix('/').unwrap_or(text)),
        };
        if rest.contains(['@', '/', '?', '#', '\\', '%']) || rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(BadService::Extra(shown(text)));
        }
        let of = |scheme: Scheme| named.unwrap_or((scheme, scheme.default_port()));
        let (rest, (scheme, usual_port)) = match (rest.rsplit_once(','), named) {
            (Some((rest, "2")), None | Some((Scheme::Tls, _))) => (rest, of(Scheme::Tls)),
            (Some((rest, "1")), None | Some((Scheme::Ssh, _))) => (rest, of(Scheme::Ssh)),
            (Some((_, kind)), _) => return Err(BadService::Type(shown(kind))),
            (None, _) => (rest, of(Scheme::Tls)),
        };
        let (host, port) = split_port(rest)?;
        let port = port.map_or(Ok(usual_port), parse_port)?;
        Self::new(scheme, host, port)
    }
}

serde_as_text!(ServiceId);

/// Enough of a stranger's text for a message, without what could harm a terminal.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

/// The scheme, and the port that this spelling of it stands for.
fn parse_scheme(text: &str) -> Result<(Scheme, u16), BadService> {
    Scheme::parse(text).ok_or_else(|| BadService::Scheme(shown(text)))
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), BadService> {
    if text.starts_with('[') {
        let (host, rest) = text.split_once(']').ok_or_else(|| BadService::Ipv6(shown(text)))?;
        let port = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(':').ok_or_else(|| BadService::Ipv6(shown(text)))?),
        };
        // The opening bracket stays: it tells an address that must be IPv6 from a name.
        return Ok((host, port));
    }
    // More than one colon without brackets can only be a bare IPv6 address.
    if text.matches(':').count() > 1 {
        return Ok((text, None));
    }
    Ok(text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))))
}

fn parse_port(text: &str) -> Result<u16, BadService> {
    let bad = || BadService::Port(shown(text));
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    text.parse().ok().filter(|port| *port != 0).ok_or_else(bad)
}

pub(crate) fn parse_host(text: &str) -> Result<Host, BadService> {
    if text.is_empty() {
        return Err(BadService::Empty);
    }
    if text.starts_with('[') || text.contains(':') {
        let inner = text.strip_prefix('[').unwrap_or(text);
        let inner = inner.strip_suffix(']').unwrap_or(inner);
        let address: Ipv6Addr = inner.parse().map_err(|_| BadService::Ipv6(shown(inner)))?;
        return Ok(Host::Address(IpAddr::V6(address).to_canonical()));
    }
    // 253 octets of A-labels are never more than this in UTF-8; longer input is not worth the mapping.
    if text.len() > 253 * 4 {
        return Err(BadService::TooLong(text.len()));
    }
    let ascii = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| BadService::Name(shown(text), "its labels are not valid under IDNA (UTS 46)"))?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii).to_ascii_lowercase();
    if let Some(address) = parse_ipv4(&name)? {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    check_name(&name, text)?;
    Ok(Host::Name(name))
}

/// A name whose last label is numeric is an address or nothing (WHATWG URL, "ends in a number"): `0x7f.1`, `127.1` and
/// `2130706433` reach the same machine in some programs and another or none in others.
fn parse_ipv4(name: &str) -> Result<Option<Ipv4Addr>, BadService> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !hex && (last.is_empty() || !last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Ok(None);
    }
    name.parse().map(Some).map_err(|_| BadService::Ipv4(shown(name)))
}

fn check_name(name: &str, given: &str) -> Result<(), BadService> {
    let bad = |why| Err(BadService::Name(shown(given), why));
    if name.len() > 253 {
        return Err(BadService::TooLong(name.len()));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return bad("it has an empty label");
        }
        if label.len() > 63 {
            return bad("a label has at most 63 octets (RFC 1035)");
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return bad("labels are letters, digits and hyphens");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return bad("a label neither begins nor ends with a hyphen");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, BadService> {
        text.parse::<ServiceId>().map(|service| service.to_string())
    }

    #[test]
    fn spellings_fold_into_one() {
        for (given, wanted) in [
            ("example.com", "tls://example.com:443"),
            ("  EXAMPLE.com. ", "tls://example.com:443"),
            ("example.com/", "tls://example.com:443"),
            ("example.com:8443", "tls://example.com:8443"),
            ("https://example.com", "tls://example.com:443"),
            ("HTTPS://example.com:8443/a/b?c=d#e", "tls://example.com:8443"),
            ("tls://example.com", "tls://example.com:443"),
            ("example.com:443,2", "tls://example.com:443"),
            ("ssh://example.com", "ssh://example.com:22"),
            ("SSH://Example.com:2222/", "ssh://example.com:2222"),
            ("ssh://[2001:db8::1]", "ssh://[2001:db8::1]:22"),
            ("ssh://2001:db8::1", "ssh://[2001:db8::1]:22"),
            ("example.com:22,1", "ssh://example.com:22"),
            ("example.com,1", "ssh://example.com:22"),
            ("ssh://example.com:22,1", "ssh://example.com:22"),
            ("smtp://MX.Example.com", "smtp://mx.example.com:25"),
            ("Submission://mail.example.com.", "submission://mail.example.com:587"),
            ("imap://mail.example.com/INBOX", "imap://mail.example.com:143"),
            ("pop3://[2001:db8::1]", "pop3://[2001:db8::1]:110"),
            ("ldap://192.0.2.7:3389/dc=example?cn", "ldap://192.0.2.7:3389"),
            ("postgresql://db.example.com/shop", "postgres://db.example.com:5432"),
            ("submissions://mail.example.com", "tls://mail.example.com:465"),
            ("smtps://mail.example.com", "tls://mail.example.com:465"),
            ("imaps://mail.example.com", "tls://mail.example.com:993"),
            ("pop3s://mail.example.com", "tls://mail.example.com:995"),
            ("ldaps://mail.example.com", "tls://mail.example.com:636"),
            ("imaps://mail.example.com:1993", "tls://mail.example.com:1993"),
            ("imaps://mail.example.com,2", "tls://mail.example.com:993"),
            ("bücher.example", "tls://xn--bcher-kva.example:443"),
            ("xn--bcher-kva.example", "tls://xn--bcher-kva.example:443"),
            ("ｅｘａｍｐｌｅ．ｃｏｍ", "tls://example.com:443"),
            ("straße.example", "tls://xn--strae-oqa.example:443"),
            ("_dmarc.example.com", "tls://_dmarc.example.com:443"),
            ("localhost", "tls://localhost:443"),
            ("192.0.2.7", "tls://192.0.2.7:443"),
            ("192.0.2.7.", "tls://192.0.2.7:443"),
            ("１９２.0.2.7", "tls://192.0.2.7:443"),
            ("[2001:DB8::1]", "tls://[2001:db8::1]:443"),
            ("[2001:db8:0::1]:8443", "tls://[2001:db8::1]:8443"),
            ("2001:db8::1", "tls://[2001:db8::1]:443"),
            ("[::ffff:192.0.2.7]:443", "tls://192.0.2.7:443"),
            ("[::ffff:c000:207]", "tls://192.0.2.7:443"),
        ] {
            let found = canonical(given).unwrap_or_else(|error| panic!("{given}: {error}"));
            assert_eq!(found, wanted, "{given}");
            assert_eq!(canonical(&found).unwrap(), wanted, "canonical spelling is a fixed point");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_sentence() {
        let (long, label) = (format!("{}.example", "a".repeat(300)), format!("{}.example", "a".repeat(64)));
        for (given, part) in [
            ("", "no service was named"),
            ("   ", "no service was named"),
            ("gopher://example.com", "use tls://, https://, ssh://, smtp://"),
            ("smtp://", "no service was named"),
            ("smtp://example.com:0", "ports are 1 to 65535"),
            ("smtp://example.com:25,2", "host:port,2"),
            ("smtp://user@example.com", "user name"),
            ("mailto://example.com", "not a scheme"),
            ("://example.com", "not a scheme"),
            ("example.com:0", "ports are 1 to 65535"),
            ("example.com:65536", "ports are 1 to 65535"),
            ("example.com:", "ports are 1 to 65535"),
            ("example.com:+80", "ports are 1 to 65535"),
            ("example.com:443,7", "host:port,2"),
            ("tls://example.com:22,1", "host:port,1 SSH"),
            ("ssh://example.com:22,2", "host:port,1 SSH"),
            ("ssh://user@example.com", "user name"),
            (long.as_str(), "at most 253"),
            (label.as_str(), "at most 63"),
            ("xn--a.example", "IDNA"),
            ("exa mple.com", "white space"),
            ("user@example.com", "user name"),
            ("a..b", "empty label"),
            (".example", "empty label"),
            ("-a.example", "hyphen"),
            ("exam%70le.com", "user name, query"),
            ("127.1", "unusual spelling"),
            ("0x7f.1", "unusual spelling"),
            ("0x7f000001", "unusual spelling"),
            ("2130706433", "unusual spelling"),
            ("0177.0.0.1", "unusual spelling"),
            ("127.0.0.1.1", "unusual spelling"),
            ("[127.0.0.1]", "in brackets"),
            ("[fe80::1%eth0]", "user name"),
            ("[::1", "in brackets"),
            ("[::1]443", "in brackets"),
            ("a:b:c", "in brackets"),
        ] {
            let error = canonical(given).expect_err(given).to_string();
            assert!(error.contains(part), "{given}: {error}");
            assert!(!error.contains('\n') && error.len() < 260, "{given}: {error}");
        }
    }

    #[test]
    fn a_name_that_dns_cannot_carry_is_named_as_too_long() {
        let long = ["a".repeat(60).as_str(); 5].join(".");
        assert_eq!(canonical(&long), Err(BadService::TooLong(304)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_accepted_names_are_fixed_points(text in ".{0,80}") {
            if let Ok(found) = canonical(&text) {
                proptest::prop_assert_eq!(canonical(&found).unwrap(), found);
            }
        }
    }
}
