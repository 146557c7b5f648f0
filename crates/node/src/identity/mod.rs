//! Who a node is: three keys in files of its own, made at the first start.
//!
//! | File in `identity/` | Holds |
//! | --- | --- |
//! | `ca.key.pem` | the CA key (P-256): the vantage id hangs on it |
//! | `ca.pem` | the CA certificate, self-signed |
//! | `statement.key.pem` | the statement key (Ed25519) |
//! | `server.pem` | server key and certificate, renewed by the node itself |
//! | `janus/` | keys and certificates of the authority for mailboxes, where this node is a janus ([`crate::janus`]) |
//! | `legacy.pem` | the RSA key of the Perspectives interface, made when it is first on ([`crate::legacy`]) |

mod certificates;
mod files;
mod keys;
mod publisher;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use parallax_core::{SigningFailed, Timestamp, VantageId, plainly};
use parallax_probe::AwsLc;
use parallax_proto::StatementKey;
use rcgen::{Issuer, KeyPair};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use certificates::Term;
pub(crate) use files::{check_private, create_dir_with, make_private_dir, read, read_private, replace, write_new};
pub(crate) use keys::CaSigner;
pub(crate) use keys::StatementSigner;
pub use publisher::Publisher;

const CA_KEY: &str = "ca.key.pem";
const CA: &str = "ca.pem";
const STATEMENT_KEY: &str = "statement.key.pem";
const SERVER: &str = "server.pem";

/// Why a node can't be who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file can't be read or written.
    #[error("{} can't be used: {}; it must be there and belong to this user", path.display(), plainly(source))]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner may touch a secret.
    #[error("{} may be touched by others (mode {mode:04o}); it holds a key: chmod {wanted:04o} {}", path.display(), path.display())]
    Permissions {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be.
        wanted: u32,
    },
    /// A file does not hold what it should.
    #[error("{}: {why}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// A key or certificate can't be made.
    #[error("a key or certificate can't be made: {0}")]
    Making(String),
}

impl From<rcgen::Error> for IdentityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Making(error.to_string())
    }
}

impl From<SigningFailed> for IdentityError {
    fn from(error: SigningFailed) -> Self {
        Self::Making(error.to_string())
    }
}

/// The identity of a running node.
pub(crate) struct Identity {
    dir: PathBuf,
    vantage: VantageId,
    ca_pem: String,
    ca: CertificateDer<'static>,
    ca_signer: CaSigner,
    issuer: Issuer<'static, KeyPair>,
    statement: StatementSigner,
    server: RwLock<Server>,
}

/// The two keys that make statements, and the certificate of the first.
struct Keys {
    vantage: VantageId,
    ca_key: PrivatePkcs8KeyDer<'static>,
    ca_pem: String,
    ca: CertificateDer<'static>,
    ca_signer: CaSigner,
    statement: StatementSigner,
}

impl Keys {
    fn load(dir: &Path) -> Result<Self, IdentityError> {
        files::check_private(dir)?;
        let ca_key = read_key(&dir.join(CA_KEY))?;
        let ca_pem = read_text(&dir.join(CA))?;
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|_| form(dir, CA, "it holds no certificate in PEM"))?;
        let vantage = parallax_proto::vantage_id(&AwsLc, &ca).map_err(|error| form(dir, CA, error))?;
        let ca_signer = CaSigner::from_pkcs8(ca_key.secret_pkcs8_der())
            .ok_or_else(|| form(dir, CA_KEY, "it holds no P-256 key in PKCS#8"))?;
        let spki = ca_signer.subject_public_key_info()?;
        if VantageId::from_bytes(parallax_core::Suite::sha256(&AwsLc, &spki)) != vantage {
            return Err(form(dir, CA, "it is not the certificate of the key in ca.key.pem"));
        }
        let statement_key = read_key(&dir.join(STATEMENT_KEY))?;
        let statement = StatementSigner::from_pkcs8(statement_key.secret_pkcs8_der())
            .ok_or_else(|| form(dir, STATEMENT_KEY, "it holds no Ed25519 key in PKCS#8"))?;
        Ok(Self { vantage, ca_key, ca_pem, ca, ca_signer, statement })
    }
}

#[derive(Clone)]
struct Server {
    key: Arc<CertifiedKey>,
    term: Term,
}

/// What the server certificate has to be.
#[derive(Clone, Debug)]
pub(crate) struct ServerTerms {
    /// Names and addresses it is valid for.
    pub(crate) names: BTreeSet<String>,
    /// How long.
    pub(crate) life: Duration,
}

impl Identity {
    /// Loads the identity in `data`, or makes one when there is none. The caller holds the lock of `data`.
    pub(crate) fn open(data: &Path, terms: &ServerTerms, now: Timestamp) -> Result<Self, IdentityError> {
        let dir = data.join("identity");
        if !dir.exists() {
            make(&dir, terms, now)?;
        }
        Self::load(dir, terms, now)
    }

    fn load(dir: PathBuf, terms: &ServerTerms, now: Timestamp) -> Result<Self, IdentityError> {
        let Keys { vantage, ca_key, ca_pem, ca, ca_signer, statement } = Keys::load(&dir)?;
        let issuer = Issuer::from_ca_cert_der(&ca, KeyPair::try_from(&ca_key)?)?;
        let server = RwLock::new(open_server(&dir, &ca, &issuer, terms, now)?);
        Ok(Self { dir, vantage, ca_pem, ca, ca_signer, issuer, statement, server })
    }

    pub(crate) fn vantage(&self) -> VantageId {
        self.vantage
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn ca(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    pub(crate) fn ca_signer(&self) -> &dyn parallax_core::Signer {
        &self.ca_signer
    }

    pub(crate) fn statement(&self) -> &StatementSigner {
        &self.statement
    }

    pub(crate) fn statement_key(&self) -> StatementKey {
        self.statement.public()
    }

    /// When the server certificate ends.
    pub(crate) fn server_not_after(&self) -> Timestamp {
        self.read_server().term.not_after
    }

    /// Replaces the server certificate when it is due; `true` when it was. New connections get the new one.
    pub(crate) fn renew_if_due(&self, terms: &ServerTerms, now: Timestamp) -> Result<bool, IdentityError> {
        if !self.read_server().term.is_due(now, &terms.names) {
            return Ok(false);
        }
        let fresh = issue_and_keep(&self.dir, &self.ca, &self.issuer, terms, now)?;
        *self.server.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(true)
    }

    fn read_server(&self) -> Server {
        self.server.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read_server().key)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("vantage", &self.vantage).finish_non_exhaustive()
    }
}

fn make(dir: &Path, terms: &ServerTerms, now: Timestamp) -> Result<(), IdentityError> {
    let (key, certificate) = certificates::make_ca(now)?;
    let key_pem = key.serialize_pem();
    let issuer = Issuer::from_ca_cert_pem(&certificate, key)?;
    let server = certificates::issue_server(&issuer, &terms.names, now, terms.life)?;
    let statement = pem_of_key(&StatementSigner::generate()?)?;
    files::create_dir_with(
        dir,
        &[
            (CA_KEY, key_pem.into_bytes()),
            (CA, certificate.into_bytes()),
            (STATEMENT_KEY, statement.into_bytes()),
            (SERVER, (server.key + &server.certificate).into_bytes()),
        ],
    )
}

fn pem_of_key(pkcs8: &[u8]) -> Result<String, IdentityError> {
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8))?;
    Ok(key.serialize_pem())
}

/// A server certificate can always be made anew, so one that is missing or due is no error; one that is not ours is.
fn open_server(
    dir: &Path,
    ca: &CertificateDer<'static>,
    issuer: &Issuer<'_, KeyPair>,
    terms: &ServerTerms,
    now: Timestamp,
) -> Result<Server, IdentityError> {
    if !dir.join(SERVER).exists() {
        return issue_and_keep(dir, ca, issuer, terms, now);
    }
    let server = load_server(dir, ca)?;
    if server.term.is_due(now, &terms.names) {
        return issue_and_keep(dir, ca, issuer, terms, now);
    }
    Ok(server)
}

fn issue_and_keep(
    dir: &Path,
    ca: &CertificateDer<'static>,
    issuer: &Issuer<'_, KeyPair>,
    terms: &ServerTerms,
    now: Timestamp,
) -> Result<Server, IdentityError> {
    let issued = certificates::issue_server(issuer, &terms.names, now, terms.life)?;
    files::replace(&dir.join(SERVER), (issued.key + &issued.certificate).as_bytes())?;
    load_server(dir, ca)
}

fn load_server(dir: &Path, ca: &CertificateDer<'static>) -> Result<Server, IdentityError> {
    let bad = |why: &str| form(dir, SERVER, format!("{why}; remove it and the node makes a new one"));
    let pem = files::read_private(&dir.join(SERVER))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| bad("it holds no private key in PEM"))?;
    let leaf = CertificateDer::from_pem_slice(&pem).map_err(|_| bad("it holds no certificate in PEM"))?;
    let term = Term::of(&leaf, ca).ok_or_else(|| bad("its certificate is not signed by the CA in ca.pem"))?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|_| bad("its key can't be used"))?;
    let key = CertifiedKey::new(vec![leaf, ca.clone()], key);
    key.keys_match().map_err(|_| bad("its key and certificate do not belong together"))?;
    Ok(Server { key: Arc::new(key), term })
}

fn read_key(path: &Path) -> Result<PrivatePkcs8KeyDer<'static>, IdentityError> {
    let pem = files::read_private(path)?;
    PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| IdentityError::Form {
        path: path.to_owned(),
        why: "it holds no private key in PEM (PKCS#8)".into(),
    })
}

fn read_text(path: &Path) -> Result<String, IdentityError> {
    String::from_utf8(files::read(path)?)
        .map_err(|_| IdentityError::Form { path: path.to_owned(), why: "it is not text in PEM".into() })
}

fn form(dir: &Path, file: &str, why: impl ToString) -> IdentityError {
    IdentityError::Form { path: dir.join(file), why: why.to_string() }
}

#[cfg(test)]
mod tests;
