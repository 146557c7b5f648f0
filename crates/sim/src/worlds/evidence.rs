//! From a visit to the evidence that the product's client would have gathered in it (`client::check`): every vantage point
//! is asked once; one whose look shows another key than the user's is asked to look anew if that look is older than the
//! check, and to look at the user's address unless it just did. So is one to look anew that met TLS where the user met none.

use std::time::Duration;

use parallax_core::{Evidence, History, Look, Observation, Outcome, ServiceId, Testimony, Timestamp};
use parallax_proto::{CLOCK_SKEW, VIEW_LIFE};
use serde::{Deserialize, Serialize};

use super::fill::{Spare, no_asked, no_look, vantage_id};
use super::scenario::{Ago, Party, Scenario, Vantage};

/// How long the check has taken when it decides: what is looked at in it is looked at now.
const ELAPSED: Duration = Duration::from_secs(1);

/// What a check gathered, and what it cost.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The evidence.
    pub evidence: Evidence,
    /// When it decides, by the user's clock.
    pub now: Timestamp,
    /// How many questions it took.
    pub questions: Questions,
}

/// Questions put to vantage points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// First ones.
    pub first: u64,
    /// To look anew.
    pub again: u64,
    /// To look at the user's address.
    pub there: u64,
}

impl Scenario {
    /// The evidence that the user's client would have.
    pub fn evidence(&self) -> Evidence {
        self.gather().evidence
    }

    /// The same, with what it cost and the moment to decide at.
    pub fn gather(&self) -> Gathered {
        let mut desk = Desk::new(self.service.clone());
        let (now, questions) = desk.gather(self);
        Gathered { evidence: desk.evidence, now, questions }
    }

    /// Whether the user's client takes a view for current (`proto::View`).
    fn is_believed(&self, party: &Party, now: Timestamp) -> bool {
        let issued = self.by_clock_of(party);
        now.plus(CLOCK_SKEW) >= issued && now <= issued.plus(VIEW_LIFE).plus(CLOCK_SKEW)
    }
}

/// Where evidence is gathered, visit after visit.
#[derive(Debug)]
pub(super) struct Desk {
    evidence: Evidence,
    spare: Spare,
}

impl Desk {
    /// A desk for visits that check this service.
    pub(super) fn new(service: ServiceId) -> Self {
        Self { evidence: Evidence::new(service, no_look(), Timestamp::default()), spare: Spare::default() }
    }

    /// What was gathered last.
    pub(super) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Gathers the evidence of a visit; returns the moment to decide at, and what it cost.
    pub(super) fn gather(&mut self, scenario: &Scenario) -> (Timestamp, Questions) {
        let Self { evidence, spare } = self;
        let now = scenario.by_clock_of(&scenario.user);
        let mut questions = Questions::default();
        evidence.refill(now.minus(ELAPSED), |local, asked, views| {
            scenario.fill_look(local, &scenario.user, 0, &scenario.met, spare);
            questions.first += scenario.vantages.len() as u64;
            asked.resize_with(scenario.vantages.len(), no_asked);
            for ((number, vantage), asked) in scenario.vantages.iter().enumerate().zip(asked) {
                scenario.fill_asked(asked, number, vantage);
            }
            let mut answered = 0;
            for (number, vantage) in scenario.vantages.iter().enumerate() {
                if vantage.silent || !scenario.is_believed(&vantage.party, now) {
                    continue;
                }
                if views.len() == answered {
                    views.push(spare.view());
                }
                let Some(view) = views.get_mut(answered) else { continue };
                view.vantage = vantage_id(number);
                let mut question = Question { scenario, vantage, local, spare };
                answered += usize::from(question.ask(view, &mut questions).is_some());
            }
            spare.views.extend(views.drain(answered..));
        });
        (now, questions)
    }
}

/// One vantage point's part of a check.
struct Question<'a> {
    scenario: &'a Scenario,
    vantage: &'a Vantage,
    local: &'a Look,
    spare: &'a mut Spare,
}

impl Question<'_> {
    /// Fills in what it testifies; `None` when it can say nothing of this moment.
    fn ask(&mut self, view: &mut Testimony, questions: &mut Questions) -> Option<()> {
        let (scenario, vantage, local) = (self.scenario, self.vantage, self.local);
        view.issued_at = scenario.by_clock_of(&vantage.party);
        scenario.fill_history(&mut view.history, vantage, self.spare);
        let was_old = self.tells_kept(view);
        if !was_old {
            self.looks_now(view);
        }
        let mut there = None;
        // The server may have ceased to speak TLS since an older look met it.
        if was_old && local.now.outcome == Outcome::NotTls && view.look.now.proved().is_some() {
            questions.again += 1;
            if vantage.again_lost {
                return None;
            }
            self.looks_now(view);
        }
        if differs(&local.now, &view.look.now) {
            // Both are asked at once, so that a look which turns out to be led there does not save the other one.
            let asks_there = was_old || view.look.now.address != local.now.address;
            questions.again += u64::from(was_old);
            questions.there += u64::from(asks_there);
            if was_old && vantage.again_lost && vantage.there_lost {
                return None;
            }
            if was_old && !vantage.again_lost {
                self.looks_now(view);
            }
            if asks_there && !vantage.there_lost {
                there = scenario.met.address.map(|address| (address, vantage.there));
            }
        }
        scenario.fill_there(&mut view.there, &vantage.party, there, self.spare);
        Some(())
    }

    /// Fills in the look that it kept, if that may still be told.
    fn tells_kept(&mut self, view: &mut Testimony) -> bool {
        let Some((ago, sight)) = self.vantage.kept else { return false };
        self.scenario.fill_look(&mut view.look, &self.vantage.party, ago, &sight, self.spare);
        !has_outlived_its_record(&view.look, &view.history, ago)
    }

    /// A node commits what it saw before it answers.
    fn looks_now(&mut self, view: &mut Testimony) {
        self.scenario.fill_look(&mut view.look, &self.vantage.party, 0, &self.vantage.now, self.spare);
        view.history.absorb(&view.look);
    }
}

/// A node does not tell a look again after the record in it has run out; the life of a record is the longest here.
fn has_outlived_its_record(look: &Look, history: &History, ago: Ago) -> bool {
    let life = look.dns.record_life(history.remembers_record());
    life.is_some_and(|life| Duration::from_secs(ago.into()) > life)
}

fn differs(mine: &Observation, other: &Observation) -> bool {
    match (mine.proved(), other.proved()) {
        (Some(mine), Some(other)) => mine.key != other.key,
        _ => false,
    }
}
