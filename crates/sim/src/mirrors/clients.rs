//! Clients: they agree on lists, draw, and report what they find.

use std::collections::BTreeSet;

use parallax_core::{Network, VantageId};
use parallax_proto::mirror::{
    Drawable, FIRST_ASKED, Heard, LISTS_ASKED, MasterList, Report, Sampler, Status, consensus,
};
use rand::RngExt as _;

use super::engine::{Engine, Node};
use super::plan::BadPlan;
use super::quick::Table;
use super::suite::Cheap;

/// Entries that an evil mirror invents in a list.
const INVENTED: u32 = 200;

/// One client.
pub(super) struct Client {
    key: [u8; 32],
    list: MasterList,
    /// The ring of the day: as long as the list stays, so does it.
    sampler: Sampler<'static>,
}

/// What a day of draws showed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draws {
    pub(super) draws: u64,
    pub(super) drawn: u64,
    pub(super) evil: u64,
    pub(super) three_liars: u64,
    pub(super) three_evil: u64,
}

impl Client {
    pub(super) fn new(engine: &mut Engine) -> Self {
        let key = engine.rng.random();
        Self { key, list: MasterList::default(), sampler: Sampler::new(&Cheap, key, []) }
    }

    /// Asks up to 25 mirrors for their lists.
    pub(super) fn refresh(&mut self, engine: &mut Engine) -> Result<(), BadPlan> {
        let known: Vec<u32> = match self.list.entries() {
            [] => (0..engine.nodes.len() as u32).collect(),
            entries => entries.iter().filter_map(|entry| engine.by_id.get(&entry.vantage).copied()).collect(),
        };
        let mut asked = BTreeSet::new();
        for _ in 0..LISTS_ASKED * 4 {
            if asked.len() < LISTS_ASKED && !known.is_empty() {
                asked.extend(known.get(engine.rng.random_range(0..known.len())).copied());
            }
        }
        let heard: Vec<Heard> = asked.iter().filter_map(|number| engine.list_of(*number)).collect();
        let now = engine.now();
        self.list.refresh(&consensus(&heard), now, &mut engine.rng);
        let networks: BTreeSet<Network> = heard.iter().map(|list| list.from).collect();
        // Invariant 6.
        if self.list.entries().iter().any(|entry| entry.support > 0 && entry.support as usize * 2 <= networks.len()) {
            let day = engine.now_ms as f64 / 86_400_000.0;
            return Err(BadPlan::Invariant { day, what: "a list holds what half of the lists do not know".into() });
        }
        let drawable = |entry: &parallax_proto::mirror::Kept| {
            let node = engine.nodes.get(*engine.by_id.get(&entry.vantage)? as usize)?;
            Some(Drawable { anchor: entry.anchor, ..Drawable::of(&node.peer) })
        };
        self.sampler = Sampler::new(&Cheap, self.key, self.list.entries().iter().filter_map(drawable));
        Ok(())
    }

    /// Of its list, how many entries are evil, how many invented, and how many there are.
    pub(super) fn poison(&self, nodes: &[Node], by_id: &Table<VantageId, u32>) -> (u64, u64, u64) {
        let entries = self.list.entries();
        let real: Vec<&Node> =
            entries.iter().filter_map(|entry| nodes.get(*by_id.get(&entry.vantage)? as usize)).collect();
        let evil = real.iter().filter(|node| node.evil.is_some()).count();
        (evil as u64, (entries.len() - real.len()) as u64, entries.len() as u64)
    }

    /// Draws three for each of some sites; the first few checks of an hour are carried out, and reported when the views
    /// differ.
    pub(super) fn check(&self, many: u32, engine: &mut Engine, draws: &mut Draws) -> Result<(), BadPlan> {
        for number in 0..many {
            let site = engine.rng.random_range(0..engine.sites.len() as u32);
            let Some(service) = engine.sites.service(site).cloned() else { continue };
            let drawn = self.sampler.draw(&service, engine.now(), FIRST_ASKED);
            are_apart(&drawn, engine.now_ms)?;
            let numbers: Vec<u32> =
                drawn.iter().filter_map(|mirror| engine.by_id.get(&mirror.vantage).copied()).collect();
            draws.add(&numbers, &engine.nodes);
            if number < 2 {
                engine.check_and_report(&numbers, &service)?;
            }
        }
        Ok(())
    }
}

/// Invariant 5.
fn are_apart(drawn: &[&Drawable], now_ms: u64) -> Result<(), BadPlan> {
    let networks: BTreeSet<Network> = drawn.iter().flat_map(|mirror| mirror.networks.iter().copied()).collect();
    let operators: BTreeSet<_> = drawn.iter().filter_map(|mirror| mirror.operator.clone()).collect();
    match networks.len() == drawn.len() && operators.len() == drawn.len() {
        true => Ok(()),
        false => {
            let day = now_ms as f64 / 86_400_000.0;
            Err(BadPlan::Invariant { day, what: "a draw has two of one network or operator".into() })
        }
    }
}

impl Draws {
    fn add(&mut self, drawn: &[u32], nodes: &[Node]) {
        let nodes: Vec<&Node> = drawn.iter().filter_map(|number| nodes.get(*number as usize)).collect();
        self.draws += 1;
        self.drawn += nodes.len() as u64;
        self.evil += nodes.iter().filter(|node| node.evil.is_some()).count() as u64;
        if nodes.len() == FIRST_ASKED {
            self.three_liars += u64::from(nodes.iter().all(|node| node.lies_to_clients()));
            self.three_evil += u64::from(nodes.iter().all(|node| node.evil.is_some()));
        }
    }
}

impl Engine {
    /// What a mirror lists as active: the honest what they know, the evil themselves and inventions.
    fn list_of(&mut self, number: u32) -> Option<Heard> {
        let evil = self.nodes.get(number as usize)?.evil.is_some();
        let invented: Vec<VantageId> = match evil {
            true => (0..INVENTED).map(|_| VantageId::from_bytes(self.rng.random())).collect(),
            false => Vec::new(),
        };
        if self.down_until(number).is_some() {
            return None;
        }
        let node = self.nodes.get(number as usize)?;
        let from = node.peer.network();
        let Some(machine) = node.machine.as_deref() else {
            let ring = self.nodes.iter().filter(|node| node.evil.is_some()).map(|node| node.identity.vantage);
            return Some(Heard { from, mirrors: ring.chain(invented).collect() });
        };
        let active = machine.statuses().filter(|(_, status)| *status == Status::Active);
        Some(Heard { from, mirrors: active.map(|(peer, _)| peer.vantage()).collect() })
    }

    /// A client asks all of a draw; when their views differ, it reports all to all of them.
    fn check_and_report(&mut self, drawn: &[u32], service: &parallax_core::ServiceId) -> Result<(), BadPlan> {
        let lie = drawn.iter().any(|number| self.nodes.get(*number as usize).is_some_and(Node::lies_to_clients));
        if !lie {
            return Ok(());
        }
        let views: Vec<_> = drawn.iter().filter_map(|number| self.view(*number, service, true)).collect();
        let views = views.iter().map(|view| view.signed().clone()).collect();
        let report = Report { views, descriptors: Vec::new() };
        for number in drawn {
            self.report(*number, report.clone(), service)?;
        }
        Ok(())
    }
}
