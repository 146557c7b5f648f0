//! Records as text, and the answer of `GET /v1/dns`.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{CAA, TLSA, TXT};
use hickory_proto::rr::{RData, RecordType};
use parallax_core::{DnsSet, Dnssec, Tlsa};

use super::answers::{absolute, sorted};
use super::asker::{Asker, LookupFailed};

/// Octets of one text record that are looked at; a longer one is no record of ours.
const LONGEST_TEXT: usize = 4096;

/// The types that may be asked for.
const KINDS: [(&str, RecordType); 15] = [
    ("A", RecordType::A),
    ("AAAA", RecordType::AAAA),
    ("CAA", RecordType::CAA),
    ("CNAME", RecordType::CNAME),
    ("DNSKEY", RecordType::DNSKEY),
    ("DS", RecordType::DS),
    ("HTTPS", RecordType::HTTPS),
    ("MX", RecordType::MX),
    ("NS", RecordType::NS),
    ("PTR", RecordType::PTR),
    ("SOA", RecordType::SOA),
    ("SRV", RecordType::SRV),
    ("SSHFP", RecordType::SSHFP),
    ("TLSA", RecordType::TLSA),
    ("TXT", RecordType::TXT),
];

/// A record type that can't be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a record type that can be asked for; such are A, AAAA, MX, TLSA, CAA, TXT")]
pub struct UnknownType(String);

/// The type of this mnemonic, in either case.
pub(crate) fn parse_kind(kind: &str) -> Result<RecordType, UnknownType> {
    let known = KINDS.iter().find(|(mnemonic, _)| mnemonic.eq_ignore_ascii_case(kind));
    known
        .map(|(_, kind)| *kind)
        .ok_or_else(|| UnknownType(kind.chars().take(20).flat_map(char::escape_debug).collect()))
}

/// The answer for one name and type.
pub(crate) async fn dns_set(asker: &Asker, name: &str, kind: RecordType) -> DnsSet {
    let failed = |rcode: String, dnssec| DnsSet { rcode, records: Vec::new(), min_ttl: None, dnssec };
    let Some(name) = absolute(name) else {
        return failed(mnemonic(ResponseCode::FormErr), Dnssec::Unchecked);
    };
    match asker.ask(&name, kind).await {
        Ok(answer) => DnsSet {
            rcode: mnemonic(answer.rcode),
            records: sorted(answer.records.iter().map(present)),
            min_ttl: answer.min_ttl,
            dnssec: answer.dnssec,
        },
        Err(LookupFailed::Timeout) => failed("TIMEOUT".into(), Dnssec::Unchecked),
        Err(LookupFailed::Code(code)) => failed(mnemonic(code), Dnssec::Unchecked),
        // What a resolver that follows aliases and validates would say.
        Err(LookupFailed::TooFar) => failed(mnemonic(ResponseCode::ServFail), Dnssec::Unchecked),
        Err(LookupFailed::Bogus) => failed(mnemonic(ResponseCode::ServFail), Dnssec::Bogus),
    }
}

/// Record data in presentation form (RFC 1035 section 5.1). What is not printable ASCII is written `\DDD`: the text of
/// strangers goes to terminals and pages.
pub(super) fn present(data: &RData) -> String {
    match data {
        RData::TXT(text) => text.txt_data.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(" "),
        RData::CAA(caa) => present_caa(caa),
        RData::TLSA(record) => tlsa(record).to_string(),
        other => escaped(other.to_string().as_bytes(), |_| false),
    }
}

/// The parts of a text record run together; `None` when they are no text, or too much of it.
pub(super) fn txt(text: &TXT) -> Option<String> {
    let whole = text.txt_data.concat();
    (whole.len() <= LONGEST_TEXT).then(|| String::from_utf8(whole).ok())?
}

pub(super) fn tlsa(record: &TLSA) -> Tlsa {
    Tlsa {
        usage: record.cert_usage.into(),
        selector: record.selector.into(),
        matching: record.matching.into(),
        data: record.cert_data.clone(),
    }
}

fn present_caa(caa: &CAA) -> String {
    let tag = escaped(caa.tag.as_bytes(), |byte| byte == b' ');
    format!("{} {tag} {}", caa.flags(), quoted(&caa.value))
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escaped(bytes, |byte| matches!(byte, b'"' | b'\\')))
}

fn escaped(bytes: &[u8], also: impl Fn(u8) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes.iter().take(LONGEST_TEXT) {
        match byte {
            b' '..=b'~' if !also(byte) => text.push(char::from(byte)),
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text
}

/// The mnemonic of a response code (IANA DNS RCODEs).
fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_text_is_escaped() {
        let text = TXT::from_bytes(vec![b"a\"\\\x1b[31m\xe2\x80\xae", b"b c"]);
        assert_eq!(present(&RData::TXT(text)), r#""a\"\\\027[31m\226\128\174" "b c""#);
    }

    #[test]
    fn kinds_by_their_mnemonic() {
        assert_eq!(parse_kind("mx"), Ok(RecordType::MX));
        for bad in ["", "ANY", "AXFR", "TYPE65", "A ", "A\u{202e}"] {
            assert!(parse_kind(bad).is_err(), "{bad}");
        }
        assert!(parse_kind("x\u{1b}[31m").unwrap_err().to_string().is_ascii());
    }
}
