//! `start` and `stop`: this machine as a peer of the hubs that are asked here, under the key that asks. So its own view
//! never answers its own question.

use std::collections::BTreeMap;
use std::time::Duration;

use parallax_client::{PeerEye, PeerLoop, PeerNews, PeerSettings, VantageUrl};
use parallax_probe::{ProbeSettings, Prober, TargetPolicy};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::commands::looking;
use crate::failure::Failure;
use crate::output;
use crate::own_keys;
use crate::settings::Settings;

/// How long `start` waits for the hubs to answer; the peers go on trying after that.
const ATTACHING: Duration = Duration::from_secs(15);

/// What is lent, and to whom.
pub(super) struct Lending {
    hubs: Vec<VantageUrl>,
    running: Option<Running>,
}

struct Running {
    /// Ended when this is dropped.
    _peers: JoinSet<std::convert::Infallible>,
    news: mpsc::UnboundedReceiver<(String, PeerNews)>,
    looks: u64,
}

impl Lending {
    /// Nothing is lent yet; `hubs` are those that are asked.
    pub(super) fn new(hubs: Vec<VantageUrl>) -> Self {
        Self { hubs, running: None }
    }

    /// Attaches to every hub. Returns once each has answered, one way or the other.
    pub(super) async fn start(&mut self, settings: &Settings) -> Result<(), Failure> {
        if self.running.is_some() {
            output::say("this machine is a peer already; `stop` ends it");
            return Ok(());
        }
        if self.hubs.is_empty() {
            output::say(
                "no hub is asked here; name one with --vantage hub+https://HOST:PORT#ID, or keep it with `parallax vantage add`",
            );
            return Ok(());
        }
        let running = self.running.insert(Running::start(&self.hubs, settings)?);
        let answers = tokio::time::timeout(ATTACHING, running.first_answers(self.hubs.len())).await;
        let (answers, is_whole) = match answers {
            Ok(answers) => (answers, true),
            Err(_) => (BTreeMap::new(), false),
        };
        for (hub, news) in answers {
            tell(&hub, &news)?;
        }
        if !is_whole {
            output::say("not every hub has answered; it goes on trying");
        }
        Ok(())
    }

    /// Detaches from every hub.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        match self.running.take() {
            None => {
                output::say("nothing was started; `start` makes this machine a peer of the hubs that are asked here")
            }
            Some(mut running) => {
                running.later_news()?;
                let times = if running.looks == 1 { "once".into() } else { format!("{} times", running.looks) };
                output::print(&format!("This machine is a peer no longer. It has looked {times} for others.\n"))?;
            }
        }
        Ok(())
    }

    /// Says what has happened since the last time.
    pub(super) fn tell_news(&mut self) -> Result<(), Failure> {
        self.running.as_mut().map_or(Ok(()), Running::later_news)
    }
}

impl Running {
    fn start(hubs: &[VantageUrl], settings: &Settings) -> Result<Self, Failure> {
        let prober = prober(settings)?;
        let (tell, news) = mpsc::unbounded_channel();
        let mut peers = JoinSet::new();
        for hub in hubs {
            let key = own_keys::for_hubs(settings)?;
            let eye = PeerEye::new(key, prober.clone(), PeerSettings::default());
            let (peer, tell, label) =
                (PeerLoop::new(hub.clone(), eye).map_err(Failure::usage)?, tell.clone(), hub.authority());
            let peer = peer.looking_from(settings.look.source);
            peers.spawn(peer.run(move |news| drop(tell.send((label.clone(), news)))));
        }
        Ok(Self { _peers: peers, news, looks: 0 })
    }

    /// What each hub answers first.
    async fn first_answers(&mut self, hubs: usize) -> BTreeMap<String, PeerNews> {
        let mut answers = BTreeMap::new();
        while answers.len() < hubs {
            match self.news.recv().await {
                Some((_, PeerNews::Looked(_))) => self.looks += 1,
                Some((hub, news)) => drop(answers.insert(hub, news)),
                None => break,
            }
        }
        answers
    }

    fn later_news(&mut self) -> Result<(), Failure> {
        while let Ok((hub, news)) = self.news.try_recv() {
            match news {
                PeerNews::Looked(_) => self.looks += 1,
                news => tell(&hub, &news)?,
            }
        }
        Ok(())
    }
}

fn tell(hub: &str, news: &PeerNews) -> Result<(), Failure> {
    match news {
        PeerNews::Attached => output::print(&format!("This machine is a peer of the hub {hub}.\n")),
        PeerNews::Detached { why, pause } => {
            output::say(&format!("the hub {hub}: {why}; it tries again in {} s", pause.as_secs().max(1)));
            Ok(())
        }
        PeerNews::Looked(_) => Ok(()),
    }
}

/// A peer looks where strangers say, so it looks as a node does.
fn prober(settings: &Settings) -> Result<Prober, Failure> {
    let targets = if settings.check.tell_private { TargetPolicy::any() } else { TargetPolicy::public() };
    let probe = ProbeSettings { targets, ..looking::probe_settings(&settings.look)? };
    Prober::new(probe).map_err(Failure::usage)
}
