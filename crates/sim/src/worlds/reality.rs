//! What anybody is shown, anywhere, at any time: the site with its past, what happened to it, and who answers in its place.
//!
//! Times are seconds before the visit, so a larger number is earlier.

use parallax_core::Outcome;

use super::draw::Draw;
use super::scenario::{Address, Ago, Answer, Shown, Sight};

/// Since the beginning.
pub(super) const EVER: Ago = Ago::MAX;

/// One certificate after the other, newest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub(super) certificate: u16,
    /// It was put in place then, and served until the one before it in the list was.
    pub(super) since: Ago,
}

/// A way to the site: an address, and the line of certificates served there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front {
    pub(super) address: u8,
    pub(super) line: u8,
}

/// How parties come to a front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steering {
    /// Each has a usual one; DNS gives its address alone.
    Home,
    /// DNS gives all addresses to everybody, in any order.
    Rotating,
    /// All have one address; the network, or a balancer, chooses.
    Shared,
}

/// DNS led to other fronts before: those of the first half; the others follow in the same order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) since: Ago,
    /// The old ones still serve.
    pub(super) kept: bool,
}

/// Somebody who answers in the site's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) since: Ago,
    /// What the captured meet.
    pub(super) shown: Shown,
    /// Where.
    pub(super) reach: Reach,
    /// The record that those read whose DNS the attacker answers; `None` leaves it as it is.
    pub(super) record: Option<u8>,
    /// The address that the lured are led to, and what everybody else meets there.
    pub(super) lure: Option<(u8, Shown)>,
}

/// At which addresses an attacker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// At none of the site's.
    Nowhere,
    /// At all.
    Everywhere,
    /// In this network.
    Network(u8),
    /// At this one.
    Address(u8),
}

/// One party as it stands to the site.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traits {
    /// The front it usually comes to.
    pub(super) home: u8,
    /// For how long DNS told it the old address.
    pub(super) lag: Ago,
    /// Whoever holds the way meets it.
    pub(super) captured: bool,
    /// Whoever holds the way answers its questions to DNS, too.
    pub(super) misled: bool,
    /// It is led to the attacker's address.
    pub(super) lured: bool,
    /// From then on it is shown this, whatever the address.
    pub(super) cut: Option<(Ago, Shown)>,
    /// From then on its DNS fails.
    pub(super) dns_down: Option<Ago>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Reality {
    pub(super) lines: Vec<Vec<Phase>>,
    /// How many of them are in use; the others keep their memory for the next visit.
    pub(super) lines_used: usize,
    pub(super) fronts: Vec<Front>,
    pub(super) steering: Steering,
    /// Share of looks that come to another front.
    pub(super) stray_share: f64,
    pub(super) moved: Option<Move>,
    /// Front that can't be reached since then.
    pub(super) front_down: Option<(u8, Ago)>,
    /// Records, newest first, as phases: place in the list of records, and since when.
    pub(super) records: Vec<(u8, Ago)>,
    /// Records are signed.
    pub(super) secure: bool,
    pub(super) hold: Option<Hold>,
    /// The last number given to a key.
    pub(super) keys: u16,
}

impl Default for Reality {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            lines_used: 0,
            fronts: Vec::new(),
            steering: Steering::Home,
            stray_share: 0.0,
            moved: None,
            front_down: None,
            records: Vec::new(),
            secure: false,
            hold: None,
            keys: 0,
        }
    }
}

impl Reality {
    /// Empties everything, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.lines_used = 0;
        self.fronts.clear();
        self.steering = Steering::Home;
        self.stray_share = 0.0;
        self.moved = None;
        self.front_down = None;
        self.records.clear();
        self.secure = false;
        self.hold = None;
        self.keys = 0;
    }

    /// Fronts that are, or were, in use at one time: all, or half of them after a move.
    pub(super) fn width(&self) -> usize {
        let all = self.fronts.len();
        if self.moved.is_some() { all / 2 } else { all }
    }

    /// The front that a look comes to.
    pub(super) fn choose(&self, traits: &Traits, draw: &mut Draw) -> u8 {
        let width = self.width();
        match self.steering {
            Steering::Rotating => draw.place(width) as u8,
            Steering::Home | Steering::Shared if width > 1 && draw.chance(self.stray_share) => draw.place(width) as u8,
            Steering::Home | Steering::Shared => traits.home,
        }
    }

    /// A look that comes to this front, then.
    pub(super) fn sight(&self, traits: &Traits, front: u8, ago: Ago, addresses: &[Address]) -> Sight {
        let dns = self.answer(traits, front, ago);
        match self.met_at(traits, front, ago, addresses) {
            Some((address, shown)) => Sight { dns, address: Some(address), shown },
            None => Sight { dns, address: None, shown: Shown::Nothing(Outcome::NoAddress) },
        }
    }

    /// What a look that comes to this front meets, then, and where; `None` when DNS leads nowhere.
    pub(super) fn met_at(&self, traits: &Traits, front: u8, ago: Ago, addresses: &[Address]) -> Option<(u8, Shown)> {
        if traits.dns_down.is_some_and(|since| ago <= since) {
            return None;
        }
        let place = self.place_of(traits, self.next_reachable(traits, front, ago), ago);
        let address = self.lured_to(traits, ago).or_else(|| self.address_at(place)).unwrap_or_default();
        let shown = self.shown_by_attacker(traits, address, ago, addresses);
        Some((address, shown.unwrap_or_else(|| self.shown_by_front(traits, place, ago))))
    }

    /// Where DNS gives several addresses, the next is tried when one does not answer.
    fn next_reachable(&self, traits: &Traits, front: u8, ago: Ago) -> u8 {
        let width = self.width();
        if self.steering != Steering::Rotating || self.front_down.is_none() || width < 2 {
            return front;
        }
        let tries = (0..width).map(|step| ((usize::from(front) + step) % width) as u8);
        let answers = |front: &u8| !self.is_down(self.place_of(traits, *front, ago), ago);
        tries.into_iter().find(answers).unwrap_or(front)
    }

    /// What a party is shown at an address, then. Where fronts share one, `front` says which it comes to.
    pub(super) fn shown_at(&self, traits: &Traits, front: u8, address: u8, ago: Ago, addresses: &[Address]) -> Shown {
        if let Some(shown) = self.shown_by_attacker(traits, address, ago, addresses) {
            return shown;
        }
        let place = self.front_at(front, address);
        place.map_or(Shown::Nothing(Outcome::Timeout), |place| self.shown_by_front(traits, place, ago))
    }

    /// What the front at this place of the list shows a party, then, if the party gets there.
    fn shown_by_front(&self, traits: &Traits, place: usize, ago: Ago) -> Shown {
        match (traits.cut, self.fronts.get(place)) {
            (Some((since, shown)), _) if ago <= since => shown,
            (_, Some(front)) if !self.is_down(place, ago) => self.served(front.line, ago),
            _ => Shown::Nothing(Outcome::Timeout),
        }
    }

    /// What a look that comes to this front meets, then, and the earliest moment up to which, going back, a look meets the
    /// same.
    pub(super) fn stretch(
        &self,
        traits: &Traits,
        front: u8,
        ago: Ago,
        addresses: &[Address],
    ) -> (Option<(u8, Shown)>, Ago) {
        (self.met_at(traits, front, ago, addresses), self.steady_back_to(traits, front, ago))
    }

    /// The same for a party that this [`Reality::is_calm`] to. `cursors` know where looks that came later found theirs.
    #[inline]
    pub(super) fn calm_stretch(&self, front: u8, ago: Ago, cursors: &mut Cursors) -> (Option<(u8, Shown)>, Ago) {
        let place = usize::from(front);
        let front = self.fronts.get(place).copied().unwrap_or(Front { address: 0, line: u8::MAX });
        match cursors.phase_at(place, self.phases(front.line), ago) {
            Some(phase) => (Some((front.address, Shown::Certificate(phase.certificate))), phase.since),
            None => (Some((front.address, Shown::Nothing(Outcome::Timeout))), EVER),
        }
    }

    /// Nothing but renewals ever happened to this party at this site.
    pub(super) fn is_calm(&self, traits: &Traits) -> bool {
        let held = self.hold.is_some() && (traits.captured || traits.misled || traits.lured);
        let disturbed = self.moved.is_some() || self.front_down.is_some();
        !held && !disturbed && traits.cut.is_none() && traits.dns_down.is_none()
    }

    /// The earliest moment up to which, going back from `ago`, the same is shown to a party at the same front.
    fn steady_back_to(&self, traits: &Traits, front: u8, ago: Ago) -> Ago {
        let place = self.place_of(traits, front, ago);
        let line = self.fronts.get(place).map_or(0, |front| front.line);
        let phases = self.phases(line);
        let mut back = phases.get(phase_at(phases, ago)).map_or(EVER, |phase| phase.since);
        let mut not_before = |since: Option<Ago>| match since {
            Some(since) if since >= ago => back = back.min(since),
            _ => {}
        };
        not_before(self.moved.map(|moved| moved.since.saturating_sub(traits.lag)));
        // What became of the old servers changes when DNS moves on, not when it has told everybody.
        not_before(self.moved.map(|moved| moved.since));
        not_before(traits.cut.map(|(since, _)| since));
        not_before(traits.dns_down);
        not_before(self.front_down.map(|(_, since)| since));
        not_before(self.hold.as_ref().map(|hold| hold.since));
        back
    }

    /// What DNS answers, when it leads to this front.
    pub(super) fn answer(&self, traits: &Traits, front: u8, ago: Ago) -> Answer {
        let record = self.record(traits, ago);
        let secure = self.secure && record.is_some() && !self.is_misled(traits, ago);
        let (first, count) = self.given(traits, front, ago);
        Answer { first, count, record, secure }
    }

    /// The record that a party reads, then; `None` when the lookup fails.
    pub(super) fn record(&self, traits: &Traits, ago: Ago) -> Option<u8> {
        if traits.dns_down.is_some_and(|since| ago <= since) {
            return None;
        }
        if let Some(hold) = self.hold.as_ref().filter(|_| self.is_misled(traits, ago))
            && hold.record.is_some()
        {
            return hold.record;
        }
        self.records_as_told(traits).find(|(_, since)| *since >= ago).map(|(record, _)| record)
    }

    /// DNS tells of a new record as late as of a new address.
    fn records_as_told(&self, traits: &Traits) -> impl Iterator<Item = (u8, Ago)> + '_ {
        let lag = traits.lag;
        self.records.iter().map(move |(record, since)| match *since {
            EVER => (*record, EVER),
            since => (*record, since.saturating_sub(lag)),
        })
    }

    /// The earliest moment up to which, going back from `ago`, a party reads the same record.
    pub(super) fn record_steady_back_to(&self, traits: &Traits, ago: Ago) -> Ago {
        let change = self.records_as_told(traits).map(|(_, since)| since).find(|since| *since >= ago);
        [change, traits.dns_down, self.hold.as_ref().map(|hold| hold.since)]
            .into_iter()
            .flatten()
            .filter(|since| *since >= ago)
            .min()
            .unwrap_or(EVER)
    }

    fn is_misled(&self, traits: &Traits, ago: Ago) -> bool {
        traits.misled && self.hold.as_ref().is_some_and(|hold| ago <= hold.since)
    }

    fn given(&self, traits: &Traits, front: u8, ago: Ago) -> (u8, u8) {
        if traits.dns_down.is_some_and(|since| ago <= since) {
            return (0, 0);
        }
        let lured = self.lured_to(traits, ago);
        match (lured, self.steering) {
            (Some(address), _) => (address, 1),
            (None, Steering::Rotating) => (self.address_of(traits, 0, ago), self.width() as u8),
            (None, _) => (self.address_of(traits, front, ago), 1),
        }
    }

    fn lured_to(&self, traits: &Traits, ago: Ago) -> Option<u8> {
        let hold = self.hold.as_ref().filter(|hold| traits.lured && ago <= hold.since)?;
        hold.lure.map(|(address, _)| address)
    }

    fn address_of(&self, traits: &Traits, front: u8, ago: Ago) -> u8 {
        let place = self.place_of(traits, front, ago);
        let own = self.fronts.get(place).map_or(0, |front| front.address);
        self.lured_to(traits, ago).unwrap_or(own)
    }

    /// The place in the list of fronts: after a move, DNS leads to the second half.
    fn place_of(&self, traits: &Traits, front: u8, ago: Ago) -> usize {
        let moved = self.moved.is_some_and(|moved| ago <= moved.since.saturating_sub(traits.lag));
        usize::from(front) + if moved { self.width() } else { 0 }
    }

    /// The front behind an address.
    fn front_at(&self, front: u8, address: u8) -> Option<usize> {
        let own = usize::from(front);
        let places = || (0..self.fronts.len()).filter(|place| self.address_at(*place) == Some(address));
        if self.steering == Steering::Shared {
            let in_half = |place: &usize| place % self.width().max(1) == own;
            return places().find(in_half).or_else(|| places().next());
        }
        places().next()
    }

    fn address_at(&self, place: usize) -> Option<u8> {
        self.fronts.get(place).map(|front| front.address)
    }

    fn is_down(&self, place: usize, ago: Ago) -> bool {
        let left = self.moved.is_some_and(|moved| !moved.kept && place < self.width() && ago <= moved.since);
        left || self.front_down.is_some_and(|(front, since)| usize::from(front) == place && ago <= since)
    }

    fn shown_by_attacker(&self, traits: &Traits, address: u8, ago: Ago, addresses: &[Address]) -> Option<Shown> {
        let hold = self.hold.as_ref()?;
        match hold.lure {
            Some((lure, _)) if lure == address && traits.lured => return Some(hold.shown),
            Some((lure, others)) if lure == address => return Some(others),
            _ => {}
        }
        let network = addresses.get(usize::from(address)).map(|address| address.network);
        let reached = match hold.reach {
            Reach::Nowhere => false,
            Reach::Everywhere => true,
            Reach::Network(held) => network == Some(held),
            Reach::Address(held) => address == held,
        };
        (reached && traits.captured && ago <= hold.since).then_some(hold.shown)
    }

    fn phases(&self, line: u8) -> &[Phase] {
        self.lines.get(usize::from(line)).map_or(&[], Vec::as_slice)
    }

    fn served(&self, line: u8, ago: Ago) -> Shown {
        self.served_certificate(line, ago).map_or(Shown::Nothing(Outcome::Timeout), Shown::Certificate)
    }

    /// The certificate served on a line, then.
    pub(super) fn served_certificate(&self, line: u8, ago: Ago) -> Option<u16> {
        let phases = self.phases(line);
        phases.get(phase_at(phases, ago)).map(|phase| phase.certificate)
    }

    /// Whether DNS ever told anything else than it does now.
    pub(super) fn changes(&self) -> bool {
        self.moved.is_some() || self.records.len() > 1
    }

    /// Whether all fronts in use at one time serve one line: only the address tells them apart.
    pub(super) fn is_alike(&self) -> bool {
        let line = |place: usize| self.fronts.get(place).map(|front| front.line);
        let width = self.width();
        (1..width).all(|place| line(place) == line(0) && line(place + width).is_none_or(|new| Some(new) == line(width)))
    }
}

/// For each front, the phase at which the look before found it: who goes back in time finds the next there or a little
/// further.
#[derive(Debug, Default)]
pub(super) struct Cursors([u16; 16]);

impl Cursors {
    #[inline]
    fn phase_at<'a>(&mut self, front: usize, phases: &'a [Phase], ago: Ago) -> Option<&'a Phase> {
        let Some(cursor) = self.0.get_mut(front) else { return phases.get(phase_at(phases, ago)) };
        let last = phases.len().saturating_sub(1);
        while usize::from(*cursor) < last && phases.get(usize::from(*cursor)).is_some_and(|phase| phase.since < ago) {
            *cursor += 1;
        }
        phases.get(usize::from(*cursor))
    }
}

/// The phase that was served then: the first in the list that began before, or the oldest.
fn phase_at(phases: &[Phase], ago: Ago) -> usize {
    phases.partition_point(|phase| phase.since < ago).min(phases.len().saturating_sub(1))
}
