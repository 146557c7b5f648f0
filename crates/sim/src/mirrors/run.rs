//! A simulation from its plan to its results.

use std::sync::Arc;
use std::time::Duration;

use parallax_proto::mirror::{Event, Federation, Hop, Peer, PopularNames, Settings, Signatory};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

use super::clients::{Client, Draws};
use super::engine::{Engine, Node, REGIONS, START};
use super::plan::{BadPlan, Day, Evil, Fate, Plan, Results, share};
use super::sites::Sites;
use super::suite::{Cheap, Identity, Portrait};
use super::watch::Subject;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Sites; the first half of them is popular, the others are what clients of every mirror ask for.
const SITES: u32 = 400;

/// Networks that hold half of the evil: the Sybils.
const SYBIL_NETWORKS: u32 = 5;

/// Simulates. `progress` is told what share is done.
pub fn run(plan: &Plan, mut progress: impl FnMut(f64)) -> Result<Results, BadPlan> {
    plan.check()?;
    let mut world = World::new(plan);
    let mut days = Vec::new();
    for day in 1..=plan.days {
        let mut draws = Draws::default();
        for hour in 0..24 {
            let hours = u64::from(day - 1) * 24 + hour;
            world.hour(hour, &mut draws)?;
            world.engine.run_until((hours + 1) * HOUR_MS - 1)?;
            progress((hours + 1) as f64 / (f64::from(plan.days) * 24.0));
        }
        days.push(world.day(day, draws));
    }
    Ok(world.results(days))
}

pub(super) struct World {
    plan: Plan,
    pub(super) engine: Engine,
    popular: PopularNames,
    clients: Vec<Client>,
    next_identity: u64,
    most_messages: u32,
}

impl World {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut rng = Pcg64::seed_from_u64(plan.seed);
        let sites = Sites::new(SITES, START, &mut rng);
        let popular = sites.popular(0..SITES as usize / 2);
        let engine = Engine::new(sites, rng, Arc::new(Settings::default()), plan.loss);
        let mut world =
            Self { plan: plan.clone(), engine, popular, clients: Vec::new(), next_identity: 0, most_messages: 0 };
        let evil = (f64::from(plan.nodes) * plan.evil).round() as u32;
        for number in 0..plan.nodes {
            world.add(number < evil, 0);
        }
        let peers: Vec<Arc<Peer>> = world.engine.nodes.iter().map(|node| Arc::clone(&node.peer)).collect();
        for number in 0..plan.nodes {
            world.begin(number, &peers);
        }
        world.clients = (0..plan.clients).map(|_| Client::new(&mut world.engine)).collect();
        world
    }

    /// A mirror, with its outages.
    fn add(&mut self, evil: bool, joined_ms: u64) -> Option<u32> {
        let number = self.engine.nodes.len() as u32;
        let identity = Identity::new(self.plan.seed.wrapping_mul(1_000_003).wrapping_add(self.next_identity));
        self.next_identity += 1;
        let kind = evil.then(|| Evil::of(number));
        let sybil = evil && (number / 10).is_multiple_of(2);
        let region = self.engine.rng.random_range(0..REGIONS);
        let portrait = self.portrait(number, sybil, region);
        let at = START.plus(Duration::from_millis(joined_ms)).minus(Duration::from_secs(u64::from(joined_ms == 0)));
        let peer = Arc::new(identity.peer(&portrait, at)?);
        let mut node = Node::new(identity, peer, kind, region, joined_ms);
        node.outages = if evil { Vec::new() } else { self.outages(joined_ms) };
        Some(self.engine.add(node))
    }

    fn portrait(&mut self, number: u32, sybil: bool, region: u8) -> Portrait {
        let (network, operator) = match sybil {
            true => (number % SYBIL_NETWORKS, format!("sybil {}", number % SYBIL_NETWORKS)),
            false => (self.engine.rng.random_range(0x1400..0xdf00), format!("operator {number}")),
        };
        let address =
            format!("https://{}.{}.{}.{}", 11 + (network >> 8) % 200, network & 255, number >> 8, number & 255);
        Portrait { address, region: format!("region-{region}"), operator }
    }

    fn outages(&mut self, from_ms: u64) -> Vec<(u64, u64)> {
        let mut outages = Vec::new();
        let mut at_ms = from_ms + HOUR_MS;
        while at_ms < u64::from(self.plan.days) * DAY_MS {
            if self.engine.rng.random_bool((self.plan.outages_a_day / 24.0).clamp(0.0, 1.0)) {
                let until_ms = at_ms + self.engine.rng.random_range(5..240) * 60_000;
                outages.push((at_ms, until_ms));
                at_ms = until_ms;
            }
            at_ms += HOUR_MS;
        }
        outages
    }

    /// Starts the state machine of an honest mirror.
    fn begin(&mut self, number: u32, known: &[Arc<Peer>]) {
        let now = self.engine.now();
        let Some(node) = self.engine.nodes.get_mut(number as usize).filter(|node| node.evil.is_none()) else { return };
        let me = Signatory { vantage: node.identity.vantage, statement_key: node.identity.statement_key() };
        let mut machine =
            Federation::new(me, Arc::clone(&self.engine.settings), self.popular.clone(), Arc::new(Cheap), now);
        machine.adopt(known.iter().cloned(), now);
        node.machine = Some(Box::new(machine));
        // Not all at the same moment.
        let after_ms = self.engine.rng.random_range(0..10 * 60_000);
        self.engine.send(number, after_ms, Event::Tick);
        for site in SITES / 2..SITES {
            let Some(service) = self.engine.sites.service(site).cloned() else { continue };
            for client in 0..5 {
                let domain = service.host().name().unwrap_or_default().to_owned();
                let event = Event::NameAsked { service: (*service).clone(), domain, client };
                if site % 8 == number % 8 {
                    self.engine.send(number, after_ms + 1, event);
                }
            }
        }
    }

    fn hour(&mut self, hour: u64, draws: &mut Draws) -> Result<(), BadPlan> {
        if hour.is_multiple_of(8) {
            self.engine.tidy();
        }
        for turn in 0..self.plan.joins_a_day {
            if u64::from(turn) % 24 == hour && self.engine.now_ms > 0 {
                self.join()?;
            }
        }
        self.engine.attack(self.plan.forgers)?;
        let mut clients = std::mem::take(&mut self.clients);
        for client in &mut clients {
            if hour == 0 {
                client.refresh(&mut self.engine)?;
            }
            client.check(self.plan.draws_a_day.div_ceil(24), &mut self.engine, draws)?;
        }
        self.clients = clients;
        Ok(())
    }

    /// Somebody new sends its descriptor to one mirror.
    fn join(&mut self) -> Result<(), BadPlan> {
        let evil = self.engine.rng.random_bool(self.plan.evil);
        let joined_ms = self.engine.now_ms + 1;
        let Some(number) = self.add(evil, joined_ms) else { return Ok(()) };
        let first: Vec<Arc<Peer>> = self.engine.nodes.iter().take(25).map(|node| Arc::clone(&node.peer)).collect();
        self.begin(number, &first);
        self.engine.newcomers.push(number);
        let Some(peer) = self.engine.nodes.get(number as usize).map(|node| Arc::clone(&node.peer)) else {
            return Ok(());
        };
        let honest = |node: &Node| node.machine.is_some() && node.joined_ms == 0;
        let hosts: Vec<u32> =
            (0..).zip(&self.engine.nodes).filter(|(_, node)| honest(node)).map(|(number, _)| number).collect();
        let to = hosts.into_iter().find(|number| self.engine.down_until(*number).is_none()).unwrap_or_default();
        self.engine.handle(to, Event::JoinReceived { peer, hop: Hop::Own })
    }

    fn day(&mut self, day: u32, draws: Draws) -> Day {
        let mut sent: Vec<u32> = (0..self.engine.nodes.len() as u32)
            .filter(|number| self.engine.nodes.get(*number as usize).is_some_and(|node| node.machine.is_some()))
            .map(|number| self.engine.watch.sent(number, u64::from(day - 1)))
            .collect();
        sent.sort_unstable();
        let most = sent.last().copied().unwrap_or(0);
        self.most_messages = self.most_messages.max(most);
        let poison = self.clients.iter().map(|client| client.poison(&self.engine.nodes, &self.engine.by_id));
        let (evil, invented, entries) =
            poison.fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2));
        Day {
            day,
            draws: draws.draws,
            evil_share: share(draws.evil, draws.drawn),
            three_liars: draws.three_liars,
            three_evil: draws.three_evil,
            list_evil: share(evil, entries),
            list_invented: share(invented, entries),
            messages_median: sent.get(sent.len() / 2).copied().unwrap_or(0),
            messages_most: most,
            liars_inactive: self.inactive(|subject| matches!(subject.evil, Some(Evil::Liar | Evil::Colluder))),
            selective_inactive: self.inactive(|subject| subject.evil == Some(Evil::Selective)),
            honest_inactive: self.wronged_now(),
        }
    }

    /// Of the pairs of an honest mirror and one of those, the share in which it is inactive.
    fn inactive(&self, of: impl Fn(&Subject) -> bool) -> f64 {
        let those: Vec<&Subject> =
            self.engine.watch.subjects().iter().filter(|subject| subject.joined_ms == 0 && of(subject)).collect();
        let inactive: u64 = those.iter().map(|subject| u64::from(subject.inactive_on)).sum();
        share(inactive, those.len() as u64 * u64::from(self.engine.watch.honest()))
    }

    fn wronged_now(&mut self) -> f64 {
        let subjects: Vec<u32> = self.engine.watch.wronged.keys().map(|(_, subject)| *subject).collect();
        let wronged = subjects.into_iter().filter(|subject| self.engine.down_until(*subject).is_none()).count();
        let honest = u64::from(self.engine.watch.honest());
        share(wronged as u64, honest * honest)
    }

    fn results(self, days: Vec<Day>) -> Results {
        let (honest_removals, honest_longest_hours) = self.wrongs();
        let late = days.iter().filter(|day| day.day > 3);
        let sum = |of: fn(&Day) -> u64| late.clone().map(of).sum::<u64>();
        let newcomers: Vec<&Subject> = self
            .engine
            .watch
            .subjects()
            .iter()
            .filter(|subject| subject.joined_ms > 0 && subject.evil.is_none())
            .collect();
        let hours = |moment: fn(&Subject) -> Option<u64>| {
            let mut hours: Vec<f64> = newcomers
                .iter()
                .filter_map(|subject| Some((moment(subject)? - subject.joined_ms) as f64 / HOUR_MS as f64))
                .collect();
            median(&mut hours)
        };
        Results {
            fates: Evil::ALL.into_iter().map(|kind| self.fate(kind)).collect(),
            newcomers: newcomers.len() as u32,
            promotion_hours_half: hours(|subject| subject.half_ms),
            promotion_hours_most: hours(|subject| subject.most_ms),
            promoted: newcomers.iter().filter(|subject| subject.most_ms.is_some()).count() as u32,
            honest_removals,
            honest_removals_for_dissent: self.engine.watch.for_dissent,
            honest_longest_hours,
            late_draws: sum(|day| day.draws),
            late_three_liars: sum(|day| day.three_liars),
            late_three_evil: sum(|day| day.three_evil),
            most_messages: self.most_messages,
            events: self.engine.watch.events,
            days,
            plan: self.plan,
        }
    }

    fn fate(&self, kind: Evil) -> Fate {
        let those: Vec<&Subject> = self
            .engine
            .watch
            .subjects()
            .iter()
            .filter(|subject| subject.joined_ms == 0 && subject.evil == Some(kind))
            .collect();
        let mut hours: Vec<f64> =
            those.iter().filter_map(|subject| Some(subject.removed_ms? as f64 / HOUR_MS as f64)).collect();
        Fate {
            kind,
            mirrors: those.len() as u32,
            removed: hours.len() as u32,
            hours_longest: hours.iter().copied().reduce(f64::max),
            hours_median: median(&mut hours),
        }
    }

    /// How often an honest mirror made an honest one inactive, and for how long at most, outages of either not counted.
    fn wrongs(&self) -> (u64, f64) {
        let now_ms = self.engine.now_ms;
        let open =
            self.engine.watch.wronged.iter().map(|((observer, subject), since)| (*observer, *subject, *since, now_ms));
        let mut cases = 0;
        let mut longest = 0.0f64;
        for (observer, subject, since, until) in self.engine.watch.amends.iter().copied().chain(open) {
            let down: u64 = [observer, subject].iter().map(|number| self.down_between(*number, since, until)).sum();
            let hours = (until - since).saturating_sub(down) as f64 / HOUR_MS as f64;
            cases += 1;
            longest = longest.max(hours);
        }
        (cases, longest)
    }

    fn down_between(&self, number: u32, since: u64, until: u64) -> u64 {
        let outages = self.engine.nodes.get(number as usize).map_or(&[][..], |node| &node.outages);
        outages.iter().map(|(from, to)| to.min(&until).saturating_sub(*from.max(&since))).sum()
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
