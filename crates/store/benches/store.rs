//! What grouping commits brings, and what a read costs: `cargo bench -p parallax-store`.
//!
//! Wall time of whole paths on a real file, with plain SQLite doing the same rows in the same run to compare with. Give
//! `TMPDIR` a directory on the disk that is to be measured.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/battery/looks.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod looks;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use parallax_core::ServiceId;
use parallax_store::{HistoryStore, SqliteStore};
use rusqlite::Connection;

use looks::{HOUR, look, service};

const SERVICES: u32 = 5_000;
const AT_ONCE: usize = 1_000;
const SINGLE: u32 = 1_000;

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("parallax.sqlite");
    let store = SqliteStore::open(&path).unwrap();
    // In an order that is not the one of the keys, as looks come.
    let services: Vec<_> =
        (0..SERVICES).map(|number| service(&format!("{:08x}.example", number.wrapping_mul(0x9e37_79b9)))).collect();
    let opened = time("first look, 1,000 at once", SERVICES, record_all(&store, &services, 0)).await;
    let extended = time("extending look, 1,000 at once", SERVICES, record_all(&store, &services, HOUR)).await;
    let single = time("extending look, one at a time", SINGLE, record_singly(&store, &services)).await;
    let read = time("known, one at a time", SERVICES, read_all(&store, &services)).await;
    let plain = plain_commits(&directory.path().join("plain.sqlite"));
    let point = plain_reads(&path, &services);
    println!(
        "\ngroup commit against one commit each: {:.1} times (first look {:.1})",
        single / extended,
        single / opened
    );
    println!("one at a time against a plain SQLite commit: {:.2} times the time", single / plain);
    println!("known against a plain point read on the caller's thread: {:.1} times the time", read / point);
    let commits = store.metrics().into_iter().find(|metrics| metrics.name == "write-history").unwrap();
    println!("{} transactions for {} looks", commits.committed, 2 * SERVICES + SINGLE);
    store.shutdown().await;
    println!("{} bytes a service on disk", std::fs::metadata(&path).unwrap().len() / u64::from(SERVICES));
}

async fn time(what: &str, count: u32, work: impl Future<Output = ()>) -> f64 {
    let begun = Instant::now();
    work.await;
    report(what, count, begun.elapsed())
}

/// Microseconds each.
fn report(what: &str, count: u32, spent: Duration) -> f64 {
    let each = spent.as_secs_f64() * 1e6 / f64::from(count);
    println!("{what:40} {each:9.1} µs {:9.0} /s", 1e6 / each);
    each
}

async fn record_all(store: &SqliteStore, services: &[ServiceId], ms: i64) {
    let answers = stream::iter(services).map(|name| store.record(name, look(1, ms))).buffer_unordered(AT_ONCE);
    answers.for_each(|answer| async { drop(answer.unwrap()) }).await;
}

async fn record_singly(store: &SqliteStore, services: &[ServiceId]) {
    for (name, _) in services.iter().zip(0..SINGLE) {
        store.record(name, look(1, 2 * HOUR)).await.unwrap();
    }
}

async fn read_all(store: &SqliteStore, services: &[ServiceId]) {
    for name in services {
        assert!(store.known(name).await.unwrap().is_some());
    }
}

fn plain_commits(path: &Path) -> f64 {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = full").unwrap();
    connection.execute_batch("CREATE TABLE looks (service TEXT PRIMARY KEY, look TEXT) WITHOUT ROWID").unwrap();
    let text = "x".repeat(1500);
    let begun = Instant::now();
    for number in 0..SINGLE {
        let key = format!("{:08x}", number.wrapping_mul(0x9e37_79b9));
        connection.prepare_cached("INSERT INTO looks VALUES (?1, ?2)").unwrap().execute([&key, &text]).unwrap();
    }
    report("plain SQLite, one commit each", SINGLE, begun.elapsed())
}

fn plain_reads(path: &Path, services: &[ServiceId]) -> f64 {
    let connection = Connection::open(path).unwrap();
    let begun = Instant::now();
    for name in services {
        let mut statement = connection.prepare_cached("SELECT look FROM latest WHERE service = ?1").unwrap();
        let found: String = statement.query_row([name.to_string()], |row| row.get(0)).unwrap();
        assert!(!found.is_empty());
    }
    report("plain SQLite, one point read", SERVICES, begun.elapsed())
}
