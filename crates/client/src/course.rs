//! One check under way: the own look, whoever is listed, and the mirrors of the federation as they are needed, all at once.

use std::sync::Arc;

use parallax_core::{Accepted, Agreement, Evidence, Look, Policy, ServiceId, Timestamp, Word};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::check::{Ask, Checker, LocalLook};
use crate::clock::now;
use crate::federation::{Aftermath, Federation, Reserve, Way};
use crate::gathered::{Failure, Gathered, Heard, Source};
use crate::hub::{HubAsk, HubHeard, may_be_told};
use crate::node::NodeVantage;
use crate::report::AskedMirrors;
use crate::vantage::{Deadline, Missing, VantagePoint as _};

/// A check from its first question to its last answer.
pub(crate) struct Course<'a> {
    checker: &'a Checker,
    service: &'a ServiceId,
    started: Timestamp,
    begun: Instant,
    deadline: Deadline,
    local: LocalLook,
    /// Whoever was asked, in the order of asking.
    asked: Vec<Source>,
    answers: JoinSet<(usize, Result<Heard, Failure>)>,
    /// There from the moment that the own look is in.
    gathered: Option<Gathered>,
    /// What came before it.
    early: Vec<(usize, Result<Heard, Failure>)>,
    mirrors: Option<Mirrors>,
    /// Whether anybody is asked at all.
    asks: bool,
    hubs: JoinSet<()>,
    /// What peers and their hubs say, by the number of the hub.
    peers: mpsc::UnboundedReceiver<(usize, HubHeard)>,
}

/// What a check has gathered.
pub(crate) struct Ended {
    pub(crate) gathered: Gathered,
    pub(crate) mirrors: Option<AskedMirrors>,
    pub(crate) aftermath: Option<Aftermath>,
}

/// The federation's part.
struct Mirrors {
    federation: Federation,
    drawn: Vec<Arc<NodeVantage>>,
    /// How many others were asked before the first of them.
    first: usize,
    asked: Vec<(Arc<NodeVantage>, Instant)>,
    reserve: Reserve,
    is_private: bool,
}

impl Mirrors {
    fn drawn_for(checker: &Checker, service: &ServiceId, first: usize, begun: Instant) -> Option<Self> {
        let federation = checker.federation()?.clone();
        let is_private = !federation.asks_about(service);
        let drawn = if is_private { Vec::new() } else { federation.draw(service) };
        let at_once = checker.mirrors_at_once(Reserve::least());
        let ways: Vec<Way> = drawn.iter().take(at_once).map(|one| federation.way(one)).collect();
        let reserve = Reserve::new(drawn.len(), at_once, &ways, begun);
        Some(Self { federation, drawn, first, asked: Vec::new(), reserve, is_private })
    }
}

impl Mirrors {
    /// Whose handshake was answered since it was asked: the others may be silent.
    fn note_connections(&mut self) {
        for (place, (mirror, asked_at)) in self.asked.iter().enumerate() {
            if mirror.connected_at().is_some_and(|at| at >= *asked_at) {
                self.reserve.connected(place);
            }
        }
    }
}

impl<'a> Course<'a> {
    /// Asks everybody who is asked at once. Nobody, where every key is right by the user's own word.
    pub(crate) fn begin(checker: &'a Checker, service: &'a ServiceId) -> Self {
        let (started, begun, deadline) = (now(), Instant::now(), Deadline::within(checker.timeout()));
        let mut course = Self {
            checker,
            service,
            started,
            begun,
            deadline,
            local: checker.local_look(service, deadline),
            asked: Vec::new(),
            answers: JoinSet::new(),
            gathered: None,
            early: Vec::new(),
            mirrors: None,
            asks: checker.own_word().about(service).is_none_or(Accepted::asks_network),
            hubs: JoinSet::new(),
            peers: mpsc::unbounded_channel().1,
        };
        if course.asks {
            checker.draw().into_iter().for_each(|source| course.ask(source));
            course.mirrors = Mirrors::drawn_for(checker, service, course.asked.len(), begun);
            course.ask_mirrors();
        }
        course
    }

    /// Goes on until no answer could change the decision of `policy`; without one, until all are in or the time is over.
    pub(crate) async fn run(mut self, policy: Option<&Policy>) -> Ended {
        while !self.is_over(policy) && self.step().await {}
        self.end().await
    }

    fn is_over(&self, policy: Option<&Policy>) -> bool {
        let settled =
            |gathered: &Gathered, policy: &Policy| policy.is_settled(&gathered.evidence, &gathered.open(), now());
        let decided = |gathered: &Gathered, policy: &Policy| self.mirrors_suffice() || settled(gathered, policy);
        self.gathered.as_ref().zip(policy).is_some_and(|(gathered, policy)| decided(gathered, policy))
    }

    /// The first three usable answers count, where nobody but mirrors is asked: a silent one is covered by its hedge. It
    /// stays among the asked.
    fn mirrors_suffice(&self) -> bool {
        let enough = |mirrors: &Mirrors| mirrors.first == 0 && mirrors.reserve.has_enough();
        self.checker.hubs().is_empty() && self.mirrors.as_ref().is_some_and(enough)
    }

    /// Waits for the next thing to happen; false when nothing can.
    async fn step(&mut self) -> bool {
        let hedge = self.mirrors.as_ref().and_then(|mirrors| mirrors.reserve.next_at());
        tokio::select! {
            look = self.local.clone(), if self.gathered.is_none() => self.met(&look),
            Some(ended) = self.answers.join_next() => {
                // A task that panicked or was cancelled counts as silent.
                if let Ok((index, answer)) = ended {
                    self.heard(index, answer);
                }
            }
            Some((index, heard)) = self.peers.recv() => {
                if let Some(gathered) = &mut self.gathered {
                    gathered.take_heard(index, heard);
                }
            }
            () = tokio::time::sleep_until(hedge.unwrap_or(self.begun)), if hedge.is_some() => {}
            else => return false,
        }
        self.ask_mirrors();
        true
    }

    fn met(&mut self, look: &Look) {
        let mut gathered = self.gather(look);
        self.ask_hubs(look, &mut gathered);
        self.gathered = Some(gathered);
        self.note_disagreement();
    }

    /// Hubs are asked after the own look: what that reached says whether they may hear of the service at all.
    fn ask_hubs(&mut self, local: &Look, gathered: &mut Gathered) {
        let (tell, peers) = mpsc::unbounded_channel();
        self.peers = peers;
        let (checker, replies) = (self.checker, self.checker.replies_each());
        for hub in checker.hubs().iter().filter(|_| self.asks) {
            if local.now.address.is_none() {
                gathered.spare_hub(hub.as_ref(), Missing::NothingToCompare);
            } else if !checker.tells_private() && !may_be_told(self.service, local) {
                gathered.spare_hub(hub.as_ref(), Missing::Private);
            } else {
                let index = gathered.ask_hub(hub.clone(), replies);
                let (hub, service, max_age, deadline) =
                    (hub.clone(), self.service.clone(), checker.max_age(), self.deadline);
                self.hubs.spawn(HubAsk { hub, service, replies, max_age, deadline }.run(index, tell.clone()));
            }
        }
    }

    fn gather(&mut self, look: &Look) -> Gathered {
        let mut evidence = Evidence::new(self.service.clone(), look.clone(), self.started);
        if !self.checker.believes_public_roots() {
            evidence = evidence.without_public_roots();
        }
        let mut gathered = Gathered::new(evidence);
        self.asked.iter().for_each(|source| gathered.ask(source));
        for (index, answer) in self.early.drain(..) {
            gathered.take(index, answer);
        }
        gathered
    }

    fn heard(&mut self, index: usize, answer: Result<Heard, Failure>) {
        if let Some(mirrors) = self.mirrors.as_mut().filter(|mirrors| index >= mirrors.first) {
            mirrors.reserve.connected(index - mirrors.first);
            mirrors.reserve.heard(is_usable(&answer));
        }
        match &mut self.gathered {
            Some(gathered) => {
                gathered.take(index, answer);
                self.note_disagreement();
            }
            None => self.early.push((index, answer)),
        }
    }

    /// Whoever speaks against what I met, or sees another key under another CA, has more mirrors asked.
    fn note_disagreement(&mut self) {
        let (Some(gathered), Some(mirrors)) = (&self.gathered, &mut self.mirrors) else { return };
        if mirrors.reserve.disagreed() || gathered.views().is_empty() {
            return;
        }
        let verdict = self.checker.policy().decide(&gathered.evidence, now());
        let mine = gathered.evidence.local().now.proved().is_some();
        let disagrees =
            verdict.judged.iter().any(|judged| judged.word == Word::Against || judged.agrees == Agreement::Differs);
        let seen_elsewhere_alone =
            !mine && gathered.views().iter().any(|view| view.view.content().now.proved().is_some());
        if disagrees || seen_elsewhere_alone {
            mirrors.reserve.disagree();
        }
    }

    fn ask_mirrors(&mut self) {
        let Some(mirrors) = &mut self.mirrors else { return };
        let moment = Instant::now();
        mirrors.note_connections();
        let due = mirrors.reserve.due(moment);
        let due: Vec<Arc<NodeVantage>> = mirrors.drawn.get(due).unwrap_or_default().to_vec();
        for mirror in due {
            if let Some(mirrors) = &mut self.mirrors {
                mirrors.asked.push((mirror.clone(), moment));
            }
            self.ask(Source::Viewing(mirror));
        }
    }

    fn ask(&mut self, source: Source) {
        let (index, service, deadline) = (self.asked.len(), self.service.clone(), self.deadline);
        match source.clone() {
            Source::Viewing(vantage) => {
                let ask = Ask {
                    inner: self.checker.inner.clone(),
                    vantage: vantage.clone(),
                    service,
                    local: self.local.clone(),
                    begun: self.begun,
                    deadline,
                };
                self.answers.spawn(async move {
                    let answer = ask.run().await;
                    (index, answer.map(|answer| Heard::View(vantage, Box::new(answer))))
                });
            }
            Source::Notary(notary) => {
                self.answers.spawn(async move {
                    let reply = notary.ask(&service, deadline).await;
                    (index, reply.map(Heard::Notary).map_err(Failure::Missing))
                });
            }
        }
        if let Some(gathered) = &mut self.gathered {
            gathered.ask(&source);
        }
        self.asked.push(source);
    }

    async fn end(mut self) -> Ended {
        self.hubs.abort_all();
        let mut gathered = match self.gathered.take() {
            Some(gathered) => gathered,
            // Nothing else is open by now, and the look ends with the deadline.
            None => {
                let look = self.local.clone().await;
                self.gather(&look)
            }
        };
        let (mut asked, mut aftermath) = (None, None);
        if let Some(mirrors) = self.mirrors {
            asked = Some(AskedMirrors {
                asked: mirrors.asked.iter().map(|(one, _)| one.id()).collect(),
                disagreed: mirrors.reserve.disagreed(),
                is_private: mirrors.is_private,
            });
            let Mirrors { federation, asked, first, .. } = mirrors;
            aftermath = Some(Aftermath::new(federation, asked, first, &gathered, self.answers));
        }
        gathered.close(self.deadline);
        Ended { gathered, mirrors: asked, aftermath }
    }
}

/// A look that proves a key, from which a comparison can be made.
fn is_usable(answer: &Result<Heard, Failure>) -> bool {
    matches!(answer, Ok(Heard::View(_, answer)) if answer.view.content().now.proved().is_some())
}
