//! What the machine asks for, done on sockets: meetings, quizzes, pings, messages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_client::{
    Chance, Deadline, Known, Missing, NodeVantage, VantagePoint as _, VantageUrl, ordinary_question,
};
use parallax_core::{ServiceId, VantageId};
use parallax_probe::AwsLc;
use parallax_proto::mirror::{
    Action, Answer, Event, LARGEST_LIST, LARGEST_VOTE, MirrorList, NoAnswer, OwnLook, Peer, QuizId, RoundId, Unmet,
    newcomers, verify,
};
use parallax_proto::{Signed, Verified};
use rand_core::Rng as _;
use tokio::time::Instant;

use super::Mirrors;

/// Newcomers that are taken from one list: they are met, few a minute.
const NEWCOMERS: usize = 16;

/// What an action is called in the metrics.
pub(super) fn kind(action: &Action) -> &'static str {
    match action {
        Action::Meet { .. } => "meet",
        Action::LookNow { .. } => "look",
        Action::Ask { .. } => "ask",
        Action::Ping { .. } => "ping",
        Action::Forward { .. } => "forward",
        Action::AskRemoval { .. } => "ask-removal",
        Action::FetchVote { .. } => "fetch-vote",
        Action::Vote { .. } => "vote",
        Action::FetchList { .. } => "fetch-list",
        Action::Notify { .. } => "notify",
        Action::Persist(_) => "persist",
    }
}

impl Mirrors {
    /// Does one thing and tells the machine what came of it. What is refused then was too late, and changes nothing.
    pub(super) async fn perform(self: &Arc<Self>, action: Action) {
        let event = match action {
            Action::Meet { meet, vantage, address } => {
                Some(Event::Met { meet, result: self.meet(vantage, address).await })
            }
            Action::LookNow { round, service, max_age } => Some(self.look(round, &service, max_age).await),
            Action::Ask { quiz, to, service } => Some(self.quiz(quiz, to, &service).await),
            Action::Ping { ping, to } => {
                let took = match self.connected(to) {
                    Some(mirror) => mirror.ping(self.deadline()).await.ok(),
                    None => None,
                };
                Some(Event::PingAnswered { ping, took })
            }
            Action::Forward { peer, to } => {
                self.post(to, "/v1/mirrors?forwarded=1", peer.signed()).await;
                None
            }
            Action::AskRemoval { body, to, .. } => {
                if let Some(signed) = self.sign(body.to_string()) {
                    self.post(to, "/v1/removals", &signed).await;
                }
                None
            }
            Action::FetchVote { removal, from } => {
                let vote = self.fetch(from, &format!("/v1/removals/{removal}"), LARGEST_VOTE).await;
                vote.map(|vote| Event::VoteReceived { vote })
            }
            Action::FetchList { from } => self.fetch_list(from).await,
            Action::Vote { .. } | Action::Notify { .. } | Action::Persist(_) => None,
        };
        if let Some(event) = event {
            drop(self.handle(event));
        }
    }

    /// TLS at the very address, which is judged as any target is: no descriptor aims this node at its own network.
    async fn meet(&self, vantage: VantageId, address: SocketAddr) -> Result<Arc<Peer>, Unmet> {
        if !self.tools.targets.allows(address) {
            return Err(Unmet::NotAllowed);
        }
        self.tools.limits.admit_target(address.ip()).map_err(|_| Unmet::Silent)?;
        let url = url_of(address).ok_or(Unmet::NotAllowed)?.with_pin(vantage);
        let met = NodeVantage::discover(&url, self.deadline()).await;
        let met = met.map_err(|why| if why.is_dropped() { Unmet::SomebodyElse } else { Unmet::Silent })?;
        Peer::new(met).map(Arc::new).map_err(|_| Unmet::SomebodyElse)
    }

    async fn look(&self, round: RoundId, service: &ServiceId, max_age: Duration) -> Event {
        let started = Instant::now();
        let looked = self.tools.views.look_for_myself(service, max_age).await;
        self.looks_took.insert(service.clone(), started.elapsed());
        let look = looked.map(|(look, history)| {
            let since = look.now.at.minus(self.settings.rules.day);
            let remembered = history.spans.iter().filter(|span| span.last_seen >= since).map(|span| span.key);
            OwnLook { remembered: remembered.collect(), look: Arc::new(look) }
        });
        Event::Looked { round, look }
    }

    /// A quiz is the very question that a client would ask, over the same kind of connection.
    async fn quiz(&self, quiz: QuizId, to: VantageId, service: &ServiceId) -> Event {
        let Some(mirror) = self.connected(to) else {
            return Event::QuizAnswered { quiz, answer: Err(NoAnswer::Silent), took: Duration::ZERO };
        };
        let deadline = self.deadline();
        let question = ordinary_question(service.clone(), self.settings.quiz_max_age, deadline);
        let started = Instant::now();
        let answer = mirror.view(question, deadline).await;
        let mut took = started.elapsed();
        let answer = answer.map(|view| Answer::of(Arc::new(view))).map_err(|why| no_answer(&why));
        if let Ok(answer) = &answer
            && answer.issued_at.since(answer.look.now.at) < took
        {
            // It looked while I waited; the target is about as far from it as from me.
            took = took.saturating_sub(self.looks_took.get(service).unwrap_or_default());
        }
        Event::QuizAnswered { quiz, answer, took }
    }

    async fn fetch_list(&self, from: VantageId) -> Option<Event> {
        let first = self.fetch_page(from, 0).await?;
        // Any page, or those on the later ones would never be found. How many there are, the own list tells about.
        let (known, on_one) = (self.lock().statuses().count(), first.content().mirrors.len().max(1));
        let page = if first.content().next.is_some() { below(known / on_one + 1) } else { 0 };
        let list = match page {
            0 => first,
            page => self.fetch_page(from, page).await.unwrap_or(first),
        };
        let now = self.tools.shared.clock.now().ok()?;
        let known: std::collections::BTreeSet<VantageId> =
            self.lock().statuses().map(|(peer, _)| peer.vantage()).collect();
        let me = self.tools.shared.identity.vantage();
        let knows = |vantage| vantage == me || known.contains(&vantage);
        let newcomers = newcomers(&AwsLc, list.content(), knows, NEWCOMERS, now, &mut Chance);
        Some(Event::ListReceived { from, newcomers })
    }

    async fn fetch_page(&self, from: VantageId, page: usize) -> Option<Verified<MirrorList>> {
        let signed = self.fetch(from, &format!("/v1/mirrors?page={page}&status=active"), LARGEST_LIST).await?;
        let by = self.peer(from)?.signatory();
        let now = self.tools.shared.clock.now().ok()?;
        verify::<MirrorList>(&AwsLc, by, signed, now).ok()
    }

    async fn fetch(&self, from: VantageId, path: &str, limit: usize) -> Option<Signed> {
        self.connected(from)?.fetch(path, limit, self.deadline()).await.ok()
    }

    /// What becomes of it, the other decides; a message that is lost is not sent again.
    pub(super) async fn post(&self, to: VantageId, path: &str, signed: &Signed) {
        if let (Some(mirror), Ok(body)) = (self.connected(to), serde_json::to_vec(signed)) {
            drop(mirror.post(path, body, self.deadline()).await);
        }
    }

    /// A known mirror at the address of its newest descriptor. Its address is judged again: settings may have changed
    /// since it was met.
    fn connected(&self, vantage: VantageId) -> Option<Arc<NodeVantage>> {
        let peer = self.peer(vantage)?;
        if !self.tools.targets.allows(peer.address()) {
            return None;
        }
        let key = (vantage, peer.descriptor().issued_at);
        if let Some(connected) = self.connected.get(&key) {
            return Some(connected);
        }
        let url = url_of(peer.address())?.with_pin(vantage);
        let mirror = Arc::new(NodeVantage::new(url, Some(Known::of(peer.descriptor()))).ok()?);
        self.connected.insert(key, Arc::clone(&mirror));
        Some(mirror)
    }

    fn deadline(&self) -> Deadline {
        Deadline::within(self.settings.patience)
    }
}

/// A number below that one, by chance.
fn below(bound: usize) -> usize {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
    usize::try_from(Chance.next_u64() % bound).unwrap_or_default()
}

fn url_of(address: SocketAddr) -> Option<VantageUrl> {
    format!("https://{address}").parse().ok()
}

fn no_answer(why: &Missing) -> NoAnswer {
    match why {
        Missing::Refused { .. } => NoAnswer::Denied,
        why if why.is_dropped() => NoAnswer::Invalid,
        _ => NoAnswer::Silent,
    }
}
