//! What is issued is accepted by others and by whoever relies on it; what breaks a rule of the profile is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Fingerprint, Suite as _, Timestamp};
use parallax_janus::{
    Authority, AuthorityError, BadChain, Denied, Fault, Grant, ISSUING_LIFE, Identity, Judge, LONGEST_LIFE, OVERLAP,
    Rotation, SHORTEST_LIFE, SubjectKey, make_issuing, make_root,
};
use x509_cert::der::{Decode as _, Encode as _};

use support::der::{COMMON_NAME, Cert, SAN, bits, extension, int, name, null, oid, rfc822, seq, tlv, yes};
use support::keys::{Key, PureRust};
use support::{House, grant, mailbox, now};

const DAY: Duration = Duration::from_secs(86_400);

fn judge(house: &House) -> Judge {
    Judge::new(Arc::new(PureRust), &[house.authority.root()]).unwrap()
}

fn nobody(at: Timestamp) -> Denied {
    Denied::new([], at, at.plus(Duration::from_secs(3600))).unwrap()
}

fn judged(house: &House, chain: &[Vec<u8>], at: Timestamp) -> Result<Identity, BadChain> {
    judge(house).judge(chain, &nobody(at), at)
}

fn issued(house: &House, key: &Key, at: Timestamp) -> Vec<Vec<u8>> {
    let grant = grant(key, mailbox(), at);
    house.authority.issue(&PureRust, &house.signer(), &grant, LONGEST_LIFE, [7; 16], at).unwrap().chain
}

#[test]
fn what_is_issued_names_who_it_was_granted_to() {
    let house = House::new();
    for key in Key::each() {
        let chain = issued(&house, &key, now());
        let identity = judged(&house, &chain, now()).unwrap();
        assert_eq!(identity.mailbox().as_str(), mailbox());
        assert_eq!(identity.key().spki(), key.spki());
        assert_eq!(identity.not_after(), now().plus(LONGEST_LIFE).minus(Duration::from_secs(300)));
        let with_root = [chain.as_slice(), &[house.authority.root().to_vec()]].concat();
        assert!(judged(&house, &with_root, now()).is_ok());
        assert!(chain[0].len() < 1024, "a TLS handshake carries {} bytes", chain[0].len());
    }
}

/// The second reader: the one that rustls uses.
fn webpki_accepts(house: &House, chain: &[Vec<u8>], at: Timestamp) -> Result<(), webpki::Error> {
    use rustls_pki_types::{CertificateDer, UnixTime};
    let root = CertificateDer::from(house.authority.root());
    let anchor = webpki::anchor_from_trusted_cert(&root)?;
    let leaf = CertificateDer::from(chain[0].as_slice());
    let between: Vec<_> = chain[1..].iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.unix_secs() as u64));
    let usage = webpki::KeyUsage::client_auth();
    let algorithms = &[webpki::aws_lc_rs::ECDSA_P256_SHA256];
    webpki::EndEntityCert::try_from(&leaf)?
        .verify_for_usage(algorithms, &[anchor], &between, at, usage, None, None)
        .map(drop)
}

#[test]
fn webpki_accepts_what_is_issued() {
    let house = House::new();
    for key in Key::each() {
        let chain = issued(&house, &key, now());
        webpki_accepts(&house, &chain, now()).unwrap();
        assert!(webpki_accepts(&house, &chain, now().plus(8 * DAY)).is_err(), "it was judged by the time");
    }
}

/// A certificate that is right but for one thing, as somebody with the issuing key could make it.
fn but(house: &House, change: impl FnOnce(&mut Cert)) -> Vec<u8> {
    let mut cert = right(house);
    change(&mut cert);
    cert.write(&house.issuing_key)
}

fn subject_of(der: &[u8]) -> Vec<u8> {
    x509_cert::Certificate::from_der(der).unwrap().tbs_certificate().subject().to_der().unwrap()
}

fn key_identifier(key: &Key) -> Vec<u8> {
    PureRust.sha256(&key.spki())[..20].to_vec()
}

fn authority_key(key: &Key) -> Vec<u8> {
    extension("2.5.29.35", false, &seq(&[tlv(0x80, &key_identifier(key))]))
}

fn names(critical: bool, names: &[Vec<u8>]) -> Vec<u8> {
    extension(SAN, critical, &seq(names))
}

fn usage(bits: &[u8]) -> Vec<u8> {
    extension("2.5.29.15", true, &tlv(3, bits))
}

fn purposes(ids: &[&str]) -> Vec<u8> {
    extension("2.5.29.37", false, &seq(&ids.iter().map(|id| oid(id)).collect::<Vec<_>>()))
}

const CLIENT: &str = "1.3.6.1.5.5.7.3.2";
const SERVER: &str = "1.3.6.1.5.5.7.3.1";
const DIGITAL_SIGNATURE: &[u8] = &[7, 0x80];
const ADDRESS: &[u8] = b"ann@example.com";

fn right(house: &House) -> Cert {
    let key = Key::ed25519(5);
    Cert {
        version: tlv(0xa0, &int(&[2])),
        serial: int(&[0x42; 16]),
        inner_algorithm: house.issuing_key.algorithm(),
        algorithm: house.issuing_key.algorithm(),
        issuer: subject_of(&house.issuing_der),
        from: "261125175500Z".into(),
        to: "261202175500Z".into(),
        subject: seq(&[]),
        spki: key.spki(),
        unique_id: vec![],
        extensions: vec![
            authority_key(&house.issuing_key),
            names(true, &[rfc822(ADDRESS)]),
            usage(DIGITAL_SIGNATURE),
            purposes(&[CLIENT]),
        ],
    }
}

#[test]
fn every_rule_of_the_profile_is_checked_again() {
    let house = House::new();
    let leaf = |change: &dyn Fn(&mut Cert)| but(&house, |cert| change(cert));
    let fault = |der: Vec<u8>| judged(&house, &[der, house.issuing_der.clone()], now());
    assert!(fault(leaf(&|_| {})).is_ok());
    let no_ca = extension("2.5.29.19", true, &seq(&[]));
    assert!(fault(leaf(&|cert| cert.extensions.push(no_ca.clone()))).is_ok(), "it may say that it is no authority");

    let replaced = |place: usize, with: Vec<u8>| leaf(&move |cert| cert.extensions[place] = with.clone());
    let without = |place: usize| leaf(&move |cert| drop(cert.extensions.remove(place)));
    let added = |extra: Vec<u8>| leaf(&move |cert| cert.extensions.push(extra.clone()));
    let term = |from: &'static str, to: &'static str| {
        leaf(&move |cert| (cert.from, cert.to) = (from.to_owned(), to.to_owned()))
    };
    let other_issuer = name(COMMON_NAME, "Parallax janus issuing 0000000000000000");
    let (good, raw) = (leaf(&|_| {}), right(&house));
    let flipped = [&good[..good.len() - 1], &[good[good.len() - 1] ^ 1]].concat();
    let long_length = [&[0x30, 0x83, 0, good[2], good[3]], &good[4..]].concat();
    let ec = |curve: &str| seq(&[oid("1.2.840.10045.2.1"), oid(curve)]);
    for (what, der, part) in [
        ("nothing", vec![], "is not X.509"),
        ("a request", support::der::Csr::of(&Key::p256(3), mailbox()).write(&Key::p256(3)), "is not X.509"),
        ("a byte behind", [good.as_slice(), &[0]].concat(), "is not X.509"),
        ("a long length", long_length, "is not"),
        ("too large", vec![0x30; 4097], "4096 are the most"),
        ("version 1", leaf(&|cert| cert.version = vec![]), "version 3"),
        ("version 2", leaf(&|cert| cert.version = tlv(0xa0, &int(&[1]))), "version 3"),
        ("a unique id", leaf(&|cert| cert.unique_id = tlv(0x82, &[0, 1])), "version 3"),
        ("a serial of 21 bytes", leaf(&|cert| cert.serial = int(&[0x42; 21])), "serial number"),
        ("serial 0", leaf(&|cert| cert.serial = int(&[0])), "serial number"),
        ("a negative serial", leaf(&|cert| cert.serial = int(&[0x80])), "serial number"),
        (
            "a signature of another kind",
            leaf(&|cert| cert.algorithm = seq(&[oid("1.2.840.10045.4.3.3")])),
            "ecdsa-with-SHA256",
        ),
        (
            "two signature algorithms",
            leaf(&|cert| cert.inner_algorithm = Key::ed25519(1).algorithm()),
            "ecdsa-with-SHA256",
        ),
        ("parameters", leaf(&|cert| cert.algorithm = seq(&[oid("1.2.840.10045.4.3.2"), null()])), "ecdsa-with-SHA256"),
        ("another issuer", leaf(&|cert| cert.issuer = other_issuer.clone()), "was not issued by"),
        ("signed by the root", raw.write(&house.root_key), "is not signed by"),
        ("signed by itself", raw.write(&Key::p256(5)), "is not signed by"),
        ("a flipped bit", flipped, "is not"),
        ("a subject", leaf(&|cert| cert.subject = name(COMMON_NAME, "Ann")), "has a Subject"),
        (
            "a subject with the address",
            leaf(&|cert| cert.subject = name("1.2.840.113549.1.9.1", "ann@example.com")),
            "has a Subject",
        ),
        ("not yet", term("261125180001Z", "261202175500Z"), "is valid from"),
        ("no more", term("261120175500Z", "261125175959Z"), "is valid from"),
        ("a second too short", term("261125175500Z", "261126175459Z"), "24 h to 7 days"),
        ("a second too long", term("261125175500Z", "261202175501Z"), "24 h to 7 days"),
        ("backwards", term("261202175500Z", "261125175500Z"), "24 h to 7 days"),
        ("before its issuer", term("261125165959Z", "261130175500Z"), "outlives"),
        ("no names", without(1), "subjectAltName is missing"),
        ("names that are not critical", replaced(1, names(false, &[rfc822(ADDRESS)])), "not critical"),
        ("no address", replaced(1, names(true, &[])), "0 names"),
        ("two addresses", replaced(1, names(true, &[rfc822(ADDRESS), rfc822(b"bob@example.com")])), "2 names"),
        ("a host beside", replaced(1, names(true, &[rfc822(ADDRESS), tlv(0x82, b"example.com")])), "2 names"),
        ("a host", replaced(1, names(true, &[tlv(0x82, b"example.com")])), "host (dNSName)"),
        ("another spelling", replaced(1, names(true, &[rfc822(b"ann@EXAMPLE.com")])), "lower case"),
        ("a line break", replaced(1, names(true, &[rfc822(b"ann@example.com\r\n")])), "control character"),
        ("names twice", added(names(true, &[rfc822(ADDRESS)])), "more than once"),
        ("other names twice", added(names(true, &[rfc822(b"bob@example.com")])), "more than once"),
        ("no usage", without(2), "key usage"),
        ("may sign certificates", replaced(2, usage(&[2, 0x84])), "key usage"),
        ("may encipher keys", replaced(2, usage(&[5, 0xa0])), "key usage"),
        (
            "usage that is not critical",
            replaced(2, extension("2.5.29.15", false, &tlv(3, DIGITAL_SIGNATURE))),
            "key usage",
        ),
        ("usage with zeros behind", replaced(2, usage(&[0, 0x80])), "2.5.29.15"),
        ("no purpose", without(3), "client authentication"),
        ("for servers", replaced(3, purposes(&[SERVER])), "client authentication"),
        ("for servers too", replaced(3, purposes(&[CLIENT, SERVER])), "client authentication"),
        ("for anything", replaced(3, purposes(&["2.5.29.37.0"])), "client authentication"),
        ("an authority", added(extension("2.5.29.19", true, &seq(&[yes()]))), "basic constraints"),
        ("no issuer's key", without(0), "key identifier"),
        ("another issuer's key", replaced(0, authority_key(&Key::p256(6))), "key identifier"),
        ("an unknown extension", added(extension("1.2.3.4", false, b"x")), "1.2.3.4"),
        ("a critical unknown extension", added(extension("1.2.3.4", true, b"x")), "1.2.3.4"),
        ("policies", added(extension("2.5.29.32", false, &seq(&[seq(&[oid("2.5.29.32.0")])]))), "2.5.29.32"),
        ("a P-384 key", leaf(&|cert| cert.spki = seq(&[ec("1.3.132.0.34"), bits(&[4; 97])])), "key that is not taken"),
        (
            "a weak key",
            leaf(&|cert| {
                cert.spki =
                    seq(&[seq(&[oid("1.2.840.113549.1.1.1"), null()]), bits(&seq(&[int(&[1; 128]), int(&[1, 0, 1])]))])
            }),
            "1017 bits",
        ),
    ] {
        let error = fault(der).map(|identity| identity.mailbox().to_string()).expect_err(what).to_string();
        assert!(error.starts_with("the client's certificate") && error.contains(part), "{what}: {error}");
    }
}

#[test]
fn every_byte_of_a_chain_counts() {
    let house = House::new();
    let chain = issued(&house, &Key::ed25519(5), now());
    for which in 0..chain.len() {
        for place in 0..chain[which].len() {
            let mut bad = chain.clone();
            bad[which][place] ^= 1;
            assert!(judged(&house, &bad, now()).is_err(), "certificate {which}, byte {place}");
        }
    }
}

#[test]
fn chains_lead_to_the_root_and_nowhere_else() {
    let house = House::new();
    let chain = issued(&house, &Key::ed25519(5), now());
    let [leaf, issuing] = [&chain[0], &chain[1]];
    let root = house.authority.root().to_vec();
    let refused = |chain: &[Vec<u8>]| judged(&house, chain, now()).unwrap_err();
    assert_eq!(refused(&[]), BadChain::Length(0));
    assert_eq!(refused(std::slice::from_ref(leaf)), BadChain::Length(1));
    assert_eq!(refused(&[leaf.clone(), issuing.clone(), root.clone(), root.clone()]), BadChain::Length(4));
    assert_eq!(refused(&[leaf.clone(), issuing.clone(), issuing.clone()]), BadChain::Root);
    for wrong in [[issuing, leaf], [leaf, leaf], [issuing, issuing]] {
        assert!(judged(&house, &wrong.map(Clone::clone), now()).is_err());
    }
    // A root may not issue to people: it could not stay offline.
    let direct = Cert { issuer: subject_of(&root), ..right(&house) };
    assert!(judged(&house, &[direct.write(&house.root_key), root.clone()], now()).is_err());

    // Another authority, with names that it took over from this one.
    let theirs = Key::p256(66);
    let signer = parallax_janus::CaKey::new(&PureRust, &theirs, &theirs.spki()).unwrap();
    let their_root = make_root(&PureRust, &signer, [1; 16], now()).unwrap();
    let their_issuing_key = SubjectKey::parse(&PureRust, &house.issuing_key.spki()).unwrap();
    let their_issuing = make_issuing(&PureRust, &their_root, &signer, &their_issuing_key, [1; 16], now()).unwrap();
    assert_eq!(refused(&[leaf.clone(), their_issuing.clone()]), BadChain::Root);
    let both = Judge::new(Arc::new(PureRust), &[&root, &their_root]).unwrap();
    assert!(both.judge(&[leaf.clone(), their_issuing], &nobody(now()), now()).is_ok(), "it is the same issuing key");
    assert!(Judge::new(Arc::new(PureRust), &Vec::<Vec<u8>>::new()).is_err());
    assert!(Judge::new(Arc::new(PureRust), &vec![root.clone(); 5]).is_err());
    assert!(Judge::new(Arc::new(PureRust), &[issuing]).is_err(), "what is not signed by itself is no root");
}

/// Issuing certificates that a root's owner should not have signed are not believed either.
#[test]
fn an_issuing_certificate_keeps_to_its_rules() {
    let house = House::new();
    let chain = issued(&house, &Key::ed25519(5), now());
    let root = house.authority.root();
    let constraints = |depth: &[u8]| extension("2.5.29.19", true, &seq(&[yes(), depth.to_vec()]));
    let own_key = extension("2.5.29.14", false, &tlv(4, &key_identifier(&house.issuing_key)));
    let right = Cert {
        issuer: subject_of(root),
        subject: subject_of(&house.issuing_der),
        spki: house.issuing_key.spki(),
        from: "261125170000Z".into(),
        to: "270223180000Z".into(),
        extensions: vec![
            authority_key(&house.root_key),
            usage(&[2, 4]),
            purposes(&[CLIENT]),
            own_key,
            constraints(&int(&[0])),
        ],
        ..right(&house)
    };
    let fault = |cert: &Cert| judged(&house, &[chain[0].clone(), cert.write(&house.root_key)], now());
    assert!(fault(&right).is_ok());
    let but = |change: &dyn Fn(&mut Cert)| {
        let mut cert = right.clone();
        change(&mut cert);
        fault(&cert).map(drop)
    };
    for (what, result, part) in [
        ("no authority", but(&|cert| drop(cert.extensions.remove(4))), "basic constraints"),
        ("without depth", but(&|cert| cert.extensions[4] = constraints(&[])), "basic constraints"),
        ("deeper", but(&|cert| cert.extensions[4] = constraints(&int(&[1]))), "basic constraints"),
        ("signs texts too", but(&|cert| cert.extensions[1] = usage(&[2, 0x84])), "key usage"),
        ("for servers", but(&|cert| cert.extensions[2] = purposes(&[SERVER])), "client authentication"),
        ("for anything", but(&|cert| drop(cert.extensions.remove(2))), "client authentication"),
        ("no key identifier", but(&|cert| drop(cert.extensions.remove(3))), "key identifier"),
        ("not yet", but(&|cert| cert.from = "261125180001Z".into()), "is valid from"),
        ("no more", but(&|cert| cert.to = "261125175959Z".into()), "is valid from"),
        ("outlives the root", but(&|cert| cert.to = "370223180000Z".into()), "outlives"),
        ("outlived", but(&|cert| cert.to = "261130180000Z".into()), "outlives"),
        ("with an address", but(&|cert| cert.extensions.push(names(false, &[rfc822(ADDRESS)]))), "2.5.29.17"),
        ("no subject", but(&|cert| cert.subject = seq(&[])), "Subject"),
    ] {
        let error = result.expect_err(what).to_string();
        assert!(error.contains(part), "{what}: {error}");
    }
    let forged = right.write(&Key::p256(5));
    let error = judged(&house, &[chain[0].clone(), forged], now()).unwrap_err().to_string();
    assert!(error.contains("is not signed by the key above it"), "{error}");
}

#[test]
fn a_denied_key_counts_no_more_and_without_a_list_none_does() {
    let house = House::new();
    let key = Key::ed25519(5);
    let chain = issued(&house, &key, now());
    let id = |key: &Key| Fingerprint::from_bytes(PureRust.sha256(&key.spki()));
    let list = |keys: &[Fingerprint]| Denied::new(keys.to_vec(), now(), now().plus(Duration::from_secs(3600))).unwrap();
    let judge = judge(&house);
    for (denied, place) in [(&key, "client's"), (&house.issuing_key, "issuing"), (&house.root_key, "root")] {
        let error = judge.judge(&chain, &list(&[id(denied)]), now()).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains("deny list"), "{error}");
    }
    assert!(judge.judge(&chain, &list(&[id(&Key::ed25519(6))]), now()).is_ok());
    assert!(matches!(judge.judge(&chain, &Denied::default(), now()), Err(BadChain::NoDenyList(_))));
    let late = now().plus(Duration::from_secs(3601));
    assert!(matches!(judge.judge(&chain, &list(&[]), late), Err(BadChain::NoDenyList(_))));
}

#[test]
fn lives_stay_within_their_range() {
    let house = House::new();
    let granted = grant(&Key::p256(3), mailbox(), now());
    let issue = |grant: &Grant, life| house.authority.issue(&PureRust, &house.signer(), grant, life, [1; 16], now());
    let second = Duration::from_secs(1);
    assert!(matches!(issue(&granted, SHORTEST_LIFE - second), Err(AuthorityError::Life(_))));
    let shortest = issue(&granted, SHORTEST_LIFE).unwrap();
    assert!(judged(&house, &shortest.chain, now()).is_ok());
    let longest = issue(&granted, LONGEST_LIFE + 30 * DAY).unwrap();
    assert!(longest.not_after <= now().plus(LONGEST_LIFE));
    // The classic flow lives for a day whatever is asked for.
    let classic = Grant::classic(&support::request(&Key::p256(3), mailbox()), now());
    assert!(issue(&classic, LONGEST_LIFE).unwrap().not_after <= now().plus(DAY));
}

#[test]
fn issuing_keys_change_without_a_gap_and_are_never_outlived() {
    let house = House::new();
    let mut authority = house.authority.clone();
    let mut keys = vec![Key::p256(2)];
    let mut ders = vec![house.issuing_der.clone()];
    let root_signer = parallax_janus::CaKey::new(&PureRust, &house.root_key, &house.root_key.spki()).unwrap();
    let mut rotations = Vec::new();
    for hour in 0..24 * 365 {
        let at = now().plus(Duration::from_secs(3600 * hour));
        if authority.rotation(at) == Rotation::Due {
            let key = Key::p256(10 + keys.len() as u8);
            let spki = SubjectKey::parse(&PureRust, &key.spki()).unwrap();
            ders.push(make_issuing(&PureRust, authority.root(), &root_signer, &spki, [1; 16], at).unwrap());
            keys.push(key);
            authority = Authority::load(&PureRust, house.authority.root(), &ders).unwrap();
            rotations.push(hour / 24);
            assert!(matches!(authority.rotation(at), Rotation::NotBefore(_)));
        }
        let current = authority.current(LONGEST_LIFE, at).unwrap();
        let (_, end) = authority.issuing().find(|(id, _)| *id == current).unwrap();
        assert!(at.plus(LONGEST_LIFE) <= end.plus(Duration::from_secs(300)));
    }
    assert_eq!(rotations, [60, 120, 180, 240, 300, 360]);
    assert_eq!(OVERLAP + 60 * DAY, ISSUING_LIFE);

    // An issuing key at its end issues nothing that would outlive it, and says so.
    let at = now().plus(84 * DAY);
    let granted = grant(&Key::p256(3), mailbox(), at);
    let error = house.authority.issue(&PureRust, &house.signer(), &granted, LONGEST_LIFE, [1; 16], at).unwrap_err();
    assert!(matches!(error, AuthorityError::IssuingEnds(_)), "{error}");
    assert_eq!(house.authority.current(LONGEST_LIFE, at), Err(AuthorityError::NoneInForce));
    assert!(house.authority.current(LONGEST_LIFE, now().plus(83 * DAY)).is_ok());
}

#[test]
fn keys_that_are_not_the_authoritys_issue_nothing() {
    let house = House::new();
    let granted = grant(&Key::p256(3), mailbox(), now());
    let stranger = Key::p256(77);
    let signer = parallax_janus::CaKey::new(&PureRust, &stranger, &stranger.spki()).unwrap();
    let error = house.authority.issue(&PureRust, &signer, &granted, LONGEST_LIFE, [1; 16], now()).unwrap_err();
    assert!(matches!(error, AuthorityError::UnknownKey(_)));
    // A signer that has another key than it says: what it makes does not leave the house.
    let confused = parallax_janus::CaKey::new(&PureRust, &stranger, &house.issuing_key.spki()).unwrap();
    let error = house.authority.issue(&PureRust, &confused, &granted, LONGEST_LIFE, [1; 16], now()).unwrap_err();
    assert!(matches!(error, AuthorityError::Certificate { fault: Fault::Signature, .. }), "{error}");
    let ed25519 = Key::ed25519(1);
    assert!(parallax_janus::CaKey::new(&PureRust, &ed25519, &ed25519.spki()).is_err());
    let subject = SubjectKey::parse(&PureRust, &ed25519.spki()).unwrap();
    let root_signer = parallax_janus::CaKey::new(&PureRust, &house.root_key, &house.root_key.spki()).unwrap();
    let error = make_issuing(&PureRust, house.authority.root(), &root_signer, &subject, [1; 16], now()).unwrap_err();
    assert!(matches!(error, AuthorityError::Certificate { .. }), "an issuing key is P-256: {error}");
    let error = make_issuing(&PureRust, house.authority.root(), &signer, &subject, [1; 16], now()).unwrap_err();
    assert!(matches!(error, AuthorityError::UnknownKey(_)));
    let late = now().plus(Duration::from_secs(3600 * 24 * 3600));
    let p256 = SubjectKey::parse(&PureRust, &stranger.spki()).unwrap();
    let error = make_issuing(&PureRust, house.authority.root(), &root_signer, &p256, [1; 16], late).unwrap_err();
    assert!(matches!(error, AuthorityError::RootEnds(_)));
}
