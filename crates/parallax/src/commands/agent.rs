//! `parallax agent`: the page that the link in janus' mail opens.

use std::net::SocketAddr;
use std::path::Path;

use parallax_core::plainly;

use super::serve::Stops;
use super::{block_on, settings};
use crate::agent::Agent;
use crate::args::AgentArgs;
use crate::failure::{DONE, Failure};
use crate::identities::Identities;
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &AgentArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let listen: SocketAddr = args
        .listen
        .parse()
        .map_err(|_| Failure::usage(format!("--listen: {:?} is not IP:PORT, such as 127.0.0.1:15342", args.listen)))?;
    let ours = Identities::of(&settings(config, &[])?);
    block_on(async {
        let unheard = |error: std::io::Error| Failure::not_done(format!("signals can't be heard: {}", plainly(&error)));
        let mut stops = Stops::listen().map_err(unheard)?;
        let agent = Agent::bind(ours, listen).await?;
        output::print(&format!("ready http={}\n", agent.address()))?;
        agent.run(stops.next()).await;
        Ok(DONE)
    })
}
