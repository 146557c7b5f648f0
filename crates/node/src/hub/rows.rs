//! What a hub remembers of its peers' views, for as long as they count: one record for each service and peer.
//!
//! Rows wait in a bounded queue and are written many at once, so a view is passed on without waiting for a disk. What does
//! not fit is not remembered.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use parallax_core::{ServiceId, Timestamp, VantageId};
use parallax_probe::sha256;
use parallax_proto::hub::{MOST_ROWS, Row};
use parallax_store::{Records, StoreError, Version};
use rand_core::Rng as _;
use tokio::sync::mpsc;

use crate::clock::Clock;
use parallax_client::Chance;

const NAMESPACE: &str = "hub-views";

/// Rows that wait to be written.
const QUEUE: usize = 8_192;

/// Rows that are written at once.
const AT_ONCE: usize = 512;

/// Rows that are kept; with more peers and services than this, the newest are not remembered.
const MOST_KEPT: usize = 200_000;

/// How often old rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The rows of one hub.
pub(super) struct Rows {
    records: Arc<dyn Records>,
    window: Duration,
    queue: mpsc::Sender<Row>,
    waiting: Mutex<Option<mpsc::Receiver<Row>>>,
}

impl Rows {
    pub(super) fn new(records: Arc<dyn Records>, window: Duration) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self { records, window, queue, waiting: Mutex::new(Some(waiting)) }
    }

    /// Has a row written soon, or not at all where too many wait.
    pub(super) fn queue(&self, row: Row) {
        let _ = self.queue.try_send(row);
    }

    /// Rows of a service that are not older than `since`. Where there are more than may be read, it is chance which.
    pub(super) async fn read(&self, service: &ServiceId, since: Timestamp) -> Result<Vec<Row>, StoreError> {
        let all = keys_of(service);
        let mut from = [0; 32];
        Chance.fill_bytes(&mut from);
        let middle = format!("{}{}", all.start, VantageId::from_bytes(from));
        let mut found = self.records.range(NAMESPACE, middle.clone()..all.end, MOST_ROWS).await?;
        if found.len() < MOST_ROWS {
            found.extend(self.records.range(NAMESPACE, all.start..middle, MOST_ROWS - found.len()).await?);
        }
        let rows = found.iter().filter_map(|record| serde_json::from_slice::<Row>(&record.bytes).ok());
        Ok(rows.filter(|row| row.at >= since).collect())
    }

    /// Writes what waits and deletes what is old, until it is dropped.
    pub(super) async fn keep(&self, clock: Arc<Clock>) {
        let Some(mut waiting) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let mut kept = Kept::new(Arc::clone(&self.records), self.window);
        kept.load().await;
        let mut sweeps = tokio::time::interval(SWEEP_EVERY);
        sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                taken = waiting.recv_many(&mut batch, AT_ONCE) => {
                    if taken == 0 {
                        return;
                    }
                    kept.write(std::mem::take(&mut batch)).await;
                }
                _ = sweeps.tick() => if let Ok(now) = clock.now() {
                    kept.sweep(now).await;
                },
            }
        }
    }
}

/// What is in the store, as far as this process knows.
struct Kept {
    records: Arc<dyn Records>,
    window: Duration,
    rows: HashMap<String, (Version, Timestamp)>,
    /// In the order in which they came.
    ages: VecDeque<(Timestamp, String)>,
}

impl Kept {
    fn new(records: Arc<dyn Records>, window: Duration) -> Self {
        Self { records, window, rows: HashMap::new(), ages: VecDeque::new() }
    }

    /// What an earlier run left behind is deleted in its time too.
    async fn load(&mut self) {
        let mut from = String::from("0");
        while let Ok(page) = self.records.range(NAMESPACE, from.clone().."g".to_owned(), MOST_ROWS).await {
            let Some(last) = page.last() else { break };
            from = format!("{}\u{1}", last.key);
            for record in page {
                let at = serde_json::from_slice::<Row>(&record.bytes).map_or(Timestamp::default(), |row| row.at);
                self.rows.insert(record.key.clone(), (record.version, at));
                self.ages.push_back((at, record.key));
            }
        }
        self.ages.make_contiguous().sort();
    }

    async fn write(&mut self, rows: Vec<Row>) {
        // Two of one peer in a batch: the newer counts.
        let newest: HashMap<String, Row> = rows.into_iter().map(|row| (key_of(&row), row)).collect();
        let writes = newest.into_iter().filter_map(|(key, row)| {
            let known = self.rows.get(&key).map(|(version, _)| *version);
            let is_kept = known.is_some() || self.rows.len() < MOST_KEPT;
            let bytes = serde_json::to_vec(&row).ok().filter(|_| is_kept)?;
            let records = Arc::clone(&self.records);
            Some(async move { (put(records.as_ref(), &key, known, bytes).await, key, row.at) })
        });
        for (written, key, at) in join_all(writes).await {
            if let Ok(version) = written {
                self.rows.insert(key.clone(), (version, at));
                self.ages.push_back((at, key));
            }
        }
    }

    async fn sweep(&mut self, now: Timestamp) {
        let oldest = now.minus(self.window);
        let mut old = Vec::new();
        while self.ages.front().is_some_and(|(at, _)| *at < oldest)
            && let Some((_, key)) = self.ages.pop_front()
        {
            // One that was renewed has a younger entry behind this one.
            if self.rows.get(&key).is_some_and(|(_, at)| *at < oldest)
                && let Some((version, _)) = self.rows.remove(&key)
            {
                old.push((key, version));
            }
        }
        let deletes = old.iter().map(|(key, version)| self.records.delete(NAMESPACE, key, *version));
        // Another node may have written it anew, and deletes it in its turn.
        join_all(deletes).await;
    }
}

/// The newest view takes the place of what is there, whoever wrote that.
async fn put(records: &dyn Records, key: &str, known: Option<Version>, bytes: Vec<u8>) -> Result<Version, StoreError> {
    match records.put(NAMESPACE, key, known, bytes.clone()).await {
        Err(StoreError::Conflict { found, .. }) => records.put(NAMESPACE, key, found, bytes).await,
        written => written,
    }
}

fn key_of(row: &Row) -> String {
    format!("{}{}", keys_of(&row.service).start, row.peer)
}

/// The keys of a service: its hash, a slash, and the peer. The character after the slash is the zero.
fn keys_of(service: &ServiceId) -> Range<String> {
    let service: String = sha256(service.to_string().as_bytes()).to_string().chars().take(32).collect();
    format!("{service}/")..format!("{service}0")
}
