//! How a site comes to be: its fronts, certificates and records, and what changed them.

use super::draw::Draw;
use super::names::{EventKind, SiteClass};
use super::reality::{EVER, Front, Move, Phase, Reality, Steering};
use super::scenario::{Address, Ago, Ca, Certificate, KeyRecord, Scenario, Truth};
use super::world::World;

const DAY: Ago = 86_400;

/// What changes certificates, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) what: EventKind,
    pub(super) since: Ago,
    /// The owner says so in DNS ahead of it.
    pub(super) announced: bool,
}

/// How the owner authorises keys in DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authorises {
    Nothing,
    Cas,
    Keys,
}

/// The plan of a site.
struct Plan {
    width: usize,
    own_keys: bool,
    steering: Steering,
    first: Ca,
    second: Option<Ca>,
}

/// Builds one site.
pub(super) struct Builder<'a> {
    pub(super) world: &'a World,
    pub(super) draw: &'a mut Draw,
    pub(super) scenario: &'a mut Scenario,
    pub(super) reality: &'a mut Reality,
    /// Back to when certificates are needed.
    pub(super) depth: Ago,
}

impl Builder<'_> {
    /// Builds a site of a class with what changed it. `authorises` overrules chance.
    pub(super) fn site(&mut self, class: SiteClass, change: Option<Change>, authorises: Option<Authorises>) {
        let plan = self.plan(class);
        let authorises = authorises.unwrap_or_else(|| self.authorises(class));
        self.reality.steering = plan.steering;
        let period = self.period();
        let keeps_key = authorises == Authorises::Keys;
        let lines = self.lines(&plan, period, keeps_key, change);
        self.fronts(&plan, lines.0);
        if let Some(change) = change.filter(|change| moves(change.what)) {
            self.move_away(&plan, period, change);
        }
        self.records(authorises, change);
    }

    fn plan(&mut self, class: SiteClass) -> Plan {
        let first = self.public();
        let one = Plan { width: 1, own_keys: false, steering: Steering::Home, first, second: None };
        let regions = self.world.regions.len().max(2);
        match class {
            SiteClass::Single => one,
            SiteClass::RoundRobin => Plan { width: self.several(2, 4), steering: Steering::Rotating, ..one },
            SiteClass::RoundRobinOwnKeys => {
                Plan { width: self.several(2, 4), own_keys: true, steering: Steering::Rotating, ..one }
            }
            SiteClass::GeoOneLeaf => Plan { width: regions, ..one },
            SiteClass::GeoOwnKeys => Plan { width: regions, own_keys: true, ..one },
            SiteClass::TwoKinds => {
                let second = Some(self.other_public(first));
                Plan { width: 2, own_keys: true, steering: Steering::Shared, second, ..one }
            }
            SiteClass::TwoNetworks => Plan { width: 2, own_keys: true, second: Some(self.other_public(first)), ..one },
            SiteClass::SiteKeys => Plan { width: self.several(4, 12), own_keys: true, ..one },
            SiteClass::Anycast if self.draw.chance(self.world.sites.anycast_own_keys_share) => {
                Plan { width: regions, own_keys: true, steering: Steering::Shared, ..one }
            }
            SiteClass::Anycast => one,
            SiteClass::Private => Plan { first: Ca::Private(1), ..one },
            SiteClass::PrivateAuthorised if self.draw.chance(1.0 / 3.0) => {
                Plan { width: regions, own_keys: true, first: Ca::Private(1), ..one }
            }
            SiteClass::PrivateAuthorised => Plan { first: Ca::Private(1), ..one },
        }
    }

    fn several(&mut self, low: u32, high: u32) -> usize {
        self.draw.between(low, high) as usize
    }

    fn authorises(&mut self, class: SiteClass) -> Authorises {
        let has = match class {
            SiteClass::Private => false,
            SiteClass::PrivateAuthorised => true,
            _ => self.draw.chance(self.world.sites.record_share),
        };
        self.reality.secure = has && self.draw.chance(self.world.sites.dnssec_share);
        match (has, self.draw.chance(0.5)) {
            (false, _) => Authorises::Nothing,
            (true, true) => Authorises::Cas,
            (true, false) => Authorises::Keys,
        }
    }

    /// Seconds between two renewals.
    fn period(&mut self) -> Ago {
        let renewals = &self.world.sites.renewals;
        let weights: [f64; 16] = std::array::from_fn(|place| renewals.get(place).map_or(0.0, |one| one.weight));
        renewals.get(self.draw.weighted(&weights)).map_or(90, |one| one.days) * DAY
    }

    /// The lines of certificates of a plan; returns the places of the first and after the last.
    fn lines(&mut self, plan: &Plan, period: Ago, keeps_key: bool, change: Option<Change>) -> (usize, usize) {
        let begin = self.reality.lines_used;
        let count = if plan.own_keys { plan.width } else { 1 };
        for line in 0..count {
            let ca = if line % 2 == 1 { plan.second.unwrap_or(plan.first) } else { plan.first };
            self.line(ca, period, keeps_key, change);
        }
        (begin, self.reality.lines_used)
    }

    /// One line of certificates, from the newest back to the depth.
    fn line(&mut self, ca: Ca, period: Ago, keeps_key: bool, change: Option<Change>) {
        let mut phases = self.take_line();
        let mut since = self.draw.below(period);
        let mut key = self.new_key();
        let turn = change.filter(|change| !moves(change.what));
        if let Some(change) = turn {
            let new_ca = if change.what == EventKind::CaChange { self.another(ca) } else { ca };
            phases.push(self.phase(key, new_ca, change.since, period));
            let full = change.what == EventKind::Renewal;
            since = change.since + if full { period } else { self.draw.between(3600, period) };
            key = self.older_key(key, keeps_key, !full);
        }
        while since < self.depth {
            phases.push(self.phase(key, ca, since, period));
            since += period;
            key = self.older_key(key, keeps_key, false);
        }
        phases.push(Phase { since: EVER, ..self.phase(key, ca, since, period) });
        self.put_line(phases);
    }

    fn older_key(&mut self, key: u16, keeps: bool, must_change: bool) -> u16 {
        let changes = must_change || (!keeps && self.draw.chance(self.world.sites.new_key_share));
        if changes { self.new_key() } else { key }
    }

    fn phase(&mut self, key: u16, ca: Ca, since: Ago, period: Ago) -> Phase {
        Phase { certificate: self.certificate(Truth::Owner, key, ca, since, period + period / 2), since }
    }

    /// Adds a certificate for the service's name.
    pub(super) fn certificate(&mut self, owner: Truth, key: u16, ca: Ca, issued: Ago, life: u32) -> u16 {
        let place = self.scenario.certificates.len() as u16;
        let intermediate = self.draw.below(3) as u8;
        self.scenario.certificates.push(Certificate {
            owner,
            key,
            ca,
            intermediate,
            for_this_name: true,
            issued,
            life,
        });
        place
    }

    /// A key that nobody has yet.
    pub(super) fn new_key(&mut self) -> u16 {
        self.reality.keys += 1;
        self.reality.keys
    }

    fn take_line(&mut self) -> Vec<Phase> {
        let place = self.reality.lines_used;
        let mut phases = self.reality.lines.get_mut(place).map(std::mem::take).unwrap_or_default();
        phases.clear();
        phases
    }

    fn put_line(&mut self, phases: Vec<Phase>) {
        match self.reality.lines.get_mut(self.reality.lines_used) {
            Some(free) => *free = phases,
            None => self.reality.lines.push(phases),
        }
        self.reality.lines_used += 1;
    }

    /// The fronts of a plan, with the lines from `line` on.
    fn fronts(&mut self, plan: &Plan, line: usize) {
        let one_network = self.draw.chance(self.world.sites.one_network_share);
        for place in 0..plan.width {
            if place == 0 || plan.steering != Steering::Shared {
                self.address(place == 0 || !one_network);
            }
            let address = (self.scenario.addresses.len() - 1) as u8;
            let line = (line + if plan.own_keys { place } else { 0 }) as u8;
            self.reality.fronts.push(Front { address, line });
        }
    }

    /// Adds an address, in a network of its own or in that of the last one; returns its place.
    pub(super) fn address(&mut self, own_network: bool) -> u8 {
        let addresses = &mut self.scenario.addresses;
        let (network, host) = addresses.last().map_or((0, 0), |last| (last.network, last.host));
        addresses.push(if own_network || addresses.is_empty() {
            Address { network: network + 1, host: 1 }
        } else {
            Address { network, host: host + 1 }
        });
        (addresses.len() - 1) as u8
    }

    /// DNS leads to new fronts since then. After a change of the content network they have keys of their own, perhaps from
    /// another CA; else they took the certificates along, or have a new key from the same CA.
    fn move_away(&mut self, plan: &Plan, period: Ago, change: Change) {
        let kept = self.draw.chance(self.world.events.kept_share);
        let lines = (0, self.reality.lines_used);
        let network_change = change.what == EventKind::NetworkChange;
        let other_ca = network_change && self.draw.chance(self.world.events.moved_ca_share);
        if network_change || self.draw.chance(0.5) {
            for line in lines.0..lines.1 {
                let ca = self.ca_of_line(line);
                let ca = if other_ca { self.another(ca) } else { ca };
                let key = self.new_key();
                let newest = Phase { since: EVER, ..self.phase(key, ca, change.since.saturating_add(3600), period) };
                let mut phases = self.take_line();
                phases.push(newest);
                self.put_line(phases);
            }
            self.fronts(plan, lines.1);
        } else {
            self.fronts(plan, lines.0);
        }
        self.reality.moved = Some(Move { since: change.since, kept });
    }

    fn ca_of_line(&self, line: usize) -> Ca {
        let phase = self.reality.lines.get(line).and_then(|phases| phases.first());
        let certificate = phase.and_then(|phase| self.scenario.certificates.get(usize::from(phase.certificate)));
        certificate.map_or(Ca::Public(0), |certificate| certificate.ca)
    }

    /// A public CA that issues for sites.
    fn public(&mut self) -> Ca {
        Ca::Public(self.draw.below(self.world.sites.public_cas) as u8)
    }

    /// Another public CA than this.
    pub(super) fn other_public(&mut self, than: Ca) -> Ca {
        let Ca::Public(than) = than else { return self.public() };
        let count = self.world.sites.public_cas;
        Ca::Public(((u32::from(than) + 1 + self.draw.below(count - 1)) % count) as u8)
    }

    /// Another CA of the same sort.
    fn another(&mut self, than: Ca) -> Ca {
        match than {
            Ca::Public(_) => self.other_public(than),
            Ca::Private(number) => Ca::Private(number + 1),
        }
    }

    /// What DNS authorised, over time. Who announces a change names old and new from two days before until a day after.
    fn records(&mut self, authorises: Authorises, change: Option<Change>) {
        self.scenario.records.push(KeyRecord::default());
        if authorises == Authorises::Nothing {
            self.reality.records.push((0, EVER));
            return;
        }
        let new = self.record_at(authorises, 0);
        let Some(change) = change else { return self.push_record(new, EVER) };
        let old = self.record_at(authorises, change.since.saturating_add(1));
        if old == new {
            return self.push_record(new, EVER);
        }
        if change.announced {
            let both = union(&old, &new);
            if change.since > DAY {
                self.push_record(new, change.since - DAY);
            }
            self.push_record(both, change.since + 2 * DAY);
        } else {
            self.push_record(new, change.since);
        }
        self.push_record(old, EVER);
    }

    /// Two records that hold the same are one.
    fn push_record(&mut self, mut record: KeyRecord, since: Ago) {
        record.cas.sort_unstable();
        record.keys.sort_unstable();
        let records = &mut self.scenario.records;
        let place = records.iter().position(|known| *known == record).unwrap_or_else(|| {
            records.push(record);
            records.len() - 1
        });
        self.reality.records.push((place as u8, since));
    }

    /// What the owner has to authorise for what is served then.
    fn record_at(&self, authorises: Authorises, ago: Ago) -> KeyRecord {
        let mut record = KeyRecord::default();
        let moved = self.reality.moved.is_some_and(|moved| ago <= moved.since);
        let half = self.reality.width();
        let fronts = self.reality.fronts.iter().skip(if moved { half } else { 0 }).take(half);
        for front in fronts {
            let served = self.reality.served_certificate(front.line, ago);
            let Some(served) = served.and_then(|place| self.scenario.certificates.get(usize::from(place))) else {
                continue;
            };
            match authorises {
                Authorises::Cas if !record.cas.contains(&served.ca) => record.cas.push(served.ca),
                Authorises::Keys if !record.keys.contains(&served.key) => record.keys.push(served.key),
                _ => {}
            }
        }
        record
    }
}

/// Whether an event brings new fronts.
fn moves(what: EventKind) -> bool {
    matches!(what, EventKind::NetworkChange | EventKind::DnsWindow)
}

fn union(one: &KeyRecord, other: &KeyRecord) -> KeyRecord {
    let mut both = one.clone();
    both.cas.extend(other.cas.iter().filter(|ca| !one.cas.contains(ca)));
    both.keys.extend(other.keys.iter().filter(|key| !one.keys.contains(key)));
    both
}
