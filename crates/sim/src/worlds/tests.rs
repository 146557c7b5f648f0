//! What the generator promises.

use super::*;
use crate::topology::{Topology, TopologyParameters};
use parallax_core::Policy;

fn generator(name: &str) -> Generator {
    let world = World::built_in(name).unwrap();
    let parameters = TopologyParameters { ases: 600, ..TopologyParameters::default() };
    let topology = Topology::generate(&parameters, &mut rand_pcg::Pcg32::new(1, 1)).unwrap();
    let atlas = Atlas::survey(&topology, world.regions.len(), world.attackers.pairs, 1);
    Generator::new(world, atlas).unwrap()
}

#[test]
fn counts() {
    for name in ["a", "b", "c"] {
        let generator = generator(name);
        let mut plan = Plan::of(40_000, &[5], 1);
        plan.jobs = 2;
        let begun = std::time::Instant::now();
        let results = run(&generator, &plan, |_| ());
        println!("{name} {:?}", begun.elapsed());
        for policy in Policy::NAMES {
            let share = |tally: &Tally| {
                let of = |count: u64| 100.0 * count as f64 / tally.visits.max(1) as f64;
                format!("t {:6.2} d {:6.2} u {:6.2}", of(tally.trusted), of(tally.distrusted), of(tally.undecided))
            };
            println!("{policy} honest {}", share(&results.total(policy, None, Kind::is_honest)));
            if policy != "evidence" {
                continue;
            }
            for class in SiteClass::ALL {
                println!(
                    "  {class:24} {}",
                    share(&results.total(policy, None, |k| k.is_honest() && k.class == Some(class)))
                );
            }
            for event in EventKind::ALL {
                println!(
                    "  {event:24} {}",
                    share(&results.total(policy, None, |k| k.attack.is_none() && k.event == Some(event)))
                );
            }
            for attack in Plan::attacks() {
                for chain in Chain::ALL {
                    let tally = results.total(policy, None, |k| k.attack == Some(attack) && k.chain == Some(chain));
                    println!(
                        "  {attack:28} {chain:10} {} f {:.2} {:?}",
                        share(&tally),
                        tally.captured as f64 / tally.asked.max(1) as f64,
                        tally.rules
                    );
                }
            }
        }
    }
}
