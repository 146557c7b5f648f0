//! Corroborated DNS: the own resolver and every vantage point at once, one decision.

use std::collections::BTreeSet;
use std::time::Duration;

use parallax_core::{
    Asked, DnsName, DnsSet, DnsTestimony, Dnssec, NameVerdict, RecordKind, Resolution, Scheme, ServiceId, Told,
    VantageId,
};
use parallax_proto::{DnsQuestion, DnsReply, Verified};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::check::{Checker, nonce};
use crate::clock::now;
use crate::gathered::Source;
use crate::report::{Dropped, MissingView, failure_to_json};
use crate::vantage::{Deadline, Missing};

/// A verdict about an answer of DNS, with all that led to it.
#[derive(Clone, Debug)]
pub struct NameReport {
    /// The policy that decided.
    pub policy: &'static str,
    /// The verdict.
    pub verdict: NameVerdict,
    /// How long it took.
    pub elapsed: Duration,
    /// What it was decided from, the own answer included.
    pub resolution: Resolution,
    /// The answers that count, in order of arrival.
    pub answers: Vec<ReportedAnswer>,
    /// Who answered, but nothing that may count.
    pub dropped: Vec<Dropped>,
    /// Who did not answer.
    pub missing: Vec<MissingView>,
}

/// An answer that counts.
#[derive(Clone, Debug)]
pub struct ReportedAnswer {
    /// Whose.
    pub vantage: VantageId,
    /// Where it answers.
    pub label: String,
    /// The region its operator claims.
    pub region: Option<String>,
    /// The answer with its signature.
    pub reply: Verified<DnsReply>,
}

impl Checker {
    /// Asks the own resolver and all vantage points for one name and type, and decides by the same policy as
    /// [`Checker::check`]. Waits for all, or until the time is over.
    pub async fn resolve(&self, name: &DnsName, kind: RecordKind) -> NameReport {
        let begun = Instant::now();
        let deadline = Deadline::within(self.timeout());
        // Mirrors are drawn for a name as for its web server.
        let service = ServiceId::new(Scheme::Tls, name.as_str(), Scheme::Tls.default_port()).ok();
        let sources = self.draw_for(service.as_ref());
        let kinds = BTreeSet::from([kind, RecordKind::Soa]);
        let mut answers = JoinSet::new();
        for (index, source) in sources.iter().cloned().enumerate() {
            let question = DnsQuestion { name: name.clone(), kinds: kinds.clone(), nonce: Some(nonce()) };
            answers.spawn(async move { (index, ask(&source, question, deadline).await) });
        }
        let local = self.own_answer(name, kind, deadline).await;
        let mut gathered = Gathered::new(Resolution::new(name.clone(), kind, local), sources);
        // A task that panicked counts as silent.
        while let Some(answer) = answers.join_next().await {
            if let Ok((index, answer)) = answer {
                gathered.take(index, answer);
            }
        }
        let policy = self.policy();
        let verdict = policy.decide_name(&gathered.resolution, now());
        gathered.into_report(policy.name(), verdict, begun.elapsed())
    }

    /// What the own resolver says, no later than the deadline.
    async fn own_answer(&self, name: &DnsName, kind: RecordKind, deadline: Deadline) -> Told {
        let late = || DnsSet::failed("TIMEOUT".into(), Dnssec::Unchecked);
        let one = async |kind| {
            let asked = tokio::time::timeout_at(deadline.instant(), self.prober().dns(name, kind)).await;
            asked.unwrap_or_else(|_| late())
        };
        if kind == RecordKind::Soa {
            return Told { set: one(kind).await, soa: None };
        }
        let (set, soa) = tokio::join!(one(kind), one(RecordKind::Soa));
        Told { set, soa: Some(soa) }
    }
}

async fn ask(source: &Source, question: DnsQuestion, deadline: Deadline) -> Result<Verified<DnsReply>, Missing> {
    match source {
        Source::Viewing(vantage) => {
            let answer = vantage.dns(question, deadline);
            tokio::time::timeout_at(deadline.instant(), answer).await.unwrap_or(Err(Missing::Timeout))
        }
        Source::Notary(_) => Err(Missing::NoDns),
    }
}

/// What has come in so far.
struct Gathered {
    resolution: Resolution,
    sources: Vec<Source>,
    answers: Vec<ReportedAnswer>,
    dropped: Vec<Dropped>,
    missing: Vec<MissingView>,
}

impl Gathered {
    fn new(mut resolution: Resolution, sources: Vec<Source>) -> Self {
        for source in &sources {
            if let Source::Viewing(vantage) = source {
                resolution.ask(Asked { vantage: vantage.id(), region: vantage.region(), rir: vantage.rir() });
            }
        }
        Self { resolution, sources, answers: Vec::new(), dropped: Vec::new(), missing: Vec::new() }
    }

    fn take(&mut self, index: usize, answer: Result<Verified<DnsReply>, Missing>) {
        let Some(source) = self.sources.get(index).cloned() else { return };
        match (answer, source) {
            (Ok(reply), Source::Viewing(vantage)) => {
                let region = vantage.region().or_else(|| reply.content().region.clone());
                self.resolution.ask(Asked { vantage: vantage.id(), region: region.clone(), rir: vantage.rir() });
                self.take_reply(ReportedAnswer { vantage: vantage.id(), label: vantage.label(), region, reply });
            }
            (Ok(_), Source::Notary(_)) => {}
            (Err(why), source) => self.take_failure(&source, why),
        }
    }

    /// The verifier has seen to it that exactly the asked types are there.
    fn take_reply(&mut self, answer: ReportedAnswer) {
        let kind = self.resolution.kind();
        let sets = &answer.reply.content().answers;
        let Some(set) = sets.get(&kind).cloned() else { return };
        let soa = sets.get(&RecordKind::Soa).filter(|_| kind != RecordKind::Soa).cloned();
        self.resolution.add(DnsTestimony { vantage: answer.vantage, told: Told { set, soa } });
        self.answers.push(answer);
    }

    fn take_failure(&mut self, source: &Source, why: Missing) {
        let (vantage, label) = (source.id(), source.label());
        if why.is_dropped() {
            self.dropped.push(Dropped { vantage, label, why });
        } else {
            self.missing.push(MissingView { vantage, label, why });
        }
    }

    fn into_report(self, policy: &'static str, verdict: NameVerdict, elapsed: Duration) -> NameReport {
        let Self { resolution, answers, dropped, missing, .. } = self;
        NameReport { policy, verdict, elapsed, resolution, answers, dropped, missing }
    }
}

impl NameReport {
    /// The records that the own resolver gave.
    pub fn records(&self) -> &[String] {
        &self.resolution.local().set.records
    }

    /// What `parallax resolve --json` prints.
    pub fn to_json(&self) -> Value {
        let (resolution, verdict) = (&self.resolution, &self.verdict);
        json!({
            "name": resolution.name(),
            "type": resolution.kind(),
            "verdict": verdict.decision,
            "rule": verdict.rule,
            "reasons": verdict.reasons,
            "policy": self.policy,
            "local": resolution.local().set,
            "answers": self.answers.iter().map(|answer| self.answer_to_json(answer)).collect::<Vec<_>>(),
            "dropped": self.dropped.iter().map(|one| failure_to_json(&one.vantage, &one.why)).collect::<Vec<_>>(),
            "missing": self.missing.iter().map(|one| failure_to_json(&one.vantage, &one.why)).collect::<Vec<_>>(),
            "counts": verdict.counts,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn answer_to_json(&self, answer: &ReportedAnswer) -> Value {
        let judged = self.verdict.judged.iter().find(|judged| judged.vantage == answer.vantage);
        json!({
            "vantage": answer.vantage,
            "region": answer.region,
            "agrees": judged.map(|judged| judged.agrees),
            "word": judged.map(|judged| judged.word),
            "answer": answer.reply.content().answers.get(&self.resolution.kind()),
        })
    }
}
