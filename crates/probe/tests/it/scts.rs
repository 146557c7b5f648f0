//! What logs of Certificate Transparency say of a certificate, and what nobody else can make them say.

use std::sync::LazyLock;
use std::time::Duration;

use parallax_core::{Fingerprint, Met, Scts, Timestamp};
use parallax_probe::{BadLogList, BadSct, CtLogs, Logged, ProbeSettings, Roots, count_scts, judge_chain, judge_scts};
use proptest::prelude::*;
use rcgen::{CustomExtension, PublicKeyData as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::support::{
    Ca, CtLog, Entry, base64, key, known, leaf_params, log_list, look_at, ocsp, octets, roots_of, sct_list, service,
    settings, sized, tls_config, tls_config_stapled, tls_server,
};

type Der = CertificateDer<'static>;

/// Makes the value of the extension.
type Make<'a> = &'a dyn Fn(&Entry) -> Vec<u8>;

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    moment("2026-06-01T00:00:00Z")
}

fn may() -> Timestamp {
    moment("2026-05-01T00:00:00.123Z")
}

/// The one list in the extension's form.
fn value(scts: &[Vec<u8>]) -> Vec<u8> {
    octets(&sct_list(scts))
}

/// As a look judges: by the key that signed the leaf.
fn judge(chain: &[Der], roots: &Roots, logs: &CtLogs) -> Vec<Result<Logged, BadSct>> {
    let facts = judge_chain(chain, &service("site.test"), roots, now()).unwrap();
    judge_scts(&chain[0], facts.signer(), b"", logs, now())
}

fn counted(chain: &[Der], logs: &CtLogs) -> Scts {
    count_scts(&judge(chain, &Roots::None, logs))
}

/// What a certificate with this extension is told of by one log.
fn told(ca: &Ca, log: &CtLog, value: impl FnOnce(&Entry) -> Vec<u8>) -> Vec<Result<Logged, BadSct>> {
    judge(&[ca.logged(value).0, ca.der()], &Roots::None, &known(&[log]))
}

#[test]
fn what_several_logs_say_is_counted() {
    let ca = Ca::root("Example Trust Services");
    let (one, two, other) = (CtLog::new("Operator A"), CtLog::rsa("Operator A"), CtLog::new("Operator B"));
    let stranger = CtLog::new("Stranger");
    let (march, april) = (moment("2026-03-01T00:00:00Z"), moment("2026-04-01T00:00:00Z"));
    let (leaf, _) = ca.logged(|entry| {
        let of_a = [one.sct(entry, april), two.sct_with(entry, march, b"\0\0\x05\0\0\0\0\x07")];
        let others = [other.sct(entry, may()), one.sct(entry, may()), stranger.sct(entry, march)];
        value(&[&of_a[..], &others].concat())
    });
    let chain = [leaf, ca.der()];
    let scts = counted(&chain, &known(&[&one, &two, &other]));
    let wanted = Scts { valid: 3, operators: 2, oldest: Some(march), newest: Some(may()), unknown: 1, invalid: 0 };
    assert_eq!(scts, wanted);
    assert!(scts.is_coherent(now()));
    assert_eq!(
        counted(&chain, &known(&[&two])),
        Scts { valid: 1, operators: 1, newest: Some(march), unknown: 4, ..wanted }
    );
}

/// A certificate of the real world and the logs that saw it, as they stand in OpenSSL's tests (Apache-2.0).
#[test]
fn a_certificate_that_was_in_use() {
    let chain: Vec<Der> =
        CertificateDer::pem_slice_iter(include_bytes!("../data/ct-chain-2015.pem")).collect::<Result<_, _>>().unwrap();
    let logs = CtLogs::from_json(include_bytes!("../data/ct-logs-2015.json")).unwrap();
    let at = moment("2016-06-01T00:00:00Z");
    let facts = judge_chain(&chain, &service("www.comodo.com"), &Roots::None, at).unwrap();
    let scts = count_scts(&judge_scts(&chain[0], facts.signer(), b"", &logs, at));
    let (oldest, newest) = (moment("2015-12-01T13:31:25.352Z"), moment("2015-12-01T13:31:25.980Z"));
    let wanted = Scts { valid: 3, operators: 2, oldest: Some(oldest), newest: Some(newest), unknown: 0, invalid: 0 };
    assert_eq!(scts, wanted);
}

#[test]
fn a_certificate_without_any() {
    let ca = Ca::root("Own");
    let chain = [ca.issue("site.test").0, ca.der()];
    assert_eq!(counted(&chain, &known(&[&CtLog::new("A")])), Scts::default());
}

#[test]
fn the_issuer_is_whoever_signed_the_leaf() {
    let root = Ca::root("Example Trust Services");
    let between = root.under("Issuing");
    let log = CtLog::new("A");
    let logs = known(&[&log]);
    let (leaf, _) = between.logged(|entry| value(&[log.sct(entry, may())]));
    let holds = |chain: &[Der], roots: &Roots| judge(chain, roots, &logs).iter().all(Result::is_ok);
    assert!(holds(&[leaf.clone(), between.der()], &roots_of(&root)));
    assert!(holds(&[leaf.clone(), root.der(), between.der()], &Roots::None));
    // Not sent, but in the store.
    assert!(holds(std::slice::from_ref(&leaf), &roots_of(&between)));
    // Nowhere: nobody here can say what the log signed.
    let unknown = judge(&[leaf], &roots_of(&root), &logs);
    assert_eq!(unknown, [Err(BadSct::NoIssuer)]);
    assert_eq!(count_scts(&unknown), Scts { unknown: 1, ..Scts::default() });
}

/// RFC 6962 section 3.1: a certificate for this may sign the precertificate in the issuer's place. What the log signs
/// names the issuer's key all the same, so that nothing of it is left in the final certificate.
#[test]
fn who_signed_the_precertificate_does_not_matter() {
    let ca = Ca::root("Example Trust Services");
    let log = CtLog::new("A");
    let by_the_delegate = told(&ca, &log, |entry| {
        let delegate = Entry { issuer: Ca::root("Delegate").key(), ..entry.clone() };
        value(&[log.sct(&delegate, may()), log.sct(entry, may())])
    });
    assert_eq!(by_the_delegate[0], Err(BadSct::Signature { log: log.id() }));
    assert!(by_the_delegate[1].is_ok());
}

#[test]
fn the_extension_may_stand_anywhere_and_alone() {
    let ca = Ca::root("Own");
    let log = CtLog::new("A");
    let mut amid = leaf_params("site.test");
    amid.custom_extensions =
        [1, 2].map(|n| CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 9, n], vec![4, 0])).to_vec();
    let mut large = leaf_params("site.test");
    large.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3, 4], octets(&[7; 60_000]))];
    let mut alone = rcgen::CertificateParams::default();
    alone.use_authority_key_identifier_extension = false;
    for (params, others) in [(amid, 4), (large, 3), (alone, 0)] {
        let (leaf, _) = ca.logged_with(params, |entry| vec![value(&[log.sct(entry, may())])]);
        let extensions = X509Certificate::from_der(&leaf).unwrap().1.extensions().len();
        assert_eq!(extensions, others + 1);
        assert_eq!(counted(&[leaf, ca.der()], &known(&[&log])).valid, 1);
    }
}

#[test]
fn a_broken_sct_has_a_name() {
    let ca = Ca::root("Own");
    let log = CtLog::new("A");
    let id = log.id();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        told(&ca, &log, |entry| {
            let mut sct = log.sct_with(entry, may(), b"x");
            change(&mut sct);
            value(&[sct])
        })
    };
    let flipped = |at: usize| changed(&|sct| sct[at] ^= 1);
    let algorithm = |found| [Err(BadSct::Algorithm { log: id, found, wanted: [4, 3] })];
    assert!(changed(&|_| {})[0].is_ok());
    // Version, log, timestamp, length and content of its extensions, hash, signature's kind, length and content.
    assert_eq!(flipped(0), [Err(BadSct::Version { found: 1 })]);
    assert!(matches!(flipped(1)[..], [Err(BadSct::UnknownLog { .. })]));
    assert_eq!(flipped(40), [Err(BadSct::Signature { log: id })]);
    assert_eq!(flipped(42), [Err(BadSct::Length)]);
    assert_eq!(flipped(43), [Err(BadSct::Signature { log: id })]);
    assert_eq!(flipped(44), algorithm([5, 3]));
    assert_eq!(flipped(45), algorithm([4, 2]));
    assert_eq!(flipped(47), [Err(BadSct::Length)]);
    assert_eq!(flipped(80), [Err(BadSct::Signature { log: id })]);
    assert_eq!(changed(&|sct| sct.push(0)), [Err(BadSct::Length)]);
    assert_eq!(changed(&|sct| sct.truncate(40)), [Err(BadSct::Length)]);
    assert_eq!(changed(&Vec::clear), [Err(BadSct::Length)]);
}

#[test]
fn an_sct_is_for_one_certificate_of_one_issuer_until_now() {
    let ca = Ca::root("Own");
    let log = CtLog::new("A");
    let id = log.id();
    let with = |make: &dyn Fn(&Entry) -> Vec<u8>| told(&ca, &log, |entry| value(&[make(entry)]));
    let other = ca.entry(&leaf_params("site.test"), &key());
    assert_eq!(with(&|_| log.sct(&other, may())), [Err(BadSct::Signature { log: id })]);
    let stranger = Ca::root("Own").key();
    let for_another = |entry: &Entry| log.sct(&Entry { issuer: stranger, ..entry.clone() }, may());
    assert_eq!(with(&for_another), [Err(BadSct::Signature { log: id })]);
    let soon = now().plus(Duration::from_millis(1));
    assert!(with(&|entry| log.sct(entry, now()))[0].is_ok());
    assert_eq!(with(&|entry| log.sct(entry, soon)), [Err(BadSct::Future { log: id, signed_at: soon, now: now() })]);
    let end_of_time = |entry: &Entry| {
        let mut sct = log.sct(entry, may());
        sct[33..41].fill(0xff);
        sct
    };
    assert!(matches!(with(&end_of_time)[..], [Err(BadSct::Future { .. })]));
}

/// A list that can't be read as a whole counts as one SCT that does not hold.
#[test]
fn a_broken_list_has_a_name() {
    let ca = Ca::root("Own");
    let log = CtLog::new("A");
    let list = |entry: &Entry| sct_list(&[log.sct(entry, may())]);
    let tiny = |count| octets(&sct_list(&vec![vec![0; 49]; count]));
    let cases: [(&str, Make<'_>, BadSct); 10] = [
        ("nothing", &|_| Vec::new(), BadSct::NoList),
        ("no octet string", &|entry| list(entry), BadSct::NoList),
        ("something after it", &|entry| [octets(&list(entry)), vec![0]].concat(), BadSct::NoList),
        ("no length", &|_| octets(&[]), BadSct::ListLength),
        ("zero length", &|_| octets(&[0, 0]), BadSct::EmptyList),
        ("cut", &|entry| octets(&list(entry)[..60]), BadSct::ListLength),
        ("too long", &|entry| octets(&[list(entry), vec![0]].concat()), BadSct::ListLength),
        ("cut within", &|_| octets(&sized(&[0, 9, 0])), BadSct::ListLength),
        ("one too many", &|_| tiny(17), BadSct::TooMany { most: 16 }),
        ("a thousand", &|_| tiny(1000), BadSct::TooMany { most: 16 }),
    ];
    for (what, make, wanted) in cases {
        let judged = told(&ca, &log, make);
        assert_eq!(count_scts(&judged), Scts { invalid: 1, ..Scts::default() }, "{what}");
        assert_eq!(judged, [Err(wanted)], "{what}");
    }
    assert_eq!(told(&ca, &log, |_| tiny(16)).len(), 16);
    let twice = |entry: &Entry| vec![value(&[log.sct(entry, may())]); 2];
    let (leaf, _) = ca.logged_with(leaf_params("site.test"), twice);
    assert_eq!(judge_scts(&leaf, Some(ca.key()), b"", &known(&[&log]), now()), [Err(BadSct::TwoLists)]);
}

/// One that can't be read hides no other, and none twice counts for two.
#[test]
fn good_among_bad() {
    let ca = Ca::root("Own");
    let log = CtLog::new("A");
    let judged = told(&ca, &log, |entry| {
        let good = log.sct(entry, may());
        value(&[vec![0; 3], good.clone(), vec![1; 60], good])
    });
    let wanted = Scts { valid: 1, operators: 1, oldest: Some(may()), newest: Some(may()), unknown: 1, invalid: 1 };
    assert_eq!(count_scts(&judged), wanted);
}

#[test]
fn a_retired_log_counts_for_what_it_signed_before() {
    let ca = Ca::root("Own");
    let log = CtLog::new("A");
    let retired = moment("2026-03-01T00:00:00Z");
    let before = moment("2026-02-28T23:59:59.999Z");
    let chain = [ca.logged(|entry| value(&[log.sct(entry, before), log.sct(entry, retired)])).0, ca.der()];
    let in_state = |state: &str| {
        let other = CtLog::new("B");
        let list = log_list(&[(&log, state), (&other, "usable")]).to_string();
        judge(&chain, &Roots::None, &CtLogs::from_json(list.as_bytes()).unwrap())
    };
    let late = Err(BadSct::Retired { log: log.id(), signed_at: retired, retired });
    assert_eq!((in_state("retired")[0].is_ok(), in_state("retired")[1].clone()), (true, late));
    for state in ["", "qualified", "usable", "readonly"] {
        assert!(in_state(state).iter().all(Result::is_ok), "{state}");
    }
    for state in ["pending", "rejected", "of tomorrow"] {
        assert_eq!(in_state(state), vec![Err(BadSct::UnknownLog { log: log.id() }); 2], "{state}");
    }
}

#[test]
fn logs_of_the_newer_interface_count_and_those_for_tests_do_not() {
    let ca = Ca::root("Own");
    let log = CtLog::new("A");
    let chain = [ca.logged(|entry| value(&[log.sct(entry, may())])).0, ca.der()];
    let list = log_list(&[(&log, "usable")]);
    let mut tiled = list.clone();
    let logs = tiled["operators"][0].as_object_mut().unwrap().remove("logs").unwrap();
    tiled["operators"][0]["tiled_logs"] = logs;
    assert_eq!(counted(&chain, &CtLogs::from_json(tiled.to_string().as_bytes()).unwrap()).valid, 1);
    for (kind, counts) in [("prod", true), ("test", false), ("monitoring_only", false)] {
        let mut list = list.clone();
        list["operators"][0]["logs"][0]["log_type"] = kind.into();
        let read = CtLogs::from_json(list.to_string().as_bytes());
        assert_eq!(read.is_ok(), counts, "{kind}");
    }
}

#[test]
fn a_list_of_logs_that_is_none_is_refused_with_a_sentence() {
    let log = CtLog::new("A");
    fn changed(log: &CtLog, field: &str, to: impl Into<serde_json::Value>) -> BadLogList {
        let mut list = log_list(&[(log, "usable")]);
        list["operators"][0]["logs"][0][field] = to.into();
        CtLogs::from_json(list.to_string().as_bytes()).unwrap_err()
    }
    let name = "\"A log\"";
    let other = CtLog::new("B");
    let wanted = BadLogList::Id { log: name.into(), found: other.id().to_string(), wanted: log.id() };
    assert_eq!(changed(&log, "log_id", base64(other.id().as_bytes())), wanted);
    assert!(matches!(changed(&log, "log_id", base64(b"short")), BadLogList::Id { .. }));
    assert!(matches!(changed(&log, "log_id", "*"), BadLogList::Base64 { field: "log_id", .. }));
    assert!(matches!(changed(&log, "key", "*"), BadLogList::Base64 { field: "key", .. }));
    assert!(matches!(changed(&log, "key", base64(&other.spki())), BadLogList::Id { .. }));
    assert!(matches!(changed(&log, "key", 7), BadLogList::Format(_)));
    let when = serde_json::json!({ "timestamp": "2026-03-01T00:00:00Z" });
    assert_eq!(
        changed(&log, "state", serde_json::json!({ "usable": when, "retired": when })),
        BadLogList::States { log: name.into(), found: 2 }
    );
    assert!(matches!(changed(&log, "state", serde_json::json!({ "usable": {} })), BadLogList::Format(_)));
    let refused = |list: serde_json::Value| CtLogs::from_json(list.to_string().as_bytes()).unwrap_err();
    assert_eq!(refused(log_list(&[(&log, "usable"), (&log, "usable")])), BadLogList::Twice { log: name.into() });
    assert_eq!(refused(log_list(&[(&log, "rejected")])), BadLogList::Empty);
    assert_eq!(refused(log_list(&[])), BadLogList::Empty);
    assert!(matches!(CtLogs::from_json(b"<html>"), Err(BadLogList::Format(_))));
    assert!(matches!(CtLogs::from_json(b""), Err(BadLogList::Format(_))));
    assert!(matches!(CtLogs::from_json(&vec![b' '; 5 << 20]), Err(BadLogList::TooLarge(_))));
    let mut red = log_list(&[(&log, "usable")]);
    red["operators"][0]["logs"][0]["description"] = "\u{1b}[31mred".into();
    red["operators"][0]["logs"][0]["key"] = "*".into();
    let error = refused(red).to_string();
    assert_eq!(error, r#"the key of the log "\u{1b}[31mred" is not base64"#);
}

/// The keys that logs have: RFC 6962 section 2.1.4.
#[test]
fn other_kinds_of_keys_are_refused() {
    for kind in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let spki = rcgen::KeyPair::generate_for(kind).unwrap().subject_public_key_info();
        let mut list = log_list(&[(&CtLog::new("A"), "usable")]);
        let listed = &mut list["operators"][0]["logs"][0];
        listed["key"] = base64(&spki).into();
        listed["log_id"] = base64(parallax_probe::sha256(&spki).as_bytes()).into();
        let refused = CtLogs::from_json(list.to_string().as_bytes()).unwrap_err();
        assert_eq!(refused, BadLogList::Key { log: "\"A log\"".into() });
    }
}

async fn seen(chain: Vec<Der>, key: &rcgen::KeyPair, settings: ProbeSettings) -> Met {
    let server = tls_server(tls_config(chain, key, rustls::ALL_VERSIONS)).await;
    look_at(settings, "site.test", server.address).await.met.unwrap()
}

#[tokio::test]
async fn a_look_tells_of_scts_only_where_logs_are_known() {
    let ca = Ca::root("Own");
    let log = CtLog::new("A");
    let (leaf, key) = ca.logged(|entry| value(&[log.sct(entry, may()), vec![1; 50]]));
    let chain = vec![leaf, ca.der()];
    let with = ProbeSettings { ct_logs: known(&[&log]), ..settings() };
    let wanted = Scts { valid: 1, operators: 1, oldest: Some(may()), newest: Some(may()), unknown: 1, invalid: 0 };
    assert_eq!(seen(chain.clone(), &key, with).await.scts, Some(wanted));
    let server = tls_server(tls_config(chain, &key, rustls::ALL_VERSIONS)).await;
    let without = look_at(settings(), "site.test", server.address).await;
    assert!(!serde_json::to_string(&without).unwrap().contains("scts"));
    assert_eq!(without.met.unwrap().scts, None);
}

/// In TLS 1.3 and 1.2: an SCT that came in an OCSP response counts like one in the certificate, and needs no issuer.
#[tokio::test]
async fn a_stapled_response_may_bring_scts() {
    let log = CtLog::new("A");
    let (leaf, key) = Ca::root("Own").issue("site.test");
    let with = ProbeSettings { ct_logs: known(&[&log]), ..settings() };
    let wanted = Scts { valid: 1, operators: 1, oldest: Some(may()), newest: Some(may()), unknown: 0, invalid: 0 };
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let response = ocsp(&value(&[log.sct_of(&leaf, may())]));
        let server = tls_server(tls_config_stapled(vec![leaf.clone()], &key, &[version], Some(response))).await;
        let met = look_at(with.clone(), "site.test", server.address).await.met.unwrap();
        assert_eq!(met.scts, Some(wanted.clone()), "{version:?}");
    }
}

#[test]
fn a_stapled_response_can_be_broken_in_ways_with_names() {
    let log = CtLog::new("A");
    let (leaf, other) = (Ca::root("Own").issue("site.test").0, Ca::root("Own").issue("site.test").0);
    let judged = |ocsp: &[u8]| judge_scts(&leaf, None, ocsp, &known(&[&log]), now());
    let good = ocsp(&value(&[log.sct_of(&leaf, may())]));
    assert!(judged(&good)[0].is_ok());
    assert_eq!(judged(&ocsp(&value(&[log.sct_of(&other, may())]))), [Err(BadSct::Signature { log: log.id() })]);
    assert_eq!(judged(&ocsp(&octets(&[0, 0]))), [Err(BadSct::EmptyList)]);
    assert_eq!(judged(&ocsp(b"")), [Err(BadSct::NoList)]);
    // What is no response brings none. Nothing in it is believed, so damage around an SCT is none to it.
    for cut in 0..good.len() {
        assert_eq!(judged(&good[..cut]), [], "{cut}");
    }
    for at in 0..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 0x41;
        let judged = judged(&damaged);
        assert!(judged.is_empty() || judged.len() == 1 && judged.iter().flatten().all(|logged| logged.at == may()));
    }
}

/// A certificate and its one log, made once for the thousands of cases below.
struct Fixture {
    ca: Ca,
    logs: CtLogs,
    list: Vec<u8>,
    tbs_start: Vec<u8>,
    key: rcgen::KeyPair,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let (ca, log, key) = (Ca::root("Own"), CtLog::new("A"), key());
    let entry = ca.entry(&leaf_params("site.test"), &key);
    let list = sct_list(&[log.sct(&entry, may())]);
    let logs = known(&[&log]);
    Fixture { ca, logs, list, tbs_start: entry.tbs, key }
});

impl Fixture {
    fn with(&self, value: Vec<u8>) -> Vec<Result<Logged, BadSct>> {
        let mut params = leaf_params("site.test");
        let id = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        params.custom_extensions.push(CustomExtension::from_oid_content(&id, value));
        judge_scts(&self.ca.sign(&params, &self.key), Some(self.ca.key()), b"", &self.logs, now())
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_hold(bytes: Vec<u8>, wrapped: bool) {
        let value = if wrapped { octets(&sized(&bytes)) } else { bytes };
        prop_assert!(FIXTURE.with(value).iter().all(Result::is_err));
    }

    #[test]
    fn not_one_bit_can_be_turned(at: prop::sample::Index, bit in 0..8u8) {
        let mut list = FIXTURE.list.clone();
        prop_assert!(FIXTURE.with(octets(&list))[0].is_ok());
        let place = at.index(list.len());
        list[place] ^= 1 << bit;
        prop_assert!(FIXTURE.with(octets(&list)).iter().all(Result::is_err));
    }

    #[test]
    fn nor_does_a_response(bytes: Vec<u8>) {
        let leaf = FIXTURE.ca.sign(&leaf_params("site.test"), &FIXTURE.key);
        for ocsp in [ocsp(&octets(&sized(&bytes))), bytes] {
            prop_assert!(judge_scts(&leaf, None, &ocsp, &FIXTURE.logs, now()).iter().all(Result::is_err));
        }
    }

    /// Damage to the certificate outside of the extension takes the SCT's word away, and never panics.
    #[test]
    fn nor_can_one_in_the_certificate(at: prop::sample::Index, bit in 0..8u8) {
        let mut params = leaf_params("site.test");
        let id = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        params.custom_extensions.push(CustomExtension::from_oid_content(&id, octets(&FIXTURE.list)));
        let mut der = FIXTURE.ca.sign(&params, &FIXTURE.key).to_vec();
        // The outer header and TBSCertificate up to the extension, which is its last.
        let place = at.index(FIXTURE.tbs_start.len() - 8) + 4;
        der[place] ^= 1 << bit;
        let judged = judge_scts(&der.into(), Some(FIXTURE.ca.key()), b"", &FIXTURE.logs, now());
        prop_assert!(judged.iter().all(Result::is_err));
    }
}

#[test]
fn whoever_has_no_certificate_has_no_scts() {
    let nothing = CertificateDer::from(vec![0x30, 0]);
    let key = Fingerprint::from_bytes([0; 32]);
    assert_eq!(judge_scts(&nothing, Some(key), b"", &known(&[&CtLog::new("A")]), now()), []);
}
