//! Whose certificates count here: those that this node issued itself, and those of nodes that its operator believes
//! (`janus.believe`). Judged anew for every request, by the deny lists as they are then; without a valid list nothing
//! counts.

mod afar;
mod handshake;
#[cfg(test)]
pub(crate) mod house;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use parallax_client::VantageUrl;
use parallax_core::{Fingerprint, Timestamp};
use parallax_janus::{BadChain, Identity, Judge};
use parallax_probe::AwsLc;
use parallax_proto::channel::{ClientKey, Registration};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use self::afar::Afar;
pub(crate) use self::handshake::{AnyCertificate, chain_of};
use crate::app::Shared;
use crate::channels::{Channels, Judge as JudgesKeys};
use crate::clock::ClockBehind;
use crate::error::NodeError;
use crate::janus::{Believed, ClientChain};

/// Nodes that can be believed beside this one.
const MOST_BELIEVED: usize = 4;

/// How often it is looked whether a list has changed or ended, and with it open channels.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// Whom this node believes, beside itself where it certifies mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BelieveSettings {
    /// Nodes of the role janus, pinned; 4 at most.
    pub nodes: Vec<VantageUrl>,
    /// How often their deny lists are fetched. Default 5 minutes.
    pub refresh: Duration,
}

impl Default for BelieveSettings {
    fn default() -> Self {
        Self { nodes: Vec::new(), refresh: parallax_janus::DENY_REFRESH }
    }
}

impl BelieveSettings {
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        let bad = |field, why: String| Err(NodeError::Setting { field, why });
        if self.nodes.len() > MOST_BELIEVED {
            return bad("janus.believe", format!("{MOST_BELIEVED} nodes at most, not {}", self.nodes.len()));
        }
        if let Some(url) = self.nodes.iter().find(|url| url.pin().is_none()) {
            return bad(
                "janus.believe",
                format!("{url} has no pin; add #VANTAGE-ID (the node prints its id when it starts)"),
            );
        }
        // A list is valid for an hour, and what was revoked must be refused within five minutes.
        if !(Duration::from_secs(1)..=parallax_janus::DENY_REFRESH).contains(&self.refresh) {
            return bad("janus.believe_refresh_secs", "between 1 s and 5 minutes".into());
        }
        Ok(())
    }
}

/// Judges certificates.
pub(crate) struct Vouching {
    shared: Shared,
    sources: Vec<Source>,
    afar: Mutex<Vec<Afar>>,
}

/// Somebody whose certificates count.
struct Source {
    believed: watch::Receiver<Arc<Believed>>,
    /// Made anew when the roots change.
    judge: RwLock<Option<(Vec<Vec<u8>>, Judge)>>,
}

/// A list, and whether it counts.
type Standing = (Arc<Believed>, bool);

/// Why a client is nobody here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotVouched {
    /// Its certificate does not count.
    #[error(transparent)]
    Chain(#[from] BadChain),
    /// Nothing can be judged.
    #[error(transparent)]
    Clock(#[from] ClockBehind),
}

impl Vouching {
    /// Believes this node's own office, if it has one, and these; `None` where that is nobody.
    pub(crate) fn new(
        home: Option<watch::Receiver<Arc<Believed>>>,
        believe: &BelieveSettings,
        shared: Shared,
    ) -> Option<Arc<Self>> {
        let mut afar = Vec::new();
        let mut sources: Vec<Source> = home.into_iter().map(Source::new).collect();
        for url in &believe.nodes {
            let (publish, believed) = watch::channel(Arc::default());
            sources.push(Source::new(believed));
            afar.push(Afar::new(url.clone(), believe.refresh, publish, shared.clone()));
        }
        (!sources.is_empty()).then(|| Arc::new(Self { shared, sources, afar: Mutex::new(afar) }))
    }

    /// On whose behalf somebody acts who showed this chain and proved to hold its key.
    pub(crate) fn judge<C: AsRef<[u8]>>(&self, chain: &[C]) -> Result<Identity, NotVouched> {
        let now = self.shared.clock.now()?;
        let mut why = BadChain::Root;
        for source in &self.sources {
            match source.judge(chain, now) {
                // A key that is denied anywhere says of itself that it counts no more.
                Ok(identity) if self.is_denied(&identity.key().id()) => {
                    let (place, fault) = (parallax_janus::Place::Leaf, parallax_janus::Fault::Denied);
                    return Err(BadChain::Certificate { place, fault }.into());
                }
                Ok(identity) => return Ok(identity),
                Err(found) => why = more_telling(why, found),
            }
        }
        Err(why.into())
    }

    /// As [`Vouching::judge`], for what a connection brought along.
    pub(crate) fn judge_connection(&self, chain: &ClientChain) -> Result<Identity, NotVouched> {
        self.judge(&chain.0)
    }

    /// Whether a key is on any deny list.
    pub(crate) fn is_denied(&self, key: &Fingerprint) -> bool {
        self.sources.iter().any(|source| source.believed.borrow().denied.contains(key))
    }

    /// Fetches the lists of others, and has open channels judged again when a list changes or ends. Lives until the node
    /// stops.
    pub(crate) async fn run(self: Arc<Self>, channels: Arc<Channels>) {
        for afar in std::mem::take(&mut *lock(&self.afar)) {
            let lifecycle = self.shared.lifecycle.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = lifecycle.stopping() => {}
                    never = afar.run() => match never {},
                }
            });
        }
        let (mut ticks, mut before) = (interval(TICK_EVERY), self.standing());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.shared.lifecycle.stopping() => return,
                _ = ticks.tick() => {}
            }
            let standing = self.standing();
            let same = |(one, other): (&Standing, &Standing)| Arc::ptr_eq(&one.0, &other.0) && one.1 == other.1;
            if !standing.iter().zip(&before).all(same) {
                before = standing;
                let channels = Arc::clone(&channels);
                // Signatures of many chains: not on a thread that serves.
                let _ = tokio::task::spawn_blocking(move || channels.judge_again()).await;
            }
        }
    }

    /// The lists as they are, and whether each counts now.
    fn standing(&self) -> Vec<Standing> {
        let now = self.shared.clock.now();
        let current = |believed: &Believed| now.as_ref().is_ok_and(|now| believed.denied.check_current(*now).is_ok());
        let of = |source: &Source| {
            let believed = Arc::clone(&source.believed.borrow());
            let is_current = current(&believed);
            (believed, is_current)
        };
        self.sources.iter().map(of).collect()
    }
}

impl Source {
    fn new(believed: watch::Receiver<Arc<Believed>>) -> Self {
        Self { believed, judge: RwLock::new(None) }
    }

    fn judge<C: AsRef<[u8]>>(&self, chain: &[C], now: Timestamp) -> Result<Identity, BadChain> {
        let believed = Arc::clone(&self.believed.borrow());
        believed.denied.check_current(now)?;
        self.judge_of(&believed.roots)?.judge(chain, &believed.denied, now)
    }

    fn judge_of(&self, roots: &[Vec<u8>]) -> Result<Judge, BadChain> {
        let known = self.judge.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, judge)) = known.as_ref().filter(|(of, _)| of == roots) {
            return Ok(judge.clone());
        }
        drop(known);
        let judge = Judge::new(Arc::new(AwsLc), roots)?;
        *self.judge.write().unwrap_or_else(PoisonError::into_inner) = Some((roots.to_vec(), judge.clone()));
        Ok(judge)
    }
}

impl JudgesKeys for Vouching {
    fn judge(&self, key: &ClientKey) -> Registration {
        match Vouching::judge(self, key.chain()) {
            Ok(identity) => Registration::Registered { until: Some(identity.not_after()) },
            Err(_) => Registration::Refused,
        }
    }
}

/// Of two sources that refuse a chain, the one whose root it leads to knows why.
fn more_telling(one: BadChain, other: BadChain) -> BadChain {
    let rank = |why: &BadChain| match why {
        BadChain::Root => 0,
        BadChain::NoDenyList(_) => 1,
        _ => 2,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
