//! `parallax observe`: one local look, nobody asked.

use std::net::IpAddr;
use std::path::Path;

use parallax_core::{Look, Outcome, ServiceId};
use serde_json::json;

use super::{block_on, looking, settings};
use crate::args::ObserveArgs;
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT};
use crate::{logs, output, progress};

/// Runs the command.
pub(crate) fn run(args: &ObserveArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let service: ServiceId = args.service.parse().map_err(Failure::usage)?;
    let address = args.address.as_deref().map(parse_address).transpose()?;
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let look = block_on(async {
        let prober = looking::prober(&settings.look, settings.check.timeout)?;
        let look = async {
            match address {
                Some(address) => prober.look_at(&service, address).await,
                None => prober.look(&service).await,
            }
        };
        Ok(progress::waiting(format!("looking at {service}"), look).await)
    })?;
    show(args, &service, &look)?;
    Ok(if look.now.outcome == Outcome::Seen { DONE } else { NOT })
}

fn parse_address(text: &str) -> Result<IpAddr, Failure> {
    let address = text.trim_start_matches('[').trim_end_matches(']').parse();
    address.map_err(|_| {
        Failure::usage(format!("--address: {text:?} is not an address; write one such as 192.0.2.7 or 2001:db8::1"))
    })
}

fn show(args: &ObserveArgs, service: &ServiceId, look: &Look) -> Result<(), Failure> {
    match args.json {
        true => output::print_json(&json!({ "service": service, "dns": look.dns, "now": look.now })),
        false => output::print(&output::render_look(service, look, now())),
    }
}
