//! Cases of the contract `HistoryStore`.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use parallax_core::{History, Outcome, ServiceId};
use parallax_store::{HistoryStore, Known, Listed, Listing};

use super::Engine;
use super::looks::{DAY, HOUR, at, bare, failed, look, service};

async fn known(store: &impl HistoryStore, service: &ServiceId) -> Arc<Known> {
    store.known(service).await.unwrap().expect("the service is known")
}

/// `(first_seen, last_seen)` of each span, in milliseconds.
fn ends(history: &History) -> Vec<(i64, i64)> {
    history.spans.iter().map(|span| (span.first_seen.unix_ms(), span.last_seen.unix_ms())).collect()
}

pub(crate) async fn an_unknown_service_is_not_known(engine: impl Engine) {
    let store = engine.open().await;
    assert_eq!(store.known(&service("example.com")).await, Ok(None));
    assert_eq!(store.forget(&service("example.com")).await, Ok(false));
    assert_eq!(store.services(Listing { limit: 10, ..Listing::default() }).await, Ok(vec![]));
}

pub(crate) async fn everything_in_a_look_comes_back(engine: impl Engine) {
    let store = engine.open().await;
    let (name, seen) = (service("[2001:db8::1]:8443"), look(1, 5));
    let answered = store.record(&name, seen.clone()).await.unwrap();
    let mut history = History::default();
    history.absorb(&seen);
    assert_eq!(*answered, Known { history, latest: Some(seen) });
    assert_eq!(known(&store, &name).await, answered);
}

pub(crate) async fn a_year_of_alternating_certificates_is_two_rows(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    let looks = (0..730u32).map(|half| bare(half % 2, i64::from(half) * 12 * HOUR));
    for answer in join_all(looks.map(|look| store.record(&name, look))).await {
        answer.unwrap();
    }
    let wanted = [(0, 728 * 12 * HOUR), (12 * HOUR, 729 * 12 * HOUR)];
    assert_eq!(ends(&known(&store, &name).await.history), wanted);
}

pub(crate) async fn a_gap_opens_a_second_span(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    for ms in [0, 48 * HOUR, 96 * HOUR + 1] {
        store.record(&name, bare(1, ms)).await.unwrap();
    }
    assert_eq!(ends(&known(&store, &name).await.history), [(0, 48 * HOUR), (96 * HOUR + 1, 96 * HOUR + 1)]);
}

pub(crate) async fn a_late_look_joins_its_span_and_is_not_the_newest(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    for ms in [10 * HOUR, 90 * HOUR, 50 * HOUR, 5 * HOUR] {
        store.record(&name, look(1, ms)).await.unwrap();
    }
    let known = known(&store, &name).await;
    assert_eq!(ends(&known.history), [(5 * HOUR, 90 * HOUR)], "the rows in between are gone");
    assert_eq!(known.history.authority.len(), 1);
    assert_eq!(known.latest, Some(look(1, 90 * HOUR)));
}

pub(crate) async fn a_failed_look_is_the_newest_and_keeps_the_history(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    let before = store.record(&name, look(1, 0)).await.unwrap();
    let after = store.record(&name, failed(Outcome::Timeout, HOUR)).await.unwrap();
    assert_eq!(after.history, before.history);
    assert_eq!(after.latest, Some(failed(Outcome::Timeout, HOUR)));
    assert_eq!(known(&store, &name).await, after);
    assert_eq!(after.last_seen(), Some(at(0)));
}

/// Two signed views of one moment that differ would be a proof against the vantage point that gave them.
pub(crate) async fn two_looks_of_one_moment_keep_the_first(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    store.record(&name, look(1, 0)).await.unwrap();
    let known = store.record(&name, look(2, 0)).await.unwrap();
    assert_eq!(known.latest, Some(look(1, 0)));
    assert_eq!(known.history.spans.len(), 2);
}

pub(crate) async fn importing_twice_changes_nothing(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    let mut past = History::default();
    (0..400).for_each(|day| past.absorb(&look(day / 90, i64::from(day) * DAY)));
    store.import(&name, past.clone()).await.unwrap();
    let once = known(&store, &name).await;
    assert_eq!(*once, Known { history: past.clone(), latest: None });
    store.import(&name, past).await.unwrap();
    assert_eq!(known(&store, &name).await, once);
}

pub(crate) async fn an_import_and_looks_join(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    let mut past = History::default();
    (0..100).for_each(|day| past.absorb(&bare(1, i64::from(day) * DAY)));
    store.record(&name, bare(1, 100 * DAY)).await.unwrap();
    store.import(&name, past.clone()).await.unwrap();
    store.record(&name, bare(1, 101 * DAY)).await.unwrap();
    store.import(&name, past).await.unwrap();
    let known = known(&store, &name).await;
    assert_eq!(ends(&known.history), [(0, 101 * DAY)]);
    assert_eq!(known.latest, Some(bare(1, 101 * DAY)));
}

pub(crate) async fn an_empty_import_makes_a_service_known(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    store.import(&name, History::default()).await.unwrap();
    assert_eq!(*known(&store, &name).await, Known { history: History::default(), latest: None });
    let listed = store.services(Listing { limit: 10, ..Listing::default() }).await.unwrap();
    assert_eq!(listed, [Listed { service: name, last_seen: None }]);
}

async fn names(store: &impl HistoryStore, listing: Listing) -> Vec<String> {
    let listed = store.services(listing).await.unwrap();
    listed.into_iter().map(|row| row.service.host().to_string()).collect()
}

pub(crate) async fn listings_filter_and_page_in_order(engine: impl Engine) {
    let store = engine.open().await;
    for (name, ms) in [("d.example", 4), ("a.example", 1), ("c.example", 3), ("b.example", 2)] {
        store.record(&service(name), look(1, ms * DAY)).await.unwrap();
        // A failure later than that makes nobody seen.
        store.record(&service(name), failed(Outcome::Refused, 9 * DAY)).await.unwrap();
    }
    store.record(&service("never.example"), failed(Outcome::NoAddress, 5 * DAY)).await.unwrap();
    let all = Listing { limit: 100, ..Listing::default() };
    let everybody = ["a.example", "b.example", "c.example", "d.example", "never.example"];
    assert_eq!(names(&store, all.clone()).await, everybody);
    let since = Listing { seen_since: Some(at(3 * DAY)), ..all.clone() };
    assert_eq!(names(&store, since).await, ["c.example", "d.example"]);
    let not_since = Listing { not_seen_since: Some(at(3 * DAY)), ..all.clone() };
    assert_eq!(names(&store, not_since).await, ["a.example", "b.example", "never.example"]);
    let both = Listing { seen_since: Some(at(2 * DAY)), not_seen_since: Some(at(4 * DAY)), ..all.clone() };
    assert_eq!(names(&store, both).await, ["b.example", "c.example"]);
    let first = store.services(Listing { limit: 2, ..all.clone() }).await.unwrap();
    assert_eq!(first[1], Listed { service: service("b.example"), last_seen: Some(at(2 * DAY)) });
    let next = Listing { after: Some(first[1].service.clone()), limit: 2, ..all.clone() };
    assert_eq!(names(&store, next).await, ["c.example", "d.example"]);
    let end = Listing { after: Some(service("never.example")), ..all };
    assert!(names(&store, end).await.is_empty());
}

pub(crate) async fn a_listing_without_room_is_empty(engine: impl Engine) {
    let store = engine.open().await;
    store.record(&service("example.com"), look(1, 0)).await.unwrap();
    assert!(names(&store, Listing::default()).await.is_empty());
    assert_eq!(names(&store, Listing { limit: usize::MAX, ..Listing::default() }).await, ["example.com"]);
}

pub(crate) async fn histories_come_page_by_page(engine: impl Engine) {
    let store = engine.open().await;
    assert_eq!(store.histories(None, 10).await.unwrap().histories, []);
    let wanted: Vec<_> = ["a.example", "b.example", "b.example:8443", "c.example", "d.example"].map(service).into();
    for (name, looks) in wanted.iter().rev().zip(1..) {
        for number in 0..looks {
            store.record(name, look(number % 2, i64::from(number) * 60 * HOUR)).await.unwrap();
        }
    }
    for limit in 1..=6 {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = store.histories(from, limit).await.unwrap();
            assert!(page.histories.len() <= limit);
            found.extend(page.histories.into_iter().map(Result::unwrap));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(found.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), wanted, "{limit} at a time");
        for (name, history) in found {
            assert_eq!(history, known(&store, &name).await.history, "{limit} at a time");
        }
    }
    let nothing = store.histories(None, 0).await.unwrap();
    assert_eq!((nothing.histories.len(), nothing.next), (0, None));
}

pub(crate) async fn forgetting_forgets_everything(engine: impl Engine) {
    let store = engine.open().await;
    let (gone, kept) = (service("a.example"), service("b.example"));
    for name in [&gone, &kept] {
        store.record(name, look(1, 0)).await.unwrap();
    }
    assert_eq!(store.forget(&gone).await, Ok(true));
    assert_eq!(store.forget(&gone).await, Ok(false));
    assert_eq!(store.known(&gone).await, Ok(None));
    assert!(store.known(&kept).await.unwrap().is_some());
    assert_eq!(names(&store, Listing { limit: 10, ..Listing::default() }).await, ["b.example"]);
    let again = store.record(&gone, bare(2, DAY)).await.unwrap();
    assert_eq!(again.history.spans.len(), 1);
    assert!(again.history.authority.is_empty());
    assert_eq!(known(&store, &gone).await, again);
}

/// All are queued before any is awaited, so they share batches.
pub(crate) async fn changes_of_one_service_keep_the_order_of_the_calls(engine: impl Engine) {
    let store = engine.open().await;
    let (name, other) = (service("example.com"), service("example.net"));
    let mut past = History::default();
    past.absorb(&bare(9, 0));
    let mut answers = Vec::new();
    for step in 0..300i64 {
        let seen = bare(1, step * 3 * DAY);
        answers.push((step, store.record(&name, seen.clone()), store.record(&other, seen)));
    }
    let forgotten = store.forget(&name);
    let imported = store.import(&name, past);
    let last = store.record(&name, bare(2, 1));
    for (step, answer, _) in answers {
        let known = answer.await.unwrap();
        assert_eq!(known.latest, Some(bare(1, step * 3 * DAY)));
        assert_eq!(known.history.spans.len(), 64.min(usize::try_from(step).unwrap() + 1));
    }
    assert_eq!(forgotten.await, Ok(true));
    imported.await.unwrap();
    assert_eq!(ends(&last.await.unwrap().history), [(0, 0), (1, 1)]);
    assert_eq!(ends(&known(&store, &name).await.history), [(0, 0), (1, 1)]);
}

pub(crate) async fn a_thousand_services_at_once(engine: impl Engine) {
    let store = Arc::new(engine.open().await);
    let tasks = (0..1000i64).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let name = service(&format!("host-{number}.example"));
            for step in 0..3 {
                store.record(&name, look(1, number + step * HOUR)).await.unwrap();
            }
            let known = known(&*store, &name).await;
            assert_eq!(ends(&known.history), [(number, number + 2 * HOUR)]);
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let listed = store.services(Listing { limit: 2000, ..Listing::default() }).await.unwrap();
    let texts: Vec<_> = listed.iter().map(|row| row.service.to_string()).collect();
    let sorted: Vec<_> = texts.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!((texts.len(), texts), (1000, sorted));
}

pub(crate) async fn a_dropped_future_takes_nothing_back(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    drop(store.record(&name, look(1, 0)));
    // Of the same service, so it comes after.
    let known = store.record(&name, look(1, HOUR)).await.unwrap();
    assert_eq!(ends(&known.history), [(0, HOUR)]);
}

pub(crate) async fn a_flood_of_certificates_washes_nothing_away(engine: impl Engine) {
    let store = engine.open().await;
    let name = service("example.com");
    let held = (0..30).map(|day| bare(1, i64::from(day) * DAY));
    let flood = (0..500u32).map(|leaf| bare(1000 + leaf, 30 * DAY + i64::from(leaf)));
    for answer in join_all(held.chain(flood).map(|look| store.record(&name, look))).await {
        answer.unwrap();
    }
    let known = known(&store, &name).await;
    assert_eq!((known.history.spans.len(), ends(&known.history)[0]), (64, (0, 29 * DAY)));
}

pub(crate) async fn histories_survive_reopening<E: Engine>(engine: E) {
    let store = engine.open().await;
    let name = service("example.com");
    let queued = store.record(&name, look(1, 0));
    let before = store.record(&name, look(2, DAY)).await.unwrap();
    queued.await.unwrap();
    E::close(store).await;
    let store = engine.open().await;
    assert_eq!(known(&store, &name).await, before);
    let after = store.record(&name, look(1, DAY)).await.unwrap();
    assert_eq!(ends(&after.history), [(0, DAY), (DAY, DAY)]);
}
