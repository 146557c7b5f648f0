//! `parallax id show`: what is held here.

use std::path::Path;

use parallax_client::PendingOrder;
use parallax_core::Timestamp;
use serde_json::{Value, json};

use crate::args::IdShowArgs;
use crate::clock::now;
use crate::commands::settings;
use crate::failure::{DONE, Failure, NOT};
use crate::identities::{Held, Identities};
use crate::output::{self, Cell, Column, Cut, minute, render_table};

const CERTIFICATES: [Column; 5] = [
    Column { title: "MAILBOX", least: 16, cut: Cut::Middle },
    Column { title: "KEY", least: 8, cut: Cut::End },
    Column { title: "KIND", least: 7, cut: Cut::End },
    Column { title: "CERTIFIED UNTIL", least: 17, cut: Cut::End },
    Column { title: "BY", least: 14, cut: Cut::Middle },
];

const ORDERS: [Column; 4] = [
    Column { title: "WAITS FOR ITS CODE", least: 16, cut: Cut::Middle },
    Column { title: "PHRASE", least: 11, cut: Cut::End },
    Column { title: "UNTIL", least: 17, cut: Cut::End },
    Column { title: "OF", least: 14, cut: Cut::Middle },
];

/// Runs the command.
pub(super) fn run(args: &IdShowArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let ours = Identities::of(&settings(config, &[])?);
    let mut broken = false;
    let mut held = Vec::new();
    for one in ours.all()? {
        match one {
            Ok(one) => held.push(one),
            Err(failure) => {
                broken = true;
                output::say(failure.sentence().unwrap_or_default());
            }
        }
    }
    let orders: Vec<_> = ours.orders()?.into_iter().filter(|order| now() < order.expires_at).collect();
    if args.json {
        let (identities, orders): (Vec<_>, Vec<_>) =
            (held.iter().map(as_json).collect(), orders.iter().map(order_as_json).collect());
        output::print_json(&json!({ "identities": identities, "orders": orders }))?;
    } else if held.is_empty() && orders.is_empty() {
        output::say("there is no identity here; `parallax id request EMAIL` asks for one");
    } else {
        output::print(&tables(&held, &orders))?;
    }
    Ok(if broken { NOT } else { DONE })
}

fn tables(held: &[Held], orders: &[PendingOrder]) -> String {
    let certificates: Vec<_> = held.iter().map(row).collect();
    let orders: Vec<_> = orders.iter().map(order_row).collect();
    let mut text = String::new();
    if !certificates.is_empty() {
        text.push_str(&render_table(&CERTIFICATES, &certificates));
    }
    if !orders.is_empty() {
        text.push_str(if text.is_empty() { "" } else { "\n" });
        text.push_str(&render_table(&ORDERS, &orders));
    }
    text
}

fn row(held: &Held) -> Vec<Cell> {
    let key = held.identity.as_ref().map(|identity| identity.key()).or(held.key());
    let short = |id: String| id.chars().take(8).collect::<String>();
    vec![
        Cell::new(output::escape(held.mailbox.as_str())),
        Cell::new(key.map(|key| short(key.id().to_string())).unwrap_or_default()),
        Cell::new(key.map(|key| key.kind().to_string()).unwrap_or_default()),
        Cell::new(until(held.identity.as_ref().map(|identity| identity.not_after()))),
        Cell::new(output::escape(&held.janus.authority())),
    ]
}

fn until(end: Option<Timestamp>) -> String {
    match end {
        None => "not yet".into(),
        Some(end) if end <= now() => format!("ended {}", output::day(end)),
        Some(end) => minute(end),
    }
}

fn order_row(order: &PendingOrder) -> Vec<Cell> {
    vec![
        Cell::new(output::escape(order.mailbox.as_str())),
        Cell::new(order.phrase()),
        Cell::new(minute(order.expires_at)),
        Cell::new(output::escape(&order.janus.authority())),
    ]
}

fn as_json(held: &Held) -> Value {
    let identity = held.identity.as_ref();
    let key = identity.map(|identity| identity.key()).or(held.key());
    let state = match identity {
        None => "not-yet",
        Some(identity) if identity.not_after() <= now() => "ended",
        Some(_) => "certified",
    };
    json!({
        "mailbox": held.mailbox.as_str(), "state": state, "key": key.map(|key| key.id()),
        "key_type": key.map(|key| key.kind().to_string()),
        "not_after": identity.map(|identity| identity.not_after()), "janus": held.janus.to_string(),
    })
}

fn order_as_json(order: &PendingOrder) -> Value {
    json!({
        "order": order.order, "mailbox": order.mailbox.as_str(), "phrase": order.phrase(), "key": order.key,
        "janus": order.janus.to_string(), "placed_at": order.placed_at, "expires_at": order.expires_at,
        "deny_others": order.deny_others,
    })
}
