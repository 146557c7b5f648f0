//! The Perspectives interface: `GET /?host=…` for clients of 2008 (`docs/protocols/perspectives.md`).

mod key;
mod old;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::StatusCode;
use moka::sync::Cache;
use parallax_core::{Host, LegacyRow, ServiceId, with_old_rows, with_old_rows_side_by_side};
use parallax_probe::TargetPolicy;
use parallax_proto::{LegacyHistory, LegacyKind, LegacyRequest};
use parallax_store::{Known, Records, SqliteStore, StoreError};
use tokio::sync::Semaphore;

use crate::app::Shared;
use crate::histories::{Histories, KEPT};
use crate::limits::RateLimits;
use crate::looks::{Looks, NotLooked};
use crate::problem::Problem;
use crate::views::{COME_BACK, refuse};
pub(crate) use key::LegacyKeeper;
use key::LegacyKey;
use old::OldRows;

/// Where signatures are kept, by the SHA-256 of what they are about.
const NAMESPACE: &str = "legacy";

/// Signatures made at a time: one is a millisecond of work.
const SIGNING: usize = 2;

/// Answers old clients.
pub(crate) struct Legacy {
    tools: Tools,
    old: OldRows,
    /// Finished replies by service id.
    finished: Cache<String, Finished>,
    signing: Semaphore,
}

/// What replies are made with.
pub(crate) struct Tools {
    pub(crate) shared: Shared,
    pub(crate) key: Arc<LegacyKeeper>,
    pub(crate) histories: Arc<Histories>,
    pub(crate) records: Arc<SqliteStore>,
    pub(crate) looks: Arc<Looks>,
    pub(crate) limits: Arc<RateLimits>,
    pub(crate) targets: TargetPolicy,
}

/// What is known of a service: by the node itself, and by old notaries.
struct Told {
    known: Arc<Known>,
    old: Arc<[LegacyRow]>,
}

#[derive(Clone)]
struct Finished {
    /// What it was made from; while the service is known by the very same, the reply is the very same.
    known: Weak<Known>,
    old: Weak<[LegacyRow]>,
    history: Arc<LegacyHistory>,
    reply: Bytes,
}

impl Legacy {
    /// `bytes` of memory at most for finished replies; a quarter of it for the rows of old notaries that go into them.
    pub(crate) fn new(tools: Tools, bytes: u64) -> Self {
        let for_old = bytes / 4;
        // The document, its rows once more in numbers, and what the table takes.
        let weigh = |id: &String, finished: &Finished| {
            u32::try_from(300 + id.len() + finished.reply.len() * 3 / 2).unwrap_or(u32::MAX)
        };
        let finished = Cache::builder().max_capacity(bytes - for_old).weigher(weigh).time_to_live(KEPT).build();
        let old = OldRows::new(Arc::clone(&tools.records), for_old);
        Self { tools, old, finished, signing: Semaphore::new(SIGNING) }
    }

    /// The public key for the index page; `None` while it is being made.
    pub(crate) fn key(&self) -> Option<Arc<LegacyKey>> {
        self.tools.key.found()
    }

    /// Makes the key at the first start.
    pub(crate) async fn make_key(&self) {
        if self.key().is_none() && self.find_key().await.is_ok() {
            tracing::info!("the key of the Perspectives interface is made");
        }
    }

    /// The reply, or the problem that stands for its absence.
    pub(crate) async fn answer(&self, request: &LegacyRequest, asker: Option<IpAddr>) -> Result<Bytes, Problem> {
        let service = request.service();
        let id = request.service_id();
        let told = match self.recall(service).await {
            Ok(told) => told,
            Err(error) => match self.finished.get(&id) {
                Some(finished) => return Ok(self.given("stale", finished.reply)),
                None => return Err(refuse(&self.tools.shared, NotLooked::NotRecorded(error))),
            },
        };
        if let Some(told) = told {
            if let Some(finished) = self.finished.get(&id).filter(|finished| is_of(finished, &told)) {
                return Ok(self.given("again", finished.reply));
            }
            let own = told.own_rows(request.kind());
            if own.is_empty() && !told.old.is_empty() {
                // Others have seen it, this node has not yet.
                self.start_look(service, asker);
            }
            let history = told.history(request.kind(), own);
            if !history.is_empty() {
                return self.reply(request, id.clone(), &told, history, asker).await;
            }
        }
        // What was forgotten is not told when the store goes.
        self.finished.invalidate(&id);
        self.start_look(service, asker);
        Err(self.unknown())
    }

    /// What is known of a service; `None` when nothing is.
    async fn recall(&self, service: &ServiceId) -> Result<Option<Told>, StoreError> {
        let Some(known) = self.tools.histories.recall(service).await?.known else { return Ok(None) };
        Ok(Some(Told { known, old: self.old.recall(service).await? }))
    }

    async fn reply(
        &self,
        request: &LegacyRequest,
        id: String,
        told: &Told,
        history: LegacyHistory,
        asker: Option<IpAddr>,
    ) -> Result<Bytes, Problem> {
        let permit = self.signing.acquire().await;
        let (known, old) = (Arc::downgrade(&told.known), Arc::downgrade(&told.old));
        let (source, finished) = match self.finished.get(&id).filter(|finished| *finished.history == history) {
            // Other parts of the history have changed, or somebody else was here meanwhile.
            Some(finished) => ("again", Finished { known, old, ..finished }),
            None => {
                let (source, signature) = self.signature(request, &id, &history, asker).await?;
                let reply = Bytes::from(history.to_xml(request.kind(), &signature));
                (source, Finished { known, old, history: Arc::new(history), reply })
            }
        };
        self.finished.insert(id, finished.clone());
        drop(permit);
        Ok(self.given(source, finished.reply))
    }

    /// The signature that is kept with the history, or a new one. Only the canonical spelling has one that is kept: a
    /// name has endless spellings.
    async fn signature(
        &self,
        request: &LegacyRequest,
        id: &str,
        history: &LegacyHistory,
        asker: Option<IpAddr>,
    ) -> Result<(&'static str, Vec<u8>), Problem> {
        let (key, message) = (self.find_key().await?, history.signed_bytes(id));
        if !request.is_canonical() {
            self.admit_spelling(asker)?;
            return Ok(("signed", self.sign(key, message).await?));
        }
        let (name, of) = (filed_under(id), about(&key, &message));
        let kept = self.tools.records.get(NAMESPACE, &name).await.ok().flatten();
        if let Some(signature) = kept.as_ref().and_then(|kept| kept.bytes.strip_prefix(of.as_slice())) {
            return Ok(("kept", signature.to_vec()));
        }
        let signature = self.sign(key, message).await?;
        let bytes = [of.as_slice(), &signature].concat();
        // Queued by the call. If it can't be written, the next one signs again.
        drop(self.tools.records.put(NAMESPACE, &name, kept.map(|kept| kept.version), bytes));
        Ok(("signed", signature))
    }

    async fn sign(&self, key: Arc<LegacyKey>, message: Vec<u8>) -> Result<Vec<u8>, Problem> {
        self.tools.shared.metrics.legacy_signatures.inc();
        let signed = tokio::task::spawn_blocking(move || key.sign(&message)).await;
        signed.ok().and_then(Result::ok).ok_or_else(cannot_sign)
    }

    async fn find_key(&self) -> Result<Arc<LegacyKey>, Problem> {
        if let Some(key) = self.key() {
            return Ok(key);
        }
        let keeper = Arc::clone(&self.tools.key);
        match tokio::task::spawn_blocking(move || keeper.find_or_make()).await {
            Ok(Ok(key)) => Ok(key),
            Ok(Err(error)) => {
                if self.tools.shared.store_warned.is_time() {
                    tracing::warn!(%error, "the key of the Perspectives interface can't be made");
                }
                Err(cannot_sign())
            }
            Err(_) => Err(cannot_sign()),
        }
    }

    fn admit_spelling(&self, asker: Option<IpAddr>) -> Result<(), Problem> {
        let Some(asker) = asker else { return Ok(()) };
        self.tools.limits.admit_spelling(asker).map_err(|wait| {
            self.tools.shared.metrics.refused("spelling");
            Problem::too_many("this spelling of the name needs a signature of its own, and your network had many", wait)
        })
    }

    /// A look in the background; nobody waits for it. What is plainly not allowed is not even begun.
    fn start_look(&self, service: &ServiceId, asker: Option<IpAddr>) {
        let (targets, port) = (&self.tools.targets, service.port());
        let target = service.host().address().map(|address| SocketAddr::new(address, port));
        if target.map_or_else(|| targets.allows_port(port), |target| targets.allows(target))
            && self.tools.looks.look(service, None, asker).is_err()
        {
            self.tools.shared.metrics.refused("looks");
        }
    }

    fn unknown(&self) -> Problem {
        self.tools.shared.metrics.legacy_reply("unknown");
        let detail = "nothing is known of this service; if it may be looked at, that is being done, so ask again";
        Problem::new(StatusCode::NOT_FOUND, "unknown-service", detail)
    }

    fn given(&self, source: &'static str, reply: Bytes) -> Bytes {
        self.tools.shared.metrics.legacy_reply(source);
        reply
    }
}

impl Told {
    fn own_rows(&self, kind: LegacyKind) -> Vec<LegacyRow> {
        match kind {
            LegacyKind::Ssl => self.known.history.legacy_rows(),
            LegacyKind::Ssh => self.known.history.legacy_rows_side_by_side(),
        }
    }

    fn history(&self, kind: LegacyKind, own: Vec<LegacyRow>) -> LegacyHistory {
        LegacyHistory::new(match kind {
            LegacyKind::Ssl => with_old_rows(own, &self.old),
            LegacyKind::Ssh => with_old_rows_side_by_side(own, &self.old),
        })
    }
}

fn is_of(finished: &Finished, told: &Told) -> bool {
    // While the weak ones live, nothing else has their addresses.
    std::ptr::eq(finished.known.as_ptr(), Arc::as_ptr(&told.known))
        && std::ptr::addr_eq(finished.old.as_ptr(), Arc::as_ptr(&told.old))
}

/// Forgets the signature that is kept for a service: its name could be guessed from what it is filed under.
pub async fn forget_legacy_signature(records: &dyn Records, service: &ServiceId) -> Result<(), StoreError> {
    let Some(kind) = [LegacyKind::Ssl, LegacyKind::Ssh].into_iter().find(|kind| kind.scheme() == service.scheme())
    else {
        return Ok(());
    };
    let host = match service.host() {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    };
    let name = filed_under(&format!("{host}:{},{}", service.port(), kind.number()));
    let Some(kept) = records.get(NAMESPACE, &name).await? else { return Ok(()) };
    match records.delete(NAMESPACE, &name, kept.version).await {
        // A node has written a new one: somebody asks for it.
        Err(StoreError::Conflict { .. }) => Ok(()),
        done => done,
    }
}

/// Where the signature for a service id is kept.
fn filed_under(id: &str) -> String {
    hex(digest(&SHA256, id.as_bytes()).as_ref())
}

/// What a kept signature is about: this key and these bytes.
fn about(key: &LegacyKey, message: &[u8]) -> Vec<u8> {
    digest(&SHA256, &[key.id.as_slice(), message].concat()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cannot_sign() -> Problem {
    Problem::unavailable("signing", "the key of the Perspectives interface can't sign", COME_BACK)
}
