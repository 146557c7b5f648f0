//! The question, the view that answers it, and the one place where views are believed.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use parallax_core::{
    Authority, DnsAnswers, Dnssec, History, Look, MAX_AUTHORITY, MAX_IGNORED, MAX_NETWORKS, MAX_SPANS, Observation,
    Outcome, Scheme, ServiceId, Signer, SigningFailed, Suite, Testimony, Timespan, Timestamp, VantageId,
};
use serde::{Deserialize, Serialize};

use crate::descriptor::StatementKey;
use crate::jws::{self, BadSignature, Parsed};
use crate::signed::{Signed, Verified};
use crate::{CLOCK_SKEW, is_region};

/// `format` of a view.
pub const VIEW_FORMAT: &str = "parallax-view/1";

/// How long a view counts.
pub const VIEW_LIFE: Duration = Duration::from_secs(300);

/// The largest view that is read: 64 spans of at most 8 networks take some 60 KiB.
pub const LARGEST_VIEW: usize = 256 * 1024;

/// The longest nonce, in characters.
pub const LONGEST_NONCE: usize = 64;

/// `max_age` when none is named.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(86_400);

/// `wait` when none is named.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// The longest `wait`.
pub const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What is asked of a vantage point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The service.
    pub service: ServiceId,
    /// An older look won't do. In whole seconds.
    pub max_age: Duration,
    /// Look at this address, with the service's name; the answer enters no history.
    pub address: Option<IpAddr>,
    /// How long the vantage point may keep the asker waiting. In whole seconds, at most [`LONGEST_WAIT`].
    pub wait: Duration,
    /// Echoed in the view; at most [`LONGEST_NONCE`] characters.
    pub nonce: Option<String>,
}

impl Question {
    /// The ordinary question about a service.
    pub fn about(service: ServiceId) -> Self {
        Self { service, max_age: DEFAULT_MAX_AGE, address: None, wait: DEFAULT_WAIT, nonce: None }
    }

    /// Path and query of `GET /v1/view`.
    pub fn to_path(&self) -> String {
        let mut path = String::from("/v1/view?service=");
        percent_encode(&mut path, &self.service.to_string());
        let _ = write!(path, "&max_age={}&wait={}", self.max_age.as_secs(), self.wait.as_secs());
        if let Some(address) = self.address {
            path.push_str("&address=");
            percent_encode(&mut path, &address.to_string());
        }
        if let Some(nonce) = &self.nonce {
            path.push_str("&nonce=");
            percent_encode(&mut path, nonce);
        }
        path
    }
}

pub(crate) fn percent_encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => into.push(char::from(byte)),
            _ => drop(write!(into, "%{byte:02X}")),
        }
    }
}

/// Why an answer does not count at this moment.
pub(crate) enum Untimely {
    /// It claims to count for longer than any may.
    TooLong,
    /// It is not valid now.
    NotCurrent,
}

/// Whether an answer counts at this moment: for five minutes at most, two clocks allowed for.
pub(crate) fn is_current(issued_at: Timestamp, valid_until: Timestamp, now: Timestamp) -> Result<(), Untimely> {
    if valid_until > issued_at.plus(VIEW_LIFE) {
        return Err(Untimely::TooLong);
    }
    if now.plus(CLOCK_SKEW) < issued_at || now > valid_until.plus(CLOCK_SKEW) {
        return Err(Untimely::NotCurrent);
    }
    Ok(())
}

/// A vantage point's signed answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// [`VIEW_FORMAT`].
    pub format: String,
    /// Who.
    pub vantage: VantageId,
    /// The region its operator claims.
    pub region: Option<String>,
    /// What it was asked about.
    pub service: ServiceId,
    /// The asker's nonce.
    pub nonce: Option<String>,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts, at most [`VIEW_LIFE`] later.
    pub valid_until: Timestamp,
    /// What its DNS says.
    pub dns: DnsAnswers,
    /// Its newest look, or the look that was asked for.
    pub now: Observation,
    /// What it remembers of the service.
    pub history: Vec<Timespan>,
    /// Since when it keeps what it sees: its operator had it forget something then, or it began. What it signed before may
    /// be missing (`docs/protocols/mirrors.md`, *Memory*). `None` where it says nothing of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_since: Option<Timestamp>,
    /// What DNS authorised, over time.
    #[serde(default)]
    pub authority: Vec<Authority>,
}

/// What a verifier knows before it reads the answer to a question.
#[derive(Clone, Debug)]
pub struct Expected<'a, Q = Question> {
    /// Whose answer it must be.
    pub vantage: VantageId,
    /// The statement key of its verified descriptor.
    pub statement_key: StatementKey,
    /// What was asked.
    pub question: &'a Q,
    /// Now.
    pub now: Timestamp,
}

/// Why a view is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The signature does not hold.
    #[error("{0}")]
    Signature(#[from] BadSignature),
    /// It can't be read, or contradicts itself.
    #[error("the view can't be read: {0}")]
    Malformed(String),
    /// It is another kind of document.
    #[error("the answer has format \"{0}\", not \"{VIEW_FORMAT}\"")]
    Format(String),
    /// It speaks for somebody else.
    #[error("the view is of vantage point {found}, not {expected}")]
    Vantage {
        /// Who was asked.
        expected: VantageId,
        /// Who it speaks for.
        found: VantageId,
    },
    /// It answers another question.
    #[error("the view is about {found}, not {expected}")]
    Service {
        /// What was asked.
        expected: ServiceId,
        /// What it is about.
        found: ServiceId,
    },
    /// It is an answer to somebody else, or to an earlier question.
    #[error("the view does not echo the nonce of this question: it may be an old answer shown again")]
    Nonce,
    /// It is not valid now.
    #[error("the view is valid from {issued_at} to {valid_until}; it is {now} here (is a clock wrong?)")]
    NotCurrent {
        /// When it was signed.
        issued_at: Timestamp,
        /// Until when it counts.
        valid_until: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// It claims to count for longer than any may.
    #[error("the view claims to be valid for more than 5 minutes")]
    TooLong,
    /// The look in it is older than was asked for.
    #[error("the look is from {at}, older than the {max_age_secs} s that were asked for")]
    Stale {
        /// When the look was.
        at: Timestamp,
        /// What was asked for.
        max_age_secs: u64,
    },
    /// It looked at another address than was asked for.
    #[error("the look is at {found}, not at {expected}")]
    Address {
        /// What was asked for.
        expected: IpAddr,
        /// What it looked at.
        found: IpAddr,
    },
}

impl View {
    /// Signs it with the node's statement key.
    pub fn sign(&self, statement_key: &dyn Signer) -> Result<Signed, SigningFailed> {
        let body = serde_json::to_string(self).map_err(|_| SigningFailed)?;
        let signature = jws::sign(statement_key, self.vantage, None, body.as_bytes())?;
        Ok(Signed { body, signature })
    }

    /// What it tells of the past, as a history; a view has no turns.
    pub fn as_history(&self) -> History {
        History { spans: self.history.clone(), authority: self.authority.clone(), turns: Vec::new() }
    }

    /// Its mark of forgetting, where it holds: nothing that it still knows is older.
    pub(crate) fn forgotten_until(&self) -> Option<Timestamp> {
        let since = self.kept_since?;
        let is_younger = |span: &Timespan| !span.proved || span.first_seen.plus(LOOK_UNDER_WAY) >= since;
        self.history.iter().all(is_younger).then_some(since)
    }

    /// Believes a view only if signature, format, vantage, service, nonce, age and address are what was asked for and it
    /// does not contradict itself.
    pub fn verify(suite: &dyn Suite, expected: &Expected<'_>, signed: Signed) -> Result<Verified<View>, ViewError> {
        if signed.body.len() > LARGEST_VIEW {
            return Err(ViewError::Malformed("it is larger than 256 KiB".into()));
        }
        let jws = Parsed::read(&signed.signature)?;
        jws.verify_ed25519(suite, expected.statement_key.as_bytes(), expected.vantage, signed.body.as_bytes())?;
        let view: View = serde_json::from_str(&signed.body).map_err(|error| ViewError::Malformed(error.to_string()))?;
        view.answers(expected)?;
        view.is_coherent().map_err(|why| ViewError::Malformed(why.into()))?;
        view.has_sound_host_keys(suite).map_err(|why| ViewError::Malformed(why.into()))?;
        Ok(Verified::new(view, signed))
    }

    fn answers(&self, expected: &Expected<'_>) -> Result<(), ViewError> {
        let question = expected.question;
        if self.format != VIEW_FORMAT {
            return Err(ViewError::Format(self.format.chars().take(40).collect()));
        }
        if self.vantage != expected.vantage {
            return Err(ViewError::Vantage { expected: expected.vantage, found: self.vantage });
        }
        if self.service != question.service {
            return Err(ViewError::Service { expected: question.service.clone(), found: self.service.clone() });
        }
        if question.nonce.is_some() && self.nonce != question.nonce {
            return Err(ViewError::Nonce);
        }
        self.is_current(expected.now)?;
        self.is_fresh(question.max_age)?;
        match (question.address, self.now.address) {
            (Some(expected), Some(found)) if expected.to_canonical() != found.ip().to_canonical() => {
                Err(ViewError::Address { expected, found: found.ip() })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn is_current(&self, now: Timestamp) -> Result<(), ViewError> {
        let (issued_at, valid_until) = (self.issued_at, self.valid_until);
        is_current(issued_at, valid_until, now).map_err(|untimely| match untimely {
            Untimely::TooLong => ViewError::TooLong,
            Untimely::NotCurrent => ViewError::NotCurrent { issued_at, valid_until, now },
        })
    }

    /// A look is as old as its own vantage point says: two of its stamps are compared, so that no clock but its own
    /// matters. Two seconds of grace are the node's own limit of one look per service in that time, ten those for which
    /// it remembers a failure; the look itself may take the longest wait.
    pub(crate) fn is_fresh(&self, max_age: Duration) -> Result<(), ViewError> {
        let grace = LONGEST_WAIT + Duration::from_secs(10);
        if self.issued_at.since(self.now.at) > max_age.saturating_add(grace) {
            return Err(ViewError::Stale { at: self.now.at, max_age_secs: max_age.as_secs() });
        }
        Ok(())
    }

    pub(crate) fn is_coherent(&self) -> Result<(), &'static str> {
        let ahead = self.issued_at.plus(Duration::from_secs(1));
        if self.region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err("region must be lower-case letters, digits and hyphens, at most 32");
        }
        if (self.now.outcome == Outcome::Seen) != self.now.met.is_some() {
            return Err("a certificate must be there exactly when the outcome is \"seen\"");
        }
        if self.now.met.as_ref().is_some_and(|met| met.chain.first() != Some(&met.leaf) || self.now.address.is_none()) {
            return Err("a certificate that was seen needs an address and leads its own chain");
        }
        let scts = self.now.met.as_ref().and_then(|met| met.scts.as_ref());
        if scts.is_some_and(|scts| !scts.is_coherent(ahead)) {
            return Err("the counts and moments of the certificate's SCTs contradict each other or the signature's");
        }
        if self.now.starttls.is_some() && self.service.scheme().upgrade().is_none() {
            return Err("only a service that begins in the clear can offer an upgrade to TLS, or not");
        }
        if self.now.met.is_some() && self.now.lacks_upgrade() {
            return Err("there is no certificate where the server did not begin TLS");
        }
        if self.now.at > ahead {
            return Err("the look lies after the signature");
        }
        if self.kept_since.is_some_and(|since| since > ahead) {
            return Err("its history is kept from a moment after the signature on");
        }
        if self.history.len() > MAX_SPANS || self.authority.len() > MAX_AUTHORITY {
            return Err("the history is longer than any node keeps");
        }
        let spans = self.history.iter().map(|span| (span.first_seen, span.last_seen));
        let entries = self.authority.iter().map(|entry| (entry.first_seen, entry.last_seen));
        if spans.chain(entries).any(|(first, last)| first > last || last > ahead) {
            return Err("a timespan ends before it begins, or after the signature");
        }
        if self.history.iter().any(|span| span.networks.len() > MAX_NETWORKS) {
            return Err("a timespan names more than 8 networks");
        }
        if self.dns.ignored.len() > MAX_IGNORED {
            return Err("it names more than 8 malformed records");
        }
        if self.dns.dnssec == Dnssec::Bogus && self.dns.ca.is_some() {
            return Err("a bogus record can't authorise anything");
        }
        Ok(())
    }
}

impl View {
    /// `docs/protocols/ssh.md`: who compares host keys by their hash must not be shown another blob with it.
    pub(crate) fn has_sound_host_keys(&self, suite: &dyn Suite) -> Result<(), &'static str> {
        let Some(met) = &self.now.met else { return Ok(()) };
        if met.host_keys.is_empty() == (self.service.scheme() == Scheme::Ssh) {
            return Err("host keys must be there exactly when an SSH server was seen");
        }
        if !met.has_coherent_host_keys() {
            return Err("host keys must be of different kinds, in their order, and the first the key of the look");
        }
        if met.host_keys.iter().any(|key| suite.sha256(&key.blob) != *key.key.as_bytes()) {
            return Err("a host key's hash is not that of its blob");
        }
        Ok(())
    }
}

impl Verified<View> {
    /// What it testifies.
    pub fn testimony(&self) -> Testimony {
        let view = self.content();
        Testimony {
            vantage: view.vantage,
            issued_at: view.issued_at,
            look: Look { dns: view.dns.clone(), now: view.now.clone() },
            there: None,
            history: view.as_history(),
        }
    }
}

/// Two signed views of one vantage point that can't both be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// What can't be.
    pub what: &'static str,
    /// The earlier one.
    pub earlier: Signed,
    /// The later one.
    pub later: Signed,
}

/// A look that began before the mark of forgetting may be recorded after it: no look takes longer.
const LOOK_UNDER_WAY: Duration = Duration::from_secs(60);

/// Views that a node made side by side may be signed in another order than their histories were read; within this time
/// a span may seem to shrink.
const SIDE_BY_SIDE: Duration = Duration::from_secs(2);

/// Whether two views of one vantage point and service contradict each other: other content for the same moment and
/// address, or a span that shrank or vanished. Neither may be an answer about a dictated address: such a look answers
/// one question only, and may fall into the same millisecond as another ([`history_contradiction`] is for those).
pub fn contradiction(one: &Verified<View>, other: &Verified<View>) -> Option<Contradiction> {
    let (earlier, later) = in_order(one, other)?;
    if same_moment_another_content(earlier.content(), later.content()) {
        return Some(Contradiction::new("two different looks at one address in one millisecond", earlier, later));
    }
    history_contradiction(one, other)
}

/// Whether a span of the earlier view's history shrank or vanished in the later's. What ended before the later view's own
/// mark of forgetting may be missing, as long as all is: who keeps a part of an older history has chosen what to forget.
pub fn history_contradiction(one: &Verified<View>, other: &Verified<View>) -> Option<Contradiction> {
    let (earlier, later) = in_order(one, other)?;
    let (old, new) = (earlier.content(), later.content());
    let side_by_side = new.issued_at.since(old.issued_at) <= SIDE_BY_SIDE;
    let forgotten = new.forgotten_until();
    let is_excused = |span: &Timespan| forgotten.is_some_and(|until| span.last_seen <= until);
    let lost = !side_by_side && old.history.iter().any(|span| is_lost(span, &new.history) && !is_excused(span));
    lost.then(|| Contradiction::new("a timespan of its history shrank or vanished", earlier, later))
}

impl Contradiction {
    fn new(what: &'static str, earlier: &Verified<View>, later: &Verified<View>) -> Self {
        Self { what, earlier: earlier.signed().clone(), later: later.signed().clone() }
    }
}

/// The earlier first; `None` when they are of different vantage points or services.
fn in_order<'a>(
    one: &'a Verified<View>,
    other: &'a Verified<View>,
) -> Option<(&'a Verified<View>, &'a Verified<View>)> {
    let (a, b) = (one.content(), other.content());
    if a.vantage != b.vantage || a.service != b.service {
        return None;
    }
    Some(if a.issued_at <= b.issued_at { (one, other) } else { (other, one) })
}

fn same_moment_another_content(old: &View, new: &View) -> bool {
    old.now.at == new.now.at && old.now.address.is_some() && old.now.address == new.now.address && old.now != new.now
}

/// A full history keeps three quarters of its rows for what was held longest; what had a right to one of those is missed
/// when it is gone, what was held shorter may have made room.
fn is_lost(span: &Timespan, history: &[Timespan]) -> bool {
    let kept = history.iter().any(|now| {
        now.leaf == span.leaf
            && now.proved == span.proved
            && now.first_seen <= span.first_seen
            && now.last_seen >= span.last_seen
    });
    let held_as_long = history.iter().filter(|now| now.held() >= span.held()).count();
    let crowded_out = history.len() >= MAX_SPANS && held_as_long >= MAX_SPANS - MAX_SPANS / 4;
    !kept && !crowded_out
}
