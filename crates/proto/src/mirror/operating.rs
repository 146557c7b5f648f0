//! What the operator of a mirror wants of it. Nobody else's word moves a mirror in a list.

use parallax_core::VantageId;

use super::book::Slot;
use super::event::{Reason, Refused};
use super::federation::{Due, Federation, Work};
use super::wire::Status;

/// What an operator wants to happen to a mirror in the own mirror's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// Peers are asked, as when it had failed tests; their majority decides.
    AskOthers,
    /// Out of the own list, whatever others say, until it is taken back.
    Drop,
    /// One that was dropped is tested again, and is active when it passes.
    TakeBack,
}

impl Federation {
    pub(super) fn wished(&mut self, subject: VantageId, wish: Wish, work: &mut Work<'_>) -> Result<(), Refused> {
        if subject == self.me {
            return Err(Refused::Myself);
        }
        let slot = self.book.slot(subject).ok_or(Refused::Unknown(subject))?;
        let (status, reason) = self.book.at(slot).map_or((Status::Gone, Reason::Forgotten), |m| (m.status, m.reason));
        match (wish, status) {
            (Wish::AskOthers, Status::Active) => {
                let is_asked = self.ask_for_removal(slot, Reason::Asked, None, work);
                if is_asked { Ok(()) } else { Err(Refused::NobodyToAsk { least: self.settings.least_votes }) }
            }
            (Wish::AskOthers, _) => Err(Refused::NotActive(subject)),
            (Wish::Drop, Status::Gone) => Err(Refused::Unknown(subject)),
            (Wish::Drop, _) => {
                self.drop_it(slot, work);
                Ok(())
            }
            (Wish::TakeBack, Status::Inactive) if reason == Reason::Dropped => {
                if let Some(mirror) = self.book.at_mut(slot) {
                    mirror.more().retest_due = Some(work.now);
                }
                self.agenda.add(work.now, Due::Retest(slot));
                Ok(())
            }
            (Wish::TakeBack, _) => Err(Refused::NotDropped(subject)),
        }
    }

    /// No test brings it back.
    fn drop_it(&mut self, slot: Slot, work: &mut Work<'_>) {
        self.end_trial(slot);
        if let Some(mirror) = self.book.at_mut(slot) {
            mirror.more().retest_due = None;
        }
        self.set_status(slot, Status::Inactive, Reason::Dropped, work);
    }
}
