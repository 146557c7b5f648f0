//! Perspectives' rule: my certificate at a quorum of notaries, now and for the required time
//! (`docs/protocols/perspectives.md`, quorum over time).

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Share, Tally, plain_verdict, reasons};
use crate::evidence::{Evidence, Testimony};
use crate::history::{CONTINUITY, Timespan};
use crate::id::VantageId;
use crate::observation::{Met, PublicCa};
use crate::time::Timestamp;
use crate::verdict::{Decision, Rule, Verdict};

/// A site is inconsistent when no certificate of it was held for longer than this.
const CONSISTENT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How far back a weak quorum may have seen the certificate.
const WEAK: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) fn decide(evidence: &Evidence, threshold: Share, min_duration: Duration, now: Timestamp) -> Verdict {
    let tally = Tally::of(evidence);
    let Some(mine) = tally.mine else {
        return plain_verdict(evidence, Decision::Undecided, Rule::NotEnough, vec![reasons::no_key(evidence)]);
    };
    let looks = tally.looks.len();
    if looks == 0 {
        let reason = format!("None of {} asked saw a key.", evidence.asked().len());
        return plain_verdict(evidence, Decision::Undecided, Rule::NotEnough, vec![reason]);
    }
    let needed = threshold.rounded_of(looks);
    let notaries = Notaries::of(evidence, mine, now);
    let agree = notaries.agreeing();
    let seen = format!("{agree} of {looks} looks show your certificate; the quorum is {needed}.");
    if agree >= needed {
        let held = notaries.quorum_duration(needed);
        let lasting = format!("The quorum has held for {}.", reasons::duration(held));
        return if held >= min_duration {
            plain_verdict(evidence, Decision::Trusted, Rule::QuorumHeld, vec![seen, lasting])
        } else {
            let wanted = format!("{} are required.", reasons::duration(min_duration));
            plain_verdict(evidence, Decision::Undecided, Rule::QuorumTooYoung, vec![seen, lasting, wanted])
        };
    }
    if mine.public_ca == PublicCa::Valid && evidence.public_roots() && notaries.weak_quorum(needed) {
        let weak = "The site changes its certificates all the time; a quorum has seen yours within 30 days and a public CA vouches for it.";
        return plain_verdict(evidence, Decision::Trusted, Rule::QuorumWeak, vec![seen, weak.into()]);
    }
    plain_verdict(evidence, Decision::Distrusted, Rule::QuorumMissed, vec![seen])
}

pub(super) fn is_settled(
    evidence: &Evidence,
    threshold: Share,
    min_duration: Duration,
    open: &[VantageId],
    now: Timestamp,
) -> bool {
    let tally = Tally::of(evidence);
    let Some(mine) = tally.mine else { return true };
    let looks = tally.looks.len();
    let notaries = Notaries::of(evidence, mine, now);
    let agree = notaries.agreeing();
    let most_needed = threshold.rounded_of(looks + open.len());
    let surely = looks > 0 && agree >= most_needed && notaries.quorum_duration(most_needed) >= min_duration;
    let may_be_weak = mine.public_ca == PublicCa::Valid && evidence.public_roots();
    let never = looks > 0 && !may_be_weak && agree + open.len() < most_needed;
    surely || never
}

/// The views with a look, each with the spans it holds of the certificate I met and of others.
struct Notaries<'a> {
    views: Vec<Notary<'a>>,
    now: Timestamp,
}

struct Notary<'a> {
    spans: Vec<&'a Timespan>,
    look_at: Timestamp,
    shows_mine: bool,
    mine: &'a Met,
}

impl<'a> Notary<'a> {
    fn of(view: &'a Testimony, look: &Met, mine: &'a Met) -> Self {
        Self {
            spans: view.history.spans.iter().filter(|span| span.proved).collect(),
            look_at: view.look.now.at,
            shows_mine: look.leaf == mine.leaf,
            mine,
        }
    }

    fn newest(&self) -> Timestamp {
        self.spans.iter().map(|span| span.last_seen).max().unwrap_or(self.look_at).max(self.look_at)
    }

    fn had_mine_at(&self, at: Timestamp) -> bool {
        let spanned = self.spans.iter().any(|span| self.is_mine(span) && span.first_seen <= at && at <= span.last_seen);
        spanned || (self.shows_mine && at == self.look_at)
    }

    fn is_mine(&self, span: &Timespan) -> bool {
        span.leaf == self.mine.leaf
    }

    fn agrees_now(&self, now: Timestamp) -> bool {
        self.newest() >= now.minus(CONTINUITY) && (self.shows_mine || self.had_mine_at(self.newest()))
    }
}

impl<'a> Notaries<'a> {
    fn of(evidence: &'a Evidence, mine: &'a Met, now: Timestamp) -> Self {
        let views = evidence.views().iter();
        let views = views.filter_map(|view| view.look.now.proved().map(|look| Notary::of(view, look, mine))).collect();
        Self { views, now }
    }

    fn agreeing(&self) -> usize {
        self.views.iter().filter(|notary| notary.agrees_now(self.now)).count()
    }

    /// Since when at least `needed` notaries have seen my certificate without a break. Between two notable moments the
    /// middle is judged too: there a gap shows, which the moments themselves would hide.
    fn quorum_duration(&self, needed: usize) -> Duration {
        let fresh = self.views.iter().filter(|notary| notary.agrees_now(self.now)).map(Notary::newest);
        let Some(start) = fresh.min() else { return Duration::ZERO };
        let mut moments: BTreeSet<i64> = BTreeSet::from([start.unix_ms()]);
        for span in self.views.iter().flat_map(|notary| &notary.spans) {
            moments.extend([span.first_seen, span.last_seen].iter().filter(|at| **at <= start).map(|at| at.unix_ms()));
        }
        let held = |ms: i64| {
            self.views.iter().filter(|notary| notary.had_mine_at(Timestamp::from_unix_ms(ms))).count() >= needed
        };
        let mut oldest = start.unix_ms();
        for moment in moments.into_iter().rev() {
            let between = oldest - (oldest - moment) / 2;
            if !held(between) && between != start.unix_ms() || (!held(moment) && moment != start.unix_ms()) {
                break;
            }
            oldest = moment;
        }
        self.now.since(Timestamp::from_unix_ms(oldest)) + Duration::from_secs(1)
    }

    fn weak_quorum(&self, needed: usize) -> bool {
        let keys: BTreeSet<_> = self.views.iter().flat_map(|notary| &notary.spans).map(|span| span.key).collect();
        let longest = self.views.iter().flat_map(|notary| &notary.spans).map(|span| span.held()).max();
        let inconsistent = keys.len() > 1 && longest.unwrap_or_default() <= CONSISTENT;
        let since = self.now.minus(WEAK);
        let saw = |notary: &&Notary<'_>| {
            notary.shows_mine || notary.spans.iter().any(|span| notary.is_mine(span) && span.last_seen >= since)
        };
        inconsistent && self.views.iter().filter(saw).count() >= needed
    }
}
