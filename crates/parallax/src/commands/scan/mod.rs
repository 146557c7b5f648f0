//! `parallax scan`: looks at many services at a steady rate, and remembers what it saw.

mod budget;
mod drive;
mod pace;
mod source;
mod summary;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Look, Outcome, ServiceId};
use parallax_probe::{Admission, Limits, ProbeSettings, Prober};
use parallax_store::{HistoryStore as _, SqliteStore, StoreError};

use self::budget::{Budget, Place};
use self::drive::{Drive, Try};
use self::source::Source;
use self::summary::Summary;
use super::store::{failed, must_exist, open_for_many};
use super::{block_on, looking, serve, settings};
use crate::args::ScanArgs;
use crate::failure::{DONE, Failure, NOT};
use crate::lines::{self, LONGEST_SERVICE, Lines};
use crate::progress::Many;
use crate::settings::Settings;
use crate::{logs, output};

/// What there is to scan.
const WANTED: &str = "name a file with a service a line";

/// Runs the command.
pub(crate) fn run(args: &ScanArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let time_limit = args.time_limit()?;
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let lines = args.list.as_deref().map(|list| Lines::open(list, LONGEST_SERVICE, WANTED)).transpose()?;
    let data = &settings.serve.data;
    if lines.is_none() {
        must_exist(data)?;
    }
    let store = open_for_many(data)?;
    block_on(async {
        let summary = scan(args, time_limit, &settings, &store, lines).await;
        store.shutdown().await;
        let summary = summary?;
        output::print(&summary.render())?;
        Ok(if summary.is_complete() { DONE } else { NOT })
    })
}

/// Looks as a node would: with its target policy, and its budget for one address.
fn prober(settings: &Settings, time_limit: Duration, budget: Option<&Arc<Budget>>) -> Result<Prober, Failure> {
    let probe = looking::probe_settings(&settings.look)?;
    let limits = Limits { look: time_limit, ..probe.limits.clone() };
    let targets = serve::targets(&settings.serve, &settings.look.ports);
    let admission = budget.cloned().map(|budget| Admission::new(move |target| budget.admits(target)));
    Prober::new(ProbeSettings { targets, limits, admission, ..probe }).map_err(Failure::usage)
}

async fn scan(
    args: &ScanArgs,
    time_limit: Duration,
    settings: &Settings,
    store: &SqliteStore,
    lines: Option<Lines>,
) -> Result<Summary, Failure> {
    let progress = Many::new("looked at");
    let budget = args.per_address().map(|rate| Arc::new(Budget::new(rate)));
    let prober = prober(settings, time_limit, budget.as_ref())?;
    let looker = Looker { prober, budget, store, keeps_failures: lines.is_none() };
    let source = match lines {
        Some(lines) => Source::list(lines::services(lines, progress.counter())),
        None => Source::store(store, &progress),
    };
    progress.show_while(Drive::new(&looker, &progress, args.jobs, args.rate).run(source)).await
}

/// What became of one line or service.
enum Handled {
    Looked(ServiceId, Outcome),
    /// It was seen, and could not be remembered for a reason of its own.
    NotRecorded(StoreError),
    Duplicate,
    Bad(usize, String),
}

/// What became of one try.
enum Looked {
    Handled(Handled),
    /// Its address has no room before the place that is kept for it.
    Busy(Try, Place, Outcome),
}

struct Looker<'a> {
    prober: Prober,
    /// `None` where one address may be looked at as often as all.
    budget: Option<Arc<Budget>>,
    store: &'a SqliteStore,
    /// Of services that are known a failed look is remembered; a list may be full of names that never existed.
    keeps_failures: bool,
}

impl Looker<'_> {
    async fn look(&self, next: Try) -> Result<Looked, Failure> {
        let look = self.prober.look(&next.service);
        let (look, busy) = match &self.budget {
            Some(budget) => budget.look(next.place, look, |look: &Look| look.now.met.is_some()).await,
            None => (look.await, None),
        };
        match busy {
            Some(place) => Ok(Looked::Busy(next, place, look.now.outcome)),
            None => self.record(next.service, look).await.map(Looked::Handled),
        }
    }

    async fn record(&self, service: ServiceId, look: Look) -> Result<Handled, Failure> {
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
