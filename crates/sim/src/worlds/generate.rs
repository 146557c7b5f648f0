//! Draws visits: the site, what happened to it, who checks and who is asked.

use std::sync::Arc;

use parallax_core::{BadService, Outcome, Scheme, ServiceId};

use super::atlas::{Atlas, Placed};
use super::build::{Authorises, Builder, Change};
use super::draw::{Draw, stretch};
use super::names::{Attack, EventKind, SiteClass, VisitId};
use super::past::{Remembering, Schedule};
use super::reality::{Reality, Traits};
use super::scenario::{Ago, Party, Scenario, Shown, Sight, Truth, Vantage};
use super::world::{Region, World};

pub(super) const MINUTE: Ago = 60;
pub(super) const HOUR: Ago = 3600;
pub(super) const DAY: Ago = 86_400;

/// A look younger than this answers a question without a new one ([`parallax_proto::DEFAULT_MAX_AGE`]).
const KEPT: Ago = 86_400;

/// The most vantage points that one visit asks.
pub const MAX_ASKED: u8 = 32;

/// Makes the visits of a world. Every visit is a function of the world, the atlas and its [`VisitId`].
#[derive(Clone, Debug)]
pub struct Generator {
    world: World,
    regions: Arc<[Region]>,
    service: ServiceId,
    atlas: Atlas,
}

impl Generator {
    /// A generator for a world. Hijacks capture whom the atlas says.
    pub fn new(world: World, atlas: Atlas) -> Result<Self, BadService> {
        let service = ServiceId::new(Scheme::Tls, "a.example", 443)?;
        Ok(Self { regions: world.regions.clone().into(), service, atlas, world })
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Makes one visit, alone.
    pub fn scenario(&self, visit: VisitId) -> Scenario {
        let mut workshop = self.workshop(visit);
        self.draw(visit, &mut workshop);
        workshop.scenario
    }

    /// Where visits are made one after the other.
    pub(super) fn workshop(&self, visit: VisitId) -> Workshop {
        let nowhere = super::scenario::Answer { first: 0, count: 0, record: None, secure: false };
        let user = Party { region: 0, autonomous_system: None, clock_ahead: 0, captured: false };
        Workshop {
            scenario: Scenario {
                visit,
                class: SiteClass::Single,
                event: None,
                attack: None,
                truth: Truth::NoKey,
                moment: self.world.moment,
                service: self.service.clone(),
                regions: self.regions.clone(),
                certificates: Vec::new(),
                addresses: Vec::new(),
                records: Vec::new(),
                user,
                met: Sight { dns: nowhere, address: None, shown: Shown::Nothing(Outcome::NoAddress) },
                vantages: Vec::new(),
            },
            reality: Reality::default(),
            traits: Vec::new(),
            placed: Placed::default(),
            order: Vec::new(),
        }
    }

    /// Makes a visit in the place of the one before.
    pub(super) fn draw(&self, visit: VisitId, workshop: &mut Workshop) {
        let mut draw = Draw::new(visit.seed, visit.purpose(), visit.index);
        workshop.clear(visit);
        let mut drawing = Drawing { generator: self, world: &self.world, draw: &mut draw, shop: workshop };
        drawing.run(visit);
    }

    /// What is checked.
    pub(super) fn service(&self) -> &ServiceId {
        &self.service
    }

    pub(super) fn atlas(&self) -> &Atlas {
        &self.atlas
    }
}

/// What a visit is made in; its memory is used again.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) scenario: Scenario,
    pub(super) reality: Reality,
    /// The user first, then the vantage points.
    pub(super) traits: Vec<Traits>,
    pub(super) placed: Placed,
    pub(super) order: Vec<usize>,
}

impl Workshop {
    fn clear(&mut self, visit: VisitId) {
        let scenario = &mut self.scenario;
        scenario.visit = visit;
        scenario.event = None;
        scenario.attack = None;
        scenario.certificates.clear();
        scenario.addresses.clear();
        scenario.records.clear();
        let asked = usize::from(visit.cell.asked.clamp(1, MAX_ASKED));
        let nobody = Vantage {
            party: scenario.user,
            silent: false,
            lies: false,
            kept: None,
            now: scenario.met,
            there: Shown::Nothing(Outcome::NoAddress),
            again_lost: false,
            there_lost: false,
            past: Vec::new(),
            past_records: Vec::new(),
        };
        scenario.vantages.resize(asked, nobody);
        self.reality.clear();
        self.traits.clear();
        self.traits.resize(asked + 1, Traits::default());
    }
}

/// One visit being drawn.
pub(super) struct Drawing<'a> {
    pub(super) generator: &'a Generator,
    pub(super) world: &'a World,
    pub(super) draw: &'a mut Draw,
    pub(super) shop: &'a mut Workshop,
}

impl Drawing<'_> {
    fn run(&mut self, visit: VisitId) {
        let attack = visit.cell.attack;
        let rollback = matches!(attack, Some(Attack::Rollback { .. }));
        let class = if rollback { SiteClass::PrivateAuthorised } else { self.class() };
        self.shop.scenario.class = class;
        let event = if rollback { None } else { self.event(attack.is_some()) };
        self.shop.scenario.event = event;
        self.parties(attack);
        let known = self.known();
        let change = match event {
            Some((what, since)) => self.change(what, since),
            None if rollback => Some(self.withdrawal()),
            None => None,
        };
        let authorises = rollback.then_some(Authorises::Cas);
        self.builder(known + 2 * DAY).site(class, change, authorises);
        if rollback && self.draw.chance(self.world.attackers.emptied_share) {
            self.empty_record();
        }
        self.settle_in();
        if let Some((what, since)) = event {
            self.strike(what, since);
        }
        if let Some(attack) = attack {
            self.attack(attack);
        }
        self.user_looks();
        self.vantages_look(known);
        self.liars(attack);
        self.shop.scenario.truth = self.truth();
    }

    /// A builder at this site.
    pub(super) fn builder(&mut self, depth: Ago) -> Builder<'_> {
        Builder {
            world: self.world,
            draw: self.draw,
            scenario: &mut self.shop.scenario,
            reality: &mut self.shop.reality,
            depth,
        }
    }

    fn class(&mut self) -> SiteClass {
        self.draw.one_of(&SiteClass::ALL, &self.world.sites.classes.weights(), SiteClass::Single)
    }

    /// What happens, if anything does. An attacker has no use for a network that answers in place of every server.
    fn event(&mut self, attacked: bool) -> Option<(EventKind, Ago)> {
        if !self.draw.chance(self.world.events.share) {
            return None;
        }
        let weights = self.world.events.kinds.weights();
        let kind = self.draw.one_of(&EventKind::ALL, &weights, EventKind::Renewal);
        let age = self.draw.stretched(MINUTE, self.world.events.age_hours * HOUR);
        Some((kind, age)).filter(|(kind, _)| !(attacked && *kind == EventKind::CaptivePortal))
    }

    /// How long the vantage points can have known the service.
    fn known(&mut self) -> Ago {
        if self.draw.chance(self.world.sites.young_share) {
            self.draw.between(HOUR, 7 * DAY)
        } else {
            self.draw.between(7 * DAY, self.world.sites.known_days * DAY)
        }
    }

    fn change(&mut self, what: EventKind, since: Ago) -> Option<Change> {
        let changes = matches!(
            what,
            EventKind::Renewal
                | EventKind::KeyRoll
                | EventKind::CaChange
                | EventKind::NetworkChange
                | EventKind::DnsWindow
        );
        changes.then(|| Change { what, since, announced: self.draw.chance(self.world.events.announced_share) })
    }

    /// The owner has left a CA at once, with good reason.
    fn withdrawal(&mut self) -> Change {
        let since = self.draw.stretched(10 * MINUTE, self.world.attackers.withdrawn_days * DAY);
        Change { what: EventKind::CaChange, since, announced: false }
    }

    /// The owner authorises nobody any more.
    fn empty_record(&mut self) {
        if let Some((record, _)) = self.shop.reality.records.first_mut() {
            *record = 0;
        }
    }

    /// Which front each party comes to, and how late DNS tells it of a move.
    fn settle_in(&mut self) {
        let width = self.shop.reality.width().max(1);
        let lag = self.world.events.lag_minutes * MINUTE;
        let changes = self.shop.reality.changes();
        let rsa_share = self.world.sites.rsa_share;
        let sticky = self.draw.chance(self.world.sites.sticky_share);
        self.shop.reality.stray_share = match self.shop.scenario.class {
            // Anycast leads a party to one place.
            SiteClass::Anycast => 0.0,
            SiteClass::TwoKinds if sticky => 0.0,
            // Those that stray are spread over both kinds.
            SiteClass::TwoKinds => (2.0 * rsa_share).min(1.0),
            _ => self.world.sites.stray_share,
        };
        for place in 0..self.shop.traits.len() {
            let region = usize::from(self.party(place).region);
            let home = match self.shop.scenario.class {
                SiteClass::TwoKinds if sticky => usize::from(self.draw.chance(rsa_share)),
                SiteClass::TwoKinds => 0,
                SiteClass::TwoNetworks => self.draw.place(2),
                SiteClass::SiteKeys => region + 5 * self.draw.place(2),
                _ => region,
            };
            if let Some(traits) = self.shop.traits.get_mut(place) {
                traits.home = (home % width) as u8;
                let late = self.draw.unit();
                // Mostly there is nothing to be late with.
                traits.lag = if changes { stretch(MINUTE, lag, late) } else { 0 };
            }
        }
        // The user looks but once.
        let user = self.traits(0);
        let front = self.shop.reality.choose(&user, self.draw);
        if let Some(user) = self.shop.traits.first_mut() {
            user.home = front;
        }
    }

    pub(super) fn party(&self, place: usize) -> Party {
        let scenario = &self.shop.scenario;
        let vantage = place.checked_sub(1).and_then(|place| scenario.vantages.get(place));
        vantage.map_or(scenario.user, |vantage| vantage.party)
    }

    pub(super) fn traits(&self, place: usize) -> Traits {
        self.shop.traits.get(place).copied().unwrap_or_default()
    }

    fn user_looks(&mut self) {
        let traits = self.traits(0);
        let front = self.user_front();
        self.shop.scenario.met = self.shop.reality.sight(&traits, front, 0, &self.shop.scenario.addresses);
    }

    /// The front that the user's look comes to.
    pub(super) fn user_front(&self) -> u8 {
        self.traits(0).home
    }

    fn vantages_look(&mut self, known: Ago) {
        for place in 0..self.shop.scenario.vantages.len() {
            self.vantage_looks(place, known);
        }
    }

    fn vantage_looks(&mut self, place: usize, known: Ago) {
        let schedule = self.schedule(known);
        self.remembers(place, schedule, |_, _, _| ());
        self.looks_now(place);
    }

    /// Fills in what a vantage point remembers, and the look that it would answer with.
    pub(super) fn remembers(&mut self, place: usize, schedule: Schedule, heard: impl FnMut(u8, u32, u32)) {
        let traits = self.traits(place + 1);
        let Workshop { scenario, reality, .. } = &mut *self.shop;
        let Some(vantage) = scenario.vantages.get_mut(place) else { return };
        vantage.past.clear();
        vantage.past_records.clear();
        let remembering = Remembering { reality, traits: &traits, addresses: &scenario.addresses, schedule };
        let newest = remembering.recall(self.draw, (&mut vantage.past, &mut vantage.past_records), heard);
        let keeps = |sight: &Sight| matches!(sight.shown, Shown::Certificate(_)) && schedule.newest <= KEPT;
        vantage.kept = newest.filter(keeps).map(|sight| (schedule.newest, sight));
    }

    /// Fills in what it meets now.
    fn looks_now(&mut self, place: usize) {
        let world = &self.world.vantages;
        let silent = self.draw.chance(world.silent_share);
        let failing = self.draw.chance(world.failing_share);
        let lost = [self.draw.chance(world.lost_share), self.draw.chance(world.lost_share)];
        let mut traits = self.traits(place + 1);
        let Workshop { scenario, reality, .. } = &mut *self.shop;
        let Scenario { vantages, addresses, met, .. } = scenario;
        let Some(vantage) = vantages.get_mut(place) else { return };
        if failing {
            traits.cut = Some((0, Shown::Nothing(Outcome::Timeout)));
        }
        let front = reality.choose(&traits, self.draw);
        (vantage.silent, vantage.lies) = (silent, false);
        [vantage.again_lost, vantage.there_lost] = lost;
        vantage.now = reality.sight(&traits, front, 0, addresses);
        vantage.there = match met.address {
            // One party is shown one thing at one address.
            address if address.is_some() && vantage.now.address == address => vantage.now.shown,
            Some(address) => reality.shown_at(&traits, front, address, 0, addresses),
            None => Shown::Nothing(Outcome::NoAddress),
        };
    }

    /// When a vantage point looked before.
    fn schedule(&mut self, known: Ago) -> Schedule {
        let world = &self.world.vantages;
        let interval = world.interval_hours * HOUR;
        let newest = if self.draw.chance(world.asleep_share) {
            self.draw.between(interval, (world.asleep_days * DAY).max(interval))
        } else {
            self.draw.between(MINUTE, interval)
        };
        // Not all met it on the same day.
        let since = if self.draw.chance(0.5) { known } else { self.draw.between(known / 3, known) };
        let acquainted = !self.draw.chance(world.unacquainted_share) && since >= newest;
        let count = if acquainted { (since - newest) / interval + 1 } else { 0 };
        Schedule { newest, interval, count }
    }

    fn truth(&self) -> Truth {
        let scenario = &self.shop.scenario;
        match scenario.met.shown {
            Shown::Certificate(place) => {
                scenario.certificates.get(usize::from(place)).map_or(Truth::NoKey, |certificate| certificate.owner)
            }
            Shown::Nothing(_) => Truth::NoKey,
        }
    }
}
