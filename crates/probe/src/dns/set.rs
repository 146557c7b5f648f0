//! The answer for one name and type, as `GET /v1/dns` tells it.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use parallax_core::{DnsName, DnsSet, Dnssec, RecordKind};

use super::answers::absolute;
use super::asker::{Asker, LookupFailed};
use super::present::present;

/// Asks for one name and type.
pub(crate) async fn dns_set(asker: &Asker, name: &DnsName, kind: RecordKind) -> DnsSet {
    let failed = |code| DnsSet::failed(mnemonic(code), Dnssec::Unchecked);
    let Some(name) = absolute(name.as_str()) else { return failed(ResponseCode::FormErr) };
    match asker.ask_dns(&name, record_type(kind)).await {
        Ok(answer) => {
            let records = answer.records.iter().map(present).collect();
            DnsSet::answered(mnemonic(answer.rcode), records, answer.min_ttl, answer.dnssec)
        }
        Err(LookupFailed::Timeout) => DnsSet::failed("TIMEOUT".into(), Dnssec::Unchecked),
        Err(LookupFailed::Code(code)) => failed(code),
        // What a resolver that follows aliases and validates would say.
        Err(LookupFailed::TooFar | LookupFailed::TooLarge) => failed(ResponseCode::ServFail),
        Err(LookupFailed::Bogus) => DnsSet::failed(mnemonic(ResponseCode::ServFail), Dnssec::Bogus),
    }
}

/// The type as hickory has it.
fn record_type(kind: RecordKind) -> RecordType {
    match kind {
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
        RecordKind::Caa => RecordType::CAA,
        RecordKind::Cname => RecordType::CNAME,
        RecordKind::Dnskey => RecordType::DNSKEY,
        RecordKind::Ds => RecordType::DS,
        RecordKind::Https => RecordType::HTTPS,
        RecordKind::Mx => RecordType::MX,
        RecordKind::Ns => RecordType::NS,
        RecordKind::Ptr => RecordType::PTR,
        RecordKind::Soa => RecordType::SOA,
        RecordKind::Srv => RecordType::SRV,
        RecordKind::Sshfp => RecordType::SSHFP,
        RecordKind::Tlsa => RecordType::TLSA,
        RecordKind::Txt => RecordType::TXT,
    }
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
