//! `parallax import`: takes over what another node or an old notary remembered.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;
use parallax_core::{History, ServiceId, Timestamp};
use parallax_store::{HistoryStore as _, OldSpan, SqliteStore, StoreError, add_old_spans};

use super::store::{failed, open};
use super::{block_on, settings};
use crate::args::ImportArgs;
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT};
use crate::lines::Lines;
use crate::progress::Many;
use crate::transfer::{BadLine, Entry, LONGEST_LINE, Said, read};
use crate::{logs, output};

/// What there is to import.
const WANTED: &str = "name a file that `parallax export` wrote, or one of rows of an old notary";

/// Lines that are written together, in number and in bytes.
const BATCH: usize = 1000;
const BATCH_BYTES: usize = 4 << 20;

/// Runs the command.
pub(crate) fn run(args: &ImportArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let lines = Lines::open(&args.file, LONGEST_LINE, WANTED)?;
    let store = open(&settings.serve.data)?;
    block_on(async {
        let tally = import(&store, lines, now()).await;
        store.shutdown().await;
        let tally = tally?;
        output::print(&tally.sentence())?;
        Ok(if tally.bad == 0 { DONE } else { NOT })
    })
}

/// What came of an import.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Lines that were taken over.
    pub(super) good: usize,
    /// Lines that were not, or not wholly.
    pub(super) bad: usize,
}

impl Tally {
    fn sentence(&self) -> String {
        let plural = |count: usize| if count == 1 { "line" } else { "lines" };
        let Self { good, bad } = *self;
        format!("imported {good} {}, refused {bad} {}\n", plural(good), plural(bad))
    }
}

/// Imports what can be; the rest is named on standard error, with its number.
pub(super) async fn import(store: &SqliteStore, lines: Lines, now: Timestamp) -> Result<Tally, Failure> {
    let progress = Many::new("lines imported");
    let importing = async {
        let mut import = Import { store, progress: &progress, tally: Tally::default(), batch: Batch::default() };
        for (number, text) in lines {
            import.take(number, text, now).await?;
        }
        import.write().await?;
        Ok(import.tally)
    };
    progress.show_while(importing).await
}

struct Import<'a> {
    store: &'a SqliteStore,
    progress: &'a Many,
    tally: Tally,
    batch: Batch,
}

/// What waits to be written. The rows of one service are written in one go: they share a record.
#[derive(Default)]
struct Batch {
    entries: Vec<(usize, ServiceId, History)>,
    old: BTreeMap<ServiceId, (usize, Vec<OldSpan>)>,
    bytes: usize,
}

impl Import<'_> {
    async fn take(&mut self, number: usize, text: Result<String, String>, now: Timestamp) -> Result<(), Failure> {
        self.progress.more(1);
        let bytes = text.as_ref().map_or(0, String::len);
        match text.map_err(BadLine::Wrong).and_then(|text| read(&text, now)) {
            Ok(Said::Nothing) => self.progress.done(),
            Ok(Said::Entry(entry)) => self.batch.add(number, bytes, *entry),
            Err(BadLine::Wrong(why)) => self.refuse(number, &why),
            Err(foreign @ BadLine::Foreign(_)) => {
                self.write().await?;
                return Err(Failure::not_done(format!("line {number}: {foreign}")));
            }
        }
        if self.batch.is_full() { self.write().await } else { Ok(()) }
    }

    fn refuse(&mut self, number: usize, why: &str) {
        self.tally.bad += 1;
        self.progress.done();
        self.progress.aside(|| output::say(&format!("line {number}: {why}")));
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let Batch { entries, old, .. } = std::mem::take(&mut self.batch);
        let store = self.store;
        let written = old
            .iter()
            .map(|(service, (number, spans))| async move { (*number, add_old_spans(store, service, spans).await) });
        for (number, written) in join_all(written).await {
            self.settle(number, written)?;
        }
        // Each is queued before any is waited for, so they share a transaction.
        let written = entries.into_iter().map(|(number, service, history)| {
            let written = store.import(&service, history);
            async move { (number, written.await) }
        });
        for (number, written) in join_all(written).await {
            if self.settle(number, written)? {
                self.tally.good += 1;
                self.progress.done();
            }
        }
        Ok(())
    }

    /// Whether it was written. Damaged rows of one service are that service's trouble alone.
    fn settle(&mut self, number: usize, written: Result<(), StoreError>) -> Result<bool, Failure> {
        match written {
            Ok(()) => Ok(true),
            Err(error @ StoreError::Damaged { .. }) => {
                self.refuse(number, &error.to_string());
                Ok(false)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Batch {
    /// A line that has only what an old notary remembered makes the service known all the same, so that scans look at it.
    fn add(&mut self, number: usize, bytes: usize, mut entry: Entry) {
        self.bytes += bytes;
        let old = std::mem::take(&mut entry.old);
        if !old.is_empty() {
            let (_, spans) = self.old.entry(entry.service.clone()).or_insert((number, Vec::new()));
            spans.extend(old);
        }
        self.entries.push((number, entry.service.clone(), entry.into_history()));
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= BATCH || self.bytes >= BATCH_BYTES
    }
}

#[cfg(test)]
mod tests;
