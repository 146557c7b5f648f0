//! Pages of histories: each table is read once for a page, not once for each service.

use std::collections::HashMap;

use parallax_core::{Authority, History, ServiceId, Timespan, Turn};
use rusqlite::{Connection, Row, params};

use super::history::{Unreadable, read_authority, read_span, read_turns, row_limit};
use super::trouble::{Trouble, damaged};
use crate::error::StoreError;
use crate::traits::{Cursor, HistoryPage, MAX_PAGE};

/// The name of a service as its bytes: one that is damaged may be no text, and the page behind it must be found all the
/// same.
type Name = Vec<u8>;

/// A service with its turns.
type Named = (Name, Result<Vec<Turn>, StoreError>);

/// Rows of one table by service; rows that can't be read are an error of their service.
type Grouped<T> = HashMap<Name, Result<Vec<T>, StoreError>>;

/// The page that begins behind `from`. The caller's transaction makes all of it one snapshot.
pub(super) fn histories(connection: &Connection, from: Option<Cursor>, limit: usize) -> Result<HistoryPage, Trouble> {
    let after = from.map(|Cursor(name)| name).unwrap_or_default();
    let page = services(connection, &after, limit)?;
    let Some((last, _)) = page.last() else { return Ok(HistoryPage { histories: Vec::new(), next: None }) };
    let next = (page.len() >= limit.min(MAX_PAGE)).then(|| Cursor(last.clone()));
    let mut spans = spans(connection, [&after, last])?;
    let mut authority = authority(connection, [&after, last])?;
    let history = |(name, turns): Named| {
        let service = read_service(&name)?;
        let spans = spans.remove(&name).unwrap_or(Ok(Vec::new()))?;
        let authority = authority.remove(&name).unwrap_or(Ok(Vec::new()))?;
        Ok((service, History { spans, authority, turns: turns? }))
    };
    Ok(HistoryPage { histories: page.into_iter().map(history).collect(), next })
}

fn services(connection: &Connection, after: &[u8], limit: usize) -> Result<Vec<Named>, Trouble> {
    let sql = "SELECT turns, service FROM services WHERE service > CAST(?1 AS TEXT) ORDER BY service LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, row_limit(limit)])?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        let name = read_name(row, 1).to_vec();
        let turns = read_turns(row).map_err(|error| damaged("services", &String::from_utf8_lossy(&name), error));
        page.push((name, turns));
    }
    Ok(page)
}

fn read_name<'a>(row: &'a Row<'_>, column: usize) -> &'a [u8] {
    row.get_ref(column).ok().and_then(|name| name.as_bytes().ok()).unwrap_or_default()
}

fn read_service(name: &[u8]) -> Result<ServiceId, StoreError> {
    let read = || -> Result<ServiceId, Unreadable> { Ok(std::str::from_utf8(name)?.parse()?) };
    read().map_err(|error| damaged("services", &String::from_utf8_lossy(name), error))
}

fn spans(connection: &Connection, between: [&[u8]; 2]) -> Result<Grouped<Timespan>, Trouble> {
    let sql = "SELECT first_seen, leaf, proved, last_seen, key, leaf_md5, issuer_key, ca_id, networks, service
               FROM timespans WHERE service > CAST(?1 AS TEXT) AND service <= CAST(?2 AS TEXT)
               ORDER BY service, first_seen, leaf, proved";
    group(connection, sql, "timespans", between, 9, read_span)
}

fn authority(connection: &Connection, between: [&[u8]; 2]) -> Result<Grouped<Authority>, Trouble> {
    let sql = "SELECT first_seen, ca, leaf, last_seen, service
               FROM authority WHERE service > CAST(?1 AS TEXT) AND service <= CAST(?2 AS TEXT)
               ORDER BY service, first_seen, ca, leaf";
    group(connection, sql, "authority", between, 4, read_authority)
}

/// All rows of the services in `between`; `service` is the column that names them.
fn group<T>(
    connection: &Connection,
    sql: &'static str,
    table: &'static str,
    between: [&[u8]; 2],
    service: usize,
    read: fn(&Row<'_>) -> Result<T, Unreadable>,
) -> Result<Grouped<T>, Trouble> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(between)?;
    let mut grouped = Grouped::new();
    while let Some(row) = rows.next()? {
        let name = read_name(row, service);
        let read = read(row).map_err(|error| damaged(table, &String::from_utf8_lossy(name), error));
        match (grouped.get_mut(name), read) {
            (Some(Ok(known)), Ok(row)) => known.push(row),
            (Some(Err(_)), _) => {}
            (_, read) => _ = grouped.insert(name.to_vec(), read.map(|row| vec![row])),
        }
    }
    Ok(grouped)
}
