//! A name to ask DNS about, in its one spelling.

use std::fmt;
use std::str::FromStr;

use crate::service::{BadService, Host, parse_host};

/// A DNS name in A-labels, lower case, without a dot at the end; labels may begin with an underscore. The rules are those
/// of a service's host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

/// Why a text names nothing that DNS can be asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDnsName {
    /// Nothing was given.
    #[error("no name was given; write a DNS name such as example.com")]
    Empty,
    /// There is more than a name.
    #[error("\"{0}\" is more than a DNS name; write one such as example.com, without scheme, port or path")]
    Extra(String),
    /// It is an address.
    #[error("\"{0}\" is an address; write a DNS name such as example.com")]
    Address(String),
    /// It is no name.
    #[error(transparent)]
    Host(#[from] BadService),
}

impl DnsName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = BadDnsName;

    fn from_str(text: &str) -> Result<Self, BadDnsName> {
        let text = text.trim();
        let shown = || text.chars().take(60).flat_map(char::escape_debug).collect::<String>();
        if text.is_empty() {
            return Err(BadDnsName::Empty);
        }
        // A bare IPv6 address has more than one colon and no slash.
        if text.matches(':').count() == 1 || text.contains(['/', '@', '?', '#', '%', '\\']) {
            return Err(BadDnsName::Extra(shown()));
        }
        match parse_host(text) {
            Ok(Host::Name(name)) => Ok(Self(name)),
            Ok(Host::Address(_)) | Err(BadService::Ipv4(_) | BadService::Ipv6(_)) => Err(BadDnsName::Address(shown())),
            Err(error) => Err(error.into()),
        }
    }
}

serde_as_text!(DnsName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_into_one_spelling() {
        for (given, wanted) in [
            ("example.com", "example.com"),
            (" EXAMPLE.com. ", "example.com"),
            ("_443._tcp.Bücher.example.", "_443._tcp.xn--bcher-kva.example"),
            ("_ca-auth.example.com", "_ca-auth.example.com"),
            ("com", "com"),
        ] {
            assert_eq!(given.parse::<DnsName>().unwrap().as_str(), wanted, "{given}");
        }
    }

    #[test]
    fn wrong_names_say_what_would_be_right() {
        let long = "a.".repeat(127) + "com";
        for (given, part) in [
            ("", "no name was given"),
            (" ", "no name was given"),
            ("https://example.com", "more than a DNS name"),
            ("example.com:443", "more than a DNS name"),
            ("user@example.com", "more than a DNS name"),
            ("192.0.2.7", "is an address"),
            ("127.1", "is an address"),
            ("2001:db8::1", "is an address"),
            ("[2001:db8::1]", "is an address"),
            ("a..b", "empty label"),
            (".", "empty label"),
            ("*.example.com", "letters, digits and hyphens"),
            ("a b.example", "is not a host name"),
            (&"a".repeat(64), "at most 63"),
            (&long, "at most 253"),
        ] {
            let error = given.parse::<DnsName>().expect_err(given).to_string();
            assert!(error.contains(part), "{given}: {error}");
            assert!(!error.contains(char::is_control));
        }
    }
}
