//! Hubs of a lab, and the peers and askers that come to them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use parallax_client::{BadKeyFile, HubVantage, PeerEye, PeerLoop, PeerNews, PeerSettings, new_key_file, read_key_file};
use parallax_core::VantageId;
use parallax_node::NodeSettings;
use parallax_probe::Prober;
use parallax_proto::channel::{OwnKey, Rate};
use parallax_proto::hub::{HubSettings, PerMinute};
use tokio::sync::watch;

use crate::error::LabError;
use crate::lab::Lab;
use crate::node::LabNode;
use crate::task::Task;

/// Nobody in a lab is held back by a limit, or by coming from the same few addresses.
const PLENTY: PerMinute = PerMinute { rate: 1_000_000, burst: 1_000_000 };

/// How long a peer of a lab may take to attach.
const ATTACHING: Duration = Duration::from_secs(20);

impl Lab {
    /// Starts a node that is a hub, open to every key.
    pub async fn hub(&self, network: u8, region: &str) -> Result<LabNode, LabError> {
        self.hub_with(network, region, |_| {}).await
    }

    /// Starts a hub of which something is changed before.
    pub async fn hub_with(
        &self,
        network: u8,
        region: &str,
        change: impl FnOnce(&mut NodeSettings),
    ) -> Result<LabNode, LabError> {
        let open = |settings: &mut NodeSettings| {
            settings.hub = Some(hub_settings());
            let rules = &mut settings.channel.rules;
            rules.open = true;
            let plenty = Rate { burst: 100_000, every: Duration::from_micros(10) };
            (rules.address_creations, rules.network_creations, rules.key_creations) = (plenty, plenty, plenty);
            change(settings);
        };
        self.node_with(network, region, "RIPE", open).await
    }

    /// Attaches a peer that looks from `source`, and waits until the hub has it.
    pub async fn peer(&self, hub: &LabNode, source: Ipv4Addr, settings: PeerSettings) -> Result<LabPeer, LabError> {
        self.peer_with(hub, source, settings, new_key()?).await
    }

    /// Attaches a peer under this key.
    pub async fn peer_with(
        &self,
        hub: &LabNode,
        source: Ipv4Addr,
        settings: PeerSettings,
        key: OwnKey,
    ) -> Result<LabPeer, LabError> {
        let prober = Prober::new(self.probe_settings(source)?)?;
        let id = VantageId::from(key.id());
        let peer = PeerLoop::new(hub.url().clone(), PeerEye::new(key, prober, settings))?;
        let peer = peer.looking_from(Some(source.into()));
        let (tell, mut told) = watch::channel(Standing::default());
        let task = self.spawner().spawn(async move {
            match peer.run(move |news| tell.send_modify(|standing| standing.take(&news))).await {}
        });
        let attached = tokio::time::timeout(ATTACHING, told.wait_for(|standing| standing.attached)).await;
        if attached.is_ok_and(|standing| standing.is_ok()) {
            return Ok(LabPeer { id, told, _task: task });
        }
        let why = told.borrow().why.clone();
        Err(LabError::NotAttached(why.unwrap_or_else(|| "it took too long".into())))
    }

    /// A hub as somebody to ask, under a key of its own.
    pub fn hub_point(&self, hub: &LabNode) -> Result<Arc<HubVantage>, LabError> {
        Ok(Arc::new(HubVantage::new(hub.url().clone(), new_key()?)?))
    }
}

/// A new key, as a key file would hold it.
pub fn new_key() -> Result<OwnKey, LabError> {
    Ok(read_key_file(new_key_file().ok_or(BadKeyFile::Form)?.as_bytes())?)
}

fn hub_settings() -> HubSettings {
    HubSettings {
        views_a_network: None,
        asks_each: PLENTY,
        looks_a_service: PLENTY,
        looks_a_network: PLENTY,
        ..HubSettings::default()
    }
}

#[derive(Debug, Default)]
struct Standing {
    attached: bool,
    looks: usize,
    why: Option<String>,
}

impl Standing {
    fn take(&mut self, news: &PeerNews) {
        match news {
            PeerNews::Attached => self.attached = true,
            PeerNews::Looked(_) => self.looks += 1,
            PeerNews::Detached { why, .. } => {
                self.attached = false;
                self.why = Some(why.to_string());
            }
        }
    }
}

/// A peer of a lab. Dropping it ends it.
#[derive(Debug)]
pub struct LabPeer {
    id: VantageId,
    told: watch::Receiver<Standing>,
    _task: Task,
}

impl LabPeer {
    /// The id of its key.
    pub fn id(&self) -> VantageId {
        self.id
    }

    /// How often it has looked for others.
    pub fn looks(&self) -> usize {
        self.told.borrow().looks
    }

    /// Resolves when it is attached, or has lost its hub.
    pub async fn until_attached(&mut self, attached: bool) {
        // The sender lives in the task, which lives in `self`.
        let _ = self.told.wait_for(|standing| standing.attached == attached).await;
    }
}
