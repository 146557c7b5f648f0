use std::sync::atomic::{AtomicI64, Ordering};

use super::house::{House, Key};
use super::*;
use crate::app::tests::shared_at;

/// 2026-11-25.
const START: i64 = 1_795_600_000;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_unix_secs(START + secs)
}

/// One that believes these, and the hand of its clock.
fn vouching(believed: Vec<watch::Receiver<Arc<Believed>>>) -> (Vouching, Arc<AtomicI64>) {
    let hand = Arc::new(AtomicI64::new(START));
    let moved = Arc::clone(&hand);
    let shared = shared_at(move || Timestamp::from_unix_secs(moved.load(Ordering::Relaxed)));
    let sources = believed.into_iter().map(Source::new).collect();
    (Vouching { shared, sources, afar: Mutex::default() }, hand)
}

fn why(vouching: &Vouching, chain: &[Vec<u8>]) -> String {
    vouching.judge(chain).map(|identity| identity.mailbox().to_string()).unwrap_or_else(|why| why.to_string())
}

#[test]
fn a_certificate_counts_while_it_lives_and_a_list_is_valid_and_does_not_name_its_key() {
    let (house, key) = (House::new(at(0)), Key::new());
    let (publish, believed) = watch::channel(Arc::default());
    let (vouching, hand) = vouching(vec![believed]);
    let chain = house.certify("ann@example.com", &key, at(0));
    assert!(why(&vouching, &chain).contains("no deny list is known yet"));
    publish.send_replace(Arc::new(house.believed([], at(0))));
    assert_eq!(why(&vouching, &chain), "ann@example.com");
    hand.store(START + 3_601, Ordering::Relaxed);
    assert!(why(&vouching, &chain).contains("the deny list is valid from"), "an hour later nothing counts");
    publish.send_replace(Arc::new(house.believed([], at(3_600))));
    assert_eq!(why(&vouching, &chain), "ann@example.com");
    let id = vouching.judge(&chain).unwrap().key().id();
    publish.send_replace(Arc::new(house.believed([id], at(3_601))));
    assert!(why(&vouching, &chain).contains("on the deny list") && vouching.is_denied(&id));
    // A day later it has ended, list or no list.
    hand.store(START + 86_401, Ordering::Relaxed);
    publish.send_replace(Arc::new(house.believed([], at(86_400))));
    assert!(why(&vouching, &chain).contains("is valid from"), "{}", why(&vouching, &chain));
}

#[test]
fn of_several_the_one_whose_root_it_is_judges_and_whoever_denies_is_heard() {
    let (one, other, stranger) = (House::new(at(0)), House::new(at(0)), House::new(at(0)));
    let (first, believed) = watch::channel(Arc::new(one.believed([], at(0))));
    let (second, also) = watch::channel(Arc::new(other.believed([], at(0))));
    let (vouching, _) = vouching(vec![believed, also]);
    let key = Key::new();
    for house in [&one, &other] {
        assert_eq!(why(&vouching, &house.certify("ann@example.com", &key, at(0))), "ann@example.com");
    }
    let chain = stranger.certify("ann@example.com", &key, at(0));
    assert!(why(&vouching, &chain).contains("does not lead to a root that is believed here"));
    let chain = one.certify("ann@example.com", &key, at(0));
    let id = vouching.judge(&chain).unwrap().key().id();
    second.send_replace(Arc::new(other.believed([id], at(1))));
    assert!(why(&vouching, &chain).contains("on the deny list"));
    second.send_replace(Arc::new(other.believed([], at(2))));
    assert_eq!(why(&vouching, &chain), "ann@example.com");
    first.send_replace(Arc::default());
    assert!(why(&vouching, &chain).contains("no deny list"), "the other's list is not this one's");
}

#[test]
fn bad_settings_are_named() {
    let pinned = |n: usize| -> VantageUrl { format!("https://192.0.2.{n}:8443#{}", "ab".repeat(32)).parse().unwrap() };
    let default = BelieveSettings { nodes: (1..=4).map(pinned).collect(), ..BelieveSettings::default() };
    default.check().unwrap();
    for (settings, part) in [
        (BelieveSettings { nodes: (1..=5).map(pinned).collect(), ..default.clone() }, "4 nodes at most, not 5"),
        (BelieveSettings { nodes: vec!["https://192.0.2.1:8443".parse().unwrap()], ..default.clone() }, "has no pin"),
        (BelieveSettings { refresh: Duration::from_secs(301), ..default.clone() }, "between 1 s and 5 minutes"),
        (BelieveSettings { refresh: Duration::ZERO, ..default.clone() }, "between 1 s and 5 minutes"),
    ] {
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
