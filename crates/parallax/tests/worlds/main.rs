//! Generated worlds on real sockets: a visit that the simulation drew is staged with real servers, DNS and nodes, the
//! command checks it, and must conclude what the simulation concluded (`docs/verdicts.md`, "On real sockets").
//!
//! `sample` says which visits, `cast` holds who stays for the whole run, `stage` makes a visit of a scenario, `faketime`
//! sets the user's clock wrong, `tally` counts. `PARALLAX_WORLDS=1000 cargo test -p parallax --test worlds -- --nocapture`
//! stages more of them and shows the counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod cast;
mod faketime;
mod sample;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use cast::Cast;
use parallax_sim::worlds::Attack;
use sample::{Drawn, Sample};
use stage::stage;
use support::Run;
use tally::{Checked, Tally};

/// How many visits are staged, unless there must be more to have one of each kind.
const WORLDS: &str = "PARALLAX_WORLDS";
const DEFAULT_WORLDS: usize = 200;

/// Visits that are on the stage at a time.
const PLACES: u8 = 5;

/// Of so many visits one is staged again, and decided as early as it can be.
const EARLY: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_concludes_what_the_simulation_concludes() {
    let begun = Instant::now();
    let wanted = std::env::var(WORLDS).map_or(DEFAULT_WORLDS, |count| count.parse().unwrap());
    let sample = tokio::task::block_in_place(|| Sample::of(wanted));
    println!("drew {} visits in {:.1} s", sample.drawn.len(), begun.elapsed().as_secs_f64());
    let cast = Arc::new(Cast::for_visits(&sample.drawn).await);
    println!("started {} nodes after {:.1} s", cast.node_count(), begun.elapsed().as_secs_f64());
    let tally = play(&cast, &sample.drawn).await;
    println!("{}", tally.report(&sample));
    println!("{:.1} s in all", begun.elapsed().as_secs_f64());
    assert!(tally.is_equal(), "the command concluded otherwise than the simulation:\n{}", tally.mismatches());
}

/// The comparison can fail: the user of this stage meets what a vantage point meets, and not the attacker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_that_is_staged_otherwise_is_told_apart() {
    let attacked = sample::first(Attack::NearMe { resolver: false });
    let mut spared = attacked.clone();
    spared.scenario.met = spared.scenario.vantages[0].now;
    let cast = Arc::new(Cast::for_visits(std::slice::from_ref(&attacked)).await);
    for (staged, equal) in [(&attacked, true), (&spared, false)] {
        let checked = check(&cast, staged, &attacked, 0, 0, true).await;
        assert_eq!(checked.is_equal(), equal, "{}", checked.mismatch());
    }
}

/// Each visit with all answers, and some once more as they are decided when nothing could change the decision.
fn turns(count: usize) -> Vec<(usize, bool)> {
    let all = (0..count).map(|place| (place, true));
    all.chain((0..count).step_by(EARLY).map(|place| (place, false))).collect()
}

async fn play(cast: &Arc<Cast>, drawn: &[Drawn]) -> Tally {
    let turns = Arc::new(turns(drawn.len()));
    let drawn: Arc<[Drawn]> = drawn.into();
    let next = Arc::new(AtomicUsize::new(0));
    let workers = (0..PLACES).map(|place| {
        let (cast, drawn, turns, next) = (cast.clone(), drawn.clone(), turns.clone(), next.clone());
        tokio::spawn(async move {
            let mut checked = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((visit, wait)) = turns.get(number) else { return checked };
                checked.push(check(&cast, &drawn[*visit], &drawn[*visit], number, place, *wait).await);
            }
        })
    });
    let mut tally = Tally::default();
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap().into_iter().for_each(|checked| tally.take(checked));
    }
    tally
}

/// Stages a visit, has the command check it, clears the stage, and compares with what the simulation concludes of
/// `drawn`.
async fn check(cast: &Arc<Cast>, played: &Drawn, drawn: &Drawn, number: usize, place: u8, wait: bool) -> Checked {
    let staged = stage(cast, &played.scenario, &format!("w{number}.example"), place).await;
    let begun = Instant::now();
    let mut arguments = vec!["check", "--json", "--roots", "roots.pem", "--timeout", "15s"];
    let (resolver, source) = (cast.lab.dns().address().to_string(), cast.user(place).to_string());
    arguments.extend(["--resolver", &resolver, "--source", &source]);
    arguments.extend(wait.then_some("--wait-for-all"));
    arguments.extend(staged.vantages.iter().flat_map(|url| ["--vantage", url]));
    let service = staged.service.to_string();
    arguments.push(&service);
    let command = faketime::command(&cast.home, played.scenario.user.clock_ahead, &arguments);
    let run = tokio::task::block_in_place(|| Run::of_command(command, b""));
    let took = begun.elapsed();
    let asked = staged.asked.clone();
    staged.clear(cast).await;
    Checked::of(drawn, &asked, wait, &run, took)
}
