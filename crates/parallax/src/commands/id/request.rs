//! `parallax id request`: place an order, and say what to do next.

use std::path::Path;
use std::time::Duration;

use parallax_client::{Deadline, JanusError, JanusNode, Mailbox, PendingOrder, Placement, VantageUrl};
use parallax_proto::janus::OrderStage;
use serde_json::json;

use crate::args::IdRequestArgs;
use crate::commands::{block_on, settings};
use crate::failure::{DONE, Failure};
use crate::identities::{Identities, PATIENCE, Wanted};
use crate::output::{self, minute};
use crate::settings::Settings;

/// So long, and so often, the node is asked whether its mail server takes the mail. A node shows every mail as about to go
/// out for longer than this, so only bad news comes; the order is placed either way.
const UNTIL_KNOWN: Duration = Duration::from_millis(1500);
const ASK_EVERY: Duration = Duration::from_millis(300);

/// Runs the command.
pub(super) fn run(args: &IdRequestArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    let mailbox = Mailbox::from_typed(&args.mailbox).map_err(Failure::usage)?;
    let kind = args.key_type.as_deref().map(str::parse).transpose();
    let kind = kind.map_err(|why: String| Failure::usage(format!("--key-type: {why}")))?;
    place(&settings, &mailbox, Wanted { kind, another: false }, false, args.json)
}

/// Places an order, keeps it, and tells what to do.
pub(super) fn place(
    settings: &Settings,
    mailbox: &Mailbox,
    wanted: Wanted,
    deny_others: bool,
    as_json: bool,
) -> Result<u8, Failure> {
    let ours = Identities::of(settings);
    let url = janus_of(settings, &ours, mailbox)?;
    ours.check_orders()?;
    let key = ours.key_for(mailbox, &url, wanted)?;
    let not_placed = |error: JanusError| Failure::not_done(format!("{}: {error}", url.authority()));
    let (order, stage) = block_on(async {
        let janus = JanusNode::new(url.clone(), None).map_err(not_placed)?;
        let placed = janus.place(mailbox, &key, deny_others, Deadline::within(PATIENCE)).await.map_err(not_placed)?;
        match placed {
            Placement::Proof(order) => {
                // Before anything else: what is asked for and not kept could not be answered.
                ours.keep_order(&order)?;
                let stage = until_known(&janus, &order).await;
                Ok((Ok(order), stage))
            }
            Placement::Classic { expires_at } => Ok((Err(expires_at), None)),
        }
    })?;
    match order {
        Ok(order) => tell(&order, stage, as_json),
        Err(expires_at) => tell_classic(mailbox, expires_at, as_json),
    }
}

/// The node that was named, else the one that was asked for this mailbox before.
fn janus_of(settings: &Settings, ours: &Identities, mailbox: &Mailbox) -> Result<VantageUrl, Failure> {
    let url = match &settings.id_janus {
        Some(url) => Some(url.clone()),
        None => ours.held(mailbox)?.map(|held| held.janus),
    };
    url.ok_or_else(|| {
        let why = "no node is named that certifies mailboxes";
        Failure::usage(format!("{why}; name one with --janus https://HOST:PORT#VANTAGE-ID, or as id.janus"))
    })
}

/// How far the mail got. What can't be asked is not known.
async fn until_known(janus: &JanusNode, order: &PendingOrder) -> Option<OrderStage> {
    let deadline = Deadline::within(UNTIL_KNOWN);
    loop {
        match janus.state(order, deadline).await.ok()?.stage {
            OrderStage::Queued if deadline.left() > ASK_EVERY => tokio::time::sleep(ASK_EVERY).await,
            stage => return Some(stage),
        }
    }
}

fn tell(order: &PendingOrder, stage: Option<OrderStage>, as_json: bool) -> Result<u8, Failure> {
    if as_json {
        output::print_json(&json!({
            "order": order.order, "mailbox": order.mailbox.as_str(), "phrase": order.phrase(), "key": order.key,
            "janus": order.janus.to_string(), "expires_at": order.expires_at, "deny_others": order.deny_others,
            "mail": stage,
        }))?;
        return Ok(DONE);
    }
    output::print(&format!(
        "mailbox  {}\nphrase   {}\nuntil    {}\n",
        order.mailbox,
        order.phrase(),
        minute(order.expires_at)
    ))?;
    if stage == Some(OrderStage::Delayed) {
        output::say("the node can't hand the mail over now; it tries again until then");
    }
    output::say("a mail goes to that address; go on only if it shows the same phrase");
    output::say("open its link while `parallax agent` runs, or type its code: parallax id confirm CODE");
    Ok(DONE)
}

fn tell_classic(mailbox: &Mailbox, expires_at: parallax_core::Timestamp, as_json: bool) -> Result<u8, Failure> {
    if as_json {
        output::print_json(&json!({ "mailbox": mailbox.as_str(), "expires_at": expires_at, "flow": "classic" }))?;
        return Ok(DONE);
    }
    output::print(&format!("mailbox  {mailbox}\nuntil    {}\n", minute(expires_at)))?;
    output::say("the certificate itself comes by mail: open its link while `parallax agent` runs, or");
    output::say("save what is attached and take it: parallax id import FILE");
    Ok(DONE)
}
