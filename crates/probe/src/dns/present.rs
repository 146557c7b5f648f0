//! Records as text (RFC 1035 section 5.1), one spelling for each: the text of two vantage points is compared.
//!
//! What is not printable ASCII is written `\DDD`: the text of strangers goes to terminals and pages. Names are in lower
//! case (RFC 4034 section 6.2) and in A-labels.

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::rdata::svcb::{SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{CAA, SOA, SRV, SVCB, TLSA, TXT};
use hickory_proto::rr::{Name, RData};
use parallax_core::Tlsa;

/// Octets of one text record that are looked at; a longer one is no record of ours.
const LONGEST_TEXT: usize = 4096;

/// Record data in presentation form.
pub(super) fn present(data: &RData) -> String {
    match data {
        RData::TXT(text) => text.txt_data.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(" "),
        RData::CAA(caa) => present_caa(caa),
        RData::TLSA(record) => tlsa(record).to_string(),
        RData::CNAME(to) => present_name(&to.0),
        RData::NS(to) => present_name(&to.0),
        RData::PTR(to) => present_name(&to.0),
        RData::MX(mx) => format!("{} {}", mx.preference, present_name(&mx.exchange)),
        RData::SRV(srv) => present_srv(srv),
        RData::SOA(soa) => present_soa(soa),
        RData::HTTPS(https) => present_svcb(&https.0),
        RData::SSHFP(record) => record.to_string().to_ascii_lowercase(),
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

fn present_srv(srv: &SRV) -> String {
    format!("{} {} {} {}", srv.priority, srv.weight, srv.port, present_name(&srv.target))
}

fn present_soa(soa: &SOA) -> String {
    let (of, by) = (present_name(&soa.mname), present_name(&soa.rname));
    format!("{of} {by} {} {} {} {} {}", soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum)
}

/// A service binding (RFC 9460 section 2.1): hickory's own text has commas at the end of lists, and prints values that
/// it does not know as they are.
fn present_svcb(svcb: &SVCB) -> String {
    let mut text = format!("{} {}", svcb.svc_priority, present_name(&svcb.target_name));
    for (key, value) in &svcb.svc_params {
        let _ = write!(text, " {}", svc_key(*key));
        match value {
            SvcParamValue::NoDefaultAlpn => {}
            SvcParamValue::Mandatory(keys) => drop(write!(text, "={}", listed(keys.0.iter().map(|key| svc_key(*key))))),
            SvcParamValue::Alpn(ids) => drop(write!(text, "={}", quoted(listed(&ids.0).as_bytes()))),
            SvcParamValue::Port(port) => drop(write!(text, "={port}")),
            SvcParamValue::Ipv4Hint(hints) => drop(write!(text, "={}", listed(hints.0.iter().map(|hint| hint.0)))),
            SvcParamValue::Ipv6Hint(hints) => drop(write!(text, "={}", listed(hints.0.iter().map(|hint| hint.0)))),
            SvcParamValue::EchConfigList(list) => drop(write!(text, "={}", STANDARD.encode(&list.0))),
            SvcParamValue::Unknown(bytes) => drop(write!(text, "={}", quoted(&bytes.0))),
        }
    }
    text
}

fn svc_key(key: SvcParamKey) -> String {
    match key {
        SvcParamKey::Unknown(number) => format!("key{number}"),
        known => known.to_string(),
    }
}

fn listed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

fn present_name(name: &Name) -> String {
    let mut text = String::new();
    for label in name.iter() {
        let special = |byte| matches!(byte, b'.' | b'"' | b'\\' | b';' | b'(' | b')' | b'@' | b'$' | b' ');
        text.push_str(&escaped(&label.to_ascii_lowercase(), special));
        text.push('.');
    }
    if text.is_empty() { ".".into() } else { text }
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escaped(bytes, |byte| matches!(byte, b'"' | b'\\')))
}

/// Printable ASCII as it is, `special` bytes of it behind a backslash, all else `\DDD`.
fn escaped(bytes: &[u8], special: impl Fn(u8) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b' ' if special(byte) => text.push_str("\\032"),
            b' '..=b'~' if special(byte) => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => drop(write!(text, "\\{byte:03}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::svcb::{Alpn, EchConfigList, IpHint, Mandatory, Unknown};
    use hickory_proto::rr::rdata::{A, HTTPS, MX, NS};

    use super::*;

    #[test]
    fn strangers_text_is_escaped() {
        let text = TXT::from_bytes(vec![b"a\"\\\x1b[31m\xe2\x80\xae", b"b c"]);
        assert_eq!(present(&RData::TXT(text)), r#""a\"\\\027[31m\226\128\174" "b c""#);
    }

    #[test]
    fn names_have_one_spelling() {
        let name = |labels: &[&[u8]]| Name::from_labels(labels.to_vec()).unwrap();
        for (labels, wanted) in [
            (vec![b"Mail".as_slice(), b"EXAMPLE"], "mail.example."),
            (vec![b"xn--bcher-kva", b"example"], "xn--bcher-kva.example."),
            (vec![b"a.b c\x07\"", b"example"], "a\\.b\\032c\\007\\\".example."),
            (vec!["bücher".as_bytes()], "b\\195\\188cher."),
            (vec![], "."),
        ] {
            assert_eq!(present(&RData::NS(NS(name(&labels)))), wanted);
        }
        assert_eq!(present(&RData::MX(MX::new(0, Name::root()))), "0 .");
    }

    #[test]
    fn service_bindings_as_the_rfc_writes_them() {
        let params = vec![
            (SvcParamKey::Mandatory, SvcParamValue::Mandatory(Mandatory(vec![SvcParamKey::Alpn, SvcParamKey::Port]))),
            (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(vec!["h2".into(), "h3\u{1b}".into()]))),
            (SvcParamKey::NoDefaultAlpn, SvcParamValue::NoDefaultAlpn),
            (SvcParamKey::Port, SvcParamValue::Port(8443)),
            (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1), A::new(192, 0, 2, 2)]))),
            (SvcParamKey::EchConfigList, SvcParamValue::EchConfigList(EchConfigList(vec![1, 2, 3]))),
            (SvcParamKey::Unknown(999), SvcParamValue::Unknown(Unknown(b"a\" \xff".to_vec()))),
        ];
        let svcb = SVCB::new(1, Name::from_ascii("Front.Example.").unwrap(), params);
        assert_eq!(
            present(&RData::HTTPS(HTTPS(svcb))),
            "1 front.example. mandatory=alpn,port alpn=\"h2,h3\\027\" no-default-alpn port=8443 \
             ipv4hint=192.0.2.1,192.0.2.2 ech=AQID key999=\"a\\\" \\255\""
        );
    }

    #[test]
    fn a_text_longer_than_ours_is_whole() {
        let mut caa = CAA::new_issue(false, None, Vec::new());
        caa.value = vec![b'x'; 60_000];
        assert_eq!(present(&RData::CAA(caa)).len(), "0 issue \"\"".len() + 60_000);
    }
}
