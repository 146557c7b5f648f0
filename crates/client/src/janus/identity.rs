//! A key with its certificate: on whose behalf this client acts.

use std::fmt;

use parallax_core::{KeyId, Timestamp};
use parallax_janus::Mailbox;
use parallax_probe::AwsLc;
use parallax_proto::channel::{ClientKey, OwnKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::key::IdentityKey;
use crate::channel::pem;

/// The most certificates that are read of a file: a chain of janus has three.
const MOST_CERTIFICATES: usize = 4;

/// Why certificates and a key are no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// No certificate.
    #[error("there is no certificate in it; it should be PEM, from -----BEGIN CERTIFICATE----- on")]
    NoCertificate,
    /// Too many.
    #[error("there are more than {MOST_CERTIFICATES} certificates in it; a chain of janus has two or three")]
    TooMany,
    /// It can't be read.
    #[error("the certificate in it can't be read; it should be X.509 in PEM")]
    Unreadable,
    /// Not one mailbox.
    #[error("the certificate names no mailbox, or more than one; a certificate of janus names exactly one")]
    NoMailbox,
    /// Another key.
    #[error("the certificate is of another key ({certified}) than the one beside it ({held})")]
    OtherKey {
        /// The certificate's.
        certified: KeyId,
        /// The one that is held.
        held: KeyId,
    },
}

/// What a certificate says of itself. Nothing of it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The mailbox it names.
    pub mailbox: Mailbox,
    /// The key it is for.
    pub key: KeyId,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Claims {
    /// What the first certificate of a chain (DER) says.
    pub fn of<C: AsRef<[u8]>>(chain: &[C]) -> Result<Self, BadIdentity> {
        let leaf = chain.first().ok_or(BadIdentity::NoCertificate)?.as_ref();
        let key = parallax_proto::PublicKey::of_certificate(&AwsLc, leaf).map_err(|_| BadIdentity::Unreadable)?.id();
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| BadIdentity::Unreadable)?;
        let not_after = Timestamp::from_unix_secs(leaf.validity().not_after.timestamp());
        Ok(Self { mailbox: the_mailbox(&leaf)?, key, not_after })
    }
}

fn the_mailbox(leaf: &X509Certificate<'_>) -> Result<Mailbox, BadIdentity> {
    let names = leaf.subject_alternative_name().map_err(|_| BadIdentity::Unreadable)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    match names {
        [GeneralName::RFC822Name(address)] => address.parse().map_err(|_| BadIdentity::NoMailbox),
        _ => Err(BadIdentity::NoMailbox),
    }
}

/// The certificates of a PEM file, in DER.
pub fn read_certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, BadIdentity> {
    let chain: Result<Vec<Vec<u8>>, _> = CertificateDer::pem_slice_iter(text)
        .take(MOST_CERTIFICATES + 1)
        .map(|der| der.map(|der| der.to_vec()))
        .collect();
    match chain.map_err(|_| BadIdentity::Unreadable)? {
        chain if chain.is_empty() => Err(BadIdentity::NoCertificate),
        chain if chain.len() > MOST_CERTIFICATES => Err(BadIdentity::TooMany),
        chain => Ok(chain),
    }
}

/// Certificates (DER) as a PEM file.
pub fn certificates_pem<C: AsRef<[u8]>>(chain: &[C]) -> String {
    chain.iter().map(|der| pem("CERTIFICATE", der.as_ref())).collect()
}

/// A key of the user's own with its certificate. That it holds is for whoever relies on it to judge.
#[derive(Clone)]
pub struct OwnIdentity {
    claims: Claims,
    key: IdentityKey,
    chain: Vec<Vec<u8>>,
}

impl OwnIdentity {
    /// A key and its chain (DER, leaf first).
    pub fn new(key: IdentityKey, chain: Vec<Vec<u8>>) -> Result<Self, BadIdentity> {
        let claims = Claims::of(&chain)?;
        if claims.key != key.id() {
            return Err(BadIdentity::OtherKey { certified: claims.key, held: key.id() });
        }
        Ok(Self { claims, key, chain })
    }

    /// For whom it acts.
    pub fn mailbox(&self) -> &Mailbox {
        &self.claims.mailbox
    }

    /// When its certificate ends.
    pub fn not_after(&self) -> Timestamp {
        self.claims.not_after
    }

    /// Its key.
    pub fn key(&self) -> &IdentityKey {
        &self.key
    }

    /// Its certificates in DER, leaf first.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The same for channels: key type `X509`.
    pub fn for_channels(&self) -> Result<OwnKey, BadIdentity> {
        let shown = ClientKey::certified(&AwsLc, &self.chain).map_err(|_| BadIdentity::Unreadable)?;
        Ok(OwnKey::new(shown, self.key.signer()))
    }

    /// The same for TLS: what rustls sends when a server asks for a client certificate.
    pub(crate) fn for_tls(&self) -> (Vec<CertificateDer<'static>>, rustls_pki_types::PrivateKeyDer<'static>) {
        (self.chain.iter().map(|der| CertificateDer::from(der.clone())).collect(), self.key.pkcs8().into())
    }
}

impl fmt::Debug for OwnIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnIdentity({}, {})", self.claims.mailbox, self.claims.key)
    }
}
