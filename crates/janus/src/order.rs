//! An order: from a request to the proof of a mailbox.
//!
//! `Waiting` → `Certified` when it is answered rightly, or → `Ended` after five wrong answers; in either state it expires.
//! The node keeps hashes of the secrets alone, so whoever reads its disk can't answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parallax_core::{Fingerprint, Suite, Timestamp, VantageId};
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, answer_message};
use crate::key::SubjectKey;
use crate::mailbox::Mailbox;
use crate::request::Request;
use crate::secrets::{Code, Token, phrase};
use crate::standing::Grant;

/// How long an order can be answered.
pub const ORDER_LIFE: Duration = Duration::from_secs(3600);

/// So many wrong answers end an order.
pub const MAX_WRONG: u8 = 5;

/// Where the local helper listens, and what shows its page.
const LINK: &str = "http://localhost:15342/AddCert#";

/// What the node keeps of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    id: Token,
    mailbox: Mailbox,
    /// The key's SubjectPublicKeyInfo, in base64url.
    key: String,
    request: Fingerprint,
    token1: Fingerprint,
    code: Fingerprint,
    token2: Fingerprint,
    expires_at: Timestamp,
    /// Whether the mailbox's other keys are denied when it is answered.
    revokes_others: bool,
    /// Whether a mail goes out. If not, nobody can answer it; nothing else tells.
    mailed: bool,
    wrong: u8,
    phase: Phase,
}

/// How far an order got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// For its answer.
    Waiting,
    /// It was answered; the same answer gets the same certificate again.
    Certified {
        /// DER in base64url, leaf first.
        chain: Vec<String>,
    },
    /// Too many wrong answers.
    Ended,
}

/// What whoever placed the order is told, always the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Names the order.
    pub order: Token,
    /// Shows that whoever answers is who asked.
    pub token2: Token,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
}

/// What the mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// To whom.
    pub mailbox: Mailbox,
    /// Opens the local helper's page; the secret stands in the fragment, which no server sees.
    pub link: String,
    /// To be typed where the link can't be opened.
    pub code: Code,
    /// What the asking client shows too.
    pub phrase: String,
}

/// Why an answer gets no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// It expired.
    #[error("the order expired; place a new one")]
    Expired,
    /// Too many wrong answers.
    #[error("the order ended after five wrong answers; place a new one")]
    Ended,
    /// The code, a token or the signature is wrong. Which is not told.
    #[error("the answer does not fit the order; {left} more can be tried")]
    Wrong {
        /// How many are left.
        left: u8,
    },
    /// What the node kept can't be used.
    #[error("what was kept of the order can't be read; place a new one")]
    Broken,
}

/// What a right answer leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A certificate is to be issued, and [`Order::certify`] to be told of it.
    Proved(Box<Grant>),
    /// It was issued before: DER, leaf first.
    Again(Vec<Vec<u8>>),
}

impl Order {
    /// A new order. The generator must be one for secrets. `mailed` says whether the mail will go out: an order beyond the
    /// limits is kept like any other, so that neither the answer nor its speed tells.
    pub(crate) fn place(
        suite: &dyn Suite,
        request: &Request,
        (revokes_others, mailed): (bool, bool),
        rng: &mut dyn Rng,
        now: Timestamp,
    ) -> (Self, Placed, Confirmation) {
        let [id, token1, token2] = [Token::draw(rng), Token::draw(rng), Token::draw(rng)];
        let code = Code::draw(rng);
        let hashed = |label, secret: &str| hash(suite, label, &id, secret);
        let expires_at = now.plus(ORDER_LIFE);
        let order = Self {
            id,
            mailbox: request.mailbox().clone(),
            key: URL_SAFE_NO_PAD.encode(request.key().spki()),
            request: request.hash(),
            token1: hashed("token1", &token1.to_string()),
            code: hashed("code", code.as_str()),
            token2: hashed("token2", &token2.to_string()),
            expires_at,
            revokes_others,
            mailed,
            wrong: 0,
            phase: Phase::Waiting,
        };
        let confirmation = Confirmation {
            mailbox: request.mailbox().clone(),
            link: format!("{LINK}{id}.{token1}"),
            code,
            phrase: phrase(suite, &id, &request.hash()),
        };
        (order, Placed { order: id, token2, expires_at }, confirmation)
    }

    /// Its name.
    pub fn id(&self) -> &Token {
        &self.id
    }

    /// When it ends, and can be forgotten.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whom it is about.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Whether the mailbox's other keys are denied once it is answered.
    pub fn revokes_others(&self) -> bool {
        self.revokes_others
    }

    /// How far it got.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether it was placed by whoever shows this `token2`.
    pub fn is_of(&self, suite: &dyn Suite, token2: &str) -> bool {
        hash(suite, "token2", &self.id, token2) == self.token2
    }

    /// Draws the secrets of the mail anew: for a mail that has not gone out when the node starts again, as the disk holds
    /// their hashes alone. `None` where no mail goes out any more. The generator must be one for secrets.
    pub fn redraw(&mut self, suite: &dyn Suite, rng: &mut dyn Rng) -> Option<Confirmation> {
        if !self.mailed || self.phase != Phase::Waiting {
            return None;
        }
        let (token1, code) = (Token::draw(rng), Code::draw(rng));
        self.token1 = hash(suite, "token1", &self.id, &token1.to_string());
        self.code = hash(suite, "code", &self.id, code.as_str());
        Some(Confirmation {
            mailbox: self.mailbox.clone(),
            link: format!("{LINK}{}.{token1}", self.id),
            code,
            phrase: phrase(suite, &self.id, &self.request),
        })
    }

    /// Takes an answer. Whatever comes of it, the order has changed and is to be kept.
    pub fn answer(
        &mut self,
        suite: &dyn Suite,
        janus: VantageId,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> Result<Answered, OrderError> {
        if now >= self.expires_at {
            return Err(OrderError::Expired);
        }
        if self.phase == Phase::Ended {
            return Err(OrderError::Ended);
        }
        let key = URL_SAFE_NO_PAD.decode(&self.key).map_err(|_| OrderError::Broken)?;
        let key = SubjectKey::parse(suite, &key).map_err(|_| OrderError::Broken)?;
        if !self.fits(suite, janus, answer, &key) {
            return Err(self.count_wrong());
        }
        match &self.phase {
            Phase::Certified { chain } => decoded(chain).map(Answered::Again),
            _ => Ok(Answered::Proved(Box::new(Grant::proved(self.mailbox.clone(), key, now)))),
        }
    }

    /// What was issued for it.
    pub fn certify(&mut self, chain: &[Vec<u8>]) {
        self.phase = Phase::Certified { chain: chain.iter().map(|der| URL_SAFE_NO_PAD.encode(der)).collect() };
    }

    /// Hashes are compared, so how long it takes tells nothing of the secret; and every part is looked at, so neither does
    /// which of them is wrong.
    fn fits(&self, suite: &dyn Suite, janus: VantageId, answer: &Answer<'_>, key: &SubjectKey) -> bool {
        let hashed = |label, secret| hash(suite, label, &self.id, secret);
        let proof = hashed("token1", answer.proof) == self.token1;
        let code = hashed("code", answer.proof) == self.code;
        let token2 = hashed("token2", answer.token2) == self.token2;
        let message = answer_message(janus, &self.id.to_string(), answer.proof, answer.token2, &self.request);
        let signature = key.verify(suite, &message, answer.signature);
        self.mailed & (proof | code) & token2 & signature
    }

    fn count_wrong(&mut self) -> OrderError {
        self.wrong = self.wrong.saturating_add(1);
        // An order that was answered keeps what it led to: guessing can't take it away.
        if self.wrong >= MAX_WRONG && self.phase == Phase::Waiting {
            self.phase = Phase::Ended;
        }
        match MAX_WRONG.saturating_sub(self.wrong) {
            0 => OrderError::Ended,
            left => OrderError::Wrong { left },
        }
    }
}

fn hash(suite: &dyn Suite, label: &str, order: &Token, secret: &str) -> Fingerprint {
    let bytes = format!("parallax janus {label} 1\0{order}\0{secret}");
    Fingerprint::from_bytes(suite.sha256(bytes.as_bytes()))
}

fn decoded(chain: &[String]) -> Result<Vec<Vec<u8>>, OrderError> {
    let decoded: Result<Vec<_>, _> = chain.iter().map(|der| URL_SAFE_NO_PAD.decode(der)).collect();
    decoded.map_err(|_| OrderError::Broken)
}
