//! Generated worlds on real sockets: a visit that the simulation drew is staged with real servers, DNS and nodes, the
//! command checks it, and must conclude what the simulation concluded (`docs/verdicts.md`, "On real sockets").
//!
//! `sample` says which visits, `cast` holds who stays for the whole run, `stage` makes a visit of a scenario, `faketime`
//! sets the clock of a program wrong, `tally` counts. `PARALLAX_WORLDS=1000 cargo test -p parallax --test worlds -- --nocapture`
//! stages more of them and shows the counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
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
use parallax_sim::worlds::{Attack, Scenario, Sight, Vantage};
use sample::{Drawn, Sample, Trait};
use stage::stage;
use support::Run;
use tally::{Checked, Tally, simulated};

/// How many visits are staged, unless there must be more to have one of each kind.
const WORLDS: &str = "PARALLAX_WORLDS";
const DEFAULT_WORLDS: usize = 200;

/// Visits that are on the stage at a time, and how many more of those in which most of the time is waited.
const PLACES: u8 = 5;
const WAITING: u8 = 4;

/// How long a check may take: longer than anybody looks, twice, on a machine that is busy. Where an answer is lost the
/// user waits to the end of it.
const PATIENT: &str = "15s";
const IMPATIENT: &str = "10s";

/// After so many visits each time it is told how far the stage has come.
const TOLD: usize = 100;

/// Of so many visits one is staged again, and decided as early as it can be.
const EARLY: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_concludes_what_the_simulation_concludes() {
    let begun = Instant::now();
    let wanted = std::env::var(WORLDS).map_or(DEFAULT_WORLDS, |count| count.parse().unwrap());
    let sample = tokio::task::block_in_place(|| Sample::of(wanted));
    assert_eq!(sample.lacks(), [""; 0], "no visit was drawn for these");
    println!("drew {} visits in {:.1} s", sample.drawn.len(), begun.elapsed().as_secs_f64());
    let cast = Arc::new(Cast::for_visits(&sample.drawn).await);
    println!("started {} nodes after {:.1} s", cast.node_count(), begun.elapsed().as_secs_f64());
    let tally = play(&cast, &sample.drawn).await;
    println!("{}", tally.report(&sample));
    println!("{:.1} s in all", begun.elapsed().as_secs_f64());
    assert!(tally.is_equal(), "the command concluded otherwise than the simulation:\n{}", tally.mismatches());
}

/// The comparison can fail: what is staged otherwise than it was drawn is told apart, in each of the ways in which a visit can
/// be more than servers and addresses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_that_is_staged_otherwise_is_told_apart() {
    let near_me = Some(Attack::NearMe { resolver: false });
    // The user meets what a vantage point meets, and not the attacker; nothing is signed; all clocks are right; no answer is
    // lost.
    const WRONG_CLOCK: usize = 2;
    let ways: [(Option<Attack>, Change); 4] = [
        (near_me, |scenario| scenario.met = scenario.vantages[0].now),
        (None, |scenario| sights(scenario).for_each(|sight| sight.dns.secure = false)),
        (None, |scenario| scenario.vantages.iter_mut().for_each(|vantage| vantage.party.clock_ahead = 0)),
        (None, |scenario| {
            scenario.vantages.iter_mut().for_each(|vantage| (vantage.again_lost, vantage.there_lost) = (false, false));
        }),
    ];
    let mut pairs = Vec::new();
    for (way, (attack, change)) in ways.into_iter().enumerate() {
        if way != WRONG_CLOCK || faketime::is_there() {
            pairs.push(tokio::task::block_in_place(|| drawn_and_changed(attack, change)));
        }
    }
    let all: Vec<_> = pairs.iter().flatten().cloned().collect();
    let cast = Arc::new(Cast::for_visits(&all).await);
    for (number, [drawn, changed]) in (0..).map(|pair| pair * 2).zip(&pairs) {
        for (number, staged, equal) in [(number, drawn, true), (number + 1, changed, false)] {
            let checked = check(&cast, staged, drawn, number, 0, true).await;
            assert_eq!(checked.is_equal(), equal, "{}", checked.mismatch());
        }
    }
}

/// What is staged otherwise.
type Change = fn(&mut Scenario);

/// A visit in which the change changes what is concluded, without it and with it.
fn drawn_and_changed(attack: Option<Attack>, change: Change) -> [Drawn; 2] {
    let changed = |scenario: &Scenario| {
        let mut changed = scenario.clone();
        change(&mut changed);
        changed
    };
    let drawn = sample::first(attack, |scenario| simulated(scenario) != simulated(&changed(scenario)));
    let otherwise = Drawn { scenario: changed(&drawn.scenario), ..drawn.clone() };
    [drawn, otherwise]
}

fn sights(scenario: &mut Scenario) -> impl Iterator<Item = &mut Sight> {
    fn of(vantage: &mut Vantage) -> impl Iterator<Item = &mut Sight> {
        let kept = vantage.kept.as_mut().map(|(_, sight)| sight);
        kept.into_iter().chain([&mut vantage.now])
    }
    scenario.vantages.iter_mut().flat_map(of).chain([&mut scenario.met])
}

/// A visit's turn on the stage: its number, which of the drawn it is, and whether all answers are waited for.
type Turn = (usize, usize, bool);

/// Each visit with all answers, and some once more as they are decided when nothing could change the decision.
fn turns(count: usize) -> impl Iterator<Item = Turn> {
    let all = (0..count).map(|visit| (visit, true));
    let turns = all.chain((0..count).step_by(EARLY).map(|visit| (visit, false)));
    turns.enumerate().map(|(number, (visit, wait))| (number, visit, wait))
}

/// Turns that are taken in their order by whoever is free.
struct Queue {
    turns: Vec<Turn>,
    next: AtomicUsize,
}

impl Queue {
    fn take(&self) -> Option<Turn> {
        self.turns.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

async fn play(cast: &Arc<Cast>, drawn: &[Drawn]) -> Tally {
    let begun = Instant::now();
    let all = turns(drawn.len()).count();
    let waits = |turn: &Turn| Trait::LostAnswer.is_of(&drawn[turn.1].scenario);
    let [waiting, others] = [true, false].map(|wait| turns(drawn.len()).filter(|turn| waits(turn) == wait).collect());
    let queues = Arc::new([waiting, others].map(|turns| Queue { turns, next: AtomicUsize::new(0) }));
    let drawn: Arc<[Drawn]> = drawn.into();
    let started = Arc::new(AtomicUsize::new(0));
    let workers = (0..PLACES + WAITING).map(|place| {
        let (cast, drawn, queues, started) = (cast.clone(), drawn.clone(), queues.clone(), started.clone());
        tokio::spawn(async move {
            let [waiting, others] = &*queues;
            let mut checked = Vec::new();
            loop {
                let other = if place < PLACES { others.take() } else { None };
                let Some((number, visit, wait)) = other.or_else(|| waiting.take()) else { return checked };
                let before = started.fetch_add(1, Ordering::Relaxed);
                if before > 0 && before.is_multiple_of(TOLD) {
                    println!("{before} of {all} have begun after {:.1} s", begun.elapsed().as_secs_f64());
                }
                checked.push(check(&cast, &drawn[visit], &drawn[visit], number, place, wait).await);
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
    let patience = if Trait::LostAnswer.is_of(&played.scenario) { IMPATIENT } else { PATIENT };
    let mut arguments = vec!["check", "--json", "--roots", "roots.pem", "--timeout", patience];
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
