use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use parallax_core::{Signer as _, Suite as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn terms() -> ServerTerms {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    ServerTerms { names, life: 90 * DAY }
}

fn start() -> Timestamp {
    "2026-11-23T05:00:00Z".parse().unwrap()
}

fn open(data: &Path) -> Result<Identity, IdentityError> {
    Identity::open(data, &terms(), start())
}

#[test]
fn first_start_makes_it_and_the_second_finds_it() {
    let data = tempfile::tempdir().unwrap();
    let first = open(data.path()).unwrap();
    let second = open(data.path()).unwrap();
    assert_eq!(first.vantage(), second.vantage());
    assert_eq!(first.statement_key(), second.statement_key());
    assert_eq!(first.server_not_after(), second.server_not_after());
    for file in [CA_KEY, CA, STATEMENT_KEY, SERVER] {
        let mode = fs::metadata(data.path().join("identity").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let other = tempfile::tempdir().unwrap();
    assert_ne!(open(other.path()).unwrap().vantage(), first.vantage());
}

#[test]
fn the_ca_signs_servers_only_and_the_server_is_no_ca() {
    let data = tempfile::tempdir().unwrap();
    let identity = open(data.path()).unwrap();
    let (_, ca) = X509Certificate::from_der(identity.ca()).unwrap();
    let constraints = ca.basic_constraints().unwrap().unwrap().value;
    assert!(constraints.ca && constraints.path_len_constraint == Some(0));
    assert_eq!(ca.validity().not_after.timestamp(), 253_402_300_799);

    let server = identity.read_server();
    assert_eq!(server.key.cert.len(), 2, "the leaf and its CA are sent");
    let (_, leaf) = X509Certificate::from_der(&server.key.cert[0]).unwrap();
    assert!(!leaf.is_ca());
    assert!(leaf.extended_key_usage().unwrap().unwrap().value.server_auth);
    assert_eq!(server.term.names, terms().names);
    assert_eq!(leaf.issuer(), ca.subject());
}

#[test]
fn signatures_hold() {
    let data = tempfile::tempdir().unwrap();
    let identity = open(data.path()).unwrap();
    let signature = identity.statement().sign(b"text").unwrap();
    assert!(AwsLc.verify_ed25519(identity.statement_key().as_bytes(), b"text", &signature));
    let (_, ca) = X509Certificate::from_der(identity.ca()).unwrap();
    let signature = identity.ca_signer().sign(b"text").unwrap();
    assert!(AwsLc.verify_p256(&ca.public_key().subject_public_key.data, b"text", &signature));
}

#[test]
fn renewed_when_less_than_a_third_is_left() {
    let data = tempfile::tempdir().unwrap();
    let identity = open(data.path()).unwrap();
    let before = identity.read_server();
    assert!(!identity.renew_if_due(&terms(), start().plus(59 * DAY)).unwrap());
    let late = start().plus(61 * DAY);
    assert!(identity.renew_if_due(&terms(), late).unwrap());
    let after = identity.read_server();
    assert_ne!(before.key.cert[0], after.key.cert[0]);
    assert_eq!(after.term.not_after, late.plus(90 * DAY));
    assert!(!identity.renew_if_due(&terms(), late).unwrap());
    // A clock that went back before the certificate's time, and a name that was added, make it due as well.
    assert!(after.term.is_due(start().minus(DAY), &terms().names));
    assert!(after.term.is_due(late, &["node.example".to_owned()].into()));
    assert_eq!(Identity::open(data.path(), &terms(), late).unwrap().server_not_after(), after.term.not_after);
}

#[test]
fn a_server_certificate_that_is_missing_is_made_anew() {
    let data = tempfile::tempdir().unwrap();
    let vantage = open(data.path()).unwrap().vantage();
    fs::remove_file(data.path().join("identity").join(SERVER)).unwrap();
    assert_eq!(open(data.path()).unwrap().vantage(), vantage);
}

#[test]
fn a_start_that_was_cut_short_leaves_no_half_identity() {
    let data = tempfile::tempdir().unwrap();
    fs::create_dir(data.path().join("identity.new")).unwrap();
    fs::write(data.path().join("identity.new").join(CA_KEY), "-----BEGIN PRIV").unwrap();
    open(data.path()).unwrap();
}

#[test]
fn files_of_the_wrong_form_are_named() {
    let other = tempfile::tempdir().unwrap();
    open(other.path()).unwrap();
    let foreign = |file: &str| fs::read(other.path().join("identity").join(file)).unwrap();
    for (file, content, part) in [
        (CA_KEY, b"".to_vec(), "no private key in PEM"),
        (CA_KEY, foreign(STATEMENT_KEY), "no P-256 key"),
        (CA_KEY, foreign(CA_KEY), "not the certificate of the key"),
        (CA, b"\xff\xfe".to_vec(), "not text in PEM"),
        (CA, b"hello".to_vec(), "no certificate in PEM"),
        (CA, foreign(CA), "not the certificate of the key"),
        (STATEMENT_KEY, foreign(CA_KEY), "no Ed25519 key"),
        (SERVER, b"hello".to_vec(), "remove it"),
        (SERVER, foreign(SERVER), "not signed by the CA"),
        (SERVER, vec![b'x'; 65 * 1024], "larger than 64 KiB"),
    ] {
        let data = tempfile::tempdir().unwrap();
        open(data.path()).unwrap();
        fs::write(data.path().join("identity").join(file), content).unwrap();
        let error = open(data.path()).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(file), "{file}: {error}");
    }
}

#[test]
fn a_missing_key_is_never_replaced_in_silence() {
    for file in [CA_KEY, CA, STATEMENT_KEY] {
        let data = tempfile::tempdir().unwrap();
        open(data.path()).unwrap();
        fs::remove_file(data.path().join("identity").join(file)).unwrap();
        assert!(open(data.path()).unwrap_err().to_string().contains(file));
    }
}

#[test]
fn loosened_permissions_are_refused() {
    for (file, mode) in [("identity", 0o755), ("identity/ca.key.pem", 0o644), ("identity/statement.key.pem", 0o640)] {
        let data = tempfile::tempdir().unwrap();
        open(data.path()).unwrap();
        fs::set_permissions(data.path().join(file), fs::Permissions::from_mode(mode)).unwrap();
        let error = open(data.path()).unwrap_err().to_string();
        assert!(error.contains("chmod"), "{error}");
    }
}
