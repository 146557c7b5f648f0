//! After the verdict, in the background: late answers are waited for a little, what was learnt of mirrors is noted, and
//! each mirror that answered is told what the others signed.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{ServiceId, VantageId};
use parallax_probe::TargetPolicy;
use parallax_proto::Signed;
use parallax_proto::mirror::{LARGEST_REPORT, MOST_REPORTED, Report};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::now;
use crate::federation::{Federation, Noted};
use crate::gathered::{Failure, Gathered, Heard};
use crate::node::NodeVantage;
use crate::vantage::{Deadline, Missing, VantagePoint as _};

/// How long late answers are waited for after the verdict.
const LATE: Duration = Duration::from_millis(600);

/// Asked for a shorter time than this, or than four of its round trips, a mirror is not called silent.
const SILENT_AFTER: Duration = Duration::from_millis(600);

/// Fewer views than this tell nobody anything.
const LEAST_REPORTED: usize = 2;

/// What the descriptor of a mirror is counted as, in bytes.
const DESCRIBED: usize = 8 * 1024;

/// How long a report may take.
const REPORTING: Duration = Duration::from_secs(5);

/// A mirror that was asked in a check.
struct Member {
    mirror: Arc<NodeVantage>,
    vantage: VantageId,
    asked_at: Instant,
    answer: Answered,
}

#[derive(Clone, Debug)]
enum Answered {
    NotYet,
    With(Signed),
    WithNothing,
    Silent,
}

/// What is left to do when a verdict has fallen.
pub(crate) struct Aftermath {
    federation: Federation,
    members: Vec<Member>,
    /// The number that the first mirror has among all who were asked.
    first: usize,
    late: JoinSet<(usize, Result<Heard, Failure>)>,
    may_report: bool,
}

impl Aftermath {
    /// Of a check in which these mirrors were asked, at these moments; the first of them under the number `first`.
    pub(crate) fn new(
        federation: Federation,
        asked: Vec<(Arc<NodeVantage>, Instant)>,
        first: usize,
        gathered: &Gathered,
        late: JoinSet<(usize, Result<Heard, Failure>)>,
    ) -> Self {
        let members = asked.into_iter().enumerate().map(|(number, (mirror, asked_at))| {
            let vantage = mirror.id();
            let answer = answered_before(gathered, first + number, vantage);
            Member { mirror, vantage, asked_at, answer }
        });
        Self { members: members.collect(), federation, first, late, may_report: false }
    }

    /// Lets the mirrors be told, unless that is switched off. `service` must be one of which strangers may know.
    pub(crate) fn reporting(mut self, service: &ServiceId, reached: Option<std::net::SocketAddr>) -> Self {
        let public = TargetPolicy::public().with_any_port();
        let is_private = reached.is_some_and(|address| !public.allows(address));
        let allowed = self.federation.inner.allow_private || !is_private;
        self.may_report = self.federation.reports && allowed && self.federation.asks_about(service);
        self
    }

    /// Does it in a task of its own. Where too many are under way already, nothing is told or noted.
    pub(crate) fn spawn(self) {
        if let Ok(place) = self.federation.inner.after.clone().try_acquire_owned() {
            tokio::spawn(async move {
                self.run().await;
                drop(place);
            });
        }
    }

    async fn run(mut self) {
        self.wait_for_late().await;
        self.note();
        if self.may_report {
            self.report().await;
        }
    }

    async fn wait_for_late(&mut self) {
        let until = Instant::now() + LATE;
        let is_open = |members: &[Member]| members.iter().any(|one| matches!(one.answer, Answered::NotYet));
        while is_open(&self.members) {
            let Ok(Some(ended)) = tokio::time::timeout_at(until, self.late.join_next()).await else { break };
            let Ok((index, answer)) = ended else { continue };
            let Some(member) = index.checked_sub(self.first).and_then(|number| self.members.get_mut(number)) else {
                continue;
            };
            member.answer = match answer {
                Ok(Heard::View(_, answer)) => Answered::With(answer.view.signed().clone()),
                Ok(Heard::Notary(_)) => Answered::WithNothing,
                Err(Failure::Missing(why)) => of_failure(&why),
                Err(Failure::Lying(_)) => Answered::WithNothing,
            };
        }
        self.late.abort_all();
    }

    /// Silence counts only where others answered: else it is my own connection that is dead.
    fn note(&self) {
        let answered = |one: &Member| matches!(one.answer, Answered::With(_) | Answered::WithNothing);
        let somebody = self.members.iter().any(answered);
        for member in &self.members {
            let trip = self.federation.round_trip(&member.mirror, member.vantage);
            let long = SILENT_AFTER.max(trip.unwrap_or_default() * 4);
            let answered = match &member.answer {
                _ if answered(member) => Some(true),
                Answered::Silent if somebody => Some(false),
                Answered::NotYet if somebody && member.asked_at.elapsed() >= long => Some(false),
                _ => None,
            };
            self.federation.note(member.vantage, Noted { trip: member.mirror.round_trip(), answered });
        }
    }

    /// The views that came, to everybody whose view is among them.
    async fn report(&self) {
        let told = self.told();
        let report = self.report_of(&told);
        let Ok(body) = serde_json::to_vec(&report) else { return };
        if told.len() < LEAST_REPORTED || body.len() > LARGEST_REPORT {
            return;
        }
        let deadline = Deadline::within(REPORTING);
        let posts = told.iter().map(|one| async {
            if let Err(why) = one.mirror.post("/v1/reports", body.clone(), deadline).await {
                tracing::debug!(mirror = %one.vantage, %why, "a report was not taken");
            }
        });
        futures_util::future::join_all(posts).await;
    }

    /// Those whose views fit into one report, the smallest first: no liar keeps the others from being told by the size of
    /// what it says.
    fn told(&self) -> Vec<&Member> {
        let mut answered: Vec<(usize, &Member)> =
            self.members.iter().filter_map(|one| Some((one.size()?, one))).collect();
        answered.sort_by_key(|(size, _)| *size);
        let mut room = LARGEST_REPORT;
        let fits = |(size, _): &(usize, &Member)| {
            room = room.saturating_sub(*size);
            room > 0
        };
        answered.into_iter().take(MOST_REPORTED).take_while(fits).map(|(_, one)| one).collect()
    }

    fn report_of(&self, told: &[&Member]) -> Report {
        let mut report = Report { views: Vec::new(), descriptors: Vec::new() };
        for member in told {
            report.views.extend(member.view().cloned());
            let known = self.federation.inner.mirrors.get(&member.vantage);
            report.descriptors.extend(known.and_then(|one| one.descriptor(now())).cloned());
        }
        report
    }
}

impl Member {
    fn view(&self) -> Option<&Signed> {
        match &self.answer {
            Answered::With(view) => Some(view),
            Answered::NotYet | Answered::WithNothing | Answered::Silent => None,
        }
    }

    /// What its view takes in a report, its descriptor included.
    fn size(&self) -> Option<usize> {
        Some(serde_json::to_vec(self.view()?).ok()?.len() + DESCRIBED)
    }
}

/// What had come of a mirror when the verdict fell.
fn answered_before(gathered: &Gathered, index: usize, vantage: VantageId) -> Answered {
    if let Some(view) = gathered.views().iter().find(|view| view.vantage == vantage) {
        return Answered::With(view.view.signed().clone());
    }
    match (gathered.failure(vantage), gathered.has_heard(index)) {
        (Some(why), _) => of_failure(why),
        (None, true) => Answered::WithNothing,
        (None, false) => Answered::NotYet,
    }
}

fn of_failure(why: &Missing) -> Answered {
    match why {
        Missing::Unreachable(_) | Missing::Timeout | Missing::WrongPin { .. } | Missing::Certificate(_) => {
            Answered::Silent
        }
        _ => Answered::WithNothing,
    }
}
