//! What a node remembers that looked at a service once an interval: what its history would hold had it taken in each look,
//! without taking in each look (`fast_histories_are_those_of_the_product` compares them).
//!
//! A history that would overflow begins later instead, so that nothing was ever dropped from it; so does one of a site at
//! which each look may meet another key, after as many looks as a history has room for.

use std::cmp::Reverse;

use parallax_core::{CONTINUITY, MAX_AUTHORITY, MAX_SPANS};

use super::draw::Draw;
use super::reality::{Cursors, Reality, Steering, Traits};
use super::scenario::{Address, Ago, Places, RecordSpan, Shown, Sight, Span};

/// When a node looked: `count` times, the newest `newest` ago, `interval` apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) newest: Ago,
    pub(super) interval: Ago,
    pub(super) count: u32,
}

impl Schedule {
    pub(super) fn at(&self, look: u32) -> Ago {
        self.newest.saturating_add(look.saturating_mul(self.interval))
    }

    /// The last look, counted from the newest, that was not before `ago`.
    fn last_within(&self, ago: Ago) -> u32 {
        ago.saturating_sub(self.newest) / self.interval.max(1)
    }
}

/// The past of one node, in the making.
pub(super) struct Remembering<'a> {
    pub(super) reality: &'a Reality,
    pub(super) traits: &'a Traits,
    pub(super) addresses: &'a [Address],
    pub(super) schedule: Schedule,
}

impl Remembering<'_> {
    /// Fills in what is remembered, and returns the newest look. `heard` is told of each stretch of looks: the front they
    /// came to, the newest, and the oldest; a later stretch overrules an earlier one.
    pub(super) fn recall(
        &self,
        draw: &mut Draw,
        (past, records): (&mut Vec<Span>, &mut Vec<RecordSpan>),
        mut heard: impl FnMut(u8, u32, u32),
    ) -> Option<Sight> {
        let (newest, reached) = self.recall_spans(draw, past, &mut heard);
        self.recall_records(reached, records);
        // As a history has them: certificates are numbered as their fingerprints are ordered. They came newest first.
        past.reverse();
        past.sort_unstable_by_key(|span| (Reverse(span.first), span.certificate));
        records.sort_unstable_by_key(|span| Reverse(span.first));
        newest
    }

    /// Goes back look by look, or stretch by stretch where every look comes to one front; stops where the history would
    /// be full. Returns the newest look, and how many looks there were.
    fn recall_spans(
        &self,
        draw: &mut Draw,
        past: &mut Vec<Span>,
        heard: &mut impl FnMut(u8, u32, u32),
    ) -> (Option<Sight>, u32) {
        let mut newest = None;
        let mut steps = Steps::new(self.reality, self.traits, self.schedule.count, draw);
        let networks = if steps.wander { self.networks() } else { 1 };
        // One stretch more or less makes a difference only where each brings looks at other fronts.
        let calm = self.reality.is_calm(self.traits) && (networks == 1 || self.reality.hold.is_none());
        let mut calm = calm.then(Cursors::default);
        let mut look = 0;
        while let Some((front, until)) = steps.next(look, draw) {
            while look <= until {
                let ago = self.schedule.at(look);
                newest.get_or_insert_with(|| self.reality.sight(self.traits, front, ago, self.addresses));
                let (met, back) = match &mut calm {
                    Some(cursors) => self.reality.calm_stretch(front, ago, cursors),
                    None => self.reality.stretch(self.traits, front, ago, self.addresses),
                };
                // A division for each look would be felt.
                let end = if look == until { look } else { self.schedule.last_within(back).clamp(look, until) };
                heard(front, look, end);
                let room = self.note(met, look, end, past);
                if networks > 1 && end > look {
                    self.wander((look + 1, end), calm.is_some(), draw, past, heard);
                }
                look = end + 1;
                if !room {
                    return (newest, look);
                }
            }
        }
        (newest, look)
    }

    /// Takes in a stretch of looks at one front that all met the same; false when there is no room for more.
    fn note(&self, met: Option<(u8, Shown)>, newest: u32, oldest: u32, past: &mut Vec<Span>) -> bool {
        let (newest, oldest) = (self.schedule.at(newest), self.schedule.at(oldest));
        let Some((address, Shown::Certificate(certificate))) = met else { return true };
        let same = |span: &&mut Span| span.certificate == certificate && is_near(span.first, newest);
        if let Some(span) = past.iter_mut().rev().find(same) {
            span.first = span.first.max(oldest);
            self.add_place(&mut span.places, address);
            return true;
        }
        if past.len() < MAX_SPANS {
            past.push(Span { certificate, places: Places::one(address), first: oldest, last: newest });
        }
        past.len() < MAX_SPANS
    }

    /// The looks of a stretch in which all fronts showed the same came to any of them, so that each is among the places
    /// where it was met. After two dozen looks none is missing; those that are left came to the first one again.
    fn wander(
        &self,
        (first, last): (u32, u32),
        calm: bool,
        draw: &mut Draw,
        past: &mut Vec<Span>,
        heard: &mut impl FnMut(u8, u32, u32),
    ) {
        let mut calm = calm.then(Cursors::default);
        for look in first..=last.min(first + 24) {
            let front = draw.place(self.reality.width()) as u8;
            heard(front, look, look);
            let ago = self.schedule.at(look);
            let (met, _) = match &mut calm {
                Some(cursors) => self.reality.calm_stretch(front, ago, cursors),
                None => self.reality.stretch(self.traits, front, ago, self.addresses),
            };
            self.note(met, look, look, past);
        }
    }

    /// In how many networks the fronts stand.
    fn networks(&self) -> usize {
        let mut seen = Places::default();
        self.reality.fronts.iter().for_each(|front| self.add_place(&mut seen, front.address));
        seen.iter().count()
    }

    fn add_place(&self, places: &mut Places, address: u8) {
        let network = |place: u8| self.addresses.get(usize::from(place)).map(|address| address.network);
        if !places.iter().any(|place| network(place) == network(address)) {
            places.push(address);
        }
    }

    fn recall_records(&self, looks: u32, records: &mut Vec<RecordSpan>) {
        let mut look = 0;
        while look < looks && records.len() < MAX_AUTHORITY {
            let ago = self.schedule.at(look);
            let back = self.reality.record_steady_back_to(self.traits, ago);
            let end = self.schedule.last_within(back).clamp(look, looks - 1);
            if let Some(record) = self.reality.record(self.traits, ago) {
                note_record(records, RecordSpan { record, first: self.schedule.at(end), last: ago });
            }
            look = end + 1;
        }
    }
}

fn note_record(records: &mut Vec<RecordSpan>, added: RecordSpan) {
    let same = |known: &&mut RecordSpan| known.record == added.record && is_near(known.first, added.last);
    match records.iter_mut().find(same) {
        Some(known) => known.first = known.first.max(added.first),
        None => records.push(added),
    }
}

/// Whether no longer gap than continuity allows lies between two looks.
fn is_near(newer: Ago, older: Ago) -> bool {
    u64::from(older.saturating_sub(newer)) <= CONTINUITY.as_secs()
}

/// Which front the looks of a node come to, as stretches of looks that come to the same one.
struct Steps<'a> {
    reality: &'a Reality,
    traits: &'a Traits,
    count: u32,
    /// Looks until one strays.
    strayless: u32,
    /// How much likelier it gets with each look that one strays, as a logarithm.
    stray_log: f64,
    /// All looks come to any front, and it makes no difference but for the address.
    wander: bool,
}

impl<'a> Steps<'a> {
    fn new(reality: &'a Reality, traits: &'a Traits, count: u32, draw: &mut Draw) -> Self {
        let several = reality.width() > 1;
        let rotating = several && reality.steering == Steering::Rotating;
        // An attacker at one of the fronts makes a difference to those who meet him.
        let wander = rotating && reality.is_alike() && !traits.captured;
        let restless = several && !wander && (rotating || reality.stray_share > 0.1);
        let count = if restless { count.min(MAX_SPANS as u32) } else { count };
        let stray_log = if several && !rotating { (1.0 - reality.stray_share).ln() } else { 0.0 };
        let strayless = strayless(stray_log, draw);
        Self { reality, traits, count, strayless, stray_log, wander }
    }

    /// The front that the looks from this one on come to, and the last of them; `None` after all.
    fn next(&mut self, look: u32, draw: &mut Draw) -> Option<(u8, u32)> {
        let last = self.count.checked_sub(1).filter(|last| look <= *last)?;
        if self.wander {
            return Some((draw.place(self.reality.width()) as u8, last));
        }
        if self.reality.steering == Steering::Rotating && self.reality.width() > 1 {
            return Some((draw.place(self.reality.width()) as u8, look));
        }
        if self.strayless == 0 {
            self.strayless = strayless(self.stray_log, draw);
            return Some((draw.place(self.reality.width()) as u8, look));
        }
        let until = look.saturating_add(self.strayless - 1).min(last);
        self.strayless = 0;
        Some((self.traits.home, until))
    }
}

/// How many looks go where they usually go before one strays.
fn strayless(stray_log: f64, draw: &mut Draw) -> u32 {
    if stray_log >= 0.0 {
        return u32::MAX;
    }
    // The conversion saturates; at a share of 1 every look strays.
    ((1.0 - draw.unit()).ln() / stray_log) as u32
}
