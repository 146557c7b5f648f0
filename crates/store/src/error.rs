//! What can go wrong in a store, each with a sentence that a person can act on.

use std::path::PathBuf;

use crate::traits::Version;

/// What can go wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The engine failed for a reason that has no name of its own here. What is in memory stays true; nothing new is
    /// remembered.
    #[error("the store is not available ({transaction}): {reason}")]
    Unavailable {
        /// The named transaction that failed.
        transaction: &'static str,
        /// What the engine said.
        reason: String,
    },
    /// The disk, the quota or the configured size of the database is used up. Nothing of the transaction was kept.
    #[error(
        "the store is full ({transaction}): free some disk space, or raise the size the database may have; nothing new is remembered until then"
    )]
    Full {
        /// The named transaction that failed.
        transaction: &'static str,
    },
    /// The database or its directory can't be written.
    #[error("{path} or its directory is read-only; make both writable for this user, or name another --data directory")]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// Another program holds the database for longer than the engine waits.
    #[error("another program is writing to the database and does not let go ({transaction}); end it, then try again")]
    Locked {
        /// The named transaction that failed.
        transaction: &'static str,
    },
    /// The directory that the database would be in does not exist.
    #[error("there is no directory {path} to keep the database in; create it, or name another --data directory")]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The database may not be opened by this user.
    #[error("{path} may not be opened: {reason}; give this user access to it, or name another --data directory")]
    Forbidden {
        /// The database.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file is no database.
    #[error("{path} is not a SQLite database; move it away, or name another --data directory")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error(
        "{path} is a database of another program (application id {application_id:#010x}); name another --data directory"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose: `PRAGMA application_id`.
        application_id: i64,
    },
    /// The file is damaged beneath the level of rows.
    #[error(
        "the database {path} is damaged ({reason}); stop parallax and restore it from a backup, or recover it with sqlite3's .recover"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// Too many writes are waiting.
    #[error("the store has {waiting} writes waiting and takes no more now")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The store was shut down, or its writer died.
    #[error("the store is closed and takes nothing more")]
    Closed,
    /// Somebody else wrote first.
    #[error("record {namespace}/{key} has changed meanwhile (expected version {expected:?}, found {found:?})")]
    Conflict {
        /// Namespace of the record.
        namespace: String,
        /// Key of the record.
        key: String,
        /// The version the writer believed in.
        expected: Option<Version>,
        /// The version that is there.
        found: Option<Version>,
    },
    /// A namespace, key or content that no engine has to take.
    #[error("a record's {part} {rule}; this one has {bytes} bytes")]
    Unfit {
        /// `namespace`, `key` or `content`.
        part: &'static str,
        /// What would be fit.
        rule: &'static str,
        /// The length of what was given.
        bytes: usize,
    },
    /// The database was written by a newer version.
    #[error(
        "the database has schema {found}, this version knows up to {known}; run a newer parallax, or name another --data directory"
    )]
    Schema {
        /// What the file says.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// A row can't be read back.
    #[error("the database holds a damaged row in {table} for {key}: {reason}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which row.
        key: String,
        /// Why.
        reason: String,
    },
}
