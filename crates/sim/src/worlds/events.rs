//! What happens around a site: outages, failing DNS, gatekeepers and wrong clocks. What changes the site itself is
//! built into it (`build`).

use parallax_core::Outcome;

use super::generate::{DAY, Drawing, MINUTE};
use super::names::EventKind;
use super::reality::{Hold, Reach};
use super::scenario::{Ago, Ca, Shown, Truth};

impl Drawing<'_> {
    /// What an event does besides changing the site.
    pub(super) fn strike(&mut self, what: EventKind, since: Ago) {
        match what {
            EventKind::Outage => self.outage(since),
            EventKind::Servfail => self.servfail(since),
            EventKind::CaptivePortal => self.captive_portal(since),
            EventKind::GeoBlock => self.geo_block(since),
            EventKind::ClockSkew => self.clock_skew(),
            EventKind::Renewal
            | EventKind::KeyRoll
            | EventKind::CaChange
            | EventKind::NetworkChange
            | EventKind::DnsWindow => {}
        }
    }

    /// A front that is not the user's is gone, or some vantage points can't reach the site at all.
    fn outage(&mut self, since: Ago) {
        let width = self.shop.reality.width();
        if width > 1 && self.draw.chance(0.5) {
            let other = (usize::from(self.user_front()) + 1 + self.draw.place(width - 1)) % width;
            self.shop.reality.front_down = Some((other as u8, since));
            return;
        }
        let share = 0.2 + 0.6 * self.draw.unit();
        for traits in self.shop.traits.iter_mut().skip(1) {
            if self.draw.chance(share) {
                traits.cut = Some((since, Shown::Nothing(Outcome::Timeout)));
            }
        }
    }

    fn servfail(&mut self, since: Ago) {
        let region = self.other_region();
        for place in 1..self.shop.traits.len() {
            if self.party(place).region == region
                && let Some(traits) = self.shop.traits.get_mut(place)
            {
                traits.dns_down = Some(since);
            }
        }
    }

    fn captive_portal(&mut self, since: Ago) {
        let key = self.builder(0).new_key();
        let portal = self.builder(0).certificate(Truth::Stranger, key, Ca::Private(700), since, DAY);
        if self.draw.chance(0.5) {
            self.rename(portal);
        }
        let shown = match self.draw.below(4) {
            0 => Shown::Nothing(Outcome::Refused),
            1 => Shown::Nothing(Outcome::NotTls),
            _ => Shown::Certificate(portal),
        };
        self.shop.reality.hold = Some(Hold { since, shown, reach: Reach::Everywhere, record: None, lure: None });
        if let Some(user) = self.shop.traits.first_mut() {
            user.captured = true;
        }
        self.shop.scenario.user.captured = true;
    }

    fn geo_block(&mut self, since: Ago) {
        let region = self.other_region();
        let page = self.draw.chance(self.world.events.block_page_share);
        let ca = Ca::Public(self.draw.below(self.world.sites.public_cas) as u8);
        let key = self.builder(0).new_key();
        let gatekeeper = self.builder(0).certificate(Truth::Stranger, key, ca, since, 90 * DAY);
        self.rename(gatekeeper);
        let outcomes = [Outcome::Reset, Outcome::Timeout, Outcome::Refused];
        let outcome = outcomes.get(self.draw.place(3)).copied().unwrap_or(Outcome::Reset);
        let shown = if page { Shown::Certificate(gatekeeper) } else { Shown::Nothing(outcome) };
        for place in 1..self.shop.traits.len() {
            if self.party(place).region == region
                && let Some(traits) = self.shop.traits.get_mut(place)
            {
                traits.cut = Some((since, shown));
            }
        }
    }

    /// A region of the asked in which the user is not; the next one when there is none.
    fn other_region(&mut self) -> u8 {
        let own = self.shop.scenario.user.region;
        let others = self.shop.scenario.vantages.iter().map(|vantage| vantage.party.region);
        let others: Vec<_> = others.filter(|region| *region != own).collect();
        others.get(self.draw.place(others.len())).copied().unwrap_or(own + 1)
    }

    /// One clock is wrong by a minute to a day: that of a vantage point, or of the user.
    fn clock_skew(&mut self) {
        let off = i32::try_from(self.draw.stretched(MINUTE, DAY)).unwrap_or(0);
        let off = if self.draw.chance(0.5) { off } else { -off };
        if self.draw.chance(1.0 / 3.0) {
            self.shop.scenario.user.clock_ahead = off;
            return;
        }
        let place = self.draw.place(self.shop.scenario.vantages.len());
        if let Some(vantage) = self.shop.scenario.vantages.get_mut(place) {
            vantage.party.clock_ahead = off;
        }
    }
}
