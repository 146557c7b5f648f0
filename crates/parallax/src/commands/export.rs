//! `parallax export`: everything that a node remembers, as lines of JSON.

use std::io::{BufWriter, Write};
use std::path::Path;

use parallax_core::ServiceId;
use parallax_store::{HistoryStore as _, Listing, MAX_PAGE, SqliteStore, StoreError, old_spans};

use super::store::{failed, open_existing};
use super::{block_on, settings};
use crate::args::ExportArgs;
use crate::failure::{DONE, Failure, NOT};
use crate::progress::Many;
use crate::transfer::{Entry, header};
use crate::{logs, output};

/// Runs the command.
pub(crate) fn run(args: &ExportArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let store = open_existing(&settings.serve.data)?;
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
    let whole = export(store, BufWriter::new(std::io::stdout())).await.map_err(|trouble| match trouble {
        Trouble::Write(error) => output::not_written(&error),
        Trouble::Store(error) => failed(error),
    })?;
    Ok(status(whole))
}

/// The file is replaced in one step, once all of it is written.
async fn to_file(store: &SqliteStore, file: &Path) -> Result<u8, Failure> {
    let unwritable =
        |error: &dyn std::fmt::Display| Failure::not_done(format!("{} can't be written to: {error}", file.display()));
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = tempfile::NamedTempFile::new_in(directory).map_err(|error| unwritable(&error))?;
    let whole = export(store, BufWriter::new(beside.as_file())).await.map_err(|trouble| match trouble {
        Trouble::Write(error) => unwritable(&error),
        Trouble::Store(error) => failed(error),
    })?;
    beside.as_file().sync_all().map_err(|error| unwritable(&error))?;
    beside.persist(file).map_err(|error| unwritable(&error.error))?;
    Ok(status(whole))
}

fn status(whole: bool) -> u8 {
    if whole { DONE } else { NOT }
}

/// Why an export ends early.
#[derive(Debug)]
pub(super) enum Trouble {
    Write(std::io::Error),
    Store(StoreError),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
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

async fn write_all(store: &SqliteStore, to: &mut impl Write, progress: &Many) -> Result<bool, Trouble> {
    writeln!(to, "{}", header())?;
    let mut whole = true;
    let mut listing = Listing { limit: MAX_PAGE, ..Listing::default() };
    loop {
        let page = store.services(listing.clone()).await.map_err(Trouble::Store)?;
        progress.more(page.len());
        for listed in &page {
            match entry(store, &listed.service).await {
                Ok(line) => line.map_or(Ok(()), |line| writeln!(to, "{line}"))?,
                Err(error @ StoreError::Damaged { .. }) => {
                    whole = false;
                    progress.aside(|| output::say(&error.to_string()));
                }
                Err(error) => return Err(Trouble::Store(error)),
            }
            progress.done();
        }
        if !listing.advance(&page) {
            return Ok(whole);
        }
    }
}

/// `None` when it was forgotten meanwhile.
async fn entry(store: &SqliteStore, service: &ServiceId) -> Result<Option<String>, StoreError> {
    let Some(known) = store.known(service).await? else { return Ok(None) };
    let old = old_spans(store, service).await?;
    let history = known.history.clone();
    let entry = Entry {
        service: service.clone(),
        history: history.spans,
        authority: history.authority,
        turns: history.turns,
        old,
    };
    let damaged = |error: serde_json::Error| StoreError::Damaged {
        table: "services",
        key: service.to_string(),
        reason: error.to_string(),
    };
    entry.write().map(Some).map_err(damaged)
}
