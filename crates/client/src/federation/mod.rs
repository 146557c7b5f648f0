//! The federation as a client sees it: whom it knows, whom it draws for a check, and what it tells them afterwards
//! (`docs/protocols/mirrors.md`, *What clients do*).

mod aftermath;
mod fetch;
mod known;
mod lists;
mod reserve;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parallax_core::{DnsName, ServiceId, VantageId};
use parallax_probe::{AwsLc, TargetPolicy};
use parallax_proto::mirror::{HEDGED, MOST_ASKED, Sampler};
use tokio::sync::Semaphore;

use crate::clock::now;
use crate::node::NodeVantage;
use crate::vantage::VantagePoint as _;

pub(crate) use aftermath::Aftermath;
pub use fetch::{BadBootstrapUrl, BootstrapUrl};
pub use known::{
    BadKnownMirrors, Changed, KNOWN_FORMAT, KnownMirror, KnownMirrors, LARGEST_KNOWN, LEAST_KNOWN, MOST_KNOWN, Noted,
};
pub use lists::{ListsTold, NoList, diverse_pairs, in_any_order};
pub(crate) use reserve::{Reserve, Way};

/// Mirrors whose connections are kept for the next check.
const MOST_CONNECTED: usize = 64;

/// Reports and late answers under way at once; what would be more is not sent.
const MOST_AFTER: u32 = 64;

/// Mirrors that a client knows, to be drawn from by a [`crate::Checker`].
///
/// ```no_run
/// use parallax_client::{Checker, Federation, KnownMirrors};
/// use parallax_probe::{ProbeSettings, Prober};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // What `parallax mirror bootstrap` keeps beside the configuration.
/// let known = KnownMirrors::read(&std::fs::read("mirrors.json")?)?;
/// let federation = Federation::new(&known).with_reports(false);
/// let prober = Prober::new(ProbeSettings::default())?;
/// let checker = Checker::builder(prober).federation(federation).build();
///
/// let report = checker.report(&"example.com".parse()?).await;
/// println!("{}, {:?} were asked", report.verdict.decision, report.mirrors);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Federation {
    inner: Arc<Inner>,
    reports: bool,
}

struct Inner {
    sampler: Sampler<'static>,
    mirrors: BTreeMap<VantageId, KnownMirror>,
    allow_private: bool,
    connected: Mutex<HashMap<VantageId, Arc<NodeVantage>>>,
    noted: Mutex<BTreeMap<VantageId, Noted>>,
    after: Arc<Semaphore>,
}

impl Federation {
    /// The mirrors of this list, as they are drawn today. Within a process the list stays as it is.
    pub fn new(known: &KnownMirrors) -> Self {
        let inner = Inner {
            sampler: Sampler::new(&AwsLc, known.key(), known.drawable(now())),
            mirrors: known.entries().map(|(_, one)| (one.vantage, one.clone())).collect(),
            allow_private: known.allows_private(),
            connected: Mutex::default(),
            noted: Mutex::default(),
            after: Arc::new(Semaphore::new(MOST_AFTER as usize)),
        };
        Self { inner: Arc::new(inner), reports: true }
    }

    /// Whether the mirrors are told, after a verdict, what each of them answered. They are when nothing is set.
    pub fn with_reports(self, reports: bool) -> Self {
        Self { reports, ..self }
    }

    /// What checks have learnt of mirrors since this was last asked: for [`KnownMirrors::note`].
    pub fn take_noted(&self) -> BTreeMap<VantageId, Noted> {
        std::mem::take(&mut *self.inner.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until every report is sent, or this time is over. What is not sent by then goes on in the background.
    pub async fn settle(&self, limit: Duration) {
        // Whether it is all done or the time is over, there is nothing more to wait for.
        let _ = tokio::time::timeout(limit, self.inner.after.acquire_many(MOST_AFTER)).await;
    }

    /// Whether strangers are asked about this service. The names and addresses of somebody's own network are nobody else's
    /// business, and mirrors would not look there.
    pub fn asks_about(&self, service: &ServiceId) -> bool {
        if self.inner.allow_private {
            return true;
        }
        let public = TargetPolicy::public().with_any_port();
        match service.host().address() {
            Some(address) => public.allows((address, service.port()).into()),
            None => name_of(service).is_some_and(|name| public.allows_name(&name)),
        }
    }

    /// Those drawn for a service today, at most nine, in the order of asking.
    pub(crate) fn draw(&self, service: &ServiceId) -> Vec<Arc<NodeVantage>> {
        let drawn = self.inner.sampler.draw(service, now(), MOST_ASKED);
        drawn.into_iter().filter_map(|one| self.connected(one.vantage)).collect()
    }

    /// Those who are asked where all answers are waited for.
    pub(crate) fn draw_hedged(&self, service: &ServiceId) -> Vec<Arc<NodeVantage>> {
        let mut drawn = self.draw(service);
        drawn.truncate(HEDGED);
        drawn
    }

    /// The shortest round trip to a mirror that was measured.
    pub(crate) fn round_trip(&self, mirror: &NodeVantage, vantage: VantageId) -> Option<Duration> {
        let kept = self.inner.mirrors.get(&vantage).and_then(KnownMirror::round_trip);
        kept.into_iter().chain(mirror.round_trip()).min()
    }

    /// What is known of the way to a mirror before it is asked.
    pub(crate) fn way(&self, mirror: &NodeVantage) -> Way {
        Way { trip: self.round_trip(mirror, mirror.id()), is_connected: mirror.is_connected() }
    }

    fn connected(&self, vantage: VantageId) -> Option<Arc<NodeVantage>> {
        let mut connected = self.inner.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mirror) = connected.get(&vantage) {
            return Some(mirror.clone());
        }
        let known = self.inner.mirrors.get(&vantage)?;
        let mirror = Arc::new(NodeVantage::new(known.url(), Some(known.known())).ok()?);
        if connected.len() >= MOST_CONNECTED {
            connected.clear();
        }
        connected.insert(vantage, mirror.clone());
        Some(mirror)
    }

    fn note(&self, vantage: VantageId, noted: Noted) {
        self.inner.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(vantage, noted);
    }
}

fn name_of(service: &ServiceId) -> Option<DnsName> {
    service.host().name()?.parse().ok()
}

#[cfg(test)]
mod tests;
