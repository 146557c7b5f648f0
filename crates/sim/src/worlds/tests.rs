//! What the generator promises.

use std::collections::BTreeSet;

use parallax_core::{Evidence, History, MAX_NETWORKS, Outcome, Policy};
use proptest::prelude::*;

use super::draw::Draw;
use super::fill::{Spare, no_look};
use super::generate::{DAY, Drawing, HOUR};
use super::past::Schedule;
use super::scenario::Ago;
use super::*;
use crate::topology::{Topology, TopologyParameters};

fn generator(name: &str) -> Generator {
    let world = World::built_in(name).unwrap();
    let parameters = TopologyParameters { ases: 600, ..TopologyParameters::default() };
    let topology = Topology::generate(&parameters, &mut rand_pcg::Pcg32::new(1, 1)).unwrap();
    let atlas = Atlas::survey(&topology, world.regions.len(), world.attackers.pairs, 1);
    Generator::new(world, atlas).unwrap()
}

fn visit(asked: u8, attack: Option<Attack>, index: u64) -> VisitId {
    VisitId { seed: 7, cell: Cell { asked, attack }, index }
}

/// What a vantage point remembers before it is asked.
fn remembered(scenario: &Scenario, vantage: &Vantage) -> History {
    let mut history = History::default();
    scenario.fill_history(&mut history, vantage, &mut Spare::default());
    history
}

/// Visits of every kind, honest and attacked, in turn.
fn every_kind(generator: &Generator, each: u64) -> impl Iterator<Item = Scenario> + '_ {
    let kinds = std::iter::once(None).chain(Plan::attacks().into_iter().map(Some));
    kinds.flat_map(move |attack| (0..each).map(move |index| generator.scenario(visit(5, attack, index))))
}

/// What an event brings that is not the site's.
fn strangers(scenario: &Scenario) -> bool {
    matches!(scenario.event, Some((EventKind::CaptivePortal | EventKind::GeoBlock, _)))
}

fn owners(scenario: &Scenario, shown: Shown) -> bool {
    match shown {
        Shown::Certificate(place) => scenario.certificates[usize::from(place)].owner == Truth::Owner,
        Shown::Nothing(_) => true,
    }
}

#[test]
fn nobody_in_an_honest_visit_meets_a_key_that_the_owner_does_not_hold() {
    for name in World::BUILT_IN {
        let generator = generator(name);
        let honest = (0..3000).map(|index| generator.scenario(visit(5, None, index)));
        for scenario in honest.filter(|scenario| !strangers(scenario)) {
            assert!(owners(&scenario, scenario.met.shown), "{:?}", scenario.visit);
            for vantage in &scenario.vantages {
                let kept = vantage.kept.map_or(vantage.now.shown, |(_, sight)| sight.shown);
                let past = vantage.past.iter().map(|span| Shown::Certificate(span.certificate));
                let mut shown = past.chain([vantage.now.shown, vantage.there, kept]);
                assert!(shown.all(|shown| owners(&scenario, shown)), "{:?}", scenario.visit);
            }
        }
    }
}

#[test]
fn a_history_is_one_that_the_product_could_hold() {
    for name in World::BUILT_IN {
        for scenario in every_kind(&generator(name), 60) {
            for vantage in &scenario.vantages {
                let history = remembered(&scenario, vantage);
                // Rows that belong together would be joined, and rows in disorder sorted.
                let mut merged = History::default();
                merged.merge(&history);
                assert_eq!(merged, history, "{:?}", scenario.visit);
                assert!(history.spans.iter().all(|span| (1..=MAX_NETWORKS).contains(&span.networks.len())));
                let newest = vantage.past.iter().map(|span| span.last).min();
                let kept = vantage.kept.map(|(ago, _)| ago);
                assert!(kept.is_none() || kept == newest, "{:?}", scenario.visit);
            }
        }
    }
}

/// The stretches in which a vantage point of this visit looked, and the scenario.
fn stretches(generator: &Generator, visit: VisitId, place: usize) -> (Scenario, History) {
    let mut shop = generator.workshop(visit);
    generator.draw(visit, &mut shop);
    let mut draw = Draw::new(visit.index, 1, 2);
    let newest = draw.between(60, 30 * HOUR);
    let interval = draw.between(HOUR, 48 * HOUR);
    let schedule = Schedule { newest, interval, count: draw.below(150 * DAY / interval) };
    let mut fronts = vec![None; schedule.count as usize];
    let world = generator.world();
    Drawing { generator, world, draw: &mut draw, shop: &mut shop }.remembers(place, schedule, |front, from, to| {
        (from..=to).for_each(|look| fronts[look as usize] = Some(front));
    });
    let mut history = History::default();
    for (look, front) in fronts.iter().enumerate().rev() {
        let Some(front) = front else { continue };
        let ago: Ago = schedule.at(look as u32);
        let sight = shop.reality.sight(&shop.traits[place + 1], *front, ago, &shop.scenario.addresses);
        let (party, mut spare) = (shop.scenario.vantages[place].party, Spare::default());
        let mut look = no_look();
        shop.scenario.fill_look(&mut look, &party, ago, &sight, &mut spare);
        history.absorb(&look);
    }
    (shop.scenario, History { turns: Vec::new(), ..history })
}

#[test]
fn fast_histories_are_those_of_the_product() {
    for name in World::BUILT_IN {
        let generator = generator(name);
        let kinds = [None, Some(Attack::SubPrefix), Some(Attack::Rollback { fooled: 60 }), Some(Attack::NearServer)];
        for attack in kinds {
            for index in 0..400 {
                let visit = visit(3, attack, index);
                let (scenario, absorbed) = stretches(&generator, visit, index as usize % 3);
                let fast = remembered(&scenario, &scenario.vantages[index as usize % 3]);
                assert_eq!(fast, absorbed, "{visit:?} {} {:?}", scenario.class, scenario.event);
            }
        }
    }
}

fn look_differs(evidence: &Evidence, view: &parallax_core::Testimony) -> bool {
    match (evidence.local().now.proved(), view.look.now.proved()) {
        (Some(mine), Some(other)) => mine.key != other.key,
        _ => false,
    }
}

#[test]
fn what_differs_was_looked_at_again_and_at_the_address_of_the_user() {
    let answers = |vantage: &Vantage| !vantage.again_lost && !vantage.there_lost;
    let all_answer = |scenario: &Scenario| scenario.vantages.iter().all(answers);
    for scenario in every_kind(&generator("a"), 60).filter(all_answer) {
        let Gathered { evidence, now, questions } = scenario.gather();
        assert_eq!(questions.first, scenario.vantages.len() as u64);
        assert_eq!(evidence.asked().len(), scenario.vantages.len());
        for view in evidence.views() {
            assert!(!look_differs(&evidence, view) || view.issued_at == view.look.now.at, "{:?}", scenario.visit);
            let met_tls = evidence.local().now.outcome == Outcome::NotTls && view.look.now.proved().is_some();
            assert!(!met_tls || view.issued_at == view.look.now.at, "{:?}", scenario.visit);
            let led_there = view.look.now.address == evidence.local().now.address;
            assert!(!look_differs(&evidence, view) || led_there || view.there.is_some());
            if let Some(there) = &view.there {
                assert_eq!(there.address, evidence.local().now.address);
            }
        }
        assert!(now >= evidence.started());
    }
}

#[test]
fn a_visit_made_alone_is_the_one_of_the_run() {
    let generator = generator("b");
    let kinds: Vec<_> = std::iter::once(None).chain(Plan::attacks().into_iter().map(Some)).collect();
    let mut shop = generator.workshop(visit(5, None, 0));
    for index in 0..600 {
        // One workshop after the other kind, and for another number of asked.
        let visit = visit([5, 2, 9][index as usize % 3], kinds[index as usize % kinds.len()], index);
        generator.draw(visit, &mut shop);
        assert_eq!(generator.scenario(visit), shop.scenario);
        assert_eq!(generator.scenario(visit).evidence(), shop.scenario.evidence());
    }
}

#[test]
fn a_scenario_survives_being_written_and_read() {
    for scenario in every_kind(&generator("a"), 3) {
        let text = serde_json::to_string(&scenario).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), scenario);
    }
}

#[test]
fn the_figures_are_the_same_however_many_threads_and_pieces() {
    let generator = generator("a");
    let mut plan = Plan::of(12_000, &[5, 2], 3);
    plan.ablations = Ablation::all().collect();
    plan.cells.truncate(6);
    let alone = run(&generator, &plan, |_| ());
    plan.jobs = 3;
    let told = std::sync::atomic::AtomicU64::new(0);
    let together = run(&generator, &plan, |visits| {
        told.fetch_add(visits, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(alone, together);
    assert_eq!(told.into_inner(), plan.visits());
    assert_eq!(
        alone.rows.iter().filter(|row| row.policy == "mpic").map(|row| row.tally.visits).sum::<u64>(),
        alone.visits
    );
    let written = serde_json::to_string(&alone).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&written).unwrap(), alone);

    let (cells, mut pieces) = (plan.cells.clone(), Results::default());
    for cell in cells {
        pieces.merge(&run(&generator, &Plan { cells: vec![cell], ..plan.clone() }, |_| ()));
    }
    let policy = |results: &Results| results.total("evidence", None, |_| true);
    assert_eq!(policy(&pieces), policy(&alone));
    assert_eq!(pieces.rows.len(), alone.rows.len());
    plan.seed = 4;
    assert_ne!(run(&generator, &plan, |_| ()).rows, alone.rows);
}

/// Whether a count of `of` is as likely as a share says: within five standard deviations.
fn is_near(count: usize, of: usize, share: f64) -> bool {
    let (count, of) = (count as f64, of as f64);
    (count - share * of).abs() <= 5.0 * (of * share * (1.0 - share)).sqrt() + 1.0
}

#[test]
fn classes_events_and_chains_are_as_common_as_the_world_says() {
    for name in World::BUILT_IN {
        let generator = generator(name);
        let world = generator.world();
        let count = 12_000;
        let visits: Vec<_> = (0..count).map(|index| generator.scenario(visit(5, None, index as u64))).collect();
        let weights = world.sites.classes.weights();
        for (class, weight) in SiteClass::ALL.into_iter().zip(weights) {
            let met = visits.iter().filter(|scenario| scenario.class == class).count();
            assert!(is_near(met, count, weight / weights.iter().sum::<f64>()), "{name} {class} {met}");
        }
        let weights = world.events.kinds.weights();
        for (event, weight) in EventKind::ALL.into_iter().zip(weights) {
            let met = visits.iter().filter(|scenario| scenario.event.is_some_and(|(kind, _)| kind == event)).count();
            let share = world.events.share * weight / weights.iter().sum::<f64>();
            assert!(met > 0 && is_near(met, count, share), "{name} {event} {met}");
        }
        let weights = world.attackers.chains.weights();
        let near = |index| generator.scenario(visit(5, Some(Attack::NearMe { resolver: false }), index)).attack;
        let chains: Vec<_> = (0..3000).filter_map(|index| near(index)?.1).collect();
        for (chain, weight) in Chain::ALL.into_iter().zip(weights) {
            let met = chains.iter().filter(|drawn| **drawn == chain).count();
            assert!(is_near(met, 3000, weight / weights.iter().sum::<f64>()), "{name} {chain} {met}");
        }
    }
}

#[test]
fn the_user_is_deceived_where_the_attack_says_so() {
    for scenario in every_kind(&generator("a"), 100) {
        let Some((attack, _, _)) = scenario.attack else { continue };
        match attack {
            Attack::Strip => assert_eq!(scenario.truth, Truth::NoKey),
            _ if attack.spares_the_user() => assert_ne!(scenario.truth, Truth::Stranger, "{attack}"),
            _ => assert_eq!(scenario.truth, Truth::Stranger, "{attack}"),
        }
    }
}

#[test]
fn a_hijack_captures_as_many_as_are_wanted() {
    let generator = generator("a");
    for asked in [2, 3, 5, 9] {
        for (captured, with_me) in [(20, true), (50, true), (80, true), (20, false), (50, false), (80, false)] {
            let attack = Some(Attack::Hijack { captured, with_me });
            let (mut held, mut off) = (0, 0);
            for index in 0..400 {
                let scenario = generator.scenario(visit(asked, attack, index));
                let of_these = scenario.vantages.iter().filter(|vantage| vantage.party.captured).count();
                let exact = f64::from(captured) / 100.0 * f64::from(asked);
                off += usize::from((of_these as f64 - exact).abs() >= 1.0);
                held += of_these;
                assert_eq!(scenario.user.captured, with_me, "{:?}", scenario.visit);
                assert!(scenario.user.autonomous_system.is_some());
            }
            assert_eq!(off, 0, "{captured} % of {asked}");
            assert!(
                is_near(held, 400 * usize::from(asked), f64::from(captured) / 100.0),
                "{captured} % of {asked}: {held}"
            );
        }
    }
}

#[test]
fn liars_are_as_many_as_wanted_and_stand_where_they_should() {
    let generator = generator("a");
    for placement in Placement::ALL {
        for index in 0..200 {
            let attack = Attack::Flood { share: 40, placement };
            let scenario = generator.scenario(visit(5, Some(attack), index));
            if scenario.truth == Truth::NoKey {
                continue;
            }
            let regions = |lies: bool| {
                let those = scenario.vantages.iter().filter(move |vantage| vantage.lies == lies);
                those.map(|vantage| vantage.party.region).collect::<Vec<_>>()
            };
            let (liars, honest) = (regions(true), regions(false));
            assert_eq!(liars.len(), 2, "{:?}", scenario.visit);
            let distinct: BTreeSet<_> = liars.iter().collect();
            match placement {
                Placement::Independent => {}
                Placement::OneNetwork => assert_eq!(distinct.len(), 1),
                Placement::ThinRegions => {
                    assert!(distinct.len() == 2 && liars.iter().all(|region| !honest.contains(region)));
                }
            }
        }
    }
}

/// What the policy promises whatever the world: nobody near the user is trusted with an own root or another CA's
/// certificate, and no policy says anything about attacks that it could not read from the evidence.
#[test]
fn an_attacker_near_the_user_is_not_trusted() {
    for name in World::BUILT_IN {
        let mut plan = Plan::of(20_000, &[5], 1);
        plan.policies = vec![Policy::default()];
        plan.cells
            .retain(|(cell, _)| matches!(cell.attack, Some(Attack::NearMe { .. } | Attack::Resolver | Attack::Strip)));
        let results = run(&generator(name), &plan, |_| ());
        let missed = results.total("evidence", None, |kind| kind.chain != Some(Chain::SiteCa));
        assert!(missed.visits > 500);
        assert_eq!(missed.trusted, 0, "{name}: {:?}", missed.rules);
        let honest = Plan { cells: vec![(Cell { asked: 5, attack: None }, 4000)], ..plan };
        let honest = run(&generator(name), &honest, |_| ()).total("evidence", None, Kind::is_honest);
        assert!(honest.trusted * 100 > honest.visits * 90, "{name}: {honest:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Any seed, any cell, any number of asked: a visit is made, and every policy concludes.
    #[test]
    fn every_visit_can_be_made_and_judged(seed: u64, index: u64, asked in 0..=40u8, kind in 0..64usize) {
        let generator = shared();
        let attacks = Plan::attacks();
        let attack = attacks.get(kind).copied();
        let scenario = generator.scenario(VisitId { seed, cell: Cell { asked, attack }, index });
        let gathered = scenario.gather();
        for name in Policy::NAMES {
            let policy = Policy::named(name).unwrap();
            let (decision, rule) = policy.conclude(&gathered.evidence, gathered.now);
            let verdict = policy.decide(&gathered.evidence, gathered.now);
            prop_assert_eq!((decision, rule), (verdict.decision, verdict.rule));
        }
    }
}

/// A world at the ends of what may be written in one.
fn extreme(regions: usize, high: bool) -> World {
    let mut world = World::built_in("a").unwrap();
    let share = if high { 1.0 } else { 0.0 };
    world.regions = world.regions.iter().cloned().cycle().take(regions).collect();
    world.users.one_region_share = share;
    world.vantages.interval_hours = if high { 48 } else { 1 };
    world.vantages.asleep_days = 400;
    (world.vantages.asleep_share, world.vantages.lost_share) = (share / 2.0, share);
    world.sites.known_days = 730;
    world.sites.public_cas = 2;
    world.sites.renewals.iter_mut().for_each(|renewal| renewal.days = if high { 400 } else { 1 });
    (world.sites.stray_share, world.sites.rsa_share, world.sites.sticky_share) = (share, share, 0.0);
    (world.sites.record_share, world.sites.anycast_own_keys_share) = (share, share);
    (world.events.share, world.events.kept_share, world.events.age_hours) = (1.0, share, 720);
    world.attackers.server_days = 400;
    World::parse(&toml::to_string(&world).unwrap()).unwrap()
}

#[test]
fn the_ends_of_what_a_world_may_say_hold() {
    let topology = TopologyParameters { ases: 200, ..TopologyParameters::default() };
    let topology = Topology::generate(&topology, &mut rand_pcg::Pcg32::new(2, 2)).unwrap();
    for (regions, high) in [(1, true), (1, false), (2, true), (16, true), (16, false)] {
        let world = extreme(regions, high);
        let atlas = Atlas::survey(&topology, regions, 8, 1);
        let generator = Generator::new(world, atlas).unwrap();
        for scenario in every_kind(&generator, 12) {
            let gathered = scenario.gather();
            Policy::default().conclude(&gathered.evidence, gathered.now);
            for vantage in &scenario.vantages {
                let history = remembered(&scenario, vantage);
                let mut merged = History::default();
                merged.merge(&history);
                assert_eq!(merged, history, "{:?}", scenario.visit);
            }
        }
    }
}

fn shared() -> &'static Generator {
    static SHARED: std::sync::OnceLock<Generator> = std::sync::OnceLock::new();
    SHARED.get_or_init(|| generator("c"))
}
