//! Keys and certificates are kept so that nothing is lost and nothing is mixed up.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use parallax_client::{NewKey, read_certificates};

use super::*;

const JANUS: &str = "https://192.0.2.7:8443#abababababababababababababababababababababababababababababababab";

fn identities(home: &Path) -> Identities {
    Identities { root: home.join("parallax/id") }
}

fn ann() -> Mailbox {
    "ann@example.com".parse().unwrap()
}

fn janus() -> VantageUrl {
    JANUS.parse().unwrap()
}

/// As if it were certified.
fn certified(key: &IdentityKey, mailbox: &Mailbox) -> OwnIdentity {
    let pair = rcgen::KeyPair::from_pem(&key.to_pem()).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::Rfc822Name(mailbox.as_str().try_into().unwrap())];
    let pem = params.self_signed(&pair).unwrap().pem();
    OwnIdentity::new(key.clone(), read_certificates(pem.as_bytes()).unwrap()).unwrap()
}

fn sentence(failure: Failure) -> String {
    failure.sentence().unwrap().to_owned()
}

#[test]
fn a_key_is_made_once_and_its_certificate_kept_beside_it() {
    let home = tempfile::tempdir().unwrap();
    let ours = identities(home.path());
    let key = ours.key_for(&ann(), &janus(), Wanted::default()).unwrap();
    assert_eq!(ours.key_for(&ann(), &janus(), Wanted::default()).unwrap().id(), key.id());
    let missing = sentence(ours.acting(None).unwrap_err());
    assert!(missing.contains("parallax id request"), "{missing}");
    ours.keep(&certified(&key, &ann()), &janus()).unwrap();
    let acting = ours.acting(None).unwrap();
    assert_eq!((acting.identity.mailbox(), acting.janus.to_string().as_str()), (&ann(), JANUS));
    assert_eq!(ours.acting(Some(" ann@EXAMPLE.com ")).unwrap().identity.key().id(), key.id());
    assert!(acting.identity.for_channels().is_ok());
    for file in ["key.pem", "certificate.pem", "identity.toml"] {
        let file = home.path().join("parallax/id/ann@example.com").join(file);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(home.path().join("parallax/id")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn another_key_waits_until_it_is_certified() {
    let home = tempfile::tempdir().unwrap();
    let ours = identities(home.path());
    let first = ours.key_for(&ann(), &janus(), Wanted::default()).unwrap();
    ours.keep(&certified(&first, &ann()), &janus()).unwrap();
    let another = Wanted { kind: None, another: true };
    let second = ours.key_for(&ann(), &janus(), another).unwrap();
    assert_ne!(first.id(), second.id());
    assert_eq!(ours.key_for(&ann(), &janus(), another).unwrap().id(), second.id(), "it is asked for again");
    assert_eq!(ours.acting(None).unwrap().identity.key().id(), first.id());
    assert_eq!(ours.holder_of(second.id()).unwrap().unwrap().0.mailbox, ann());
    ours.keep(&certified(&second, &ann()), &janus()).unwrap();
    assert_eq!(ours.acting(None).unwrap().identity.key().id(), second.id());
    assert!(ours.holder_of(first.id()).unwrap().is_none());
    let gone = sentence(ours.keep(&certified(&first, &ann()), &janus()).unwrap_err());
    assert!(gone.contains("is not here any more"), "{gone}");
    // Of another kind.
    let p256 = Wanted { kind: Some(NewKey::P256), another: false };
    assert_eq!(ours.key_for(&ann(), &janus(), p256).unwrap().kind(), NewKey::P256);
    assert_eq!(ours.key_for(&ann(), &janus(), Wanted::default()).unwrap().id(), second.id());
}

#[test]
fn a_crash_between_certificate_and_key_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let ours = identities(home.path());
    let first = ours.key_for(&ann(), &janus(), Wanted::default()).unwrap();
    ours.keep(&certified(&first, &ann()), &janus()).unwrap();
    let second = ours.key_for(&ann(), &janus(), Wanted { kind: None, another: true }).unwrap();
    let pem = parallax_client::certificates_pem(certified(&second, &ann()).chain());
    fs::write(home.path().join("parallax/id/ann@example.com/certificate.pem"), pem).unwrap();
    assert_eq!(ours.acting(None).unwrap().identity.key().id(), second.id());
    ours.keep(&certified(&second, &ann()), &janus()).unwrap();
    assert_eq!(ours.held(&ann()).unwrap().unwrap().key().unwrap().id(), second.id());
}

#[test]
fn what_is_revoked_is_forgotten_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let ours = identities(home.path());
    let key = ours.key_for(&ann(), &janus(), Wanted::default()).unwrap();
    ours.keep(&certified(&key, &ann()), &janus()).unwrap();
    let next = ours.key_for(&ann(), &janus(), Wanted { kind: None, another: true }).unwrap();
    ours.forget(&ann(), next.id()).unwrap();
    assert!(ours.acting(None).is_ok());
    ours.forget(&ann(), key.id()).unwrap();
    assert!(ours.acting(None).is_err());
    assert_ne!(ours.key_for(&ann(), &janus(), Wanted::default()).unwrap().id(), key.id());
}

#[test]
fn what_is_wrong_is_named() {
    let home = tempfile::tempdir().unwrap();
    let ours = identities(home.path());
    let bob: Mailbox = "bob@example.com".parse().unwrap();
    for mailbox in [ann(), bob] {
        let key = ours.key_for(&mailbox, &janus(), Wanted::default()).unwrap();
        ours.keep(&certified(&key, &mailbox), &janus()).unwrap();
    }
    let which = sentence(ours.acting(None).unwrap_err());
    assert!(which.contains("ann@example.com, bob@example.com; say which"), "{which}");
    assert!(sentence(ours.acting(Some("carl")).unwrap_err()).contains("no @"));
    let directory = home.path().join("parallax/id/ann@example.com");
    let key = directory.join("key.pem");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert!(sentence(ours.acting(Some("ann@example.com")).unwrap_err()).contains("mode 600"));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    fs::copy(home.path().join("parallax/id/bob@example.com/certificate.pem"), directory.join("certificate.pem"))
        .unwrap();
    let mixed = sentence(ours.acting(Some("ann@example.com")).unwrap_err());
    assert!(mixed.contains("certificate.pem: the certificate is of another key"), "{mixed}");
    fs::write(directory.join("identity.toml"), "mailbox = \"bob@example.com\"\njanus = \"https://x\"\n").unwrap();
    assert!(sentence(ours.acting(Some("ann@example.com")).unwrap_err()).contains("has another name"));
    // One that is broken takes none of the others away.
    assert!(ours.acting(Some("bob@example.com")).is_ok());
    assert_eq!(ours.all().unwrap().iter().filter(|held| held.is_ok()).count(), 1);
}
