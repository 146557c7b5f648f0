//! `parallax scan`: looks at many services at a steady rate, and remembers what it saw.

mod source;
mod summary;

use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use parallax_core::{Outcome, ServiceId};
use parallax_probe::{Limits, ProbeSettings, Prober};
use parallax_store::{HistoryStore as _, SqliteStore, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use self::source::{Item, Source};
use self::summary::Summary;
use super::store::{failed, open, open_existing};
use super::{block_on, looking, serve, settings};
use crate::args::ScanArgs;
use crate::failure::{DONE, Failure, NOT};
use crate::lines::{self, LONGEST_SERVICE, Lines};
use crate::progress::Many;
use crate::settings::Settings;
use crate::{logs, output};

/// Runs the command.
pub(crate) fn run(args: &ScanArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let time_limit = args.time_limit()?;
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let lines = args.list.as_deref().map(|list| Lines::open(list, LONGEST_SERVICE)).transpose()?;
    let data = &settings.serve.data;
    let store = if lines.is_some() { open(data)? } else { open_existing(data)? };
    block_on(async {
        let summary = scan(args, time_limit, &settings, &store, lines).await;
        store.shutdown().await;
        let summary = summary?;
        output::print(&summary.render())?;
        Ok(if summary.is_complete() { DONE } else { NOT })
    })
}

/// Looks as a node would: with its target policy.
fn prober(settings: &Settings, time_limit: Duration) -> Result<Prober, Failure> {
    let probe = looking::probe_settings(&settings.look)?;
    let limits = Limits { look: time_limit, ..probe.limits.clone() };
    let targets = serve::targets(&settings.serve, &settings.look.ports);
    Prober::new(ProbeSettings { targets, limits, ..probe }).map_err(Failure::usage)
}

async fn scan(
    args: &ScanArgs,
    time_limit: Duration,
    settings: &Settings,
    store: &SqliteStore,
    lines: Option<Lines>,
) -> Result<Summary, Failure> {
    let progress = Many::new("looked at");
    let looker = Looker { prober: prober(settings, time_limit)?, store, keeps_failures: lines.is_none() };
    let source = match lines {
        Some(lines) => Source::list(lines::services(lines, progress.counter())),
        None => Source::store(store, &progress),
    };
    progress.show_while(look_at_all(args, source, &looker, &progress)).await
}

async fn look_at_all(
    args: &ScanArgs,
    source: Source<'_>,
    looker: &Looker<'_>,
    progress: &Many,
) -> Result<Summary, Failure> {
    let begun = Instant::now();
    let mut pace = interval(Duration::from_secs(1) / args.rate);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let items = stream::unfold((source, pace), |(mut source, mut pace)| async move {
        let item = source.next().await?;
        if matches!(item, Ok(Item::Service(_))) {
            pace.tick().await;
        }
        Some((item, (source, pace)))
    });
    let mut results = pin!(items.map(|item| looker.handle(item)).buffer_unordered(args.jobs));
    let mut summary = Summary::default();
    while let Some(result) = results.next().await {
        progress.done();
        let result = result?;
        progress.aside(|| summary.note(result))?;
    }
    summary.took = begun.elapsed();
    Ok(summary)
}

/// What became of one line or service.
enum Handled {
    Looked(ServiceId, Outcome),
    /// It was seen, and could not be remembered for a reason of its own.
    NotRecorded(StoreError),
    Duplicate,
    Bad(usize, String),
}

struct Looker<'a> {
    prober: Prober,
    store: &'a SqliteStore,
    /// Of services that are known a failed look is remembered; a list may be full of names that never existed.
    keeps_failures: bool,
}

impl Looker<'_> {
    async fn handle(&self, item: Result<Item, Failure>) -> Result<Handled, Failure> {
        match item? {
            Item::Duplicate => Ok(Handled::Duplicate),
            Item::Bad(number, why) => Ok(Handled::Bad(number, why)),
            Item::Service(service) => self.look(service).await,
        }
    }

    async fn look(&self, service: ServiceId) -> Result<Handled, Failure> {
        let look = self.prober.look(&service).await;
        let outcome = look.now.outcome;
        if outcome == Outcome::Seen || self.keeps_failures {
            match self.store.record(&service, look).await {
                Ok(_) => {}
                Err(error @ StoreError::Damaged { .. }) => return Ok(Handled::NotRecorded(error)),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Handled::Looked(service, outcome))
    }
}
