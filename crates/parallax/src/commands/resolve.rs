//! `parallax resolve`: what the own resolver says, and whether others get the same.

use std::path::Path;

use parallax_core::{DnsName, RecordKind};

use super::{block_on, check, settings};
use crate::args::ResolveArgs;
use crate::failure::Failure;
use crate::output;
use crate::{logs, progress};

/// Runs the command.
pub(crate) fn run(args: &ResolveArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let name: DnsName = args.name.parse().map_err(Failure::usage)?;
    let kind: RecordKind = args.kind.parse().map_err(Failure::usage)?;
    let names = check::parse_names(&args.vantage)?;
    let settings = settings(config, &args.flags())?;
    let rule = settings.check_of_one(name.as_str()).map_err(Failure::usage)?;
    logs::start("error")?;
    block_on(async {
        let check::Ready { builder, federated, .. } = check::ready(args.trust_first, names, &settings).await?;
        let checker = check::under(&builder.build(), rule);
        let asking = checker.resolve(&name, kind);
        let report = progress::waiting(format!("resolving {name} {kind}"), asking).await;
        if args.json {
            output::print_json(&report.to_json())?;
        } else if !args.quiet {
            output::print(&output::render_answers(&report))?;
        }
        if let Some(federated) = federated {
            federated.finish(&checker).await;
        }
        checker.close().await;
        Ok(check::status(report.verdict.decision))
    })
}
