//! The table `records`.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, params};

use super::history::row_limit;
use super::trouble::{Trouble, damaged};
use crate::error::StoreError;
use crate::traits::{MAX_KEY_BYTES, MAX_NAMESPACE_BYTES, MAX_RANGE_BYTES, MAX_RECORD_BYTES, Record, Version};

/// Which record; only fit namespaces and keys get this far.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordKey {
    namespace: String,
    key: String,
}

impl RecordKey {
    pub(super) fn new(namespace: &str, key: &str) -> Result<Self, StoreError> {
        check_namespace(namespace)?;
        check_text("key", "has 1 to 1024 bytes and no U+0000", key, MAX_KEY_BYTES)?;
        Ok(Self { namespace: namespace.into(), key: key.into() })
    }
}

/// What is to become of a record.
#[derive(Debug)]
pub(super) enum RecordChange {
    /// Content, if the version is still this.
    Put(Option<Version>, Vec<u8>),
    /// Nothing, if the version is still this.
    Delete(Version),
}

impl RecordChange {
    /// Memory it takes while it waits.
    pub(super) fn weight(&self) -> usize {
        match self {
            RecordChange::Put(_, bytes) => bytes.len(),
            RecordChange::Delete(_) => 0,
        }
    }

    fn expected(&self) -> Option<Version> {
        match self {
            RecordChange::Put(expected, _) => *expected,
            RecordChange::Delete(expected) => Some(*expected),
        }
    }
}

pub(super) fn check_namespace(namespace: &str) -> Result<(), StoreError> {
    check_text("namespace", "has 1 to 64 bytes and no U+0000", namespace, MAX_NAMESPACE_BYTES)
}

pub(super) fn check_content(bytes: &[u8]) -> Result<(), StoreError> {
    match bytes.len() {
        0..=MAX_RECORD_BYTES => Ok(()),
        bytes => Err(StoreError::Unfit { part: "content", rule: "has at most 1048576 bytes", bytes }),
    }
}

pub(super) fn check_bounds(keys: &Range<String>) -> Result<(), StoreError> {
    let rule = "range has no U+0000 in its bounds";
    match [&keys.start, &keys.end].into_iter().find(|bound| bound.contains('\0')) {
        Some(bound) => Err(StoreError::Unfit { part: "key", rule, bytes: bound.len() }),
        None => Ok(()),
    }
}

fn check_text(part: &'static str, rule: &'static str, text: &str, longest: usize) -> Result<(), StoreError> {
    let is_fit = !text.is_empty() && text.len() <= longest && !text.contains('\0');
    if is_fit { Ok(()) } else { Err(StoreError::Unfit { part, rule, bytes: text.len() }) }
}

pub(super) fn get(connection: &Connection, at: &RecordKey) -> Result<Option<Record>, Trouble> {
    let sql = "SELECT version, bytes FROM records WHERE namespace = ?1 AND key = ?2";
    let row = connection
        .prepare_cached(sql)?
        .query_row([&at.namespace, &at.key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(version, bytes)| Ok(Record { key: at.key.clone(), version: read_version(version, &at.key)?, bytes }))
        .transpose()
}

pub(super) fn range(
    connection: &Connection,
    namespace: &str,
    keys: &Range<String>,
    limit: usize,
) -> Result<Vec<Record>, Trouble> {
    let sql = "SELECT key, version, bytes FROM records
               WHERE namespace = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![namespace, keys.start, keys.end, row_limit(limit)])?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let key: String = row.get(0).map_err(|error| damaged("records", namespace, error))?;
        let record = Record { version: read_version(row.get(1)?, &key)?, bytes: row.get(2)?, key };
        bytes += record.bytes.len();
        if bytes > MAX_RANGE_BYTES && !page.is_empty() {
            break;
        }
        page.push(record);
    }
    Ok(page)
}

/// Writes or deletes; the inner error is a conflict, which ends nothing but this one change. Gives the version that was
/// written or deleted.
pub(super) fn change(
    connection: &Connection,
    at: &RecordKey,
    change: &RecordChange,
) -> Result<Result<Version, StoreError>, Trouble> {
    let found = version(connection, at)?;
    if found != change.expected() {
        let (namespace, key) = (at.namespace.clone(), at.key.clone());
        return Ok(Err(StoreError::Conflict { namespace, key, expected: change.expected(), found }));
    }
    let version = match change {
        RecordChange::Put(expected, bytes) => put(connection, at, expected.unwrap_or(0) + 1, bytes)?,
        RecordChange::Delete(expected) => delete(connection, at, *expected)?,
    };
    Ok(Ok(version))
}

fn version(connection: &Connection, at: &RecordKey) -> Result<Option<Version>, Trouble> {
    let sql = "SELECT version FROM records WHERE namespace = ?1 AND key = ?2";
    let found = connection.prepare_cached(sql)?.query_row([&at.namespace, &at.key], |row| row.get(0)).optional()?;
    Ok(found.map(|version| read_version(version, &at.key)).transpose()?)
}

fn put(connection: &Connection, at: &RecordKey, version: Version, bytes: &[u8]) -> Result<Version, Trouble> {
    let sql = "INSERT INTO records (namespace, key, version, bytes) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (namespace, key) DO UPDATE SET version = excluded.version, bytes = excluded.bytes";
    let stored = i64::try_from(version).map_err(|error| damaged("records", &at.key, error))?;
    connection.prepare_cached(sql)?.execute(params![at.namespace, at.key, stored, bytes])?;
    Ok(version)
}

fn delete(connection: &Connection, at: &RecordKey, version: Version) -> Result<Version, Trouble> {
    let sql = "DELETE FROM records WHERE namespace = ?1 AND key = ?2";
    connection.prepare_cached(sql)?.execute([&at.namespace, &at.key])?;
    Ok(version)
}

fn read_version(version: i64, key: &str) -> Result<Version, StoreError> {
    Version::try_from(version).map_err(|_| damaged("records", key, format!("version {version}")))
}
