//! Opening the file: whose it is, how it is written, and the migrations.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

use parallax_core::plainly;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::SqliteOptions;
use super::metrics::Transaction;
use super::trouble::Trouble;
use crate::error::StoreError;

/// `PRAGMA application_id` of our databases: "Plx1".
const APPLICATION_ID: i64 = 0x506c_7831;

/// Schema changes, oldest first; `PRAGMA user_version` counts those that were applied. A published one never changes.
const MIGRATIONS: [&str; 2] =
    [include_str!("../../migrations/sqlite/0001.sql"), include_str!("../../migrations/sqlite/0002.sql")];

const PAGE_BYTES: u64 = 4096;

/// Opens the connection that writes, creating the file (readable by its owner alone) and its tables where they are
/// missing.
pub(super) fn open_writer(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    create_file(path)?;
    let named = |trouble: Trouble| trouble.named(Transaction::Open, path);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options).map_err(named)?;
    check_identity(&connection, path).map_err(named)?;
    prepare(&connection, options).map_err(named)?;
    migrate(&mut connection, path).map_err(named)?;
    Ok(connection)
}

/// Opens a connection that can only read. The writer must be open, or the file's log could not be read.
pub(super) fn open_reader(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options).map_err(|trouble| trouble.named(Transaction::Open, path))
}

/// The engine would create the file readable by everybody; its log and index files take over the mode of the file. An
/// existing file is left to the engine: closing a second handle on it would drop the locks of this process (SQLite, "How
/// To Corrupt", section 2.2).
fn create_file(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Err(StoreError::NoDirectory { path: directory.to_path_buf() });
    }
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(StoreError::NotADatabase { path: path.to_path_buf() });
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::AlreadyExists => Ok(()),
            ErrorKind::ReadOnlyFilesystem => Err(StoreError::ReadOnly { path: path.to_path_buf() }),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                Err(StoreError::Full { transaction: Transaction::Open.name() })
            }
            _ => Err(StoreError::Forbidden { path: path.to_path_buf(), reason: plainly(&error) }),
        },
    }
}

fn connect(path: &Path, access: OpenFlags, options: &SqliteOptions) -> Result<Connection, Trouble> {
    // Each connection is used by one thread at a time, so the engine need not lock.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Refuses databases of other programs and of newer versions before anything is written to them.
fn check_identity(connection: &Connection, path: &Path) -> Result<(), Trouble> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application_id, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = (application_id, version, tables) == (0, 0, 0);
    if !is_new && application_id != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_path_buf(), application_id }.into());
    }
    match known_schema() {
        known if version > known || version < 0 => Err(StoreError::Schema { found: version, known }.into()),
        _ => Ok(()),
    }
}

fn known_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// `synchronous = FULL` syncs the log at each commit, so what was acknowledged survives a power cut as well.
fn prepare(connection: &Connection, options: &SqliteOptions) -> Result<(), Trouble> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let reason = format!("the file system cannot hold a write-ahead log (journal mode {mode})");
        return Err(StoreError::Unavailable { transaction: Transaction::Open.name(), reason }.into());
    }
    connection.pragma_update(None, "synchronous", "full")?;
    // A batch in random order touches most pages anew; folding the log in after each would write everything twice.
    connection.pragma_update(None, "wal_autocheckpoint", 8192)?;
    // A log that grew in a burst is cut back to this at the next checkpoint.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    if let Some(bytes) = options.max_bytes {
        let pages = i64::try_from(bytes / PAGE_BYTES).unwrap_or(i64::MAX).clamp(1, i64::from(u32::MAX - 1));
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}

/// Runs what is missing, each with its version in one transaction. Another program may have been faster, so what counts
/// is looked at under the lock.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Trouble> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    check_identity(&transaction, path)?;
    let applied: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (migration, version) in MIGRATIONS.iter().zip(1i64..).filter(|(_, version)| *version > applied) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        tracing::info!(version, "migrated the database");
    }
    Ok(transaction.commit()?)
}

/// Writes the header as it is: the cheapest write that reaches the disk.
pub(super) fn rewrite_header(connection: &Connection) -> Result<(), Trouble> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(connection.pragma_update(None, "user_version", version)?)
}

/// Reads a page of the file.
pub(super) fn touch(connection: &Connection) -> Result<(), Trouble> {
    connection.prepare_cached("SELECT 1 FROM services LIMIT 1")?.exists([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Databases out there were made by these very texts: to change the schema, add a migration.
    #[test]
    fn published_migrations_never_change() {
        let digest = |text| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let published = [
            "7c1050f6c31dbaf6ea01a63d371a7a886356cb0d7a60a1ada8b90f02c17cd981",
            "27d60b9343bb5dae9ca413364ae3bb83cb314169d98ee64ac9363161120f619a",
        ];
        assert_eq!(MIGRATIONS.map(digest), published);
    }
}
