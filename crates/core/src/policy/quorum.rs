//! Perspectives' rule: my certificate at a quorum of notaries, now and for the required time
//! (`docs/protocols/perspectives.md`, quorum over time).

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Share, Tally, plain_verdict, reasons};
use crate::evidence::{Evidence, Testimony};
use crate::history::{CONTINUITY, Timespan};
use crate::id::{Fingerprint, Md5Fingerprint, VantageId};
use crate::notary::{Md5Span, NotaryTestimony};
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
    let notaries = Notaries::of(evidence, mine, now);
    let looks = notaries.views.len();
    if looks == 0 {
        let asked = evidence.asked().len() + evidence.asked_notaries().len();
        let reason = format!("None of {asked} asked saw a key.");
        return plain_verdict(evidence, Decision::Undecided, Rule::NotEnough, vec![reason]);
    }
    let needed = threshold.rounded_of(looks);
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
    let notaries = Notaries::of(evidence, mine, now);
    let looks = notaries.views.len();
    let agree = notaries.agreeing();
    let most_needed = threshold.rounded_of(looks + open.len());
    let surely = looks > 0 && agree >= most_needed && notaries.quorum_duration(most_needed) >= min_duration;
    let may_be_weak = mine.public_ca == PublicCa::Valid && evidence.public_roots();
    let never = looks > 0 && !may_be_weak && agree + open.len() < most_needed;
    surely || never
}

/// The views with a look and the old notaries that looked lately, each with the spans it holds of the certificate I met
/// and of others.
struct Notaries {
    views: Vec<Notary>,
    now: Timestamp,
}

struct Notary {
    spans: Vec<Span>,
    /// When it had mine: first and last moment, in order and apart from each other. A reply may hold thousands of spans,
    /// and every moment of every notary is looked up here.
    mine: Vec<(Timestamp, Timestamp)>,
    look_at: Timestamp,
    shows_mine: bool,
}

/// A span of either kind of notary, told apart by what that kind knows a certificate by.
struct Span {
    key: Known,
    is_mine: bool,
    first_seen: Timestamp,
    last_seen: Timestamp,
    held: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Key(Fingerprint),
    Md5(Md5Fingerprint),
}

impl Notary {
    fn of(view: &Testimony, look: &Met, mine: &Met) -> Self {
        let span = |span: &Timespan| Span {
            key: Known::Key(span.key),
            is_mine: span.leaf == mine.leaf,
            first_seen: span.first_seen,
            last_seen: span.last_seen,
            held: span.held(),
        };
        let spans = view.history.spans.iter().filter(|span| span.proved).map(span).collect();
        Self::new(spans, view.look.now.at, look.leaf == mine.leaf)
    }

    /// An old notary that looked lately; its newest span is its look.
    fn old(notary: &NotaryTestimony, mine: Md5Fingerprint, started: Timestamp) -> Option<Self> {
        let shows_mine = notary.shows(mine, started)?;
        let span = |span: &Md5Span| Span {
            key: Known::Md5(span.leaf_md5),
            is_mine: span.leaf_md5 == mine,
            first_seen: span.first_seen,
            last_seen: span.last_seen,
            held: span.held(),
        };
        Some(Self::new(notary.spans.iter().map(span).collect(), notary.newest()?, shows_mine))
    }

    fn new(spans: Vec<Span>, look_at: Timestamp, shows_mine: bool) -> Self {
        let stretches = spans.iter().filter(|span| span.is_mine && span.first_seen <= span.last_seen);
        let mut mine: Vec<_> = stretches.map(|span| (span.first_seen, span.last_seen)).collect();
        mine.sort_unstable();
        mine.dedup_by(|next, stretch| {
            let meets = next.0 <= stretch.1;
            if meets {
                stretch.1 = stretch.1.max(next.1);
            }
            meets
        });
        Self { spans, mine, look_at, shows_mine }
    }

    fn newest(&self) -> Timestamp {
        self.spans.iter().map(|span| span.last_seen).max().unwrap_or(self.look_at).max(self.look_at)
    }

    fn had_mine_at(&self, at: Timestamp) -> bool {
        let begun = self.mine.partition_point(|(first, _)| *first <= at);
        let newest = begun.checked_sub(1).and_then(|index| self.mine.get(index));
        newest.is_some_and(|(_, last)| at <= *last) || (self.shows_mine && at == self.look_at)
    }

    fn agrees_now(&self, now: Timestamp) -> bool {
        self.newest() >= now.minus(CONTINUITY) && (self.shows_mine || self.had_mine_at(self.newest()))
    }
}

impl Notaries {
    fn of(evidence: &Evidence, mine: &Met, now: Timestamp) -> Self {
        let views = evidence.views().iter();
        let views = views.filter_map(|view| view.look.now.proved().map(|look| Notary::of(view, look, mine)));
        let old = evidence.notaries().iter();
        let old = old.filter_map(|notary| Notary::old(notary, mine.leaf_md5?, evidence.started()));
        Self { views: views.chain(old).collect(), now }
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
        // One certificate seen by both kinds has two names; more than one of a kind are more than one certificate.
        let by_md5 = keys.iter().filter(|key| matches!(key, Known::Md5(_))).count();
        let longest = self.views.iter().flat_map(|notary| &notary.spans).map(|span| span.held).max();
        let inconsistent = by_md5.max(keys.len() - by_md5) > 1 && longest.unwrap_or_default() <= CONSISTENT;
        let since = self.now.minus(WEAK);
        let saw = |notary: &&Notary| {
            notary.shows_mine || notary.spans.iter().any(|span| span.is_mine && span.last_seen >= since)
        };
        inconsistent && self.views.iter().filter(saw).count() >= needed
    }
}
