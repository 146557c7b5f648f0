//! The deny list of another node, fetched again and again.

use std::sync::Arc;
use std::time::Duration;

use parallax_client::{Deadline, Missing, NodeVantage, VantageUrl, read_certificates};
use parallax_janus::{Denied, Judge};
use parallax_probe::AwsLc;
use parallax_proto::janus::CaList;
use tokio::sync::watch;

use crate::app::Shared;
use crate::janus::Believed;
use crate::seldom::Seldom;

/// How long a node may take to give its list.
const PATIENCE: Duration = Duration::from_secs(20);

/// After a failure it is asked again soon: what was revoked meanwhile would count until the old list ends.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Another node whose certificates count.
pub(super) struct Afar {
    url: VantageUrl,
    refresh: Duration,
    publish: watch::Sender<Arc<Believed>>,
    shared: Shared,
}

impl Afar {
    pub(super) fn new(
        url: VantageUrl,
        refresh: Duration,
        publish: watch::Sender<Arc<Believed>>,
        shared: Shared,
    ) -> Self {
        Self { url, refresh, publish, shared }
    }

    /// Fetches the list for good.
    pub(super) async fn run(self) -> std::convert::Infallible {
        let warned = Seldom::default();
        loop {
            let wait = match self.fetch().await {
                Ok(()) => self.refresh,
                Err(why) => {
                    if warned.is_time() {
                        let node = self.url.authority();
                        tracing::warn!(
                            %why, node,
                            "no deny list from a node that is believed; when the last one has ended, its certificates count no more"
                        );
                    }
                    self.refresh.min(AFTER_FAILURE)
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn fetch(&self) -> Result<(), String> {
        let node = NodeVantage::new(self.url.clone(), None).map_err(|why| why.to_string())?;
        let list = node.authorities(Deadline::within(PATIENCE)).await.map_err(|why: Missing| why.to_string())?;
        let fresh = believed(list.content())?;
        let now = self.shared.clock.now().map_err(|why| why.to_string())?;
        let mut known = Denied::clone(&self.publish.borrow().denied);
        // An older one could be replayed by whoever holds a revoked key.
        known.replace(fresh.denied, now).map_err(|why| why.to_string())?;
        self.publish.send_replace(Arc::new(Believed { roots: fresh.roots, denied: known }));
        Ok(())
    }
}

/// What a list says, each root checked.
fn believed(list: &CaList) -> Result<Believed, String> {
    let mut roots = Vec::new();
    for pem in &list.roots {
        roots.extend(read_certificates(pem.as_bytes()).map_err(|why| format!("a root in its list: {why}"))?);
    }
    Judge::new(Arc::new(AwsLc), &roots).map_err(|why| why.to_string())?;
    let keys = list.keys.to_vec();
    let denied = Denied::new(keys, list.issued_at, list.valid_until).map_err(|why| why.to_string())?;
    Ok(Believed { roots, denied })
}
