//! Which views of peers are believed: those that the peer's own key signed, for this very question.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use parallax_core::{DnsAnswers, Observation, Outcome, ServiceId, Signer, Suite as _, Timestamp, VantageId};
use parallax_proto::hub::{Answer, ExpectedPeer, LARGEST_PEER_VIEW, Nonce, PeerSpki, PeerView};
use parallax_proto::{VIEW_FORMAT, View, ViewError};

use support::{CaKey, PureRust, RsaKey, Statement};

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const NONCE: Nonce = Nonce([5; 32]);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn service() -> ServiceId {
    "example.com".parse().unwrap()
}

/// A peer: its key and the SubjectPublicKeyInfo of that.
struct Peer {
    key: Box<dyn Signer>,
    spki: Vec<u8>,
}

impl Peer {
    fn ed25519(seed: u8) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let spki = [&prefix[..], key.verifying_key().as_bytes()].concat();
        Self { key: Box::new(Statement(key)), spki }
    }

    fn p256(seed: u8) -> Self {
        use p256::pkcs8::EncodePublicKey as _;
        let secret = p256::SecretKey::from_slice(&[seed; 32]).unwrap();
        let spki = secret.public_key().to_public_key_der().unwrap().as_bytes().to_vec();
        Self { key: Box::new(CaKey(p256::ecdsa::SigningKey::from(&secret))), spki }
    }

    fn rsa() -> Self {
        use rsa::pkcs8::EncodePublicKey as _;
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let spki = key.to_public_key().to_public_key_der().unwrap().as_bytes().to_vec();
        Self { key: Box::new(RsaKey(key)), spki }
    }

    fn id(&self) -> VantageId {
        VantageId::from_bytes(PureRust.sha256(&self.spki))
    }

    fn view(&self) -> View {
        View {
            format: VIEW_FORMAT.into(),
            vantage: self.id(),
            region: Some("eu-west".into()),
            service: service(),
            nonce: Some(NONCE.to_string()),
            issued_at: NOW,
            valid_until: NOW.plus(seconds(300)),
            dns: DnsAnswers::default(),
            now: Observation::failed(NOW, Some("192.0.2.10:443".parse().unwrap()), Outcome::Timeout),
            history: vec![],
            kept_since: None,
            authority: vec![],
        }
    }

    fn answer(&self, cached: bool, change: impl FnOnce(&mut View)) -> Answer {
        let mut view = self.view();
        change(&mut view);
        let view = view.sign(self.key.as_ref()).unwrap();
        Answer {
            view,
            peer: PeerSpki(self.spki.clone()),
            network: "n".into(),
            edge: "e".into(),
            trusted: false,
            cached,
        }
    }
}

fn verify_within(answer: Answer, max_age: Duration) -> Result<VantageId, ViewError> {
    let expected = ExpectedPeer { service: &service(), nonce: NONCE, max_age, now: NOW };
    PeerView::verify(&PureRust, &expected, answer).map(|view| view.content().peer())
}

fn verify(answer: Answer) -> Result<VantageId, ViewError> {
    verify_within(answer, seconds(300))
}

#[test]
fn a_view_signed_by_the_peers_own_key_counts_under_the_keys_id() {
    for peer in [Peer::ed25519(1), Peer::p256(2), Peer::rsa()] {
        assert_eq!(verify(peer.answer(false, |_| ())), Ok(peer.id()));
    }
}

#[test]
fn an_rsa_peers_view_is_its_own_and_unchanged() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (peer, other) = (Peer::rsa(), Peer::rsa());
    let header = |answer: &Answer| {
        let header = answer.view.signature.split('.').next().unwrap().to_owned();
        String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
    };
    let answer = peer.answer(false, |_| ());
    assert!(header(&answer).contains("\"PS256\""), "{}", header(&answer));
    let forged = Answer { peer: PeerSpki(other.spki.clone()), ..answer.clone() };
    assert!(matches!(verify(forged), Err(ViewError::Signature(_))));
    let mut changed = answer.clone();
    changed.view.body = changed.view.body.replace("timeout", "refused");
    assert!(matches!(verify(changed), Err(ViewError::Signature(_))));
    // The algorithm goes with the kind of key, not with what the header says.
    for other in ["EdDSA", "ES256", "RS256", "none"] {
        let mut relabelled = answer.clone();
        let header = URL_SAFE_NO_PAD.encode(header(&answer).replace("PS256", other));
        let (_, rest) = answer.view.signature.split_once('.').unwrap();
        relabelled.view.signature = format!("{header}.{rest}");
        assert!(verify(relabelled).is_err(), "{other}");
    }
}

#[test]
fn nobody_speaks_for_another_key() {
    let (peer, other) = (Peer::ed25519(1), Peer::ed25519(3));
    let mut forged = peer.answer(false, |_| ());
    forged.peer = PeerSpki(other.spki.clone());
    assert!(matches!(verify(forged), Err(ViewError::Signature(_))));
    let claims = other.answer(false, |view| view.vantage = peer.id());
    assert!(matches!(verify(claims), Err(ViewError::Signature(_))), "kid names another than the key that came");
    let mut changed = peer.answer(false, |_| ());
    changed.view.body = changed.view.body.replace("timeout", "refused");
    assert!(matches!(verify(changed), Err(ViewError::Signature(_))));
    let mixed = Answer { peer: PeerSpki(Peer::p256(2).spki), ..peer.answer(false, |_| ()) };
    assert!(verify(mixed).is_err());
    for spki in [vec![], vec![0x30], [peer.spki.clone(), vec![0]].concat()] {
        let bad = Answer { peer: PeerSpki(spki), ..peer.answer(false, |_| ()) };
        assert!(matches!(verify(bad), Err(ViewError::Malformed(_))));
    }
}

#[test]
fn it_answers_this_very_question() {
    let peer = Peer::ed25519(1);
    let other = |view: &mut View| view.service = "bank.example".parse().unwrap();
    assert!(matches!(verify(peer.answer(false, other)), Err(ViewError::Service { .. })));
    let old = |view: &mut View| view.nonce = Some(Nonce([6; 32]).to_string());
    assert_eq!(verify(peer.answer(false, old)), Err(ViewError::Nonce));
    assert_eq!(verify(peer.answer(false, |view| view.nonce = None)), Err(ViewError::Nonce));
    let format = |view: &mut View| view.format = "parallax-dns/1".into();
    assert!(matches!(verify(peer.answer(false, format)), Err(ViewError::Format(_))));
    let shifted = |view: &mut View, ms: u64| {
        view.issued_at = NOW.minus(Duration::from_millis(ms));
        view.valid_until = view.issued_at.plus(seconds(300));
        view.now.at = view.issued_at;
    };
    let expired = peer.answer(false, |view| shifted(view, 421_000));
    assert!(matches!(verify(expired), Err(ViewError::NotCurrent { .. })));
    let stale_look = peer.answer(false, |view| view.now.at = NOW.minus(seconds(3_600)));
    assert!(matches!(verify(stale_look), Err(ViewError::Stale { .. })));
}

#[test]
fn one_from_memory_needs_no_nonce_but_must_still_count_and_be_young_enough() {
    let peer = Peer::ed25519(1);
    let cached = |age: u64, max_age: u64| {
        let answer = peer.answer(true, |view| {
            view.nonce = Some(Nonce([9; 32]).to_string());
            view.issued_at = NOW.minus(seconds(age));
            view.valid_until = view.issued_at.plus(seconds(300));
            view.now.at = view.issued_at;
        });
        verify_within(answer, seconds(max_age))
    };
    assert_eq!(cached(200, 300), Ok(peer.id()));
    assert!(matches!(cached(200, 0), Err(ViewError::Stale { .. })), "who wants no memory gets none");
    assert!(matches!(cached(200, 30), Err(ViewError::Stale { .. })));
    assert!(matches!(cached(421, 600), Err(ViewError::NotCurrent { .. })));
}

#[test]
fn what_contradicts_itself_or_is_too_large_is_dropped() {
    let peer = Peer::ed25519(1);
    let impossible = peer.answer(false, |view| view.now.at = NOW.plus(seconds(60)));
    assert!(matches!(verify(impossible), Err(ViewError::Malformed(_))));
    let region = peer.answer(false, |view| view.region = Some("Nowhere!".into()));
    assert!(matches!(verify(region), Err(ViewError::Malformed(_))));
    let large = peer.answer(false, |view| view.dns.caa = Some(vec!["x".repeat(LARGEST_PEER_VIEW)]));
    assert!(matches!(verify(large), Err(ViewError::Malformed(_))));
}

#[test]
fn a_testimony_has_no_past() {
    let peer = Peer::ed25519(1);
    let span = parallax_core::Timespan {
        key: parallax_core::Fingerprint::from_bytes([1; 32]),
        leaf: parallax_core::Fingerprint::from_bytes([1; 32]),
        leaf_md5: None,
        issuer_key: None,
        ca_id: parallax_core::CaId::Key(parallax_core::Fingerprint::from_bytes([1; 32])),
        networks: vec![],
        proved: true,
        first_seen: NOW.minus(seconds(900_000)),
        last_seen: NOW,
    };
    let answer = peer.answer(false, |view| view.history = vec![span]);
    let expected = ExpectedPeer { service: &service(), nonce: NONCE, max_age: seconds(300), now: NOW };
    let verified = PeerView::verify(&PureRust, &expected, answer).unwrap();
    assert_eq!(verified.content().view().history.len(), 1, "shown");
    assert!(verified.testimony().history.spans.is_empty(), "not believed");
    assert_eq!(verified.testimony().vantage, peer.id());
}
