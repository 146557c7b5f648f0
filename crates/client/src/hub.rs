//! Peers behind a hub, asked in a check (`docs/protocols/hub.md`).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parallax_core::{DnsName, Host, Look, PeerTestimony, ServiceId, VantageId};
use parallax_probe::{AwsLc, TargetPolicy};
use parallax_proto::hub::{Answer, Answers, Ask, Ended, ExpectedPeer, LONGEST_DEADLINE, MOST_REPLIES, Nonce, PeerView};
use tokio::sync::mpsc;

use crate::check::random;
use crate::clock::now;
use crate::report::{ReportedHub, ReportedPeer};
use crate::vantage::{Deadline, Missing};

/// What is left for the way back when a hub is told how long it has.
const WAY_BACK: Duration = Duration::from_millis(500);

/// A hub: it is asked for what its peers see, and sees nothing itself.
pub trait HubPoint: Send + Sync {
    /// The vantage id of the node that is the hub.
    fn id(&self) -> VantageId;

    /// How people find it, such as `192.0.2.7:8443`.
    fn label(&self) -> String;

    /// The id of the key that asks. A view of that peer is nobody else's.
    fn own_key(&self) -> VantageId;

    /// Whether it is asked in a person's name: then only views count that came over that person's edges of trust.
    fn by_edges(&self) -> bool {
        false
    }

    /// Asks. Each answer goes to `heard` as it comes, unverified; what is returned ends it, and may hold answers too.
    fn ask(
        &self,
        ask: Ask,
        heard: mpsc::UnboundedSender<Answer>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Answers, Missing>>;

    /// Nothing more is asked for now: what is open there may be closed.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// What is heard of a hub while it is asked.
pub(crate) enum HubHeard {
    /// A peer's view that was verified.
    Peer(Box<ReportedPeer>),
    /// An answer that does not count.
    Dropped(Missing),
    /// The hub has ended.
    Ended(ReportedHub),
    /// It gave no answer.
    Failed(Missing),
}

/// What a hub is asked in a check.
pub(crate) struct HubAsk {
    pub(crate) hub: Arc<dyn HubPoint>,
    pub(crate) service: ServiceId,
    pub(crate) replies: u16,
    pub(crate) max_age: Duration,
    pub(crate) deadline: Deadline,
}

impl HubAsk {
    /// Asks, verifies each answer, and tells what is left of them. Each key counts once, and no more than were asked for.
    pub(crate) async fn run(self, index: usize, tell: mpsc::UnboundedSender<(usize, HubHeard)>) {
        let nonce = Nonce(random());
        let ask = self.ask(nonce);
        let (heard, mut answers) = mpsc::unbounded_channel();
        let mut door = Door { asked: &self, index, tell: &tell, nonce, met: HashSet::new(), let_in: 0 };
        let asking = tokio::time::timeout_at(self.deadline.instant(), self.hub.ask(ask, heard, self.deadline));
        tokio::pin!(asking);
        let ended = loop {
            tokio::select! {
                biased;
                Some(answer) = answers.recv() => door.pass(answer),
                ended = &mut asking => break ended.unwrap_or(Err(Missing::Timeout)),
            }
        };
        while let Ok(answer) = answers.try_recv() {
            door.pass(answer);
        }
        let ended = match ended {
            Ok(Answers { answers, counts, ended }) => {
                answers.into_iter().for_each(|answer| door.pass(answer));
                HubHeard::Ended(ReportedHub { hub: self.hub.id(), label: self.hub.label(), counts, ended })
            }
            Err(why) => HubHeard::Failed(why),
        };
        // Who does not listen any more has decided.
        let _ = tell.send((index, ended));
    }

    fn ask(&self, nonce: Nonce) -> Ask {
        let time = self.deadline.left().saturating_sub(WAY_BACK);
        let time = time.clamp(Duration::from_millis(100), LONGEST_DEADLINE);
        Ask {
            service: self.service.clone(),
            replies: self.replies.clamp(1, MOST_REPLIES),
            deadline_ms: u32::try_from(time.as_millis()).unwrap_or(u32::MAX),
            max_age_secs: u32::try_from(self.max_age.as_secs()).unwrap_or(u32::MAX),
            nonce,
        }
    }
}

/// Lets in what counts.
struct Door<'a> {
    asked: &'a HubAsk,
    index: usize,
    tell: &'a mpsc::UnboundedSender<(usize, HubHeard)>,
    nonce: Nonce,
    met: HashSet<VantageId>,
    let_in: u16,
}

impl Door<'_> {
    /// A hub that sends more than was asked for is not listened to for longer.
    fn pass(&mut self, answer: Answer) {
        if self.let_in < self.asked.replies {
            self.let_in += 1;
            let heard = self.judge(answer).map_or_else(HubHeard::Dropped, |peer| HubHeard::Peer(Box::new(peer)));
            let _ = self.tell.send((self.index, heard));
        }
    }

    fn judge(&mut self, answer: Answer) -> Result<ReportedPeer, Missing> {
        let Answer { network, edge, trusted, cached, .. } = answer.clone();
        if network.len() > LONGEST_WORD || edge.len() > LONGEST_WORD {
            return Err(Missing::Peer("its network or edge is named by more than 64 characters".into()));
        }
        let asked = self.asked;
        let expected = ExpectedPeer { service: &asked.service, nonce: self.nonce, max_age: asked.max_age, now: now() };
        let view = PeerView::verify(&AwsLc, &expected, answer)?;
        let peer = view.content().peer();
        if peer == asked.hub.own_key() {
            return Err(Missing::Peer("it is your own view that came back".into()));
        }
        // A hub that was asked in nobody's name knows of no edges.
        let trusted = trusted && asked.hub.by_edges();
        if !self.met.insert(peer) {
            return Err(Missing::Peer(format!("a second view of the peer {}: one key is one vote", peer.short())));
        }
        let region = view.content().view().region.clone();
        Ok(ReportedPeer { hub: asked.hub.id(), peer, region, network, edge, trusted, cached, view })
    }
}

/// The longest word for a network or an edge, in bytes.
const LONGEST_WORD: usize = 64;

impl ReportedPeer {
    /// What counts of it.
    pub(crate) fn testimony(&self) -> PeerTestimony {
        let (network, edge) = (self.network.clone(), self.edge.clone());
        PeerTestimony { hub: self.hub, testimony: self.view.testimony(), network, edge, trusted: self.trusted }
    }
}

/// Whether a hub may hear of a service: a public name or address that my own look reached at a public address. Hubs and
/// their peers would learn the names of an intranet otherwise, and could look at nothing there.
pub(crate) fn may_be_told(service: &ServiceId, local: &Look) -> bool {
    let public = TargetPolicy::public().with_any_port();
    let named = match service.host() {
        Host::Address(address) => public.allows(SocketAddr::new(*address, service.port())),
        Host::Name(name) => name.parse::<DnsName>().is_ok_and(|name| public.allows_name(&name)),
    };
    named && local.now.address.is_some_and(|address| public.allows(address))
}

/// In words for people.
pub(crate) fn ended_in_words(ended: Ended) -> &'static str {
    match ended {
        Ended::Complete => "all replies came",
        Ended::NobodyLeft => "nobody was left to ask",
        Ended::Deadline => "the time was over",
        Ended::Limited => "this service was looked at often enough for now",
        Ended::Stopping => "the hub stopped",
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::{DnsAnswers, Observation, Outcome};

    use super::*;

    fn reached(address: Option<&str>) -> Look {
        let address = address.map(|address| address.parse().unwrap());
        Look { dns: DnsAnswers::default(), now: Observation::failed(now(), address, Outcome::Timeout) }
    }

    #[test]
    fn private_and_local_names_are_told_to_no_hub() {
        let public = reached(Some("93.184.216.34:443"));
        for (service, local, told) in [
            ("example.com", &public, true),
            ("93.184.216.34", &public, true),
            ("intranet", &public, false),
            ("wiki.corp", &public, false),
            ("printer.home.arpa", &public, false),
            ("localhost", &public, false),
            ("hidden.onion", &public, false),
            ("10.1.2.3", &reached(Some("10.1.2.3:443")), false),
            ("[::1]:443", &reached(Some("[::1]:443")), false),
            // A public name that leads into my own network is a private service.
            ("vpn.example.com", &reached(Some("192.168.1.2:443")), false),
            ("example.com", &reached(None), false),
        ] {
            assert_eq!(may_be_told(&service.parse().unwrap(), local), told, "{service}");
        }
    }
}
