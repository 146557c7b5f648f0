//! What a mirror keeps across restarts: one record for each mirror it knows. Rounds and trials that were under way begin
//! anew.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Timestamp, VantageId};
use serde::{Deserialize, Serialize};

use super::book::{Mirror, TrialKind};
use super::event::{Action, Reason};
use super::federation::{Due, Federation, Work};
use super::peer::{BadPeer, Peer};
use super::rates::Rates;
use super::wire::Status;
use crate::signed::Signed;

/// One mirror's record, to be kept as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    descriptor: Signed,
    status: Status,
    reason: Reason,
    since: Timestamp,
    heard: Timestamp,
    proven: bool,
    rates: Rates,
    #[serde(default)]
    retest_after_ms: Option<u64>,
    #[serde(default)]
    retest_due: Option<Timestamp>,
}

impl Federation {
    /// What to keep of a mirror; `None` when it is no longer known.
    pub fn saved(&self, vantage: VantageId) -> Option<Saved> {
        let mirror = self.book.of(vantage)?;
        let more = mirror.more.as_deref();
        Some(Saved {
            descriptor: mirror.peer.signed().clone(),
            status: mirror.status,
            reason: mirror.reason,
            since: mirror.since,
            heard: mirror.heard,
            proven: mirror.proven,
            rates: mirror.rates.clone(),
            retest_after_ms: more.and_then(|more| more.retest_after).map(|after| after.as_millis() as u64),
            retest_due: more.and_then(|more| more.retest_due),
        })
    }

    /// Takes up a mirror from its record; a retest that fell due meanwhile comes now, a candidate's tests begin anew.
    pub fn restore(
        &mut self,
        saved: Saved,
        now: Timestamp,
        rng: &mut dyn rand_core::Rng,
        out: &mut Vec<Action>,
    ) -> Result<(), BadPeer> {
        let peer = Arc::new(Peer::restore(&*self.suite, saved.descriptor)?);
        let mut mirror = Mirror::new(peer, saved.status, saved.reason, saved.since);
        (mirror.heard, mirror.proven, mirror.rates) = (saved.heard, saved.proven, saved.rates);
        if let Some(after) = saved.retest_after_ms {
            mirror.more().retest_after = Some(Duration::from_millis(after));
        }
        // A retest that was under way when this mirror stopped is not in the record.
        let due = saved.retest_due.unwrap_or(now).max(now);
        let is_tested_again = saved.status == Status::Inactive && saved.reason != Reason::Dropped;
        if is_tested_again {
            mirror.more().retest_due = Some(due);
        }
        let Some(slot) = self.book.add(mirror) else { return Ok(()) };
        self.rotation_is_stale = true;
        match saved.status {
            Status::Inactive if is_tested_again => self.agenda.add(due, Due::Retest(slot)),
            Status::Candidate => {
                let (quizzes, time) = (self.settings.candidate_quizzes, self.settings.candidate_time);
                self.start_trial(slot, TrialKind::Candidate, quizzes, time, &mut Work { now, rng, out });
            }
            Status::Active | Status::Inactive | Status::Gone => {}
        }
        Ok(())
    }
}
