//! The authority's keys on disk, in `identity/janus/`:
//!
//! | File | Holds |
//! | --- | --- |
//! | `root.pem` | the root certificate |
//! | `root.key.pem` | its key; absent where the operator keeps it elsewhere |
//! | `issuing-<16 hex digits of the key's id>.pem` | an issuing key and its certificate |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parallax_core::{Fingerprint, Timestamp};
use parallax_janus::{Authority, AuthorityError, CaKey, SubjectKey, make_issuing, make_root, pem_of};
use parallax_probe::{AwsLc, SystemRandom};
use parallax_proto::janus::MOST_ISSUING;
use rand_core::Rng as _;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::identity::{
    CaSigner, IdentityError, check_private, create_dir_with, read, read_private, replace, write_new,
};

const DIRECTORY: &str = "identity/janus";
const ROOT: &str = "root.pem";
const ROOT_KEY: &str = "root.key.pem";
const ISSUING: &str = "issuing-";

/// A P-256 key of the authority.
pub(crate) struct OwnKey {
    signer: CaSigner,
    spki: Vec<u8>,
    pem: String,
}

impl OwnKey {
    pub(crate) fn generate() -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Self::of(key.serialized_der(), key.serialize_pem())
            .ok_or_else(|| IdentityError::Making("a new P-256 key can't be used".into()))
    }

    fn of(pkcs8: &[u8], pem: String) -> Option<Self> {
        let signer = CaSigner::from_pkcs8(pkcs8)?;
        let spki = signer.subject_public_key_info().ok()?;
        Some(Self { signer, spki, pem })
    }

    /// Reads one that must be its owner's alone.
    pub(crate) fn read(path: &Path) -> Result<Self, IdentityError> {
        Self::from_pem(path, &read_private(path)?)
    }

    fn from_pem(path: &Path, pem: &[u8]) -> Result<Self, IdentityError> {
        let bad = || form(path, "it holds no P-256 key in PKCS#8 (PEM)");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| bad())?;
        Self::of(der.secret_pkcs8_der(), String::new()).ok_or_else(bad)
    }

    pub(crate) fn ca_key(&self) -> Result<CaKey<'_>, AuthorityError> {
        CaKey::new(&AwsLc, &self.signer, &self.spki)
    }

    fn id(&self) -> Result<Fingerprint, IdentityError> {
        Ok(self.ca_key().map_err(making)?.id())
    }
}

/// Where the keys of a node's authority are.
#[derive(Clone, Debug)]
pub(crate) struct KeyFiles {
    dir: PathBuf,
}

/// What is on disk.
pub(crate) struct AuthorityKeys {
    pub(crate) authority: Authority,
    issuing: Vec<(Fingerprint, OwnKey)>,
}

impl AuthorityKeys {
    /// The issuing key with this id.
    pub(crate) fn issuing(&self, id: Fingerprint) -> Option<&OwnKey> {
        self.issuing.iter().find(|(known, _)| *known == id).map(|(_, key)| key)
    }
}

impl KeyFiles {
    pub(crate) fn of(data: &Path) -> Self {
        Self { dir: data.join(DIRECTORY) }
    }

    pub(crate) fn exist(&self) -> bool {
        self.dir.exists()
    }

    pub(crate) fn root_key(&self) -> PathBuf {
        self.dir.join(ROOT_KEY)
    }

    /// Makes a root and the first issuing key, all at once or not at all. With `root_key` the root's key goes there, and
    /// never into the directory.
    pub(crate) fn make(&self, root_key: Option<&Path>, now: Timestamp) -> Result<(), IdentityError> {
        let (root, issuing) = (OwnKey::generate()?, OwnKey::generate()?);
        let certificate = {
            let key = root.ca_key().map_err(making)?;
            make_root(&AwsLc, &key, serial()?, now).map_err(making)?
        };
        let (name, content) = issued_file(&certificate, &root, &issuing, now)?;
        let mut files = vec![(ROOT, pem_of([&certificate]).into_bytes()), (name.as_str(), content.into_bytes())];
        match root_key {
            Some(path) => write_new(path, root.pem.as_bytes())?,
            None => files.push((ROOT_KEY, root.pem.clone().into_bytes())),
        }
        create_dir_with(&self.dir, &files)
    }

    /// Adds an issuing key under the root, by the root's key in `root_key`; and removes those whose certificates have ended.
    pub(crate) fn rotate(&self, root_key: &Path, now: Timestamp) -> Result<Fingerprint, IdentityError> {
        let root = self.root()?;
        let (key, issuing) = (OwnKey::read(root_key)?, OwnKey::generate()?);
        let (name, content) = issued_file(&root, &key, &issuing, now)
            .map_err(|error| form(root_key, &format!("{error}; is it the key of this root?")))?;
        self.remove_ended(now)?;
        let kept = self.issuing_files()?.len();
        if kept >= MOST_ISSUING {
            let why = format!(
                "{kept} issuing keys are in force, and no more can be; the oldest leaves when its time is over"
            );
            return Err(form(&self.dir, &why));
        }
        replace(&self.dir.join(name), content.as_bytes())?;
        issuing.id()
    }

    /// The root certificate in DER.
    pub(crate) fn root(&self) -> Result<Vec<u8>, IdentityError> {
        let path = self.dir.join(ROOT);
        certificate(&path, &read(&path)?)
    }

    /// Everything but the root's key: a node that runs needs it only to make a successor.
    pub(crate) fn load(&self) -> Result<AuthorityKeys, IdentityError> {
        check_private(&self.dir)?;
        let (root, files) = (self.root()?, self.issuing_files()?);
        let mut issuing = Vec::new();
        let mut certificates = Vec::new();
        for path in &files {
            let pem = read_private(path)?;
            let key = OwnKey::from_pem(path, &pem)?;
            certificates.push(certificate(path, &pem)?);
            issuing.push((key.id()?, key));
        }
        let authority =
            Authority::load(&AwsLc, &root, &certificates).map_err(|error| form(&self.dir, &error.to_string()))?;
        let is_known = |id: &Fingerprint| issuing.iter().any(|(known, _)| known == id);
        if let Some((id, _)) = authority.issuing().find(|(id, _)| !is_known(id)) {
            return Err(form(&self.dir, &format!("the issuing certificate of {id} stands beside another key")));
        }
        Ok(AuthorityKeys { authority, issuing })
    }

    fn issuing_files(&self) -> Result<Vec<PathBuf>, IdentityError> {
        let failed = |source: io::Error| IdentityError::Io { path: self.dir.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(ISSUING) && name.ends_with(".pem") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn remove_ended(&self, now: Timestamp) -> Result<(), IdentityError> {
        let root = self.root()?;
        for path in self.issuing_files()? {
            let one = Authority::load(&AwsLc, &root, &[certificate(&path, &read_private(&path)?)?]);
            let ended = one.is_ok_and(|one| one.issuing().all(|(_, end)| end < now));
            if ended {
                fs::remove_file(&path).map_err(|source| IdentityError::Io { path: path.clone(), source })?;
            }
        }
        Ok(())
    }
}

/// The file of a new issuing key: its name, and key and certificate.
fn issued_file(
    root: &[u8],
    root_key: &OwnKey,
    issuing: &OwnKey,
    now: Timestamp,
) -> Result<(String, String), IdentityError> {
    let key = root_key.ca_key().map_err(making)?;
    let subject = SubjectKey::parse(&AwsLc, &issuing.spki).map_err(|error| making(error.into()))?;
    let certificate = make_issuing(&AwsLc, root, &key, &subject, serial()?, now).map_err(making)?;
    let id = subject.id().to_string();
    Ok((format!("{ISSUING}{}.pem", id.get(..16).unwrap_or_default()), issuing.pem.clone() + &pem_of([certificate])))
}

pub(super) fn serial() -> Result<[u8; 16], IdentityError> {
    let (mut random, mut serial) = (SystemRandom::default(), [0; 16]);
    random.fill_bytes(&mut serial);
    if random.has_failed() {
        Err(IdentityError::Making("this machine gives no random numbers".into()))
    } else {
        Ok(serial)
    }
}

fn certificate(path: &Path, pem: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| form(path, "it holds no certificate in PEM"))?;
    Ok(certificate.to_vec())
}

fn making(error: AuthorityError) -> IdentityError {
    IdentityError::Making(error.to_string())
}

fn form(path: &Path, why: &str) -> IdentityError {
    IdentityError::Form { path: path.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parallax_janus::{ISSUING_LIFE, OVERLAP, Rotation};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

    fn made(root_key: Option<&Path>) -> (tempfile::TempDir, KeyFiles) {
        let data = tempfile::tempdir().unwrap();
        crate::identity::make_private_dir(&data.path().join("identity")).unwrap();
        let files = KeyFiles::of(data.path());
        files.make(root_key, NOW).unwrap();
        (data, files)
    }

    #[test]
    fn a_successor_is_made_and_what_has_ended_goes() {
        let (_data, files) = made(None);
        let first = files.load().unwrap();
        assert!(matches!(first.authority.rotation(NOW), Rotation::NotBefore(_)));
        let due = NOW.plus(ISSUING_LIFE - OVERLAP);
        assert_eq!(first.authority.rotation(due), Rotation::Due);
        let second = files.rotate(&files.root_key(), due).unwrap();
        let both = files.load().unwrap();
        assert_eq!(both.authority.issuing().next().unwrap().0, second);
        assert_eq!(both.authority.issuing().count(), 2);
        assert!(both.issuing(second).is_some());
        files.rotate(&files.root_key(), due.plus(OVERLAP + Duration::from_secs(1))).unwrap();
        let ids: Vec<_> = files.load().unwrap().authority.issuing().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 2);
        assert!(ids.contains(&second), "the first has ended and is gone");
    }

    #[test]
    fn a_root_key_kept_elsewhere_never_enters_the_directory() {
        let elsewhere = tempfile::tempdir().unwrap();
        let path = elsewhere.path().join("root.key");
        let (_data, files) = made(Some(&path));
        assert!(!files.root_key().exists());
        files.load().unwrap();
        files.rotate(&path, NOW).unwrap();
        let error = files.rotate(&files.root_key(), NOW).unwrap_err().to_string();
        assert!(error.contains("root.key.pem can't be used"), "{error}");
        let (_other, others) = made(None);
        let error = files.rotate(&others.root_key(), NOW).unwrap_err().to_string();
        assert!(error.contains("is it the key of this root?"), "{error}");
    }

    #[test]
    fn as_many_issuing_keys_as_are_read_are_made() {
        let (_data, files) = made(None);
        for _ in 1..MOST_ISSUING {
            files.rotate(&files.root_key(), NOW).unwrap();
        }
        let error = files.rotate(&files.root_key(), NOW).unwrap_err().to_string();
        assert!(error.contains("8 issuing keys are in force"), "{error}");
        assert_eq!(files.load().unwrap().authority.issuing().count(), MOST_ISSUING);
    }

    #[test]
    fn keys_that_others_may_read_are_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_data, files) = made(None);
        let issuing = files.issuing_files().unwrap().remove(0);
        fs::set_permissions(&issuing, fs::Permissions::from_mode(0o640)).unwrap();
        let error = files.load().err().unwrap().to_string();
        assert!(error.contains("chmod"), "{error}");
    }
}
