//! The messages between mirrors (`docs/protocols/mirrors.md`, *Messages*).

use std::time::Duration;

use parallax_core::{Fingerprint, Suite, Timestamp, VantageId};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use super::bounded::at_most;
use super::statement::{Heading, Statement, StatementError, malformed};
use crate::descriptor::{Descriptor, DescriptorError, LARGEST_DESCRIPTOR};
use crate::signed::{Signed, Verified};
use crate::view::VIEW_LIFE;

/// `format` of a list of mirrors.
pub const MIRRORS_FORMAT: &str = "parallax-mirrors/1";
/// `format` of a request for removal.
pub const REMOVAL_FORMAT: &str = "parallax-removal/1";
/// `format` of a vote.
pub const VOTE_FORMAT: &str = "parallax-vote/1";

/// The mirrors on one page of a list.
pub const MOST_MIRRORS: usize = 5_000;
/// The largest page of a list.
pub const LARGEST_LIST: usize = 1024 * 1024;
/// How long a list counts.
pub const LIST_LIFE: Duration = Duration::from_secs(3600);
/// The largest request for removal; a proof is left out when it does not fit.
pub const LARGEST_REMOVAL: usize = 256 * 1024;
/// The largest vote.
pub const LARGEST_VOTE: usize = 4 * 1024;
/// How long a request for removal and a vote count: the tests between take their time.
pub const REMOVAL_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// The largest report: three views of honest size, and descriptors.
pub const LARGEST_REPORT: usize = 512 * 1024;
/// The views in one report.
pub const MOST_REPORTED: usize = 9;
/// The longest reason that a person is shown, in characters.
pub const LONGEST_REASON: usize = 200;

/// What a mirror thinks of another. Only `active` ones are drawn by clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It has asked to join and is being tested.
    Candidate,
    /// It passed.
    Active,
    /// It failed, and is tested again at growing intervals.
    Inactive,
    /// It was silent for 90 days. It may join again.
    Gone,
}

impl Status {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Candidate => "candidate",
            Status::Active => "active",
            Status::Inactive => "inactive",
            Status::Gone => "gone",
        }
    }
}

/// One entry of a list. Nobody says who introduced it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The mirror's own description, as it signed it.
    pub descriptor: Signed,
    /// What the signer of the list thinks of it.
    pub status: Status,
}

/// `GET /v1/mirrors`: one page of the mirrors that one mirror knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorList {
    /// [`MIRRORS_FORMAT`].
    pub format: String,
    /// Whose list.
    pub vantage: VantageId,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts, at most [`LIST_LIFE`] later.
    pub valid_until: Timestamp,
    /// At most [`MOST_MIRRORS`].
    #[serde(deserialize_with = "at_most::<MOST_MIRRORS, _, _>")]
    pub mirrors: Vec<Listed>,
    /// The page after this one.
    #[serde(default)]
    pub next: Option<u32>,
}

impl Statement for MirrorList {
    const FORMAT: &'static str = MIRRORS_FORMAT;
    const LARGEST: usize = LARGEST_LIST;
    const LIFE: Duration = LIST_LIFE;

    fn heading(&self) -> Heading<'_> {
        let Self { format, vantage, issued_at, valid_until, .. } = self;
        Heading { format, vantage: *vantage, issued_at: *issued_at, valid_until: *valid_until }
    }

    fn check(&self) -> Result<(), &'static str> {
        match self.mirrors.len() > MOST_MIRRORS {
            true => Err("a page holds at most 5000 mirrors"),
            false => Ok(()),
        }
    }
}

/// What a mirror measured of another, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// Median round trip of `GET /v1/ping`, in milliseconds; `None` when none came back.
    pub ping_ms: Option<f32>,
    /// Time of views less the time spent on the target, in milliseconds, exponentially weighted.
    pub response_ms: Option<f32>,
    /// Quizzes asked.
    pub quizzes: u32,
    /// Quizzes answered.
    pub answered: u32,
    /// Answers that dissented without explanation, and proved equivocations.
    pub dissents: u32,
    /// When measuring began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
}

impl Measurements {
    /// Whether they can be true, and are of something.
    fn check(&self) -> Result<(), &'static str> {
        let is_time = |ms: Option<f32>| ms.is_none_or(|ms| ms.is_finite() && ms >= 0.0);
        if !is_time(self.ping_ms) || !is_time(self.response_ms) {
            return Err("ping_ms and response_ms are milliseconds, not negative");
        }
        if self.answered > self.quizzes || self.dissents > self.answered {
            return Err("measurements count dissents among the answered, and those among the quizzes");
        }
        if self.from > self.to {
            return Err("measurements end before they begin");
        }
        Ok(())
    }

    /// Whether something was measured at all; a vote without is ignored.
    pub fn is_something(&self) -> bool {
        self.quizzes > 0
    }
}

/// How often somebody may have forgotten, within a month, what it had just signed: the third time proves.
pub const FORGETTINGS: usize = 3;

/// Two signed views that can't both be true, and the descriptor whose key signed them: anybody can verify it. Or, with
/// `also`, [`FORGETTINGS`] pairs of which each is excused by a mark of forgetting of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Of the mirror that lied.
    pub descriptor: Signed,
    /// One view.
    pub one: Signed,
    /// The other.
    pub other: Signed,
    /// Further pairs, where one alone proves nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<FORGETTINGS, _, _>")]
    pub also: Vec<ViewPair>,
}

/// Two views of one mirror and service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewPair {
    /// One view.
    pub one: Signed,
    /// The other.
    pub other: Signed,
}

/// A request for removal with its proof, as it is written.
pub type Removal = RemovalWith<Proof>;

/// `POST /v1/removals`: a mirror noticed another's failing and asks for votes. `P` is what is read of the proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
pub struct RemovalWith<P> {
    /// [`REMOVAL_FORMAT`].
    pub format: String,
    /// Who asks.
    pub vantage: VantageId,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when votes are wanted.
    pub valid_until: Timestamp,
    /// Who is to be removed.
    pub subject: VantageId,
    /// Why, in words.
    pub reason: String,
    /// What the asker measured.
    pub measurements: Measurements,
    /// An equivocation, proved. Optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<P>,
}

/// A proof that is there and was not read: it is the largest part of a request, and most tell what is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Unread;

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Verified<RemovalWith<Unread>> {
    /// Reads the proof, if there is one.
    pub(super) fn proof(&self) -> Result<Option<Proof>, StatementError> {
        #[derive(Deserialize)]
        struct Alone {
            #[serde(default)]
            proof: Option<Proof>,
        }
        if self.content().proof.is_none() {
            return Ok(None);
        }
        serde_json::from_str(&self.signed().body).map(|Alone { proof }| proof).map_err(malformed)
    }
}

impl<P: Serialize + DeserializeOwned> Statement for RemovalWith<P> {
    const FORMAT: &'static str = REMOVAL_FORMAT;
    const LARGEST: usize = LARGEST_REMOVAL;
    const LIFE: Duration = REMOVAL_LIFE;

    fn heading(&self) -> Heading<'_> {
        let Self { format, vantage, issued_at, valid_until, .. } = self;
        Heading { format, vantage: *vantage, issued_at: *issued_at, valid_until: *valid_until }
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.reason.chars().count() > LONGEST_REASON {
            return Err("a reason has at most 200 characters");
        }
        if self.subject == self.vantage {
            return Err("nobody asks for the removal of itself");
        }
        self.measurements.check()
    }
}

/// Which request a vote answers: SHA-256 of the request's body.
pub fn removal_id(suite: &dyn Suite, body: &str) -> Fingerprint {
    Fingerprint::from_bytes(suite.sha256(body.as_bytes()))
}

/// Keep or remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ballot {
    /// It answers well.
    Keep,
    /// It does not.
    Remove,
}

/// `GET /v1/removals/<id>`: what a peer's own tests say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// [`VOTE_FORMAT`].
    pub format: String,
    /// Who votes.
    pub vantage: VantageId,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts.
    pub valid_until: Timestamp,
    /// Which request it answers.
    pub removal: Fingerprint,
    /// Whom it is about.
    pub subject: VantageId,
    /// What it says.
    pub vote: Ballot,
    /// What it rests on.
    pub measurements: Measurements,
}

impl Statement for Vote {
    const FORMAT: &'static str = VOTE_FORMAT;
    const LARGEST: usize = LARGEST_VOTE;
    const LIFE: Duration = REMOVAL_LIFE;

    fn heading(&self) -> Heading<'_> {
        let Self { format, vantage, issued_at, valid_until, .. } = self;
        Heading { format, vantage: *vantage, issued_at: *issued_at, valid_until: *valid_until }
    }

    fn check(&self) -> Result<(), &'static str> {
        self.measurements.check()
    }
}

/// `POST /v1/reports`: what a client was told by those it asked. The client signs nothing: only the views speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The views of one service, at most [`MOST_REPORTED`].
    #[serde(deserialize_with = "at_most::<MOST_REPORTED, _, _>")]
    pub views: Vec<Signed>,
    /// Descriptors of those whom the receiver may not know. Optional.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<MOST_REPORTED, _, _>")]
    pub descriptors: Vec<Signed>,
}

impl Report {
    /// Reads one; nothing of it is believed yet.
    pub fn read(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > LARGEST_REPORT {
            return Err(StatementError::TooLarge { found: bytes.len(), most: LARGEST_REPORT });
        }
        let report: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        match report.views.len() {
            0 | 1 => Err(StatementError::Malformed("a report holds the views of at least two mirrors".into())),
            _ => Ok(report),
        }
    }
}

/// The newest moment at which a view in a report may have ended: a client reports right after its verdict.
pub(super) const REPORT_AGE: Duration = VIEW_LIFE;

/// Checks a descriptor that names its vantage point itself: a join, an entry of a list, a companion of a report.
pub fn verify_wrapped(
    suite: &dyn Suite,
    signed: Signed,
    now: Timestamp,
) -> Result<Verified<Descriptor>, DescriptorError> {
    #[derive(Deserialize)]
    struct Claim {
        vantage: VantageId,
    }
    if signed.body.len() > LARGEST_DESCRIPTOR {
        return Err(DescriptorError::Malformed("it is larger than 32 KiB".into()));
    }
    let claim: Claim =
        serde_json::from_str(&signed.body).map_err(|error| DescriptorError::Malformed(error.to_string()))?;
    Descriptor::verify(suite, claim.vantage, signed, now)
}
