//! Which visits are staged: every class of site with every event, every attack, the three mixtures in turn.

use std::collections::BTreeMap;

use parallax_core::Policy;
use parallax_sim::topology::{Topology, TopologyParameters};
use parallax_sim::worlds::{
    Ago, Answer, Atlas, Attack, Cell, EventKind, Generator, Plan, Scenario, SiteClass, VisitId, World,
};
use rand_pcg::Pcg32;

use crate::faketime;

/// The seed of the sample.
const SEED: u64 = 20_261_125;

/// Vantage points that are asked, in turn.
const ASKED: [u8; 4] = [5, 5, 3, 8];

/// Visits of a cell that are looked through for one that is wanted.
const SEARCHED: u64 = 60_000;

/// An age that is no longer by a minute may be that of a rule; what is staged gets older by a few seconds.
const EDGE: Ago = 60;

/// A visit and the mixture that it was drawn from.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) mixture: &'static str,
    pub(crate) scenario: Scenario,
}

/// What was drawn, and what was not taken, by reason.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) drawn: Vec<Drawn>,
    pub(crate) passed_over: BTreeMap<&'static str, usize>,
    /// What was wanted and never found.
    pub(crate) not_found: Vec<String>,
}

/// What is wanted of a visit. Without an attack the event is that one, or none; with one it is as chance has it.
struct Wish {
    mixture: usize,
    cell: Cell,
    class: Option<SiteClass>,
    event: Option<EventKind>,
}

impl Wish {
    fn is_met_by(&self, scenario: &Scenario) -> bool {
        let event = scenario.event.map(|(kind, _)| kind);
        self.class.is_none_or(|class| class == scenario.class) && (self.cell.attack.is_some() || self.event == event)
    }

    fn describe(&self) -> String {
        let class = self.class.map_or("any", SiteClass::as_str);
        format!("{} at a site {class}, event {}", self.cell, self.event.map_or("none", EventKind::as_str))
    }
}

impl Sample {
    /// So many visits, or as many more as it takes to have each kind once.
    pub(crate) fn of(wanted: usize) -> Self {
        let mut sample = Self::default();
        let generators = World::BUILT_IN.map(generator);
        for round in 0.. {
            if round > 0 && sample.drawn.len() >= wanted {
                break;
            }
            let wishes: Vec<_> = honest(round).chain(attacked(round)).chain(attacked(round + 100)).collect();
            for (cell, mixture) in cells(&wishes) {
                sample.fill(&generators, &wishes, cell, mixture, round);
            }
        }
        sample
    }

    /// Goes once through the visits of a cell, and gives each wish the first that meets it.
    fn fill(&mut self, generators: &[Generator; 3], wishes: &[Wish], cell: Cell, mixture: usize, round: usize) {
        let mut open: Vec<_> = wishes.iter().filter(|wish| wish.cell == cell && wish.mixture == mixture).collect();
        let begin = round as u64 * SEARCHED;
        for index in begin..begin + SEARCHED {
            if open.is_empty() {
                break;
            }
            let scenario = generators[mixture].scenario(VisitId { seed: SEED, cell, index });
            let Some(place) = open.iter().position(|wish| wish.is_met_by(&scenario)) else { continue };
            match why_not(&scenario) {
                Some(why) => *self.passed_over.entry(why).or_default() += 1,
                None => {
                    open.remove(place);
                    self.drawn.push(Drawn { mixture: World::BUILT_IN[mixture], scenario });
                }
            }
        }
        self.not_found.extend(open.iter().map(|wish| wish.describe()));
    }
}

/// The first visit with this attack, from the first mixture.
pub(crate) fn first(attack: Attack) -> Drawn {
    let generator = generator(World::BUILT_IN[0]);
    let cell = Cell { asked: 5, attack: Some(attack) };
    let mut scenarios = (0..).map(|index| generator.scenario(VisitId { seed: SEED, cell, index }));
    let scenario = scenarios.find(|scenario| why_not(scenario).is_none()).unwrap();
    Drawn { mixture: World::BUILT_IN[0], scenario }
}

fn generator(name: &str) -> Generator {
    let world = World::built_in(name).unwrap();
    let parameters = TopologyParameters { ases: 600, ..TopologyParameters::default() };
    let topology = Topology::generate(&parameters, &mut Pcg32::new(1, 1)).unwrap();
    let atlas = Atlas::survey(&topology, world.regions.len(), world.attackers.pairs, 1);
    Generator::new(world, atlas).unwrap()
}

/// Every class with every event, and with none.
fn honest(round: usize) -> impl Iterator<Item = Wish> {
    let events = || std::iter::once(None).chain(EventKind::ALL.map(Some));
    let kinds = SiteClass::ALL.into_iter().flat_map(move |class| events().map(move |event| (class, event)));
    kinds.enumerate().map(move |(place, (class, event))| Wish {
        mixture: (place + round) % 3,
        cell: Cell { asked: ASKED[round % ASKED.len()], attack: None },
        class: Some(class),
        event,
    })
}

/// Every attack, at one class after the other.
fn attacked(round: usize) -> impl Iterator<Item = Wish> {
    Plan::attacks().into_iter().enumerate().map(move |(place, attack)| Wish {
        mixture: (place + round) % 3,
        cell: Cell { asked: ASKED[(place + round) % ASKED.len()], attack: Some(attack) },
        // Whoever has withdrawn a CA is of the one class that can.
        class: (!matches!(attack, Attack::Rollback { .. }))
            .then(|| SiteClass::ALL[(place + round) % SiteClass::ALL.len()]),
        event: None,
    })
}

fn cells(wishes: &[Wish]) -> Vec<(Cell, usize)> {
    let mut cells: Vec<_> = wishes.iter().map(|wish| (wish.cell, wish.mixture)).collect();
    cells.sort();
    cells.dedup();
    cells
}

/// Why a visit can't be staged.
fn why_not(scenario: &Scenario) -> Option<&'static str> {
    let kept = |vantage: &parallax_sim::worlds::Vantage| vantage.kept.map(|(_, sight)| sight.dns);
    let answers = scenario.vantages.iter().flat_map(|vantage| [Some(vantage.now.dns), kept(vantage)]).flatten();
    let mut answers = answers.chain([scenario.met.dns]);
    if scenario.vantages.iter().any(|vantage| vantage.party.clock_ahead != 0) {
        return Some("the clock of a vantage point is wrong");
    }
    if scenario.user.clock_ahead != 0 && !faketime::is_there() {
        return Some("the user's clock is wrong, and faketime is not installed");
    }
    if answers.any(|answer: Answer| answer.secure) {
        return Some("a record is signed (DNSSEC)");
    }
    if loses_answers(scenario) {
        return Some("a vantage point answers the first question and not a second");
    }
    let conclusion = |scenario: &Scenario| {
        let gathered = scenario.gather();
        Policy::default().conclude(&gathered.evidence, gathered.now)
    };
    (conclusion(scenario) != conclusion(&older(scenario))).then_some("an age is within a minute of a rule's")
}

/// Whether it matters that second questions go unanswered. Only the node could tell them from the first.
fn loses_answers(scenario: &Scenario) -> bool {
    let mut answered = scenario.clone();
    answered.vantages.iter_mut().for_each(|vantage| (vantage.again_lost, vantage.there_lost) = (false, false));
    answered.evidence() != scenario.evidence()
}

/// The same a minute later.
fn older(scenario: &Scenario) -> Scenario {
    let mut older = scenario.clone();
    let age = |ago: &mut Ago| *ago = ago.saturating_add(EDGE);
    older.certificates.iter_mut().for_each(|certificate| age(&mut certificate.issued));
    for vantage in &mut older.vantages {
        vantage.kept = vantage.kept.map(|(ago, sight)| (ago + EDGE, sight)).filter(|(ago, _)| *ago <= 86_400);
        vantage.past.iter_mut().for_each(|span| [&mut span.first, &mut span.last].into_iter().for_each(age));
        vantage.past_records.iter_mut().for_each(|span| [&mut span.first, &mut span.last].into_iter().for_each(age));
    }
    older
}
