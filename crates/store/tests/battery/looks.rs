//! Looks, made up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use parallax_core::{
    CaId, DnsAnswers, Fingerprint, Look, Md5Fingerprint, Met, Observation, Outcome, PublicCa, Scts, ServiceId,
    Timestamp, Tlsa,
};

pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) fn service(name: &str) -> ServiceId {
    name.parse().unwrap()
}

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

pub(crate) fn print(number: u32) -> Fingerprint {
    let mut bytes = [0xa5; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Fingerprint::from_bytes(bytes)
}

/// A look that proves the certificate number `leaf`, with everything in it that can be stored.
pub(crate) fn look(leaf: u32, ms: i64) -> Look {
    let met = Met {
        protocol: "TLSv1.3".into(),
        proved: true,
        leaf: print(leaf),
        leaf_md5: Some(Md5Fingerprint::from_bytes([7; 16])),
        key: print(leaf ^ 0x8000_0000),
        issuer_key: Some(print(1_000_000)),
        chain: vec![print(leaf), print(1_000_000)],
        path: vec![print(leaf)],
        names: vec!["example.com".into(), "*.example.com".into()],
        not_before: at(-DAY),
        not_after: at(90 * DAY),
        ca_id: CaId::Organisation("Example'); DROP TABLE timespans; --".into()),
        public_ca: PublicCa::Valid,
        host_keys: Vec::new(),
        scts: Some(Scts { valid: 1, operators: 1, oldest: Some(at(-DAY)), newest: Some(at(0)), ..Scts::default() }),
    };
    let dns = DnsAnswers {
        a: Some(vec![Ipv4Addr::new(192, 0, 2, 10)]),
        aaaa: None,
        ca: Some(vec![print(1_000_000)]),
        tlsa: Some(vec![Tlsa { usage: 3, selector: 1, matching: 1, data: print(leaf).as_bytes().to_vec() }]),
        caa: Some(vec!["0 issue \"example.net\"".into()]),
        dnssec: parallax_core::Dnssec::Secure,
        ignored: vec!["_ca-auth.example.com: x".into()],
        record_ttl_secs: Some(60),
    };
    let address = Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), 443));
    Look { dns, now: Observation::seen(at(ms), address, met) }
}

/// The same without a record, for histories in which only the spans matter.
pub(crate) fn bare(leaf: u32, ms: i64) -> Look {
    let mut look = look(leaf, ms);
    look.dns = DnsAnswers::default();
    look
}

pub(crate) fn failed(outcome: Outcome, ms: i64) -> Look {
    Look { dns: DnsAnswers::default(), now: Observation::failed(at(ms), None, outcome) }
}
