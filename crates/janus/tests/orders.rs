//! Orders: placed, answered rightly and wrongly, expired; what the disk tells; renewals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Timestamp, VantageId};
use parallax_janus::{
    Answer, Answered, Certified, Denied, Desk, Grant, Judge, LONGEST_LIFE, Limits, MAILBOX_PROOF_LIFE, NotRenewable,
    ORDER_LIFE, Order, OrderError, Outcome, Phase, Request, answer_message, phrase,
};
use proptest::prelude::*;

use support::keys::{Key, PureRust};
use support::{Counter, House, desk, grant, janus, mailbox, network, now, place, request, sign, token1};

const SECOND: Duration = Duration::from_secs(1);

struct Asked {
    key: Key,
    request: Request,
    outcome: Outcome,
}

impl Asked {
    fn with(key: Key) -> Self {
        let request = request(&key, mailbox());
        let outcome = place(&mut desk(), &request, 1, now());
        Self { key, request, outcome }
    }

    fn new() -> Self {
        Self::with(Key::ed25519(5))
    }

    fn code(&self) -> String {
        self.outcome.mail.as_ref().unwrap().code.to_string()
    }

    fn answer(&mut self, proof: &str, token2: &str, signature: &[u8], at: Timestamp) -> Result<Answered, OrderError> {
        self.outcome.order.answer(&PureRust, janus(), &Answer { proof, token2, signature }, at)
    }

    fn right(&mut self, proof: &str, at: Timestamp) -> Result<Answered, OrderError> {
        let signature = sign(&self.key, &self.request, &self.outcome, proof);
        let token2 = self.outcome.placed.token2.to_string();
        self.answer(proof, &token2, &signature, at)
    }
}

#[test]
fn the_link_and_the_code_both_prove_the_mailbox_for_each_kind_of_key() {
    for key in Key::each() {
        let mut asked = Asked::with(key);
        for proof in [token1(&asked.outcome), asked.code()] {
            let Answered::Proved(grant) = asked.right(&proof, now()).unwrap() else { panic!("nothing was issued") };
            assert_eq!((grant.mailbox(), grant.key()), (asked.request.mailbox(), asked.request.key()));
        }
    }
}

#[test]
fn the_mail_says_what_the_protocol_says() {
    let asked = Asked::new();
    let mail = asked.outcome.mail.as_ref().unwrap();
    let order = asked.outcome.placed.order;
    assert!(mail.link.starts_with(&format!("http://localhost:15342/AddCert#{order}.")) && mail.link.len() <= 128);
    assert_eq!(mail.code.as_str().len(), 8);
    assert_eq!(mail.phrase, phrase(&PureRust, &order, &asked.request.hash()), "the client can reckon it too");
    assert_eq!(mail.phrase.len(), 11);
    assert_eq!(asked.outcome.placed.expires_at, now().plus(ORDER_LIFE));
    let answer = serde_json::to_value(&asked.outcome.placed).unwrap();
    let fields: BTreeSet<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(["order", "token2", "expires_at"]));
}

#[test]
fn no_part_of_an_answer_can_be_wrong_and_the_fifth_wrong_one_ends_it() {
    let (right, code) = {
        let asked = Asked::new();
        (token1(&asked.outcome), asked.code())
    };
    let token2 = Asked::new().outcome.placed.token2.to_string();
    let signature = |proof: &str, key: &Key, janus: VantageId, order: &str, token2: &str| {
        let message = answer_message(janus, order, proof, token2, &Asked::new().request.hash());
        key.sign_as_channels_do(&message)
    };
    let key = Key::ed25519(5);
    let order = Asked::new().outcome.placed.order.to_string();
    let good = signature(&right, &key, janus(), &order, &token2);
    let other = VantageId::from_bytes([8; 32]);
    let tricks: Vec<(&str, String, String, Vec<u8>)> = vec![
        ("no proof", String::new(), token2.clone(), good.clone()),
        (
            "a code that was guessed",
            "AAAAAAAA".into(),
            token2.clone(),
            signature("AAAAAAAA", &key, janus(), &order, &token2),
        ),
        (
            "a code in lower case",
            code.to_lowercase(),
            token2.clone(),
            signature(&code.to_lowercase(), &key, janus(), &order, &token2),
        ),
        ("token2 for token1", token2.clone(), token2.clone(), signature(&token2, &key, janus(), &order, &token2)),
        ("token1 for token2", right.clone(), right.clone(), signature(&right, &key, janus(), &order, &right)),
        ("no token2", right.clone(), String::new(), signature(&right, &key, janus(), &order, "")),
        (
            "padding",
            format!("{right}="),
            token2.clone(),
            signature(&format!("{right}="), &key, janus(), &order, &token2),
        ),
        ("the code with the link's signature", code.clone(), token2.clone(), good.clone()),
        ("no signature", right.clone(), token2.clone(), vec![]),
        ("a short signature", right.clone(), token2.clone(), good[..63].to_vec()),
        (
            "the signature of another key",
            right.clone(),
            token2.clone(),
            signature(&right, &Key::ed25519(6), janus(), &order, &token2),
        ),
        ("for another janus", right.clone(), token2.clone(), signature(&right, &key, other, &order, &token2)),
        ("for another order", right.clone(), token2.clone(), signature(&right, &key, janus(), &right, &token2)),
    ];
    let mut answers = BTreeSet::new();
    for (what, proof, token2, signature) in &tricks {
        let mut asked = Asked::new();
        let error = asked.answer(proof, token2, signature, now()).expect_err(what);
        assert_eq!(error, OrderError::Wrong { left: 4 }, "{what}");
        answers.insert(error.to_string());
        assert!(asked.right(&right, now()).is_ok(), "{what}: the right answer is still taken");
    }
    assert_eq!(answers.len(), 1, "which part is wrong is not told");

    let mut asked = Asked::new();
    for left in [4, 3, 2, 1] {
        assert_eq!(asked.answer("AAAAAAAA", &token2, &good, now()), Err(OrderError::Wrong { left }));
    }
    assert_eq!(asked.answer("AAAAAAAA", &token2, &good, now()), Err(OrderError::Ended));
    assert_eq!(asked.right(&right, now()), Err(OrderError::Ended), "even the right one");
    assert_eq!(asked.outcome.order.phase(), &Phase::Ended);
}

#[test]
fn an_order_expires() {
    let mut asked = Asked::new();
    let proof = token1(&asked.outcome);
    assert_eq!(asked.right(&proof, now().plus(ORDER_LIFE)), Err(OrderError::Expired));
    assert!(asked.right(&proof, now().plus(ORDER_LIFE - SECOND)).is_ok());
}

#[test]
fn the_same_order_answered_twice_gets_the_same_certificate() {
    let house = House::new();
    let mut asked = Asked::new();
    let proof = token1(&asked.outcome);
    let Answered::Proved(grant) = asked.right(&proof, now()).unwrap() else { panic!("nothing was issued yet") };
    let issued = house.authority.issue(&PureRust, &house.signer(), &grant, LONGEST_LIFE, [1; 16], now()).unwrap();
    asked.outcome.order.certify(&issued.chain);
    assert_eq!(asked.right(&proof, now().plus(SECOND)), Ok(Answered::Again(issued.chain.clone())));
    let code = asked.code();
    assert_eq!(asked.right(&code, now().plus(SECOND)), Ok(Answered::Again(issued.chain.clone())));
    // Wrong answers get nothing, and take nothing away.
    for _ in 0..20 {
        assert!(asked.answer(&proof, "", &[], now()).is_err());
    }
    assert_eq!(asked.right(&proof, now().plus(SECOND)), Ok(Answered::Again(issued.chain)));
}

/// Whoever reads the disk finds no secret there, and the order is the same when it was read back.
#[test]
fn what_is_kept_holds_no_secret() {
    let mut asked = Asked::new();
    let kept = serde_json::to_string(&asked.outcome.order).unwrap();
    let token2 = asked.outcome.placed.token2.to_string();
    for secret in [token1(&asked.outcome), asked.code(), token2] {
        assert!(!kept.contains(&secret), "{kept}");
    }
    let read: Order = serde_json::from_str(&kept).unwrap();
    assert_eq!(read, asked.outcome.order);
    asked.outcome.order = read;
    let proof = token1(&asked.outcome);
    assert!(asked.right(&proof, now()).is_ok());
    let broken: Order = serde_json::from_str(&kept.replace("\"key\":\"", "\"key\":\"AAAA")).unwrap();
    asked.outcome.order = broken;
    assert_eq!(asked.right(&proof, now()), Err(OrderError::Broken));
}

#[test]
fn beyond_the_limit_everything_looks_the_same_but_no_mail_goes_out() {
    let (key, mut desk) = (Key::ed25519(5), desk());
    let request = request(&key, mailbox());
    let outcomes: Vec<_> = (0..5).map(|seed| place(&mut desk, &request, seed, now())).collect();
    let mailed: Vec<bool> = outcomes.iter().map(|outcome| outcome.mail.is_some()).collect();
    assert_eq!(mailed, [true, true, true, false, false]);
    let shape = |outcome: &Outcome| {
        let kept = serde_json::to_value(&outcome.order).unwrap();
        let kept: Vec<(String, usize)> = kept
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "mailed")
            .map(|(name, value)| (name.clone(), value.to_string().len()))
            .collect();
        (kept, serde_json::to_string(&outcome.placed).unwrap().len())
    };
    assert!(outcomes.iter().all(|outcome| shape(outcome) == shape(&outcomes[0])));

    // An order without a mail can't be answered, not even by who could guess everything.
    let mut rng = Counter(4);
    let [id, token1, token2] = [0; 3].map(|_| parallax_janus::Token::draw(&mut rng));
    assert_eq!(id, outcomes[4].placed.order);
    let message = answer_message(janus(), &id.to_string(), &token1.to_string(), &token2.to_string(), &request.hash());
    let signature = key.sign_as_channels_do(&message);
    let (token1, token2) = (token1.to_string(), token2.to_string());
    let answer = Answer { proof: &token1, token2: &token2, signature: &signature };
    assert!(outcomes[4].order.clone().answer(&PureRust, janus(), &answer, now()).is_err());
}

#[test]
fn the_owner_of_a_certified_key_is_not_locked_out() {
    let (key, mut desk) = (Key::ed25519(5), desk());
    let stranger = request(&Key::ed25519(6), mailbox());
    for seed in 0..10 {
        place(&mut desk, &stranger, seed, now());
    }
    let own = request(&key, mailbox());
    let certified = grant(&key, mailbox(), now()).certified(now());
    let mut ask = |request: &Request, certified| {
        desk.place(request, certified, false, network(), &mut Counter(9), now()).unwrap().mail.is_some()
    };
    assert!(!ask(&own, None));
    assert!(ask(&own, Some(&certified)));
    assert!(!ask(&stranger, Some(&certified)), "the record is of another key");
}

#[test]
fn a_full_desk_says_when_to_come_again() {
    let limits = Limits { network_hour: 1, ..Limits::default() };
    let mut desk = Desk::new(Arc::new(PureRust), limits);
    let request = request(&Key::ed25519(5), mailbox());
    place(&mut desk, &request, 1, now());
    let refused = desk.place(&request, None, false, network(), &mut Counter(2), now()).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(3600));
    assert_eq!(desk.allow_classic(&request, None, network(), now()), Err(refused));
    assert_eq!(desk.allow_classic(&request, None, network(), now().plus(refused.retry_after)), Ok(true));
}

#[test]
fn a_certificate_is_renewed_for_the_same_key_while_the_proof_is_young() {
    let house = House::new();
    let key = Key::ed25519(5);
    let granted = grant(&key, mailbox(), now());
    let mut issued = house.authority.issue(&PureRust, &house.signer(), &granted, LONGEST_LIFE, [1; 16], now()).unwrap();
    let mut certified: Certified = granted.certified(issued.not_after);
    let judge = Judge::new(Arc::new(PureRust), &[house.authority.root()]).unwrap();
    let identity = |chain: &[Vec<u8>], at: Timestamp| {
        judge.judge(chain, &Denied::new([], at, at.plus(SECOND)).unwrap(), at).unwrap()
    };
    // Every six days, until the issuing key is at its end.
    for day in (6..80).step_by(6) {
        let at = now().plus(Duration::from_secs(day * 86_400));
        let renewed = Grant::renewal(&identity(&issued.chain, at), &certified, at).unwrap();
        issued = house.authority.issue(&PureRust, &house.signer(), &renewed, LONGEST_LIFE, [1; 16], at).unwrap();
        certified = renewed.certified(issued.not_after);
        assert_eq!(certified.proved_at, now(), "a renewal proves no mailbox");
    }
    let last = identity(&issued.chain, now().plus(Duration::from_secs(78 * 86_400)));
    let end = now().plus(MAILBOX_PROOF_LIFE);
    assert!(Grant::renewal(&last, &certified, end.minus(SECOND)).is_ok());
    assert_eq!(Grant::renewal(&last, &certified, end), Err(NotRenewable::TooOld(now())));
    let others = grant(&Key::ed25519(6), mailbox(), now()).certified(now());
    assert_eq!(Grant::renewal(&last, &others, now()), Err(NotRenewable::Another));
    let elsewhere = grant(&key, "bob@example.com", now()).certified(now());
    assert_eq!(Grant::renewal(&last, &elsewhere, now()), Err(NotRenewable::Another));
    let classic = Grant::classic(&request(&key, mailbox()), now()).certified(now());
    assert!(matches!(Grant::renewal(&last, &classic, now()), Err(NotRenewable::TooOld(_))));
}

proptest! {
    /// No answer that is not the right one is taken, whatever is sent.
    #[test]
    fn guesses_get_nothing(proof in ".{0,30}", token2 in "[A-Za-z0-9_-]{0,22}", signature in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut asked = Asked::new();
        prop_assert!(asked.answer(&proof, &token2, &signature, now()).is_err());
    }
}
