//! Notices (row 19 of `docs/protocols/mirrors.md`): whoever falls in this node's list is told so, where this node's operator
//! wants that; and what other mirrors tell this node of its own fall is shown to its operator.
//!
//! A notice goes to the address of the mirror's own descriptor, in TLS under the mirror's own id: nobody else can be made
//! to read one, and who names a victim's address costs it a handshake. What comes back is read no further than a receipt,
//! redirects are failures, and a notice that is lost is not sent again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parallax_core::{Timestamp, VantageId};
use parallax_probe::AwsLc;
use parallax_proto::Signed;
use parallax_proto::mirror::{LARGEST_NOTICE, Notice, Reason, Refused, Status, body_of, claimed_signer, verify};
use serde_json::{Value, json};

use super::Mirrors;
use super::api::{bad_statement, refused, wrapped};
use crate::problem::Problem;

/// Mirrors that are told, and that are heard, within an hour.
const AN_HOUR: usize = 60;

/// Who was told, and who was heard, within the hour.
pub(super) struct Notices {
    hour: Duration,
    told: Mutex<BTreeMap<VantageId, Timestamp>>,
    heard: Mutex<BTreeMap<VantageId, Timestamp>>,
}

impl Notices {
    /// An hour is the 24th part of what counts as a day.
    pub(super) fn new(day: Duration) -> Self {
        Self { hour: day / 24, told: Mutex::default(), heard: Mutex::default() }
    }

    fn may_tell(&self, whom: VantageId, now: Timestamp) -> bool {
        self.once_an_hour(&self.told, whom, now)
    }

    fn may_hear(&self, from: VantageId, now: Timestamp) -> bool {
        self.once_an_hour(&self.heard, from, now)
    }

    /// Each once, and [`AN_HOUR`] in all: what one finds in all others at once is no reason for thousands of messages.
    fn once_an_hour(&self, last: &Mutex<BTreeMap<VantageId, Timestamp>>, who: VantageId, now: Timestamp) -> bool {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| now.since(*at) < self.hour);
        let may = last.len() < AN_HOUR && !last.contains_key(&who);
        if may {
            last.insert(who, now);
        }
        may
    }
}

impl Mirrors {
    /// Tells a mirror that it fell here, if this node's operator wants that.
    pub(super) fn give_notice(self: &Arc<Self>, subject: VantageId, status: Status, reason: Reason) {
        let Ok(now) = self.tools.shared.clock.now() else { return };
        if !self.settings.notices || status != Status::Inactive || !self.notices.may_tell(subject, now) {
            return;
        }
        let notice = Notice::of_fall(self.tools.shared.identity.vantage(), subject, reason, now);
        let Some(signed) = body_of(&notice).ok().and_then(|body| self.sign(body)) else { return };
        let mirrors = Arc::clone(self);
        self.spawn_deed(async move { mirrors.post(subject, "/v1/notices", &signed).await });
    }

    /// Another mirror tells that this node fell in its list: its operator reads it in the log, and counts it.
    pub(crate) fn noticed(&self, body: &[u8]) -> Result<Value, Problem> {
        let signed: Signed = wrapped(body)?;
        let now = self.tools.shared.clock.now().map_err(|error| self.clock(error))?;
        let claimed = claimed_signer(&signed, LARGEST_NOTICE).map_err(|why| bad_statement(why.to_string()))?;
        let peer = self.told_by(claimed).map_err(|why| refused(&why))?;
        let notice =
            verify::<Notice>(&AwsLc, peer, signed, now).map_err(|why| bad_statement(why.to_string()))?.into_content();
        if notice.subject != self.tools.shared.identity.vantage() {
            return Err(bad_statement(format!("it is about {}, not about this mirror", notice.subject)));
        }
        if !self.notices.may_hear(notice.vantage, now) {
            let detail = format!("a mirror is heard once an hour, and {AN_HOUR} in all; ask /v1/mirrors for the rest");
            return Err(Problem::too_many(detail, self.notices.hour));
        }
        self.tools.shared.metrics.mirror_notices.inc();
        tracing::warn!(
            by = %notice.vantage,
            why = notice.reason.sentence(),
            "this node is inactive in another mirror's list; \"parallax mirror status\" asks the others"
        );
        Ok(json!({}))
    }

    /// With which key a mirror's notice is verified. Only who has a standing here itself is heard.
    fn told_by(&self, claimed: VantageId) -> Result<parallax_proto::mirror::Signatory, Refused> {
        let standing = self.lock().standing(claimed).ok_or(Refused::Unknown(claimed))?;
        match standing.status {
            Status::Active | Status::Candidate => Ok(standing.peer.signatory()),
            Status::Inactive | Status::Gone => Err(Refused::NotActive(claimed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_19_each_mirror_is_told_once_an_hour_and_sixty_in_all() {
        let notices = Notices::new(Duration::from_secs(86_400));
        let id = |number: u8| VantageId::from_bytes([number; 32]);
        let now = Timestamp::from_unix_secs(1_800_000_000);
        assert!(notices.may_tell(id(0), now));
        assert!(!notices.may_tell(id(0), now.plus(Duration::from_secs(3_599))));
        assert!(notices.may_hear(id(0), now), "who is told may be heard all the same");
        let told = (1..=200).filter(|number| notices.may_tell(id(*number), now)).count();
        assert_eq!(told, AN_HOUR - 1);
        assert!(notices.may_tell(id(0), now.plus(Duration::from_secs(3_600))));
    }
}
