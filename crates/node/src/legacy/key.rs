//! The key of the Perspectives interface: RSA with just the modulus that old clients can take, used for nothing else.
//!
//! The pure crates can't hold it: the `rsa` crate brings generators of randomness with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use md5::{Digest as _, Md5};
use parallax_core::SigningFailed;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};

use crate::identity::{IdentityError, read_private, replace};

const FILE: &str = "legacy.pem";

/// Bits of a new modulus. Clients wrap a signature of exactly 172 bytes, so 1369 to 1376 will do.
const BITS: usize = 1376;
const FITTING_BITS: std::ops::RangeInclusive<usize> = 1369..=1376;

/// A key that is there, or will be when it is first needed: finding primes takes a while, and no start waits for it.
pub(crate) struct LegacyKeeper {
    path: PathBuf,
    found: OnceLock<Arc<LegacyKey>>,
    making: Mutex<()>,
}

impl LegacyKeeper {
    /// Loads the key if the identity in `data` has one.
    pub(crate) fn open(data: &Path) -> Result<Self, IdentityError> {
        let path = data.join("identity").join(FILE);
        let found = if path.exists() { OnceLock::from(Arc::new(LegacyKey::load(&path)?)) } else { OnceLock::new() };
        Ok(Self { path, found, making: Mutex::default() })
    }

    /// The key, if there is one by now.
    pub(crate) fn found(&self) -> Option<Arc<LegacyKey>> {
        self.found.get().cloned()
    }

    /// The key; made now if there is none. Takes up to seconds of work: not for threads that serve.
    pub(crate) fn find_or_make(&self) -> Result<Arc<LegacyKey>, IdentityError> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.found() {
            return Ok(key);
        }
        let key = Arc::new(LegacyKey::make(&self.path)?);
        Ok(Arc::clone(self.found.get_or_init(|| key)))
    }
}

/// The key itself.
pub(crate) struct LegacyKey {
    key: RsaPrivateKey,
    public_pem: String,
    /// SHA-256 of the public key: what was signed with another key is not given out.
    pub(crate) id: [u8; 32],
}

impl LegacyKey {
    fn make(path: &Path) -> Result<Self, IdentityError> {
        let making = |error: &dyn std::fmt::Display| IdentityError::Making(error.to_string());
        let key = RsaPrivateKey::new(&mut OsRng, BITS).map_err(|error| making(&error))?;
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| making(&error))?;
        replace(path, pem.as_bytes())?;
        Self::new(key)
    }

    fn load(path: &Path) -> Result<Self, IdentityError> {
        let bad = |why: &str| IdentityError::Form {
            path: path.to_owned(),
            why: format!("{why}; remove it and the node makes a new one, which every old client has to be given"),
        };
        let pem = read_private(path)?;
        let text = std::str::from_utf8(&pem).map_err(|_| bad("it is not text in PEM"))?;
        let key = RsaPrivateKey::from_pkcs8_pem(text).map_err(|_| bad("it holds no RSA key in PEM (PKCS#8)"))?;
        if !FITTING_BITS.contains(&key.n().bits()) {
            return Err(bad("its modulus has not 1369 to 1376 bits"));
        }
        Self::new(key)
    }

    fn new(key: RsaPrivateKey) -> Result<Self, IdentityError> {
        let making = |error: rsa::pkcs8::spki::Error| IdentityError::Making(error.to_string());
        let public = key.to_public_key();
        let public_pem = public.to_public_key_pem(LineEnding::LF).map_err(making)?;
        let der = public.to_public_key_der().map_err(making)?;
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, der.as_bytes()).as_ref());
        Ok(Self { key, public_pem, id })
    }

    /// What old clients are configured with: SubjectPublicKeyInfo in PEM.
    pub(crate) fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// RSASSA-PKCS1-v1_5 with MD5 (RFC 8017 section 8.2): 172 bytes, the same for the same message. Blinded, because
    /// strangers choose the message and can measure the time.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let padding = Pkcs1v15Sign::new::<Md5>();
        self.key.sign_with_rng(&mut OsRng, padding, &Md5::digest(message)).map_err(|_| SigningFailed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Made for these tests.
    const KEY: &str = include_str!("../../tests/it/support/legacy.pem");

    fn data(pem: &str, mode: u32) -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("identity")).unwrap();
        if !pem.is_empty() {
            let path = data.path().join("identity").join(FILE);
            std::fs::write(&path, pem).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        data
    }

    #[test]
    fn made_once_private_and_found_again() {
        let data = data("", 0);
        let keeper = LegacyKeeper::open(data.path()).unwrap();
        assert!(keeper.found().is_none());
        let key = keeper.find_or_make().unwrap();
        assert_eq!(key.key.n().bits(), BITS);
        let mode = std::fs::metadata(data.path().join("identity").join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = LegacyKeeper::open(data.path()).unwrap();
        assert_eq!(again.found().unwrap().public_pem(), key.public_pem());
        assert_eq!(again.find_or_make().unwrap().id, key.id);
    }

    #[test]
    fn signatures_have_172_bytes_and_verify() {
        let data = data(KEY, 0o600);
        let key = LegacyKeeper::open(data.path()).unwrap().find_or_make().unwrap();
        for message in [b"".as_slice(), b"example.test:443,2\0"] {
            let signature = key.sign(message).unwrap();
            assert_eq!((signature.len(), key.sign(message).unwrap()), (172, signature.clone()));
            let public = key.key.to_public_key();
            public.verify(Pkcs1v15Sign::new::<Md5>(), &Md5::digest(message), &signature).unwrap();
            assert!(public.verify(Pkcs1v15Sign::new::<Md5>(), &Md5::digest(b"other"), &signature).is_err());
        }
    }

    #[test]
    fn a_key_that_will_not_do_is_named() {
        let short = RsaPrivateKey::new(&mut OsRng, 512).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
        for (pem, mode, part) in
            [("nonsense", 0o600, "no RSA key"), (KEY, 0o640, "chmod"), (short.as_str(), 0o600, "1369")]
        {
            let error = LegacyKeeper::open(data(pem, mode).path()).err().unwrap().to_string();
            assert!(error.contains(part) && error.contains("legacy.pem"), "{error}");
        }
    }
}
