//! People with certificates at a hub, each with a peer in a network of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parallax_client::{
    Deadline, HubVantage, IdentityKey, JanusNode, Lie, Mailbox, NewKey, OwnIdentity, PeerSettings, PendingOrder,
    Placement, Proof, Report, TrustNode,
};
use parallax_core::{Policy, ServiceId, Share};
use parallax_lab::{Answer, Lab, LabNode, LabPeer, Site, Validity};
use parallax_node::{JanusSettings, NodeSettings};
use tempfile::TempDir;

/// Nothing here takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Town {
    pub(crate) lab: Lab,
    pub(crate) hub: LabNode,
    pub(crate) service: ServiceId,
    mails: TempDir,
    _site: Site,
}

impl Town {
    pub(crate) async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let certificate = ca.issue(&["shop.example"], Validity::current()).unwrap();
        let site = lab.site(lab.address(30, 10), &certificate).await.unwrap();
        lab.dns().set("shop.example", Answer::a([lab.address(30, 10)])).unwrap();
        let mails = tempfile::tempdir().unwrap();
        let hub = lab.hub_with(40, "eu-west", |settings| certifies(settings, mails.path())).await.unwrap();
        let service = lab.service("shop.example").unwrap();
        Self { lab, hub, service, mails, _site: site }
    }

    /// Somebody with a certificate of this hub.
    pub(crate) async fn person(&self, name: &str) -> OwnIdentity {
        certified_by(&self.hub, self.mails.path(), name, &IdentityKey::generate(NewKey::Ed25519).unwrap()).await
    }

    pub(crate) fn trust_of(&self, who: &OwnIdentity) -> TrustNode {
        TrustNode::new(self.hub.url().clone(), who).unwrap()
    }

    /// Both declare it.
    pub(crate) async fn befriend(&self, one: &OwnIdentity, other: &OwnIdentity) {
        for (who, whom) in [(one, other), (other, one)] {
            self.trust_of(who).declare(whom.mailbox(), soon()).await.unwrap();
        }
    }

    /// Attaches somebody's peer, in this network.
    pub(crate) async fn peer(&self, who: &OwnIdentity, network: u8, lie: Option<Lie>) -> LabPeer {
        let settings = PeerSettings { lie, looks_per_minute: 600, ..PeerSettings::default() };
        let source = self.lab.address(network, 1);
        self.lab.peer_with(&self.hub, source, settings, who.for_channels().unwrap()).await.unwrap()
    }

    /// Checks the site through the hub in somebody's name.
    pub(crate) async fn report(&self, who: &OwnIdentity, replies: usize, threshold: f64) -> Report {
        let hub = HubVantage::new(self.hub.url().clone(), who.for_channels().unwrap()).unwrap();
        let builder = self.lab.checker(self.lab.address(20, 1), []).unwrap().hub(Arc::new(hub));
        let builder = builder.policy(majority(threshold)).replies(replies).timeout(PATIENCE);
        let builder = builder.max_age(Duration::ZERO).tell_private(true).wait_for_all(true);
        builder.build().report(&self.service).await
    }
}

pub(crate) fn majority(threshold: f64) -> Policy {
    Policy::Majority { threshold: Share::new(threshold).unwrap(), min_views: 3 }
}

pub(crate) fn soon() -> Deadline {
    Deadline::within(PATIENCE)
}

pub(crate) fn certifies(settings: &mut NodeSettings, mails: &Path) {
    let route = format!("maildir:{}", mails.display());
    let mut janus = JanusSettings::new(route.parse().unwrap());
    // Everybody in a lab orders from the same few addresses.
    (janus.limits.network_hour, janus.limits.overall_hour) = (10_000, 10_000);
    (janus.limits.address_hour, janus.limits.address_day) = (100, 100);
    settings.janus = Some(janus);
}

/// A certificate for a key: order, mail, answer.
pub(crate) async fn certified_by(node: &LabNode, mails: &Path, name: &str, key: &IdentityKey) -> OwnIdentity {
    let mailbox: Mailbox = format!("{name}@example.com").parse().unwrap();
    let janus = JanusNode::new(node.url().clone(), None).unwrap();
    let placed = janus.place(&mailbox, key, false, soon()).await.unwrap();
    let Placement::Proof(order) = placed else { panic!("not the flow that was asked for") };
    let proof = proof_of(mails, &order).await;
    janus.answer(&order, key, &proof, soon()).await.unwrap()
}

/// The link of the mail about this order, once it is there.
async fn proof_of(mails: &Path, order: &PendingOrder) -> Proof {
    let begin = format!("http://localhost:15342/AddCert#{}.", order.order);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        for entry in std::fs::read_dir(mails.join("new")).into_iter().flatten() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            // Quoted-printable breaks long lines.
            let text = text.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
            if let Some((_, rest)) = text.split_once(&begin) {
                let token: String = rest.chars().take(22).collect();
                return format!("{begin}{token}").parse().unwrap();
            }
        }
        assert!(tokio::time::Instant::now() < deadline, "no mail about this order came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
