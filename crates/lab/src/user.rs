//! Users of a lab: whoever checks from an address of their own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use parallax_client::{Chance, Checker, CheckerBuilder, Deadline, Federation, KnownMirrors, ListsTold, NodeVantage};
use parallax_probe::{ProbeSettings, Prober, Roots, TargetPolicy};
use parallax_proto::mirror::Peer;

use crate::certificate::now;
use crate::error::LabError;
use crate::lab::Lab;
use crate::node::LabNode;

/// How long a node may take to be met.
const MEETING: Duration = Duration::from_secs(30);

impl Lab {
    /// How somebody at this address looks: through the lab's DNS, wherever they say, with the public roots made so far.
    pub fn probe_settings(&self, source: Ipv4Addr) -> Result<ProbeSettings, LabError> {
        let roots = match self.roots_pem() {
            none if none.is_empty() => Roots::None,
            pem => Roots::pem(pem.as_bytes())?,
        };
        Ok(ProbeSettings {
            resolver: Some(self.dns().address()),
            source: Some(source.into()),
            targets: TargetPolicy::any(),
            roots,
            ..ProbeSettings::default()
        })
    }

    /// The checker of a user at this address who asks these nodes; policy and time limit can still be set on it.
    pub fn checker<'a>(
        &self,
        source: Ipv4Addr,
        nodes: impl IntoIterator<Item = &'a LabNode>,
    ) -> Result<CheckerBuilder, LabError> {
        let prober = Prober::new(self.probe_settings(source)?)?;
        nodes.into_iter().try_fold(Checker::builder(prober), |builder, node| Ok(builder.vantage(node.vantage_point()?)))
    }

    /// The mirrors that somebody knows whom all lists told of these nodes, and of no others. The nodes are met for it.
    pub async fn known_mirrors<'a>(
        &self,
        nodes: impl IntoIterator<Item = &'a LabNode>,
    ) -> Result<KnownMirrors, LabError> {
        let mut told = ListsTold {
            agreed: BTreeMap::new(),
            peers: BTreeMap::new(),
            trips: BTreeMap::new(),
            asked: 0,
            told: 0,
            networks: 0,
        };
        for node in nodes {
            let met = NodeVantage::discover(node.url(), Deadline::within(MEETING)).await?;
            let peer = Peer::new(met)?;
            told.agreed.insert(peer.vantage(), 3);
            told.peers.insert(peer.vantage(), peer);
        }
        let mut known = KnownMirrors::nobody(true, &mut Chance);
        known.take(&told, now(), &mut Chance);
        Ok(known)
    }

    /// The checker of a user at this address who asks the mirrors that they know.
    pub fn federated(&self, source: Ipv4Addr, federation: Federation) -> Result<CheckerBuilder, LabError> {
        Ok(Checker::builder(Prober::new(self.probe_settings(source)?)?).federation(federation))
    }
}
