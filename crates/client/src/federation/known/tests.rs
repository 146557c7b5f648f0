use parallax_core::Suite as _;
use parallax_probe::AwsLc;

use super::*;
use crate::chance::Chance;

const DAY: Duration = Duration::from_secs(86_400);

fn start() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn one(n: u8) -> KnownMirror {
    KnownMirror {
        vantage: VantageId::from_bytes([n; 32]),
        address: ([192, n, 2, 7], 8443).into(),
        networks: vec![Network::of([192, n, 2, 7].into())],
        region: Some(format!("region-{n}")),
        rir: None,
        operator: Some(format!("operator {n}")),
        statement_key: StatementKey::from_bytes([n; 32]),
        issued_at: start(),
        valid_until: start().plus(DAY * 30),
        descriptor: Signed { body: "{}".into(), signature: "..".into() },
        trip: None,
        silent: 0,
    }
}

/// A list of so many, all agreed on at the start.
fn known(count: u8) -> KnownMirrors {
    let mut known = KnownMirrors::nobody(false, &mut Chance);
    let agreed = (1..=count).map(|n| (VantageId::from_bytes([n; 32]), 3)).collect();
    known.list.refresh(&agreed, start(), &mut Chance);
    known.mirrors = (1..=count).map(one).collect();
    known.refreshed_at = start();
    known
}

fn told(ids: impl IntoIterator<Item = u8>) -> ListsTold {
    let agreed = ids.into_iter().map(|n| (VantageId::from_bytes([n; 32]), 3)).collect();
    ListsTold { agreed, peers: BTreeMap::new(), trips: BTreeMap::new(), asked: 5, told: 5, networks: 5 }
}

fn note(known: &mut KnownMirrors, n: u8, noted: Noted, now: Timestamp) -> bool {
    known.note(&BTreeMap::from([(VantageId::from_bytes([n; 32]), noted)]), now)
}

/// Silent in so many checks as make it dead.
fn kill(known: &mut KnownMirrors, n: u8) {
    for _ in 0..DEAD_AFTER {
        note(known, n, Noted { trip: None, answered: Some(false) }, start());
    }
}

fn trip(ms: u64) -> Noted {
    Noted { trip: Some(Duration::from_millis(ms)), answered: Some(true) }
}

#[test]
fn what_is_kept_is_read_again_and_the_parts_belong_together() {
    let known = known(5);
    let kept = known.to_json().unwrap();
    assert_eq!(KnownMirrors::read(&kept).unwrap(), known);
    let mut torn = known.clone();
    torn.mirrors.pop();
    let error = KnownMirrors::read(&torn.to_json().unwrap()).unwrap_err();
    assert!(matches!(error, BadKnownMirrors::Parts { listed: 5, described: 4 }), "{error}");
    let mut other = known.clone();
    other.mirrors[0].vantage = VantageId::from_bytes([99; 32]);
    assert!(KnownMirrors::read(&other.to_json().unwrap()).is_err());
    let key = Fingerprint::from_bytes(known.key()).to_string();
    assert!(String::from_utf8(kept).unwrap().contains(&key) && !format!("{known:?}").contains(&key));
}

#[test]
fn row_7_what_is_measured_today_moves_no_draw_of_today() {
    let mut known = known(3);
    let now = start();
    assert!(note(&mut known, 1, trip(2), now));
    let counted = |known: &KnownMirrors, at: Timestamp| known.drawable(at)[0].round_trip;
    assert_eq!(counted(&known, now), None);
    assert_eq!(counted(&known, now.plus(DAY)), Some(Duration::from_millis(2)));
    // Nearer still says nothing new of the region, and what counted yesterday counts on.
    assert!(note(&mut known, 1, trip(1), now.plus(DAY)));
    assert_eq!(counted(&known, now.plus(DAY)), Some(Duration::from_millis(1)));
    // From afar to near is news: for tomorrow.
    note(&mut known, 2, trip(80), now);
    note(&mut known, 2, trip(3), now.plus(DAY * 3));
    assert_eq!(known.drawable(now.plus(DAY * 3))[1].round_trip, None);
    assert_eq!(known.drawable(now.plus(DAY * 4))[1].round_trip, Some(Duration::from_millis(3)));
    assert!(!note(&mut known, 2, trip(3), now.plus(DAY * 4)), "nothing to write");
}

#[test]
fn row_6_due_by_age_or_when_a_third_is_silent_but_not_all_the_time() {
    let mut known = known(6);
    let now = start();
    assert!(!known.is_due(DAY, now.plus(DAY / 2)) && known.is_due(DAY, now.plus(DAY)));
    kill(&mut known, 1);
    kill(&mut known, 2);
    assert!(!known.is_due(DAY, now.plus(SOONEST_REFRESH / 2)) && known.is_due(DAY, now.plus(SOONEST_REFRESH)));
    note(&mut known, 1, Noted { trip: None, answered: Some(true) }, now);
    assert!(!known.is_due(DAY, now.plus(SOONEST_REFRESH)), "one that answers is alive");
}

#[test]
fn row_6_a_refresh_revives_whom_lists_know_and_lets_the_dead_go() {
    let mut known = known(9);
    kill(&mut known, 1);
    kill(&mut known, 9);
    let changed = known.take(&told(1..=8), start().plus(DAY), &mut Chance);
    assert_eq!((changed.came, changed.went, changed.known), (0, 1, 8));
    assert!(known.entries().all(|(kept, one)| kept.vantage == one.vantage && !one.is_dead()));
    // Lists that know nobody any more take at most a third with them.
    let strangers = told(100..=120);
    let changed = known.take(&strangers, start().plus(DAY * 2), &mut Chance);
    assert_eq!((changed.came, changed.went), (0, 0), "nobody has described them: {changed:?}");
    let changed = known.take(&told([1]), start().plus(DAY * 3), &mut Chance);
    assert_eq!((changed.went, changed.known), (2, 6), "a third of eight");
}

/// Somebody near me who silences the drawn must not get to choose who is drawn in their place.
#[test]
fn row_7_silence_does_not_roll_the_dice_again() {
    let mut known = known(9);
    let before: Vec<VantageId> = known.drawable(start()).iter().map(|one| one.vantage).collect();
    (1..=8).for_each(|n| kill(&mut known, n));
    let after: Vec<VantageId> = known.drawable(start()).iter().map(|one| one.vantage).collect();
    assert_eq!(before, after);
}

#[test]
fn keys_differ_and_decide_the_draw() {
    let (one, other) = (known(40), known(40));
    assert_ne!(one.key(), other.key());
    assert_ne!(AwsLc.sha256(&one.key()), AwsLc.sha256(&[0; 32]), "it was drawn");
}
