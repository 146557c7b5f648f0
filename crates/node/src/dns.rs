//! Signed DNS answers, as they are from here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parallax_core::DnsSet;
use parallax_probe::{Prober, UnknownType};
use parallax_proto::{DNS_FORMAT, DnsReply, VIEW_LIFE};
use tokio::time::Instant;

use crate::app::Shared;
use crate::limits::Places;
use crate::looks::NotLooked;
use crate::problem::Problem;
use crate::query::DnsQuestion;
use crate::single_flight::{Joined, SingleFlight};
use crate::views::{COME_BACK, SignedBytes, refuse};

/// An answer is given out again for its time to live, but not longer than this.
const LONGEST_LIFE: Duration = Duration::from_secs(300);

/// An answer without records, or none at all, is given out again for this long.
const EMPTY_LIFE: Duration = Duration::from_secs(10);

/// Answers remembered at most; each has at most 64 records.
const REMEMBERED: usize = 2_000;

/// One answer and when it came.
#[derive(Clone)]
struct Answer {
    set: DnsSet,
    came: Instant,
}

/// `None` when the type is none that is known.
type Asked = Option<Arc<Answer>>;

/// Answers questions about names.
pub(crate) struct Dns {
    shared: Shared,
    prober: Prober,
    flights: Arc<SingleFlight<(String, String), Asked>>,
    places: Arc<Places>,
}

impl Dns {
    pub(crate) fn new(shared: Shared, prober: Prober, places: Places) -> Self {
        let flights = Arc::new(SingleFlight::new(|asked: &Asked| life(asked.as_deref()), REMEMBERED));
        Self { shared, prober, flights, places: Arc::new(places) }
    }

    /// The signed answer, or why there is none.
    pub(crate) async fn answer(&self, question: DnsQuestion, asker: Option<IpAddr>) -> Result<SignedBytes, Problem> {
        let answers = self.ask(&question.name, &question.types, asker).await?;
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

    async fn ask(
        &self,
        name: &str,
        types: &BTreeSet<String>,
        asker: Option<IpAddr>,
    ) -> Result<BTreeMap<String, DnsSet>, Problem> {
        let asked = join_all(types.iter().map(|kind| self.ask_one(name, kind, asker))).await;
        types.iter().cloned().zip(asked).map(|(kind, set)| Ok((kind, set?))).collect()
    }

    async fn ask_one(&self, name: &str, kind: &str, asker: Option<IpAddr>) -> Result<DnsSet, Problem> {
        let joined = self.flights.join((name.to_owned(), kind.to_owned()), || {
            let place = self.places.take(asker).ok()?;
            let (prober, name, kind) = (self.prober.clone(), name.to_owned(), kind.to_owned());
            let lifecycle = self.shared.lifecycle.clone();
            Some(async move {
                let (_place, _under_way) = (place, lifecycle.enter());
                tokio::select! {
                    set = prober.dns(&name, &kind) => answer(set),
                    () = lifecycle.abandoned() => None,
                }
            })
        });
        let (asked, source) = match joined {
            Joined::Done(asked) => (Some(asked), "again"),
            Joined::Waiting(waiting) => (waiting.result().await, "resolver"),
            Joined::NotStarted => {
                self.shared.metrics.refused("dns");
                let detail = "as many DNS questions as may be are under way; come back";
                return Err(Problem::unavailable("too-many-questions", detail, COME_BACK));
            }
        };
        match asked {
            Some(Some(answer)) => {
                self.shared.metrics.dns_answer(source);
                Ok(answer.at(Instant::now()))
            }
            Some(None) if self.shared.lifecycle.is_stopping() => Err(refuse(&self.shared, NotLooked::Stopping)),
            Some(None) => Err(Problem::parameter("types", format!("{kind} is not a record type that is known here"))),
            None => Err(refuse(&self.shared, NotLooked::Lost)),
        }
    }
}

fn answer(set: Result<DnsSet, UnknownType>) -> Asked {
    set.ok().map(|set| Arc::new(Answer { set, came: Instant::now() }))
}

fn life(answer: Option<&Answer>) -> Duration {
    let ttl = answer.and_then(|answer| answer.set.min_ttl);
    ttl.map_or(EMPTY_LIFE, |seconds| Duration::from_secs(u64::from(seconds)).min(LONGEST_LIFE))
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
        let set = DnsSet { rcode: "NOERROR".into(), records: vec![], min_ttl: Some(60), dnssec: Default::default() };
        let answer = Answer { set, came: Instant::now() };
        assert_eq!(life(Some(&answer)), Duration::from_secs(60));
        assert_eq!(answer.at(answer.came + Duration::from_secs(59)).min_ttl, Some(1));
        assert_eq!(answer.at(answer.came + Duration::from_secs(159)).min_ttl, Some(0));
        assert_eq!(life(None), EMPTY_LIFE);
    }
}
