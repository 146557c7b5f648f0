//! The record types of DNS that can be asked for.

use std::fmt;
use std::str::FromStr;

/// A record type (IANA DNS parameters), written as its mnemonic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the mnemonics are those of the registry")]
pub enum RecordKind {
    A,
    Aaaa,
    Caa,
    Cname,
    Dnskey,
    Ds,
    Https,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Sshfp,
    Tlsa,
    Txt,
}

/// The text names no record type that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a record type that can be asked for; such are A, AAAA, CNAME, MX, NS, TXT, CAA, TLSA, SOA, HTTPS"
)]
pub struct BadRecordKind(String);

impl RecordKind {
    /// All of them, in the order of their mnemonics.
    pub const ALL: [RecordKind; 15] = [
        RecordKind::A,
        RecordKind::Aaaa,
        RecordKind::Caa,
        RecordKind::Cname,
        RecordKind::Dnskey,
        RecordKind::Ds,
        RecordKind::Https,
        RecordKind::Mx,
        RecordKind::Ns,
        RecordKind::Ptr,
        RecordKind::Soa,
        RecordKind::Srv,
        RecordKind::Sshfp,
        RecordKind::Tlsa,
        RecordKind::Txt,
    ];

    /// Its mnemonic.
    pub const fn as_str(self) -> &'static str {
        match self {
            RecordKind::A => "A",
            RecordKind::Aaaa => "AAAA",
            RecordKind::Caa => "CAA",
            RecordKind::Cname => "CNAME",
            RecordKind::Dnskey => "DNSKEY",
            RecordKind::Ds => "DS",
            RecordKind::Https => "HTTPS",
            RecordKind::Mx => "MX",
            RecordKind::Ns => "NS",
            RecordKind::Ptr => "PTR",
            RecordKind::Soa => "SOA",
            RecordKind::Srv => "SRV",
            RecordKind::Sshfp => "SSHFP",
            RecordKind::Tlsa => "TLSA",
            RecordKind::Txt => "TXT",
        }
    }

    /// Whether its records are addresses.
    pub const fn is_address(self) -> bool {
        matches!(self, RecordKind::A | RecordKind::Aaaa)
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RecordKind {
    type Err = BadRecordKind;

    /// The mnemonic in either case.
    fn from_str(text: &str) -> Result<Self, BadRecordKind> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text));
        known.ok_or_else(|| BadRecordKind(text.chars().take(20).flat_map(char::escape_debug).collect()))
    }
}

serde_as_text!(RecordKind);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_their_mnemonic() {
        for kind in RecordKind::ALL {
            assert_eq!(kind.to_string().to_ascii_lowercase().parse(), Ok(kind));
        }
        assert!(RecordKind::ALL.is_sorted_by_key(|kind| kind.as_str()));
        for bad in ["", "ANY", "AXFR", "TYPE65", "A ", "A\u{202e}", "OPT"] {
            assert!(bad.parse::<RecordKind>().is_err(), "{bad}");
        }
        assert!("x\u{1b}[31m".parse::<RecordKind>().unwrap_err().to_string().is_ascii());
    }
}
