//! Who checks and who is asked, who attacks, and what liars say.

use parallax_core::Outcome;

use super::draw::Draw;
use super::generate::{DAY, Drawing, HOUR, MINUTE};
use super::names::{Attack, Chain, Helped, Placement};
use super::reality::{Hold, Reach};
use super::scenario::{Ago, Answer, Ca, KeyRecord, Party, Places, RecordSpan, Shown, Sight, Span, Truth};

impl Drawing<'_> {
    /// Places the user and the vantage points: in regions that differ as far as they can, as a draw of the client has it,
    /// and where a hijack captures some of them, in ASes.
    pub(super) fn parties(&mut self, attack: Option<Attack>) {
        let weights: [f64; 16] =
            std::array::from_fn(|place| self.world.regions.get(place).map_or(0.0, |region| region.weight));
        let home = self.draw.weighted(&weights) as u8;
        let nobody = Party { region: home, autonomous_system: None, clock_ahead: 0, captured: false };
        self.shop.scenario.user = nobody;
        let mut order: [u8; 16] = std::array::from_fn(|place| place as u8);
        let regions = self.order_of_regions(&weights, &mut order);
        let one = self.draw.chance(self.world.users.one_region_share).then_some(home);
        for (place, vantage) in self.shop.scenario.vantages.iter_mut().enumerate() {
            let spread = order.get(place % regions).copied().unwrap_or_default();
            vantage.party = Party { region: one.unwrap_or(spread), ..nobody };
        }
        self.draw.shuffle(&mut self.shop.scenario.vantages);
        match attack {
            Some(Attack::Hijack { captured, with_me }) => self.capture(captured, with_me),
            Some(Attack::Liars { helped: Helped::Hijack, .. }) => self.capture(20, true),
            Some(Attack::SubPrefix | Attack::NearServer) => self.capture_all(),
            _ => {}
        }
    }

    /// Draws an order of the regions in which the heavier ones tend to come first; returns how many there are.
    fn order_of_regions(&mut self, weights: &[f64; 16], order: &mut [u8; 16]) -> usize {
        let count = self.world.regions.len().clamp(1, 16);
        let mut left = *weights;
        for place in order.iter_mut().take(count) {
            let drawn = self.draw.weighted(&left);
            *place = drawn as u8;
            if let Some(weight) = left.get_mut(drawn) {
                *weight = 0.0;
            }
        }
        count
    }

    fn capture(&mut self, percent: u8, with_me: bool) {
        let scenario = &mut self.shop.scenario;
        let count = part(percent, scenario.vantages.len(), self.draw);
        let mut regions = [0; 33];
        let parties = std::iter::once(scenario.user).chain(scenario.vantages.iter().map(|vantage| vantage.party));
        regions.iter_mut().zip(parties).for_each(|(region, party)| *region = party.region);
        let regions = regions.get(..scenario.vantages.len() + 1).unwrap_or(&[]);
        self.generator.atlas().place(regions, count, with_me, self.draw, &mut self.shop.placed);
        let vantages = scenario.vantages.iter_mut().map(|vantage| &mut vantage.party);
        let parties = std::iter::once(&mut scenario.user).chain(vantages);
        for (party, (place, captured)) in parties.zip(&self.shop.placed.parties) {
            (party.autonomous_system, party.captured) = (Some(place.0), *captured);
        }
    }

    fn capture_all(&mut self) {
        let scenario = &mut self.shop.scenario;
        scenario.user.captured = true;
        scenario.vantages.iter_mut().for_each(|vantage| vantage.party.captured = true);
    }

    /// Lets the attacker in.
    pub(super) fn attack(&mut self, attack: Attack) {
        match attack {
            Attack::NearMe { resolver } => self.near_me(attack, resolver),
            Attack::Resolver => self.poison(attack),
            Attack::Hijack { .. } | Attack::SubPrefix => self.hijack(attack),
            Attack::NearServer => self.near_server(attack),
            Attack::Liars { helped: Helped::NearMe, .. } => self.near_me(attack, false),
            Attack::Liars { helped: Helped::Resolver, .. } => self.poison(attack),
            Attack::Liars { helped: Helped::Hijack, .. } => self.hijack(attack),
            Attack::Rollback { fooled } => self.roll_back(attack, fooled),
            Attack::Strip => self.strip(attack),
            Attack::Flood { .. } => self.shop.scenario.attack = Some((attack, Some(Chain::OtherCa), 0)),
        }
    }

    /// The attacker's certificate: for the service's name, unless somebody inside uses one that he has for another.
    fn false_certificate(&mut self, chain: Chain, age: Ago) -> u16 {
        let sites = self.site_ca();
        let mut builder = self.builder(0);
        let ca = match chain {
            Chain::OwnRoot => Ca::Private(900),
            Chain::OtherCa => builder.other_public(sites),
            Chain::SiteCa => sites,
        };
        let key = builder.new_key();
        let certificate = builder.certificate(Truth::Stranger, key, ca, age.saturating_add(HOUR), 90 * DAY);
        let inside = chain == Chain::SiteCa && matches!(ca, Ca::Private(_));
        if inside && self.draw.chance(self.world.attackers.other_name_share) {
            self.rename(certificate);
        }
        certificate
    }

    /// Makes a certificate one for another name.
    pub(super) fn rename(&mut self, certificate: u16) {
        if let Some(certificate) = self.shop.scenario.certificates.get_mut(usize::from(certificate)) {
            certificate.for_this_name = false;
        }
    }

    /// The CA of what the user would be shown.
    fn site_ca(&self) -> Ca {
        let traits = super::reality::Traits { captured: false, lured: false, ..self.traits(0) };
        let sight = self.shop.reality.sight(&traits, self.user_front(), 0, &self.shop.scenario.addresses);
        let Shown::Certificate(place) = sight.shown else { return Ca::Public(0) };
        self.shop.scenario.certificates.get(usize::from(place)).map_or(Ca::Public(0), |certificate| certificate.ca)
    }

    fn chain(&mut self) -> Chain {
        self.draw.one_of(&Chain::ALL, &self.world.attackers.chains.weights(), Chain::OwnRoot)
    }

    /// Opens the attack: a certificate, how long it has lasted, and a hold that shows it.
    fn open(&mut self, attack: Attack, age: Ago) -> Hold {
        let chain = self.chain();
        let shown = Shown::Certificate(self.false_certificate(chain, age));
        self.shop.scenario.attack = Some((attack, Some(chain), age));
        Hold { since: age, shown, reach: Reach::Nowhere, record: None, lure: None }
    }

    fn near_me(&mut self, attack: Attack, resolver: bool) {
        let age = self.draw.stretched(MINUTE, DAY);
        let mut hold = Hold { reach: Reach::Everywhere, ..self.open(attack, age) };
        if resolver {
            hold.record = Some(self.record_for(hold.shown));
            if self.draw.chance(self.world.attackers.dark_address_share) {
                let dark = self.builder(0).address(true);
                hold.lure = Some((dark, Shown::Nothing(Outcome::Timeout)));
            }
        }
        self.shop.reality.hold = Some(hold);
        self.seize_user(resolver, hold.lure.is_some());
    }

    fn poison(&mut self, attack: Attack) {
        let age = self.draw.stretched(MINUTE, DAY);
        let mut hold = self.open(attack, age);
        let same_network = self.draw.chance(self.world.attackers.same_network_share);
        let open = self.draw.chance(self.world.attackers.open_server_share);
        let others = if open { hold.shown } else { Shown::Nothing(Outcome::Timeout) };
        hold.record = Some(self.record_for(hold.shown));
        hold.lure = Some((self.builder(0).address(!same_network), others));
        self.shop.reality.hold = Some(hold);
        self.seize_user(true, true);
    }

    /// The user is in the attacker's hands; so are the answers of DNS where `misled`.
    fn seize_user(&mut self, misled: bool, lured: bool) {
        if let Some(user) = self.shop.traits.first_mut() {
            (user.captured, user.misled, user.lured) = (true, misled, lured);
        }
        self.shop.scenario.user.captured = true;
    }

    /// A record that names the CA of what is shown.
    fn record_for(&mut self, shown: Shown) -> u8 {
        let Shown::Certificate(place) = shown else { return 0 };
        let ca = self.shop.scenario.certificates.get(usize::from(place)).map(|certificate| certificate.ca);
        let record = KeyRecord { cas: ca.into_iter().collect(), keys: Vec::new() };
        let records = &mut self.shop.scenario.records;
        // The owner may name the same CA: one record has one place.
        let place = records.iter().position(|known| *known == record).unwrap_or_else(|| {
            records.push(record);
            records.len() - 1
        });
        place as u8
    }

    fn hijack(&mut self, attack: Attack) {
        let age = self.draw.stretched(MINUTE, self.world.attackers.hijack_hours * HOUR);
        let mut hold = self.open(attack, age);
        hold.reach = self.user_address().map_or(Reach::Nowhere, |(_, network)| Reach::Network(network));
        self.seize_captured(hold);
    }

    fn near_server(&mut self, attack: Attack) {
        let age = self.draw.stretched(MINUTE, self.world.attackers.server_days * DAY);
        let mut hold = self.open(attack, age);
        hold.reach = self.user_address().map_or(Reach::Nowhere, |(address, _)| Reach::Address(address));
        self.seize_captured(hold);
    }

    /// The captured are in the attacker's hands, and perhaps their DNS.
    fn seize_captured(&mut self, mut hold: Hold) {
        let misled = self.draw.chance(self.world.attackers.dns_share);
        if misled {
            hold.record = Some(self.record_for(hold.shown));
        }
        self.shop.reality.hold = Some(hold);
        let scenario = &self.shop.scenario;
        let parties = std::iter::once(&scenario.user).chain(scenario.vantages.iter().map(|vantage| &vantage.party));
        for (traits, party) in self.shop.traits.iter_mut().zip(parties) {
            (traits.captured, traits.misled) = (party.captured, misled && party.captured);
        }
    }

    /// The address that DNS leads the user to, and its network.
    fn user_address(&self) -> Option<(u8, u8)> {
        let sight = self.shop.reality.sight(&self.traits(0), self.user_front(), 0, &self.shop.scenario.addresses);
        let address = sight.address?;
        Some((address, self.shop.scenario.addresses.get(usize::from(address))?.network))
    }

    /// The owner has left a CA; the attacker holds a certificate of it, and brings back the record that named it.
    fn roll_back(&mut self, attack: Attack, fooled: u8) {
        let withdrawn = self.shop.reality.records.first().map_or(HOUR, |(_, since)| *since);
        let age = self.draw.stretched(MINUTE, withdrawn.clamp(MINUTE, DAY));
        let mut builder = self.builder(0);
        let key = builder.new_key();
        let certificate = builder.certificate(Truth::Stranger, key, Ca::Private(1), withdrawn, 90 * DAY);
        let old = self.shop.reality.records.last().map(|(record, _)| *record);
        let shown = Shown::Certificate(certificate);
        self.shop.reality.hold = Some(Hold { since: age, shown, reach: Reach::Everywhere, record: old, lure: None });
        self.shop.scenario.attack = Some((attack, Some(Chain::SiteCa), age));
        self.seize_user(true, false);
        let count = part(fooled, self.shop.scenario.vantages.len(), self.draw);
        for place in self.some_vantages(count) {
            if let Some(traits) = self.shop.traits.get_mut(place + 1) {
                traits.misled = true;
            }
        }
    }

    fn strip(&mut self, attack: Attack) {
        let shown = Shown::Nothing(Outcome::NotTls);
        let age = self.draw.stretched(MINUTE, DAY);
        self.shop.reality.hold = Some(Hold { since: age, shown, reach: Reach::Everywhere, record: None, lure: None });
        self.shop.scenario.attack = Some((attack, None, age));
        self.seize_user(false, false);
    }

    /// So many places of vantage points, each once.
    fn some_vantages(&mut self, count: usize) -> Vec<usize> {
        self.shop.order.clear();
        self.shop.order.extend(0..self.shop.scenario.vantages.len());
        self.draw.shuffle(&mut self.shop.order);
        self.shop.order.iter().take(count).copied().collect()
    }

    /// Has the liars say what they want believed, in place of what they saw.
    pub(super) fn liars(&mut self, attack: Option<Attack>) {
        match attack {
            Some(Attack::Liars { share, placement, .. }) => {
                let met = self.shop.scenario.met;
                self.lie(share, placement, met.shown, 0);
            }
            Some(Attack::Flood { share, placement }) => {
                let decoy = Shown::Certificate(self.false_certificate(Chain::OtherCa, 0));
                let record = self.record_for(decoy);
                self.lie(share, placement, decoy, record);
            }
            _ => {}
        }
    }

    /// Liars claim that the site shows this at the user's address and has for more than a year, and that DNS has always
    /// had this record.
    fn lie(&mut self, share: u8, placement: Placement, shown: Shown, record: u8) {
        let Some(address) = self.shop.scenario.met.address else { return };
        let Shown::Certificate(certificate) = shown else { return };
        let count = part(share, self.shop.scenario.vantages.len(), self.draw);
        let liars = self.some_vantages(count);
        self.stand(&liars, placement);
        let dns = Answer { first: address, count: 1, record: Some(record), secure: false };
        for liar in liars {
            let Some(vantage) = self.shop.scenario.vantages.get_mut(liar) else { continue };
            (vantage.silent, vantage.lies, vantage.kept) = (false, true, None);
            (vantage.again_lost, vantage.there_lost) = (false, false);
            vantage.party.clock_ahead = 0;
            vantage.now = Sight { dns, address: Some(address), shown };
            vantage.there = shown;
            let (first, last) = (400 * DAY, HOUR);
            vantage.past.clear();
            vantage.past.push(Span { certificate, places: Places::one(address), first, last });
            vantage.past_records.clear();
            vantage.past_records.push(RecordSpan { record, first, last });
        }
    }

    /// Puts the liars where they stand. In thin regions each has one to itself, as far as there are enough: the honest ones
    /// then share two.
    fn stand(&mut self, liars: &[usize], placement: Placement) {
        let regions = self.world.regions.len().max(1);
        let begin = self.draw.place(regions);
        let turn = |step: usize| ((begin + step) % regions) as u8;
        match placement {
            Placement::Independent => {}
            Placement::OneNetwork => {
                for liar in liars {
                    self.put(*liar, turn(0));
                }
            }
            Placement::ThinRegions => {
                let shared = if regions > 2 { 2 } else { 1 };
                for place in 0..self.shop.scenario.vantages.len() {
                    match liars.iter().position(|liar| *liar == place) {
                        Some(rank) => self.put(place, turn(shared + rank % (regions - shared).max(1))),
                        None => self.put(place, turn(place % shared)),
                    }
                }
            }
        }
    }

    fn put(&mut self, place: usize, region: u8) {
        if let Some(vantage) = self.shop.scenario.vantages.get_mut(place) {
            vantage.party.region = region;
        }
    }
}

/// So many percent of a number: the number below or the one above, so that it is right on the whole.
fn part(percent: u8, of: usize, draw: &mut Draw) -> usize {
    let hundredths = usize::from(percent.min(100)) * of;
    let rest = (hundredths % 100) as f64 / 100.0;
    hundredths / 100 + usize::from(draw.chance(rest))
}
