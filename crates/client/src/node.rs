//! A node as a vantage point.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parallax_core::{Timestamp, VantageId};
use parallax_probe::AwsLc;
use parallax_proto::janus::{CaList, LARGEST_CA_LIST};
use parallax_proto::mirror::{self, LARGEST_LIST, Listed, MirrorList, Peer, Signatory, Status};
use parallax_proto::{
    Descriptor, DnsQuestion, DnsReply, Expected, LARGEST_DESCRIPTOR, LARGEST_DNS_REPLY, LARGEST_VIEW, Question, Signed,
    StatementKey, Verified, View,
};
use tokio::time::Instant;

use crate::clock::now;
use crate::http::Channel;
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing, VantagePoint};

/// Pages of a list of mirrors that are read.
pub const MOST_PAGES: usize = 16;

/// The largest answer to a POST that is read.
const LARGEST_RECEIPT: usize = 16 * 1024;

/// A node behind its pin. The statement key comes from its descriptor, which is asked for beside the first question and
/// kept as long as it counts.
pub struct NodeVantage {
    id: VantageId,
    url: VantageUrl,
    channel: Channel,
    known: Mutex<Option<Known>>,
}

/// What is kept of a verified descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The key that signs its views.
    pub statement_key: StatementKey,
    /// The region its operator claims.
    pub region: Option<String>,
    /// The registry of its address.
    pub rir: Option<String>,
    /// Until when the descriptor counts.
    pub valid_until: Timestamp,
}

impl Known {
    /// What is kept of a descriptor that was verified.
    pub fn of(descriptor: &Descriptor) -> Self {
        Self {
            statement_key: descriptor.statement_key,
            region: descriptor.region.clone(),
            rir: descriptor.rir.clone(),
            valid_until: descriptor.valid_until,
        }
    }
}

/// A vantage point was named without the pin that says who it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} has no pin; add #VANTAGE-ID (the node prints its id when it starts), or use --trust-first to pin what is met now"
)]
pub struct NoPin(pub VantageUrl);

impl NodeVantage {
    /// A node to be asked at `url`, whose pin says who it must be. What is already known of it saves a question.
    pub fn new(url: VantageUrl, known: Option<Known>) -> Result<Self, NoPin> {
        let id = url.pin().ok_or_else(|| NoPin(url.clone()))?;
        // The settings of a pinned channel are constants; they fail only if the provider were built without TLS.
        let channel = Channel::new(url.clone()).map_err(|_| NoPin(url.clone()))?;
        Ok(Self { id, url, channel, known: Mutex::new(known) })
    }

    /// Meets the node at `url` and returns its verified descriptor. Without a pin it believes the vantage id that it
    /// meets: the caller must say so to the user, and pin it.
    pub async fn discover(url: &VantageUrl, deadline: Deadline) -> Result<Verified<Descriptor>, Missing> {
        let channel = Channel::new(url.clone())?;
        let signed = channel.get("/v1/vantage", LARGEST_DESCRIPTOR, deadline).await?;
        let id = url.pin().or(channel.met()).ok_or_else(|| Missing::Certificate("no certificate was met".into()))?;
        Ok(Descriptor::verify(&AwsLc, id, signed, now())?)
    }

    /// Where it is.
    pub fn url(&self) -> &VantageUrl {
        &self.url
    }

    /// What is known of it by now.
    pub fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The round trip of `GET /v1/ping`, the making of a connection not counted.
    pub async fn ping(&self, deadline: Deadline) -> Result<Duration, Missing> {
        self.channel.round_trip("/v1/ping", deadline).await
    }

    /// The shortest round trip that connecting took so far, the handshake's own work included; `None` before the first
    /// connection.
    pub fn round_trip(&self) -> Option<Duration> {
        self.channel.shortest_handshake()
    }

    /// Whether a connection stands over which the next question goes.
    pub(crate) fn is_connected(&self) -> bool {
        self.channel.is_connected()
    }

    /// When the newest handshake was answered.
    pub(crate) fn connected_at(&self) -> Option<Instant> {
        self.channel.connected_at()
    }

    /// Posts JSON to one of the federation's paths. What comes back is not signed.
    pub async fn post(&self, path: &str, body: Vec<u8>, deadline: Deadline) -> Result<String, Missing> {
        Ok(self.channel.post(path, body.into(), LARGEST_RECEIPT, deadline).await?.body)
    }

    /// The same for what must arrive, such as a join: a node that has no time now is asked again when it says so, as long
    /// as that is before the deadline.
    pub async fn post_patiently(&self, path: &str, body: Vec<u8>, deadline: Deadline) -> Result<String, Missing> {
        Ok(self.channel.post_patiently(path, body.into(), LARGEST_RECEIPT, deadline).await?.body)
    }

    /// A body of at most `limit` bytes with the signature that came with it: nothing of it is believed yet.
    pub async fn fetch(&self, path: &str, limit: usize, deadline: Deadline) -> Result<Signed, Missing> {
        self.channel.get(path, limit, deadline).await
    }

    /// The mirrors that it knows, of one status or of all: those whose descriptors hold now, at most [`MOST_PAGES`] pages.
    pub async fn mirrors(&self, status: Option<Status>, deadline: Deadline) -> Result<Vec<(Peer, Status)>, Missing> {
        let mut listed = Vec::new();
        self.each_page(status, MOST_PAGES, deadline, |page| listed.extend(page)).await?;
        let listed = listed.into_iter();
        Ok(listed.filter_map(|one| Some((Peer::verify(&AwsLc, one.descriptor, now()).ok()?, one.status))).collect())
    }

    /// The entries of its list as they stand there, page by page, at most so many: it has signed them, and nobody has
    /// verified the descriptors in them.
    pub(crate) async fn each_page(
        &self,
        status: Option<Status>,
        pages: usize,
        deadline: Deadline,
        mut take: impl FnMut(Vec<Listed>),
    ) -> Result<(), Missing> {
        let mut page = Some(0);
        for _ in 0..pages {
            let Some(number) = page else { break };
            let filter = status.map_or_else(String::new, |status| format!("&status={}", status.as_str()));
            let list = self.mirrors_page(&format!("/v1/mirrors?page={number}{filter}"), deadline).await?;
            page = list.next.filter(|next| *next > number);
            take(list.mirrors);
        }
        Ok(())
    }

    async fn mirrors_page(&self, path: &str, deadline: Deadline) -> Result<MirrorList, Missing> {
        let by = |statement_key| Signatory { vantage: self.id, statement_key };
        let verify = |key, signed| Ok(mirror::verify::<MirrorList>(&AwsLc, by(key), signed, now())?);
        Ok(self.ask(path, LARGEST_LIST, deadline, verify).await?.into_content())
    }

    /// Whose certificates of mailboxes count at a node of the role `janus`, and which keys no longer do.
    pub async fn authorities(&self, deadline: Deadline) -> Result<Verified<CaList>, Missing> {
        let by = |statement_key| Signatory { vantage: self.id, statement_key };
        let verify =
            |key, signed| mirror::verify::<CaList>(&AwsLc, by(key), signed, now()).map_err(Missing::Authorities);
        self.ask("/v1/ca", LARGEST_CA_LIST, deadline, verify).await
    }

    async fn learn(&self, deadline: Deadline) -> Result<Known, Missing> {
        let signed = self.channel.get("/v1/vantage", LARGEST_DESCRIPTOR, deadline).await?;
        let known = Known::of(Descriptor::verify(&AwsLc, self.id, signed, now())?.content());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }

    /// A signed answer that `verify` believes under the statement key.
    async fn ask<T>(
        &self,
        path: &str,
        limit: usize,
        deadline: Deadline,
        verify: impl Fn(StatementKey, Signed) -> Result<Verified<T>, Missing>,
    ) -> Result<Verified<T>, Missing> {
        let answer = self.channel.get(path, limit, deadline);
        let kept = self.known().filter(|known| known.valid_until > now());
        let Some(kept) = kept else {
            // Both at once: a first question costs no second round trip.
            let (answer, known) = tokio::join!(answer, self.learn(deadline));
            return verify(known?.statement_key, answer?);
        };
        let answer = answer.await?;
        match verify(kept.statement_key, answer.clone()) {
            // The statement key may have been replaced since: fetch the descriptor once, then judge.
            Err(why) if why.is_other_key() => verify(self.learn(deadline).await?.statement_key, answer),
            judged => judged,
        }
    }

    fn expected<'a, Q>(&self, statement_key: StatementKey, question: &'a Q) -> Expected<'a, Q> {
        Expected { vantage: self.id, statement_key, question, now: now() }
    }
}

impl VantagePoint for NodeVantage {
    fn id(&self) -> VantageId {
        self.id
    }

    fn label(&self) -> String {
        self.url.authority()
    }

    fn region(&self) -> Option<String> {
        self.known()?.region
    }

    fn rir(&self) -> Option<String> {
        self.known()?.rir
    }

    fn view(&self, question: Question, deadline: Deadline) -> BoxFuture<'_, Result<Verified<View>, Missing>> {
        Box::pin(async move {
            let verify = |key, signed| Ok(View::verify(&AwsLc, &self.expected(key, &question), signed)?);
            self.ask(&question.to_path(), LARGEST_VIEW, deadline, verify).await
        })
    }

    fn dns(&self, question: DnsQuestion, deadline: Deadline) -> BoxFuture<'_, Result<Verified<DnsReply>, Missing>> {
        Box::pin(async move {
            let verify = |key, signed| Ok(DnsReply::verify(&AwsLc, &self.expected(key, &question), signed)?);
            self.ask(&question.to_path(), LARGEST_DNS_REPLY, deadline, verify).await
        })
    }
}
