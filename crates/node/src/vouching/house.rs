//! For tests: an authority in memory, and whom it certifies.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use parallax_core::{Fingerprint, Signer, SigningFailed, Timestamp};
use parallax_janus::{
    Authority, CaKey, Denied, Grant, Identity, Judge, Request, SHORTEST_LIFE, SubjectKey, make_issuing, make_request,
    make_root,
};
use parallax_probe::AwsLc;

use crate::janus::Believed;

/// A P-256 key.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

impl Key {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec();
        Self { pair, spki }
    }

    fn ca(&self) -> CaKey<'_> {
        CaKey::new(&AwsLc, self, &self.spki).unwrap()
    }
}

impl Signer for Key {
    fn algorithm(&self) -> &'static str {
        "ES256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SigningFailed)
    }
}

/// An authority with its keys.
pub(crate) struct House {
    issuing: Key,
    authority: Authority,
}

impl House {
    pub(crate) fn new(now: Timestamp) -> Self {
        let (root_key, issuing) = (Key::new(), Key::new());
        let root = make_root(&AwsLc, &root_key.ca(), [7; 16], now).unwrap();
        let subject = SubjectKey::parse(&AwsLc, &issuing.spki).unwrap();
        let certificate = make_issuing(&AwsLc, &root, &root_key.ca(), &subject, [8; 16], now).unwrap();
        let authority = Authority::load(&AwsLc, &root, &[certificate]).unwrap();
        Self { issuing, authority }
    }

    /// A chain for a mailbox and a key, that lives for a day.
    pub(crate) fn certify(&self, mailbox: &str, key: &Key, now: Timestamp) -> Vec<Vec<u8>> {
        let request = make_request(&AwsLc, &mailbox.parse().unwrap(), &key.spki, key).unwrap();
        let grant = Grant::classic(&Request::parse(&AwsLc, &request).unwrap(), now);
        self.authority.issue(&AwsLc, &self.issuing.ca(), &grant, SHORTEST_LIFE, [9; 16], now).unwrap().chain
    }

    /// Who that is, judged as everybody does.
    pub(crate) fn identity(&self, mailbox: &str, key: &Key, now: Timestamp) -> Identity {
        let believed = self.believed([], now);
        let judge = Judge::new(Arc::new(AwsLc), &believed.roots).unwrap();
        judge.judge(&self.certify(mailbox, key, now), &believed.denied, now).unwrap()
    }

    /// What it says of itself at this moment, for an hour.
    pub(crate) fn believed(&self, denied: impl IntoIterator<Item = Fingerprint>, now: Timestamp) -> Believed {
        let denied = Denied::new(denied, now, now.plus(Duration::from_secs(3_600))).unwrap();
        Believed { roots: vec![self.authority.root().to_vec()], denied }
    }
}
