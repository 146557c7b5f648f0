//! What every signed message between mirrors has in common: `format`, `vantage`, `issued_at`, `valid_until`, under the
//! signer's statement key (`docs/protocols/mirrors.md`, *Messages*).

use std::time::Duration;

use parallax_core::{Signer, SigningFailed, Suite, Timestamp, VantageId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::CLOCK_SKEW;
use crate::descriptor::StatementKey;
use crate::jws::{self, BadSignature, Parsed};
use crate::signed::{Signed, Verified};

/// A message that a mirror signs with its statement key.
pub trait Statement: Serialize + DeserializeOwned {
    /// Its `format`.
    const FORMAT: &'static str;
    /// The largest body that is read, in bytes.
    const LARGEST: usize;
    /// The longest time from `issued_at` to `valid_until`.
    const LIFE: Duration;

    /// What it says of itself.
    fn heading(&self) -> Heading<'_>;

    /// What else must hold of it.
    fn check(&self) -> Result<(), &'static str>;
}

/// What a statement says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// Which kind it claims to be.
    pub format: &'a str,
    /// Who claims to have signed it.
    pub vantage: VantageId,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts.
    pub valid_until: Timestamp,
}

/// Whose statement it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signatory {
    /// Who.
    pub vantage: VantageId,
    /// The statement key of its verified descriptor.
    pub statement_key: StatementKey,
}

/// Why a statement is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is larger than any honest one.
    #[error("it has {found} bytes; at most {most} are read")]
    TooLarge {
        /// Its size.
        found: usize,
        /// The bound.
        most: usize,
    },
    /// The signature does not hold.
    #[error("{0}")]
    Signature(#[from] BadSignature),
    /// It can't be read, or contradicts itself.
    #[error("it can't be read: {0}")]
    Malformed(String),
    /// It is another kind of document: one key signs them all.
    #[error("it has format \"{found}\", not \"{expected}\"")]
    Format {
        /// What was awaited.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// It speaks for somebody else than its signer.
    #[error("it speaks for {found}, but {expected} signed it")]
    Vantage {
        /// Who signed.
        expected: VantageId,
        /// Who it speaks for.
        found: VantageId,
    },
    /// It is not valid now.
    #[error("it is valid from {issued_at} to {valid_until}; it is {now} here (is a clock wrong?)")]
    NotCurrent {
        /// When it was signed.
        issued_at: Timestamp,
        /// Until when it counts.
        valid_until: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// It claims to count for longer than any may.
    #[error("it claims to be valid for more than {most_secs} s")]
    TooLong {
        /// The bound, in seconds.
        most_secs: u64,
    },
}

/// The bytes of a statement: what is signed, and what its id is the hash of.
pub fn body_of<T: Statement>(statement: &T) -> Result<String, SigningFailed> {
    serde_json::to_string(statement).map_err(|_| SigningFailed)
}

/// Signs the exact bytes of a statement that the state machine wrote.
pub fn sign_body(statement_key: &dyn Signer, by: VantageId, body: String) -> Result<Signed, SigningFailed> {
    let signature = jws::sign(statement_key, by, None, body.as_bytes())?;
    Ok(Signed { body, signature })
}

/// Signs a statement with its mirror's statement key.
pub fn sign<T: Statement>(statement: &T, statement_key: &dyn Signer) -> Result<Signed, SigningFailed> {
    sign_body(statement_key, statement.heading().vantage, body_of(statement)?)
}

/// Who says to have written it: which key to verify it with. Believed of nothing else.
pub fn claimed_signer(signed: &Signed, largest: usize) -> Result<VantageId, StatementError> {
    #[derive(Deserialize)]
    struct Claim {
        vantage: VantageId,
    }
    is_no_larger(signed, largest)?;
    let claim: Claim = serde_json::from_str(&signed.body).map_err(malformed)?;
    Ok(claim.vantage)
}

/// Believes a statement only if size, signature, kind, signer, time and content are as they must be.
pub fn verify<T: Statement>(
    suite: &dyn Suite,
    by: Signatory,
    signed: Signed,
    now: Timestamp,
) -> Result<Verified<T>, StatementError> {
    is_no_larger(&signed, T::LARGEST)?;
    let jws = Parsed::read(&signed.signature)?;
    jws.verify_ed25519(suite, by.statement_key.as_bytes(), by.vantage, signed.body.as_bytes())?;
    let statement: T = serde_json::from_str(&signed.body).map_err(malformed)?;
    check_heading::<T>(statement.heading(), by.vantage, now)?;
    statement.check().map_err(|why| StatementError::Malformed(why.into()))?;
    Ok(Verified::new(statement, signed))
}

/// A statement that was read, of which nothing is believed yet. Who has to find out by whose key to check it reads it so
/// once, not twice.
pub(super) struct Unverified<'a, T> {
    statement: T,
    body: &'a str,
    jws: Parsed<'a>,
}

impl<'a, T: Statement> Unverified<'a, T> {
    pub(super) fn read(signed: &'a Signed) -> Result<Self, StatementError> {
        is_no_larger(signed, T::LARGEST)?;
        let jws = Parsed::read(&signed.signature)?;
        let statement = serde_json::from_str(&signed.body).map_err(malformed)?;
        Ok(Self { statement, body: &signed.body, jws })
    }

    pub(super) fn claimed_signer(&self) -> VantageId {
        self.statement.heading().vantage
    }

    /// Believes it if one of these keys signed it, and all else is as it must be.
    pub(super) fn verify(
        self,
        suite: &dyn Suite,
        keys: impl Iterator<Item = Signatory>,
        now: Timestamp,
    ) -> Result<T, StatementError> {
        let mut result = Err(BadSignature::Missing);
        for by in keys {
            result = self.jws.verify_ed25519(suite, by.statement_key.as_bytes(), by.vantage, self.body.as_bytes());
            if result.is_ok() {
                check_heading::<T>(self.statement.heading(), by.vantage, now)?;
                break;
            }
        }
        result?;
        self.statement.check().map_err(|why| StatementError::Malformed(why.into()))?;
        Ok(self.statement)
    }
}

fn is_no_larger(signed: &Signed, most: usize) -> Result<(), StatementError> {
    let found = signed.body.len();
    if found > most { Err(StatementError::TooLarge { found, most }) } else { Ok(()) }
}

pub(super) fn malformed(error: serde_json::Error) -> StatementError {
    StatementError::Malformed(error.to_string())
}

fn check_heading<T: Statement>(heading: Heading<'_>, by: VantageId, now: Timestamp) -> Result<(), StatementError> {
    if heading.format != T::FORMAT {
        let found = heading.format.chars().take(40).collect();
        return Err(StatementError::Format { expected: T::FORMAT, found });
    }
    if heading.vantage != by {
        return Err(StatementError::Vantage { expected: by, found: heading.vantage });
    }
    is_current(heading.issued_at, heading.valid_until, T::LIFE, now)
}

/// At most two minutes ahead, not over, and not for longer than its kind may be.
pub(super) fn is_current(
    issued_at: Timestamp,
    valid_until: Timestamp,
    life: Duration,
    now: Timestamp,
) -> Result<(), StatementError> {
    if valid_until > issued_at.plus(life) {
        return Err(StatementError::TooLong { most_secs: life.as_secs() });
    }
    if now.plus(CLOCK_SKEW) < issued_at || now > valid_until.plus(CLOCK_SKEW) {
        return Err(StatementError::NotCurrent { issued_at, valid_until, now });
    }
    Ok(())
}
