//! A mirror tells another that it no longer stands there as it did (`docs/protocols/mirror-node.md`, *Notices*): the
//! operator is notified. It says what `GET /v1/mirrors/<id>` says, and no score.

use std::time::Duration;

use parallax_core::{Timestamp, VantageId};
use serde::{Deserialize, Serialize};

use super::event::Reason;
use super::statement::{Heading, Statement};
use super::wire::Status;

/// `format` of a notice.
pub const NOTICE_FORMAT: &str = "parallax-notice/1";
/// The largest notice.
pub const LARGEST_NOTICE: usize = 4 * 1024;
/// How long a notice counts.
pub const NOTICE_LIFE: Duration = Duration::from_secs(3600);

/// `POST /v1/notices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// [`NOTICE_FORMAT`].
    pub format: String,
    /// Who tells.
    pub vantage: VantageId,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it counts, at most [`NOTICE_LIFE`] later.
    pub valid_until: Timestamp,
    /// Whom it is about, and for.
    pub subject: VantageId,
    /// What the teller thinks of it now: always `inactive`.
    pub status: Status,
    /// Why.
    pub reason: Reason,
}

impl Notice {
    /// That somebody became inactive here, for that reason.
    pub fn of_fall(by: VantageId, subject: VantageId, reason: Reason, now: Timestamp) -> Self {
        Self {
            format: NOTICE_FORMAT.into(),
            vantage: by,
            issued_at: now,
            valid_until: now.plus(NOTICE_LIFE),
            subject,
            status: Status::Inactive,
            reason,
        }
    }
}

impl Statement for Notice {
    const FORMAT: &'static str = NOTICE_FORMAT;
    const LARGEST: usize = LARGEST_NOTICE;
    const LIFE: Duration = NOTICE_LIFE;

    fn heading(&self) -> Heading<'_> {
        let Self { format, vantage, issued_at, valid_until, .. } = self;
        Heading { format, vantage: *vantage, issued_at: *issued_at, valid_until: *valid_until }
    }

    fn check(&self) -> Result<(), &'static str> {
        match (self.subject == self.vantage, self.status) {
            (true, _) => Err("nobody gives notice to itself"),
            (false, Status::Inactive) => Ok(()),
            (false, _) => Err("a notice says \"inactive\": nothing else is for the worse"),
        }
    }
}
