//! The authority's files, for the operator's commands: they work while the node runs, and while it does not.

use std::path::{Path, PathBuf};

use parallax_core::{Fingerprint, Timestamp};
use parallax_janus::pem_of;

use super::keys::KeyFiles;
use crate::data::DataDir;
use crate::error::NodeError;
use crate::identity::{Identity, IdentityError, ServerTerms};
use crate::settings::NodeSettings;

/// An authority, as its operator is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeAuthority {
    /// The root key's id.
    pub root: Fingerprint,
    /// When the root ends.
    pub root_end: Timestamp,
    /// The newest issuing key's id.
    pub issuing: Fingerprint,
    /// When its certificate ends.
    pub issuing_end: Timestamp,
}

/// The keys and certificates of a janus in its data directory.
#[derive(Clone, Debug)]
pub struct AuthorityFiles {
    data: PathBuf,
    files: KeyFiles,
}

impl AuthorityFiles {
    /// Those below a node's data directory.
    pub fn of(data: &Path) -> Self {
        Self { data: data.to_owned(), files: KeyFiles::of(data) }
    }

    /// Where the root's key is, unless it is kept elsewhere.
    pub fn root_key(&self) -> PathBuf {
        self.files.root_key()
    }

    /// Makes a root and the first issuing key. With `root_key` the root's key goes into that file, which must not be there
    /// yet, and never into the data directory. No node may run there: it would have made an authority of its own.
    pub fn init(&self, root_key: Option<&Path>, now: Timestamp) -> Result<MadeAuthority, NodeError> {
        let _lock = DataDir::open(&self.data)?;
        if self.files.exist() {
            let path = self.files.root_key().with_file_name("");
            let why = "there is an authority already; \"parallax ca list\" shows it".to_owned();
            return Err(IdentityError::Form { path, why }.into());
        }
        // The node's own, which the authority's keys lie beside.
        let settings = NodeSettings::default();
        let terms = ServerTerms { names: settings.server_names(None), life: settings.server_certificate_life };
        Identity::open(&self.data, &terms, now)?;
        self.files.make(root_key, now)?;
        self.made()
    }

    /// The root certificate in PEM.
    pub fn root(&self) -> Result<String, NodeError> {
        Ok(pem_of([self.files.root()?]))
    }

    /// Adds an issuing key under the root. A node that runs must be told to read its keys again.
    pub fn rotate(&self, root_key: &Path, now: Timestamp) -> Result<MadeAuthority, NodeError> {
        self.files.rotate(root_key, now)?;
        self.made()
    }

    /// What there is.
    pub fn made(&self) -> Result<MadeAuthority, NodeError> {
        let keys = self.files.load()?;
        let none = || IdentityError::Making("there is no issuing key".into());
        let (issuing, issuing_end) = keys.authority.issuing().next().ok_or_else(none)?;
        let (root, root_end) = (keys.authority.root_id(), keys.authority.root_end());
        Ok(MadeAuthority { root, root_end, issuing, issuing_end })
    }
}
