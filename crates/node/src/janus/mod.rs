//! The role `janus`: a mailbox becomes a certificate (`docs/protocols/janus.md`). The rules are those of `parallax_janus`;
//! here they meet keys on disk, records, mail and HTTP.
//!
//! Whatever is answered is on disk before: an order, what was issued, what was revoked. No log, no metric and no answer tells
//! whether a mail went out to an address, or that it was asked for.

mod api;
mod books;
mod ca;
mod denials;
mod issue;
mod keys;
mod operator;
mod post;
mod route;
mod settings;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use parallax_janus::{DENY_REFRESH, Denied, Desk, Rotation};
use parallax_probe::AwsLc;
use parallax_store::Records;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::books::Books;
pub use self::ca::{AuthorityFiles, MadeAuthority};
use self::denials::Denials;
use self::keys::{AuthorityKeys, KeyFiles};
use self::post::Post;
pub use self::route::{BadRoute, MailRoute, Secret, Security, SmtpRoute};
pub use self::settings::{Flow, JanusSettings};
use crate::app::Shared;
use crate::error::NodeError;
use crate::identity::IdentityError;

pub(crate) use self::operator::{Page, Revoke};

/// How often what has ended is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(300);

/// How often the issuing keys are judged.
const ROTATE_EVERY: Duration = Duration::from_secs(3600);

/// Standings that are kept, of a mailbox with a key each. Beyond, nothing is certified: it would take a thousand orders an
/// hour for six weeks.
const MOST_CERTIFIED: usize = 1_000_000;

/// Whose certificates count by this node's own word.
#[derive(Clone, Debug, Default)]
pub(crate) struct Believed {
    /// Roots in DER.
    pub(crate) roots: Vec<Vec<u8>>,
    /// The deny list in force.
    pub(crate) denied: Denied,
}

/// The chain that a client showed in its TLS handshake, and whose key it proved to hold there: an extension of its requests.
/// What it is worth is judged for each of them. Whoever calls the routes in process vouches for what it says.
#[derive(Clone, Debug)]
pub struct ClientChain(pub(crate) Arc<Vec<Vec<u8>>>);

impl ClientChain {
    /// In DER, leaf first.
    pub fn new(chain: Vec<Vec<u8>>) -> Self {
        Self(Arc::new(chain))
    }
}

/// What an office works with.
pub(crate) struct Tools {
    pub(crate) shared: Shared,
    pub(crate) records: Arc<dyn Records>,
    /// The node as its users know it: for the mails.
    pub(crate) address: String,
}

/// This node as a certificate authority for mailboxes.
pub(crate) struct Office {
    settings: JanusSettings,
    shared: Shared,
    files: KeyFiles,
    keys: RwLock<Arc<AuthorityKeys>>,
    books: Books,
    desk: Mutex<Desk>,
    denials: Denials,
    post: Arc<Post>,
    certified: std::sync::atomic::AtomicUsize,
}

impl Office {
    /// Takes up what an earlier run kept, or makes an authority where there is none.
    pub(crate) async fn open(settings: JanusSettings, data: &Path, tools: Tools) -> Result<Arc<Self>, NodeError> {
        let Tools { shared, records, address } = tools;
        let now = shared.clock.now()?;
        let files = KeyFiles::of(data);
        let loading = files.clone();
        let loaded = tokio::task::spawn_blocking(move || load_or_make(&loading, now));
        let keys = loaded.await.map_err(|_| NodeError::Interrupted)??;
        let books = Books::new(records);
        let desk = Mutex::new(Desk::new(Arc::new(AwsLc), settings.limits));
        let denials = Denials::open(&books).await?;
        let post = Post::open(&settings, books.clone(), shared.clone(), address).await?;
        let office = Arc::new(Self {
            settings,
            shared,
            files,
            keys: RwLock::new(Arc::new(keys)),
            books,
            desk,
            denials,
            post,
            certified: std::sync::atomic::AtomicUsize::default(),
        });
        office.publish();
        Ok(office)
    }

    /// Whose certificates count by this node's own word: always the newest list, at once after a revocation.
    pub(crate) fn believed(&self) -> watch::Receiver<Arc<Believed>> {
        self.denials.watch()
    }

    /// Lives until the node stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let lifecycle = self.shared.lifecycle.clone();
        let mut post = Box::pin(Arc::clone(&self.post).run());
        let [mut refresh, mut sweep, mut rotate] = [DENY_REFRESH, SWEEP_EVERY, ROTATE_EVERY].map(|every| {
            let mut ticks = interval_at(Instant::now(), every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            tokio::select! {
                () = lifecycle.stopping() => break,
                () = &mut post => return,
                _ = refresh.tick() => self.publish(),
                _ = sweep.tick() => self.sweep().await,
                _ = rotate.tick() => self.rotate_if_due().await,
            }
        }
        // A mail that is on its way is finished.
        post.await;
    }

    /// Puts the newest deny list into force. While the clock stands wrong there is none.
    fn publish(&self) {
        match self.shared.clock.now() {
            Ok(now) => self.denials.publish(&self.keys(), &self.shared, now),
            Err(error) => {
                tracing::error!(%error, "the deny list can't be renewed; when it ends, no certificate counts")
            }
        }
    }

    async fn sweep(&self) {
        let Ok(now) = self.shared.clock.now() else { return };
        let swept = async {
            let left = self.books.sweep(now).await?;
            self.certified.store(left, std::sync::atomic::Ordering::Relaxed);
            if self.denials.sweep(&self.books, now).await? {
                self.publish();
            }
            Ok::<_, parallax_store::StoreError>(())
        };
        if let Err(error) = swept.await
            && self.shared.store_warned.is_time()
        {
            tracing::warn!(%error, "orders and standings that have ended can't be forgotten; it is tried again");
        }
    }

    async fn rotate_if_due(&self) {
        let Ok(now) = self.shared.clock.now() else { return };
        let keys = self.keys();
        let end = keys.authority.issuing().next().map(|(_, end)| end);
        self.shared.metrics.janus.issuing_end.set(end.map_or(0, parallax_core::Timestamp::unix_secs));
        if keys.authority.rotation(now) != Rotation::Due {
            return;
        }
        let until = end.map_or_else(|| "none is there".to_owned(), |end| format!("the newest ends at {end}"));
        if !self.files.root_key().exists() {
            return tracing::warn!(
                "a successor of the issuing key is due ({until}), and the root key is kept elsewhere: run \
                 \"parallax ca rotate --root-key FILE\""
            );
        }
        let files = self.files.clone();
        let made = tokio::task::spawn_blocking(move || files.rotate(&files.root_key(), now)).await;
        match made.map(|made| made.and_then(|id| self.reload().map(|()| id))) {
            Ok(Ok(id)) => tracing::info!(key = %id.short(), "the issuing key has its successor"),
            Ok(Err(error)) => tracing::error!(%error, "the issuing key has no successor yet ({until})"),
            Err(error) => tracing::error!(%error, "the issuing key has no successor yet ({until})"),
        }
    }

    /// Reads the keys again; the root must be the same.
    fn reload(&self) -> Result<(), IdentityError> {
        let fresh = self.files.load()?;
        if fresh.authority.root() != self.keys().authority.root() {
            return Err(IdentityError::Making(
                "the root on disk is another one; start the node again if that is meant".into(),
            ));
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        self.publish();
        Ok(())
    }

    fn keys(&self) -> Arc<AuthorityKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Office").field("root", &self.keys().authority.root_id()).finish_non_exhaustive()
    }
}

fn load_or_make(files: &KeyFiles, now: parallax_core::Timestamp) -> Result<AuthorityKeys, IdentityError> {
    if !files.exist() {
        files.make(None, now)?;
        tracing::warn!(
            path = %files.root_key().display(),
            "this janus had no authority and has made one; its root key is here. Move it away to keep it offline, and give \
             it to \"parallax ca rotate --root-key FILE\" when a successor is due"
        );
    }
    files.load()
}
