//! What the evil do of their own accord: ask for the removal of honest mirrors, and flood others with reports.

use std::time::Duration;

use parallax_proto::mirror::{Event, REMOVAL_FORMAT, Removal, Report, sign};
use rand::RngExt as _;

use super::engine::{Engine, invented};
use super::plan::{BadPlan, Evil};

/// Requests for removal, and reports, that one of them sends an hour.
const AN_HOUR: u32 = 20;

impl Engine {
    /// An hour's work of all of them.
    pub(super) fn attack(&mut self, forgers: u32) -> Result<(), BadPlan> {
        for number in 0..self.nodes.len() as u32 {
            if self.nodes.get(number as usize).is_some_and(|node| node.evil == Some(Evil::Remover)) {
                (0..AN_HOUR).try_for_each(|_| self.ask_falsely(number))?;
            }
        }
        (0..forgers * AN_HOUR).try_for_each(|turn| self.report_falsely(turn))
    }

    fn an_honest_one(&mut self) -> Option<u32> {
        let many = self.nodes.len();
        let found = (0..32).map(|_| self.rng.random_range(0..many)).collect::<Vec<_>>();
        found
            .into_iter()
            .find(|number| self.nodes.get(*number).is_some_and(|node| node.machine.is_some()))
            .map(|n| n as u32)
    }

    /// A request for the removal of an honest mirror, with measurements that nobody made.
    fn ask_falsely(&mut self, from: u32) -> Result<(), BadPlan> {
        let (Some(to), Some(subject)) = (self.an_honest_one(), self.an_honest_one()) else { return Ok(()) };
        let (Some(node), Some(subject)) = (self.nodes.get(from as usize), self.nodes.get(subject as usize)) else {
            return Ok(());
        };
        let now = self.now();
        let removal = Removal {
            format: REMOVAL_FORMAT.into(),
            vantage: node.identity.vantage,
            issued_at: now,
            valid_until: now.plus(Duration::from_secs(86_400)),
            subject: subject.identity.vantage,
            reason: "its answers dissent".into(),
            measurements: invented(now, 40),
            proof: None,
        };
        match sign(&removal, &node.identity.statement) {
            Ok(removal) => self.handle(to, Event::RemovalAsked { removal }),
            Err(_) => Ok(()),
        }
    }

    /// Every other report is tampered with; the others hold true views that differ for a good reason.
    fn report_falsely(&mut self, turn: u32) -> Result<(), BadPlan> {
        let (Some(to), Some(other)) = (self.an_honest_one(), self.an_honest_one()) else { return Ok(()) };
        let site = self.rng.random_range(0..self.sites.len() as u32);
        let Some(service) = self.sites.service(site).cloned() else { return Ok(()) };
        let views = [to, other].map(|number| self.view(number, &service, true));
        let mut views: Vec<_> = views.into_iter().flatten().map(|view| view.signed().clone()).collect();
        if let (0, Some(view)) = (turn % 2, views.last_mut()) {
            view.body = view.body.replace("\"proved\":true", "\"proved\":false");
        }
        self.report(to, Report { views, descriptors: Vec::new() }, &service)
    }
}
