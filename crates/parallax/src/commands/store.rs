//! The memory of a node on this machine, opened beside it.

use std::path::Path;

use parallax_node::DATABASE;
use parallax_store::{SqliteStore, StoreError};

use crate::failure::Failure;

/// Opens the memory in a data directory in order to add to it; made where there is none yet.
pub(super) fn open(data: &Path) -> Result<SqliteStore, Failure> {
    SqliteStore::open(&data.join(DATABASE)).map_err(failed)
}

/// Opens the memory in a data directory that must hold one.
pub(super) fn open_existing(data: &Path) -> Result<SqliteStore, Failure> {
    if !data.join(DATABASE).exists() {
        let data = data.display();
        return Err(Failure::not_done(format!(
            "{data} holds no {DATABASE}; name the data directory of a node with --data"
        )));
    }
    open(data)
}

/// What the store says ends the command.
pub(super) fn failed(error: StoreError) -> Failure {
    Failure::not_done(error)
}
