//! Makes visits and has the product's own policies judge them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use parallax_core::Policy;

use super::ablate::conclude_without;
use super::evidence::Desk;
use super::generate::{Generator, Workshop};
use super::names::{Attack, Cell, Helped, Placement, VisitId};
use super::results::{Ablation, Kind, Results, Row, Tally};
use super::scenario::Scenario;

/// Visits that a thread makes before it comes back for more.
const BLOCK: u64 = 2048;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Cells, and how many visits of each.
    pub cells: Vec<(Cell, u64)>,
    /// Who judges.
    pub policies: Vec<Policy>,
    /// What is taken from the default policy, each by itself, besides judging with all.
    pub ablations: Vec<Ablation>,
    /// Threads, at least 1.
    pub jobs: usize,
}

impl Plan {
    /// Shares of captured vantage points, in percent, from one near the user to nearly all.
    pub const CAPTURED: [u8; 6] = [0, 20, 40, 50, 60, 80];

    /// A liar, or a fifth of them, helps a poisoned resolver.
    pub const ONE_LIAR: Attack =
        Attack::Liars { share: 20, placement: Placement::Independent, helped: Helped::Resolver };

    /// Half of the visits honest, the others shared out evenly among the attacks, for each number of asked alike; the first
    /// number also gets the attacks that are looked at for one number only.
    pub fn of(visits: u64, asked: &[u8], seed: u64) -> Self {
        let mut attacks = Vec::new();
        for (place, asked) in asked.iter().enumerate() {
            let kinds = if place == 0 { Self::attacks() } else { Self::attacks_for_all() };
            attacks.extend(kinds.into_iter().map(|attack| Cell { asked: *asked, attack: Some(attack) }));
        }
        let honest = (visits / 2 / asked.len().max(1) as u64).max(1);
        let each = (visits / 2 / attacks.len().max(1) as u64).max(1);
        let cells = asked.iter().map(|asked| (Cell { asked: *asked, attack: None }, honest));
        Self {
            seed,
            cells: cells.chain(attacks.into_iter().map(|cell| (cell, each))).collect(),
            policies: Policy::NAMES.iter().filter_map(|name| Policy::named(name)).collect(),
            ablations: Vec::new(),
            jobs: 1,
        }
    }

    /// The attacks that are looked at for every number of asked.
    fn attacks_for_all() -> Vec<Attack> {
        Self::main_attacks().into_iter().chain([Self::ONE_LIAR]).collect()
    }

    /// Attacks without liars, with the user as their victim.
    pub fn main_attacks() -> Vec<Attack> {
        let near = [Attack::NearMe { resolver: false }, Attack::NearMe { resolver: true }, Attack::Resolver];
        let hijacks = Self::CAPTURED.iter().filter(|captured| **captured > 0);
        let hijacks = hijacks.map(|captured| Attack::Hijack { captured: *captured, with_me: true });
        near.into_iter().chain(hijacks).chain([Attack::SubPrefix, Attack::NearServer]).collect()
    }

    /// All attacks.
    pub fn attacks() -> Vec<Attack> {
        let mut attacks = Self::main_attacks();
        attacks.extend([20, 50, 80].map(|captured| Attack::Hijack { captured, with_me: false }));
        attacks.extend([0, 20, 60].map(|fooled| Attack::Rollback { fooled }));
        attacks.push(Attack::Strip);
        for share in [20, 40, 60] {
            for placement in Placement::ALL {
                attacks.push(Attack::Flood { share, placement });
                attacks.extend(Helped::ALL.map(|helped| Attack::Liars { share, placement, helped }));
            }
        }
        attacks
    }

    /// All visits of the plan.
    pub fn visits(&self) -> u64 {
        self.cells.iter().map(|(_, visits)| visits).sum()
    }

    /// Pieces of work: a cell, its first visit, and after its last.
    fn blocks(&self) -> Vec<(Cell, u64, u64)> {
        let blocks = |(cell, visits): &(Cell, u64)| {
            let (cell, visits) = (*cell, *visits);
            (0..visits.div_ceil(BLOCK)).map(move |block| (cell, block * BLOCK, visits.min((block + 1) * BLOCK)))
        };
        self.cells.iter().flat_map(blocks).collect()
    }
}

/// Makes the visits of a plan. `progress` is told how many have been made since it was last told, from any thread. The
/// results are the same however many threads there are.
pub fn run(generator: &Generator, plan: &Plan, progress: impl Fn(u64) + Sync) -> Results {
    let blocks = plan.blocks();
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Counts::default());
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.max(1) {
            scope.spawn(|| {
                let counts = work(generator, plan, &blocks, &next, &progress);
                all.lock().unwrap_or_else(PoisonError::into_inner).add(counts);
            });
        }
    });
    let counts = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    counts.into_results(generator, plan)
}

fn work(
    generator: &Generator,
    plan: &Plan,
    blocks: &[(Cell, u64, u64)],
    next: &AtomicUsize,
    progress: &(impl Fn(u64) + Sync),
) -> Counts {
    let mut counts = Counts::default();
    let mut workshop: Option<Workshop> = None;
    let mut desk = Desk::new(generator.service().clone());
    while let Some((cell, begin, end)) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
        for index in *begin..*end {
            let visit = VisitId { seed: plan.seed, cell: *cell, index };
            let shop = workshop.get_or_insert_with(|| generator.workshop(visit));
            generator.draw(visit, shop);
            counts.judge(plan, &shop.scenario, &mut desk);
        }
        progress(end - begin);
    }
    counts
}

/// For each kind of visit, a tally of each who judges, in the order of [`judges`].
#[derive(Default)]
struct Counts {
    tallies: BTreeMap<Kind, Vec<Tally>>,
}

/// Who judges, as places in the plan: each policy, and what is taken from it.
fn judges(plan: &Plan) -> impl Iterator<Item = (usize, Option<Ablation>)> + '_ {
    plan.policies.iter().enumerate().flat_map(|(place, policy)| {
        let ablations = plan.ablations.iter().filter(|_| matches!(policy, Policy::Evidence { .. }));
        std::iter::once(None).chain(ablations.map(|ablation| Some(*ablation))).map(move |without| (place, without))
    })
}

impl Counts {
    fn judge(&mut self, plan: &Plan, scenario: &Scenario, desk: &mut Desk) {
        let (now, questions) = desk.gather(scenario);
        let evidence = desk.evidence();
        let tallies = self.tallies.entry(Kind::of(scenario)).or_default();
        for (number, (place, without)) in judges(plan).enumerate() {
            let Some(policy) = plan.policies.get(place) else { continue };
            let (decision, rule) = match without {
                None => policy.conclude(evidence, now),
                Some(ablation) => conclude_without(policy, ablation, evidence, now),
            };
            if tallies.len() == number {
                tallies.push(Tally::default());
            }
            if let Some(tally) = tallies.get_mut(number) {
                tally.take(decision, rule, questions, scenario);
            }
        }
    }

    fn add(&mut self, other: Counts) {
        for (kind, tallies) in other.tallies {
            let known = self.tallies.entry(kind).or_default();
            known.resize_with(known.len().max(tallies.len()), Tally::default);
            known.iter_mut().zip(&tallies).for_each(|(known, tally)| known.add(tally));
        }
    }

    fn into_results(self, generator: &Generator, plan: &Plan) -> Results {
        let rows: BTreeMap<(usize, Option<Ablation>, Kind), Tally> = self
            .tallies
            .into_iter()
            .flat_map(|(kind, tallies)| {
                judges(plan).zip(tallies).map(move |((place, without), tally)| ((place, without, kind), tally))
            })
            .collect();
        let row = |((place, without, kind), tally)| {
            let policy = plan.policies.get(place).map_or("", Policy::name).to_owned();
            Row { policy, without, kind, tally }
        };
        Results {
            world: generator.world().name.clone(),
            seed: plan.seed,
            visits: plan.visits(),
            rows: rows.into_iter().map(row).collect(),
        }
    }
}
