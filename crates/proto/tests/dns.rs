//! Which DNS answers are believed, under a pure-Rust suite, with every lie that a vantage point or somebody on the way
//! could try.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use parallax_core::{DnsSet, Dnssec, RecordKind, Timestamp, VantageId};
use parallax_proto::{
    BadSignature, DNS_FORMAT, DnsQuestion, DnsReply, DnsReplyError, Expected, LARGEST_DNS_REPLY, Signed, StatementKey,
};

use support::{PureRust, Statement};

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const ME: VantageId = VantageId::from_bytes([1; 32]);

fn key() -> Statement {
    Statement(ed25519_dalek::SigningKey::from_bytes(&[7; 32]))
}

fn question() -> DnsQuestion {
    let kinds = [RecordKind::Mx, RecordKind::Txt].into();
    DnsQuestion { name: "example.com".parse().unwrap(), kinds, nonce: Some("once & only".into()) }
}

fn set(records: &[&str]) -> DnsSet {
    let records = records.iter().map(|record| (*record).to_owned()).collect();
    DnsSet::answered("NOERROR".into(), records, Some(300), Dnssec::Insecure)
}

fn reply() -> DnsReply {
    DnsReply {
        format: DNS_FORMAT.into(),
        vantage: ME,
        region: Some("eu-west".into()),
        name: question().name,
        nonce: question().nonce,
        issued_at: NOW,
        valid_until: NOW.plus(Duration::from_secs(300)),
        answers: BTreeMap::from([
            (RecordKind::Mx, set(&["10 mail.example.com."])),
            (RecordKind::Txt, DnsSet::failed("SERVFAIL".into(), Dnssec::Bogus)),
        ]),
    }
}

fn verify_at(signed: Signed, now: Timestamp) -> Result<DnsReply, DnsReplyError> {
    let (question, statement_key) = (question(), StatementKey::from_bytes(key().0.verifying_key().to_bytes()));
    let expected = Expected { vantage: ME, statement_key, question: &question, now };
    DnsReply::verify(&PureRust, &expected, signed).map(|reply| reply.into_content())
}

fn verify(change: impl FnOnce(&mut DnsReply)) -> Result<DnsReply, DnsReplyError> {
    let mut reply = reply();
    change(&mut reply);
    verify_at(reply.sign(&key()).unwrap(), NOW)
}

#[test]
fn an_honest_answer_is_believed_and_round_trips() {
    assert_eq!(verify(|_| {}).unwrap(), reply());
    let text = serde_json::to_value(reply()).unwrap();
    assert_eq!(text["answers"]["MX"]["records"][0], "10 mail.example.com.");
    assert!(text["answers"]["MX"].get("cut").is_none());
    assert_eq!(question().to_path(), "/v1/dns?name=example.com&types=MX,TXT&nonce=once%20%26%20only");
}

#[test]
fn an_answer_to_anything_else_is_dropped() {
    use DnsReplyError as E;
    assert!(matches!(verify(|reply| reply.format = "parallax-view/1".into()), Err(E::Format(_))));
    assert!(matches!(verify(|reply| reply.name = "other.example".parse().unwrap()), Err(E::Name { .. })));
    assert!(matches!(verify(|reply| reply.nonce = Some("twice".into())), Err(E::Nonce)));
    assert!(matches!(verify(|reply| reply.nonce = None), Err(E::Nonce)));
    let fewer = verify(|reply| drop(reply.answers.remove(&RecordKind::Txt))).unwrap_err();
    assert_eq!(fewer.to_string(), "the DNS answer holds the types MX, not MX,TXT");
    let more = verify(|reply| drop(reply.answers.insert(RecordKind::A, set(&["192.0.2.1"]))));
    assert!(matches!(more, Err(E::Kinds { .. })));
    // The signature names the vantage point too: another one is noticed there.
    let other = verify(|reply| reply.vantage = VantageId::from_bytes([2; 32]));
    assert!(matches!(other, Err(E::Signature(_))), "{other:?}");
}

#[test]
fn a_tampered_or_foreign_answer_is_dropped() {
    let good = reply().sign(&key()).unwrap();
    for (from, to) in [("mail.example", "evil.example"), ("SERVFAIL", "NXDOMAIN"), ("300,", "900,")] {
        let body = good.body.replacen(from, to, 1);
        assert_ne!(body, good.body, "{from}");
        let error = verify_at(Signed { body, ..good.clone() }, NOW).unwrap_err();
        assert_eq!(error, DnsReplyError::Signature(BadSignature::Mismatch), "{from}");
    }
    let other = Statement(ed25519_dalek::SigningKey::from_bytes(&[8; 32]));
    let error = verify_at(reply().sign(&other).unwrap(), NOW).unwrap_err();
    assert_eq!(error, DnsReplyError::Signature(BadSignature::Mismatch));
    for signature in ["", "..", "a..b"] {
        let signed = Signed { signature: signature.into(), ..good.clone() };
        assert!(matches!(verify_at(signed, NOW), Err(DnsReplyError::Signature(_))), "{signature}");
    }
    let large = Signed { body: "x".repeat(LARGEST_DNS_REPLY + 1), ..good };
    assert!(matches!(verify_at(large, NOW), Err(DnsReplyError::Malformed(_))));
}

#[test]
fn an_answer_counts_for_five_minutes() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let signed = || reply().sign(&key()).unwrap();
    for (now, counts) in [
        (NOW, true),
        (NOW.plus(minutes(7)), true),
        (NOW.plus(minutes(8)), false),
        (NOW.minus(minutes(2)), true),
        (NOW.minus(minutes(3)), false),
    ] {
        assert_eq!(verify_at(signed(), now).is_ok(), counts, "{now}");
    }
    let long = verify(|reply| reply.valid_until = NOW.plus(Duration::from_secs(301)));
    assert_eq!(long, Err(DnsReplyError::TooLong));
}

#[test]
fn an_answer_that_contradicts_itself_is_dropped() {
    type Change = fn(&mut DnsSet);
    let changes: [(&str, Change); 12] = [
        ("no order", |set| set.records = vec!["2".into(), "1".into()]),
        ("twice", |set| set.records = vec!["1".into(), "1".into()]),
        ("empty", |set| set.records = vec![String::new()]),
        ("control", |set| set.records = vec!["\u{1b}[2J".into()]),
        ("not ASCII", |set| set.records = vec!["\u{202e}".into()]),
        ("records of a failure", |set| set.rcode = "SERVFAIL".into()),
        ("records that are bogus", |set| set.dnssec = Dnssec::Bogus),
        ("no time to live", |set| set.min_ttl = None),
        ("a time to live of nothing", |set| set.records.clear()),
        ("a code that is none", |set| set.rcode = "no error\n".into()),
        ("too many", |set| set.records = (0..1001).map(|n| format!("{n:04}")).collect()),
        ("too large", |set| set.records = vec!["x".repeat(97 * 1024)]),
    ];
    for (name, change) in changes {
        let error = verify(|reply| change(reply.answers.get_mut(&RecordKind::Mx).unwrap())).unwrap_err();
        assert!(matches!(error, DnsReplyError::Malformed(_)), "{name}: {error}");
    }
    assert!(verify(|reply| reply.region = Some("EU West".into())).is_err());
}

#[test]
fn a_cut_answer_says_so_and_the_largest_is_still_read() {
    let many: std::collections::BTreeSet<String> = (0..1200).map(|n| format!("{n:04}")).collect();
    let cut = DnsSet::answered("NOERROR".into(), many, Some(1), Dnssec::Unchecked);
    assert_eq!((cut.records.len(), cut.cut), (1000, true));
    // Backslashes and quotes double in JSON.
    let wide = (0..500).map(|n| format!("{n:03}{}", "\\\"".repeat(500))).collect();
    let wide = DnsSet::answered("NOERROR".into(), wide, Some(1), Dnssec::Unchecked);
    assert!(wide.cut && !wide.records.is_empty());
    for set in [cut, wide] {
        assert!(serde_json::to_string(&set).unwrap().len() < 96 * 1024 + 256);
        assert_eq!(verify(|reply| drop(reply.answers.insert(RecordKind::Mx, set.clone()))).unwrap().answers.len(), 2);
    }
    let all = DnsSet::answered("NOERROR".into(), ["x".repeat(100 * 1024)].into(), Some(1), Dnssec::Unchecked);
    assert!(all.records.is_empty() && all.cut && all.is_coherent().is_ok());
}
