//! What goes into the state machine and what comes out of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Fingerprint, Look, ServiceId, Timestamp, VantageId};

use super::operating::Wish;
use super::peer::Peer;
use super::statement::StatementError;
use super::wire::{Report, Status};
use crate::signed::{Signed, Verified};
use crate::view::View;

/// Which round: one service, asked of a few mirrors at one moment and looked at by oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundId(pub(super) u64);

/// Which quiz or ping: its round, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuizId {
    pub(super) round: RoundId,
    pub(super) place: u8,
}

/// Which meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeetId(pub(super) u64);

/// How a join came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Sent by whoever wants in: it is forwarded once the candidate was met, so that three and more test at once.
    Own,
    /// Passed on by another mirror (`POST /v1/mirrors?forwarded=1`): it is forwarded when the candidate has passed.
    Forwarded,
}

/// My own look, for comparison.
#[derive(Clone, Debug)]
pub struct OwnLook {
    /// The look.
    pub look: Arc<Look>,
    /// The keys that I have seen at this service within a day.
    pub remembered: Arc<[Fingerprint]>,
}

/// What a mirror answered to a quiz. The node makes it from verified views only; simulations make it directly.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it saw.
    pub look: Arc<Look>,
    /// When it signed.
    pub issued_at: Timestamp,
    /// The view itself: what could prove an equivocation. `None` only in simulations.
    pub view: Option<Arc<Verified<View>>>,
}

impl Answer {
    /// The answer that a verified view gives.
    pub fn of(view: Arc<Verified<View>>) -> Self {
        let content = view.content();
        let look = Arc::new(Look { dns: content.dns.clone(), now: content.now.clone() });
        Self { look, issued_at: content.issued_at, view: Some(view) }
    }
}

/// Why a quiz brought no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// No connection, or no reply in time.
    Silent,
    /// It refused (429, 503 or the like): requests must not be denied.
    Denied,
    /// What it sent was not a valid view of now: badly signed, expired, of a wrong clock.
    Invalid,
}

/// Why a vantage point was not met at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The address is not one that is connected to.
    NotAllowed,
    /// Nobody answered.
    Silent,
    /// Somebody else answered: the CA in the handshake has another key.
    SomebodyElse,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time passed: the deadline has come.
    Tick,
    /// A client asked for a service. `client` stands for its network (/24 or /48) under a key that changes daily and is
    /// kept nowhere; `domain` is the registrable one.
    NameAsked {
        /// What.
        service: ServiceId,
        /// Whose name that is.
        domain: String,
        /// By whom, under a key.
        client: u64,
    },
    /// `POST /v1/mirrors`.
    JoinReceived {
        /// Whose descriptor, verified.
        peer: Arc<Peer>,
        /// How it came.
        hop: Hop,
    },
    /// A meeting ended: TLS at the address with the vantage id proved, and the newest descriptor from there.
    Met {
        /// Which.
        meet: MeetId,
        /// Who was met.
        result: Result<Arc<Peer>, Unmet>,
    },
    /// My own look for a round ended.
    Looked {
        /// Which.
        round: RoundId,
        /// `None` when it failed.
        look: Option<OwnLook>,
    },
    /// A quiz ended.
    QuizAnswered {
        /// Which.
        quiz: QuizId,
        /// What came.
        answer: Result<Answer, NoAnswer>,
        /// How long it took, less the time spent on the target.
        took: Duration,
    },
    /// A ping ended.
    PingAnswered {
        /// Which.
        ping: QuizId,
        /// The round trip; `None` when none came back.
        took: Option<Duration>,
    },
    /// `POST /v1/reports`.
    ReportReceived {
        /// What was reported. Nothing of it is believed yet.
        report: Report,
    },
    /// `POST /v1/removals`.
    RemovalAsked {
        /// The request.
        removal: Signed,
    },
    /// `GET /v1/removals/<id>` was answered.
    VoteReceived {
        /// The vote.
        vote: Signed,
    },
    /// The operator of this mirror wants something.
    OperatorWishes {
        /// About whom.
        subject: VantageId,
        /// What.
        wish: Wish,
    },
    /// The descriptors, verified, of mirrors that another's list holds as active and that are not known here.
    ListReceived {
        /// Whose list.
        from: VantageId,
        /// Whom it names.
        newcomers: Vec<Arc<Peer>>,
    },
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Connect to the address by TLS, see whether the CA of this vantage id is there, fetch `GET /v1/vantage`.
    Meet {
        /// Answered under this.
        meet: MeetId,
        /// Who must be there.
        vantage: VantageId,
        /// Where. Judge it first as any address of a target.
        address: SocketAddr,
    },
    /// Look at a service, or take one's own look that is not older than `max_age`.
    LookNow {
        /// Answered under this.
        round: RoundId,
        /// What to look at.
        service: Arc<ServiceId>,
        /// How old the look may be.
        max_age: Duration,
    },
    /// Ask a mirror for its view as any client would.
    Ask {
        /// Answered under this.
        quiz: QuizId,
        /// Whom.
        to: VantageId,
        /// What.
        service: Arc<ServiceId>,
    },
    /// `GET /v1/ping`.
    Ping {
        /// Answered under this.
        ping: QuizId,
        /// Whom.
        to: VantageId,
    },
    /// `POST /v1/mirrors?forwarded=1`.
    Forward {
        /// The join.
        peer: Arc<Peer>,
        /// To whom.
        to: VantageId,
    },
    /// Sign this body and `POST /v1/removals` it.
    AskRemoval {
        /// The id: the hash of the body.
        removal: Fingerprint,
        /// A [`super::Removal`], to be signed as it is.
        body: Arc<str>,
        /// To whom.
        to: VantageId,
    },
    /// `GET /v1/removals/<id>`.
    FetchVote {
        /// Which.
        removal: Fingerprint,
        /// From whom.
        from: VantageId,
    },
    /// Sign this body and keep it for `GET /v1/removals/<id>`.
    Vote {
        /// Which.
        removal: Fingerprint,
        /// A [`super::Vote`], to be signed as it is.
        body: String,
        /// How long it may be asked for.
        until: Timestamp,
    },
    /// `GET /v1/mirrors`, and what [`super::newcomers`] finds in it.
    FetchList {
        /// Of whom.
        from: VantageId,
    },
    /// Tell the operator of a mirror, or whoever reads the log, that its status here changed.
    Notify {
        /// Whose.
        vantage: VantageId,
        /// To what.
        status: Status,
        /// Why.
        reason: Reason,
    },
    /// Keep what [`super::Federation::saved`] says of this mirror; forget it when that says nothing.
    Persist(VantageId),
}

/// Why a mirror has its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It asked to join.
    Joined,
    /// Most of the lists that were asked at the beginning know it.
    Known,
    /// It passed the tests.
    Passed,
    /// It does not answer.
    Silent,
    /// It answers too slowly.
    Slow,
    /// Its answers dissent without explanation.
    Dissents,
    /// Two of its signed statements can't both be true.
    Equivocation,
    /// None of its answers could be compared: this mirror's own looks failed, or it has no names to ask for.
    Untested,
    /// It was silent for too long.
    Forgotten,
    /// The operator of this mirror asked for its removal, and the peers that were asked agreed.
    Asked,
    /// The operator of this mirror dropped it.
    Dropped,
}

impl Reason {
    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Reason::Joined => "it asked to join and is being tested",
            Reason::Known => "most of the lists that were asked at the beginning know it",
            Reason::Passed => "it passed the tests",
            Reason::Silent => "it does not answer, or denies requests",
            Reason::Slow => "its answers take too long",
            Reason::Dissents => "its answers dissent from what this mirror and others see",
            Reason::Equivocation => "two of its signed statements can't both be true",
            Reason::Untested => "none of its answers could be compared with a look of this mirror",
            Reason::Forgotten => "it was silent for too long",
            Reason::Asked => "an operator wants it removed, and most of the mirrors that were asked agree",
            Reason::Dropped => "the operator of this mirror has dropped it",
        }
    }
}

/// Why an event of a stranger was refused. Nothing was changed by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The statement is not believed.
    #[error("{0}")]
    Statement(#[from] StatementError),
    /// Somebody whom this mirror does not hold for an active one.
    #[error("{0} is not an active mirror in this mirror's list")]
    NotActive(VantageId),
    /// Nobody of that id is known here.
    #[error("vantage point {0} is not known here")]
    Unknown(VantageId),
    /// It is about this mirror itself.
    #[error("this is about the mirror that was asked")]
    Myself,
    /// An older descriptor than the one that is known.
    #[error("the descriptor is from {found}; the one known here is from {known}")]
    Older {
        /// The known one.
        known: Timestamp,
        /// The offered one.
        found: Timestamp,
    },
    /// Two descriptors of one moment.
    #[error("{0} signed two different descriptors at one moment")]
    TwoDescriptors(VantageId),
    /// More than is taken.
    #[error("too many requests of this kind; try again in {retry_after_secs} s")]
    TooMany {
        /// When to come again.
        retry_after_secs: u64,
    },
    /// Too few others are active to ask, or they are being asked already.
    #[error("nobody can be asked: fewer than {least} other mirrors are active here, or they are being asked already")]
    NobodyToAsk {
        /// How many it takes.
        least: usize,
    },
    /// One that the operator did not drop can't be taken back.
    #[error("{0} was not dropped by this mirror's operator")]
    NotDropped(VantageId),
    /// A report whose receiver was not among those asked.
    #[error("the report holds no view of this mirror: reports go only to those who were asked")]
    NotAsked,
    /// A report with a member that is not what it says.
    #[error("the report is void: {0}")]
    Void(String),
}
