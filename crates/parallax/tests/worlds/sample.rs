//! Which visits are staged: every class of site with every event, every attack, the three mixtures in turn.

use std::collections::BTreeMap;

use parallax_core::Policy;
use parallax_sim::topology::{Topology, TopologyParameters};
use parallax_sim::worlds::{
    Ago, Atlas, Attack, Cell, EventKind, Generator, Plan, Scenario, SiteClass, Vantage, VisitId, World,
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

    /// What no visit of the sample has. Without faketime no clock can be wrong.
    pub(crate) fn lacks(&self) -> Vec<&'static str> {
        let is_there = |one: &Trait| self.drawn.iter().any(|drawn| one.is_of(&drawn.scenario));
        let wanted = Trait::ALL.into_iter().filter(|one| *one != Trait::WrongClock || faketime::is_there());
        wanted.filter(|one| !is_there(one)).map(Trait::as_str).collect()
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

/// The first visit of the first mixture, with this attack or none, that is as `is_wanted` says.
pub(crate) fn first(attack: Option<Attack>, is_wanted: impl Fn(&Scenario) -> bool) -> Drawn {
    let generator = generator(World::BUILT_IN[0]);
    let cell = Cell { asked: 5, attack };
    let mut scenarios = (0..).map(|index| generator.scenario(VisitId { seed: SEED, cell, index }));
    let scenario = scenarios.find(|scenario| is_wanted(scenario) && why_not(scenario).is_none()).unwrap();
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
    if !faketime::is_there() && (is_any_clock_wrong(scenario) || scenario.user.clock_ahead != 0) {
        return Some("a clock is wrong, and faketime is not installed");
    }
    let conclusion = |scenario: &Scenario| {
        let gathered = scenario.gather();
        Policy::default().conclude(&gathered.evidence, gathered.now)
    };
    (conclusion(scenario) != conclusion(&older(scenario))).then_some("an age is within a minute of a rule's")
}

/// What a visit may have besides a class, an event and an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trait {
    /// A vantage point that answers reads a record that is signed.
    Signed,
    /// The clock of a vantage point that answers is wrong.
    WrongClock,
    /// A vantage point answers the first question, and not a second.
    LostAnswer,
}

impl Trait {
    const ALL: [Self; 3] = [Self::Signed, Self::WrongClock, Self::LostAnswer];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "a record is signed",
            Self::WrongClock => "the clock of a vantage point is wrong",
            Self::LostAnswer => "a second answer is lost",
        }
    }

    pub(crate) fn all_of(scenario: &Scenario) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|one| one.is_of(scenario))
    }

    pub(crate) fn is_of(self, scenario: &Scenario) -> bool {
        match self {
            Self::Signed => scenario.vantages.iter().any(|vantage| !vantage.silent && reads_signed(vantage)),
            Self::WrongClock => is_any_clock_wrong(scenario),
            Self::LostAnswer => loses_answers(scenario),
        }
    }
}

fn reads_signed(vantage: &Vantage) -> bool {
    vantage.now.dns.secure || vantage.kept.is_some_and(|(_, sight)| sight.dns.secure)
}

fn is_any_clock_wrong(scenario: &Scenario) -> bool {
    scenario.vantages.iter().any(|vantage| !vantage.silent && vantage.party.clock_ahead != 0)
}

/// Whether it matters that second questions go unanswered.
fn loses_answers(scenario: &Scenario) -> bool {
    let mut answered = scenario.clone();
    answered.vantages.iter_mut().for_each(|vantage| (vantage.again_lost, vantage.there_lost) = (false, false));
    answered.evidence() != scenario.evidence()
}

/// The same a minute later.
fn older(scenario: &Scenario) -> Scenario {
    let mut older = scenario.clone();
    let age = |ago: &mut Ago| *ago = ago.saturating_add(EDGE);
    if is_any_clock_wrong(scenario) || scenario.user.clock_ahead != 0 {
        // An answer is judged a moment after it was stamped.
        older.vantages.iter_mut().for_each(|vantage| vantage.party.clock_ahead -= EDGE.cast_signed());
    }
    older.certificates.iter_mut().for_each(|certificate| age(&mut certificate.issued));
    for vantage in &mut older.vantages {
        vantage.kept = vantage.kept.map(|(ago, sight)| (ago + EDGE, sight)).filter(|(ago, _)| *ago <= 86_400);
        vantage.past.iter_mut().for_each(|span| [&mut span.first, &mut span.last].into_iter().for_each(age));
        vantage.past_records.iter_mut().for_each(|span| [&mut span.first, &mut span.last].into_iter().for_each(age));
    }
    older
}
