//! `parallax id confirm`: answer an order with what its mail says.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use parallax_client::{Deadline, JanusNode, PendingOrder, Proof};
use parallax_core::plainly;
use parallax_proto::janus::OrderStage;

use super::{as_json, certified};
use crate::args::IdConfirmArgs;
use crate::commands::{block_on, settings};
use crate::failure::{DONE, Failure};
use crate::identities::{Identities, choose};
use crate::output;

/// A longer line is no code and no link.
const LONGEST_LINE: u64 = 4096;

/// So long the node is asked what became of the mail, before the code is asked for.
const STAGE: Duration = Duration::from_secs(2);

/// Runs the command.
pub(super) fn run(args: &IdConfirmArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let ours = Identities::of(&settings(config, &[])?);
    let orders = ours.orders()?;
    let given = args.proof.as_deref().map(read).transpose()?;
    let order = choose(&orders, given.as_ref(), args.order.as_deref()).map_err(Failure::not_done)?;
    let (order, proof) = match given {
        Some(proof) => (order, proof),
        None => {
            let proof = ask(order)?;
            (choose(&orders, Some(&proof), Some(&order.phrase())).map_err(Failure::not_done)?, proof)
        }
    };
    let identity = block_on(ours.answer(order, &proof))?;
    if args.json {
        output::print_json(&as_json(&identity))?;
        return Ok(DONE);
    }
    certified(&identity)
}

fn read(text: &str) -> Result<Proof, Failure> {
    text.parse().map_err(Failure::usage)
}

/// What became of the mail; nothing where the node can't be asked.
async fn stage_of(order: &PendingOrder) -> Option<OrderStage> {
    let janus = JanusNode::new(order.janus.clone(), None).ok()?;
    Some(janus.state(order, Deadline::within(STAGE)).await.ok()?.stage)
}

/// Asks for the code, after the phrase that the mail must show.
fn ask(order: &PendingOrder) -> Result<Proof, Failure> {
    match block_on(async { Ok(stage_of(order).await) })? {
        Some(OrderStage::Delayed) => output::say("the node can't hand the mail over yet; it tries again"),
        Some(OrderStage::Ended) => output::say("the order is over; `parallax id request` places a new one"),
        _ => {}
    }
    output::say(&format!("the mail to {} must show the phrase {}", order.mailbox, order.phrase()));
    if io::stdin().is_terminal() {
        let mut stderr = io::stderr().lock();
        // Without a prompt it is asked all the same.
        let _ = write!(stderr, "Code: ").and_then(|()| stderr.flush());
    }
    let mut line = String::new();
    let mut input = io::stdin().lock().take(LONGEST_LINE);
    let taken = input.read_line(&mut line);
    taken.map_err(|why| Failure::usage(format!("no code can be read from standard input: {}", plainly(&why))))?;
    if line.trim().is_empty() {
        return Err(Failure::usage("no code was given; it stands in the mail"));
    }
    read(&line)
}
