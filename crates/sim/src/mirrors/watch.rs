//! Who holds whom for what, and the invariants: see the top of the module.

use parallax_core::VantageId;
use parallax_proto::mirror::{Action, Reason, Status};

use super::plan::{BadPlan, Evil};
use super::quick::Table;

const DAY_MS: u64 = 86_400_000;

/// The messages that a mirror may send a day.
const MOST_MESSAGES: u32 = 20_000;

/// What is counted while the simulation runs.
#[derive(Default)]
pub(super) struct Watch {
    subjects: Vec<Subject>,
    /// The status that an honest mirror last gave another; the first are active without a word.
    statuses: Table<(u32, u32), Status>,
    /// Honest pairs of which one holds the other as inactive, and since when.
    pub(super) wronged: Table<(u32, u32), u64>,
    /// Pairs whose time was over: how long, and whose.
    pub(super) amends: Vec<(u32, u32, u64, u64)>,
    /// Honest mirrors that honest ones made inactive for dissents.
    pub(super) for_dissent: u64,
    honest: u32,
    sent: Vec<(u64, u32)>,
    pub(super) events: u64,
    pub(super) refused: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Subject {
    pub(super) evil: Option<Evil>,
    pub(super) joined_ms: u64,
    pub(super) inactive_on: u32,
    pub(super) active_on: u32,
    pub(super) removed_ms: Option<u64>,
    pub(super) half_ms: Option<u64>,
    pub(super) most_ms: Option<u64>,
}

impl Watch {
    pub(super) fn add(&mut self, evil: Option<Evil>, joined_ms: u64) {
        self.honest += u32::from(evil.is_none() && joined_ms == 0);
        self.subjects.push(Subject { evil, joined_ms, ..Subject::default() });
        self.sent.push((0, 0));
    }

    pub(super) fn honest(&self) -> u32 {
        self.honest
    }

    pub(super) fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    pub(super) fn handled(&mut self, refused: bool) {
        self.events += 1;
        self.refused += u64::from(refused);
    }

    /// The messages of each mirror on the day that runs, or ran until now.
    pub(super) fn sent(&self, node: u32, day: u64) -> u32 {
        self.sent.get(node as usize).filter(|(counted, _)| *counted == day).map_or(0, |(_, sent)| *sent)
    }

    /// Counts an action and checks what must hold of it.
    pub(super) fn action(
        &mut self,
        (from, id): (u32, VantageId),
        action: &Action,
        by_id: &Table<VantageId, u32>,
        now_ms: u64,
    ) -> Result<(), BadPlan> {
        let to = match action {
            Action::Meet { vantage, .. } => vantage,
            Action::Ask { to, .. } | Action::Ping { to, .. } => to,
            Action::Forward { to, .. } | Action::AskRemoval { to, .. } => to,
            Action::FetchVote { from, .. } | Action::FetchList { from } => from,
            Action::Notify { vantage, status, reason } => {
                return match by_id.get(vantage) {
                    Some(subject) => {
                        let honest = self.subjects.get(*subject as usize).is_some_and(|about| about.evil.is_none());
                        let wrong = matches!(reason, Reason::Dissents | Reason::Equivocation);
                        self.for_dissent += u64::from(honest && wrong && *status == Status::Inactive);
                        self.status(from, *subject, *status, now_ms)
                    }
                    None => Ok(()),
                };
            }
            Action::LookNow { .. } | Action::Vote { .. } | Action::Persist(_) => return Ok(()),
        };
        if id == *to {
            return Err(broken(now_ms, format!("mirror {from} talks to itself")));
        }
        self.count(from, now_ms)
    }

    fn count(&mut self, from: u32, now_ms: u64) -> Result<(), BadPlan> {
        let Some((day, sent)) = self.sent.get_mut(from as usize) else { return Ok(()) };
        let today = now_ms / DAY_MS;
        if *day != today {
            (*day, *sent) = (today, 0);
        }
        *sent += 1;
        // A mirror's own day begins when it does: two of its days may share one of ours.
        match *sent > 2 * MOST_MESSAGES {
            true => Err(broken(now_ms, format!("mirror {from} sends more than {MOST_MESSAGES} messages a day"))),
            false => Ok(()),
        }
    }

    fn status(&mut self, observer: u32, subject: u32, status: Status, now_ms: u64) -> Result<(), BadPlan> {
        // Newcomers know whom they were told of: no figure counts what they think.
        if self.subjects.get(observer as usize).is_none_or(|observer| observer.joined_ms > 0) {
            return Ok(());
        }
        let Some(about) = self.subjects.get_mut(subject as usize) else { return Ok(()) };
        let first = (about.joined_ms == 0).then_some(Status::Active);
        let before = self.statuses.insert((observer, subject), status).or(first);
        if !may_follow(before, status) {
            let what = format!("mirror {observer} turns {subject} from {before:?} to {status:?}");
            return Err(broken(now_ms, what));
        }
        let change = |count: &mut u32, was: bool, is: bool| *count = (*count + u32::from(is)) - u32::from(was);
        if before != first || about.joined_ms > 0 {
            change(&mut about.active_on, before == Some(Status::Active), status == Status::Active);
        }
        change(&mut about.inactive_on, before == Some(Status::Inactive), status == Status::Inactive);
        let (half, most) = (self.honest / 2, (f64::from(self.honest) * 0.95) as u32);
        if about.inactive_on >= most {
            about.removed_ms.get_or_insert(now_ms);
        }
        if about.active_on >= half && about.joined_ms > 0 {
            about.half_ms.get_or_insert(now_ms);
        }
        if about.active_on >= most && about.joined_ms > 0 {
            about.most_ms.get_or_insert(now_ms);
        }
        self.wrongs(observer, subject, before, status, now_ms);
        Ok(())
    }

    fn wrongs(&mut self, observer: u32, subject: u32, before: Option<Status>, status: Status, now_ms: u64) {
        let honest = self.subjects.get(subject as usize).is_some_and(|subject| subject.evil.is_none());
        if honest && status == Status::Inactive && before == Some(Status::Active) {
            self.wronged.insert((observer, subject), now_ms);
        }
        if let (true, Some(since)) = (status == Status::Active, self.wronged.get(&(observer, subject)).copied()) {
            self.wronged.remove(&(observer, subject));
            self.amends.push((observer, subject, since, now_ms));
        }
    }
}

/// The arrows between statuses.
fn may_follow(before: Option<Status>, status: Status) -> bool {
    matches!(
        (before, status),
        (None | Some(Status::Gone | Status::Candidate), Status::Candidate)
            | (Some(Status::Candidate), Status::Active | Status::Inactive | Status::Gone)
            | (Some(Status::Active), Status::Inactive | Status::Gone)
            | (Some(Status::Inactive), Status::Active | Status::Inactive | Status::Gone)
    )
}

fn broken(now_ms: u64, what: String) -> BadPlan {
    BadPlan::Invariant { day: now_ms as f64 / DAY_MS as f64, what }
}
