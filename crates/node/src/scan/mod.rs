//! Looks that nobody asked for: every known service once in an interval, as `schedule` decides.

mod schedule;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parallax_core::{ServiceId, Timestamp};
use parallax_store::{HistoryStore as _, Listing, MAX_PAGE, StoreError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use self::schedule::{Next, Schedule};
use crate::app::App;
use crate::looks::{Ended, NotLooked};

/// The share of the looks at once that scans may take: the rest is for askers.
const SHARE: usize = 4;

/// The store is read for what is due twenty times an interval, but not more or less often than this.
const SWEEP_AT_MOST_EVERY: Duration = Duration::from_secs(1);
const SWEEP_AT_LEAST_EVERY: Duration = Duration::from_secs(900);

/// Runs until the node stops. `looks_at_once` is the bound of the whole node.
pub(crate) async fn run(app: Arc<App>, every: Duration, looks_at_once: usize) {
    let lifecycle = app.shared.lifecycle.clone();
    tokio::select! {
        () = lifecycle.stopping() => {}
        never = Scan::new(app, every, looks_at_once).run() => match never {},
    }
}

struct Scan {
    app: Arc<App>,
    schedule: Schedule,
    every: Duration,
    places: Arc<Semaphore>,
    /// What a limit of this node refused: it was not tried.
    refused: Arc<Mutex<Vec<ServiceId>>>,
}

impl Scan {
    fn new(app: Arc<App>, every: Duration, looks_at_once: usize) -> Self {
        // Two nodes that were started together need not look at the same services at the same time.
        let seed = RandomState::new().hash_one(());
        let schedule = Schedule::new(every, seed, app.shared.clock.newest());
        let places = Arc::new(Semaphore::new((looks_at_once / SHARE).max(1)));
        Self { app, schedule, every, places, refused: Arc::default() }
    }

    async fn run(mut self) -> std::convert::Infallible {
        loop {
            let sweep = Instant::now() + (self.every / 20).clamp(SWEEP_AT_MOST_EVERY, SWEEP_AT_LEAST_EVERY);
            if let Ok(now) = self.app.shared.clock.now() {
                if let Err(error) = self.sweep(now).await
                    && self.app.shared.store_warned.is_time()
                {
                    tracing::warn!(%error, "the scan can't read which services are due; it tries again");
                }
                self.look_until(sweep).await;
            }
            sleep_until(sweep).await;
        }
    }

    /// Reads what is due, page by page.
    async fn sweep(&mut self, now: Timestamp) -> Result<(), StoreError> {
        std::mem::take(&mut *lock(&self.refused)).iter().for_each(|service| self.schedule.not_tried(service));
        self.schedule.begin_sweep();
        let mut listing = Listing { limit: MAX_PAGE, ..Listing::default() };
        loop {
            let page = self.app.store.services(listing.clone()).await?;
            let more = listing.advance(&page);
            page.into_iter().for_each(|row| self.schedule.offer(row.service, row.last_seen, now));
            if !more {
                break;
            }
        }
        self.schedule.end_sweep(now);
        let metrics = &self.app.shared.metrics;
        metrics.scan_services.set(i64::try_from(self.schedule.known()).unwrap_or(i64::MAX));
        metrics.scan_due.set(i64::try_from(self.schedule.waiting()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Begins looks until it is time for the next sweep.
    async fn look_until(&mut self, end: Instant) {
        while Instant::now() < end {
            let Ok(now) = self.app.shared.clock.now() else { return };
            match self.schedule.next(now) {
                Next::Idle => return,
                Next::Wait(moment) => {
                    tokio::select! {
                        () = sleep(moment.since(now)) => {}
                        () = sleep_until(end) => {}
                    }
                }
                Next::Look(service) => self.look(service).await,
            }
        }
    }

    /// Waits for a place, not for the look.
    async fn look(&self, service: ServiceId) {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
        let (app, refused) = (Arc::clone(&self.app), Arc::clone(&self.refused));
        tokio::spawn(async move {
            let outcome = match look(&app, &service).await {
                Ok(Some(outcome)) => outcome,
                Ok(None) => return,
                Err(_) => {
                    lock(&refused).push(service);
                    "refused"
                }
            };
            app.shared.metrics.scanned(outcome);
            drop(place);
        });
    }
}

/// The look that an asker would get, on nobody's account; `None` where the service was removed since the sweep, and a look
/// would have it known again.
async fn look(app: &App, service: &ServiceId) -> Result<Option<&'static str>, NotLooked> {
    if app.store.known(service).await.map_err(NotLooked::NotRecorded)?.is_none() {
        return Ok(None);
    }
    let seen = match app.views.looks.look(service, None, None)? {
        Ended::Before(seen) => seen,
        Ended::Later(waiting) => waiting.result().await.unwrap_or(Err(NotLooked::Lost))?,
    };
    Ok(Some(seen.look.now.outcome.as_str()))
}

fn lock(refused: &Mutex<Vec<ServiceId>>) -> std::sync::MutexGuard<'_, Vec<ServiceId>> {
    refused.lock().unwrap_or_else(PoisonError::into_inner)
}
