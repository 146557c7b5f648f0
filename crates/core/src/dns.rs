//! What DNS says of a service, and what of it authorises keys.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::Fingerprint;

/// The DNS answers that lead to a service, as one vantage point got them.
///
/// `None` is a lookup that failed (SERVFAIL, timeout, bogus); an empty list is an answer: there is no such record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsAnswers {
    /// IPv4 addresses, ascending.
    pub a: Option<Vec<Ipv4Addr>>,
    /// IPv6 addresses, ascending.
    pub aaaa: Option<Vec<Ipv6Addr>>,
    /// The CA keys that the owner's records authorise: `TLSA 2 1 1` and TXT `_ca-auth`, ascending, each once.
    /// `None` when either lookup failed: half a record authorises nothing and excludes nobody.
    pub ca: Option<Vec<Fingerprint>>,
    /// TLSA records at `_port._tcp.name` (RFC 6698), as they were.
    pub tlsa: Option<Vec<Tlsa>>,
    /// CAA records (RFC 8659) in presentation form: a hint for people, never part of a verdict.
    pub caa: Option<Vec<String>>,
    /// What DNSSEC says of the records that authorise keys.
    #[serde(default)]
    pub dnssec: Dnssec,
}

impl DnsAnswers {
    /// The owner's record, or `None` when a lookup that it needs failed.
    pub fn record(&self) -> Option<Record> {
        let (ca, tlsa) = (self.ca.as_ref()?, self.tlsa.as_ref()?);
        Some(Record { ca: ca.iter().copied().collect(), leaf: tlsa.iter().filter_map(Tlsa::leaf_key).collect() })
    }
}

/// Validation state of the records that authorise keys (RFC 4035 section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dnssec {
    /// Every record that authorises a key was validated up to the trust anchor.
    Secure,
    /// The zone is provably unsigned.
    Insecure,
    /// Signatures are there and wrong; the lookup counts as failed.
    Bogus,
    /// This vantage point did not validate.
    #[default]
    #[serde(other)]
    Unchecked,
}

/// The answer for one record type of one name: what `GET /v1/dns` tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSet {
    /// The response code by its mnemonic (`NOERROR`, `NXDOMAIN`, `SERVFAIL`, …), or `TIMEOUT` when nobody answered.
    pub rcode: String,
    /// Record data in presentation form, ascending.
    pub records: Vec<String>,
    /// The smallest time to live among them, in seconds; `None` without records.
    pub min_ttl: Option<u32>,
    /// What DNSSEC says of them.
    pub dnssec: Dnssec,
}

/// The keys that the owner of a name authorises in DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Record {
    /// CA keys: SHA-256 of the SubjectPublicKeyInfo, from `TLSA 2 1 1` and `_ca-auth`.
    pub ca: BTreeSet<Fingerprint>,
    /// Server keys: SHA-256 of the SubjectPublicKeyInfo, from `TLSA 3 1 1`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub leaf: BTreeSet<Fingerprint>,
}

impl Record {
    /// Whether it authorises nothing.
    pub fn is_empty(&self) -> bool {
        self.ca.is_empty() && self.leaf.is_empty()
    }
}

/// A TLSA record (RFC 6698 section 2.1), written as `2 1 1 <hex>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tlsa {
    /// Certificate usage: 2 is DANE-TA, 3 is DANE-EE (RFC 7218).
    pub usage: u8,
    /// Selector: 0 the whole certificate, 1 its SubjectPublicKeyInfo.
    pub selector: u8,
    /// Matching type: 0 exact, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// Certificate association data.
    pub data: Vec<u8>,
}

impl Tlsa {
    /// The CA key it authorises, when it is a `2 1 1`.
    pub fn ca_key(&self) -> Option<Fingerprint> {
        self.key_for_usage(2)
    }

    /// The server key it authorises, when it is a `3 1 1`.
    pub fn leaf_key(&self) -> Option<Fingerprint> {
        self.key_for_usage(3)
    }

    fn key_for_usage(&self, usage: u8) -> Option<Fingerprint> {
        let digest: [u8; 32] = self.data.as_slice().try_into().ok()?;
        ((self.usage, self.selector, self.matching) == (usage, 1, 1)).then(|| Fingerprint::from_bytes(digest))
    }
}

impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text was no TLSA record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a TLSA record is written as \"usage selector matching hex\", such as \"2 1 1 00ab…\"")]
pub struct BadTlsa;

impl FromStr for Tlsa {
    type Err = BadTlsa;

    fn from_str(text: &str) -> Result<Self, BadTlsa> {
        let mut parts = text.split(' ');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or(BadTlsa);
        let (usage, selector, matching) = (number()?, number()?, number()?);
        let hex = parts.next().filter(|hex| hex.len() % 2 == 0 && hex.is_ascii()).ok_or(BadTlsa)?;
        let data = hex
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| {
                std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(BadTlsa)
            })
            .collect::<Result<_, _>>()?;
        match parts.next() {
            None => Ok(Self { usage, selector, matching, data }),
            Some(_) => Err(BadTlsa),
        }
    }
}

serde_as_text!(Tlsa);

/// The CA keys in one `_ca-auth` TXT record, `v=ca1; sha256=<hex>[; sha256=…]`; `None` when it is another kind of text.
///
/// Tags are separated by semicolons, white space around them is ignored, hex may be in either case. Unknown tags are
/// ignored; a `sha256` that is no digest makes the whole text malformed, and a malformed text is no record.
pub fn parse_ca_auth(text: &str) -> Option<BTreeSet<Fingerprint>> {
    let mut tags = text.split(';').map(str::trim).filter(|tag| !tag.is_empty());
    if !tags.next()?.eq_ignore_ascii_case("v=ca1") {
        return None;
    }
    tags.filter_map(|tag| tag.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("sha256"))
        .map(|(_, value)| value.trim().to_ascii_lowercase().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tlsa_round_trip() {
        let text = format!("3 1 1 {}", "ab".repeat(32));
        let tlsa: Tlsa = text.parse().unwrap();
        assert_eq!(tlsa.to_string(), text);
        assert!(tlsa.leaf_key().is_some() && tlsa.ca_key().is_none());
        for bad in ["", "3 1 1", "3 1 1 abc", "3 1 1 zz", "300 1 1 ab", "3 1 1 ab cd", "3 1 1 éé"] {
            assert!(bad.parse::<Tlsa>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_spki_sha256_authorises() {
        for (text, ca, leaf) in [
            ("2 1 1", true, false),
            ("3 1 1", false, true),
            ("2 0 1", false, false),
            ("3 0 1", false, false),
            ("1 1 1", false, false),
        ] {
            let tlsa: Tlsa = format!("{text} {}", "00".repeat(32)).parse().unwrap();
            assert_eq!((tlsa.ca_key().is_some(), tlsa.leaf_key().is_some()), (ca, leaf), "{text}");
        }
        let short: Tlsa = "2 1 1 00ff".parse().unwrap();
        assert_eq!(short.ca_key(), None);
    }

    #[test]
    fn ca_auth_texts() {
        let one = "a".repeat(64);
        let two = "B".repeat(64);
        assert_eq!(parse_ca_auth(&format!("v=ca1; sha256={one}; sha256={two}")).unwrap().len(), 2);
        assert_eq!(parse_ca_auth(&format!("V=CA1;SHA256 = {one};x=y;")).unwrap().len(), 1);
        assert_eq!(parse_ca_auth("v=ca1").unwrap().len(), 0);
        for other in ["", "v=spf1 -all", "v=ca2; sha256=00", "v=ca1; sha256=00ff", &format!("sha256={one}")] {
            assert_eq!(parse_ca_auth(other), None, "{other}");
        }
    }

    #[test]
    fn half_a_record_is_none() {
        let answers = DnsAnswers { ca: Some(vec![]), tlsa: None, ..Default::default() };
        assert_eq!(answers.record(), None);
        let answers = DnsAnswers { ca: Some(vec![]), tlsa: Some(vec![]), ..Default::default() };
        assert!(answers.record().unwrap().is_empty());
    }
}
