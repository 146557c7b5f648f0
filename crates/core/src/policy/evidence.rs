//! The default policy: one word per view, computed from that view and my own look alone; three judgements; one table
//! (`docs/protocols/evidence.md`).

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;

use super::condition::{Condition, Conditions};
use super::memory::{Memory, RECENT};
use super::{compare, counts, reasons};
use crate::dns::{Dnssec, Record};
use crate::evidence::{Evidence, Testimony};
use crate::id::{Fingerprint, VantageId};
use crate::observation::{Met, Network, Observation, Outcome, PublicCa};
use crate::service::ServiceId;
use crate::time::Timestamp;
use crate::verdict::{Decision, Judged, Rule, Verdict, Word};

/// Dissent must be fresh: a look older than this speaks for, never against. It is the life of a view.
const FRESH: Duration = Duration::from_secs(300);

pub(super) fn decide(evidence: &Evidence, accept_private: bool, now: Timestamp) -> Verdict {
    let bench = Bench::of(evidence, Conditions::default(), now);
    let (decision, rule) = bench.rule(accept_private);
    let judged = evidence.views().iter().zip(&bench.views).map(|(view, sense)| Judged {
        vantage: view.vantage,
        agrees: compare(&evidence.local().now, &view.look.now),
        word: sense.word,
    });
    Verdict { decision, rule, reasons: reasons::of(&bench, rule), judged: judged.collect(), counts: counts(evidence) }
}

/// The decision and its rule alone.
pub(super) fn conclude(
    evidence: &Evidence,
    accept_private: bool,
    conditions: Conditions,
    now: Timestamp,
) -> (Decision, Rule) {
    Bench::of(evidence, conditions, now).rule(accept_private)
}

/// All that the table looks at.
pub(super) struct Bench<'a> {
    conditions: Conditions,
    pub(super) evidence: &'a Evidence,
    pub(super) mine: Option<Mine<'a>>,
    pub(super) views: Few<Sense>,
    /// The regions that the asked name, each once.
    named: Few<&'a str>,
    /// Of each view, its region's place among them.
    places: Few<Option<usize>>,
}

/// Hardly anybody asks more than nine.
type Few<T> = SmallVec<[T; 9]>;

/// My own proved look.
pub(super) struct Mine<'a> {
    pub(super) met: &'a Met,
    pub(super) address: Option<SocketAddr>,
    pub(super) public: bool,
    /// The keys by which a record can name my CA. Empty where the certificate is not one for this name and time: a CA
    /// that is authorised for a name vouches only for certificates of that name (RFC 7671 section 5.2).
    vouching: &'a [Fingerprint],
}

impl<'a> Mine<'a> {
    fn of(evidence: &'a Evidence, conditions: Conditions, now: Timestamp) -> Option<Self> {
        let look = &evidence.local().now;
        let met = look.proved()?;
        let names_it = conditions.needs(Condition::NamesCoveringCertificate, covers(met, evidence.service(), now));
        let vouching = if names_it { met.path.as_slice() } else { &[] };
        Some(Self { met, address: look.address, public: is_public(evidence, met), vouching })
    }

    fn network(&self) -> Option<Network> {
        self.address.map(|address| Network::of(address.ip()))
    }

    /// Whether a record authorises what I met.
    fn is_named_by(&self, record: &Record) -> bool {
        record.leaf.contains(&self.met.key) || self.vouching.iter().any(|key| record.ca.contains(key))
    }

    /// Whether a record holds a key of my chain, whatever the certificate says of names and times.
    fn is_held_by(&self, record: &Record) -> bool {
        record.leaf.contains(&self.met.key) || self.met.path.iter().any(|key| record.ca.contains(key))
    }
}

fn covers(met: &Met, service: &ServiceId, now: Timestamp) -> bool {
    met.covers(service) && met.is_current(now)
}

fn is_public(evidence: &Evidence, met: &Met) -> bool {
    evidence.public_roots() && met.public_ca == PublicCa::Valid
}

/// What one view says, from that view and my own look alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sense {
    pub(super) word: Word,
    /// It has a look of its own.
    pub(super) looks: bool,
    /// That look is fresh: a server may have ceased to speak TLS, or STARTTLS failed it, since an older one.
    pub(super) looks_now: bool,
    /// It has a look of its own, or saw my key within a day.
    pub(super) counts: bool,
    /// Its look shows my key; or its look failed and it saw my key within a day.
    pub(super) shows_mine: bool,
    pub(super) remembers_long: bool,
    pub(super) knows_ca: bool,
    /// Its look or memory holds my CA, or its record names me.
    met_ca: bool,
    pub(super) finds_ca_new: bool,
    pub(super) meets: bool,
    pub(super) dissents: bool,
    pub(super) dissents_under_another_ca: bool,
    /// It vouches from memory or record, and is shown another key at my address now.
    pub(super) shown_another: bool,
    pub(super) excludes: bool,
    pub(super) left: bool,
    pub(super) names: bool,
}

impl Sense {
    /// What can be said without a proved key of my own: only that others met TLS.
    fn without_mine(view: &Testimony) -> Self {
        let looks = view.look.now.proved().is_some();
        Self { looks, looks_now: looks && is_fresh(view), ..Self::default() }
    }

    fn of(evidence: &Evidence, mine: &Mine<'_>, view: &Testimony, conditions: Conditions, now: Timestamp) -> Self {
        let on = conditions;
        let memory = Memory::of(view, on, evidence.started(), now);
        let look = view.look.now.proved();
        let key = mine.met.key;
        let shown = look.is_some_and(|met| met.key == key);
        let remembered = memory.remembers(key);
        let record = RecordSays::of(view, &memory, mine, on, now);
        let others = Others::there(evidence, mine, view, on);

        let shows_ca = look.is_some_and(|met| met.ca_id == mine.met.ca_id);
        let vouches = on.allows(Condition::VouchesByLook, shown)
            || on.allows(Condition::VouchesThere, others.shown_mine)
            || on.allows(Condition::VouchesByMemory, remembered)
            || on.allows(Condition::VouchesByNamedKey, record.names_key)
            || on.allows(Condition::VouchesByNamedCa, record.names_ca && !mine.public);
        let silent = on.allows(Condition::VouchingSilencesDissent, vouches);
        let dissents = !silent && others.another;
        let dissents_under_another_ca = !silent && others.another_ca;
        let fresh = on.needs(Condition::FreshPublic, is_fresh(view));
        let outshone = fresh && look.is_some_and(|met| is_public(evidence, met)) && !mine.public && !shown;
        let remembers_ca = memory.has_ca(&mine.met.ca_id);
        let differs = on.allows(Condition::OtherCaIsAgainst, dissents_under_another_ca)
            || on.allows(Condition::PublicOutshines, outshone);
        let against = record.excludes || (differs && !on.allows(Condition::MetCaIsNotAgainst, remembers_ca));
        let held_back = on.allows(Condition::UnsettledHoldsBack, record.unsettled_others_only);
        let names = record.names_key || record.names_ca;
        let knows_ca = memory.knows(&mine.met.ca_id);
        let explained = on.allows(Condition::NamedIsNotNew, names);
        Self {
            word: match (against, vouches && !held_back) {
                (true, _) => Word::Against,
                (false, true) => Word::For,
                (false, false) => Word::Aside,
            },
            looks: look.is_some(),
            looks_now: look.is_some() && is_fresh(view),
            counts: look.is_some() || remembered,
            shows_mine: shown || (look.is_none() && remembered),
            remembers_long: memory.remembers_long(key),
            knows_ca,
            met_ca: shows_ca || names || remembers_ca,
            finds_ca_new: shows_ca && !memory.is_empty() && !knows_ca && !explained,
            meets: shown
                || memory.has(key)
                || on.allows(Condition::MeetsInNetwork, in_my_network(mine, view, look, &memory)),
            dissents,
            dissents_under_another_ca,
            shown_another: vouches && others.another && !others.shown_mine,
            excludes: record.excludes,
            left: record.left,
            names,
        }
    }
}

fn is_fresh(view: &Testimony) -> bool {
    view.issued_at.since(view.look.now.at) <= FRESH
}

fn in_my_network(mine: &Mine<'_>, view: &Testimony, look: Option<&Met>, memory: &Memory<'_>) -> bool {
    let Some(network) = mine.network() else { return false };
    let ca = &mine.met.ca_id;
    let looked = look.is_some_and(|met| met.ca_id == *ca)
        && view.look.now.address.is_some_and(|address| Network::of(address.ip()) == network);
    looked || memory.met_in(ca, network)
}

/// What a view sees at my address, by its own look or the one it was asked for.
#[derive(Default)]
struct Others {
    shown_mine: bool,
    another: bool,
    another_ca: bool,
}

impl Others {
    fn there(evidence: &Evidence, mine: &Mine<'_>, view: &Testimony, on: Conditions) -> Self {
        let own = on.needs(Condition::FreshDissent, is_fresh(view)).then_some(&view.look.now);
        let at_mine = |look: &&Observation| same_address(look.address, mine.address);
        let mut others = Self::default();
        for look in
            own.into_iter().chain(&view.there).filter(|look| on.needs(Condition::DissentAtMyAddress, at_mine(look)))
        {
            let Some(met) = look.proved() else { continue };
            if met.key == mine.met.key {
                others.shown_mine = true;
            } else if on.needs(Condition::PublicDissent, is_public(evidence, met) || !mine.public) {
                others.another = true;
                others.another_ca |= met.ca_id != mine.met.ca_id;
            }
        }
        others
    }
}

fn same_address(one: Option<SocketAddr>, other: Option<SocketAddr>) -> bool {
    let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port());
    one.is_some() && one.map(canonical) == other.map(canonical)
}

/// What the owner's record, as this view got it, says of me.
#[derive(Default)]
struct RecordSays {
    names_key: bool,
    names_ca: bool,
    excludes: bool,
    left: bool,
    unsettled_others_only: bool,
}

impl RecordSays {
    fn of(view: &Testimony, memory: &Memory<'_>, mine: &Mine<'_>, on: Conditions, now: Timestamp) -> Self {
        let Some(record) = view.look.dns.record() else { return Self::default() };
        let past = RecordPast::of(view, &record, mine, now);
        let secure = view.look.dns.dnssec == Dnssec::Secure;
        let settled = on.needs(Condition::RecordSettled, secure || !past.met_another_lately);
        let stands = on.needs(Condition::NamesWhenEstablished, past.is_established(memory, now));
        let established = secure || (settled && stands);
        let holds_me = mine.is_held_by(&record);
        let others_only = !record.is_empty() && !holds_me;
        // An emptied record takes back a private CA; a public one needs no record.
        let takes_back = on.needs(Condition::EmptiedForPrivate, !record.is_empty() || !mine.public);
        let left = on.allows(Condition::RecordLeft, past.was_in_another_lately && !holds_me && takes_back);
        Self {
            names_key: established && record.leaf.contains(&mine.met.key),
            names_ca: established && mine.is_named_by(&record),
            excludes: left || on.allows(Condition::RecordExcludes, settled && others_only),
            left,
            unsettled_others_only: !settled && others_only,
        }
    }
}

/// What a view remembers of records (an empty one is one) beside the one that it reads now.
#[derive(Default)]
struct RecordPast {
    /// Since when the present one stands.
    since: Option<Timestamp>,
    met_another: bool,
    met_another_lately: bool,
    /// Within a day it read another one, and I was in it.
    was_in_another_lately: bool,
}

impl RecordPast {
    fn of(view: &Testimony, record: &Record, mine: &Mine<'_>, now: Timestamp) -> Self {
        let recent = now.minus(RECENT);
        let mut past = Self::default();
        for entry in &view.history.authority {
            if entry.record == *record {
                past.since = Some(past.since.map_or(entry.first_seen, |since| since.min(entry.first_seen)));
                continue;
            }
            let lately = entry.last_seen >= recent;
            past.met_another = true;
            past.met_another_lately |= lately;
            past.was_in_another_lately |= lately && mine.is_held_by(&entry.record);
        }
        past
    }

    /// Whether a record may name somebody: it has stood for a day, or for as long as the view has met the service at all.
    /// A vantage point that looked last week must not take today's record, which whoever holds the route can write, for a
    /// settled one only because it saw no other yesterday.
    fn is_established(&self, memory: &Memory<'_>, now: Timestamp) -> bool {
        let stood = self.since.is_some_and(|since| now.since(since) >= RECENT);
        let met_before = matches!((memory.begins(), self.since), (Some(begins), Some(since)) if begins < since);
        stood || !(self.met_another || met_before)
    }
}

/// The judgement of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Against,
    Short,
    For,
    Mixed,
}

impl<'a> Bench<'a> {
    fn of(evidence: &'a Evidence, conditions: Conditions, now: Timestamp) -> Self {
        let mine = Mine::of(evidence, conditions, now);
        let sense = |view: &Testimony| match &mine {
            Some(mine) => Sense::of(evidence, mine, view, conditions, now),
            None => Sense::without_mine(view),
        };
        let views = evidence.views().iter().map(sense).collect();
        let mut named = Few::<&str>::new();
        for region in evidence.asked().iter().filter_map(|asked| asked.region.as_deref()) {
            if !named.contains(&region) {
                named.push(region);
            }
        }
        let place = |vantage: VantageId| {
            let region = evidence.asked().iter().find(|asked| asked.vantage == vantage)?.region.as_deref()?;
            named.iter().position(|known| *known == region)
        };
        let places = evidence.views().iter().map(|view| place(view.vantage)).collect();
        Self { conditions, evidence, mine, views, named, places }
    }

    pub(super) fn count(&self, what: impl Fn(&Sense) -> bool) -> usize {
        self.views.iter().filter(|sense| what(sense)).count()
    }

    /// Regions that the asked name.
    pub(super) fn regions(&self) -> usize {
        self.named.len()
    }

    /// Whether those are of two regions.
    fn span_two_regions(&self, what: &impl Fn(&Sense) -> bool) -> bool {
        let those = self.views.iter().zip(&self.places).filter(|(sense, _)| what(sense));
        let mut places = those.filter_map(|(_, place)| *place);
        let first = places.next();
        places.any(|place| Some(place) != first)
    }

    /// More than half of the asked (not of the answered), at least two, and of two regions where the asked name two.
    pub(super) fn most(&self, what: impl Fn(&Sense) -> bool) -> bool {
        let (count, on) = (self.count(&what), self.conditions);
        let half_of_asked = on.needs(Condition::MostOfTheAsked, count * 2 > self.evidence.asked().len());
        half_of_asked
            && count * 2 > self.views.len()
            && on.needs(Condition::MostAreTwo, count >= 2)
            && on.needs(Condition::MostInTwoRegions, self.regions() < 2 || self.span_two_regions(&what))
    }

    fn key(&self) -> Key {
        let is_for = |sense: &Sense| sense.word == Word::For;
        let on = self.conditions;
        let is_met = || {
            on.needs(Condition::OneMeetsMe, self.views.iter().any(|sense| is_for(sense) && sense.meets))
                && on.needs(
                    Condition::ThirdMetMyCa,
                    self.count(|sense| is_for(sense) && sense.met_ca) >= on.met_by(self.evidence.asked().len()),
                )
        };
        if self.most(|sense| sense.word == Word::Against) {
            Key::Against
        } else if !on.needs(Condition::MostLook, self.most(|sense| sense.counts)) {
            Key::Short
        } else if self.most(is_for) && is_met() {
            Key::For
        } else {
            Key::Mixed
        }
    }

    pub(super) fn ca_is_new(&self) -> bool {
        let is_new = self.count(|sense| sense.finds_ca_new) > self.count(|sense| sense.knows_ca);
        self.conditions.allows(Condition::NewCaWaits, is_new)
    }

    fn dissent_is_open(&self) -> bool {
        let answered = self.conditions.allows(Condition::LongMemoryAnswers, self.most(|sense| sense.remembers_long));
        let dissent = self.count(|sense| sense.dissents) > self.conditions.tolerated;
        self.conditions.allows(Condition::DissentHoldsBack, dissent) && !answered
    }

    /// The table; the first row that matches wins.
    fn rule(&self, accept_private: bool) -> (Decision, Rule) {
        let Some(mine) = &self.mine else { return self.rule_without_key() };
        match self.key() {
            Key::Against => (Decision::Distrusted, self.rule_against()),
            Key::Short => self.rule_short(mine, accept_private),
            Key::For if self.ca_is_new() => (Decision::Undecided, Rule::GlobalChange),
            Key::For if !self.dissent_is_open() => (Decision::Trusted, self.rule_for()),
            Key::For | Key::Mixed if self.count(|sense| sense.dissents_under_another_ca) > 0 => {
                (Decision::Undecided, Rule::PartialHijack)
            }
            Key::For | Key::Mixed => (Decision::Undecided, Rule::Unexplained),
        }
    }

    fn rule_without_key(&self) -> (Decision, Rule) {
        let not_tls = self.evidence.local().now.outcome == Outcome::NotTls;
        if self.conditions.allows(Condition::NotTlsHere, not_tls) && self.most(|sense| sense.looks_now) {
            (Decision::Distrusted, Rule::MitmNearMe)
        } else {
            (Decision::Undecided, Rule::NotEnough)
        }
    }

    fn rule_against(&self) -> Rule {
        let against = self.count(|sense| sense.word == Word::Against);
        let by_record = self.count(|sense| sense.excludes);
        let left = self.count(|sense| sense.excludes && sense.left);
        if by_record * 2 > against {
            if left * 2 > by_record { Rule::Revoked } else { Rule::UnauthorisedCa }
        } else if self.count(|sense| sense.dissents_under_another_ca) == 0 {
            Rule::DnsDiverted
        } else if self.count(|sense| sense.word == Word::For) == 0 {
            Rule::MitmNearMe
        } else {
            Rule::PartialHijack
        }
    }

    fn rule_short(&self, mine: &Mine<'_>, accept_private: bool) -> (Decision, Rule) {
        let kept = |sense: &Sense| sense.remembers_long && sense.word != Word::Against;
        match (!mine.public && self.most(kept), accept_private) {
            (true, true) => (Decision::Trusted, Rule::StablePrivate),
            (true, false) => (Decision::Undecided, Rule::StablePrivate),
            (false, _) => (Decision::Undecided, Rule::NotEnough),
        }
    }

    fn rule_for(&self) -> Rule {
        if self.most(|sense| sense.shows_mine) {
            Rule::Corroborated
        } else if self.count(|sense| sense.names) > 0 {
            Rule::DiverseAuthorised
        } else {
            Rule::DiverseConsistent
        }
    }
}

/// Whether the decision stands whatever the open ones answer. Each may say anything, so only counts and regions of what
/// is already there can tell; `settled_decisions_stand` tries it on generated worlds.
pub(super) fn is_settled(evidence: &Evidence, accept_private: bool, open: &[VantageId], now: Timestamp) -> bool {
    let bench = Bench::of(evidence, Conditions::default(), now);
    let (decision, rule) = bench.rule(accept_private);
    let reach = Reach { bench: &bench, open };
    match (decision, rule) {
        // With too few looks heard, an open one may yet be the look that turns a kept key into a question.
        (_, Rule::StablePrivate) => false,
        (Decision::Distrusted, _) if bench.mine.is_none() => reach.surely(|sense| sense.looks_now),
        (Decision::Distrusted, _) => reach.surely(|sense| sense.word == Word::Against),
        (Decision::Trusted, _) => {
            reach.surely(|sense| sense.word == Word::For)
                && bench.count(|sense| sense.finds_ca_new) + open.len() <= bench.count(|sense| sense.knows_ca)
                && reach.surely(|sense| sense.remembers_long)
        }
        (Decision::Undecided, _) => reach.undecided_for_good(accept_private),
    }
}

struct Reach<'a, 'b> {
    bench: &'a Bench<'b>,
    open: &'a [VantageId],
}

impl Reach<'_, '_> {
    /// Most now, and still most whichever regions the open ones turn out to name.
    fn surely(&self, what: impl Fn(&Sense) -> bool) -> bool {
        let known = |vantage: &VantageId| {
            self.bench.evidence.asked().iter().any(|asked| asked.vantage == *vantage && asked.region.is_some())
        };
        self.bench.most(&what) && (self.bench.span_two_regions(&what) || self.open.iter().all(known))
    }

    /// Whether enough could still come to be most.
    fn may_become_most(&self, what: impl Fn(&Sense) -> bool) -> bool {
        (self.bench.count(what) + self.open.len()) * 2 > self.bench.evidence.asked().len()
    }

    fn undecided_for_good(&self, accept_private: bool) -> bool {
        let bench = self.bench;
        let Some(mine) = &bench.mine else {
            let not_tls = bench.evidence.local().now.outcome == Outcome::NotTls;
            return !not_tls || !self.may_become_most(|sense| sense.looks_now);
        };
        if self.may_become_most(|sense| sense.word == Word::Against) {
            return false;
        }
        if accept_private && !mine.public && self.may_become_most(|sense| sense.remembers_long) {
            return false;
        }
        let new = bench.count(|sense| sense.finds_ca_new);
        let stays_new = new > bench.count(|sense| sense.knows_ca) + self.open.len();
        let dissent = bench.count(|sense| sense.dissents) > 0;
        let stays_open = dissent && !self.may_become_most(|sense| sense.remembers_long);
        stays_new || stays_open || !self.may_become_most(|sense| sense.word == Word::For)
    }
}

#[cfg(test)]
#[path = "evidence_tests/mod.rs"]
mod tests;
