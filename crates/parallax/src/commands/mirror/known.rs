//! `parallax mirror list`: the client's own list.

use parallax_client::{KnownMirror, KnownMirrors};
use parallax_core::Timestamp;
use parallax_proto::mirror::Kept;
use serde_json::{Value, json};

use super::bootstrap::no_list;
use crate::clock::now;
use crate::failure::{DONE, Failure};
use crate::mirrors;
use crate::output::{self, Cell, Column, Cut, escape};
use crate::settings::Settings;

const COLUMNS: [Column; 7] = [
    Column { title: "ADDRESS", least: 16, cut: Cut::Middle },
    Column { title: "VANTAGE", least: 8, cut: Cut::End },
    Column { title: "REGION", least: 6, cut: Cut::End },
    Column { title: "OPERATOR", least: 8, cut: Cut::End },
    Column { title: "LISTS", least: 5, cut: Cut::End },
    Column { title: "TRIP", least: 6, cut: Cut::End },
    Column { title: "SINCE", least: 8, cut: Cut::End },
];

/// Shows the mirrors that this user's checks draw from.
pub(super) fn show(settings: &Settings, as_json: bool) -> Result<u8, Failure> {
    let known = mirrors::read(&settings.mirrors_file()).map_err(Failure::usage)?.ok_or_else(no_list)?;
    if as_json {
        let mirrors: Vec<Value> = known.entries().map(|(kept, one)| to_json(kept, one)).collect();
        output::print_json(&json!({
            "refreshed_at": known.refreshed_at(),
            "private": known.allows_private(),
            "mirrors": mirrors,
        }))?;
        return Ok(DONE);
    }
    let rows: Vec<_> = known.entries().map(|(kept, one)| row(kept, one)).collect();
    output::print(&format!("{}\n\n{}", heading(&known), output::render_table(&COLUMNS, &rows)))?;
    Ok(DONE)
}

fn heading(known: &KnownMirrors) -> String {
    let dead = known.entries().filter(|(_, one)| one.is_dead()).count();
    let silent = if dead == 0 { String::new() } else { format!(", {dead} silent") };
    let age = match output::ago(now().since(known.refreshed_at())).as_str() {
        "now" => "just now".to_owned(),
        age => age.to_owned(),
    };
    format!("{} mirrors{silent}; lists were asked for {age}", known.len())
}

fn day(number: i64) -> Timestamp {
    Timestamp::from_unix_secs(number.saturating_mul(86_400))
}

fn to_json(kept: &Kept, one: &KnownMirror) -> Value {
    json!({
        "vantage": one.vantage,
        "address": one.address.to_string(),
        "region": one.region,
        "operator": one.operator,
        "support": kept.support,
        "since": day(kept.since),
        "anchor": kept.anchor,
        "round_trip_ms": one.round_trip().map(|trip| trip.as_secs_f64() * 1e3),
        "silent": one.silent,
    })
}

fn row(kept: &Kept, one: &KnownMirror) -> Vec<Cell> {
    let text = |text: Option<&str>| Cell::new(text.map_or_else(|| "-".into(), escape));
    let trip = match (one.is_dead(), one.round_trip()) {
        (true, _) => "silent".into(),
        (false, Some(trip)) => format!("{:.0} ms", trip.as_secs_f64() * 1e3),
        (false, None) => "-".into(),
    };
    let since = format!("{}{}", output::day(day(kept.since)), if kept.anchor { " anchor" } else { "" });
    vec![
        Cell::new(one.address.to_string()),
        Cell::new(one.vantage.short()),
        text(one.region.as_deref()),
        text(one.operator.as_deref()),
        Cell::new(kept.support.to_string()),
        Cell::new(trip),
        Cell::new(since),
    ]
}
