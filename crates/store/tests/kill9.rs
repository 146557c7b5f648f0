//! What was acknowledged survives `kill -9`, at whatever moment it comes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "battery/looks.rs"]
#[allow(dead_code, reason = "the battery needs more of it")]
mod looks;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use parallax_store::{HistoryStore, Records, SqliteStore, StoreError};
use rusqlite::Connection;

use looks::{DAY, at, bare, print, service};

const DATABASE: &str = "PARALLAX_TEST_KILL9_DATABASE";
const ROUND: &str = "PARALLAX_TEST_KILL9_ROUND";
const ROUNDS: u64 = 24;
const TASKS: u64 = 8;

/// Looks per service: few enough that a history drops none.
const LOOKS: u64 = 40;

/// One acknowledged look: a span of its own, because each look at a service comes three days after the one before.
struct Acknowledged {
    host: String,
    step: u32,
}

impl Acknowledged {
    fn ms(&self) -> i64 {
        i64::from(self.step) * 3 * DAY
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("parallax.sqlite");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        // From the very first acknowledgements, when the file is hardly there, to a few batches on.
        let enough = usize::try_from(round * round * 7 % 301).unwrap();
        let new = run_and_kill(&path, round, enough);
        assert!(!new.is_empty(), "round {round} acknowledged nothing");
        assert_intact(&path, &new).await;
        acknowledged.extend(new);
    }
    assert_intact(&path, &acknowledged).await;
}

fn run_and_kill(path: &Path, round: u64, enough: usize) -> Vec<Acknowledged> {
    let mut child = start_child(path, round);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for acknowledgement in lines.map_while(Result::ok).filter_map(|line| parse(&line)) {
        acknowledged.push(acknowledgement);
        // SIGKILL. What is in the pipe by then was acknowledged too, and is read to its end.
        if acknowledged.len() == enough + 1 {
            child.kill().unwrap();
        }
    }
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().unwrap().signal(), Some(9), "the child ended by itself");
    acknowledged
}

fn start_child(path: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DATABASE, path)
        .env(ROUND, round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// `ack HOST STEP`; the first one may stand behind what the test harness prints.
fn parse(line: &str) -> Option<Acknowledged> {
    let (_, words) = line.split_once("ack ")?;
    let (host, step) = words.strip_suffix('.')?.split_once(' ')?;
    Some(Acknowledged { host: host.into(), step: step.parse().ok()? })
}

async fn assert_intact(path: &Path, acknowledged: &[Acknowledged]) {
    let store = SqliteStore::open(path).unwrap();
    let mut services = HashMap::new();
    for look in acknowledged {
        let known = match services.get(&look.host) {
            Some(known) => Arc::clone(known),
            None => store.known(&service(&look.host)).await.unwrap().expect(&look.host),
        };
        services.insert(&look.host, Arc::clone(&known));
        let (leaf, moment) = (print(look.step), at(look.ms()));
        let is_it = |span: &&parallax_core::Timespan| span.leaf == leaf && span.first_seen == moment;
        assert!(known.history.spans.iter().any(|span| is_it(&span)), "{} {} is lost", look.host, look.step);
        assert!(known.latest.as_ref().unwrap().now.at >= moment);
        let record = store.get("kill9", &look.host).await.unwrap().expect(&look.host);
        assert!(record.version > u64::from(look.step), "{}: {}", look.host, record.version);
    }
    store.shutdown().await;
    let check: String =
        Connection::open(path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

/// Records looks and says which were acknowledged, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child that the other test starts and kills"]
async fn child() {
    let path = std::env::var(DATABASE).expect("started by the other test");
    let round = std::env::var(ROUND).unwrap();
    let store = Arc::new(SqliteStore::open(Path::new(&path)).unwrap());
    let tasks = (0..TASKS).map(|task| tokio::spawn(record_forever(Arc::clone(&store), format!("{round}-{task}"))));
    futures_util::future::join_all(tasks).await.into_iter().for_each(|ended| ended.unwrap().unwrap());
}

async fn record_forever(store: Arc<SqliteStore>, prefix: String) -> Result<(), StoreError> {
    for number in 0u64.. {
        let host = format!("{prefix}-{number}.example");
        for step in 0..u32::try_from(LOOKS).unwrap() {
            let look = Acknowledged { host: host.clone(), step };
            store.record(&service(&host), bare(step, look.ms())).await?;
            let expected = (step > 0).then_some(u64::from(step));
            store.put("kill9", &host, expected, vec![7; 2000]).await?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "ack {host} {step}.").and_then(|()| out.flush()).unwrap();
        }
    }
    Ok(())
}
