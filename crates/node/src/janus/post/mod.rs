//! Mails on their way out: a bounded queue that outlives the process, and one task that empties it.
//!
//! An order beyond its address's limit lies in the queue like any other, has the mail server reached for it, and is then
//! dropped: neither the answer's speed, nor the length of the queue, nor what an asker is told of its order shows which
//! mails go out. What is on disk names no secret: those of a mail that a restart finds here are drawn anew.

mod maildir;
mod pack;
mod parcel;
mod queue;
mod smtp;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parallax_core::Timestamp;
use parallax_janus::{Asker, Confirmation, Letter, SmallNetwork, Token};
use parallax_probe::{AwsLc, SystemRandom};
use parallax_store::StoreError;
use tokio::sync::Notify;

use self::maildir::Maildir;
use self::pack::Packer;
use self::parcel::Content;
pub(super) use self::parcel::Parcel;
use self::queue::{Queue, Waiting};
use self::smtp::{Line, Relay};
use super::books::{Books, parcel_of};
use super::route::MailRoute;
use super::settings::JanusSettings;
use crate::app::Shared;
use crate::error::NodeError;

/// Mails that wait at once. Beyond, orders are refused.
const MOST_WAITING: usize = 10_000;

/// The first wait after the mail server could not be used; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The first wait after the server asked to come again for one mail.
const LATER: Duration = Duration::from_secs(60);

/// Mails over one connection.
const MAILS_A_CONNECTION: usize = 100;

/// How the mail server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It was reached when it was last tried, or never tried.
    Well,
    /// It could not be reached, or took nothing.
    Failing,
}

/// The queue and what empties it.
pub(super) struct Post {
    books: Books,
    shared: Shared,
    route: Route,
    packer: Packer,
    address: String,
    queue: Mutex<Queue>,
    moved: Notify,
}

enum Route {
    Relay(Relay),
    Maildir(Maildir),
}

/// Why a mail did not go.
#[derive(Debug)]
enum NotSent {
    /// The server, or the way there: all mails wait.
    Server(String),
    /// This mail: it is tried again later.
    Later(String),
    /// This mail: never.
    Never(String),
}

/// No more mails can wait.
pub(super) struct Full;

/// A place in the queue, for a mail that is written to disk first.
pub(super) struct Promised(Arc<Post>);

impl Drop for Promised {
    fn drop(&mut self) {
        self.0.lock().promised -= 1;
    }
}

impl Post {
    /// Takes up what an earlier run could not send. The secrets of orders are drawn anew.
    pub(super) async fn open(
        settings: &JanusSettings,
        books: Books,
        shared: Shared,
        address: String,
    ) -> Result<Arc<Self>, NodeError> {
        let bad = |why: String| NodeError::Setting { field: "janus.smtp", why };
        let packer = Packer::new(&settings.from).map_err(|why| NodeError::Setting { field: "janus.from", why })?;
        let route = match &settings.mail {
            MailRoute::Smtp(smtp) => Route::Relay(Relay::new(smtp.clone(), &packer).map_err(bad)?),
            MailRoute::Maildir(folder) => Route::Maildir(open_maildir(folder.clone()).await.map_err(bad)?),
        };
        let (queue, moved) = (Mutex::default(), Notify::new());
        let post = Arc::new(Self { books, shared, route, packer, address, queue, moved });
        for (name, parcel) in post.books.parcels().await? {
            let confirmation = match &parcel.content {
                Content::Confirmation { order, .. } => post.redraw(order).await?,
                Content::Certificate { .. } => None,
            };
            post.enqueue(name, parcel, confirmation);
        }
        Ok(post)
    }

    async fn redraw(&self, order: &Token) -> Result<Option<Confirmation>, StoreError> {
        let Some((mut order, version)) = self.books.order(&order.to_string()).await? else { return Ok(None) };
        let mut random = SystemRandom::default();
        let confirmation = order.redraw(&AwsLc, &mut random);
        if random.has_failed() || confirmation.is_none() {
            return Ok(None);
        }
        self.books.keep_order(&order, Some(version)).await?;
        Ok(confirmation)
    }

    /// Asks for a place.
    pub(super) fn promise(self: &Arc<Self>) -> Result<Promised, Full> {
        let mut queue = self.lock();
        if queue.due.len() + queue.promised >= MOST_WAITING {
            return Err(Full);
        }
        queue.promised += 1;
        drop(queue);
        Ok(Promised(Arc::clone(self)))
    }

    /// Puts an order's mail into the queue, once it is on disk.
    pub(super) fn send_confirmation(
        &self,
        _place: Promised,
        order: &Token,
        parcel: Parcel,
        mail: Option<Confirmation>,
    ) {
        self.enqueue(parcel_of(order), parcel, mail);
    }

    /// Writes a certificate's mail to disk and puts it into the queue.
    pub(super) async fn send_certificate(
        &self,
        _place: Promised,
        name: &str,
        parcel: Parcel,
    ) -> Result<(), StoreError> {
        self.books.keep_parcel(name, &parcel).await?;
        self.enqueue(name.to_owned(), parcel, None);
        Ok(())
    }

    fn enqueue(&self, name: String, parcel: Parcel, confirmation: Option<Confirmation>) {
        let mut queue = self.lock();
        queue.untried.insert(name.clone());
        let at = parcel.at;
        queue.put(at, Waiting { name, parcel, confirmation, put_off: 0 });
        self.count(&queue);
        drop(queue);
        self.moved.notify_one();
    }

    /// Whether an order's mail waits for the server to be reached at all, and how the server does.
    pub(super) fn waits(&self, order: &Token) -> Option<Health> {
        let queue = self.lock();
        let health = if queue.failing { Health::Failing } else { Health::Well };
        queue.untried.contains(&parcel_of(order)).then_some(health)
    }

    /// How many wait, and how the server does: for the operator.
    pub(super) fn stands(&self) -> (usize, Health) {
        let queue = self.lock();
        (queue.due.len(), if queue.failing { Health::Failing } else { Health::Well })
    }

    /// Sends what is due until the node stops.
    pub(super) async fn run(self: Arc<Self>) {
        let lifecycle = self.shared.lifecycle.clone();
        let mut wait = FIRST_WAIT;
        while !lifecycle.is_stopping() {
            let pause = match self.send_due().await {
                Ok(next) => {
                    wait = FIRST_WAIT;
                    next
                }
                Err(_) if lifecycle.is_stopping() => return,
                Err(why) => {
                    self.fail(&why);
                    let pause = wait;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    // What comes meanwhile waits with the others.
                    tokio::select! {
                        () = lifecycle.stopping() => return,
                        () = tokio::time::sleep(pause) => continue,
                    }
                }
            };
            tokio::select! {
                () = lifecycle.stopping() => return,
                () = self.moved.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Sends all that is due; how long nothing is, then.
    async fn send_due(&self) -> Result<Duration, String> {
        let mut line = None;
        let mut over = 0;
        while !self.shared.lifecycle.is_stopping() {
            let now = self.shared.clock.now().map_err(|error| error.to_string())?;
            self.drop_expired(now).await;
            let wait = self.lock().first_due(now);
            if let Some(wait) = wait {
                self.hang_up(line).await;
                return Ok(wait);
            }
            // The server is reached first, whatever the mail is: then it leaves the queue.
            if line.is_none() || over >= MAILS_A_CONNECTION {
                self.hang_up(line.take()).await;
                line = Some(self.call().await?);
                over = 0;
            }
            self.lock().failing = false;
            let Some(waiting) = self.lock().take_due(now) else { continue };
            // Counted here: what comes of one mail is for nobody's eyes.
            self.shared.metrics.janus.mail("tried");
            self.count(&self.lock());
            over += 1;
            let sent = self.send(&waiting, line.as_mut()).await;
            if sent.is_err() {
                line = None;
            }
            self.settle(waiting, sent, now).await?;
        }
        self.hang_up(line).await;
        Ok(LONGEST_WAIT)
    }

    async fn call(&self) -> Result<Option<Line>, String> {
        match &self.route {
            Route::Relay(relay) => tokio::select! {
                // A server that does not answer holds up no stop.
                () = self.shared.lifecycle.stopping() => Err("the node stops".into()),
                line = relay.call() => line.map(Some),
            },
            Route::Maildir(folder) => folder.check().map(|()| None),
        }
    }

    async fn hang_up(&self, line: Option<Option<Line>>) {
        if let Some(Some(line)) = line {
            line.hang_up().await;
        }
    }

    async fn send(&self, waiting: &Waiting, line: Option<&mut Option<Line>>) -> Result<(), NotSent> {
        let Some(letter) = self.letter(waiting).filter(|_| waiting.parcel.goes_out) else { return Ok(()) };
        let mail = self.packer.pack(&letter, waiting.parcel.at).map_err(NotSent::Never)?;
        match (&self.route, line) {
            (Route::Relay(relay), Some(Some(line))) => relay.send(line, &mail).await,
            (Route::Maildir(folder), _) => folder.put(&mail).await,
            _ => Err(NotSent::Server("there is no connection".into())),
        }
    }

    fn letter(&self, waiting: &Waiting) -> Option<Letter> {
        match &waiting.parcel.content {
            Content::Confirmation { network, .. } => {
                let address = network.split('/').next()?.parse().ok()?;
                let network = SmallNetwork::of(address);
                let asker = Asker { at: waiting.parcel.at, network, janus: &self.address };
                let confirmation = waiting.confirmation.as_ref()?;
                Some(Letter::confirmation(confirmation, &asker, waiting.parcel.until))
            }
            Content::Certificate { mailbox, chain, not_after } => Some(Letter::certificate(mailbox, chain, *not_after)),
        }
    }

    /// What came of a mail. Only what concerns all of them is an error.
    async fn settle(&self, mut waiting: Waiting, sent: Result<(), NotSent>, now: Timestamp) -> Result<(), String> {
        match sent {
            // Whether it went out or was only counted is told to nobody.
            Ok(()) => self.done(&waiting).await,
            Err(NotSent::Never(why)) => {
                tracing::warn!(why, "a mail was refused by the mail server and is given up");
                self.done(&waiting).await;
            }
            Err(NotSent::Later(why)) => {
                tracing::info!(why, "the mail server asks to come again for one mail");
                let wait = LATER * 2_u32.saturating_pow(waiting.put_off.min(5));
                waiting.put_off += 1;
                self.lock().put(now.plus(wait), waiting);
            }
            Err(NotSent::Server(why)) => {
                let mut queue = self.lock();
                queue.untried.insert(waiting.name.clone());
                let at = waiting.parcel.at;
                queue.put(at, waiting);
                return Err(why);
            }
        }
        Ok(())
    }

    async fn done(&self, waiting: &Waiting) {
        if let Err(error) = self.books.drop_parcel(&waiting.name).await {
            // After a restart it goes out a second time.
            tracing::warn!(%error, "a mail that has gone out can't be taken off the records");
        }
    }

    async fn drop_expired(&self, now: Timestamp) {
        let expired = self.lock().take_expired(now);
        for (waiting, untried) in expired {
            if untried {
                self.shared.metrics.janus.mail("expired");
            }
            self.done(&waiting).await;
        }
        self.count(&self.lock());
    }

    fn fail(&self, why: &str) {
        self.shared.metrics.janus.mail("server-failed");
        let first = !std::mem::replace(&mut self.lock().failing, true);
        if first {
            tracing::error!(why, "mails can't be sent; they wait, and the server is tried again");
        }
    }

    fn count(&self, queue: &Queue) {
        self.shared.metrics.janus.mails_waiting.set(i64::try_from(queue.untried.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open_maildir(folder: PathBuf) -> Result<Maildir, String> {
    let opened = tokio::task::spawn_blocking(move || Maildir::open(folder)).await;
    opened.map_err(|_| "the runtime ended".to_owned())?
}
