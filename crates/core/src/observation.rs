//! What one look saw.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dns::DnsAnswers;
use crate::host_key::HostKey;
use crate::id::{Fingerprint, Md5Fingerprint};
use crate::scts::Scts;
use crate::service::{Host, ServiceId};
use crate::time::Timestamp;

/// One look: the DNS answers that led there, and what was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// What DNS said.
    pub dns: DnsAnswers,
    /// What the connection showed.
    pub now: Observation,
}

/// What one vantage point saw at one moment for one service: address, chain and proof of key, or the failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When the look ended, by the vantage point's clock.
    pub at: Timestamp,
    /// The address that was connected to; `None` when it did not come to that.
    pub address: Option<SocketAddr>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the server would begin TLS, as far as it came to that; `None` at services that need no upgrade, and in
    /// what older vantage points tell.
    pub starttls: Option<Starttls>,
    /// What was met, when a certificate was.
    pub met: Option<Met>,
}

/// The certificate that was shown, or the SSH host keys, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The protocol version: `TLSv1.3`, `TLSv1.2`, …, `SSH-2.0`.
    pub protocol: String,
    /// Whether the server proved possession of the key in the handshake. An unproved look is a *sighting*: shown, kept,
    /// never counted for a verdict.
    pub proved: bool,
    /// SHA-256 of the leaf certificate, or of the first host key's blob.
    pub leaf: Fingerprint,
    /// MD5 of the leaf certificate, for old notaries only.
    pub leaf_md5: Option<Md5Fingerprint>,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// SHA-256 of the issuing CA's SubjectPublicKeyInfo; `None` when no certificate of the issuer was sent.
    pub issuer_key: Option<Fingerprint>,
    /// SHA-256 of each certificate sent, leaf first, in the order sent.
    pub chain: Vec<Fingerprint>,
    /// The keys that vouch for the leaf: its own, then each CA's as far as the signatures hold and the certificate is
    /// one of a CA, ending with the root of the store where it leads there. A certificate that was merely sent along is
    /// not in it.
    pub path: Vec<Fingerprint>,
    /// Names of the leaf (SAN dNSName in A-labels and iPAddress), at most 64.
    pub names: Vec<String>,
    /// Validity of the leaf.
    pub not_before: Timestamp,
    /// Validity of the leaf.
    pub not_after: Timestamp,
    /// What *the same CA* means.
    pub ca_id: CaId,
    /// How the chain stands against the public roots: evidence, never a gate.
    pub public_ca: PublicCa,
    /// The host keys that an SSH server proved, the preferred kind first: that one is `leaf` and `key`. Empty for TLS.
    pub host_keys: Vec<HostKey>,
    /// What Certificate Transparency says of the leaf; `None` where the vantage point knows no logs.
    pub scts: Option<Scts>,
}

impl Observation {
    /// A look that met this.
    pub fn seen(at: Timestamp, address: Option<SocketAddr>, met: Met) -> Self {
        Self { at, address, outcome: Outcome::Seen, starttls: None, met: Some(met) }
    }

    /// A look that met no certificate.
    pub fn failed(at: Timestamp, address: Option<SocketAddr>, outcome: Outcome) -> Self {
        Self { at, address, outcome, starttls: None, met: None }
    }

    /// The same, with what was learnt of the upgrade to TLS.
    pub fn with_starttls(self, starttls: Option<Starttls>) -> Self {
        Self { starttls, ..self }
    }

    /// Whether the server spoke its protocol, but would not begin TLS.
    pub fn lacks_upgrade(&self) -> bool {
        matches!(self.starttls, Some(Starttls::NotOffered | Starttls::Refused))
    }

    /// The certificate, if it was seen and the key was proved: what may count for a verdict.
    #[inline]
    pub fn proved(&self) -> Option<&Met> {
        self.met.as_ref().filter(|met| met.proved && self.outcome == Outcome::Seen)
    }
}

impl Met {
    /// Whether the leaf is a certificate for the service's name (RFC 9525 section 6: the wildcard is a whole leftmost
    /// label, an address must be named as an address).
    pub fn covers(&self, service: &ServiceId) -> bool {
        match service.host() {
            Host::Address(address) => self.names.iter().any(|name| name.parse() == Ok(*address)),
            Host::Name(name) => self.names.iter().any(|pattern| name_matches(pattern, name)),
        }
    }

    /// Whether `at` lies within the leaf's validity.
    pub fn is_current(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent))
        }
        None => pattern.eq_ignore_ascii_case(name),
    }
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A certificate was shown, or an SSH host key proved.
    Seen,
    /// The look goes on past the time the asker would wait.
    Pending,
    /// Client and server have no version or cipher in common, and the certificate can't be seen without.
    Unsupported,
    /// The connection was refused.
    Refused,
    /// No answer within the time limit.
    Timeout,
    /// The connection was cut.
    Reset,
    /// The server ended the handshake with an alert (SSH: a disconnect message) before showing a key.
    Alert,
    /// DNS has no address for the name, or gave no answer.
    NoAddress,
    /// What answered does not speak the service's protocol.
    NotTls,
    /// The address or port is not one this vantage point looks at.
    NotAllowed,
    /// What was sent is not valid in its protocol or not a certificate, or is larger than any honest handshake.
    Malformed,
}

impl Outcome {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Seen => "seen",
            Outcome::Pending => "pending",
            Outcome::Unsupported => "unsupported",
            Outcome::Refused => "refused",
            Outcome::Timeout => "timeout",
            Outcome::Reset => "reset",
            Outcome::Alert => "alert",
            Outcome::NoAddress => "no-address",
            Outcome::NotTls => "not-tls",
            Outcome::NotAllowed => "not-allowed",
            Outcome::Malformed => "malformed",
        }
    }

    /// What it means, for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Outcome::Seen => "the server showed its key",
            Outcome::Pending => "the look is still going on",
            Outcome::Unsupported => "the server shares no parameters with us",
            Outcome::Refused => "the connection was refused",
            Outcome::Timeout => "no answer in time",
            Outcome::Reset => "the connection was cut",
            Outcome::Alert => "the server ended the handshake with an alert",
            Outcome::NoAddress => "DNS gave no address",
            Outcome::NotTls => "what answers there speaks another protocol",
            Outcome::NotAllowed => "this address or port is not looked at",
            Outcome::Malformed => "what the server sent breaks its protocol",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a server that begins in the clear would begin TLS. That it would not is evidence: whoever is on the way can
/// take the offer out (RFC 3207 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Starttls {
    /// It offers it, or has begun it.
    Offered,
    /// It does not name it among its capabilities, or says that it knows no such thing.
    NotOffered,
    /// It would not begin what it offers.
    Refused,
}

impl Starttls {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Starttls::Offered => "offered",
            Starttls::NotOffered => "not-offered",
            Starttls::Refused => "refused",
        }
    }
}

impl fmt::Display for Starttls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a chain stands against the public roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublicCa {
    /// A public root vouches for this name now.
    Valid,
    /// It leads to no public root.
    UnknownIssuer,
    /// It leads to a public root, but has expired.
    Expired,
    /// It leads to a public root, but is not valid yet.
    NotYetValid,
    /// It leads to a public root, but for another name.
    WrongName,
    /// It is broken in another way.
    Invalid,
}

impl PublicCa {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            PublicCa::Valid => "valid",
            PublicCa::UnknownIssuer => "unknown-issuer",
            PublicCa::Expired => "expired",
            PublicCa::NotYetValid => "not-yet-valid",
            PublicCa::WrongName => "wrong-name",
            PublicCa::Invalid => "invalid",
        }
    }
}

impl fmt::Display for PublicCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What *the same CA* means: authorities rotate intermediates at every renewal, so a public CA is its organisation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaId {
    /// `org:` and the organisation of the root that the signatures lead to.
    Organisation(String),
    /// `key:` and the issuer's key if its signature holds, else the leaf's own.
    Key(Fingerprint),
}

impl fmt::Display for CaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaId::Organisation(name) => write!(f, "org:{name}"),
            CaId::Key(key) => write!(f, "key:{key}"),
        }
    }
}

/// The text was neither `org:` and a name nor `key:` and a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a CA is written as org:NAME or key:FINGERPRINT, not \"{0}\"")]
pub struct BadCaId(String);

impl FromStr for CaId {
    type Err = BadCaId;

    fn from_str(text: &str) -> Result<Self, BadCaId> {
        let bad = || BadCaId(text.chars().take(80).collect());
        match text.split_once(':') {
            Some(("org", name)) if !name.is_empty() && name.len() <= 256 => Ok(CaId::Organisation(name.into())),
            Some(("key", key)) => key.parse().map(CaId::Key).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

serde_as_text!(CaId);

/// The network an address belongs to for the purposes of diversity: IPv4 /16, IPv6 /32. Written `192.0.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The first two octets.
    V4([u8; 2]),
    /// The first two groups.
    V6([u16; 2]),
}

impl Network {
    /// The network of an address; an IPv4-mapped address is judged by the IPv4 address in it.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, ..] = address.octets();
                Network::V4([a, b])
            }
            IpAddr::V6(address) => {
                let [a, b, ..] = address.segments();
                Network::V6([a, b])
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::V4([a, b]) => write!(f, "{a}.{b}.0.0/16"),
            Network::V6([a, b]) => write!(f, "{}/32", Ipv6Addr::new(*a, *b, 0, 0, 0, 0, 0, 0)),
        }
    }
}

/// The text was no IPv4 /16 or IPv6 /32.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an IPv4 /16 or an IPv6 /32, such as 192.0.0.0/16, not \"{0}\"")]
pub struct BadNetwork(String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.chars().take(60).collect());
        let (address, length) = text.split_once('/').ok_or_else(bad)?;
        let network = Network::of(address.parse().map_err(|_| bad())?);
        match (network, length) {
            (Network::V4(_), "16") | (Network::V6(_), "32") => Ok(network),
            _ => Err(bad()),
        }
    }
}

serde_as_text!(Network);

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that took a broken certificate for none would tell a lie of omission in another's name.
    #[test]
    fn repro_a_broken_certificate_is_not_read_as_none() {
        let print = "0f".repeat(32);
        let whole = format!(
            r#"{{"at":"2026-11-23T05:12:00.000Z","address":"192.0.2.10:443","outcome":"seen","protocol":"TLSv1.3",
                "proved":true,"leaf":"{print}","leaf_md5":null,"key":"{print}","issuer_key":null,"chain":["{print}"],
                "path":[],"names":[],"not_before":"2026-11-23T05:12:00.000Z","not_after":"2026-11-23T05:12:00.000Z",
                "ca_id":"key:{print}","public_ca":"valid","unknown":1}}"#
        );
        let read: Observation = serde_json::from_str(&whole).unwrap();
        assert!(read.proved().is_some());
        assert_eq!(serde_json::from_str::<Observation>(&serde_json::to_string(&read).unwrap()).unwrap(), read);
        for (part, by, why) in [
            (r#""leaf":""#, r#""leaf":"x"#, "a SHA-256 fingerprint is 64 lower-case hex digits"),
            (r#""unknown":1"#, r#""scts":{"valid":-1}"#, "invalid value: integer `-1`"),
            (r#""leaf":"#, r#""lief":"#, "lacks a readable certificate: leaf is missing"),
        ] {
            let error = serde_json::from_str::<Observation>(&whole.replace(part, by)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let failed = r#"{"at":"2026-11-23T05:12:00.000Z","outcome":"timeout"}"#;
        let read: Observation = serde_json::from_str(failed).unwrap();
        assert_eq!((read.met.is_none(), read.address), (true, None));
    }

    #[test]
    fn what_is_known_of_the_upgrade_is_written_and_read() {
        for (text, wanted) in [
            (r#""starttls":"offered","#, Some(Starttls::Offered)),
            (r#""starttls":"not-offered","#, Some(Starttls::NotOffered)),
            (r#""starttls":"refused","#, Some(Starttls::Refused)),
            (r#""starttls":null,"#, None),
            ("", None),
        ] {
            let look = format!(r#"{{{text}"at":"2026-11-23T05:12:00.000Z","outcome":"not-tls"}}"#);
            let read: Observation = serde_json::from_str(&look).unwrap();
            assert_eq!(read.starttls, wanted);
            let written = serde_json::to_string(&read).unwrap();
            assert_eq!(written.contains("starttls"), wanted.is_some(), "{written}");
            assert_eq!(serde_json::from_str::<Observation>(&written).unwrap(), read);
        }
        let look = r#"{"starttls":"perhaps","at":"2026-11-23T05:12:00.000Z","outcome":"not-tls"}"#;
        assert!(serde_json::from_str::<Observation>(look).is_err());
    }

    #[test]
    fn wildcard_is_one_whole_leftmost_label() {
        for (pattern, name, wanted) in [
            ("example.com", "example.com", true),
            ("EXAMPLE.com.", "example.com", true),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("w*.example.com", "www.example.com", false),
            ("*", "com", false),
            ("www.*.com", "www.example.com", false),
        ] {
            assert_eq!(name_matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn networks_are_written_and_read() {
        for (address, wanted) in
            [("192.0.2.7", "192.0.0.0/16"), ("2001:db8:1::1", "2001:db8::/32"), ("::ffff:192.0.2.7", "192.0.0.0/16")]
        {
            let network = Network::of(address.parse().unwrap());
            assert_eq!(network.to_string(), wanted);
            assert_eq!(wanted.parse(), Ok(network));
        }
        assert!("192.0.0.0/24".parse::<Network>().is_err());
        assert!("192.0.0.0".parse::<Network>().is_err());
    }

    #[test]
    fn ca_ids_are_written_and_read() {
        for text in ["org:Example Trust: Services", &format!("key:{}", "0f".repeat(32))] {
            assert_eq!(text.parse::<CaId>().unwrap().to_string(), text);
        }
        for bad in ["", "org:", "key:00", "name:x"] {
            assert!(bad.parse::<CaId>().is_err(), "{bad}");
        }
    }
}
