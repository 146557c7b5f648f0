//! `parallax export`: everything that a node remembers, as lines of JSON.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use parallax_core::{History, ServiceId};
use parallax_node::DATABASE;
use parallax_store::{HistoryPage, HistoryStore as _, OldSpan, SqliteStore, StoreError, old_spans, old_spans_between};
use tempfile::NamedTempFile;

use super::store::{failed, open_existing};
use super::{block_on, settings, unwritable};
use crate::args::ExportArgs;
use crate::failure::{DONE, Failure, NOT};
use crate::progress::Many;
use crate::transfer::{Entry, header};
use crate::{logs, output};

/// Services that are read at once: with full histories, some twenty megabytes.
const PAGE: usize = 256;

/// Runs the command.
pub(crate) fn run(args: &ExportArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let store = open_existing(&settings.serve.data)?;
    if is_memory(&args.file, &settings.serve.data) {
        return Err(Failure::usage(format!("{} is the memory that is to be exported; name another file", args.file)));
    }
    block_on(async {
        let status = match args.file.as_str() {
            "-" => to_standard_output(&store).await,
            file => to_file(&store, Path::new(file)).await,
        };
        store.shutdown().await;
        status
    })
}

async fn to_standard_output(store: &SqliteStore) -> Result<u8, Failure> {
    // Locked line by line: a lock held over an await could meet the progress bar's.
    let whole = export(store, BufWriter::new(io::stdout())).await.map_err(|trouble| match trouble {
        Trouble::Write(error) => output::not_written(&error),
        Trouble::Store(error) => failed(error),
    })?;
    Ok(status(whole))
}

/// The file is replaced in one step, once all of it is written.
async fn to_file(store: &SqliteStore, file: &Path) -> Result<u8, Failure> {
    let place = Place::of(file).map_err(|error| unwritable(file, &error))?;
    let whole = export(store, BufWriter::new(place.writer())).await.map_err(|trouble| match trouble {
        Trouble::Write(error) => unwritable(file, &error),
        Trouble::Store(error) => failed(error),
    })?;
    place.keep().map_err(|error| unwritable(file, &error))?;
    Ok(status(whole))
}

/// Where an export goes.
enum Place {
    /// Beside the file, whose place it takes in the end.
    Beside(NamedTempFile, PathBuf),
    /// A pipe or a device: it can't be replaced, and as root it could be, which is worse.
    Itself(File),
}

impl Place {
    fn of(file: &Path) -> io::Result<Self> {
        match std::fs::metadata(file) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => Ok(Self::Itself(OpenOptions::new().write(true).open(file)?)),
            _ => {
                // A link stays one: what it points to is replaced.
                let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.into());
                let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Ok(Self::Beside(NamedTempFile::new_in(directory)?, file))
            }
        }
    }

    fn writer(&self) -> &File {
        match self {
            Self::Beside(file, _) => file.as_file(),
            Self::Itself(file) => file,
        }
    }

    fn keep(self) -> io::Result<()> {
        match self {
            Self::Itself(_) => Ok(()),
            Self::Beside(beside, file) => {
                beside.as_file().sync_all()?;
                beside.persist(file).map(drop).map_err(|error| error.error)
            }
        }
    }
}

/// Whether the file is the memory itself, which an export to it would destroy.
fn is_memory(file: &str, data: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(Path::new(file)).is_some_and(|file| real(&data.join(DATABASE)) == Some(file))
}

fn status(whole: bool) -> u8 {
    if whole { DONE } else { NOT }
}

/// Why an export ends early.
#[derive(Debug)]
pub(super) enum Trouble {
    Write(io::Error),
    Store(StoreError),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Writes all services in canonical order; `false` when rows of some could not be read, which were named.
pub(super) async fn export(store: &SqliteStore, mut to: impl Write) -> Result<bool, Trouble> {
    let progress = Many::new("exported");
    let whole = progress.show_while(write_all(store, &mut to, &progress)).await?;
    to.flush()?;
    Ok(whole)
}

/// Page by page: a million services need no more memory than a few hundred.
async fn write_all(store: &SqliteStore, to: &mut impl Write, progress: &Many) -> Result<bool, Trouble> {
    writeln!(to, "{}", header())?;
    let (mut whole, mut from) = (true, None);
    loop {
        let page = store.histories(from, PAGE).await.map_err(Trouble::Store)?;
        progress.more(page.histories.len());
        let mut old = old_spans_of(store, &page).await.map_err(Trouble::Store)?;
        for history in page.histories {
            match history.and_then(|(service, history)| entry(service, history, &mut old)) {
                Ok(line) => writeln!(to, "{line}")?,
                Err(damaged) => {
                    whole = false;
                    progress.aside(|| output::say(&damaged.to_string()));
                }
            }
            progress.done();
        }
        let Some(next) = page.next else { return Ok(whole) };
        from = Some(next);
    }
}

/// What old notaries remembered, by service.
type Old = BTreeMap<String, Result<Vec<OldSpan>, StoreError>>;

async fn old_spans_of(store: &SqliteStore, page: &HistoryPage) -> Result<Old, StoreError> {
    let services = || page.histories.iter().flatten().map(|(service, _)| service);
    let (Some(first), Some(last)) = (services().next(), services().next_back()) else { return Ok(Old::new()) };
    match old_spans_between(store, first, last).await {
        // One of them is damaged: which one is found singly.
        Err(StoreError::Damaged { .. }) => {
            let singly =
                services().map(|service| async move { (service.to_string(), old_spans(store, service).await) });
            Ok(join_all(singly).await.into_iter().collect())
        }
        found => found,
    }
}

fn entry(service: ServiceId, history: History, old: &mut Old) -> Result<String, StoreError> {
    let old = old.remove(&service.to_string()).unwrap_or(Ok(Vec::new()))?;
    let History { spans, authority, turns } = history;
    let entry = Entry { service, history: spans, authority, turns, old };
    entry.write().map_err(|error| StoreError::Damaged {
        table: "services",
        key: entry.service.to_string(),
        reason: error.to_string(),
    })
}
