//! What is believed and what is not: descriptors and views under a pure-Rust suite, with every lie an attacker on the
//! way, or a vantage point itself, could try.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parallax_core::{
    CaId, DnsAnswers, Fingerprint, HostKey, HostKeyKind, Md5Fingerprint, Met, Observation, Outcome, PublicCa, Scts,
    ServiceId, Signer, Starttls, Suite, Timespan, Timestamp, VantageId,
};
use parallax_proto::{
    BadSignature, Descriptor, DescriptorError, DnsReply, Expected, Question, Signed, StatementKey, View, ViewError,
    contradiction, history_contradiction, vantage_id,
};

use parallax_proto::mirror::{forgets, is_equivocation};
use support::{CaKey, PureRust, Statement};

/// A vantage point: its CA, its statement key.
struct Vantage {
    id: VantageId,
    ca: CaKey,
    der: Vec<u8>,
    pem: String,
    statement: Statement,
}

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Vantage {
    fn new(seed: u8) -> Self {
        use p256::pkcs8::EncodePrivateKey as _;
        let secret = p256::SecretKey::from_slice(&[seed; 32]).unwrap();
        let pkcs8 = secret.to_pkcs8_der().unwrap();
        let key = rcgen::KeyPair::try_from(pkcs8.as_bytes()).unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&key).unwrap();
        Self {
            id: vantage_id(&PureRust, certificate.der()).unwrap(),
            ca: CaKey(p256::ecdsa::SigningKey::from(&secret)),
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
            statement: Statement(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])),
        }
    }

    fn statement_key(&self) -> StatementKey {
        StatementKey::from_bytes(self.statement.0.verifying_key().to_bytes())
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor {
            format: "parallax-vantage/1".into(),
            vantage: self.id,
            ca: self.pem.clone(),
            statement_key: self.statement_key(),
            addresses: vec!["https://192.0.2.7:8443".into()],
            region: Some("eu-west".into()),
            rir: Some("RIPE".into()),
            domain: None,
            operator: Some("Example".into()),
            version: "0.1.0".into(),
            issued_at: NOW,
            valid_until: NOW.plus(seconds(30 * 86_400)),
        }
    }

    fn view(&self) -> View {
        let met = Met {
            protocol: "TLSv1.3".into(),
            proved: true,
            leaf: print(1),
            leaf_md5: None,
            key: print(2),
            issuer_key: None,
            chain: vec![print(1)],
            path: vec![print(2)],
            names: vec!["example.com".into()],
            not_before: NOW,
            not_after: NOW,
            ca_id: CaId::Key(print(2)),
            public_ca: PublicCa::UnknownIssuer,
            host_keys: Vec::new(),
            scts: None,
        };
        View {
            format: "parallax-view/1".into(),
            vantage: self.id,
            region: Some("eu-west".into()),
            service: service(),
            nonce: Some("once".into()),
            issued_at: NOW,
            valid_until: NOW.plus(seconds(300)),
            dns: DnsAnswers { ca: Some(vec![]), ..Default::default() },
            now: Observation::seen(NOW.minus(seconds(3)), Some("192.0.2.10:443".parse().unwrap()), met),
            history: vec![span(1, 100, 3)],
            kept_since: None,
            authority: vec![],
        }
    }

    fn verify(&self, signed: Signed) -> Result<View, ViewError> {
        self.verify_at(signed, NOW)
    }

    fn verify_at(&self, signed: Signed, now: Timestamp) -> Result<View, ViewError> {
        let question = question();
        let expected = Expected { vantage: self.id, statement_key: self.statement_key(), question: &question, now };
        View::verify(&PureRust, &expected, signed).map(|view| view.into_content())
    }

    fn signed(&self, change: impl FnOnce(&mut View)) -> Signed {
        let mut view = self.view();
        change(&mut view);
        view.sign(&self.statement).unwrap()
    }
}

/// A host key whose blob says no more than its kind.
fn host_key(kind: HostKeyKind) -> HostKey {
    let name = kind.as_str().as_bytes();
    let blob = [&u32::try_from(name.len()).unwrap().to_be_bytes(), name].concat();
    let key = Fingerprint::from_bytes(PureRust.sha256(&blob));
    HostKey { kind, key, md5: Md5Fingerprint::from_bytes([0; 16]), blob }
}

#[test]
fn host_keys_of_an_ssh_view_are_what_they_say() {
    let vantage = Vantage::new(7);
    let service: ServiceId = "ssh://example.com".parse().unwrap();
    let verify = |change: &dyn Fn(&mut Met)| {
        let signed = vantage.signed(|view| {
            view.service = service.clone();
            let met = view.now.met.as_mut().unwrap();
            met.host_keys = vec![host_key(HostKeyKind::Ed25519), host_key(HostKeyKind::Rsa)];
            *met = met.by_host_key(&host_key(HostKeyKind::Ed25519));
            change(met);
        });
        let question = Question { service: service.clone(), ..question() };
        let expected =
            Expected { vantage: vantage.id, statement_key: vantage.statement_key(), question: &question, now: NOW };
        View::verify(&PureRust, &expected, signed).map(|view| view.into_content())
    };
    let good = verify(&|_| {}).unwrap();
    assert_eq!(good.now.met.unwrap().host_keys.len(), 2);
    let changes: [&dyn Fn(&mut Met); 6] = [
        &|met| met.host_keys.clear(),
        &|met| met.host_keys.reverse(),
        &|met| met.host_keys[1] = met.host_keys[0].clone(),
        &|met| met.host_keys[1].key = print(9),
        &|met| met.host_keys[1].blob.push(1),
        &|met| met.host_keys[1].blob = vec![0; 3000],
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let error = verify(change).unwrap_err();
        assert!(matches!(error, ViewError::Malformed(_)), "{index}: {error}");
    }
    let tls = vantage.signed(|view| view.now.met.as_mut().unwrap().host_keys = vec![host_key(HostKeyKind::Rsa)]);
    assert!(matches!(vantage.verify(tls), Err(ViewError::Malformed(_))), "a certificate has no host keys");
}

/// What is said of an upgrade to TLS must fit the service and the rest of the look; a view that says nothing of it is one
/// of before.
#[test]
fn an_upgrade_to_tls_fits_the_rest_of_the_view() {
    let vantage = Vantage::new(7);
    for (service, starttls, seen, sound) in [
        ("smtp://example.com", None, true, true),
        ("smtp://example.com", Some(Starttls::Offered), true, true),
        ("smtp://example.com", Some(Starttls::NotOffered), true, false),
        ("smtp://example.com", Some(Starttls::Refused), true, false),
        ("smtp://example.com", Some(Starttls::NotOffered), false, true),
        ("smtp://example.com", Some(Starttls::Offered), false, true),
        ("smtp://example.com", None, false, true),
        ("tls://example.com", Some(Starttls::Offered), true, false),
        ("tls://example.com", Some(Starttls::NotOffered), false, false),
        ("ssh://example.com", Some(Starttls::NotOffered), false, false),
    ] {
        let service: ServiceId = service.parse().unwrap();
        let signed = vantage.signed(|view| {
            view.service = service.clone();
            if !seen {
                view.now = Observation::failed(view.now.at, view.now.address, Outcome::NotTls);
            }
            view.now.starttls = starttls;
        });
        let question = Question { service: service.clone(), ..question() };
        let expected =
            Expected { vantage: vantage.id, statement_key: vantage.statement_key(), question: &question, now: NOW };
        let read = View::verify(&PureRust, &expected, signed);
        assert_eq!(read.is_ok(), sound, "{service} {starttls:?}: {:?}", read.err());
    }
}

fn print(n: u8) -> Fingerprint {
    Fingerprint::from_bytes([n; 32])
}

fn service() -> ServiceId {
    "example.com".parse().unwrap()
}

fn question() -> Question {
    Question { nonce: Some("once".into()), ..Question::about(service()) }
}

fn span(leaf: u8, from: u64, to: u64) -> Timespan {
    Timespan {
        key: print(2),
        leaf: print(leaf),
        leaf_md5: None,
        issuer_key: None,
        ca_id: CaId::Key(print(2)),
        networks: vec![],
        proved: true,
        first_seen: NOW.minus(seconds(from)),
        last_seen: NOW.minus(seconds(to)),
    }
}

#[test]
fn an_honest_view_is_believed_and_round_trips() {
    let vantage = Vantage::new(7);
    let view = vantage.verify(vantage.signed(|_| {})).unwrap();
    assert_eq!(view, vantage.view());
    let text = serde_json::to_value(&view).unwrap();
    assert_eq!(text["now"]["outcome"], "seen");
    assert_eq!(text["now"]["proved"], true);
    assert_eq!(text["now"]["ca_id"], format!("key:{}", print(2)));
    assert_eq!(text["service"], "tls://example.com:443");
}

#[test]
fn the_header_is_the_one_that_is_documented() {
    let vantage = Vantage::new(7);
    let signed = vantage.signed(|_| {});
    let (header, rest) = signed.signature.split_once('.').unwrap();
    assert!(rest.starts_with('.'), "detached: {rest}");
    let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(header, format!(r#"{{"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"{}"}}"#, vantage.id));
}

/// The same signature under another header, signed anew, so that only the header is wrong.
fn with_header(vantage: &Vantage, body: &str, header: &str) -> Signed {
    let header = URL_SAFE_NO_PAD.encode(header);
    let signature = vantage.statement.sign(format!("{header}.{body}").as_bytes()).unwrap();
    Signed { body: body.into(), signature: format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature)) }
}

#[test]
fn headers() {
    let vantage = Vantage::new(7);
    let body = vantage.signed(|_| {}).body;
    let id = vantage.id;
    let other = VantageId::from_bytes([9; 32]);
    for (header, accepted) in [
        (format!(r#"{{"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"{id}"}}"#), true),
        (format!(r#"{{"alg":"Ed25519","b64":false,"crit":["b64"],"kid":"{id}"}}"#), true),
        (format!(r#"{{"kid":"{id}","crit":["b64"],"b64":false,"alg":"EdDSA","typ":"x"}}"#), true),
        (format!(r#"{{"alg":"none","b64":false,"crit":["b64"],"kid":"{id}"}}"#), false),
        (format!(r#"{{"alg":"ES256","b64":false,"crit":["b64"],"kid":"{id}"}}"#), false),
        (format!(r#"{{"alg":"HS256","b64":false,"crit":["b64"],"kid":"{id}"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","b64":true,"crit":["b64"],"kid":"{id}"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","crit":["b64"],"kid":"{id}"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","b64":false,"crit":["b64","exp"],"kid":"{id}"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","b64":false,"crit":[],"kid":"{id}"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"{other}"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","alg":"EdDSA","b64":false,"crit":["b64"],"kid":"{id}"}}"#), false),
        ("{}".into(), false),
        ("[]".into(), false),
    ] {
        assert_eq!(vantage.verify(with_header(&vantage, &body, &header)).is_ok(), accepted, "{header}");
    }
}

#[test]
fn what_is_no_detached_signature() {
    let vantage = Vantage::new(7);
    let good = vantage.signed(|_| {});
    let (header, signature) = good.signature.split_once("..").unwrap();
    let embedded = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(&good.body));
    for jws in [
        "",
        ".",
        "..",
        "a..b",
        header,
        &embedded,
        &format!("{header}..{signature}."),
        &format!("{header}..{signature}=="),
        &"a".repeat(9000),
    ] {
        let error = vantage.verify(Signed { signature: jws.into(), ..good.clone() }).unwrap_err();
        assert!(matches!(error, ViewError::Signature(_)), "{jws}: {error}");
    }
}

#[test]
fn a_tampered_body_is_dropped() {
    let vantage = Vantage::new(7);
    let good = vantage.signed(|_| {});
    let mut refused = 0;
    for index in (0..good.body.len()).step_by(9) {
        let mut bytes = good.body.clone().into_bytes();
        bytes[index] ^= 1;
        if let Ok(body) = String::from_utf8(bytes) {
            let error = vantage.verify(Signed { body, ..good.clone() }).unwrap_err();
            assert_eq!(error, ViewError::Signature(BadSignature::Mismatch));
            refused += 1;
        }
    }
    assert!(refused > 100);
}

#[test]
fn another_vantage_points_signature_is_dropped() {
    let (vantage, other) = (Vantage::new(7), Vantage::new(8));
    assert!(matches!(vantage.verify(other.signed(|_| {})), Err(ViewError::Signature(BadSignature::Signer { .. }))));
    // The right id over the wrong key.
    let mut forged = other.view();
    forged.vantage = vantage.id;
    assert!(matches!(
        vantage.verify(forged.sign(&other.statement).unwrap()),
        Err(ViewError::Signature(BadSignature::Mismatch))
    ));
    // The right key over the wrong id: one node must not speak for another that it shares a key with.
    let mut borrowed = vantage.view();
    borrowed.vantage = other.id;
    let body = serde_json::to_string(&borrowed).unwrap();
    let header = format!(r#"{{"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"{}"}}"#, vantage.id);
    assert!(matches!(vantage.verify(with_header(&vantage, &body, &header)), Err(ViewError::Vantage { .. })));
}

#[test]
fn views_that_answer_something_else() {
    let vantage = Vantage::new(7);
    let refused = |change: fn(&mut View)| vantage.verify(vantage.signed(change)).unwrap_err();
    assert!(matches!(refused(|view| view.service = "example.org".parse().unwrap()), ViewError::Service { .. }));
    assert!(matches!(refused(|view| view.service = "example.com:8443".parse().unwrap()), ViewError::Service { .. }));
    assert_eq!(refused(|view| view.nonce = Some("twice".into())), ViewError::Nonce);
    assert_eq!(refused(|view| view.nonce = None), ViewError::Nonce);
    assert!(matches!(refused(|view| view.format = "parallax-dns/1".into()), ViewError::Format(_)));
    assert!(matches!(refused(|view| view.now.at = NOW.minus(seconds(100_000))), ViewError::Stale { .. }));
}

#[test]
fn views_out_of_time() {
    let vantage = Vantage::new(7);
    let signed = vantage.signed(|_| {});
    assert!(vantage.verify_at(signed.clone(), NOW.plus(seconds(300))).is_ok());
    assert!(vantage.verify_at(signed.clone(), NOW.plus(seconds(419))).is_ok(), "two minutes of skew");
    assert!(matches!(vantage.verify_at(signed.clone(), NOW.plus(seconds(421))), Err(ViewError::NotCurrent { .. })));
    assert!(matches!(vantage.verify_at(signed, NOW.minus(seconds(121))), Err(ViewError::NotCurrent { .. })));
    let long = vantage.signed(|view| view.valid_until = NOW.plus(seconds(301)));
    assert_eq!(vantage.verify(long), Err(ViewError::TooLong));
}

#[test]
fn a_dictated_address_must_be_the_one_that_was_dictated() {
    let vantage = Vantage::new(7);
    let asked = |address: &str| {
        let question = Question { address: Some(address.parse().unwrap()), ..question() };
        let expected =
            Expected { vantage: vantage.id, statement_key: vantage.statement_key(), question: &question, now: NOW };
        View::verify(&PureRust, &expected, vantage.signed(|_| {})).map(|_| ())
    };
    assert_eq!(asked("192.0.2.10"), Ok(()));
    assert_eq!(asked("::ffff:192.0.2.10"), Ok(()));
    assert!(matches!(asked("192.0.2.11"), Err(ViewError::Address { .. })));
}

#[test]
fn views_that_contradict_themselves() {
    let vantage = Vantage::new(7);
    let changes: [fn(&mut View); 12] = [
        |view| view.dns.ignored = vec![String::new(); 9],
        |view| view.now.met = None,
        |view| view.now.outcome = Outcome::Timeout,
        |view| view.now.address = None,
        |view| view.now.met.as_mut().unwrap().chain.clear(),
        |view| view.now.met.as_mut().unwrap().scts = Some(Scts { valid: 1, ..Scts::default() }),
        |view| view.now.at = NOW.plus(seconds(5)),
        |view| view.region = Some("\u{1b}[31m".into()),
        |view| view.history = (0..65).map(|leaf| span(leaf, 10, 5)).collect(),
        |view| view.history = vec![span(1, 5, 10)],
        |view| view.history[0].last_seen = NOW.plus(seconds(60)),
        |view| view.history[0].networks = (0..9).map(|n| format!("10.{n}.0.0/16").parse().unwrap()).collect(),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let error = vantage.verify(vantage.signed(change)).unwrap_err();
        assert!(matches!(error, ViewError::Malformed(_)), "{index}: {error}");
    }
    let large = vantage.signed(|view| view.now.met.as_mut().unwrap().names = vec!["a".repeat(1000); 300]);
    assert!(matches!(vantage.verify(large), Err(ViewError::Malformed(_))));
}

#[test]
fn one_kind_of_document_is_not_another() {
    let vantage = Vantage::new(7);
    let reply = DnsReply {
        format: "parallax-dns/1".into(),
        vantage: vantage.id,
        region: None,
        name: "example.com".parse().unwrap(),
        nonce: None,
        issued_at: NOW,
        valid_until: NOW,
        answers: Default::default(),
    };
    assert!(vantage.verify(reply.sign(&vantage.statement).unwrap()).is_err());
    let view = vantage.signed(|_| {});
    assert!(Descriptor::verify(&PureRust, vantage.id, view, NOW).is_err());
}

#[test]
fn an_honest_descriptor_is_believed() {
    let vantage = Vantage::new(7);
    let signed = vantage.descriptor().sign(&vantage.ca, &vantage.der).unwrap();
    let verified = Descriptor::verify(&PureRust, vantage.id, signed.clone(), NOW).unwrap();
    assert_eq!(verified.content(), &vantage.descriptor());
    assert_eq!(verified.signed(), &signed);
}

#[test]
fn descriptors_that_lie() {
    let (vantage, other) = (Vantage::new(7), Vantage::new(8));
    let refused = |signed: Signed| Descriptor::verify(&PureRust, vantage.id, signed, NOW).unwrap_err();
    let changed = |change: fn(&mut Descriptor)| {
        let mut descriptor = vantage.descriptor();
        change(&mut descriptor);
        refused(descriptor.sign(&vantage.ca, &vantage.der).unwrap())
    };
    assert!(matches!(changed(|it| it.format = "parallax-view/1".into()), DescriptorError::Format(_)));
    assert!(matches!(
        changed(|it| it.vantage = VantageId::from_bytes([1; 32])),
        DescriptorError::Signature(BadSignature::Signer { .. })
    ));
    assert_eq!(changed(|it| it.valid_until = it.valid_until.plus(seconds(1))), DescriptorError::TooLong);
    assert!(matches!(changed(|it| it.issued_at = NOW.plus(seconds(200))), DescriptorError::NotCurrent { .. }));
    assert!(matches!(changed(|it| it.region = Some("EU West".into())), DescriptorError::Malformed(_)));
    assert!(matches!(changed(|it| it.rir = Some("MARS".into())), DescriptorError::Malformed(_)));
    assert!(matches!(changed(|it| it.ca = "no certificate".into()), DescriptorError::Malformed(_)));
    // Another's CA, as certificate, as signer, or both.
    assert!(matches!(
        refused(other.descriptor().sign(&other.ca, &other.der).unwrap()),
        DescriptorError::Vantage { .. }
    ));
    assert!(matches!(
        refused(vantage.descriptor().sign(&other.ca, &vantage.der).unwrap()),
        DescriptorError::Signature(BadSignature::Mismatch)
    ));
    let mut mixed = vantage.descriptor();
    mixed.ca = other.pem.clone();
    assert!(matches!(refused(mixed.sign(&vantage.ca, &vantage.der).unwrap()), DescriptorError::Vantage { .. }));
    // Tampered.
    let mut signed = vantage.descriptor().sign(&vantage.ca, &vantage.der).unwrap();
    signed.body = signed.body.replace("eu-west", "us-east");
    assert!(matches!(refused(signed), DescriptorError::Signature(BadSignature::Mismatch)));
}

#[test]
fn x5c_is_exactly_one_certificate_in_plain_base64() {
    let vantage = Vantage::new(7);
    let body = serde_json::to_string(&vantage.descriptor()).unwrap();
    let one = STANDARD.encode(&vantage.der);
    let verify = |x5c: &str| {
        let header = format!(r#"{{"alg":"ES256","b64":false,"crit":["b64"],"kid":"{}"{x5c}}}"#, vantage.id);
        let header = URL_SAFE_NO_PAD.encode(header);
        let signature = vantage.ca.sign(format!("{header}.{body}").as_bytes()).unwrap();
        let signature = format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature));
        Descriptor::verify(&PureRust, vantage.id, Signed { body: body.clone(), signature }, NOW).is_ok()
    };
    assert!(verify(&format!(r#","x5c":["{one}"]"#)));
    assert!(!verify(""));
    assert!(!verify(r#","x5c":[]"#));
    assert!(!verify(&format!(r#","x5c":["{one}","{one}"]"#)));
    assert!(!verify(&format!(r#","x5c":["{}"]"#, URL_SAFE_NO_PAD.encode([0xff; 40]))));
}

#[test]
fn contradictions() {
    let vantage = Vantage::new(7);
    let verified = |change: &dyn Fn(&mut View)| {
        let question = question();
        let expected =
            Expected { vantage: vantage.id, statement_key: vantage.statement_key(), question: &question, now: NOW };
        View::verify(&PureRust, &expected, vantage.signed(change)).unwrap()
    };
    let later = |view: &mut View| {
        view.issued_at = NOW.plus(seconds(60));
        view.valid_until = NOW.plus(seconds(360));
    };
    let first = verified(&|_| {});
    assert_eq!(contradiction(&first, &verified(&|_| {})), None);
    assert_eq!(contradiction(&first, &verified(&later)), None);
    let other_key = verified(&|view| view.now.met.as_mut().unwrap().key = print(9));
    let found = contradiction(&first, &other_key).expect("two looks in one millisecond");
    assert!(found.what.contains("one millisecond"));
    assert_eq!(history_contradiction(&first, &other_key), None);
    let moved = verified(&|view| {
        view.now.at = NOW.minus(seconds(2));
        view.now.met.as_mut().unwrap().key = print(9);
    });
    assert_eq!(contradiction(&first, &moved), None, "another moment of a rotating site");
    for shrink in [
        |view: &mut View| view.history.clear(),
        |view: &mut View| view.history[0].first_seen = NOW.minus(seconds(50)),
        |view: &mut View| {
            view.history[0].last_seen = NOW.minus(seconds(20));
        },
    ] {
        let shrunk = verified(&|view| {
            later(view);
            shrink(view);
        });
        let found = contradiction(&shrunk, &first).expect("shrunk");
        assert_eq!((&found.earlier, &found.later), (first.signed(), shrunk.signed()));
        assert_eq!(contradiction(&verified(&|view| shrink(view)), &first), None, "signed side by side");
    }
    let grown = verified(&|view| {
        later(view);
        view.history[0].last_seen = NOW;
        view.history.push(span(5, 10, 1));
    });
    assert_eq!(contradiction(&first, &grown), None);
    // A full history may drop what was held shortest.
    let crowded = verified(&|view| {
        later(view);
        view.history = (10..74).map(|leaf| span(leaf, 1000, 1)).collect();
    });
    assert_eq!(contradiction(&first, &crowded), None);
}

#[test]
fn row_16_an_operator_may_have_everything_forgotten_but_nobody_may_choose_what() {
    let vantage = Vantage::new(7);
    let verified = |issued: u64, change: &dyn Fn(&mut View)| {
        let question = Question { max_age: seconds(86_400), ..question() };
        let now = NOW.plus(seconds(issued));
        let expected =
            Expected { vantage: vantage.id, statement_key: vantage.statement_key(), question: &question, now };
        let signed = vantage.signed(|view| {
            (view.issued_at, view.valid_until) = (now, now.plus(seconds(300)));
            change(view);
        });
        View::verify(&PureRust, &expected, signed).unwrap()
    };
    let first = verified(0, &|_| {});
    // The operator has the service forgotten a minute later; the next look opens a history of its own.
    let mark = NOW.plus(seconds(60));
    let anew = |view: &mut View| {
        view.now.at = NOW.plus(seconds(90));
        view.history = vec![Timespan { first_seen: view.now.at, last_seen: view.now.at, ..span(1, 0, 0) }];
    };
    let unmarked = verified(100, &anew);
    assert!(contradiction(&first, &unmarked).is_some() && is_equivocation(&first, &unmarked));
    assert_eq!(forgets(&first, &unmarked), None);
    let marked = verified(100, &|view| {
        anew(view);
        view.kept_since = Some(mark);
    });
    assert_eq!(contradiction(&first, &marked), None);
    assert!(!is_equivocation(&first, &marked) && !is_equivocation(&marked, &first));
    assert_eq!(forgets(&first, &marked), Some(mark));
    // A mark explains nothing that was signed after it.
    let after = verified(200, &|view| {
        anew(view);
        view.kept_since = Some(mark);
        view.history[0].leaf = print(9);
    });
    assert!(is_equivocation(&marked, &after));
    // Nor does it where an older history is still told: that would be a choice.
    let chosen = verified(100, &|view| {
        anew(view);
        view.kept_since = Some(mark);
        view.history.push(span(5, 1_000, 500));
    });
    assert!(is_equivocation(&first, &chosen));
    assert_eq!(forgets(&first, &chosen), None);
    // A look that was under way when the mark was made, and what was imported since, is no choice.
    let late = verified(100, &|view| {
        anew(view);
        view.kept_since = Some(view.now.at.plus(seconds(10)));
        view.history.push(Timespan { proved: false, ..span(5, 1_000, 500) });
    });
    assert!(!is_equivocation(&first, &late));
    // Nobody keeps what is yet to come.
    let ahead = vantage.signed(|view| view.kept_since = Some(NOW.plus(seconds(600))));
    assert!(vantage.verify(ahead).unwrap_err().to_string().contains("after the signature"));
}

#[test]
fn questions_become_paths() {
    let mut question = Question::about("[2001:db8::1]:8443".parse().unwrap());
    question.nonce = Some("a b&c".into());
    question.address = Some("192.0.2.1".parse().unwrap());
    assert_eq!(
        question.to_path(),
        "/v1/view?service=tls:%2F%2F%5B2001:db8::1%5D:8443&max_age=86400&wait=5&address=192.0.2.1&nonce=a%20b%26c"
    );
}

proptest::proptest! {
    #[test]
    fn no_signature_or_body_panics(body in ".{0,200}", signature in ".{0,200}") {
        let vantage = Vantage::new(7);
        let signed = Signed { body, signature };
        proptest::prop_assert!(vantage.verify(signed.clone()).is_err());
        proptest::prop_assert!(Descriptor::verify(&PureRust, vantage.id, signed, NOW).is_err());
    }
}
