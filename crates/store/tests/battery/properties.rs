//! Whatever happens, in whatever batches: the store holds what the same changes make of a history in memory.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use parallax_core::{History, Look, Outcome};
use parallax_store::{HistoryStore, Known};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::Engine;
use super::looks::{DAY, bare, failed, look, service};

#[derive(Clone, Debug)]
enum Change {
    Record(Box<Look>),
    Import(Vec<Look>),
    Forget,
}

fn any_look() -> impl Strategy<Value = Look> {
    // Few moments and certificates join and collide; many fill the history.
    let when = prop_oneof![(0..40i64).prop_map(|day| day * DAY), 0..400 * DAY];
    let leaf = prop_oneof![3 => 0..4u32, 2 => 0..200u32];
    (when, leaf, 0..6u8).prop_map(|(ms, leaf, kind)| match kind {
        0 => failed(Outcome::Reset, ms),
        1 => {
            let mut sighting = bare(leaf, ms);
            sighting.now.met.iter_mut().for_each(|met| met.proved = false);
            sighting
        }
        2 | 3 => bare(leaf, ms),
        _ => look(leaf, ms),
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        20 => any_look().prop_map(|look| Change::Record(Box::new(look))),
        2 => prop::collection::vec(any_look(), 0..80).prop_map(Change::Import),
        1 => Just(Change::Forget),
    ]
}

fn any_changes(cases: u32) -> Vec<Vec<Change>> {
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &rand_seed());
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let strategy = prop::collection::vec(any_change(), 1..120);
    (0..cases).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// `PARALLAX_TEST_SEED` repeats a failure; a failing case prints it.
fn rand_seed() -> [u8; 32] {
    let number = std::env::var("PARALLAX_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let number: u64 = number.unwrap_or_else(|| std::process::id().into());
    eprintln!("PARALLAX_TEST_SEED={number}");
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    seed
}

fn history(looks: &[Look]) -> History {
    let mut history = History::default();
    looks.iter().for_each(|look| history.absorb(look));
    history
}

fn apply(known: &mut Option<Known>, change: &Change) {
    if matches!(change, Change::Forget) {
        *known = None;
        return;
    }
    let known = known.get_or_insert(Known { history: History::default(), latest: None });
    match change {
        Change::Import(looks) => known.history.merge(&history(looks)),
        Change::Record(look) => {
            known.history.absorb(look);
            if known.latest.as_ref().is_none_or(|latest| latest.now.at < look.now.at) {
                known.latest = Some(Look::clone(look));
            }
        }
        Change::Forget => {}
    }
}

/// Queues the change now.
fn change<'a>(store: &'a impl HistoryStore, name: &str, change: Change) -> BoxFuture<'a, ()> {
    let name = service(name);
    match change {
        Change::Record(look) => store.record(&name, *look).map(|answer| _ = answer.unwrap()).boxed(),
        Change::Import(looks) => store.import(&name, history(&looks)).map(|answer| answer.unwrap()).boxed(),
        Change::Forget => store.forget(&name).map(|answer| _ = answer.unwrap()).boxed(),
    }
}

async fn assert_holds(store: &impl HistoryStore, name: &str, changes: &[Change]) {
    let mut wanted = None;
    changes.iter().for_each(|change| apply(&mut wanted, change));
    let found = store.known(&service(name)).await.unwrap();
    assert_eq!(found.as_deref(), wanted.as_ref(), "{name}");
}

pub(crate) async fn stores_what_the_history_in_memory_says(engine: impl Engine) {
    let store = engine.open().await;
    let cases = any_changes(40);
    let run = cases.iter().enumerate().map(|(number, changes)| {
        let store = &store;
        async move {
            let name = format!("case-{number}.example");
            join_all(changes.iter().map(|next| change(store, &name, next.clone()))).await;
            assert_holds(store, &name, changes).await;
        }
    });
    join_all(run).await;
}

pub(crate) async fn reopened_or_not_it_is_the_same<E: Engine>(engine: E) {
    let cases = any_changes(6);
    let mut store = engine.open().await;
    for (number, changes) in cases.iter().enumerate() {
        let name = format!("case-{number}.example");
        for (step, next) in changes.iter().enumerate() {
            change(&store, &name, next.clone()).await;
            if step % 25 == 24 {
                E::close(store).await;
                store = engine.open().await;
            }
        }
        assert_holds(&store, &name, changes).await;
    }
}
