//! What can be asked.

use std::time::Duration;

use futures_util::future::BoxFuture;
use parallax_core::VantageId;
use parallax_proto::mirror::StatementError;
use parallax_proto::{
    BadSignature, DescriptorError, DnsQuestion, DnsReply, DnsReplyError, Question, ReplyError, Verified, View,
    ViewError,
};
use tokio::time::Instant;

/// Until when an answer is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// That long from now.
    pub fn within(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// What is left.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The moment itself.
    pub fn instant(self) -> Instant {
        self.0
    }
}

/// A place in the network that can look. Nodes, peers and adapters to other networks are asked alike.
pub trait VantagePoint: Send + Sync {
    /// Its identity: reputation hangs on it, and it is counted once however often it is named.
    fn id(&self) -> VantageId;

    /// How people find it, such as `192.0.2.7:8443`.
    fn label(&self) -> String;

    /// The region its operator claims, as far as known by now.
    fn region(&self) -> Option<String>;

    /// The regional Internet registry of its address, as far as known by now.
    fn rir(&self) -> Option<String>;

    /// Asks it. What comes back was verified against this very question.
    fn view(&self, question: Question, deadline: Deadline) -> BoxFuture<'_, Result<Verified<View>, Missing>>;

    /// Asks what DNS says from there. What comes back was verified against this very question.
    fn dns(&self, question: DnsQuestion, deadline: Deadline) -> BoxFuture<'_, Result<Verified<DnsReply>, Missing>>;
}

/// Why there is no view.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// It could not be reached.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The verdict stood before it answered.
    #[error("not waited for: the verdict stood without it")]
    NotNeeded,
    /// It refused to answer.
    #[error("it refused with HTTP status {status}{}", detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Refused {
        /// HTTP status.
        status: u16,
        /// The problem document's detail.
        detail: Option<String>,
    },
    /// What it said is no HTTP answer.
    #[error("it does not speak HTTP as a node does: {0}")]
    Protocol(String),
    /// It is not the one that the pin names.
    #[error("its certificate chains to {}, not to the pinned {expected}", found.map_or_else(|| "no vantage point's CA".to_owned(), |id| id.to_string()))]
    WrongPin {
        /// The pin.
        expected: VantageId,
        /// Whom it chains to, if to anyone.
        found: Option<VantageId>,
    },
    /// Its certificate does not hold.
    #[error("its TLS certificate does not hold: {0}")]
    Certificate(String),
    /// Its descriptor does not hold.
    #[error("{0}")]
    Descriptor(#[from] DescriptorError),
    /// Its view does not hold.
    #[error("{0}")]
    View(#[from] ViewError),
    /// Its DNS answer does not hold.
    #[error("{0}")]
    Dns(#[from] DnsReplyError),
    /// Its kind knows nothing of DNS.
    #[error("not supported: old notaries can't be asked about DNS")]
    NoDns,
    /// Its list of mirrors does not hold.
    #[error("its list of mirrors does not hold: {0}")]
    Mirrors(#[from] StatementError),
    /// Its list of roots and denied keys does not hold.
    #[error("its list of roots and denied keys does not hold: {0}")]
    Authorities(StatementError),
    /// An old notary's reply does not hold.
    #[error("{0}")]
    Reply(#[from] ReplyError),
    /// An old notary has nothing to tell.
    #[error("it knows nothing of this service yet; it may be looking now")]
    NoHistory,
    /// An old notary can't be asked this.
    #[error("old notaries are asked about TLS services alone")]
    NotForNotaries,
    /// Its answer is larger than any may be.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// A hub gives no channel.
    #[error("it gives no channel: {0}")]
    Channel(String),
    /// It declined what was asked.
    #[error("it declined: {0}")]
    Declined(String),
    /// What a hub passed on does not count, whatever its signature.
    #[error("{0}")]
    Peer(String),
    /// Hubs are not told of private services.
    #[error("not asked: hubs and their peers are not told private names and addresses (--allow-private lifts that)")]
    Private,
    /// A hub is not asked about what can't be compared.
    #[error("not asked: your own look reached no address, so there is nothing to compare")]
    NothingToCompare,
    /// Its views contradict each other.
    #[error("lying-vantage: {0}")]
    Lying(&'static str),
}

impl Missing {
    /// Whether the answer may be signed by a newer statement key than the one that is known.
    pub(crate) fn is_other_key(&self) -> bool {
        matches!(
            self,
            Missing::View(ViewError::Signature(BadSignature::Mismatch))
                | Missing::Dns(DnsReplyError::Signature(BadSignature::Mismatch))
                | Missing::Mirrors(StatementError::Signature(BadSignature::Mismatch))
                | Missing::Authorities(StatementError::Signature(BadSignature::Mismatch))
        )
    }

    /// Whether it answered, but nothing that may count: dropped, not missing.
    pub fn is_dropped(&self) -> bool {
        match self {
            Missing::Unreachable(_)
            | Missing::Timeout
            | Missing::NotNeeded
            | Missing::Refused { .. }
            | Missing::NoHistory
            | Missing::NotForNotaries
            | Missing::NoDns
            | Missing::Channel(_)
            | Missing::Declined(_)
            | Missing::Private
            | Missing::NothingToCompare
            | Missing::Protocol(_) => false,
            Missing::WrongPin { .. }
            | Missing::Certificate(_)
            | Missing::Descriptor(_)
            | Missing::View(_)
            | Missing::Dns(_)
            | Missing::Mirrors(_)
            | Missing::Authorities(_)
            | Missing::Reply(_)
            | Missing::TooLarge(_)
            | Missing::Peer(_)
            | Missing::Lying(_) => true,
        }
    }
}
