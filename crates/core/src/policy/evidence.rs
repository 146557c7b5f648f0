//! The default policy: one word per view, computed from that view and my own look alone; three judgements; one table
//! (`docs/protocols/evidence.md`).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::memory::{Memory, RECENT};
use super::{compare, counts, reasons};
use crate::dns::{Dnssec, Record};
use crate::evidence::{Evidence, Testimony};
use crate::id::{Fingerprint, VantageId};
use crate::observation::{Met, Network, Outcome, PublicCa};
use crate::service::ServiceId;
use crate::time::Timestamp;
use crate::verdict::{Decision, Judged, Rule, Verdict, Word};

/// Dissent must be fresh: a look older than this speaks for, never against. It is the life of a view.
const FRESH: Duration = Duration::from_secs(300);

pub(super) fn decide(evidence: &Evidence, accept_private: bool, now: Timestamp) -> Verdict {
    let bench = Bench::of(evidence, now);
    let (decision, rule) = bench.rule(accept_private);
    let judged = evidence.views().iter().zip(&bench.views).map(|(view, sense)| Judged {
        vantage: view.vantage,
        agrees: compare(&evidence.local().now, &view.look.now),
        word: sense.word,
    });
    Verdict { decision, rule, reasons: reasons::of(&bench, rule), judged: judged.collect(), counts: counts(evidence) }
}

/// All that the table looks at.
pub(super) struct Bench<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) mine: Option<Mine<'a>>,
    pub(super) views: Vec<Sense>,
}

/// My own proved look.
pub(super) struct Mine<'a> {
    pub(super) met: &'a Met,
    pub(super) address: Option<SocketAddr>,
    pub(super) public: bool,
    /// The keys by which a record can name my CA. Empty where the certificate is not one for this name and time: a CA
    /// that is authorised for a name vouches only for certificates of that name (RFC 7671 section 5.2).
    vouching: BTreeSet<Fingerprint>,
}

impl<'a> Mine<'a> {
    fn of(evidence: &'a Evidence, now: Timestamp) -> Option<Self> {
        let look = &evidence.local().now;
        let met = look.proved()?;
        let names_it = covers(met, evidence.service(), now);
        let vouching = if names_it { met.path.iter().copied().collect() } else { BTreeSet::new() };
        Some(Self { met, address: look.address, public: is_public(evidence, met), vouching })
    }

    fn network(&self) -> Option<Network> {
        self.address.map(|address| Network::of(address.ip()))
    }

    /// Whether a record authorises what I met.
    fn is_named_by(&self, record: &Record) -> bool {
        record.leaf.contains(&self.met.key) || !record.ca.is_disjoint(&self.vouching)
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

    fn of(evidence: &Evidence, mine: &Mine<'_>, view: &Testimony, now: Timestamp) -> Self {
        let memory = Memory::of(view, evidence.started(), now);
        let look = view.look.now.proved();
        let key = mine.met.key;
        let shown = look.is_some_and(|met| met.key == key);
        let remembered = memory.remembers(key);
        let record = RecordSays::of(view, &memory, mine, now);
        let others = Others::there(evidence, mine, view);

        let shown_there = others.shown_mine;
        let vouches = shown || shown_there || remembered || record.names_key || (record.names_ca && !mine.public);
        let dissents = !vouches && others.another;
        let dissents_under_another_ca = !vouches && others.another_ca;
        let fresh_public_look = look.is_some_and(|met| is_public(evidence, met)) && is_fresh(view);
        let outshone = fresh_public_look && !mine.public && !shown && !memory.has(key);
        let against = record.excludes || dissents_under_another_ca || outshone;
        let names = record.names_key || record.names_ca;
        let knows_ca = memory.knows(&mine.met.ca_id);
        let shows_ca = look.is_some_and(|met| met.ca_id == mine.met.ca_id);
        Self {
            word: match (against, vouches && !record.unsettled_others_only) {
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
            finds_ca_new: shows_ca && !memory.is_empty() && !knows_ca && !names,
            meets: shown || memory.has(key) || in_my_network(mine, view, look, &memory),
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
    fn there(evidence: &Evidence, mine: &Mine<'_>, view: &Testimony) -> Self {
        let own = is_fresh(view).then_some(&view.look.now);
        let mut others = Self::default();
        for met in own.into_iter().chain(&view.there).filter(|look| same_address(look.address, mine.address)) {
            let Some(met) = met.proved() else { continue };
            if met.key == mine.met.key {
                others.shown_mine = true;
            } else if is_public(evidence, met) || !mine.public {
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
    fn of(view: &Testimony, memory: &Memory<'_>, mine: &Mine<'_>, now: Timestamp) -> Self {
        let Some(record) = view.look.dns.record() else { return Self::default() };
        let secure = view.look.dns.dnssec == Dnssec::Secure;
        let settled = secure || !met_under_another(view, &record, now);
        let established = secure || (settled && is_established(view, &record, memory, now));
        let others_only = !record.is_empty() && !mine.is_held_by(&record);
        let left = has_left(view, &record, mine, now);
        Self {
            names_key: established && record.leaf.contains(&mine.met.key),
            names_ca: established && mine.is_named_by(&record),
            excludes: left || (settled && others_only),
            left,
            unsettled_others_only: !settled && others_only,
        }
    }
}

/// Whether the view met the service under another record (an empty one is one) within a day.
fn met_under_another(view: &Testimony, record: &Record, now: Timestamp) -> bool {
    let recent = now.minus(RECENT);
    view.history.authority.iter().any(|entry| entry.record != *record && entry.last_seen >= recent)
}

/// Whether a record may name somebody: it has stood for a day, or for as long as the view has met the service at all.
/// A vantage point that looked last week must not take today's record, which whoever holds the route can write, for a
/// settled one only because it saw no other yesterday.
fn is_established(view: &Testimony, record: &Record, memory: &Memory<'_>, now: Timestamp) -> bool {
    let authority = &view.history.authority;
    let since = authority.iter().filter(|entry| entry.record == *record).map(|entry| entry.first_seen).min();
    let stood = since.is_some_and(|since| now.since(since) >= RECENT);
    let met_before = authority.iter().any(|entry| entry.record != *record)
        || matches!((memory.begins(), since), (Some(begins), Some(since)) if begins < since);
    stood || !met_before
}

/// Whether the view remembers me in the record that has now gone, or now names only others. An emptied record takes
/// back a private CA; a public one needs no record.
fn has_left(view: &Testimony, record: &Record, mine: &Mine<'_>, now: Timestamp) -> bool {
    let recent = now.minus(RECENT);
    let was_in = view
        .history
        .authority
        .iter()
        .any(|entry| entry.record != *record && entry.last_seen >= recent && mine.is_held_by(&entry.record));
    was_in && !mine.is_held_by(record) && (!record.is_empty() || !mine.public)
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
    fn of(evidence: &'a Evidence, now: Timestamp) -> Self {
        let mine = Mine::of(evidence, now);
        let sense = |view: &Testimony| match &mine {
            Some(mine) => Sense::of(evidence, mine, view, now),
            None => Sense::without_mine(view),
        };
        let views = evidence.views().iter().map(sense).collect();
        Self { evidence, mine, views }
    }

    pub(super) fn count(&self, what: impl Fn(&Sense) -> bool) -> usize {
        self.views.iter().filter(|sense| what(sense)).count()
    }

    /// Regions that the asked name.
    pub(super) fn regions(&self) -> usize {
        self.evidence.asked().iter().filter_map(|asked| asked.region.as_deref()).collect::<BTreeSet<_>>().len()
    }

    fn regions_of(&self, what: &impl Fn(&Sense) -> bool) -> usize {
        let region = |vantage| self.evidence.asked().iter().find(|asked| asked.vantage == vantage)?.region.as_deref();
        let those = self.evidence.views().iter().zip(&self.views).filter(|(_, sense)| what(sense));
        those.filter_map(|(view, _)| region(view.vantage)).collect::<BTreeSet<_>>().len()
    }

    /// More than half of the asked (not of the answered), at least two, and of two regions where the asked name two.
    pub(super) fn most(&self, what: impl Fn(&Sense) -> bool) -> bool {
        let count = self.count(&what);
        count * 2 > self.evidence.asked().len() && count >= 2 && (self.regions() < 2 || self.regions_of(&what) >= 2)
    }

    fn key(&self) -> Key {
        let is_for = |sense: &Sense| sense.word == Word::For;
        if self.most(|sense| sense.word == Word::Against) {
            Key::Against
        } else if !self.most(|sense| sense.counts) {
            Key::Short
        } else if self.most(is_for) && self.views.iter().any(|sense| is_for(sense) && sense.meets) {
            Key::For
        } else {
            Key::Mixed
        }
    }

    pub(super) fn ca_is_new(&self) -> bool {
        self.count(|sense| sense.finds_ca_new) > self.count(|sense| sense.knows_ca)
    }

    fn dissent_is_open(&self) -> bool {
        self.count(|sense| sense.dissents) > 0 && !self.most(|sense| sense.remembers_long)
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
        if self.evidence.local().now.outcome == Outcome::NotTls && self.most(|sense| sense.looks_now) {
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
    let bench = Bench::of(evidence, now);
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

struct Reach<'a> {
    bench: &'a Bench<'a>,
    open: &'a [VantageId],
}

impl Reach<'_> {
    /// Most now, and still most whichever regions the open ones turn out to name.
    fn surely(&self, what: impl Fn(&Sense) -> bool) -> bool {
        let known = |vantage: &VantageId| {
            self.bench.evidence.asked().iter().any(|asked| asked.vantage == *vantage && asked.region.is_some())
        };
        self.bench.most(&what) && (self.bench.regions_of(&what) >= 2 || self.open.iter().all(known))
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
#[path = "evidence_tests.rs"]
mod tests;
