//! Requests that a client makes: what the strict reader takes, for each kind of key, and what it never gets to see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use parallax_core::{Signer, SigningFailed};
use parallax_janus::{Mailbox, NotAsked, Request, make_request};
use support::keys::{Key, PureRust};
use support::mailbox;

/// Signs as X.509 has it: RSA with PKCS #1 v1.5.
struct OfX509<'a>(&'a Key);

impl Signer for OfX509<'_> {
    fn algorithm(&self) -> &'static str {
        match self.0 {
            Key::Rsa(_) => "RS256",
            other => Signer::algorithm(other),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        match self.0 {
            Key::Rsa(_) => Ok(self.0.sign_as_x509_does(message)),
            other => Signer::sign(other, message),
        }
    }
}

#[test]
fn each_kind_of_key_asks_as_the_reader_wants_it() {
    let ann: Mailbox = mailbox().parse().unwrap();
    for key in Key::each() {
        let der = make_request(&PureRust, &ann, &key.spki(), &OfX509(&key)).unwrap();
        let request = Request::parse(&PureRust, &der).unwrap();
        assert_eq!((request.mailbox(), request.key().spki()), (&ann, key.spki().as_slice()));
        // An address may have characters that an IA5String holds and few others do.
        let odd: Mailbox = "!#$%&'*+-/=?^_`{|}~@xn--bcher-kva.example".parse().unwrap();
        make_request(&PureRust, &odd, &key.spki(), &OfX509(&key)).unwrap();
    }
}

#[test]
fn another_keys_signer_makes_no_request() {
    let ann: Mailbox = mailbox().parse().unwrap();
    let [ed25519, p256, rsa] = Key::each();
    for (shown, signs, expected) in [(&ed25519, &p256, "EdDSA"), (&p256, &rsa, "ES256")] {
        let error = make_request(&PureRust, &ann, &shown.spki(), &OfX509(signs)).unwrap_err();
        assert!(matches!(error, NotAsked::Signer { expected: wanted, .. } if wanted == expected), "{error}");
    }
    // PSS is for channels and answers.
    assert!(matches!(make_request(&PureRust, &ann, &rsa.spki(), &rsa), Err(NotAsked::Signer { found: "PS256", .. })));
    // Of the same kind, but another key: its own reader finds the signature wrong.
    let other = Key::ed25519(9);
    let error = make_request(&PureRust, &ann, &ed25519.spki(), &OfX509(&other)).unwrap_err();
    assert!(error.to_string().contains("would be refused"), "{error}");
    assert!(matches!(make_request(&PureRust, &ann, b"no key", &ed25519), Err(NotAsked::Key(_))));
}
