//! The tables `services`, `timespans`, `authority` and `latest`.

use std::error::Error;

use parallax_core::{
    Authority, Fingerprint, History, Look, Md5Fingerprint, Network, Record, Timespan, Timestamp, Turn,
};
use rusqlite::{Connection, Row, named_params, params};

use super::trouble::{Trouble, damaged};
use crate::error::StoreError;
use crate::traits::{Known, Listed, Listing, MAX_PAGE};

/// A moment in milliseconds, big-endian, and a fingerprint.
const TURN_BYTES: usize = 8 + 32;

/// Why a row can't be read back.
pub(super) type Unreadable = Box<dyn Error>;

/// All that is known of a service. The caller's transaction makes the four tables one snapshot.
pub(super) fn load(connection: &Connection, service: &str) -> Result<Option<Known>, Trouble> {
    let Some(turns) = load_turns(connection, service)? else { return Ok(None) };
    let (spans, authority) = (load_spans(connection, service)?, load_authority(connection, service)?);
    Ok(Some(Known { history: History { spans, authority, turns }, latest: load_latest(connection, service)? }))
}

/// `None` when the service is not known.
fn load_turns(connection: &Connection, service: &str) -> Result<Option<Vec<Turn>>, Trouble> {
    let sql = "SELECT turns FROM services WHERE service = ?1";
    Ok(load_rows(connection, sql, "services", service, read_turns)?.pop())
}

fn load_spans(connection: &Connection, service: &str) -> Result<Vec<Timespan>, Trouble> {
    let sql = "SELECT first_seen, leaf, proved, last_seen, key, leaf_md5, issuer_key, ca_id, networks
               FROM timespans WHERE service = ?1 ORDER BY first_seen, leaf, proved";
    load_rows(connection, sql, "timespans", service, read_span)
}

fn load_authority(connection: &Connection, service: &str) -> Result<Vec<Authority>, Trouble> {
    let sql = "SELECT first_seen, ca, leaf, last_seen FROM authority WHERE service = ?1 ORDER BY first_seen, ca, leaf";
    load_rows(connection, sql, "authority", service, read_authority)
}

fn load_latest(connection: &Connection, service: &str) -> Result<Option<Look>, Trouble> {
    let sql = "SELECT at, look FROM latest WHERE service = ?1";
    Ok(load_rows(connection, sql, "latest", service, read_latest)?.pop())
}

fn load_rows<T>(
    connection: &Connection,
    sql: &'static str,
    table: &'static str,
    service: &str,
    read: fn(&Row<'_>) -> Result<T, Unreadable>,
) -> Result<Vec<T>, Trouble> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([service])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row).map_err(|error| damaged(table, service, error))?);
    }
    Ok(found)
}

/// Columns are read by number, in the order of the queries: by name, each cell would cost a search.
pub(super) fn read_span(row: &Row<'_>) -> Result<Timespan, Unreadable> {
    let networks = row.get_ref(8)?.as_str()?;
    let (first_seen, last_seen) = read_stretch(row)?;
    Ok(Timespan {
        leaf: Fingerprint::from_bytes(row.get(1)?),
        proved: row.get(2)?,
        key: Fingerprint::from_bytes(row.get(4)?),
        leaf_md5: row.get::<_, Option<_>>(5)?.map(Md5Fingerprint::from_bytes),
        issuer_key: row.get::<_, Option<_>>(6)?.map(Fingerprint::from_bytes),
        ca_id: row.get_ref(7)?.as_str()?.parse()?,
        networks: networks.split_whitespace().map(str::parse).collect::<Result<_, _>>()?,
        first_seen,
        last_seen,
    })
}

pub(super) fn read_authority(row: &Row<'_>) -> Result<Authority, Unreadable> {
    let (first_seen, last_seen) = read_stretch(row)?;
    let (ca, leaf) = (row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?);
    Ok(Authority { record: Record { ca: fingerprints(ca)?, leaf: fingerprints(leaf)? }, first_seen, last_seen })
}

pub(super) fn read_turns(row: &Row<'_>) -> Result<Vec<Turn>, Unreadable> {
    let (turns, rest) = row.get_ref(0)?.as_blob()?.as_chunks::<TURN_BYTES>();
    if !rest.is_empty() {
        return Err("turns have 40 bytes each".into());
    }
    turns.iter().map(read_turn).collect()
}

fn read_turn(bytes: &[u8; TURN_BYTES]) -> Result<Turn, Unreadable> {
    let (ms, leaf) = bytes.split_at(8);
    Ok(Turn { at: moment(i64::from_be_bytes(ms.try_into()?))?, leaf: Fingerprint::from_bytes(leaf.try_into()?) })
}

fn turn_bytes(turns: &[Turn]) -> Vec<u8> {
    turns.iter().flat_map(|turn| turn.at.unix_ms().to_be_bytes().into_iter().chain(*turn.leaf.as_bytes())).collect()
}

fn read_stretch(row: &Row<'_>) -> Result<(Timestamp, Timestamp), Unreadable> {
    let (first_seen, last_seen) = (moment(row.get(0)?)?, moment(row.get(3)?)?);
    if last_seen < first_seen { Err("it ends before it begins".into()) } else { Ok((first_seen, last_seen)) }
}

/// A time outside the years 1 to 9999 would be read as another one, and its row never found again.
fn moment(ms: i64) -> Result<Timestamp, Unreadable> {
    let moment = Timestamp::from_unix_ms(ms);
    if moment.unix_ms() == ms { Ok(moment) } else { Err(format!("{ms} ms is no time").into()) }
}

fn read_latest(row: &Row<'_>) -> Result<Look, Unreadable> {
    let look: Look = serde_json::from_str(row.get_ref(1)?.as_str()?)?;
    if look.now.at.unix_ms() != row.get::<_, i64>(0)? {
        return Err("the look is of another time than its row".into());
    }
    Ok(look)
}

fn fingerprints<C: FromIterator<Fingerprint>>(bytes: &[u8]) -> Result<C, Unreadable> {
    let (whole, rest) = bytes.as_chunks::<32>();
    match rest {
        [] => Ok(whole.iter().copied().map(Fingerprint::from_bytes).collect()),
        _ => Err("fingerprints have 32 bytes each".into()),
    }
}

fn concatenated<'a>(fingerprints: impl IntoIterator<Item = &'a Fingerprint>) -> Vec<u8> {
    fingerprints.into_iter().flat_map(Fingerprint::as_bytes).copied().collect()
}

/// Brings the rows of a service from `before` (what they hold now) to `after`; rows that are the same are not touched.
pub(super) fn save(
    connection: &Connection,
    service: &str,
    before: Option<&Known>,
    after: &Known,
) -> Result<(), Trouble> {
    let nothing = History::default();
    let old = before.map_or(&nothing, |known| &known.history);
    save_spans(connection, service, &old.spans, &after.history.spans)?;
    save_authority(connection, service, &old.authority, &after.history.authority)?;
    let latest = before.and_then(|known| known.latest.as_ref());
    if let Some(look) = after.latest.as_ref().filter(|look| latest != Some(look)) {
        save_latest(connection, service, look)?;
    }
    let row = |known: &Known| (known.last_seen(), known.history.turns.clone());
    match before {
        Some(before) if row(before) == row(after) => Ok(()),
        _ => save_service(connection, service, after.last_seen(), &after.history.turns),
    }
}

fn save_service(
    connection: &Connection,
    service: &str,
    last_seen: Option<Timestamp>,
    turns: &[Turn],
) -> Result<(), Trouble> {
    let sql = "INSERT INTO services (service, last_seen, turns) VALUES (?1, ?2, ?3)
               ON CONFLICT (service) DO UPDATE SET last_seen = excluded.last_seen, turns = excluded.turns";
    let values = params![service, last_seen.map(Timestamp::unix_ms), turn_bytes(turns)];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn save_latest(connection: &Connection, service: &str, look: &Look) -> Result<(), Trouble> {
    let text = serde_json::to_string(look).map_err(|error| damaged("latest", service, error))?;
    let sql = "INSERT INTO latest (service, at, look) VALUES (?1, ?2, ?3)
               ON CONFLICT (service) DO UPDATE SET at = excluded.at, look = excluded.look";
    connection.prepare_cached(sql)?.execute(params![service, look.now.at.unix_ms(), text])?;
    Ok(())
}

fn save_spans(connection: &Connection, service: &str, old: &[Timespan], new: &[Timespan]) -> Result<(), Trouble> {
    let row = |span: &Timespan| (span.first_seen, span.leaf, span.proved);
    for gone in old.iter().filter(|span| !new.iter().any(|kept| row(kept) == row(span))) {
        let sql = "DELETE FROM timespans WHERE service = ?1 AND first_seen = ?2 AND leaf = ?3 AND proved = ?4";
        let key = params![service, gone.first_seen.unix_ms(), gone.leaf.as_bytes(), gone.proved];
        connection.prepare_cached(sql)?.execute(key)?;
    }
    new.iter().filter(|span| !old.contains(span)).try_for_each(|span| save_span(connection, service, span))
}

fn save_span(connection: &Connection, service: &str, span: &Timespan) -> Result<(), Trouble> {
    let sql = "INSERT INTO timespans
                   (service, first_seen, leaf, proved, last_seen, key, leaf_md5, issuer_key, ca_id, networks)
               VALUES
                   (:service, :first_seen, :leaf, :proved, :last_seen, :key, :leaf_md5, :issuer_key, :ca_id, :networks)
               ON CONFLICT (service, first_seen, leaf, proved) DO UPDATE SET
                   last_seen = excluded.last_seen, key = excluded.key, leaf_md5 = excluded.leaf_md5,
                   issuer_key = excluded.issuer_key, ca_id = excluded.ca_id, networks = excluded.networks";
    let networks: Vec<_> = span.networks.iter().map(Network::to_string).collect();
    connection.prepare_cached(sql)?.execute(named_params! {
        ":service": service,
        ":first_seen": span.first_seen.unix_ms(),
        ":leaf": span.leaf.as_bytes(),
        ":proved": span.proved,
        ":last_seen": span.last_seen.unix_ms(),
        ":key": span.key.as_bytes(),
        ":leaf_md5": span.leaf_md5.as_ref().map(Md5Fingerprint::as_bytes),
        ":issuer_key": span.issuer_key.as_ref().map(Fingerprint::as_bytes),
        ":ca_id": span.ca_id.to_string(),
        ":networks": networks.join(" "),
    })?;
    Ok(())
}

fn save_authority(connection: &Connection, service: &str, old: &[Authority], new: &[Authority]) -> Result<(), Trouble> {
    let row = |entry: &Authority| (entry.first_seen, concatenated(&entry.record.ca), concatenated(&entry.record.leaf));
    for gone in old.iter().filter(|entry| !new.iter().any(|kept| row(kept) == row(entry))) {
        let sql = "DELETE FROM authority WHERE service = ?1 AND first_seen = ?2 AND ca = ?3 AND leaf = ?4";
        let (first_seen, ca, leaf) = row(gone);
        connection.prepare_cached(sql)?.execute(params![service, first_seen.unix_ms(), ca, leaf])?;
    }
    for changed in new.iter().filter(|entry| !old.contains(entry)) {
        let sql = "INSERT INTO authority (service, first_seen, ca, leaf, last_seen) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (service, first_seen, ca, leaf) DO UPDATE SET last_seen = excluded.last_seen";
        let ((first_seen, ca, leaf), last_seen) = (row(changed), changed.last_seen);
        let values = params![service, first_seen.unix_ms(), ca, leaf, last_seen.unix_ms()];
        connection.prepare_cached(sql)?.execute(values)?;
    }
    Ok(())
}

/// Deletes all rows of a service, readable or not; `false` when there were none.
pub(super) fn wipe(connection: &Connection, service: &str) -> Result<bool, Trouble> {
    let mut deleted = 0;
    for sql in [
        "DELETE FROM timespans WHERE service = ?1",
        "DELETE FROM authority WHERE service = ?1",
        "DELETE FROM latest WHERE service = ?1",
        "DELETE FROM services WHERE service = ?1",
    ] {
        deleted += connection.prepare_cached(sql)?.execute([service])?;
    }
    Ok(deleted > 0)
}

/// A page of services, in the order of their canonical spelling's bytes.
pub(super) fn list(connection: &Connection, listing: &Listing) -> Result<Vec<Listed>, Trouble> {
    let sql = "SELECT service, last_seen FROM services
               WHERE service > :after
                 AND (:seen_since IS NULL OR last_seen >= :seen_since)
                 AND (:not_seen_since IS NULL OR last_seen IS NULL OR last_seen < :not_seen_since)
               ORDER BY service LIMIT :limit";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(named_params! {
        ":after": listing.after.as_ref().map(ToString::to_string).unwrap_or_default(),
        ":seen_since": listing.seen_since.map(Timestamp::unix_ms),
        ":not_seen_since": listing.not_seen_since.map(Timestamp::unix_ms),
        ":limit": row_limit(listing.limit),
    })?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push(read_listed(row)?);
    }
    Ok(page)
}

fn read_listed(row: &Row<'_>) -> Result<Listed, StoreError> {
    let key = row.get_ref(0).ok().and_then(|text| text.as_bytes().ok()).unwrap_or_default();
    let read = || -> Result<Listed, Unreadable> {
        let service = row.get_ref(0)?.as_str()?.parse()?;
        Ok(Listed { service, last_seen: row.get::<_, Option<_>>(1)?.map(moment).transpose()? })
    };
    read().map_err(|error| damaged("services", &String::from_utf8_lossy(key), error))
}

pub(super) fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_PAGE)).unwrap_or(i64::MAX)
}
