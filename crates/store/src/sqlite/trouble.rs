//! From what the engine says to what a person can do about it.

use std::path::Path;

use rusqlite::ErrorCode;

use super::metrics::Transaction;
use crate::error::StoreError;

/// What can end a piece of work inside a transaction: the engine's error, not yet named, or one that has its name.
#[derive(Debug)]
pub(super) enum Trouble {
    Engine(rusqlite::Error),
    Named(StoreError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Trouble::Engine(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Named(error)
    }
}

impl Trouble {
    pub(super) fn named(self, transaction: Transaction, path: &Path) -> StoreError {
        match self {
            Trouble::Named(error) => error,
            Trouble::Engine(error) => name(&error, transaction.name(), path),
        }
    }
}

/// A row that can't be read back.
pub(super) fn damaged(table: &'static str, key: &str, reason: impl ToString) -> StoreError {
    StoreError::Damaged { table, key: key.chars().take(300).collect(), reason: reason.to_string() }
}

fn name(error: &rusqlite::Error, transaction: &'static str, path: &Path) -> StoreError {
    let (path, reason) = (path.to_path_buf(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { transaction },
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked { transaction },
        Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt { path, reason },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StoreError::Forbidden { path, reason },
        _ => StoreError::Unavailable { transaction, reason },
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// What root can't be made to meet (a root user writes to read-only files) is checked here by the engine's code.
    #[test]
    fn engine_errors_have_names_and_sentences() {
        for (code, part) in [
            (ffi::SQLITE_FULL, "free some disk space"),
            (ffi::SQLITE_READONLY, "read-only; make both writable"),
            (ffi::SQLITE_READONLY_DIRECTORY, "read-only; make both writable"),
            (ffi::SQLITE_BUSY, "another program is writing"),
            (ffi::SQLITE_BUSY_SNAPSHOT, "another program is writing"),
            (ffi::SQLITE_NOTADB, "is not a SQLite database"),
            (ffi::SQLITE_CORRUPT, "restore it from a backup"),
            (ffi::SQLITE_CANTOPEN, "give this user access"),
            (ffi::SQLITE_PERM, "give this user access"),
            (ffi::SQLITE_IOERR_FSYNC, "not available (write-history)"),
        ] {
            let engine = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let named = Trouble::from(engine).named(Transaction::WriteHistory, Path::new("/data/parallax.sqlite"));
            let sentence = named.to_string();
            assert!(sentence.contains(part), "{code}: {sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
    }
}
