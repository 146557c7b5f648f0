//! What the tests of janus share: keys and a suite of other libraries than the product's, and a writer of DER that
//! writes whatever it is told to.

// Not every test file needs all of it.
#![allow(dead_code)]

pub(crate) mod der;
pub(crate) mod keys;

use parallax_core::Timestamp;
use parallax_janus::{
    Answer, Answered, Authority, CaKey, Desk, Grant, Limits, Outcome, Request, SmallNetwork, SubjectKey,
    answer_message, make_issuing, make_root,
};

use keys::{Key, PureRust};

/// 2026-11-25T18:00:00Z.
pub(crate) fn now() -> Timestamp {
    "2026-11-25T18:00:00Z".parse().unwrap()
}

pub(crate) fn mailbox() -> &'static str {
    "ann@example.com"
}

/// A generator that counts: what it draws is known.
pub(crate) struct Counter(pub(crate) u64);

impl rand_core::TryRng for Counter {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|word| (word >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            *byte = (self.try_next_u64()? >> 56) as u8;
        }
        Ok(())
    }
}

/// An authority with its two keys.
pub(crate) struct House {
    pub(crate) root_key: Key,
    pub(crate) issuing_key: Key,
    pub(crate) authority: Authority,
    pub(crate) issuing_der: Vec<u8>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::at(now())
    }

    pub(crate) fn at(now: Timestamp) -> Self {
        let (root_key, issuing_key) = (Key::p256(1), Key::p256(2));
        let root_signer = CaKey::new(&PureRust, &root_key, &root_key.spki()).unwrap();
        let root = make_root(&PureRust, &root_signer, [0xff; 16], now).unwrap();
        let issuing = SubjectKey::parse(&PureRust, &issuing_key.spki()).unwrap();
        let issuing_der = make_issuing(&PureRust, &root, &root_signer, &issuing, [0; 16], now).unwrap();
        let authority = Authority::load(&PureRust, &root, &[&issuing_der]).unwrap();
        Self { authority, issuing_der, root_key, issuing_key }
    }

    pub(crate) fn signer(&self) -> CaKey<'_> {
        CaKey::new(&PureRust, &self.issuing_key, &self.issuing_key.spki()).unwrap()
    }
}

pub(crate) fn network() -> SmallNetwork {
    SmallNetwork::of("192.0.2.7".parse().unwrap())
}

pub(crate) fn janus() -> parallax_core::VantageId {
    parallax_core::VantageId::from_bytes([9; 32])
}

pub(crate) fn request(key: &Key, mailbox: &str) -> Request {
    Request::parse(&PureRust, &der::Csr::of(key, mailbox).write(key)).unwrap()
}

pub(crate) fn desk() -> Desk {
    Desk::new(std::sync::Arc::new(PureRust), Limits::default())
}

pub(crate) fn place(desk: &mut Desk, request: &Request, seed: u64, now: Timestamp) -> Outcome {
    desk.place(request, None, false, network(), &mut Counter(seed), now).unwrap()
}

/// `token1` of the link.
pub(crate) fn token1(outcome: &Outcome) -> String {
    outcome.mail.as_ref().unwrap().link.rsplit('.').next().unwrap().to_owned()
}

/// The signature that an honest client makes.
pub(crate) fn sign(key: &Key, request: &Request, outcome: &Outcome, proof: &str) -> Vec<u8> {
    let (order, token2) = (outcome.placed.order.to_string(), outcome.placed.token2.to_string());
    key.sign_as_channels_do(&answer_message(janus(), &order, proof, &token2, &request.hash()))
}

/// A mailbox that was proved.
pub(crate) fn grant(key: &Key, mailbox: &str, now: Timestamp) -> Grant {
    let request = request(key, mailbox);
    let mut outcome = place(&mut desk(), &request, 7, now);
    let (proof, token2) = (token1(&outcome), outcome.placed.token2.to_string());
    let signature = sign(key, &request, &outcome, &proof);
    let answer = Answer { proof: &proof, token2: &token2, signature: &signature };
    match outcome.order.answer(&PureRust, janus(), &answer, now).unwrap() {
        Answered::Proved(grant) => *grant,
        Answered::Again(_) => panic!("nothing was issued yet"),
    }
}
