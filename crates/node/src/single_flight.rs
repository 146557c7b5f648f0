//! Work that many wait for and nobody can cancel, done once for all of them and remembered for a while.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// One piece of work per key at a time.
pub(crate) struct SingleFlight<K, V> {
    inner: Mutex<Inner<K, V>>,
    /// How long a result answers those who come later.
    remember: fn(&V) -> Duration,
    /// Results remembered at most; the one that would be forgotten first goes first.
    largest: usize,
}

struct Inner<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// Results in the order in which they are forgotten.
    forget: BTreeMap<(Instant, u64), K>,
    next: u64,
}

enum Slot<V> {
    Working(watch::Receiver<Option<V>>),
    Done(V),
}

/// What one who asks gets.
pub(crate) enum Joined<V> {
    /// The result of a short while ago.
    Done(V),
    /// Work that is under way: started for this one or for somebody before.
    Waiting(Waiting<V>),
    /// Nothing is known and the work could not be started.
    NotStarted,
}

/// Waits for work that is under way. Dropping it stops nothing.
pub(crate) struct Waiting<V>(watch::Receiver<Option<V>>);

impl<V: Clone> Waiting<V> {
    /// The result; `None` when the work ended without one (the node stops, or a bug).
    pub(crate) async fn result(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|value| value.clone())
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(remember: fn(&V) -> Duration, largest: usize) -> Self {
        let inner = Inner { slots: HashMap::new(), forget: BTreeMap::new(), next: 0 };
        Self { inner: Mutex::new(inner), remember, largest }
    }

    /// Joins the work for `key`, or starts it: `work` is called when there is none and runs as a task of its own.
    pub(crate) fn join<F>(self: &Arc<Self>, key: K, work: impl FnOnce() -> Option<F>) -> Joined<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut inner = self.lock();
        inner.prune(Instant::now(), self.largest);
        match inner.slots.get(&key) {
            Some(Slot::Done(value)) => return Joined::Done(value.clone()),
            Some(Slot::Working(result)) => return Joined::Waiting(Waiting(result.clone())),
            None => {}
        }
        let Some(work) = work() else { return Joined::NotStarted };
        let (sender, receiver) = watch::channel(None);
        inner.slots.insert(key.clone(), Slot::Working(receiver.clone()));
        drop(inner);
        let mut landing = Landing { shared: Arc::clone(self), key: Some(key), sender };
        tokio::spawn(async move { landing.publish(work.await) });
        Joined::Waiting(Waiting(receiver))
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.lock().slots.values().filter(|slot| matches!(slot, Slot::Done(_))).count()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, V> Inner<K, V> {
    fn prune(&mut self, now: Instant, largest: usize) {
        while self.forget.len() > largest || self.forget.first_key_value().is_some_and(|((end, _), _)| *end <= now) {
            if let Some((_, key)) = self.forget.pop_first() {
                self.slots.remove(&key);
            }
        }
    }

    fn land(&mut self, key: K, value: V, life: Duration) {
        let forget = (Instant::now() + life, self.next);
        self.next += 1;
        self.forget.insert(forget, key.clone());
        self.slots.insert(key, Slot::Done(value));
    }
}

/// Frees the key even when the work panics or is dropped: those who wait then learn that nothing came of it.
struct Landing<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> {
    shared: Arc<SingleFlight<K, V>>,
    key: Option<K>,
    sender: watch::Sender<Option<V>>,
}

impl<K: Clone + Eq + Hash + Send, V: Clone + Send + Sync> Landing<K, V> {
    fn publish(&mut self, value: V) {
        if let Some(key) = self.key.take() {
            let life = (self.shared.remember)(&value);
            self.shared.lock().land(key, value.clone(), life);
        }
        self.sender.send_replace(Some(value));
    }
}

impl<K: Clone + Eq + Hash + Send, V: Clone + Send + Sync> Drop for Landing<K, V> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.lock().slots.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;

    type Flights = Arc<SingleFlight<&'static str, u32>>;

    fn flights() -> Flights {
        Arc::new(SingleFlight::new(|value| Duration::from_secs(u64::from(*value)), 100))
    }

    async fn landed(joined: Joined<u32>) -> Option<u32> {
        match joined {
            Joined::Done(value) => Some(value),
            Joined::Waiting(waiting) => waiting.result().await,
            Joined::NotStarted => None,
        }
    }

    #[tokio::test]
    async fn many_askers_one_work_and_a_memory_that_ends() {
        let (flights, started) = (flights(), AtomicUsize::new(0));
        let ask = || {
            flights.join("key", || {
                started.fetch_add(1, Ordering::SeqCst);
                Some(async { 3600 })
            })
        };
        let asked: Vec<_> = (0..100).map(|_| ask()).collect();
        for joined in asked {
            assert_eq!(landed(joined).await, Some(3600));
        }
        assert!(matches!(ask(), Joined::Done(3600)));
        assert_eq!(started.load(Ordering::SeqCst), 1);
        flights.lock().prune(Instant::now() + Duration::from_secs(3590), 100);
        assert!(matches!(ask(), Joined::Done(3600)));
        flights.lock().prune(Instant::now() + Duration::from_secs(3601), 100);
        assert_eq!(landed(ask()).await, Some(3600));
        assert_eq!(started.load(Ordering::SeqCst), 2);
        assert_eq!(flights.remembered(), 1);
    }

    #[tokio::test]
    async fn nobody_who_leaves_stops_the_work() {
        let flights = flights();
        let (go, gate) = oneshot::channel::<()>();
        let (done, end) = oneshot::channel();
        drop(flights.join("key", || {
            Some(async move {
                gate.await.unwrap();
                done.send(()).unwrap();
                1
            })
        }));
        go.send(()).unwrap();
        end.await.unwrap();
    }

    #[tokio::test]
    async fn work_that_panics_frees_its_key() {
        let flights = flights();
        let joined = flights.join("key", || Some(async { if true { panic!("as a test") } else { 1 } }));
        assert_eq!(landed(joined).await, None);
        assert_eq!(landed(flights.join("key", || Some(async { 7 }))).await, Some(7));
    }

    #[tokio::test]
    async fn work_that_can_not_start_leaves_nothing() {
        let flights = flights();
        let refused = flights.join("key", || None::<std::future::Ready<u32>>);
        assert!(matches!(refused, Joined::NotStarted));
        assert_eq!(landed(flights.join("key", || Some(async { 7 }))).await, Some(7));
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let flights = Arc::new(SingleFlight::<usize, u32>::new(|_| Duration::from_secs(3600), 100));
        for key in 0..1000 {
            let Joined::Waiting(waiting) = flights.join(key, || Some(async { 1 })) else { panic!("{key}") };
            waiting.result().await.unwrap();
        }
        assert!(flights.remembered() <= 101);
        assert!(matches!(flights.join(999, || None::<std::future::Ready<u32>>), Joined::Done(1)));
        flights.lock().prune(Instant::now() + Duration::from_secs(3601), 100);
        assert!(matches!(flights.join(999, || None::<std::future::Ready<u32>>), Joined::NotStarted));
        assert_eq!(flights.remembered(), 0);
    }
}
