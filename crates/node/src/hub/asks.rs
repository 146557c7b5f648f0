//! A question from its arrival to its answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{DnsName, Fingerprint, Host, ServiceId, VantageId};
use parallax_proto::channel::{Connection, Run};
use parallax_proto::hub::{Answers, Ask, AskId, Asking, Sight};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{HubRole, Machine, ToAsker, is_sooner, read_run, refused};
use crate::channels::{Caller, failure};
use parallax_client::Chance;

/// How long the networks of a name are looked for; without, only its name is bounded.
const FINDING: Duration = Duration::from_secs(1);

/// Withdraws a question that nobody waits for any more.
struct Withdrawn<'a> {
    role: &'a Arc<HubRole>,
    ask: AskId,
    over: Option<Connection>,
}

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        self.role.lock().forget_ask(self.ask, self.over);
        let _ = self.role.step(|hub, _| hub.withdraw(self.ask));
    }
}

impl HubRole {
    /// `ask`: over a connection each answer is a push under the question's id, else all are returned.
    pub(super) async fn ask(self: &Arc<Self>, caller: &Caller, run: Run) -> Result<Value, Value> {
        let ask: Ask = read_run(run)?;
        let asker = VantageId::from(caller.key.id());
        self.step(|hub, now| hub.may_look_up(asker, now))?.map_err(|why| refused(&why))?;
        let target = self.target(&ask.service).await?;
        let (tell, mut told) = mpsc::unbounded_channel();
        let sight = self.sight(caller).await?;
        let asking = Asking { asker, ask, target, sight };
        let ask = self.take_up(asking, tell, caller.connection)?;
        let withdrawn = Withdrawn { role: self, ask, over: caller.connection };
        let mut answers = Vec::new();
        while let Some(word) = told.recv().await {
            match word {
                ToAsker::Answer(answer) if caller.connection.is_some() => {
                    if !self.push(caller.channel, caller.request_id.as_ref(), "answer", &*answer) {
                        return Err(failure("unavailable", "the connection has gone"));
                    }
                }
                ToAsker::Answer(answer) => answers.push(*answer),
                ToAsker::End(counts, ended) => {
                    drop(withdrawn);
                    let all = Answers { answers, counts, ended };
                    return serde_json::to_value(all).map_err(|error| failure("unavailable", error.to_string()));
                }
            }
        }
        Err(failure("unavailable", "the question has ended: its connection has gone, or the hub stops"))
    }

    /// Whom a caller may see: by the edges of whom it acts for, as they are at this moment.
    async fn sight(&self, caller: &Caller) -> Result<Sight, Value> {
        if caller.key.chain().is_empty() {
            return Ok(Sight::Everybody);
        }
        // The channel ends in a moment; until then nothing is told on it.
        let refused = || failure("not-allowed", "your certificate does not count any more");
        let (people, identity) = self.identity(caller).ok_or_else(refused)?;
        let now = self.tools.shared.clock.now().map_err(|error| failure("unavailable", error.to_string()))?;
        let denied = |key: &Fingerprint| people.vouching.is_denied(key);
        let sight = people.trust.sight(&identity, denied, now).await;
        let piles = sight.map_err(|_| failure("unavailable", "whom you trust can't be looked up now; ask again"))?;
        Ok(piles.map_or(Sight::Everybody, Sight::Through))
    }

    /// The asker's queue is there before the first answer.
    fn take_up(
        self: &Arc<Self>,
        asking: Asking,
        tell: mpsc::UnboundedSender<ToAsker>,
        over: Option<Connection>,
    ) -> Result<AskId, Value> {
        let now = self.tools.shared.clock.now().map_err(|error| failure("unavailable", error.to_string()))?;
        let (id, deeds, is_sooner) = {
            let mut machine = self.lock();
            let before = machine.hub.next_deadline();
            let id = machine.hub.ask(asking, now, &mut Chance).map_err(|why| refused(&why))?;
            machine.askers.insert(id, tell);
            if let Some(over) = over {
                machine.asks_over.entry(over).or_default().insert(id);
            }
            let deeds = machine.sort(&self.tools.shared);
            (id, deeds, is_sooner(before, machine.hub.next_deadline()))
        };
        self.follow_up(deeds, is_sooner);
        Ok(id)
    }

    /// A connection has gone: its peer, and the questions that were asked over it.
    pub(super) fn leave(self: &Arc<Self>, connection: Connection) {
        let (peers, asks) = {
            let mut machine = self.lock();
            let asks = machine.asks_over.remove(&connection).unwrap_or_default();
            // Without its queue a question's task ends, and withdraws it.
            asks.iter().for_each(|ask| drop(machine.askers.remove(ask)));
            (machine.over.get(&connection).cloned().unwrap_or_default(), asks)
        };
        for ask in asks {
            let _ = self.step(|hub, _| hub.withdraw(ask));
        }
        peers.into_iter().for_each(|channel| self.gone(channel));
    }

    /// Where a service lies; what no peer may look at is refused here already.
    async fn target(&self, service: &ServiceId) -> Result<Option<IpAddr>, Value> {
        let targets = &self.tools.targets;
        let refused = || failure("not-allowed", "the address or port is not one that peers of this hub look at");
        if let Host::Name(name) = service.host()
            && !name.parse::<DnsName>().is_ok_and(|name| targets.allows_name(&name))
        {
            return Err(refused());
        }
        if !targets.allows_port(service.port()) {
            return Err(refused());
        }
        let found = tokio::time::timeout(FINDING, self.tools.prober.addresses(service)).await;
        let found = found.ok().flatten().unwrap_or_default();
        let allowed = |address: &&IpAddr| targets.allows(SocketAddr::new(**address, service.port()));
        match (found.iter().find(allowed), found.is_empty()) {
            (Some(address), _) => Ok(Some(*address)),
            (None, true) => Ok(None),
            (None, false) => Err(refused()),
        }
    }
}

impl Machine {
    fn forget_ask(&mut self, ask: AskId, over: Option<Connection>) {
        self.askers.remove(&ask);
        let Some(over) = over else { return };
        if let Some(asks) = self.asks_over.get_mut(&over) {
            asks.remove(&ask);
            if asks.is_empty() {
                self.asks_over.remove(&over);
            }
        }
    }
}
