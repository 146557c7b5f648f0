//! Requests as they should be, and over a hundred that should not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cloned_ref_to_slice_refs)]

mod support;

use parallax_janus::{BadRequest, KeyKind, LARGEST_REQUEST, Letter, Request};
use proptest::prelude::*;

use support::der::{
    COMMON_NAME, Csr, EXTENSION_REQUEST, SAN, attribute, bits, extension, int, name, null, octets, oid, rfc822, san,
    seq, set, tlv, yes,
};
use support::keys::{CURVE, EC, ED25519, Key, PureRust, RSA};
use support::mailbox;

fn parse(der: &[u8]) -> Result<Request, BadRequest> {
    Request::parse(&PureRust, der)
}

/// A request that is right but for one thing.
fn but(change: impl FnOnce(&mut Csr)) -> Vec<u8> {
    let key = Key::p256(3);
    let mut csr = Csr::of(&key, mailbox());
    change(&mut csr);
    csr.write(&key)
}

fn named(names: &[Vec<u8>]) -> Vec<u8> {
    but(|csr| csr.attributes = Csr::asking_for(&[san(names)]))
}

fn addressed(address: &str) -> Vec<u8> {
    named(&[rfc822(address.as_bytes())])
}

fn asking(extensions: &[Vec<u8>]) -> Vec<u8> {
    but(|csr| csr.attributes = Csr::asking_for(extensions))
}

fn keyed(algorithm: Vec<u8>, key: &[u8]) -> Vec<u8> {
    but(|csr| csr.spki = seq(&[algorithm, bits(key)]))
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    keyed(seq(&[oid(RSA), null()]), &seq(&[int(modulus), int(exponent)]))
}

/// A number of so many bits, with these last bits.
fn number(size: usize, last: u8) -> Vec<u8> {
    let mut bytes = vec![0; size.div_ceil(8)];
    bytes[0] = 1 << ((size - 1) % 8);
    *bytes.last_mut().unwrap() |= last;
    if bytes[0] >= 0x80 { [vec![0], bytes].concat() } else { bytes }
}

#[test]
fn each_kind_of_key_asks() {
    for (key, kind) in Key::each().into_iter().zip([KeyKind::Ed25519, KeyKind::P256, KeyKind::Rsa]) {
        let der = Csr::of(&key, "Ann.O'Neil+tag@example.com").write(&key);
        let request = parse(&der).unwrap();
        assert_eq!(request.mailbox().as_str(), "Ann.O'Neil+tag@example.com");
        assert_eq!((request.key().kind(), request.key().spki()), (kind, key.spki().as_slice()));
        assert_eq!(request.hash().as_bytes(), &parallax_core::Suite::sha256(&PureRust, &der));
        assert_eq!(request.key().id().as_bytes(), &parallax_core::Suite::sha256(&PureRust, &key.spki()));
    }
}

#[test]
fn a_critical_name_may_be_asked_for() {
    let critical = extension(SAN, true, &seq(&[rfc822(mailbox().as_bytes())]));
    assert!(parse(&asking(&[critical])).is_ok());
}

const READ: &str = "not PKCS #10";
const STRICT: &str = "not strict DER";
const ADDRESS: &str = "address is not taken";

#[test]
fn tricks_with_the_form() {
    let good = but(|_| {});
    let cut = &good[..good.len() - 1];
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(good[1], 0x81, "the length has one byte");
    let content = &good[3..];
    let indefinite = [&[0x30, 0x80], content, &[0, 0]].concat();
    let long_length = [&[0x30, 0x82, 0, good[2]], content].concat();
    let nested = (0..2_000).fold(vec![5, 0], |inner, _| tlv(0x30, &inner));
    let megabyte = but(|csr| {
        let filler = attribute("1.2.840.113549.1.9.7", &[tlv(0x0c, &vec![b'x'; 1 << 20])]);
        csr.attributes = Csr::attributes(&[filler]);
    });
    let pem = b"-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n";
    for (what, der, part) in [
        ("nothing", vec![], READ),
        ("one byte", vec![0x30], READ),
        ("PEM", pem.to_vec(), READ),
        ("text", b"ann@example.com".to_vec(), READ),
        ("zeros", vec![0; 500], READ),
        ("cut short", cut.to_vec(), READ),
        ("a byte behind", longer, READ),
        ("two in one", [good.clone(), good.clone()].concat(), READ),
        ("indefinite length", indefinite, READ),
        ("length with a leading zero", long_length, READ),
        ("nested a thousand times", nested.clone()[nested.len() - 7_000..].to_vec(), READ),
        ("a set for a sequence", [&[0x31], &good[1..]].concat(), READ),
        ("a megabyte of attributes", megabyte, "8192 are the most"),
        ("just too large", vec![0x30; LARGEST_REQUEST + 1], "8193 bytes"),
        ("version 2", but(|csr| csr.version = int(&[1])), READ),
        ("version -1", but(|csr| csr.version = int(&[0xff])), READ),
        ("version in two bytes", but(|csr| csr.version = int(&[0, 0])), READ),
        ("no version", but(|csr| csr.version = vec![]), READ),
        ("no attributes", but(|csr| csr.attributes = vec![]), READ),
        ("attributes as a plain set", but(|csr| csr.attributes = set(&[])), READ),
    ] {
        let error = parse(&der).expect_err(what).to_string();
        assert!(error.contains(part), "{what}: {error}");
    }
}

#[test]
fn tricks_with_the_subject() {
    for (what, subject) in [
        ("a common name", name(COMMON_NAME, "Ann")),
        ("an address", name("1.2.840.113549.1.9.1", "ann@example.com")),
        ("an empty common name", name(COMMON_NAME, "")),
        ("an empty relative name", seq(&[set(&[])])),
    ] {
        let error = parse(&but(|csr| csr.subject = subject)).expect_err(what).to_string();
        assert!(error.contains("Subject") || error.contains(READ), "{what}: {error}");
    }
}

#[test]
fn tricks_with_attributes_and_extensions() {
    let right = san(&[rfc822(mailbox().as_bytes())]);
    let request = |extensions: &[Vec<u8>]| attribute(EXTENSION_REQUEST, &[seq(extensions)]);
    let attributes = |parts: &[Vec<u8>]| but(|csr| csr.attributes = Csr::attributes(parts));
    let password = attribute("1.2.840.113549.1.9.7", &[tlv(0x0c, b"secret")]);
    let unstructured = attribute("1.2.840.113549.1.9.2", &[tlv(0x0c, b"ann")]);
    let microsoft = attribute("1.3.6.1.4.1.311.2.1.14", &[seq(std::slice::from_ref(&right))]);
    let false_written = seq(&[oid(SAN), vec![1, 1, 0], octets(&seq(&[rfc822(b"ann@example.com")]))]);
    let true_as_one = seq(&[oid(SAN), vec![1, 1, 1], octets(&seq(&[rfc822(b"ann@example.com")]))]);
    let twice = [right.clone(), right.clone()];
    let one = "one extension request with one value";
    for (what, der, part) in [
        ("no attribute", attributes(&[]), "subjectAltName is missing"),
        ("no extension", asking(&[]), "subjectAltName is missing"),
        ("a name and a usage", asking(&[right.clone(), extension("2.5.29.15", true, &[3, 2, 1, 6])]), "2.5.29.15"),
        ("an authority", asking(&[right.clone(), extension("2.5.29.19", true, &seq(&[yes()]))]), "2.5.29.19"),
        (
            "for servers",
            asking(&[extension("2.5.29.37", false, &seq(&[oid("1.3.6.1.5.5.7.3.1")])), right.clone()]),
            "2.5.29.37",
        ),
        (
            "another's name",
            asking(&[right.clone(), extension("2.5.29.18", false, &seq(&[rfc822(b"b@example.com")]))]),
            "2.5.29.18",
        ),
        ("an unknown extension", asking(&[right.clone(), extension("1.2.3.4", true, b"x")]), "1.2.3.4"),
        ("two subjectAltNames", asking(&twice), "more than once"),
        ("two requests", attributes(&[request(&[right.clone()]), request(&[right.clone()])]), one),
        ("two different requests", attributes(&[request(&[]), request(&[right.clone()])]), one),
        ("two values", attributes(&[attribute(EXTENSION_REQUEST, &[seq(&[]), seq(&[right.clone()])])]), one),
        ("no value", attributes(&[attribute(EXTENSION_REQUEST, &[])]), one),
        ("a value that is no list", attributes(&[attribute(EXTENSION_REQUEST, &[octets(b"x")])]), one),
        ("a password", attributes(&[password.clone()]), "1.2.840.113549.1.9.7"),
        ("a password and a name", attributes(&[password, request(&[right.clone()])]), "1.2.840.113549.1.9.7"),
        ("an unstructured name", attributes(&[unstructured, request(&[right.clone()])]), "1.2.840.113549.1.9.2"),
        ("the extension request of others", attributes(&[microsoft]), "1.3.6.1.4.1.311.2.1.14"),
        ("a default that is written", asking(&[false_written]), one),
        ("a true that is 1", asking(&[true_as_one]), one),
    ] {
        let error = parse(&der).expect_err(what).to_string();
        assert!(error.contains(part), "{what}: {error}");
    }
}

#[test]
fn tricks_with_names() {
    let ann = || rfc822(b"ann@example.com");
    let other = tlv(0xa0, &[oid("1.3.6.1.5.5.7.8.9"), tlv(0xa0, &tlv(0x0c, "ann@bücher.example".as_bytes()))].concat());
    let long = seq(&[ann()]);
    let long = [&[0x30, 0x81, long[1]], &long[2..]].concat();
    let raw = |value: &[u8]| asking(&[extension(SAN, false, value)]);
    for (what, der, part) in [
        ("no name", named(&[]), "0 names"),
        ("two addresses", named(&[ann(), rfc822(b"bob@example.com")]), "2 names"),
        ("one address twice", named(&[ann(), ann()]), "2 names"),
        ("an address and a host", named(&[ann(), tlv(0x82, b"example.com")]), "2 names"),
        ("a host", named(&[tlv(0x82, b"example.com")]), "host (dNSName)"),
        ("a URI", named(&[tlv(0x86, b"mailto:ann@example.com")]), "URI"),
        ("an IP address", named(&[tlv(0x87, &[192, 0, 2, 7])]), "IP address"),
        ("a directory name", named(&[tlv(0xa4, &name(COMMON_NAME, "Ann"))]), "directory entry"),
        ("an address in UTF-8", named(&[other]), "otherName"),
        ("a registered object", named(&[tlv(0x88, &[0x2a, 3])]), "registeredID"),
        ("an address in pieces", named(&[tlv(0xa1, &tlv(0x16, b"ann@example.com"))]), "can't be read"),
        ("an address with a plain tag", named(&[tlv(0x16, b"ann@example.com")]), "can't be read"),
        ("a name of no kind", named(&[tlv(0x89, b"ann@example.com")]), "can't be read"),
        ("not a list", raw(&ann()), "can't be read"),
        ("nothing", raw(&[]), "can't be read"),
        ("a long length", raw(&long), "can't be read"),
        ("a byte behind", raw(&[seq(&[ann()]), vec![0]].concat()), "can't be read"),
        ("octets in octets", raw(&octets(&seq(&[ann()]))), "can't be read"),
    ] {
        let error = parse(&der).expect_err(what).to_string();
        assert!(error.contains(part), "{what}: {error}");
    }
}

#[test]
fn tricks_with_addresses() {
    let long = format!("{}@example.com", "a".repeat(65));
    let longer = format!("a@{}.example", vec!["b".repeat(60); 5].join("."));
    for (address, part) in [
        ("", "no address"),
        ("ann", "no @"),
        ("ann@example.com\r\nBcc: bob@example.com", "control character"),
        ("ann@example.com\nSubject: x", "control character"),
        ("ann@example.com\0", "control character"),
        ("ann\0@example.com", "control character"),
        ("\rann@example.com", "control character"),
        ("ann@example.com,bob@example.com", "bare address"),
        ("Ann <ann@example.com>", "white space"),
        ("<ann@example.com>", "bare address"),
        ("\"ann\"@example.com", "quotes"),
        ("\"a b\"@example.com", "quotes"),
        ("\"a\r\n b\"@example.com", "quotes"),
        ("ann(comment)@example.com", "comments"),
        ("ann @example.com", "white space"),
        ("ann@bob@example.com", "more than one @"),
        ("@example.com", "nothing before"),
        ("ann@", "nothing behind"),
        (".ann@example.com", "dot"),
        ("a..b@example.com", "dot"),
        ("ann@Example.com", "lower case"),
        ("ann@example.com.", "ends with a dot"),
        ("ann@localhost", "single label"),
        ("ann@[192.0.2.7]", "IP address"),
        ("ann@192.0.2.7", "IP address"),
        ("ann@xn--pple-43d.com", "mixes scripts"),
        ("ann@xn--.com", "no domain"),
        ("ann@-x.example", "no domain"),
        (&long, "64 are the most"),
        (&longer, "254 are the most"),
    ] {
        let error = parse(&addressed(address)).expect_err(address).to_string();
        assert!(error.contains(ADDRESS) && error.contains(part), "{address:?}: {error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
    for raw in ["ann@b\u{fc}cher.example".as_bytes(), b"ann\x80@example.com", b"ann@example.com\xff"] {
        let error = parse(&named(&[rfc822(raw)])).expect_err("beyond ASCII").to_string();
        assert!(error.contains("characters that an address has not"), "{error}");
    }
}

#[test]
fn tricks_with_keys() {
    let ec = |curve: &str| seq(&[oid(EC), oid(curve)]);
    let p256 = Key::p256(3).spki();
    let point = &p256[p256.len() - 65..];
    let compressed = [&[2], &point[1..33]].concat();
    let hybrid = [&[6], &point[1..]].concat();
    let unused = but(|csr| csr.spki = seq(&[ec(CURVE), tlv(3, &[&[1], point].concat())]));
    let mut off_curve = point.to_vec();
    off_curve[64] ^= 1;
    for (what, der, part) in [
        ("P-384", keyed(ec("1.3.132.0.34"), &[4; 97]), "1.3.132.0.34"),
        ("secp256k1", keyed(ec("1.3.132.0.10"), point), "1.3.132.0.10"),
        ("a compressed point", keyed(ec(CURVE), &compressed), "no P-256 key"),
        ("a hybrid point", keyed(ec(CURVE), &hybrid), "no P-256 key"),
        ("the point at infinity", keyed(ec(CURVE), &[0]), "no P-256 key"),
        ("a point off the curve", keyed(ec(CURVE), &off_curve), "signature"),
        ("unused bits", unused, "not a SubjectPublicKeyInfo"),
        ("a curve written out", keyed(seq(&[oid(EC), seq(&[int(&[1])])]), point), "parameters"),
        ("no curve", keyed(seq(&[oid(EC)]), point), "parameters"),
        ("the curve of somebody", keyed(seq(&[oid(EC), null()]), point), "parameters"),
        ("Ed448", keyed(seq(&[oid("1.3.101.113")]), &[1; 57]), "1.3.101.113"),
        ("X25519", keyed(seq(&[oid("1.3.101.110")]), &[1; 32]), "1.3.101.110"),
        ("Ed25519 with parameters", keyed(seq(&[oid(ED25519), null()]), &[1; 32]), "parameters"),
        ("a short Ed25519 key", keyed(seq(&[oid(ED25519)]), &[1; 31]), "no Ed25519 key"),
        ("a long Ed25519 key", keyed(seq(&[oid(ED25519)]), &[1; 33]), "no Ed25519 key"),
        ("DSA", keyed(seq(&[oid("1.2.840.10040.4.1")]), &int(&[1])), "1.2.840.10040.4.1"),
        ("an RSA-PSS key", keyed(seq(&[oid("1.2.840.113549.1.1.10")]), &int(&[1])), "1.2.840.113549.1.1.10"),
        ("RSA without parameters", keyed(seq(&[oid(RSA)]), &int(&[1])), "parameters"),
        ("RSA of 512 bits", rsa(&number(512, 1), &[1, 0, 1]), "512 bits"),
        ("RSA of 1024 bits", rsa(&number(1024, 1), &[1, 0, 1]), "1024 bits"),
        ("RSA of 2047 bits", rsa(&number(2047, 1), &[1, 0, 1]), "2047 bits"),
        ("RSA of 4097 bits", rsa(&number(4097, 1), &[1, 0, 1]), "4097 bits"),
        ("RSA of 16384 bits", rsa(&number(16_384, 1), &[1, 0, 1]), "16384 bits"),
        ("an even modulus", rsa(&number(2048, 2), &[1, 0, 1]), "no RSA key"),
        ("exponent 1", rsa(&number(2048, 1), &[1]), "exponent"),
        ("exponent 3", rsa(&number(2048, 1), &[3]), "exponent"),
        ("an even exponent", rsa(&number(2048, 1), &[1, 0, 2]), "exponent"),
        ("an exponent of 40 bits", rsa(&number(2048, 1), &[1, 0, 0, 0, 1]), "exponent"),
        ("an exponent of 2048 bits", rsa(&number(2048, 1), &number(2048, 1)), "exponent"),
        ("a negative modulus", rsa(&[0x80; 256], &[1, 0, 1]), "no RSA key"),
        ("a modulus with zeros", rsa(&[vec![0; 3], number(2048, 1)].concat(), &[1, 0, 1]), "no RSA key"),
        (
            "three numbers",
            keyed(seq(&[oid(RSA), null()]), &seq(&[int(&number(2048, 1)), int(&[3]), int(&[3])])),
            "no RSA key",
        ),
        ("no numbers", keyed(seq(&[oid(RSA), null()]), b"key"), "no RSA key"),
        ("no bits", keyed(seq(&[oid(RSA), null()]), b""), "no RSA key"),
    ] {
        let error = parse(&der).expect_err(what).to_string();
        assert!(error.contains(part), "{what}: {error}");
    }
}

#[test]
fn tricks_with_signatures() {
    let (key, csr) = (Key::p256(3), Csr::of(&Key::p256(3), mailbox()));
    let signature = key.sign_as_x509_does(&csr.info());
    let signed_as = |algorithm: Vec<u8>| Csr { algorithm, ..csr.clone() }.write(&key);
    let with = |bytes: &[u8]| csr.with_signature(&bits(bytes));
    let mut flipped = signature.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let bobs = Csr::of(&key, "bob@example.com").with_signature(&bits(&signature));
    let not_its_own = Csr { spki: Key::p256(4).spki(), ..csr.clone() }.write(&key);
    let rsa = Key::rsa();
    let rsa_csr = Csr::of(&rsa, mailbox());
    let rsa_as = |algorithm: Vec<u8>| Csr { algorithm, ..rsa_csr.clone() }.write(&rsa);
    let raw = key.sign_as_channels_do(&csr.info());
    let unused = csr.with_signature(&tlv(3, &[&[1], signature.as_slice()].concat()));
    let pss = rsa_csr.with_signature(&bits(&rsa.sign_as_channels_do(&rsa_csr.info())));
    for (what, der, part) in [
        ("a flipped bit", with(&flipped), "not that of its own key"),
        ("no signature", with(&[]), "not that of its own key"),
        ("of zeros", with(&seq(&[int(&[0]), int(&[0])])), "not that of its own key"),
        ("r and s in a row", with(&raw), "not that of its own key"),
        ("a byte behind", with(&[signature.as_slice(), &[0]].concat()), "not that of its own key"),
        ("unused bits", unused, "not that of its own key"),
        ("of another address", bobs, "not that of its own key"),
        ("of another key", not_its_own, "not that of its own key"),
        ("ECDSA with SHA-384", signed_as(seq(&[oid("1.2.840.10045.4.3.3")])), "must be ecdsa-with-SHA256"),
        ("ECDSA with SHA-1", signed_as(seq(&[oid("1.2.840.10045.4.1")])), "must be ecdsa-with-SHA256"),
        ("ECDSA with parameters", signed_as(seq(&[oid("1.2.840.10045.4.3.2"), null()])), "must be ecdsa-with-SHA256"),
        ("by the name of RSA", signed_as(rsa.algorithm()), "must be ecdsa-with-SHA256"),
        ("RSA with SHA-1", rsa_as(seq(&[oid("1.2.840.113549.1.1.5"), null()])), "must be sha256WithRSAEncryption"),
        ("RSA with MD5", rsa_as(seq(&[oid("1.2.840.113549.1.1.4"), null()])), "must be sha256WithRSAEncryption"),
        ("RSA without parameters", rsa_as(seq(&[oid("1.2.840.113549.1.1.11")])), "must be sha256WithRSAEncryption"),
        ("RSA-PSS by the name of PKCS #1", pss, "not that of its own key"),
    ] {
        let error = parse(&der).expect_err(what).to_string();
        assert!(error.contains(part), "{what}: {error}");
    }
}

/// Whatever is changed in a good request, one byte at a time, it is not taken.
#[test]
fn every_byte_counts() {
    for key in [Key::ed25519(3), Key::p256(3)] {
        let good = Csr::of(&key, mailbox()).write(&key);
        for place in 0..good.len() {
            for change in [1, 0x80] {
                let mut bad = good.clone();
                bad[place] ^= change;
                assert!(parse(&bad).is_err(), "byte {place} ^ {change}");
            }
            assert!(parse(&good[..place]).is_err(), "cut at {place}");
        }
    }
}

#[test]
fn what_is_not_strict_is_told_apart() {
    // An attribute set out of order is read by many, and written differently by each.
    let values =
        [attribute("1.2.840.113549.1.9.7", &[tlv(0x0c, b"b")]), attribute("1.2.840.113549.1.9.2", &[tlv(0x0c, b"a")])];
    let error = parse(&but(|csr| csr.attributes = Csr::attributes(&values))).unwrap_err().to_string();
    assert!(error.contains(STRICT) || error.contains(READ) || error.contains("attribute"), "{error}");
}

proptest! {
    /// Whatever address somebody signs a request for: a mail goes to it alone and has one line of subject, or it is refused.
    #[test]
    fn no_address_makes_more_of_a_mail(address in "[a-zA-Z0-9.+@\\r\\n\\x00 <>,;:\"()\\[\\]\\\\%_\\-]{0,24}|[a-z]{1,6}@[a-z]{1,6}\\.[a-z]{2,4}[\\r\\n\\x00, ]?[a-z@:]{0,9}") {
        let key = Key::ed25519(3);
        let der = Csr::of(&key, &address).write(&key);
        if let Ok(request) = parse(&der) {
            let mailbox = request.mailbox();
            prop_assert_eq!(mailbox.as_str(), address.as_str());
            prop_assert!(!address.contains(|c: char| c.is_control() || " <>,;:\"()[]\\".contains(c)));
            prop_assert_eq!(address.matches('@').count(), 1);
            let letter = Letter::certificate(mailbox, &[vec![1]], support::now());
            prop_assert!(!letter.subject.contains(char::is_control) && letter.to == *mailbox);
        }
    }

    /// Random damage, under a signature that holds over it: nothing panics, and what is taken is what it seems.
    #[test]
    fn damage_that_is_signed_is_not_taken_for_something_else(place in 0_usize..200, byte: u8, more in proptest::collection::vec(any::<u8>(), 0..4)) {
        let key = Key::ed25519(3);
        let csr = Csr::of(&key, mailbox());
        let mut info = csr.info();
        let place = place % info.len();
        info.splice(place..=place, std::iter::once(byte).chain(more));
        let der = seq(&[info.clone(), key.algorithm(), bits(&key.sign_as_x509_does(&info))]);
        if let Ok(request) = parse(&der) {
            prop_assert_eq!(request.key().spki().to_vec(), key.spki());
            prop_assert!(der.windows(request.mailbox().as_str().len()).any(|part| part == request.mailbox().as_str().as_bytes()));
        }
    }
}
