//! Who trusts whom among the people that this node knows by their certificates (`docs/trust.md`): kept in the store, asked
//! by the hub at every question.
//!
//! | File | Holds |
//! | --- | --- |
//! | `identity/trust.secret` | the secret that draws the routes: if it changes, all routes do |
//! | the store | one record for each person |

mod people;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parallax_core::{Fingerprint, Timestamp, VantageId};
use parallax_janus::trust::{Adverts, Circle, DeclareError, Edge as Declaration, LoadedCircle, UserId};
use parallax_janus::{Identity, Mailbox};
use parallax_probe::{AwsLc, sha256};
use parallax_proto::hub::Edge;
use parallax_store::{Records, StoreError};

use self::people::People;
use crate::error::NodeError;
use crate::identity::{IdentityError, read_private, replace};

/// Below the data directory.
const SECRET: &str = "identity/trust.secret";

/// Everybody's trust.
pub(crate) struct Trust {
    state: Mutex<State>,
    people: People,
    /// One writes at a time, and what it writes is how things stand then: the last who writes has it right.
    writing: tokio::sync::Mutex<()>,
}

struct State {
    circle: Circle,
    adverts: Adverts,
    /// When the certificate ends with which somebody advertised.
    ends: HashMap<UserId, Timestamp>,
}

/// Why something was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotChanged {
    /// It may not be.
    #[error(transparent)]
    Refused(#[from] DeclareError),
    /// It can't be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One of an asker's edges and who comes through it.
pub(crate) type Pile = (Edge, Vec<VantageId>);

impl Trust {
    /// Takes up what an earlier run kept. What is damaged is named in the log and left out: that only takes edges away.
    pub(crate) async fn open(data: &Path, records: Arc<dyn Records>) -> Result<Self, NodeError> {
        let path = data.join(SECRET);
        let secret = tokio::task::spawn_blocking(move || secret(&path)).await.map_err(|_| NodeError::Interrupted)??;
        let people = People::new(records);
        let kept = people.load().await?;
        let loaded = Circle::load_sound(Arc::new(AwsLc), secret, kept.saved, &kept.unreadable);
        let LoadedCircle { circle, left_out, changed } = loaded;
        for bad in &left_out {
            tracing::warn!(%bad, "a record of the trust between people is damaged; it is left out");
        }
        for person in changed {
            people.keep(person, circle.saved(person)).await?;
        }
        let state = State { circle, adverts: Adverts::default(), ends: HashMap::new() };
        Ok(Self { state: Mutex::new(state), people, writing: tokio::sync::Mutex::default() })
    }

    /// An identity was proved to this node: its key is the mailbox's from now on, unless a newer certificate is known.
    pub(crate) async fn met(&self, identity: &Identity) -> Result<UserId, NotChanged> {
        let (user, changed) = self.lock().circle.meet(identity)?;
        if changed {
            self.keep([user]).await?;
        }
        Ok(user)
    }

    /// Declares trust; whether the other side is known is not told.
    pub(crate) async fn declare(&self, identity: &Identity, whom: &Mailbox) -> Result<(), NotChanged> {
        self.met(identity).await?;
        let changed = self.lock().circle.declare(identity.mailbox(), identity.key().id(), whom)?;
        Ok(self.keep(changed).await?)
    }

    /// Withdraws it; at once, whether it can be kept or not.
    pub(crate) async fn withdraw(&self, identity: &Identity, whom: &Mailbox) -> Result<(), NotChanged> {
        self.met(identity).await?;
        let changed = self.lock().circle.withdraw(identity.mailbox(), identity.key().id(), whom)?;
        Ok(self.keep(changed).await?)
    }

    /// What somebody declared, with what the hub's word for each edge is made of.
    pub(crate) async fn declared(&self, identity: &Identity) -> Result<Vec<(Declaration, Edge)>, NotChanged> {
        let user = self.met(identity).await?;
        let declared = self.lock().circle.edges(user);
        Ok(declared.into_iter().map(|edge| (edge.clone(), edge_of(edge.user))).collect())
    }

    /// Somebody attached as a peer, with a certificate.
    pub(crate) async fn advertise(&self, identity: &Identity, now: Timestamp) -> Result<(), NotChanged> {
        let user = self.met(identity).await?;
        let mut state = self.lock();
        state.adverts.announce(user, now);
        state.ends.insert(user, identity.not_after());
        Ok(())
    }

    /// Whom somebody sees, and through which edge; `None` for whoever has no edge. Nobody whose key is `denied`.
    pub(crate) async fn sight(
        &self,
        identity: &Identity,
        denied: impl Fn(&Fingerprint) -> bool,
        now: Timestamp,
    ) -> Result<Option<Vec<Pile>>, NotChanged> {
        let user = match self.met(identity).await {
            // An older key than the one that counts now has no edges.
            Err(NotChanged::Refused(DeclareError::OldKey)) => return Ok(None),
            met => met?,
        };
        let state = self.lock();
        let graph = state.circle.graph();
        let mut piles: BTreeMap<UserId, Vec<VantageId>> =
            graph.neighbours(user).map(|edge| (edge, Vec::new())).collect();
        for seen in graph.visible_to(user) {
            if let Some(key) = state.current_key(seen.peer, now).filter(|key| !denied(key)) {
                piles.entry(seen.edge).or_default().push(VantageId::from_bytes(*key.as_bytes()));
            }
        }
        let piles: Vec<Pile> = piles.into_iter().map(|(edge, peers)| (edge_of(edge), peers)).collect();
        Ok((!piles.is_empty()).then_some(piles))
    }

    /// Forgets advertisements that are over; worth doing once an hour.
    pub(crate) fn forget_old(&self, now: Timestamp) {
        let mut state = self.lock();
        state.adverts.forget_old(now);
        state.ends.retain(|_, end| *end > now);
    }

    async fn keep(&self, changed: impl IntoIterator<Item = UserId>) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        for person in changed {
            let saved = self.lock().circle.saved(person);
            self.people.keep(person, saved).await?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The key of somebody whose advertisement counts now.
    fn current_key(&self, peer: UserId, now: Timestamp) -> Option<Fingerprint> {
        let counts = self.adverts.is_current(peer, now) && self.ends.get(&peer).is_some_and(|end| *end > now);
        self.circle.key(peer).filter(|_| counts)
    }
}

/// An edge as the hub knows it: by the number of whom it leads to, which stays the same for good.
fn edge_of(user: UserId) -> Edge {
    let number = u32::try_from(user.index()).unwrap_or(u32::MAX);
    Edge(sha256(&[b"parallax trust edge 1\0".as_slice(), &number.to_be_bytes()].concat()))
}

/// The secret of an earlier run, or a new one.
fn secret(path: &Path) -> Result<[u8; 32], IdentityError> {
    match read_private(path) {
        Err(IdentityError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        kept => {
            let why = || "it must hold 32 bytes; without them all routes of trust change".into();
            return kept?.try_into().map_err(|_| IdentityError::Form { path: path.to_owned(), why: why() });
        }
    }
    let mut new = [0; 32];
    let none = |_| IdentityError::Making("this machine gives no random numbers".into());
    aws_lc_rs::rand::fill(&mut new).map_err(none)?;
    replace(path, &new)?;
    Ok(new)
}

#[cfg(test)]
mod tests;
