//! Users of a lab: whoever checks from an address of their own.

use std::net::Ipv4Addr;

use parallax_client::{Checker, CheckerBuilder};
use parallax_probe::{ProbeSettings, Prober, Roots, TargetPolicy};

use crate::error::LabError;
use crate::lab::Lab;
use crate::node::LabNode;

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
}
