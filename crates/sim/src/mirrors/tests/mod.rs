//! The rows of `docs/protocols/mirrors.md` by number, abuse with what it costs, and small federations to the end.

mod abuse;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Suite as _, Timestamp, VantageId};
use parallax_proto::Descriptor;
use parallax_proto::mirror::{
    Action, Event, Federation, Hop, Measurements, MeetId, Peer, PopularNames, REMOVAL_FORMAT, Refused, Removal,
    Settings, Signatory, Status, removal_id,
};
use rand::SeedableRng as _;
use rand_pcg::Pcg64;

use super::engine::START;
use super::run::World;
use super::suite::{Cheap, Identity, Portrait};
use super::{Evil, Plan, run};

/// A federation without attackers, loss and outages.
fn calm(nodes: u32) -> Plan {
    Plan { nodes, evil: 0.0, joins_a_day: 0, clients: 0, forgers: 0, loss: 0.0, outages_a_day: 0.0, ..Plan::default() }
}

fn portrait(number: u32) -> Portrait {
    let [_, a, b, c] = number.to_be_bytes();
    Portrait {
        address: format!("https://{}.{a}.{b}.{c}", 20 + number % 100),
        region: "eu".into(),
        operator: format!("o{number}"),
    }
}

/// The mirror of that number, as others know it, at an address of its own network.
fn peer(number: u32, at: Timestamp) -> (Identity, Arc<Peer>) {
    let identity = Identity::new(1_000_000 + u64::from(number));
    let peer = identity.peer(&portrait(number), at).unwrap();
    (identity, Arc::new(peer))
}

/// One machine by itself, fed by hand.
struct Alone {
    machine: Federation,
    identity: Identity,
    now: Timestamp,
    rng: Pcg64,
}

impl Alone {
    fn new(known: &[Arc<Peer>]) -> Self {
        let (identity, _) = peer(900_000, START);
        let me = Signatory { vantage: identity.vantage, statement_key: identity.statement_key() };
        let mut machine = Federation::new(me, Settings::default(), PopularNames::default(), Arc::new(Cheap), START);
        machine.adopt(known.iter().cloned(), START);
        Self { machine, identity, now: START, rng: Pcg64::seed_from_u64(7) }
    }

    fn does(&mut self, event: Event) -> Result<Vec<Action>, Refused> {
        let mut out = Vec::new();
        self.machine.handle(event, self.now, &mut self.rng, &mut out)?;
        Ok(out)
    }

    fn later(&mut self, by: Duration) -> Vec<Action> {
        let end = self.now.plus(by);
        let mut out = Vec::new();
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.machine.handle(Event::Tick, self.now, &mut self.rng, &mut out).unwrap();
        }
        self.now = end;
        out
    }

    /// Goes to the next deadline.
    fn step(&mut self) -> Vec<Action> {
        self.now = self.machine.deadline().unwrap().max(self.now);
        self.does(Event::Tick).unwrap()
    }

    /// Goes to the next deadline, and answers what is asked then, and what is asked because of that.
    fn step_answered(&mut self, mut answer: impl FnMut(Timestamp, &Action) -> Option<Event>) -> Vec<Action> {
        let mut out = self.step();
        let mut next = 0;
        while let Some(action) = out.get(next) {
            next += 1;
            if let Some(event) = answer(self.now, action) {
                out.extend(self.does(event).unwrap());
            }
        }
        out
    }

    /// Answers the pings of all but one, for that long; asks for removal are handed out.
    fn run_while_silent(&mut self, silent: VantageId, until: impl Fn(&[Action], Timestamp) -> bool) -> Vec<Action> {
        loop {
            let out = self.step_answered(|_, action| match action {
                Action::Ping { ping, to } => {
                    let took = (*to != silent).then_some(Duration::from_millis(20));
                    Some(Event::PingAnswered { ping: *ping, took })
                }
                _ => None,
            });
            if until(&out, self.now) {
                return out;
            }
        }
    }

    fn status(&self, who: &Peer) -> Option<Status> {
        self.machine.status(who.vantage())
    }

    /// Joins, and is met when the machine wants to meet it.
    fn join_and_meet(&mut self, who: &Arc<Peer>) -> Vec<Action> {
        let mut out = self.does(Event::JoinReceived { peer: Arc::clone(who), hop: Hop::Own }).unwrap();
        out.extend(self.later(Duration::from_secs(61)));
        let meets: Vec<MeetId> = out
            .iter()
            .filter_map(|action| match action {
                Action::Meet { meet, vantage, .. } if *vantage == who.vantage() => Some(*meet),
                _ => None,
            })
            .collect();
        for meet in meets {
            out.extend(self.does(Event::Met { meet, result: Ok(Arc::clone(who)) }).unwrap());
        }
        out
    }
}

fn count(actions: &[Action], what: impl Fn(&Action) -> bool) -> usize {
    actions.iter().filter(|action| what(action)).count()
}

/// A request for removal that counts for an hour.
fn removal(vantage: VantageId, subject: VantageId, reason: &str, now: Timestamp) -> Removal {
    Removal {
        format: REMOVAL_FORMAT.into(),
        vantage,
        issued_at: now,
        valid_until: now.plus(Duration::from_secs(3600)),
        subject,
        reason: reason.into(),
        measurements: measured(now),
        proof: None,
    }
}

fn measured(now: Timestamp) -> Measurements {
    super::engine::invented(now, 0)
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let plan = Plan { nodes: 40, days: 2, clients: 2, ..Plan::default() };
    let one = run(&plan, |_| {}).unwrap();
    assert_eq!(one, run(&plan, |_| {}).unwrap());
    let other = run(&Plan { seed: 2, ..plan }, |_| {}).unwrap();
    assert_ne!(one.events, other.events);
}

#[test]
fn a_small_federation_meets_the_aims() {
    let mut plan = Plan { nodes: 100, days: 5, clients: 4, ..Plan::default() };
    if let (Ok(nodes), Ok(days)) = (std::env::var("NODES"), std::env::var("DAYS")) {
        plan = Plan { nodes: nodes.parse().unwrap(), days: days.parse().unwrap(), ..Plan::default() };
    }
    let results = run(&plan, |_| {}).unwrap();
    println!("{}", serde_json::to_string_pretty(&results).unwrap());
    for (aim, found, met) in results.aims() {
        println!("{aim}: {found}");
        assert_eq!(met, Some(true), "{aim}: {found}");
    }
}

#[test]
fn a_plan_that_cannot_be_is_refused_by_name() {
    for (plan, what) in [
        (Plan { nodes: 3, ..Plan::default() }, "nodes must be 8 to 4000, not 3"),
        (Plan { evil: 1.5, ..Plan::default() }, "evil must be 0 to 0.9, not 1.5"),
        (Plan { days: 0, ..Plan::default() }, "days must be 1 to 365, not 0"),
    ] {
        assert_eq!(run(&plan, |_| {}).unwrap_err().to_string(), what);
    }
}
