//! A verdict with all that led to it.

use std::time::Duration;

use parallax_core::{Evidence, ServiceId, VantageId, Verdict};
use parallax_proto::{Contradiction, Verified, View};
use serde_json::{Value, json};

use crate::vantage::Missing;

/// What a check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The policy that decided.
    pub policy: &'static str,
    /// Its verdict.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
    /// What it was decided from, the own look included.
    pub evidence: Evidence,
    /// The views that count, in order of arrival.
    pub views: Vec<ReportedView>,
    /// Who answered, but nothing that may count.
    pub dropped: Vec<Dropped>,
    /// Who did not answer.
    pub missing: Vec<MissingView>,
    /// Pairs of signed views that prove a vantage point's lie.
    pub proofs: Vec<Contradiction>,
}

/// A view that counts.
#[derive(Clone, Debug)]
pub struct ReportedView {
    /// Whose.
    pub vantage: VantageId,
    /// Where it answers.
    pub label: String,
    /// The region its operator claims.
    pub region: Option<String>,
    /// The view.
    pub view: Verified<View>,
    /// Its look at my address, where one was asked for.
    pub there: Option<Verified<View>>,
}

/// An answer that does not count.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// Whose.
    pub vantage: VantageId,
    /// Where it answers.
    pub label: String,
    /// Why not.
    pub why: Missing,
}

/// A vantage point that did not answer.
#[derive(Clone, Debug)]
pub struct MissingView {
    /// Which.
    pub vantage: VantageId,
    /// Where it should answer.
    pub label: String,
    /// Why not.
    pub why: Missing,
}

impl Report {
    /// The service.
    pub fn service(&self) -> &ServiceId {
        self.evidence.service()
    }

    /// What `parallax check --json` prints.
    pub fn to_json(&self) -> Value {
        let failure = |vantage: &VantageId, why: &Missing| json!({ "vantage": vantage, "why": why.to_string() });
        let mut report = json!({
            "service": self.service(),
            "verdict": self.verdict.decision,
            "rule": self.verdict.rule,
            "reasons": self.verdict.reasons,
            "policy": self.policy,
            "local": self.evidence.local(),
            "views": self.views.iter().map(|view| self.view_to_json(view)).collect::<Vec<_>>(),
            "dropped": self.dropped.iter().map(|one| failure(&one.vantage, &one.why)).collect::<Vec<_>>(),
            "missing": self.missing.iter().map(|one| failure(&one.vantage, &one.why)).collect::<Vec<_>>(),
            "counts": self.verdict.counts,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        if let (Some(report), false) = (report.as_object_mut(), self.proofs.is_empty()) {
            report.insert("proofs".into(), self.proofs.iter().map(proof_to_json).collect());
        }
        report
    }

    fn view_to_json(&self, view: &ReportedView) -> Value {
        let judged = self.verdict.judged.iter().find(|judged| judged.vantage == view.vantage);
        let mut shown = json!({
            "vantage": view.vantage,
            "region": view.region,
            "agrees": judged.map(|judged| judged.agrees),
            "word": judged.map(|judged| judged.word),
            "view": view.view.content(),
        });
        if let (Some(shown), Some(there)) = (shown.as_object_mut(), &view.there) {
            shown.insert("there".into(), json!(there.content().now));
        }
        shown
    }
}

fn proof_to_json(proof: &Contradiction) -> Value {
    json!({ "what": proof.what, "earlier": proof.earlier, "later": proof.later })
}
