//! Signed DNS answers, as they are from here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parallax_core::{DnsName, DnsSet, RecordKind};
use parallax_probe::Prober;
use parallax_proto::{DNS_FORMAT, DnsQuestion, DnsReply, VIEW_LIFE};
use tokio::time::Instant;

use crate::app::Shared;
use crate::limits::{Place, Places, RateLimits};
use crate::looks::NotLooked;
use crate::problem::Problem;
use crate::single_flight::{Joined, SingleFlight};
use crate::views::{COME_BACK, SignedBytes, refuse};

/// An answer is given out again for its time to live, but not longer than this.
const LONGEST_LIFE: Duration = Duration::from_secs(300);

/// An answer without records, or none at all, is given out again for this long.
const EMPTY_LIFE: Duration = Duration::from_secs(10);

/// Answers remembered at most.
const REMEMBERED: usize = 2_000;

/// A larger answer is not remembered, or strangers could fill the memory with their own zones; the resolver has it.
const REMEMBERED_BYTES: usize = 8 * 1024;

/// What a record takes in memory beside its text.
const RECORD_BYTES: usize = 40;

/// One answer and when it came.
#[derive(Clone)]
struct Answer {
    set: DnsSet,
    came: Instant,
}

/// `None` when the node stops.
type Asked = Option<Arc<Answer>>;

/// Answers questions about names.
pub(crate) struct Dns {
    shared: Shared,
    prober: Prober,
    limits: Arc<RateLimits>,
    flights: Arc<SingleFlight<(DnsName, RecordKind), Asked>>,
    places: Arc<Places>,
}

/// Why a question was not put to the resolver.
enum NotAsked {
    /// As many are under way as may be.
    TooMany,
    /// The domain was asked about as often as may be.
    DomainBusy(Duration),
}

impl Dns {
    pub(crate) fn new(shared: Shared, prober: Prober, limits: Arc<RateLimits>, places: Places) -> Self {
        let flights = Arc::new(SingleFlight::new(|asked: &Asked| life(asked.as_deref()), REMEMBERED));
        Self { shared, prober, limits, flights, places: Arc::new(places) }
    }

    /// The signed answer, or why there is none.
    pub(crate) async fn answer(&self, question: DnsQuestion, asker: Option<IpAddr>) -> Result<SignedBytes, Problem> {
        self.admit(&question, asker)?;
        let answers = self.ask(&question, asker).await?;
        let issued_at = self.shared.clock.now().map_err(|error| refuse(&self.shared, NotLooked::Clock(error)))?;
        let reply = DnsReply {
            format: DNS_FORMAT.into(),
            vantage: self.shared.identity.vantage(),
            region: self.shared.region.clone(),
            name: question.name,
            nonce: question.nonce,
            issued_at,
            valid_until: issued_at.plus(VIEW_LIFE),
            answers,
        };
        self.shared.metrics.signatures.inc();
        let signed = reply.sign(self.shared.identity.statement()).ok().and_then(SignedBytes::new);
        signed.ok_or_else(|| Problem::unavailable("signing", "the statement key could not sign", COME_BACK))
    }

    /// The resolver may know names of the operator's own network, which are nobody else's business. Each type counts as
    /// a question of its source: the request itself was counted for the first.
    fn admit(&self, question: &DnsQuestion, asker: Option<IpAddr>) -> Result<(), Problem> {
        if !self.prober.allows_name(&question.name) {
            let detail = "this is no public name: it ends in no public suffix, or is the reverse name of an address that is not public. This node tells nothing of its own network";
            return Err(Problem::parameter("name", detail));
        }
        let Some(source) = asker else { return Ok(()) };
        (1..question.kinds.len()).try_for_each(|_| self.limits.admit_source(source)).map_err(|wait| {
            self.shared.metrics.refused("source");
            Problem::too_many("your network asks more often than it may (each record type counts); come back", wait)
        })
    }

    async fn ask(
        &self,
        question: &DnsQuestion,
        asker: Option<IpAddr>,
    ) -> Result<BTreeMap<RecordKind, DnsSet>, Problem> {
        let kinds = &question.kinds;
        let asked = join_all(kinds.iter().map(|kind| self.ask_one(&question.name, *kind, asker))).await;
        kinds.iter().copied().zip(asked).map(|(kind, set)| Ok((kind, set?))).collect()
    }

    async fn ask_one(&self, name: &DnsName, kind: RecordKind, asker: Option<IpAddr>) -> Result<DnsSet, Problem> {
        let mut why = NotAsked::TooMany;
        let joined = self.flights.join((name.clone(), kind), || {
            let place = self.places.take(asker).ok()?;
            if let Err(wait) = self.limits.admit_domain(parallax_probe::registrable(name)) {
                why = NotAsked::DomainBusy(wait);
                return None;
            }
            Some(self.lookup(name.clone(), kind, place))
        });
        let (asked, source) = match joined {
            Joined::Done(asked) => (Some(asked), "again"),
            Joined::Waiting(waiting) => (waiting.result().await, "resolver"),
            Joined::NotStarted => return Err(self.not_asked(why)),
        };
        match asked {
            Some(Some(answer)) => {
                self.shared.metrics.dns_answer(source);
                Ok(answer.at(Instant::now()))
            }
            Some(None) => Err(refuse(&self.shared, NotLooked::Stopping)),
            None => Err(refuse(&self.shared, NotLooked::Lost)),
        }
    }

    /// One question to the resolver, in a task that no asker can cancel.
    fn lookup(&self, name: DnsName, kind: RecordKind, place: Place) -> impl Future<Output = Asked> + use<> {
        let (prober, lifecycle) = (self.prober.clone(), self.shared.lifecycle.clone());
        async move {
            let (_place, _under_way) = (place, lifecycle.enter());
            tokio::select! {
                set = prober.dns(&name, kind) => Some(Arc::new(Answer { set, came: Instant::now() })),
                () = lifecycle.abandoned() => None,
            }
        }
    }

    fn not_asked(&self, why: NotAsked) -> Problem {
        match why {
            NotAsked::TooMany => {
                self.shared.metrics.refused("dns");
                let detail = "as many DNS questions as may be are under way; come back";
                Problem::unavailable("too-many-questions", detail, COME_BACK)
            }
            NotAsked::DomainBusy(wait) => {
                self.shared.metrics.refused("domain");
                let detail = "the names of this domain were asked about as often as may be; come back";
                Problem::unavailable("target-busy", detail, wait)
            }
        }
    }
}

fn life(answer: Option<&Answer>) -> Duration {
    let Some(Answer { set, .. }) = answer else { return EMPTY_LIFE };
    if set.records.iter().map(|record| record.len() + RECORD_BYTES).sum::<usize>() > REMEMBERED_BYTES {
        return Duration::ZERO;
    }
    set.min_ttl.map_or(EMPTY_LIFE, |seconds| Duration::from_secs(u64::from(seconds)).min(LONGEST_LIFE))
}

impl Answer {
    /// As it is at `now`: what is left of the time to live.
    fn at(&self, now: Instant) -> DnsSet {
        let age = u32::try_from(now.saturating_duration_since(self.came).as_secs()).unwrap_or(u32::MAX);
        DnsSet { min_ttl: self.set.min_ttl.map(|ttl| ttl.saturating_sub(age)), ..self.set.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_live_runs_down() {
        let records = std::collections::BTreeSet::from(["192.0.2.1".to_owned()]);
        let set = DnsSet::answered("NOERROR".into(), records, Some(60), Default::default());
        let answer = Answer { set, came: Instant::now() };
        assert_eq!(life(Some(&answer)), Duration::from_secs(60));
        assert_eq!(answer.at(answer.came + Duration::from_secs(59)).min_ttl, Some(1));
        assert_eq!(answer.at(answer.came + Duration::from_secs(159)).min_ttl, Some(0));
        assert_eq!(life(None), EMPTY_LIFE);
    }

    #[test]
    fn a_large_answer_is_not_remembered_and_none_for_longer_than_five_minutes() {
        let answer = |record: String, ttl| {
            let set = DnsSet::answered("NOERROR".into(), [record].into(), Some(ttl), Default::default());
            life(Some(&Answer { set, came: Instant::now() }))
        };
        assert_eq!(answer("x".repeat(REMEMBERED_BYTES + 1), 60), Duration::ZERO);
        assert_eq!(answer("x".repeat(REMEMBERED_BYTES - RECORD_BYTES), 60), Duration::from_secs(60));
        assert_eq!(answer("192.0.2.1".into(), 86_400), LONGEST_LIFE);
        assert_eq!(answer("192.0.2.1".into(), 0), Duration::ZERO);
    }
}
