//! What DNS says of a service, and what of it authorises keys.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

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
    /// Records that were meant to authorise keys and can't be read, each with its name and why, for their owner: at most
    /// [`MAX_IGNORED`]. They count as if they were not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// What was left of the smallest time to live of the records that authorise keys; `None` where none do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_ttl_secs: Option<u32>,
}

/// What was read of a record that authorises keys counts no longer than this, whatever its time to live: who deletes it
/// revokes (`docs/protocols/dns.md`).
pub const LONGEST_RECORD_LIFE: Duration = Duration::from_secs(300);

/// Malformed records that are named.
pub const MAX_IGNORED: usize = 8;

/// Keys that the owner of a name may authorise. A record with more is not read: it would be half a record.
pub const MAX_AUTHORISED_KEYS: usize = 64;

impl DnsAnswers {
    /// The owner's record, or `None` when a lookup that it needs failed.
    pub fn record(&self) -> Option<Record> {
        let (ca, tlsa) = (self.ca.as_ref()?, self.tlsa.as_ref()?);
        // Most owners publish nothing.
        if ca.is_empty() && tlsa.is_empty() {
            return Some(Record::default());
        }
        Some(Record { ca: ca.iter().copied().collect(), leaf: tlsa.iter().filter_map(Tlsa::leaf_key).collect() })
    }

    /// For how long these answers may be given out again: as long as the owner's record lives. `None` is without a bound of
    /// their own: there is no record that could be taken back. A lookup that failed hides whether there is one, so the
    /// caller decides by what it `remembers`.
    pub fn record_life(&self, remembers_one: bool) -> Option<Duration> {
        match (&self.ca, &self.tlsa) {
            (Some(ca), Some(tlsa)) if ca.is_empty() && tlsa.iter().all(|one| one.leaf_key().is_none()) => None,
            (Some(_), Some(_)) => {
                let ttl = self.record_ttl_secs.map(|secs| Duration::from_secs(secs.into()));
                Some(ttl.unwrap_or(LONGEST_RECORD_LIFE).min(LONGEST_RECORD_LIFE))
            }
            _ => remembers_one.then_some(RECORD_FAILURE_LIFE),
        }
    }
}

/// Where the lookup of a record failed that stood before, it is soon tried again.
const RECORD_FAILURE_LIFE: Duration = Duration::from_secs(10);

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
    /// There are more records than are told: more than [`MAX_DNS_RECORDS`], or more than [`LARGEST_DNS_SET`] bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Records told of one type at most.
pub const MAX_DNS_RECORDS: usize = 1_000;

/// Bytes that the records of one type may take in JSON, quotes and commas included.
pub const LARGEST_DNS_SET: usize = 96 * 1024;

impl DnsSet {
    /// An answer with these records, or with as many of them, in ascending order, as may be told.
    pub fn answered(rcode: String, records: BTreeSet<String>, min_ttl: Option<u32>, dnssec: Dnssec) -> Self {
        let (mut bytes, all) = (0, records.len());
        let fits = |record: &String| {
            bytes += json_bytes(record);
            bytes <= LARGEST_DNS_SET
        };
        let records: Vec<String> = records.into_iter().take(MAX_DNS_RECORDS).take_while(fits).collect();
        let (min_ttl, cut) = (min_ttl.filter(|_| all > 0), records.len() < all);
        Self { rcode, records, min_ttl, dnssec, cut }
    }

    /// No answer, and why.
    pub fn failed(rcode: String, dnssec: Dnssec) -> Self {
        Self { rcode, records: Vec::new(), min_ttl: None, dnssec, cut: false }
    }

    /// Whether the name was answered for: with records, or that there are none. SERVFAIL is not "no data".
    pub fn is_answer(&self) -> bool {
        matches!(self.rcode.as_str(), "NOERROR" | "NXDOMAIN")
    }

    /// Whether it is what a vantage point can honestly say (`docs/protocols/dns.md`); else, why not.
    pub fn is_coherent(&self) -> Result<(), &'static str> {
        let is_plain = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let is_code = |text: &str| {
            (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        if !is_code(&self.rcode) {
            return Err("a response code is a mnemonic of 1 to 16 capitals and digits");
        }
        if self.records.len() > MAX_DNS_RECORDS
            || self.records.iter().map(|one| json_bytes(one)).sum::<usize>() > LARGEST_DNS_SET
        {
            return Err("an answer has at most 1,000 records and 96 KiB");
        }
        if !self.records.iter().all(|record| !record.is_empty() && is_plain(record)) {
            return Err("a record is printable ASCII");
        }
        if !self.records.is_sorted_by(|one, next| one < next) {
            return Err("records stand in ascending order, each once");
        }
        if !self.records.is_empty() && (self.rcode != "NOERROR" || self.dnssec == Dnssec::Bogus) {
            return Err("a failed lookup has no records");
        }
        let has_records = !self.records.is_empty() || self.cut;
        if self.min_ttl.is_some() != has_records || (self.cut && self.rcode != "NOERROR") {
            return Err("a time to live is there exactly when there are records");
        }
        Ok(())
    }
}

/// What a printable text takes in JSON, with its quotes and a comma.
fn json_bytes(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count() + 3
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

    /// What is wrong with a record that was meant to authorise a key; `None` where nothing is, or where it is of a kind
    /// that is not used here.
    pub fn fault(&self) -> Option<String> {
        let meant = matches!((self.usage, self.selector, self.matching), (2 | 3, 1, 1));
        (meant && self.data.len() != 32)
            .then(|| format!("TLSA {} 1 1 holds {} bytes; a SHA-256 has 32", self.usage, self.data.len()))
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

/// Why a text at `_ca-auth` authorises nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCaAuth {
    /// It is another kind of text.
    #[error("it does not begin with v=ca1")]
    Other,
    /// A `sha256` is no digest. The whole text is no record then: what else it says may be half of what was meant.
    #[error("\"{0}\" is no SHA-256: 64 hex digits")]
    Digest(String),
}

/// The CA keys in one `_ca-auth` TXT record, `v=ca1; sha256=<hex>[; sha256=…]`.
///
/// Tags are separated by semicolons, white space around them is ignored, hex may be in either case. Unknown tags are
/// ignored; a `sha256` that is no digest makes the whole text malformed, and a malformed text is no record.
pub fn parse_ca_auth(text: &str) -> Result<BTreeSet<Fingerprint>, BadCaAuth> {
    let mut tags = text.split(';').map(str::trim).filter(|tag| !tag.is_empty());
    if !tags.next().is_some_and(|tag| tag.eq_ignore_ascii_case("v=ca1")) {
        return Err(BadCaAuth::Other);
    }
    let digest = |value: &str| {
        let shown = || value.chars().take(70).flat_map(char::escape_default).collect();
        value.to_ascii_lowercase().parse().map_err(|_| BadCaAuth::Digest(shown()))
    };
    tags.filter_map(|tag| tag.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("sha256"))
        .map(|(_, value)| digest(value.trim()))
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
        assert_eq!(short.fault().unwrap(), "TLSA 2 1 1 holds 2 bytes; a SHA-256 has 32");
        assert_eq!("2 0 1 00ff".parse::<Tlsa>().unwrap().fault(), None);
    }

    #[test]
    fn ca_auth_texts() {
        let one = "a".repeat(64);
        let two = "B".repeat(64);
        assert_eq!(parse_ca_auth(&format!("v=ca1; sha256={one}; sha256={two}")).unwrap().len(), 2);
        assert_eq!(parse_ca_auth(&format!("V=CA1;SHA256 = {one};x=y;")).unwrap().len(), 1);
        assert_eq!(parse_ca_auth("v=ca1").unwrap().len(), 0);
        for other in ["", ";", "v=spf1 -all", "v=ca2; sha256=00", &format!("sha256={one}")] {
            assert_eq!(parse_ca_auth(other), Err(BadCaAuth::Other), "{other}");
        }
        for bad in ["00ff", "", "\u{1b}[2J", &"g".repeat(64), &"a".repeat(65)] {
            let error = parse_ca_auth(&format!("v=ca1; sha256={one}; sha256={bad}")).unwrap_err();
            assert!(matches!(error, BadCaAuth::Digest(_)), "{bad}");
            assert!(error.to_string().contains("64 hex digits") && error.to_string().is_ascii(), "{error}");
        }
    }

    #[test]
    fn a_record_lives_for_its_time_and_five_minutes_at_most() {
        let key = Fingerprint::from_bytes([1; 32]);
        let answers = |ca: Option<Vec<Fingerprint>>, record_ttl_secs| DnsAnswers {
            ca,
            tlsa: Some(vec![]),
            record_ttl_secs,
            ..Default::default()
        };
        let secs = |secs| Some(Duration::from_secs(secs));
        for (ca, ttl, remembers, wanted) in [
            (Some(vec![key]), Some(2), false, secs(2)),
            (Some(vec![key]), Some(0), false, secs(0)),
            (Some(vec![key]), Some(86_400), false, secs(300)),
            // A look from before this was noted.
            (Some(vec![key]), None, false, secs(300)),
            (Some(vec![]), None, true, None),
            (None, None, true, secs(10)),
            (None, None, false, None),
        ] {
            assert_eq!(answers(ca.clone(), ttl).record_life(remembers), wanted, "{ca:?} {ttl:?} {remembers}");
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
