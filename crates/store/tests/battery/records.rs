//! Cases of the contract `Records`.

use std::sync::Arc;

use futures_util::future::join_all;
use parallax_store::{
    MAX_KEY_BYTES, MAX_NAMESPACE_BYTES, MAX_RANGE_BYTES, MAX_RECORD_BYTES, Record, Records, StoreError,
};

use super::Engine;

fn record(key: &str, version: u64, bytes: &[u8]) -> Record {
    Record { key: key.into(), version, bytes: bytes.into() }
}

/// Larger than every key.
fn last() -> String {
    char::MAX.to_string()
}

async fn keys(store: &impl Records, namespace: &str, from: &str, to: &str) -> Vec<String> {
    let page = store.range(namespace, from.into()..to.into(), 1000).await.unwrap();
    page.into_iter().map(|record| record.key).collect()
}

pub(crate) async fn a_record_is_written_read_and_deleted(engine: impl Engine) {
    let store = engine.open().await;
    assert_eq!(store.get("mirrors", "a").await, Ok(None));
    assert_eq!(store.put("mirrors", "a", None, b"one".into()).await, Ok(1));
    assert_eq!(store.put("mirrors", "a", Some(1), vec![]).await, Ok(2));
    assert_eq!(store.get("mirrors", "a").await, Ok(Some(record("a", 2, b""))));
    assert_eq!(store.delete("mirrors", "a", 2).await, Ok(()));
    assert_eq!(store.get("mirrors", "a").await, Ok(None));
    assert_eq!(store.put("mirrors", "a", None, b"again".into()).await, Ok(1));
}

pub(crate) async fn only_the_expected_version_is_replaced(engine: impl Engine) {
    let store = engine.open().await;
    let conflict = |expected, found| StoreError::Conflict { namespace: "n".into(), key: "k".into(), expected, found };
    assert_eq!(store.put("n", "k", Some(1), vec![1]).await, Err(conflict(Some(1), None)));
    assert_eq!(store.delete("n", "k", 1).await, Err(conflict(Some(1), None)));
    assert_eq!(store.put("n", "k", None, vec![1]).await, Ok(1));
    assert_eq!(store.put("n", "k", None, vec![2]).await, Err(conflict(None, Some(1))));
    for wrong in [0, 2, u64::MAX] {
        assert_eq!(store.put("n", "k", Some(wrong), vec![2]).await, Err(conflict(Some(wrong), Some(1))));
        assert_eq!(store.delete("n", "k", wrong).await, Err(conflict(Some(wrong), Some(1))));
    }
    assert_eq!(store.get("n", "k").await, Ok(Some(record("k", 1, &[1]))));
}

pub(crate) async fn of_many_writers_one_wins(engine: impl Engine) {
    let store = Arc::new(engine.open().await);
    store.put("n", "k", None, vec![]).await.unwrap();
    let writers = (0..50u8).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { (writer, store.put("n", "k", Some(1), vec![writer]).await) })
    });
    let won: Vec<_> =
        join_all(writers).await.into_iter().map(Result::unwrap).filter(|(_, answer)| answer.is_ok()).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.get("n", "k").await, Ok(Some(record("k", 2, &[won[0].0]))));
}

pub(crate) async fn ranges_are_in_byte_order_and_end_before_their_end(engine: impl Engine) {
    let store = engine.open().await;
    for key in ["b", "a", "ab", "A", "é", "z", "a\u{1}", "𝄞", "\u{ffff}"] {
        store.put("n", key, None, vec![]).await.unwrap();
    }
    let ordered = ["A", "a", "a\u{1}", "ab", "b", "z", "é", "\u{ffff}", "𝄞"];
    assert_eq!(keys(&store, "n", "", &last()).await, ordered);
    assert_eq!(keys(&store, "n", "a", "b").await, ["a", "a\u{1}", "ab"]);
    for (from, to) in [("b", "b"), ("z", "a"), ("c", "d")] {
        assert!(keys(&store, "n", from, to).await.is_empty());
    }
}

pub(crate) async fn pages_of_a_range_meet_without_gap_or_overlap(engine: impl Engine) {
    let store = engine.open().await;
    let mut wanted: Vec<_> = (0..25).map(|number| format!("{number}")).collect();
    wanted.push("1\u{1}".into());
    for key in &wanted {
        store.put("n", key, None, vec![]).await.unwrap();
    }
    wanted.sort();
    let (mut from, mut found) = (String::new(), Vec::new());
    loop {
        let page = store.range("n", from..last(), 4).await.unwrap();
        assert!(page.len() <= 4);
        let Some(newest) = page.last() else { break };
        from = format!("{}\u{1}", newest.key);
        found.extend(page.into_iter().map(|record| record.key));
    }
    assert_eq!(found, wanted);
    assert_eq!(store.range("n", String::new()..last(), 0).await, Ok(vec![]));
}

pub(crate) async fn a_range_is_bounded_in_bytes(engine: impl Engine) {
    let store = engine.open().await;
    for number in 10..30 {
        store.put("n", &format!("{number}"), None, vec![0; MAX_RECORD_BYTES]).await.unwrap();
    }
    let page = store.range("n", String::new()..last(), 1000).await.unwrap();
    assert_eq!(page.len(), MAX_RANGE_BYTES / MAX_RECORD_BYTES);
}

pub(crate) async fn namespaces_do_not_mix(engine: impl Engine) {
    let store = engine.open().await;
    for (namespace, key) in [("a", "bc"), ("ab", "c"), ("a", "b/c"), ("a/b", "c")] {
        assert_eq!(store.put(namespace, key, None, namespace.into()).await, Ok(1));
    }
    assert_eq!(store.get("ab", "c").await, Ok(Some(record("c", 1, b"ab"))));
    assert_eq!(store.get("b", "c").await, Ok(None));
    assert_eq!(keys(&store, "a", "", &last()).await, ["b/c", "bc"]);
    store.delete("a", "bc", 1).await.unwrap();
    assert!(store.get("ab", "c").await.unwrap().is_some());
}

pub(crate) async fn hostile_keys_are_only_keys(engine: impl Engine) {
    let store = engine.open().await;
    let hostile =
        ["'; DROP TABLE records; --", "\"", "%", "_", "\\", "$1", "?1", ":key", "a\nb", "\u{7f}", "\u{202e}", " ", "*"];
    for (number, key) in hostile.iter().enumerate() {
        assert_eq!(store.put(key, key, None, vec![u8::try_from(number).unwrap()]).await, Ok(1), "{key:?}");
    }
    for (number, key) in hostile.iter().enumerate() {
        let wanted = record(key, 1, &[u8::try_from(number).unwrap()]);
        assert_eq!(store.get(key, key).await, Ok(Some(wanted)), "{key:?}");
        assert_eq!(keys(&store, key, "", &last()).await, [*key]);
    }
}

pub(crate) async fn unfit_keys_and_contents_are_refused(engine: impl Engine) {
    let store = engine.open().await;
    let (fit, long) = ("k".repeat(MAX_KEY_BYTES), "k".repeat(1 << 20));
    let is_unfit = |answer: Result<(), StoreError>, part| match answer {
        Err(StoreError::Unfit { part: found, .. }) => assert_eq!(found, part),
        other => panic!("{part}: {other:?}"),
    };
    for key in ["", "a\0b", "\0", long.as_str(), &format!("{fit}k")] {
        is_unfit(store.put("n", key, None, vec![]).await.map(drop), "key");
        is_unfit(store.get("n", key).await.map(drop), "key");
        is_unfit(store.delete("n", key, 1).await, "key");
    }
    for namespace in ["", "a\0", &"n".repeat(MAX_NAMESPACE_BYTES + 1)] {
        is_unfit(store.put(namespace, "k", None, vec![]).await.map(drop), "namespace");
        is_unfit(store.range(namespace, String::new()..last(), 1).await.map(drop), "namespace");
    }
    is_unfit(store.range("n", "a\0".into()..last(), 1).await.map(drop), "key");
    is_unfit(store.put("n", "k", None, vec![0; MAX_RECORD_BYTES + 1]).await.map(drop), "content");
    assert_eq!(store.put("n", &fit, None, vec![1; MAX_RECORD_BYTES]).await, Ok(1));
    assert_eq!(store.get("n", &fit).await, Ok(Some(record(&fit, 1, &vec![1; MAX_RECORD_BYTES]))));
}

pub(crate) async fn records_survive_reopening<E: Engine>(engine: E) {
    let store = engine.open().await;
    store.put("n", "k", None, b"one".into()).await.unwrap();
    store.put("n", "k", Some(1), b"two".into()).await.unwrap();
    E::close(store).await;
    let store = engine.open().await;
    assert_eq!(store.get("n", "k").await, Ok(Some(record("k", 2, b"two"))));
    assert_eq!(store.put("n", "k", Some(2), b"three".into()).await, Ok(3));
}
