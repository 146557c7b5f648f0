//! The bootstrap file that a node hands out: `parallax mirror publish --serve` lays it in the data directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use moka::future::Cache;
use parallax_proto::mirror::LARGEST_BOOTSTRAP;
use tokio::io::AsyncReadExt as _;

/// The name of the file in a node's data directory.
pub const BOOTSTRAP: &str = "bootstrap.json";

/// A new file is seen after this time; however many ask, it is read once in it.
const READ_EVERY: Duration = Duration::from_secs(2);

/// The file, as it is now.
pub(crate) struct BootstrapFiles {
    path: PathBuf,
    newest: Cache<(), Option<bytes::Bytes>>,
}

impl BootstrapFiles {
    pub(crate) fn new(data: &Path) -> Self {
        let newest = Cache::builder().max_capacity(1).time_to_live(READ_EVERY).build();
        Self { path: data.join(BOOTSTRAP), newest }
    }

    /// Its bytes; `None` when there is none, or none that may be handed out.
    pub(crate) async fn read(&self) -> Option<bytes::Bytes> {
        self.newest.get_with((), read(&self.path)).await
    }
}

async fn read(path: &Path) -> Option<bytes::Bytes> {
    let file = tokio::fs::File::open(path).await.ok()?;
    let mut content = Vec::new();
    file.take(LARGEST_BOOTSTRAP as u64 + 1).read_to_end(&mut content).await.ok()?;
    (content.len() <= LARGEST_BOOTSTRAP).then(|| content.into())
}
