//! Ways to fail on SQLite, each by its name; and what works again afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "battery/looks.rs"]
#[allow(dead_code, reason = "the battery needs more of it")]
mod looks;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use parallax_core::History;
use parallax_store::{HistoryStore, Listing, Records, SqliteOptions, SqliteStore, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use looks::{DAY, HOUR, look, service};

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("parallax.sqlite");
    (directory, path)
}

/// A database with one service in it, closed again.
async fn one_service(path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    store.record(&service("example.com"), look(1, 0)).await.unwrap();
    store.put("n", "k", None, vec![1]).await.unwrap();
    store.shutdown().await;
}

fn committed(store: &SqliteStore, name: &str) -> (u64, u64) {
    let metrics = store.metrics().into_iter().find(|metrics| metrics.name == name).unwrap();
    (metrics.committed, metrics.failed)
}

#[test]
fn a_missing_directory_is_named() {
    let (directory, _) = directory();
    let missing = directory.path().join("missing");
    let error = SqliteStore::open(&missing.join("parallax.sqlite")).unwrap_err();
    assert_eq!(error, StoreError::NoDirectory { path: missing });
    assert!(error.to_string().contains("create it"), "{error}");
}

#[test]
fn what_is_no_database_is_left_alone() {
    let (directory, path) = directory();
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert_eq!(error, StoreError::NotADatabase { path: directory.path().into() });
    let text = "-----BEGIN CERTIFICATE-----\n".repeat(200);
    fs::write(&path, &text).unwrap();
    assert_eq!(SqliteStore::open(&path).unwrap_err(), StoreError::NotADatabase { path: path.clone() });
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn databases_of_other_programs_are_left_alone() {
    for (pragma, application_id) in [("PRAGMA application_id = 77", 77), ("CREATE TABLE mine (x)", 0)] {
        let (_directory, path) = directory();
        Connection::open(&path).unwrap().execute_batch(pragma).unwrap();
        let before = fs::read(&path).unwrap();
        let error = SqliteStore::open(&path).unwrap_err();
        assert_eq!(error, StoreError::Foreign { path: path.clone(), application_id });
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (_directory, path) = directory();
    one_service(&path).await;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error, StoreError::Schema { found: 99, known: 2 });
    assert!(error.to_string().contains("run a newer parallax"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path) = directory();
    let store = SqliteStore::open(&path).unwrap();
    store.record(&service("example.com"), look(1, 0)).await.unwrap();
    let files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3, "database, log and index: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

/// Root may write to read-only files, so there the case proves nothing and is left out; the mapping of the engine's code
/// is a unit test as well.
#[cfg(unix)]
#[tokio::test]
async fn a_read_only_file_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = directory();
    one_service(&path).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("skipped: this user may write to read-only files");
        return;
    }
    assert_eq!(SqliteStore::open(&path).unwrap_err(), StoreError::ReadOnly { path });
}

#[tokio::test]
async fn a_full_database_refuses_keeps_and_recovers() {
    let (_directory, path) = directory();
    one_service(&path).await;
    let options = SqliteOptions { max_bytes: Some(400_000), ..SqliteOptions::default() };
    let store = SqliteStore::open_with(&path, &options).unwrap();
    let full = StoreError::Full { transaction: "write-records" };
    let mut written = 0;
    let refused = loop {
        match store.put("n", &format!("big-{written}"), None, vec![7; 50_000]).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 10, "the bound does not hold");
    };
    assert_eq!((&refused, written > 0), (&full, true));
    assert!(store.health().await.is_ok(), "a write of one page still fits");
    assert_eq!(store.get("n", &format!("big-{written}")).await, Ok(None), "nothing of it was kept");
    assert!(store.get("n", "big-0").await.unwrap().is_some());
    assert!(store.known(&service("example.com")).await.unwrap().is_some());
    store.delete("n", "big-0", 1).await.unwrap();
    assert_eq!(store.put("n", "small", None, vec![7; 20_000]).await, Ok(1));
    assert_eq!(store.health().await, Ok(()));
    assert_eq!(committed(&store, "write-records").1, 1);
}

/// Another program that holds the lock: the whole batch fails by name, health says so, and all is well when it lets go.
#[tokio::test]
async fn a_lock_that_is_not_let_go_is_named_and_recovered_from() {
    let (_directory, path) = directory();
    let options = SqliteOptions { busy_timeout: Duration::from_millis(20), ..SqliteOptions::default() };
    let store = SqliteStore::open_with(&path, &options).unwrap();
    store.record(&service("a.example"), look(1, 0)).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writes = ["a.example", "b.example"].map(|name| store.record(&service(name), look(1, HOUR)));
    for answer in join_all(writes).await {
        assert_eq!(answer.unwrap_err(), StoreError::Locked { transaction: "write-history" });
    }
    assert_eq!(store.health().await, Err(StoreError::Locked { transaction: "probe" }));
    assert!(store.known(&service("a.example")).await.unwrap().is_some(), "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.health().await, Ok(()));
    let known = store.record(&service("a.example"), look(1, 2 * HOUR)).await.unwrap();
    assert_eq!(known.history.spans.len(), 1);
    assert_eq!(store.known(&service("b.example")).await, Ok(None), "what was refused was not written");
}

#[tokio::test]
async fn a_full_queue_is_busy_and_what_was_queued_is_written() {
    let (_directory, path) = directory();
    let options = SqliteOptions { queue: 5, batch: 1, busy_timeout: Duration::from_secs(600), ..Default::default() };
    let store = SqliteStore::open_with(&path, &options).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The writer holds one and can't finish it; five wait.
    let answers: Vec<_> =
        (0..10).map(|number| (number, store.record(&service(&format!("{number}.example")), look(1, 0)))).collect();
    assert!(store.waiting() >= 4);
    other.execute_batch("ROLLBACK").unwrap();
    let mut busy = 0;
    for (number, answer) in answers {
        match answer.await {
            Ok(_) => assert!(number < 6),
            Err(error) => {
                assert!(matches!(error, StoreError::Busy { waiting: 4..=5 }), "{error:?}");
                busy += 1;
            }
        }
    }
    assert!((4..=5).contains(&busy), "{busy}");
    assert_eq!(store.services(Listing { limit: 99, ..Listing::default() }).await.unwrap().len(), 10 - busy);
    assert_eq!(store.health().await, Ok(()), "being busy is no failure");
}

/// The queue is bounded in bytes as well: ten thousand records of a megabyte would fill the memory.
#[tokio::test]
async fn waiting_contents_are_bounded_in_bytes() {
    let (_directory, path) = directory();
    let options = SqliteOptions { batch: 1, busy_timeout: Duration::from_secs(600), ..Default::default() };
    let store = SqliteStore::open_with(&path, &options).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answers: Vec<_> = (0..80).map(|number| store.put("n", &number.to_string(), None, vec![0; 1 << 20])).collect();
    other.execute_batch("ROLLBACK").unwrap();
    let answers = join_all(answers).await;
    let written = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((64..=65).contains(&written), "{written}");
    assert_eq!(store.put("n", "later", None, vec![0; 1 << 20]).await, Ok(1));
}

#[tokio::test]
async fn damaged_rows_fail_who_reads_them_and_nobody_else() {
    for damage in [
        "UPDATE timespans SET leaf = x'00'",
        "UPDATE timespans SET ca_id = 'nonsense'",
        "UPDATE timespans SET networks = '10.0.0.0/8'",
        "UPDATE timespans SET networks = CAST(x'ff' AS TEXT)",
        "UPDATE timespans SET last_seen = first_seen - 1",
        "UPDATE timespans SET first_seen = -9223372036854775808",
        "UPDATE authority SET ca = x'0011'",
        "UPDATE authority SET last_seen = 9223372036854775807",
        "UPDATE latest SET look = '{\"dns\":'",
        "UPDATE latest SET at = at + 1",
        "UPDATE latest SET look = replace(look, '\"leaf\":\"', '\"leaf\":\"x')",
    ] {
        let (_directory, path) = directory();
        one_service(&path).await;
        let raw = Connection::open(&path).unwrap();
        raw.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        assert!(raw.execute(damage, []).unwrap() > 0, "{damage}");
        let store = SqliteStore::open(&path).unwrap();
        let (hurt, well) = (service("example.com"), service("example.net"));
        let is_damaged = |error: StoreError| match error {
            StoreError::Damaged { table, key, .. } => {
                assert!(damage.contains(table), "{damage}: {table}");
                assert_eq!(key, "tls://example.com:443");
            }
            error => panic!("{damage}: {error:?}"),
        };
        is_damaged(store.known(&hurt).await.expect_err(damage));
        let together = (store.record(&hurt, look(1, HOUR)), store.record(&well, look(1, HOUR)));
        is_damaged(together.0.await.expect_err(damage));
        together.1.await.unwrap();
        is_damaged(store.import(&hurt, History::default()).await.expect_err(damage));
        let page = store.histories(None, 9).await.unwrap().histories;
        assert_eq!(page.len(), 2, "{damage}");
        if !damage.contains("latest") {
            is_damaged(page[0].clone().expect_err(damage));
        }
        assert_eq!(page[1].as_ref().unwrap().0, well);
        assert_eq!(store.health().await, Ok(()));
        // The way out: forget it, and begin anew.
        let (forgotten, again) = (store.forget(&hurt), store.record(&hurt, look(1, DAY)));
        assert_eq!(forgotten.await, Ok(true));
        assert_eq!(again.await.unwrap().history.spans.len(), 1);
        assert!(store.known(&hurt).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_damaged_name_or_version_is_named() {
    let (_directory, path) = directory();
    one_service(&path).await;
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE records SET version = -1").unwrap();
    raw.execute_batch("INSERT INTO services (service) VALUES ('gopher://x')").unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let listing = store.services(Listing { limit: 9, ..Listing::default() }).await;
    assert!(matches!(listing, Err(StoreError::Damaged { table: "services", ref key, .. }) if key == "gopher://x"));
    // Pages of histories go on behind it, also where the name is no text.
    raw.execute_batch("INSERT INTO services (service) VALUES (CAST(x'7aff' AS TEXT))").unwrap();
    let (mut read, mut damaged, mut from) = (0, 0, None);
    loop {
        let page = store.histories(from, 1).await.unwrap();
        read += page.histories.iter().flatten().count();
        damaged += page.histories.iter().filter(|history| history.is_err()).count();
        let Some(next) = page.next else { break };
        from = Some(next);
    }
    assert_eq!((read, damaged), (1, 2));
    let found = [
        store.get("n", "k").await.map(drop),
        store.range("n", String::new().."z".into(), 9).await.map(drop),
        store.put("n", "k", Some(1), vec![]).await.map(drop),
    ];
    for answer in found {
        assert!(matches!(answer, Err(StoreError::Damaged { table: "records", .. })), "{answer:?}");
    }
}

/// A file that was overwritten in the middle: an error with a name, no panic.
#[tokio::test]
async fn a_corrupt_file_is_named() {
    let (_directory, path) = directory();
    let store = SqliteStore::open(&path).unwrap();
    let names: Vec<_> = (0..200).map(|number| service(&format!("host-{number}.example"))).collect();
    join_all(names.iter().map(|name| store.record(name, look(1, 0)))).await;
    store.shutdown().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(&path, bytes).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let error = store.known(&names[0]).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("restore it from a backup"));
    assert!(matches!(store.record(&names[0], look(1, 1)).await, Err(StoreError::Corrupt { .. })));
    assert!(store.health().await.is_err());
}

/// `parallax import` beside a running node: the node's writer must not go on from what it remembers.
#[tokio::test]
async fn two_programs_on_one_file_see_each_other() {
    let (_directory, path) = directory();
    let (one, two) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    let name = service("example.com");
    for step in 0..10 {
        one.record(&name, look(1, step * 6 * DAY)).await.unwrap();
        let known = two.record(&name, look(1, step * 6 * DAY + 3 * DAY)).await.unwrap();
        assert_eq!(known.history.spans.len(), usize::try_from(step * 2 + 2).unwrap());
    }
    assert_eq!(one.known(&name).await, two.known(&name).await);
    assert_eq!(two.forget(&name).await, Ok(true));
    assert_eq!(one.record(&name, look(1, 0)).await.unwrap().history.spans.len(), 1);
}

#[tokio::test]
async fn a_closed_store_says_so_and_leaves_one_file() {
    let (directory, path) = directory();
    let store = SqliteStore::open(&path).unwrap();
    let name = service("example.com");
    let queued: Vec<_> = (0..500).map(|step| store.record(&name, look(1, step))).collect();
    tokio::join!(store.shutdown(), store.shutdown());
    for answer in join_all(queued).await {
        answer.unwrap();
    }
    assert_eq!(store.record(&name, look(1, 0)).await, Err(StoreError::Closed));
    assert_eq!(store.known(&name).await, Err(StoreError::Closed));
    assert_eq!(store.health().await, Err(StoreError::Closed));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the log was folded into the file");
}

#[tokio::test]
async fn transactions_are_counted_by_name() {
    let (_directory, path) = directory();
    let store = SqliteStore::open(&path).unwrap();
    let names = ["open", "write-history", "write-records", "probe", "read-known", "list-services", "read-record"];
    let found: Vec<_> = store.metrics().iter().map(|metrics| metrics.name).collect();
    assert_eq!((&found[..7], found[7]), (&names[..], "read-range"));
    store.record(&service("example.com"), look(1, 0)).await.unwrap();
    store.put("n", "k", None, vec![]).await.unwrap();
    assert!(store.put("n", "k", None, vec![]).await.is_err());
    store.known(&service("example.com")).await.unwrap();
    assert_eq!(committed(&store, "open"), (1, 0));
    assert_eq!(committed(&store, "write-history"), (1, 0));
    assert_eq!(committed(&store, "write-records"), (2, 0), "a conflict is no failure of the store");
    assert_eq!(committed(&store, "read-known"), (1, 0));
    assert!(store.metrics().iter().all(|metrics| (metrics.seconds > 0.0) == (metrics.committed > 0)));
}

/// Whoever need not be answered at once may have more go into one commit.
#[tokio::test]
async fn writes_are_gathered_for_as_long_as_was_said() {
    let (_directory, path) = directory();
    let options = SqliteOptions { gather: Duration::from_secs(2), ..SqliteOptions::default() };
    let store = SqliteStore::open_with(&path, &options).unwrap();
    let mut answers = Vec::new();
    for number in 0..20 {
        answers.push(store.record(&service(&format!("host-{number}.example")), look(1, 0)));
        // The writer has long begun with the first ones, if it does not wait.
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(join_all(answers).await.iter().all(Result::is_ok));
    assert_eq!(committed(&store, "write-history"), (1, 0));
}

/// Group commit: what waits together is committed together.
#[tokio::test]
async fn waiting_writes_share_a_transaction() {
    let (_directory, path) = directory();
    let options = SqliteOptions { busy_timeout: Duration::from_secs(600), ..SqliteOptions::default() };
    let store = SqliteStore::open_with(&path, &options).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answers: Vec<_> =
        (0..1000).map(|number| store.record(&service(&format!("{number}.example")), look(1, 0))).collect();
    other.execute_batch("ROLLBACK").unwrap();
    for answer in join_all(answers).await {
        answer.unwrap();
    }
    // One that the writer had taken before it met the lock, and one for all the others.
    assert!(committed(&store, "write-history").0 <= 2);
}
