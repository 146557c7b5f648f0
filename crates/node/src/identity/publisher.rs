//! A node's identity as a publisher of bootstrap files (`docs/protocols/mirrors.md`).

use std::path::Path;
use std::time::Duration;

use parallax_core::{Timestamp, VantageId};
use parallax_proto::mirror::{Bootstrap, BootstrapFile};
use parallax_proto::{Descriptor, Signed, VANTAGE_FORMAT};

use super::{IdentityError, Keys};

/// The publisher's descriptor names its key at the moment of the file and for no longer: nothing else hangs on it.
const DESCRIPTOR_LIFE: Duration = Duration::from_secs(60);

/// The keys of a node that exists, in its data directory. The node itself may be running meanwhile.
pub struct Publisher(Keys);

impl Publisher {
    /// Reads the keys; nothing is made or written.
    pub fn open(data: &Path) -> Result<Self, IdentityError> {
        Keys::load(&data.join("identity")).map(Self)
    }

    /// Who signs.
    pub fn vantage(&self) -> VantageId {
        self.0.vantage
    }

    /// Adds this publisher's signature to a file, which others may have signed before.
    pub fn sign(&self, file: &mut BootstrapFile) -> Result<(), IdentityError> {
        let content: Bootstrap =
            serde_json::from_str(&file.body).map_err(|error| IdentityError::Making(error.to_string()))?;
        let descriptor = self.descriptor(content.issued_at)?;
        Ok(file.add_publisher(self.vantage(), descriptor, &self.0.statement)?)
    }

    /// A reader asks for one that held when the file was made, and a second publisher signs later. It names no address: a
    /// mirror takes it for no join, and it replaces no descriptor that the node itself has signed.
    fn descriptor(&self, issued_at: Timestamp) -> Result<Signed, IdentityError> {
        let descriptor = Descriptor {
            format: VANTAGE_FORMAT.into(),
            vantage: self.0.vantage,
            ca: self.0.ca_pem.clone(),
            statement_key: self.0.statement.public(),
            addresses: Vec::new(),
            region: None,
            rir: None,
            domain: None,
            operator: None,
            version: env!("CARGO_PKG_VERSION").into(),
            issued_at,
            valid_until: issued_at.plus(DESCRIPTOR_LIFE),
        };
        Ok(descriptor.sign(&self.0.ca_signer, &self.0.ca)?)
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Publisher").field(&self.0.vantage).finish()
    }
}

#[cfg(test)]
mod tests {
    use parallax_probe::AwsLc;
    use parallax_proto::mirror::{BOOTSTRAP_FORMAT, BootstrapError, Pair};

    use super::super::{Identity, ServerTerms};
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn publisher(now: Timestamp) -> Publisher {
        let data = tempfile::tempdir().unwrap();
        let terms = ServerTerms { names: ["localhost".to_owned()].into(), life: DAY };
        Identity::open(data.path(), &terms, now).unwrap();
        Publisher::open(data.path()).unwrap()
    }

    fn file(now: Timestamp) -> BootstrapFile {
        let mirrors = (1..4u8).map(|n| Pair {
            address: ([192, n, 2, 7], 8443).into(),
            vantage: parallax_core::VantageId::from_bytes([n; 32]),
        });
        let (issued_at, valid_until) = (now, now.plus(DAY * 180));
        let format = BOOTSTRAP_FORMAT.into();
        BootstrapFile::new(&Bootstrap { format, issued_at, valid_until, mirrors: mirrors.collect() }).unwrap()
    }

    #[test]
    fn row_3_22_two_publishers_sign_weeks_apart_and_each_is_enough() {
        let made: Timestamp = "2026-11-23T05:00:00Z".parse().unwrap();
        let (first, second, third) = (publisher(made), publisher(made.plus(DAY * 20)), publisher(made));
        let mut file = file(made);
        first.sign(&mut file).unwrap();
        second.sign(&mut file).unwrap();
        second.sign(&mut file).unwrap();
        assert_eq!(file.signatures.len(), 2, "who signs again signs once");
        let bytes = serde_json::to_vec(&file).unwrap();
        let later = made.plus(DAY * 100);
        for publisher in [&first, &second] {
            let read = BootstrapFile::read(&AwsLc, publisher.vantage(), &bytes, later).unwrap();
            assert_eq!(read.mirrors.len(), 3);
        }
        let refused = BootstrapFile::read(&AwsLc, third.vantage(), &bytes, later).unwrap_err();
        assert!(matches!(refused, BootstrapError::Publisher { .. }), "{refused}");
        let expired = BootstrapFile::read(&AwsLc, first.vantage(), &bytes, made.plus(DAY * 181)).unwrap_err();
        assert!(expired.to_string().contains("it is valid from"), "{expired}");
    }

    #[test]
    fn without_a_node_there_is_nobody_to_sign() {
        let error = Publisher::open(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/identity can't be used"), "{error}");
    }
}
