//! The secret by which hubs know each other on a queue that others write to.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Timestamp, VantageId};
use parallax_proto::hub::{Group, LookId, News, Whole, Word};

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const A: VantageId = VantageId::from_bytes([1; 32]);
const B: VantageId = VantageId::from_bytes([2; 32]);
const C: VantageId = VantageId::from_bytes([3; 32]);

fn group(secret: &str) -> Group {
    Group::new(Arc::new(support::PureRust), secret).unwrap()
}

fn ours() -> Group {
    group(&"s".repeat(32))
}

fn news() -> Word {
    Word::News(News { whole: Some(Whole { peers: 1, sum: 7 }), ..News::default() })
}

#[test]
fn what_one_says_the_others_hear_once() {
    let mut rng = support::Count(0);
    let mut a = ours().speaker(A, NOW, &mut rng).unwrap();
    let (mut b, mut c) = (ours().listener(B), ours().listener(C));
    let all = a.seal(None, &news(), NOW).unwrap();
    let heard = b.open(true, &all, NOW).unwrap();
    assert_eq!((heard.from, heard.anew, heard.word), (A, true, news()));
    assert!(c.open(true, &all, NOW).is_some());
    assert!(b.open(true, &all, NOW).is_none(), "shown again");
    let one = a.seal(Some(B), &Word::Again, NOW).unwrap();
    assert!(c.open(false, &one, NOW).is_none(), "sent to another one");
    assert!(b.open(true, &one, NOW).is_none(), "told to all what was said to one");
    let heard = b.open(false, &one, NOW).unwrap();
    assert_eq!((heard.anew, heard.word), (false, Word::Again));
    assert!(ours().listener(A).open(true, &a.seal(None, &news(), NOW).unwrap(), NOW).is_none(), "its own");
}

#[test]
fn strangers_and_every_changed_byte_are_not_heard() {
    let mut rng = support::Count(0);
    let mut stranger = group(&"x".repeat(32)).speaker(A, NOW, &mut rng).unwrap();
    let mut b = ours().listener(B);
    assert!(b.open(true, &stranger.seal(None, &news(), NOW).unwrap(), NOW).is_none());
    let message = ours().speaker(A, NOW, &mut rng).unwrap().seal(None, &news(), NOW).unwrap();
    for place in 0..message.len() {
        let mut changed = message.clone();
        changed[place] ^= 1;
        assert!(b.open(true, &changed, NOW).is_none(), "{place}");
        assert!(b.open(true, &message[..place], NOW).is_none(), "{place}");
    }
    assert!(b.open(true, &vec![0; 600 * 1024], NOW).is_none());
    assert!(b.open(true, &message, NOW).is_some(), "and nothing of it stood in the way of the true one");
}

#[test]
fn what_was_recorded_says_nothing_later() {
    let mut rng = support::Count(0);
    let mut early = ours().speaker(A, NOW, &mut rng).unwrap();
    let recorded: Vec<_> = (0..3).map(|_| early.seal(None, &Word::Bye, NOW).unwrap()).collect();
    let mut b = ours().listener(B);
    let minute = NOW.plus(Duration::from_millis(60_001));
    assert!(b.open(true, &recorded[0], minute).is_none(), "too old");
    let later = NOW.plus(Duration::from_secs(1));
    let mut again = ours().speaker(A, later, &mut rng).unwrap();
    assert!(b.open(true, &recorded[0], NOW).unwrap().anew);
    assert!(b.open(true, &again.seal(None, &news(), later).unwrap(), later).unwrap().anew);
    assert!(b.open(true, &recorded[1], later).is_none(), "an earlier run can't end the later one");
    assert!(!b.open(true, &again.seal(None, &news(), later).unwrap(), later).unwrap().anew);
    // A hub that starts again under a clock that was set back is heard after a silence, or it would never be.
    let silence = later.plus(Duration::from_secs(121));
    assert!(b.open(true, &recorded[2], silence).is_none(), "what was recorded is too old by then");
    let set_back = early.seal(None, &news(), silence).unwrap();
    assert!(b.open(true, &set_back, later).is_none());
    assert!(b.open(true, &set_back, silence).unwrap().anew);
}

#[test]
fn one_secret_is_one_group() {
    assert!(Group::new(Arc::new(support::PureRust), " too short ").is_err());
    assert_eq!(group(&format!(" {}\n", "s".repeat(32))).name(), ours().name());
    assert_ne!(group(&"x".repeat(32)).name(), ours().name());
    assert_eq!(format!("{:?}", ours()), format!("Group({})", ours().name()), "no secret in a log");
    let look = Word::Forget { looks: vec![LookId([1; 16])] };
    let mut rng = support::Count(0);
    let mut a = ours().speaker(A, NOW, &mut rng).unwrap();
    let sealed = a.seal(None, &look, NOW).unwrap();
    assert_eq!(ours().listener(B).open(true, &sealed, NOW).unwrap().word, look);
}
