//! `parallax mirror remove`: what an operator wishes of a mirror in the list of the own node.

use std::path::Path;

use parallax_core::{VantageId, plainly};
use parallax_node::{MirrorWish, NotAsked, ask_operator};
use parallax_proto::mirror::Wish;

use super::{block_on, settings};
use crate::args::MirrorRemoveArgs;
use crate::failure::{DONE, Failure};
use crate::{logs, output};

/// The node answers at once: what comes of it, its list tells later.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Runs the command.
pub(crate) fn run(args: &MirrorRemoveArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let vantage = vantage(&args.vantage)?;
    let wish = match (args.drop, args.take_back) {
        (true, _) => Wish::Drop,
        (_, true) => Wish::TakeBack,
        _ => Wish::AskOthers,
    };
    let request = MirrorWish { vantage, wish };
    let asking = ask_operator(&settings.serve.data, "/mirrors", &request, PATIENCE);
    let account = block_on(async { asking.await.map_err(refused) })?;
    if args.json {
        output::print_json(&account)?;
    } else {
        output::print(&format!("{}\n", done(vantage, wish)))?;
    }
    Ok(DONE)
}

/// `URL#ID` will do as well: it is what other commands take.
fn vantage(named: &str) -> Result<VantageId, Failure> {
    let id = named.rsplit('#').next().unwrap_or(named);
    id.parse().map_err(|why| Failure::usage(format!("{why}; \"parallax mirror list --json\" shows whole ids")))
}

fn refused(why: NotAsked) -> Failure {
    match &why {
        NotAsked::NotYours { path, source } => Failure::not_done(format!(
            "{} is the operator's alone: {}; run this as the user that runs the node",
            path.display(),
            plainly(source)
        )),
        _ => Failure::not_done(why),
    }
}

fn done(vantage: VantageId, wish: Wish) -> String {
    let whom = vantage.short();
    match wish {
        Wish::AskOthers => format!("your node asks others about {whom}; the majority decides within hours"),
        Wish::Drop => format!("your node has dropped {whom}; --take-back has it tested again"),
        Wish::TakeBack => format!("your node tests {whom} again, and holds it for active if it passes"),
    }
}
