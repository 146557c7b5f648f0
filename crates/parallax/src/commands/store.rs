//! The memory of a node on this machine, opened beside it.

use std::path::Path;
use std::time::Duration;

use parallax_node::DATABASE;
use parallax_store::{SqliteOptions, SqliteStore, StoreError};

use crate::failure::Failure;

/// So long writes are gathered for one commit: with a commit for every few looks, a fast scan would mostly wait for the disk.
const GATHER: Duration = Duration::from_millis(20);

/// Opens the memory in a data directory in order to add to it; made where there is none yet.
pub(super) fn open(data: &Path) -> Result<SqliteStore, Failure> {
    SqliteStore::open(&data.join(DATABASE)).map_err(failed)
}

/// Opens the memory for many writes, each of which nobody waits for.
pub(super) fn open_for_many(data: &Path) -> Result<SqliteStore, Failure> {
    let options = SqliteOptions { gather: GATHER, ..SqliteOptions::default() };
    SqliteStore::open_with(&data.join(DATABASE), &options).map_err(failed)
}

/// Opens the memory in a data directory that must hold one.
pub(super) fn open_existing(data: &Path) -> Result<SqliteStore, Failure> {
    must_exist(data)?;
    open(data)
}

/// Refuses a data directory that holds no memory.
pub(super) fn must_exist(data: &Path) -> Result<(), Failure> {
    if data.join(DATABASE).exists() {
        return Ok(());
    }
    let data = data.display();
    Err(Failure::not_done(format!("{data} holds no {DATABASE}; name the data directory of a node with --data")))
}

/// What the store says ends the command.
pub(super) fn failed(error: StoreError) -> Failure {
    Failure::not_done(error)
}
