//! The battery on SQLite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod battery;

use std::path::PathBuf;

use parallax_store::SqliteStore;
use tempfile::TempDir;

/// A file in a directory of its own, which goes when the case ends.
struct Sqlite {
    directory: TempDir,
}

impl Sqlite {
    fn path(&self) -> PathBuf {
        self.directory.path().join("parallax.sqlite")
    }
}

impl battery::Engine for Sqlite {
    type Store = SqliteStore;

    fn fresh() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).unwrap()
    }

    async fn close(store: SqliteStore) {
        store.shutdown().await;
    }
}

battery::battery!(crate::Sqlite);
