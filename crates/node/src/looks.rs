//! Looks that many may share: bounded, stamped, and recorded before anybody is told of them.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Look, Outcome, ServiceId};
use parallax_probe::Prober;
use parallax_store::{HistoryStore, Known, StoreError};
use tokio::time::Instant;

use crate::clock::{Clock, ClockBehind};
use crate::lifecycle::Lifecycle;
use crate::limits::{Places, RateLimits};
use crate::metrics::Metrics;
use crate::single_flight::{Joined, SingleFlight, Waiting};

/// A service is looked at at most once in this time.
pub(crate) const AT_MOST_EVERY: Duration = Duration::from_secs(2);

/// A look that failed is not repeated within this time.
pub(crate) const FAILURE_REMEMBERED: Duration = Duration::from_secs(10);

/// Looks remembered at most for those two reasons.
const REMEMBERED: usize = 16_384;

/// What came of a look: every asker gets the same.
pub(crate) type Looked = Result<Arc<Seen>, NotLooked>;

/// A look that ended, and what is known with it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) look: Look,
    /// As it is on disk with this look in it; `None` when there was nothing to remember.
    pub(crate) known: Option<Arc<Known>>,
}

/// Why there is no look that could be told of.
#[derive(Clone, Debug)]
pub(crate) enum NotLooked {
    /// As many looks as may be are under way.
    TooMany,
    /// The target was looked at as often as may be, under this or other names.
    TargetBusy(Duration),
    /// It could not be recorded, and what was not recorded is not signed.
    NotRecorded(StoreError),
    /// There is no stamp for it.
    Clock(ClockBehind),
    /// The node stops.
    Stopping,
    /// It ended without a result, which is a mistake in this program.
    Lost,
}

/// A service where DNS leads, or at a dictated address.
type Key = (ServiceId, Option<IpAddr>);

/// Looks, one per service at a time.
pub(crate) struct Looks {
    tools: Arc<Tools>,
    flights: Arc<SingleFlight<Key, Looked>>,
    places: Arc<Places>,
}

/// What a look needs while it is a task of its own.
pub(crate) struct Tools {
    pub(crate) prober: Prober,
    pub(crate) store: Arc<dyn HistoryStore>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lifecycle: Lifecycle,
}

tokio::task_local! {
    /// Set by [`admission`] when it refused a connection of the look that runs in this task.
    static REFUSED: Cell<Option<Duration>>;
}

/// The check that the prober calls before every connection: the budget of the target, over all names that lead there.
pub(crate) fn admission(limits: Arc<RateLimits>) -> impl Fn(SocketAddr) -> bool + Send + Sync + 'static {
    move |target| match limits.admit_target(target.ip()) {
        Ok(()) => true,
        Err(wait) => {
            // Outside of a look there is nobody to tell.
            let _ = REFUSED.try_with(|refused| refused.set(Some(wait)));
            false
        }
    }
}

impl Looks {
    pub(crate) fn new(tools: Tools, places: Places) -> Self {
        Self {
            tools: Arc::new(tools),
            flights: Arc::new(SingleFlight::new(remember, REMEMBERED)),
            places: Arc::new(places),
        }
    }

    /// The look at a service: the one of a moment ago, the one under way, or a new one on the account of `asker`.
    pub(crate) fn look(
        &self,
        service: &ServiceId,
        address: Option<IpAddr>,
        asker: Option<IpAddr>,
    ) -> Result<Ended, NotLooked> {
        let joined = self.flights.join((service.clone(), address), || {
            let place = self.places.take(asker).ok()?;
            let (tools, service) = (Arc::clone(&self.tools), service.clone());
            Some(async move {
                let looked = tools.look(&service, address).await;
                drop(place);
                looked
            })
        });
        match joined {
            Joined::Done(looked) => looked.map(Ended::Before),
            Joined::Waiting(waiting) => Ok(Ended::Later(waiting)),
            Joined::NotStarted => Err(NotLooked::TooMany),
        }
    }
}

/// A look that has ended before, or will.
pub(crate) enum Ended {
    Before(Arc<Seen>),
    Later(Waiting<Looked>),
}

fn remember(looked: &Looked) -> Duration {
    match looked {
        Ok(seen) if seen.look.now.outcome == Outcome::Seen => AT_MOST_EVERY,
        Ok(_) => FAILURE_REMEMBERED,
        Err(NotLooked::TargetBusy(wait)) => AT_MOST_EVERY.min(*wait),
        Err(_) => AT_MOST_EVERY,
    }
}

impl Tools {
    async fn look(&self, service: &ServiceId, address: Option<IpAddr>) -> Looked {
        let _under_way = self.lifecycle.enter();
        tokio::select! {
            looked = self.look_and_record(service, address) => looked,
            () = self.lifecycle.abandoned() => Err(NotLooked::Stopping),
        }
    }

    async fn look_and_record(&self, service: &ServiceId, address: Option<IpAddr>) -> Looked {
        let mut look = self.look_once(service, address).await?;
        look.now.at = self.clock.stamp_look(service).map_err(NotLooked::Clock)?;
        if address.is_some() {
            return Ok(Arc::new(Seen { look, known: None }));
        }
        let known = self.record(service, &look).await?;
        Ok(Arc::new(Seen { look, known }))
    }

    async fn look_once(&self, service: &ServiceId, address: Option<IpAddr>) -> Result<Look, NotLooked> {
        let started = Instant::now();
        let _counted = Counted::new(&self.metrics.looks_under_way);
        let (look, refused) = REFUSED
            .scope(Cell::new(None), async {
                let look = match address {
                    Some(address) => self.prober.look_at(service, address).await,
                    None => self.prober.look(service).await,
                };
                (look, REFUSED.with(Cell::get))
            })
            .await;
        // Where one address had no budget left, another may have answered.
        if let Some(wait) = refused.filter(|_| look.now.met.is_none()) {
            return Err(NotLooked::TargetBusy(wait));
        }
        self.metrics.look(look.now.outcome.as_str(), started.elapsed());
        Ok(look)
    }

    /// Resolves once the look is on disk.
    async fn record(&self, service: &ServiceId, look: &Look) -> Result<Option<Arc<Known>>, NotLooked> {
        if !is_worth_keeping(look) && self.store.known(service).await.map_err(NotLooked::NotRecorded)?.is_none() {
            return Ok(None);
        }
        self.store.record(service, look.clone()).await.map(Some).map_err(NotLooked::NotRecorded)
    }
}

/// A look that met nothing and found no record, at a service of which nothing is known, has nothing to remember; strangers
/// could fill the disk with names that do not exist.
fn is_worth_keeping(look: &Look) -> bool {
    look.now.met.is_some() || look.dns.record().is_some_and(|record| !record.is_empty())
}

/// Counts up while it lives, also when its task is dropped.
struct Counted<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a prometheus_client::metrics::gauge::Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
