//! A key that is certified, or is to be: of any kind that janus takes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use parallax_core::{KeyId, Signer, SigningFailed};
use parallax_janus::{Mailbox, NotAsked, make_request};
use parallax_probe::AwsLc;
use parallax_proto::PublicKey;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::channel::{BadKeyFile, pem, signer};

/// Bits of a new RSA key: what is thought to last beyond 2030 (NIST SP 800-57 part 1, table 2).
const RSA_SIZE: KeySize = KeySize::Rsa3072;

/// What kind of key to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewKey {
    /// The shortest and fastest.
    #[default]
    Ed25519,
    /// For hardware and libraries that know no Ed25519.
    P256,
    /// For those that know neither.
    Rsa,
}

impl NewKey {
    /// All of them, as people write them.
    pub const NAMES: [&'static str; 3] = ["ed25519", "p256", "rsa"];

    fn of(key: &PublicKey) -> Self {
        match key.algorithm() {
            "EdDSA" => NewKey::Ed25519,
            "ES256" => NewKey::P256,
            _ => NewKey::Rsa,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            NewKey::Ed25519 => "ed25519",
            NewKey::P256 => "p256",
            NewKey::Rsa => "rsa",
        }
    }

    /// PKCS #8; `None` when the system gives no random numbers.
    fn generate(self) -> Option<Vec<u8>> {
        Some(match self {
            NewKey::Ed25519 => Ed25519KeyPair::generate().ok()?.to_pkcs8v1().ok()?.as_ref().to_vec(),
            NewKey::P256 => {
                let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
                pair.ok()?.as_ref().to_vec()
            }
            NewKey::Rsa => aws_lc_rs::rsa::KeyPair::generate(RSA_SIZE).ok()?.as_der().ok()?.as_ref().to_vec(),
        })
    }
}

impl fmt::Display for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NewKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [NewKey::Ed25519, NewKey::P256, NewKey::Rsa];
        let found = all.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("{text:?} is no kind of key; there are {}", Self::NAMES.join(", ")))
    }
}

/// A key of the user's own that a mailbox certificate holds, or shall hold. Other than the keys of channels it may be a
/// P-256 key before there is a certificate.
#[derive(Clone)]
pub struct IdentityKey {
    public: PublicKey,
    pkcs8: Arc<PrivatePkcs8KeyDer<'static>>,
    signer: Arc<dyn Signer>,
}

impl IdentityKey {
    /// A new one; `None` when the system gives no random numbers.
    pub fn generate(kind: NewKey) -> Option<Self> {
        Self::from_pkcs8(PrivatePkcs8KeyDer::from(kind.generate()?)).ok()
    }

    /// From PKCS #8 in PEM.
    pub fn from_pem(text: &[u8]) -> Result<Self, BadKeyFile> {
        Self::from_pkcs8(PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| BadKeyFile::Form)?)
    }

    fn from_pkcs8(pkcs8: PrivatePkcs8KeyDer<'static>) -> Result<Self, BadKeyFile> {
        let (public, signer) = signer(pkcs8.secret_pkcs8_der())?;
        Ok(Self { public, pkcs8: Arc::new(pkcs8), signer })
    }

    /// PKCS #8 in PEM, for a file of mode 600.
    pub fn to_pem(&self) -> String {
        pem("PRIVATE KEY", self.pkcs8.secret_pkcs8_der())
    }

    /// What it is known by.
    pub fn id(&self) -> KeyId {
        self.public.id()
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its kind.
    pub fn kind(&self) -> NewKey {
        NewKey::of(&self.public)
    }

    /// What signs answers and messages of channels with it.
    pub(super) fn signer(&self) -> Arc<dyn Signer> {
        Arc::clone(&self.signer)
    }

    pub(super) fn pkcs8(&self) -> PrivatePkcs8KeyDer<'static> {
        self.pkcs8.clone_key()
    }

    /// A request for a certificate of this key and mailbox (PKCS #10, DER).
    pub fn request(&self, mailbox: &Mailbox) -> Result<Vec<u8>, NotAsked> {
        let unsigned = || NotAsked::Making("the key can't be used".into());
        let rsa = match self.kind() {
            NewKey::Rsa => Some(RsaKeyPair::from_pkcs8(self.pkcs8.secret_pkcs8_der()).map_err(|_| unsigned())?),
            _ => None,
        };
        let rsa = rsa.map(Pkcs1);
        let signer: &dyn Signer = rsa.as_ref().map_or(&*self.signer, |rsa| rsa);
        make_request(&AwsLc, mailbox, self.public.spki(), signer)
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({})", self.id())
    }
}

/// RSA as X.509 has it.
struct Pkcs1(RsaKeyPair);

impl Signer for Pkcs1 {
    fn algorithm(&self) -> &'static str {
        "RS256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| SigningFailed)
    }
}

#[cfg(test)]
mod tests {
    use parallax_janus::Request;

    use super::*;

    #[test]
    fn each_kind_is_made_kept_and_asks() {
        let ann: Mailbox = "ann@example.com".parse().unwrap();
        for name in NewKey::NAMES {
            let kind: NewKey = name.parse().unwrap();
            let key = IdentityKey::generate(kind).unwrap();
            let read = IdentityKey::from_pem(key.to_pem().as_bytes()).unwrap();
            assert_eq!((read.id(), read.kind().to_string().as_str()), (key.id(), name));
            let request = Request::parse(&AwsLc, &key.request(&ann).unwrap()).unwrap();
            assert_eq!(request.mailbox(), &ann);
            assert_eq!(request.key().id().to_string(), key.id().to_string());
            assert!(!format!("{key:?}").contains(char::is_whitespace), "nothing but the id is shown");
        }
        assert!("RSA".parse::<NewKey>().unwrap_err().contains("ed25519, p256, rsa"));
        assert!(IdentityKey::from_pem(b"no key").is_err());
    }
}
