//! The way from a question to a signed view.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use moka::future::Cache;
use parallax_core::{History, Look, Observation, Outcome, ServiceId, Timestamp, VantageId};
use parallax_proto::{LONGEST_WAIT, Question, Signed, VIEW_FORMAT, VIEW_LIFE, View};
use parallax_store::{Known, StoreError};
use tokio::time::Instant;

use crate::app::Shared;
use crate::clock::Clock;
use crate::histories::Histories;
use crate::looks::{AT_MOST_EVERY, Ended, FAILURE_REMEMBERED, Looked, Looks, NotLooked, Seen};
use crate::problem::Problem;
use crate::single_flight::Waiting;

/// How long finished bytes are given out again to those who brought no nonce.
const AGAIN: Duration = Duration::from_secs(1);

/// Memory for finished bytes.
const AGAIN_BYTES: u64 = 16 * 1024 * 1024;

/// How much longer somebody waits for a look when the node has begun to stop.
const WAIT_WHILE_STOPPING: Duration = Duration::from_secs(2);

/// How soon those are told to come back whom the node could not answer.
pub(crate) const COME_BACK: Duration = Duration::from_secs(2);

/// A signed body as it goes out.
#[derive(Clone, Debug)]
pub(crate) struct SignedBytes {
    pub(crate) body: Bytes,
    pub(crate) signature: HeaderValue,
}

impl SignedBytes {
    /// `None` when the signature can't be a header, which base64url always can.
    pub(crate) fn new(signed: Signed) -> Option<Self> {
        let signature = HeaderValue::try_from(signed.signature).ok()?;
        Some(Self { body: Bytes::from(signed.body), signature })
    }
}

/// Answers questions about services.
pub(crate) struct Views {
    pub(crate) shared: Shared,
    pub(crate) histories: Arc<Histories>,
    pub(crate) looks: Arc<Looks>,
    pub(crate) again: Again,
}

/// What a view is made of, and where it comes from.
struct Material {
    look: Look,
    history: History,
    source: &'static str,
}

/// What is known of a service, and whether the store said so.
struct Snapshot {
    known: Option<Arc<Known>>,
    source: &'static str,
}

impl Views {
    /// The signed answer, or why there is none.
    pub(crate) async fn answer(&self, question: &Question, asker: Option<IpAddr>) -> Result<SignedBytes, Problem> {
        if let Some(again) = self.again.find(question, &self.shared.clock).await {
            self.shared.metrics.view("again");
            return Ok(again);
        }
        let material = self.material(question, asker).await?;
        let (at, outcome) = (material.look.now.at, material.look.now.outcome);
        let signed = self.sign(question, material)?;
        self.again.keep(question, at, outcome, &signed).await;
        Ok(signed)
    }

    /// My own look for a comparison, not older than `max_age`, with the history; `None` when there is none.
    pub(crate) async fn look_for_myself(&self, service: &ServiceId, max_age: Duration) -> Option<(Look, History)> {
        let question = Question { max_age, wait: LONGEST_WAIT, ..Question::about(service.clone()) };
        let material = self.material(&question, None).await.ok()?;
        (material.look.now.outcome != Outcome::Pending).then_some((material.look, material.history))
    }

    async fn material(&self, question: &Question, asker: Option<IpAddr>) -> Result<Material, Problem> {
        let service = &question.service;
        if question.address.is_some() {
            return self.look_there(question, asker).await;
        }
        let snapshot = self.snapshot(service).await.map_err(|error| self.refuse(NotLooked::NotRecorded(error)))?;
        let now = self.now()?;
        if let Some(known) = &snapshot.known
            && let Some(look) =
                known.latest.as_ref().filter(|look| is_fresh(look, &known.history, question.max_age, now))
        {
            return Ok(Material { look: look.clone(), history: known.history.clone(), source: snapshot.source });
        }
        match self.looks.look(service, None, asker).map_err(|why| self.refuse(why))? {
            Ended::Before(seen) => Ok(after(&seen, snapshot.known)),
            Ended::Later(waiting) => match self.wait(waiting, question.wait).await {
                Some(looked) => Ok(after(&*looked.map_err(|why| self.refuse(why))?, None)),
                None => self.pending(service).await,
            },
        }
    }

    /// A look at a dictated address answers this request only. The history goes with it as it stands: a view without it
    /// would say that this node has forgotten.
    async fn look_there(&self, question: &Question, asker: Option<IpAddr>) -> Result<Material, Problem> {
        let (service, address) = (&question.service, question.address);
        let seen = match self.looks.look(service, address, asker).map_err(|why| self.refuse(why))? {
            Ended::Before(seen) => Some(seen),
            Ended::Later(waiting) => match self.wait(waiting, question.wait).await {
                Some(looked) => Some(looked.map_err(|why| self.refuse(why))?),
                None => None,
            },
        };
        let Some(seen) = seen else { return self.pending(service).await };
        let snapshot = self.snapshot(service).await.map_err(|error| self.refuse(NotLooked::NotRecorded(error)))?;
        let history = snapshot.known.map(|known| known.history.clone()).unwrap_or_default();
        Ok(Material { look: seen.look.clone(), history, source: "address" })
    }

    /// The look goes on past the time the asker would wait.
    async fn pending(&self, service: &ServiceId) -> Result<Material, Problem> {
        // Read again: what was read before the wait may have grown since.
        let snapshot = self.snapshot(service).await.map_err(|error| self.refuse(NotLooked::NotRecorded(error)))?;
        let now = Observation::failed(self.now()?, None, Outcome::Pending);
        let history = snapshot.known.map(|known| known.history.clone()).unwrap_or_default();
        Ok(Material { look: Look { dns: Default::default(), now }, history, source: "pending" })
    }

    /// `None` when the look takes longer than the asker waits, or the node stops.
    async fn wait(&self, waiting: Waiting<Looked>, wait: Duration) -> Option<Looked> {
        let stopped = async {
            self.shared.lifecycle.stopping().await;
            tokio::time::sleep(WAIT_WHILE_STOPPING).await;
        };
        tokio::select! {
            biased;
            looked = waiting.result() => Some(looked.unwrap_or(Err(NotLooked::Lost))),
            () = tokio::time::sleep(wait) => None,
            () = stopped => None,
        }
    }

    /// What is known, from the store, or from memory while the store can't say.
    async fn snapshot(&self, service: &ServiceId) -> Result<Snapshot, StoreError> {
        let recalled = self.histories.recall(service).await?;
        Ok(Snapshot { known: recalled.known, source: if recalled.from_memory { "memory" } else { "history" } })
    }

    fn sign(&self, question: &Question, material: Material) -> Result<SignedBytes, Problem> {
        let Material { look, history, source } = material;
        let spans = history.spans.iter().map(|span| span.last_seen);
        let kept_since = self.histories.kept_since();
        let moments = spans.chain(history.authority.iter().map(|entry| entry.last_seen)).chain([look.now.at]);
        let moments = moments.chain(kept_since);
        let issued_at = self.shared.clock.now_after(moments).map_err(|error| self.refuse(NotLooked::Clock(error)))?;
        let view = View {
            format: VIEW_FORMAT.into(),
            vantage: self.vantage(),
            region: self.shared.region.clone(),
            service: question.service.clone(),
            nonce: question.nonce.clone(),
            issued_at,
            valid_until: issued_at.plus(VIEW_LIFE),
            dns: look.dns,
            now: look.now,
            history: history.spans,
            kept_since,
            authority: history.authority,
        };
        let signed = view.sign(self.shared.identity.statement()).ok().and_then(SignedBytes::new);
        self.shared.metrics.signatures.inc();
        self.shared.metrics.view(source);
        signed.ok_or_else(|| Problem::unavailable("signing", "the statement key could not sign", COME_BACK))
    }

    fn vantage(&self) -> VantageId {
        self.shared.identity.vantage()
    }

    fn now(&self) -> Result<Timestamp, Problem> {
        self.shared.clock.now().map_err(|error| self.refuse(NotLooked::Clock(error)))
    }

    fn refuse(&self, why: NotLooked) -> Problem {
        refuse(&self.shared, why)
    }
}

/// A look that has ended with what is known: what came back from the disk with it, unless what was `read` already holds
/// it and may hold more.
fn after(seen: &Seen, read: Option<Arc<Known>>) -> Material {
    let holds_it = |known: &Arc<Known>| known.latest.as_ref().is_some_and(|look| look.now.at >= seen.look.now.at);
    let known = if seen.known.is_none() { read } else { read.filter(holds_it).or_else(|| seen.known.clone()) };
    let history = known.map(|known| known.history.clone()).unwrap_or_default();
    Material { look: seen.look.clone(), history, source: "look" }
}

/// Whether a look still answers: for `max_age` when it saw something, for ten seconds when it failed, and in no case for
/// longer than the owner's record lives that was read with it: who deletes that revokes. One from the future answers
/// nothing: a clock that ran ahead once would else make it fresh for as long as it was wrong.
fn is_fresh(look: &Look, history: &History, max_age: Duration, now: Timestamp) -> bool {
    if look.now.at.since(now) > AT_MOST_EVERY {
        return false;
    }
    let seen = look.now.outcome == Outcome::Seen;
    let life = if seen { max_age } else { FAILURE_REMEMBERED.min(max_age) };
    let life = look.dns.record_life(history.remembers_record()).map_or(life, |record| record.min(life));
    now.since(look.now.at) <= life
}

/// The problem that stands for a look that could not be, or could not be told of.
pub(crate) fn refuse(shared: &Shared, why: NotLooked) -> Problem {
    let (limit, problem) = match why {
        NotLooked::TooMany => (
            "looks",
            Problem::unavailable("too-many-looks", "as many looks as may be are under way; come back", COME_BACK),
        ),
        NotLooked::TargetBusy(wait) => (
            "target",
            Problem::unavailable(
                "target-busy",
                "the address was looked at as often as may be, under this or other names; come back",
                wait,
            ),
        ),
        NotLooked::NotRecorded(error) => {
            // The sentence of the store names files and is for the operator.
            if shared.store_warned.is_time() {
                let error = without_names(&error);
                tracing::warn!(%error, "the store can't be used; what can't be recorded is not signed");
            }
            let detail = "the store is not available, and what can't be recorded is not signed; come back";
            ("store", Problem::unavailable("not-recorded", detail, COME_BACK))
        }
        NotLooked::Clock(error) => {
            if shared.clock_warned.is_time() {
                tracing::warn!(%error, "what would contradict an earlier moment is not signed");
            }
            ("clock", Problem::unavailable("clock", "the clock of this node stands wrong; come back", COME_BACK))
        }
        NotLooked::Lost => ("lost", Problem::unavailable("lost", "the look came to nothing; come back", COME_BACK)),
        NotLooked::Stopping => ("stopping", Problem::unavailable("stopping", "the node stops", COME_BACK)),
    };
    shared.metrics.refused(limit);
    problem
}

/// What the store said, without the services that strangers asked about.
fn without_names(error: &StoreError) -> String {
    match error {
        StoreError::Damaged { table, reason, .. } => format!("a row in {table} is damaged: {reason}"),
        StoreError::Conflict { namespace, .. } => format!("a record in {namespace} has changed meanwhile"),
        error => error.to_string(),
    }
}

/// Finished views for those who brought no nonce: signed once, given out for a second.
pub(crate) struct Again(Cache<ServiceId, Finished>);

#[derive(Clone)]
struct Finished {
    signed: SignedBytes,
    looked_at: Timestamp,
    made: Instant,
}

impl Again {
    pub(crate) fn new() -> Self {
        let weigh = |_: &ServiceId, finished: &Finished| u32::try_from(finished.signed.body.len()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(AGAIN_BYTES).weigher(weigh).time_to_live(AGAIN).build())
    }

    async fn find(&self, question: &Question, clock: &Clock) -> Option<SignedBytes> {
        let anybody = question.nonce.is_none() && question.address.is_none();
        let finished = if anybody { self.0.get(&question.service).await? } else { return None };
        let age = clock.now().ok()?.since(finished.looked_at);
        (finished.made.elapsed() < AGAIN && age <= question.max_age).then_some(finished.signed)
    }

    async fn keep(&self, question: &Question, looked_at: Timestamp, outcome: Outcome, signed: &SignedBytes) {
        let anybody = question.nonce.is_none() && question.address.is_none();
        if anybody && outcome == Outcome::Seen {
            let finished = Finished { signed: signed.clone(), looked_at, made: Instant::now() };
            self.0.insert(question.service.clone(), finished).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: i64, outcome: Outcome) -> Look {
        let now = Observation::failed(Timestamp::from_unix_secs(at), None, outcome);
        Look { dns: Default::default(), now }
    }

    #[test]
    fn a_look_does_not_outlive_the_record_that_was_read_with_it() {
        let key = parallax_core::Fingerprint::from_bytes([1; 32]);
        let with = |ca, ttl| {
            let mut look = look(1000, Outcome::Seen);
            look.dns = parallax_core::DnsAnswers { ca, tlsa: Some(vec![]), record_ttl_secs: ttl, ..look.dns };
            look
        };
        let mut met = History::default();
        met.absorb(&with(Some(vec![key]), Some(60)));
        let day = Duration::from_secs(86_400);
        let fresh = |look: &Look, history: &History, age: i64| {
            is_fresh(look, history, day, Timestamp::from_unix_secs(1000 + age))
        };
        let short = with(Some(vec![key]), Some(60));
        assert!(fresh(&short, &met, 60) && !fresh(&short, &met, 61));
        let long = with(Some(vec![key]), Some(86_400));
        assert!(fresh(&long, &met, 300) && !fresh(&long, &met, 301));
        let none = with(Some(vec![]), None);
        assert!(fresh(&none, &met, 80_000), "there is nothing to revoke");
        let failed = with(None, None);
        assert!(fresh(&failed, &met, 10) && !fresh(&failed, &met, 11), "what it hides may be a revocation");
        assert!(fresh(&failed, &History::default(), 80_000));
    }

    #[test]
    fn the_log_does_not_learn_the_service() {
        let damaged = StoreError::Damaged { table: "services", key: "tls://secret:443".into(), reason: "x".into() };
        assert!(!without_names(&damaged).contains("secret"));
        assert!(without_names(&StoreError::Closed).contains("closed"));
    }

    #[test]
    fn a_failure_answers_for_ten_seconds_and_a_sight_for_as_long_as_asked() {
        let fresh = |look: &Look, max_age, now| {
            is_fresh(look, &History::default(), Duration::from_secs(max_age), Timestamp::from_unix_secs(now))
        };
        let seen = look(1000, Outcome::Seen);
        assert!(fresh(&seen, 60, 1060) && !fresh(&seen, 60, 1061) && !fresh(&seen, 0, 1001));
        assert!(fresh(&seen, 60, 998) && !fresh(&seen, 60, 997), "from the future");
        let failed = look(1000, Outcome::Timeout);
        assert!(fresh(&failed, 86_400, 1010) && !fresh(&failed, 86_400, 1011) && !fresh(&failed, 5, 1006));
    }
}
