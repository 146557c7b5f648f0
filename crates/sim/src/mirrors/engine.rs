//! One clock, one queue, and the sockets' part: what the state machines ask for is done here, with latency, loss,
//! outages, and liars.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Fingerprint, ServiceId, Timestamp, VantageId};
use parallax_proto::mirror::{
    Action, Answer, Ballot, Event, Federation, Hop, Measurements, NoAnswer, OwnLook, Peer, QuizId, Settings, Status,
    Unmet, VOTE_FORMAT, Vote, sign, sign_body,
};
use parallax_proto::{Expected, Question, Signed, VIEW_FORMAT, VIEW_LIFE, Verified, View};
use rand::RngExt as _;
use rand_pcg::Pcg64;

use super::plan::{BadPlan, Evil};
use super::quick::Table;
use super::sites::{Sites, history, lag};
use super::suite::{Cheap, Identity};
use super::watch::Watch;

/// The moment at which a simulation begins.
pub const START: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

/// Regions of the simulated world.
pub(super) const REGIONS: u8 = 6;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// One mirror of the simulated world.
pub(super) struct Node {
    pub(super) identity: Identity,
    pub(super) peer: Arc<Peer>,
    pub(super) evil: Option<Evil>,
    pub(super) region: u8,
    pub(super) joined_ms: u64,
    /// Only honest ones run the state machine: evil ones do what they like.
    pub(super) machine: Option<Box<Federation>>,
    /// From when to when it is down, in order.
    pub(super) outages: Vec<(u64, u64)>,
    /// What it votes; signed when somebody fetches it.
    votes: Table<Fingerprint, String>,
    older_votes: Table<Fingerprint, String>,
}

impl Node {
    pub(super) fn new(identity: Identity, peer: Arc<Peer>, evil: Option<Evil>, region: u8, joined_ms: u64) -> Self {
        Self {
            identity,
            peer,
            evil,
            region,
            joined_ms,
            machine: None,
            outages: Vec::new(),
            votes: Table::default(),
            older_votes: Table::default(),
        }
    }

    /// When it is up again, if it is down, and until when that holds.
    fn outage(&self, at_ms: u64) -> (Option<u64>, u64) {
        match self.outages.iter().find(|(_, to)| *to > at_ms) {
            Some((from, to)) if *from <= at_ms => (Some(*to), *to),
            Some((from, _)) => (None, *from),
            None => (None, u64::MAX),
        }
    }

    pub(super) fn lies_to_clients(&self) -> bool {
        self.evil.is_some_and(Evil::lies_to_clients)
    }
}

/// What each message asks of a mirror, side by side: most of what is known of it is cold when its turn comes.
#[derive(Clone, Copy, Debug)]
struct Brief {
    region: u8,
    evil: Option<Evil>,
    down: Option<u64>,
    /// Until when `down` holds.
    until_ms: u64,
    /// When its machine wants to be woken.
    due_ms: u64,
    /// For when the queue has a wake of it. Deadlines mostly move away: then this one sets the next.
    wake_ms: u64,
}

enum Item {
    Wake(u32),
    Event(u32, Box<Event>),
    Answers(u32, Answers),
}

/// What comes back for what a machine asked at one moment, told when the last of it is there: a round waits for all anyhow.
/// To wake a machine for each of three would cost three times as much: its memory is cold when its turn comes.
#[derive(Default)]
struct Answers {
    each: Vec<Came>,
    after_ms: u32,
}

enum Came {
    Answer { quiz: QuizId, answer: Result<Answer, NoAnswer>, took_ms: u32 },
    Ping { ping: QuizId, took_ms: Option<u32> },
}

impl Came {
    fn event(self) -> Event {
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        match self {
            Came::Answer { quiz, answer, took_ms } => Event::QuizAnswered { quiz, answer, took: ms(took_ms) },
            Came::Ping { ping, took_ms } => Event::PingAnswered { ping, took: took_ms.map(ms) },
        }
    }
}

/// A connection that is not answered is given up after this time.
const SILENCE_MS: u32 = 5_000;

/// The simulated world.
pub(super) struct Engine {
    pub(super) now_ms: u64,
    pub(super) nodes: Vec<Node>,
    briefs: Vec<Brief>,
    pub(super) by_id: Table<VantageId, u32>,
    pub(super) sites: Sites,
    pub(super) rng: Pcg64,
    pub(super) watch: Watch,
    pub(super) settings: Arc<Settings>,
    pub(super) loss: f64,
    /// Newcomers, whom lists may bring to those who missed them.
    pub(super) newcomers: Vec<u32>,
    queue: BinaryHeap<Reverse<(u64, u64, u32)>>,
    items: Vec<Option<Item>>,
    free: Vec<u32>,
    entries: u64,
    /// Whom the requests for removal are about, for the evil who vote on them.
    subjects: Table<Fingerprint, VantageId>,
    older_subjects: Table<Fingerprint, VantageId>,
    signed: Option<(Fingerprint, Signed)>,
    /// Who is about to confront whom about which service, because of a report: these answers are real views.
    confronting: HashSet<(u32, ServiceId)>,
    coming: Answers,
    silent: Answers,
    out: Vec<Action>,
    pending: Vec<Event>,
    nothing: Arc<[Fingerprint]>,
    /// Meetings at addresses where nobody lives.
    pub(super) probes_of_victims: u64,
}

impl Engine {
    pub(super) fn new(sites: Sites, rng: Pcg64, settings: Arc<Settings>, loss: f64) -> Self {
        Self {
            now_ms: 0,
            nodes: Vec::new(),
            briefs: Vec::new(),
            by_id: Table::default(),
            sites,
            rng,
            watch: Watch::default(),
            settings,
            loss,
            newcomers: Vec::new(),
            queue: BinaryHeap::new(),
            items: Vec::new(),
            free: Vec::new(),
            entries: 0,
            subjects: Table::default(),
            older_subjects: Table::default(),
            signed: None,
            confronting: HashSet::new(),
            coming: Answers::default(),
            silent: Answers::default(),
            out: Vec::new(),
            pending: Vec::new(),
            nothing: Arc::new([]),
            probes_of_victims: 0,
        }
    }

    pub(super) fn add(&mut self, node: Node) -> u32 {
        let number = self.nodes.len() as u32;
        self.by_id.insert(node.identity.vantage, number);
        self.watch.add(node.evil, node.joined_ms);
        self.briefs.push(Brief {
            region: node.region,
            evil: node.evil,
            down: None,
            until_ms: 0,
            due_ms: u64::MAX,
            wake_ms: u64::MAX,
        });
        self.nodes.push(node);
        number
    }

    /// From now on a mirror is of that kind.
    #[cfg(test)]
    pub(super) fn turn(&mut self, number: u32, evil: Option<Evil>) {
        if let (Some(node), Some(brief)) = (self.nodes.get_mut(number as usize), self.briefs.get_mut(number as usize)) {
            (node.evil, brief.evil) = (evil, evil);
        }
    }

    /// When a mirror is up again, if it is down now.
    pub(super) fn down_until(&mut self, number: u32) -> Option<u64> {
        let brief = self.briefs.get_mut(number as usize)?;
        if self.now_ms >= brief.until_ms
            && let Some(node) = self.nodes.get(number as usize)
        {
            (brief.down, brief.until_ms) = node.outage(self.now_ms);
        }
        brief.down
    }

    pub(super) fn now(&self) -> Timestamp {
        START.plus(Duration::from_millis(self.now_ms))
    }

    fn push(&mut self, at_ms: u64, item: Item) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            self.items.len() as u32 - 1
        });
        if let Some(here) = self.items.get_mut(place as usize) {
            *here = Some(item);
        }
        self.entries += 1;
        self.queue.push(Reverse((at_ms, self.entries, place)));
    }

    /// Runs until that moment.
    pub(super) fn run_until(&mut self, end_ms: u64) -> Result<(), BadPlan> {
        while let Some(Reverse((at_ms, _, place))) = self.queue.peek().copied() {
            if at_ms > end_ms {
                break;
            }
            self.queue.pop();
            self.now_ms = at_ms;
            let Some(item) = self.items.get_mut(place as usize).and_then(Option::take) else { continue };
            self.free.push(place);
            self.happens(item)?;
        }
        self.now_ms = end_ms;
        Ok(())
    }

    fn happens(&mut self, item: Item) -> Result<(), BadPlan> {
        match item {
            Item::Wake(node) => {
                let Some(sleeper) = self.briefs.get_mut(node as usize) else { return Ok(()) };
                // An earlier deadline came up after this was set, and was kept.
                if sleeper.wake_ms != self.now_ms {
                    return Ok(());
                }
                sleeper.wake_ms = u64::MAX;
                let due_ms = sleeper.due_ms;
                match self.down_until(node) {
                    Some(up_ms) => self.wake(node, up_ms.max(due_ms)),
                    None if due_ms > self.now_ms => self.wake(node, due_ms),
                    None => return self.handle(node, Event::Tick),
                }
                Ok(())
            }
            Item::Event(node, event) => self.handle(node, *event),
            Item::Answers(node, answers) => self.handle_all(node, answers.each.into_iter().map(Came::event)),
        }
    }

    /// Gives an event to a state machine, does what it asks for, and checks what must always hold.
    pub(super) fn handle(&mut self, number: u32, event: Event) -> Result<(), BadPlan> {
        self.handle_all(number, [event].into_iter())
    }

    fn handle_all(&mut self, number: u32, events: impl DoubleEndedIterator<Item = Event>) -> Result<(), BadPlan> {
        let (now, now_ms) = (self.now(), self.now_ms);
        if self.down_until(number).is_some() {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend(events.rev());
        while let Some(event) = pending.pop() {
            let Some(node) = self.nodes.get_mut(number as usize) else { continue };
            let (id, Some(machine)) = (node.identity.vantage, node.machine.as_deref_mut()) else { continue };
            let mut out = std::mem::take(&mut self.out);
            let refused = machine.handle(event, now, &mut self.rng, &mut out).is_err();
            self.watch.handled(refused);
            for action in out.drain(..) {
                self.watch.action((number, id), &action, &self.by_id, now_ms)?;
                self.act(number, action, &mut pending);
            }
            self.out = out;
        }
        self.pending = pending;
        self.await_answers(number);
        self.sleep(number, now_ms)
    }

    /// What was asked at this moment comes back together; silence takes longer.
    fn await_answers(&mut self, number: u32) {
        for answers in [std::mem::take(&mut self.coming), std::mem::take(&mut self.silent)] {
            if !answers.each.is_empty() {
                self.push(self.now_ms + u64::from(answers.after_ms), Item::Answers(number, answers));
            }
        }
    }

    fn comes(&mut self, came: Came, after_ms: Option<u32>) {
        let answers = if after_ms.is_some() { &mut self.coming } else { &mut self.silent };
        answers.after_ms = answers.after_ms.max(after_ms.unwrap_or(SILENCE_MS));
        answers.each.push(came);
    }

    fn sleep(&mut self, number: u32, now_ms: u64) -> Result<(), BadPlan> {
        let Some(node) = self.nodes.get(number as usize) else { return Ok(()) };
        let deadline = node.machine.as_deref().and_then(Federation::deadline);
        let Some(deadline) = deadline.map(|at| at.since(START).as_millis() as u64) else { return Ok(()) };
        if deadline <= now_ms {
            let day = now_ms as f64 / DAY_MS as f64;
            return Err(BadPlan::Invariant { day, what: format!("mirror {number} is never done with this moment") });
        }
        self.wake(number, deadline);
        Ok(())
    }

    /// From now on this is its deadline.
    fn wake(&mut self, number: u32, at_ms: u64) {
        let Some(sleeper) = self.briefs.get_mut(number as usize) else { return };
        sleeper.due_ms = at_ms;
        if at_ms < sleeper.wake_ms {
            sleeper.wake_ms = at_ms;
            self.push(at_ms, Item::Wake(number));
        }
    }

    pub(super) fn rtt_ms(&mut self, one: u8, other: u8) -> u32 {
        let apart = u32::from(one.abs_diff(other).min(REGIONS - one.abs_diff(other)));
        let base = 8 + 45 * apart;
        base + self.rng.random_range(0..base / 4 + 4)
    }

    fn region(&self, number: u32) -> u8 {
        self.briefs.get(number as usize).map_or(0, |brief| brief.region)
    }

    fn is_lost(&mut self) -> bool {
        self.loss > 0.0 && self.rng.random_bool(self.loss)
    }

    /// Whoever can be reached from there now.
    fn reach(&mut self, to: VantageId) -> Option<u32> {
        let number = *self.by_id.get(&to)?;
        let up = self.down_until(number).is_none();
        (up && !self.is_lost()).then_some(number)
    }

    fn act(&mut self, from: u32, action: Action, pending: &mut Vec<Event>) {
        match action {
            Action::LookNow { round, service, .. } => {
                let look = self.own_look(from, &service);
                pending.push(Event::Looked { round, look: Some(look) });
            }
            Action::Ask { quiz, to, service } => self.ask(from, quiz, to, &service),
            Action::Ping { ping, to } => {
                let took_ms = self.reach(to).map(|to| self.rtt_ms(self.region(from), self.region(to)));
                self.comes(Came::Ping { ping, took_ms }, took_ms);
            }
            Action::Meet { meet, vantage, .. } => {
                let result = match self.reach(vantage).and_then(|number| self.nodes.get(number as usize)) {
                    Some(node) => Ok(Arc::clone(&node.peer)),
                    None => {
                        self.probes_of_victims += u64::from(!self.by_id.contains_key(&vantage));
                        Err(Unmet::Silent)
                    }
                };
                self.send(from, 300, Event::Met { meet, result });
            }
            Action::Forward { peer, to } => {
                if let Some(to) = self.reach(to) {
                    self.send(to, 100, Event::JoinReceived { peer, hop: Hop::Forwarded });
                }
            }
            Action::AskRemoval { removal, body, to } => self.ask_removal(from, removal, &body, to),
            Action::FetchVote { removal, from: voter } => self.fetch_vote(from, removal, voter),
            Action::Vote { removal, body, .. } => {
                if let Some(node) = self.nodes.get_mut(from as usize) {
                    node.votes.insert(removal, body);
                }
            }
            Action::FetchList { from: other } => self.fetch_list(from, other),
            Action::Notify { .. } | Action::Persist(_) => {}
        }
    }

    pub(super) fn send(&mut self, to: u32, after_ms: u64, event: Event) {
        self.push(self.now_ms + after_ms, Item::Event(to, Box::new(event)));
    }

    /// What a mirror sees for itself.
    fn own_look(&mut self, number: u32, service: &ServiceId) -> OwnLook {
        let site = self.sites.number(service);
        let (look, before) = self.sites.seen(site, self.region(number), lag(number, site), self.now_ms);
        let remembered = before.map_or_else(|| Arc::clone(&self.nothing), |key| Arc::new([key]));
        OwnLook { look, remembered }
    }

    fn ask(&mut self, from: u32, quiz: QuizId, to: VantageId, service: &ServiceId) {
        let Some(to) = self.reach(to) else {
            return self.comes(Came::Answer { quiz, answer: Err(NoAnswer::Silent), took_ms: SILENCE_MS }, None);
        };
        let confronted = !self.confronting.is_empty() && self.confronting.contains(&(from, service.clone()));
        let view = if confronted { self.view(to, service, false) } else { None };
        let look = match &view {
            Some(view) => Answer::of(Arc::clone(view)).look,
            None => self.told(to, service, false),
        };
        let took_ms = self.rtt_ms(self.region(from), self.region(to)) + self.rng.random_range(2..40);
        let answer = Ok(Answer { look, issued_at: self.now(), view });
        self.comes(Came::Answer { quiz, answer, took_ms }, Some(took_ms));
    }

    /// What a mirror tells: to a client, or to somebody whom it knows for a mirror.
    fn told(&mut self, number: u32, service: &ServiceId, client: bool) -> Arc<parallax_core::Look> {
        let site = self.sites.number(service);
        let evil = self.briefs.get(number as usize).and_then(|brief| brief.evil);
        if evil.is_some_and(|evil| evil.lies_to_all() || (client && evil.lies_to_clients())) {
            let colludes = evil == Some(Evil::Colluder);
            return self.sites.lie(site, if colludes { 0 } else { 1 + number % 8 });
        }
        self.sites.seen(site, self.region(number), lag(number, site), self.now_ms).0
    }

    /// A view, signed and verified as real ones are. A liar's history says what it says.
    pub(super) fn view(&mut self, number: u32, service: &ServiceId, client: bool) -> Option<Arc<Verified<View>>> {
        let look = self.told(number, service, client);
        let now = self.now();
        let node = self.nodes.get(number as usize)?;
        let mut seen = look.now.clone();
        seen.at = now;
        let view = View {
            format: VIEW_FORMAT.into(),
            vantage: node.identity.vantage,
            region: None,
            service: service.clone(),
            nonce: None,
            issued_at: now,
            valid_until: now.plus(VIEW_LIFE),
            dns: look.dns.clone(),
            now: seen,
            history: history(&look, now),
            kept_since: None,
            authority: Vec::new(),
        };
        let signed = view.sign(&node.identity.statement).ok()?;
        let question = Question::about(service.clone());
        let (vantage, statement_key) = (node.identity.vantage, node.identity.statement_key());
        View::verify(&Cheap, &Expected { vantage, statement_key, question: &question, now }, signed).ok().map(Arc::new)
    }

    /// A client's report comes to a mirror, which may confront others because of it.
    pub(super) fn report(
        &mut self,
        to: u32,
        report: parallax_proto::mirror::Report,
        service: &ServiceId,
    ) -> Result<(), BadPlan> {
        self.confronting.insert((to, service.clone()));
        let result = self.handle(to, Event::ReportReceived { report });
        self.confronting.remove(&(to, service.clone()));
        result
    }

    fn ask_removal(&mut self, from: u32, removal: Fingerprint, body: &str, to: VantageId) {
        let Some(node) = self.nodes.get(from as usize) else { return };
        if self.signed.as_ref().is_none_or(|(id, _)| *id != removal) {
            let signed = sign_body(&node.identity.statement, node.identity.vantage, body.to_owned());
            self.signed = signed.ok().map(|signed| (removal, signed));
            if let Ok(request) = serde_json::from_str::<parallax_proto::mirror::Removal>(body) {
                self.subjects.insert(removal, request.subject);
            }
        }
        let Some((_, signed)) = self.signed.clone() else { return };
        if let Some(to) = self.reach(to) {
            self.send(to, 100, Event::RemovalAsked { removal: signed });
        }
    }

    fn fetch_vote(&mut self, from: u32, removal: Fingerprint, voter: VantageId) {
        let Some(voter) = self.reach(voter) else { return };
        let vote = match self.nodes.get(voter as usize) {
            Some(node) if node.evil.is_some() => self.evil_vote(voter, removal),
            Some(node) => node
                .votes
                .get(&removal)
                .or_else(|| node.older_votes.get(&removal))
                .and_then(|body| sign_body(&node.identity.statement, node.identity.vantage, body.clone()).ok()),
            None => None,
        };
        if let Some(vote) = vote {
            self.send(from, 100, Event::VoteReceived { vote });
        }
    }

    /// Evil votes for evil, with measurements that it invents.
    fn evil_vote(&mut self, voter: u32, removal: Fingerprint) -> Option<Signed> {
        let subject = *self.subjects.get(&removal).or_else(|| self.older_subjects.get(&removal))?;
        let evil = self.nodes.get(*self.by_id.get(&subject)? as usize)?.evil.is_some();
        let node = self.nodes.get(voter as usize)?;
        let now = self.now();
        let vote = Vote {
            format: VOTE_FORMAT.into(),
            vantage: node.identity.vantage,
            issued_at: now,
            valid_until: now.plus(Duration::from_secs(3_600)),
            removal,
            subject,
            vote: if evil { Ballot::Keep } else { Ballot::Remove },
            measurements: invented(now, if evil { 0 } else { 30 }),
        };
        sign(&vote, &node.identity.statement).ok()
    }

    /// Honest lists bring newcomers; evil ones bring inventions.
    fn fetch_list(&mut self, from: u32, other: VantageId) {
        let Some(number) = self.reach(other) else { return };
        let knows = |node: u32, whom: VantageId| {
            let machine = self.nodes.get(node as usize).and_then(|node| node.machine.as_deref());
            machine.and_then(|machine| machine.status(whom))
        };
        let newcomers: Vec<Arc<Peer>> = self
            .newcomers
            .iter()
            .filter_map(|newcomer| Some(Arc::clone(&self.nodes.get(*newcomer as usize)?.peer)))
            .filter(|peer| {
                knows(number, peer.vantage()) == Some(Status::Active) && knows(from, peer.vantage()).is_none()
            })
            .collect();
        self.send(from, 200, Event::ListReceived { from: other, newcomers });
    }

    /// Forgets what is older than eight hours: nobody asks for it any more.
    pub(super) fn tidy(&mut self) {
        self.older_subjects = std::mem::take(&mut self.subjects);
        self.nodes.iter_mut().for_each(|node| node.older_votes = std::mem::take(&mut node.votes));
    }
}

/// Measurements that nobody made.
pub(super) fn invented(now: Timestamp, dissents: u32) -> Measurements {
    Measurements {
        ping_ms: Some(20.0),
        response_ms: Some(40.0),
        quizzes: 50,
        answered: 50,
        dissents,
        from: now,
        to: now,
    }
}
